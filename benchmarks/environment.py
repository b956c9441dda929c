"""Steps per second of one PointNav environment, against MiniWorld in the same run.

    python benchmarks/environment.py [--seconds 5]

Both give RGB and depth in one process. MiniWorld (extra `bench`) needs OpenGL: without a display it
runs under xvfb-run (Debian: xvfb libgl1-mesa-dri libglu1-mesa).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hardware import describe, table

SIZES = (84, 128)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--miniworld", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.miniworld:
        print(f"{miniworld_rate(args.miniworld, args.seconds):.1f}")
        return
    print(describe("gymnasium", "numba", "miniworld", flags=["one process", "field of view 90°"]))
    rows = []
    for size in SIZES:
        # The two take turns, so that a busy moment of the machine meets both.
        rounds = [
            (pointnav_rate(size, args.seconds), peer(size, args.seconds))
            for _ in range(args.rounds)
        ]
        ours, theirs = np.median(rounds, axis=0)
        rows.append([f"{size}²", f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.1f}×"])
    head = [
        "RGB + depth",
        "WorldFM/PointNav-v0, steps/s",
        "MiniWorld-FourRooms-v0, steps/s",
        "ratio",
    ]
    print(table(head, rows))


def pointnav_rate(size: int, seconds: float) -> float:
    """Steps per second of a random agent, resets included."""
    import gymnasium

    import worldfm_gym  # noqa: F401

    env = gymnasium.make(
        "WorldFM/PointNav-v0", world="rooms", world_seed=0, width=size, height=size
    )
    rate = steps_per_second(env, lambda rng: env.step(int(rng.integers(1, 4))), seconds)
    env.close()
    return rate


def steps_per_second(env: Any, step: Callable[[np.random.Generator], Any], seconds: float) -> float:
    """Rate of a random agent after 100 steps of warm-up, resets included."""
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    steps, start = 0, 0.0
    while steps <= 100 or time.perf_counter() - start < seconds:
        if steps == 100:
            start = time.perf_counter()
        _, _, terminated, truncated, _ = step(rng)
        steps += 1
        if terminated or truncated:
            env.reset()
    return (steps - 100) / (time.perf_counter() - start)


def peer(size: int, seconds: float) -> float:
    """MiniWorld's rate, measured in a process that has a display."""
    command = [sys.executable, __file__, "--miniworld", str(size), "--seconds", str(seconds)]
    if "DISPLAY" not in os.environ:
        if shutil.which("xvfb-run") is None:
            raise SystemExit(
                "MiniWorld needs a display: apt-get install xvfb libgl1-mesa-dri libglu1-mesa"
            )
        command = ["xvfb-run", "-a", "-s", "-screen 0 1024x768x24", *command]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(out.strip().splitlines()[-1])


def miniworld_rate(size: int, seconds: float) -> float:
    """Steps per second of a random agent with RGB and depth, resets included."""
    import gymnasium
    import miniworld  # noqa: F401

    env = gymnasium.make("MiniWorld-FourRooms-v0", obs_width=size, obs_height=size)

    def step(rng: np.random.Generator) -> Any:
        result = env.step(int(rng.integers(0, 3)))
        env.unwrapped.render_depth()
        return result

    return steps_per_second(env, step, seconds)


if __name__ == "__main__":
    main()
