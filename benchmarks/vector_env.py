"""Frames per second of the vector environment, RGB and depth from every step.

    python benchmarks/vector_env.py                     # 8 environments, 84², beside MiniWorld's
    python benchmarks/vector_env.py --overhead          # of a step over motion and drawing
    python benchmarks/vector_env.py --device cuda       # 1…1024 environments, 128², tensors out

A frame is one step of one environment: motion, collision, reward, metrics, observation, resets. The
candidates take turns, so that a slow phase of the machine hits all of them; figures are medians of
the rounds. MiniWorld (extra `bench`) needs OpenGL: without a display it runs under xvfb-run
(Debian: xvfb libgl1-mesa-dri libglu1-mesa).
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

import gymnasium
import numpy as np
from hardware import describe, gpu_name, table

ENV_ID = "WorldFM/PointNav-v0"
MODES = ("sync", "async")
CALL = "vector_entry_point"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--overhead", action="store_true", help="measure the overhead instead")
    parser.add_argument("--envs", type=int, nargs="+", default=None)
    parser.add_argument("--side", type=int, default=None, help="image side in pixels")
    parser.add_argument("--worlds", type=int, default=8, help="different worlds, shared")
    parser.add_argument("--seconds", type=float, default=None, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--miniworld", choices=MODES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    on_cpu = args.device == "cpu"
    args.seconds = args.seconds or (4.0 if on_cpu else 1.0)
    args.side = args.side or (84 if on_cpu else 128)
    args.envs = args.envs or ([8] if on_cpu else [1, 8, 64, 256, 512, 1024])
    if args.miniworld:
        print(f"{miniworld_rate(args.miniworld, args):.1f}")
        return
    packages = ("gymnasium", "numba", "torch", *(("miniworld",) if on_cpu else ()))
    print(describe(*packages, flags=[f"{args.worlds} worlds", f"{args.side}²", "RGB + depth"]))
    if not on_cpu:
        print(gpu_name())
        print(on_gpu(args))
    else:
        print(overhead(args) if args.overhead else beside_miniworld(args))


def beside_miniworld(args: argparse.Namespace) -> str:
    """The table of a CPU: native, N single environments, and MiniWorld's two vector modes."""
    rows = []
    for count in args.envs:
        args.count = count
        native = make(count, args, renderer="anchor")
        single = make(count, args, renderer="anchor", mode="sync")
        rounds = []
        for _ in range(args.rounds):
            native_rates = rates(native, args.seconds)
            apart = rates(single, args.seconds)[0]
            rounds.append((*native_rates, apart, *map(peer(args), MODES)))
        figures = np.median(rounds, axis=0)
        best = int(np.argmax(figures[3:]))
        ratio = f"{figures[0] / figures[3 + best]:.1f}× ({MODES[best]})"
        rows.append([count, *(f"{figure:,.0f}" for figure in figures), ratio])
    head = ["environments", f"{ENV_ID} native, frames/s", "frames per second of CPU time"]
    head += ["N single ones in SyncVectorEnv"]
    head += [f"MiniWorld-FourRooms-v0 in {m.title()}VectorEnv" for m in MODES]
    return table([*head, "native to MiniWorld's best"], rows)


def on_gpu(args: argparse.Namespace) -> str:
    """The scaling table of a GPU."""
    rows = []
    for count in args.envs:
        row = [f"{count}"]
        for renderer in ("anchor", "frame"):
            env = make(count, args, renderer=renderer, device=args.device, output="torch")
            measured = [rates(env, args.seconds)[0] for _ in range(args.rounds)]
            row.append(f"{np.median(measured):,.0f}")
            print(f"# {count} {renderer} {[round(r) for r in measured]}", flush=True)
            env.close()
        rows.append(row)
    return table(["environments", "anchor, frames/s", "frame model, frames/s"], rows)


def overhead(args: argparse.Namespace) -> str:
    """Time of a step over that of the simulator's motion and drawing in it."""
    rows = []
    for count in args.envs:
        env = make(count, args, renderer="anchor", max_episode_steps=-1)
        times = np.array([step_times(env, args.seconds / 2) for _ in range(2 * args.rounds)])
        whole, bare = np.median(times, axis=0) * 1e3
        rows.append([count, f"{bare:.3f}", f"{whole:.3f}", f"{100 * (whole / bare - 1):.1f} %"])
        env.close()
    head = ["environments", "move_ground + render, ms", "step, ms", "overhead"]
    return table(head, rows)


def step_times(env: Any, seconds: float) -> tuple[float, float]:
    """Seconds of a whole step and of the bare simulator's, medians of many, taking turns."""
    env.reset(seed=0)
    simulator, rng = env.unwrapped.simulator, np.random.default_rng(0)
    turn = np.deg2rad(10.0) * np.array([0.0, 0.0, 1.0, -1.0])
    whole, bare = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        actions = rng.integers(1, 4, env.num_envs)
        start = time.perf_counter()
        env.step(actions)
        middle = time.perf_counter()
        simulator.move_ground(0.25 * (actions == 1), yaw_delta=turn[actions])
        simulator.render()
        whole.append(middle - start)
        bare.append(time.perf_counter() - middle)
    return float(np.median(whole)), float(np.median(bare))


def make(count: int, args: argparse.Namespace, *, mode: str = CALL, **options: Any) -> Any:
    """A vector environment, its episodes in random ones of a few worlds."""
    return gymnasium.make_vec(
        ENV_ID,
        num_envs=count,
        vectorization_mode=mode,
        world=worlds(args.worlds),
        world_seed=None,
        width=args.side,
        height=args.side,
        observations=("rgb", "depth"),
        **options,
    )


_built: dict[int, Any] = {}


def worlds(count: int) -> Callable[[int], Any]:
    """A function of a seed that gives one of a few worlds."""
    import worldfm_gym

    def world(seed: int) -> Any:
        kind = seed % count
        if kind not in _built:
            _built[kind] = worldfm_gym.make_world("rooms", seed=kind)
        return _built[kind]

    return world


def rates(env: Any, seconds: float, warmup: int = 30) -> tuple[float, float]:
    """Frames per second of random agents, resets included.

    Agents of PointNav stop every 500 steps on average, so that resets come as evenly as they do in
    a long run; episodes of MiniWorld are as long as they are.

    Returns:
        Per second of the clock, and per second of this process' time on all cores.
    """
    rng = np.random.default_rng(0)
    stops = env.single_action_space.n == 4
    low, high = (1, 4) if stops else (0, 3)
    env.reset(seed=0)
    steps, start, busy = -warmup, time.perf_counter(), 0.0
    while steps < 1 or time.perf_counter() - start < seconds:
        if steps == 0:
            finish(env)
            start, busy = time.perf_counter(), time.process_time()
        actions = rng.integers(low, high, env.num_envs)
        if stops:
            actions[rng.random(env.num_envs) < 1 / 500] = 0
        env.step(actions)
        steps += 1
    finish(env)
    frames = steps * env.num_envs
    return frames / (time.perf_counter() - start), frames / (time.process_time() - busy)


def finish(env: Any) -> None:
    """Wait for what a GPU has still to do."""
    if getattr(env.unwrapped, "output", "numpy") == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()


def peer(args: argparse.Namespace) -> Callable[[str], float]:
    """MiniWorld's rate in a vector mode, measured in a process that has a display."""

    def measured(mode: str) -> float:
        command = [sys.executable, __file__, "--miniworld", mode, "--side", str(args.side)]
        command += ["--seconds", str(args.seconds), "--envs", str(args.count)]
        if "DISPLAY" not in os.environ:
            if shutil.which("xvfb-run") is None:
                raise SystemExit(
                    "MiniWorld needs a display: apt-get install xvfb libgl1-mesa-dri libglu1-mesa"
                )
            command = ["xvfb-run", "-a", "-s", "-screen 0 1024x768x24", *command]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return float(out.strip().splitlines()[-1])

    return measured


def miniworld_rate(mode: str, args: argparse.Namespace) -> float:
    """Frames per second of random agents in MiniWorld with RGB and depth, resets included."""
    from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

    side = args.side

    def one() -> Any:
        import miniworld  # noqa: F401
        from gymnasium import spaces

        class WithDepth(gymnasium.ObservationWrapper):  # type: ignore[misc]
            """RGB and depth, as MiniWorld draws them."""

            def __init__(self, env: Any) -> None:
                super().__init__(env)
                depth = spaces.Box(0.0, np.inf, (side, side, 1), np.float32)
                self.observation_space = spaces.Dict(rgb=env.observation_space, depth=depth)

            def observation(self, observation: Any) -> Any:
                depth = self.unwrapped.render_depth().astype(np.float32)
                return {"rgb": observation, "depth": depth.reshape(side, side, 1)}

        return WithDepth(gymnasium.make("MiniWorld-FourRooms-v0", obs_width=side, obs_height=side))

    functions = [one] * args.envs[0]
    # Forked children would share the parent's OpenGL context.
    env = (
        AsyncVectorEnv(functions, context="spawn") if mode == "async" else SyncVectorEnv(functions)
    )
    fps, _ = rates(env, args.seconds)
    env.close()
    return fps


if __name__ == "__main__":
    main()
