"""Whole steps per second with the frame model as the renderer, beside the anchor alone.

    python benchmarks/frame_step.py                       # one agent on the CPU, 64² and 128²
    python benchmarks/frame_step.py --device cuda         # hundreds of agents on one GPU

A step moves every agent with collision, rasterizes the anchor, chooses references, runs the network
and hands over the observation: NumPy arrays on the CPU, tensors on a GPU. Renderers take turns, so
that a slow phase of the machine hits all of them; the table gives medians of the rounds.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from hardware import describe, gpu_name

from worldfm_gym.renderer import make_renderer
from worldfm_gym.simulator import Simulator, SimulatorConfig
from worldfm_gym.worlds.make import make_world
from worldfm_gym.worlds.world import World


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--agents", type=int, nargs="+", default=None)
    parser.add_argument("--worlds", type=int, default=None, help="different worlds")
    parser.add_argument("--references", type=int, default=4, help="remembered frames of each world")
    parser.add_argument("--sides", type=int, nargs="+", default=None, help="image sides in pixels")
    parser.add_argument("--model", default="nano", help="name or .safetensors file of a model")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    on_cpu = args.device == "cpu"
    agents = args.agents or ([1] if on_cpu else [1, 256, 1024])
    sides = args.sides or ([64, 128] if on_cpu else [128])
    worlds = [
        make_world("rooms", seed=seed, references=args.references)
        for seed in range(args.worlds or (1 if on_cpu else 8))
    ]
    print(f"hardware    {describe('torch', 'numpy', 'numba')}")
    if not on_cpu:
        print(f"            {gpu_name()}")
    print(f"flags       {vars(args)}")
    print(f"{'side':>5} {'agents':>7} {'anchor':>12} {'frame, 1 step':>14} {'frame, 2 steps':>15}")
    for side in sides:
        for count in agents:
            rates = measure(worlds, count, side, args)
            anchor, one, two = (f"{np.median(rate):,.0f}" for rate in rates)
            print(f"{side:>5} {count:>7} {anchor:>12} {one:>14} {two:>15}")


def measure(
    worlds: list[World], count: int, side: int, args: argparse.Namespace
) -> list[list[float]]:
    """Agent-steps per second of each renderer in each round."""
    scene = np.arange(count) % len(worlds)
    chosen: list[tuple[str, dict[str, Any]]] = [
        ("anchor", {}), *(("frame", {"steps": n, "model": args.model}) for n in (1, 2))
    ]  # fmt: skip
    simulators = [
        Simulator(
            worlds,
            scene=scene,
            config=SimulatorConfig(width=side, height=side),
            renderer=partial(make_renderer, name, device=args.device, **options),
        )
        for name, options in chosen
    ]
    rates: list[list[float]] = [[] for _ in chosen]
    for simulator in simulators:
        spread(simulator)
        run(simulator, seconds=0.5 * args.seconds, device=args.device)
    for _ in range(args.rounds):
        for rate, simulator in zip(rates, simulators, strict=True):
            rate.append(run(simulator, seconds=args.seconds, device=args.device))
    return rates


def spread(simulator: Simulator) -> None:
    """Put the agents at random free places."""
    rng = np.random.default_rng(0)
    for agent, scene in enumerate(simulator.scene):
        xy = simulator.worlds[scene].require_nav().random_point(rng)
        simulator.place_ground([agent], xy, rng.uniform(-np.pi, np.pi))


def run(simulator: Simulator, *, seconds: float, device: str) -> float:
    """Agent-steps per second over some time, at least two steps."""
    rng = np.random.default_rng(1)
    count = simulator.num_agents
    steps, begin = 0, time.perf_counter()
    while True:
        simulator.move_ground(
            rng.choice([0.0, 0.25], count), yaw_delta=rng.uniform(-0.3, 0.3, count)
        )
        frame = simulator.render()
        steps += 1
        if steps > 1 and time.perf_counter() - begin >= seconds:
            if device != "cpu":
                torch.cuda.synchronize()
                assert isinstance(frame.rgb, torch.Tensor)
            return steps * count / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
