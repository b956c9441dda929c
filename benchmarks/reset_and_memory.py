"""How long resets take, and whether memory grows.

python benchmarks/reset_and_memory.py [--resets 10000] [--cycles 1000]
"""

from __future__ import annotations

import argparse
import gc
import time

import gymnasium
import numpy as np
import psutil
from hardware import describe, table

import worldfm_gym
from worldfm_gym import make_world


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resets", type=int, default=10_000)
    parser.add_argument("--cycles", type=int, default=1_000)
    parser.add_argument("--worlds", type=int, default=12)
    args = parser.parse_args()
    print(describe("gymnasium", "numba"), f"worldfm-gym {worldfm_gym.__version__}")
    print(
        table(
            ["what", "median", "90th percentile"],
            [new_worlds(k, args.worlds) for k in KINDS] + [known_world()],
        )
    )
    print()
    print(
        table(
            ["what", "resident after warm-up, MB", "at the end, MB", "growth"],
            [many_resets(args.resets), many_cycles(args.cycles)],
        )
    )


KINDS = ("rooms", "factory", "warehouse", "maze")


def new_worlds(kind: str, count: int) -> list[str]:
    """Reset into a world never seen before."""
    env = gymnasium.make("WorldFM/PointNav-v0", world=kind, world_seed=None, new_world_every=1)
    env.reset(seed=0)
    env.reset()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        env.reset()
        times.append(time.perf_counter() - start)
    env.close()
    return [f"reset into a new `{kind}` world", *spread(times)]


def known_world() -> list[str]:
    """Reset within one world."""
    env = gymnasium.make("WorldFM/PointNav-v0", world="rooms")
    times = []
    for i in range(300):
        start = time.perf_counter()
        env.reset(seed=i)
        times.append(time.perf_counter() - start)
    env.close()
    return ["reset in a known `rooms` world", *spread(times[20:])]


def spread(seconds: list[float]) -> list[str]:
    """Median and 90th percentile in milliseconds."""
    return [f"{np.quantile(seconds, q) * 1e3:.1f} ms" for q in (0.5, 0.9)]


def many_resets(count: int) -> list[str]:
    """Resident memory over resets with a few steps each."""
    env = gymnasium.make("WorldFM/PointNav-v0", world="rooms", width=84, height=84)

    def episode() -> None:
        env.reset()
        for action in (1, 2, 1):
            env.step(action)

    env.reset(seed=0)
    return [f"{count:,} resets", *growth(episode, count)]


def many_cycles(count: int) -> list[str]:
    """Resident memory over make and close."""
    world = make_world("rooms", seed=0)

    def cycle() -> None:
        env = gymnasium.make("WorldFM/PointNav-v0", world=world, width=84, height=84)
        env.reset(seed=0)
        env.step(1)
        env.close()

    return [f"{count:,} make/close cycles", *growth(cycle, count)]


def growth(run: object, count: int) -> list[str]:
    """Resident memory after a tenth of the runs and after all of them."""
    process = psutil.Process()
    for _ in range(max(count // 10, 1)):
        run()  # type: ignore[operator]
    gc.collect()
    before = process.memory_info().rss
    for _ in range(count - count // 10):
        run()  # type: ignore[operator]
    gc.collect()
    after = process.memory_info().rss
    return [f"{before / 1e6:.0f}", f"{after / 1e6:.0f}", f"{after / before - 1:+.2%}"]


if __name__ == "__main__":
    main()
