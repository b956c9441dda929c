"""Random steps through every environment: nothing may fail, grow, or become NaN.

    python benchmarks/soak.py --steps 1000000

Rounds go over all ids, with an action mode, an autoreset mode, noise and episode lengths drawn for
each, every sensor that the task has, and another world every few episodes; a small part is drawn by
the frame model. Worlds come from a stock, part of which is built anew, from the same seeds, in each
round. After a third of the rounds memory may not grow any more, and when a round is over, no
simulator and no world but those in stock may be left.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import sys
import time
from typing import Any

import gymnasium
import numpy as np
import psutil
from gymnasium.vector import AutoresetMode
from hardware import describe

from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.make import make_world
from worldfm_gym.worlds.world import World

KINDS = ("maze", "rooms", "factory")


class Stock:
    """A few worlds at a time, by any seed."""

    def __init__(self, count: int) -> None:
        self.built = 0
        self.worlds: list[World] = []
        self.renew(count)

    def world(self, seed: int) -> World:
        """One of them."""
        return self.worlds[seed % len(self.worlds)]

    def renew(self, count: int, size: int = 0) -> None:
        """Build the next ones anew."""
        for _ in range(count):
            slot = self.built % (size or count)
            world = make_world(KINDS[slot % len(KINDS)], seed=slot, references=2)
            self.worlds[slot : slot + 1] = [world]
            self.built += 1


def main() -> None:
    """Run, and print a line for each round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1_000_000, help="of single environments")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--side", type=int, default=16, help="image side in pixels")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--frame-share", type=float, default=0.005, help="steps with frame model")
    parser.add_argument("--worlds", type=int, default=12, help="in stock")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--allowed-growth-mib", type=float, default=64.0)
    args = parser.parse_args()
    if args.rounds < 3:
        parser.error("--rounds must be 3 or more: memory of the first third is compared with")
    print(describe("gymnasium", "numba", "torch", flags=[str(vars(args))]))
    ids = sorted(name for name in gymnasium.registry if name.startswith("WorldFM/"))
    rng = np.random.default_rng(args.seed)
    stock = Stock(args.worlds)
    totals = {"steps": 0, "checked": 0, "episodes": 0, "changes of world": 0}
    memory_mib, start = [], time.perf_counter()
    share = args.steps / args.rounds / len(ids)
    for turn in range(args.rounds):
        stock.renew(-(-args.worlds // 4), args.worlds)
        for env_id in ids:
            drawn = round(share * args.frame_share)
            soak(env_id, args, rng, totals, stock, steps=round(share) - drawn, renderer="anchor")
            soak(env_id, args, rng, totals, stock, steps=drawn, renderer="frame")
        memory_mib.append(memory_left_mib(stock))
        print(f"round {turn + 1}: {totals}, {stock.built} worlds built, {memory_mib[-1]:,.0f} MiB, "
              f"{time.perf_counter() - start:,.0f} s", flush=True)  # fmt: skip
    settled = memory_mib[len(memory_mib) // 3]
    print(f"{len(ids)} ids, {totals['steps']:,} steps, no exception, no world left over; no NaN in "
          f"rewards and in {totals['checked']:,} observations; "
          f"memory {settled:,.0f} → {memory_mib[-1]:,.0f} MiB")  # fmt: skip
    if memory_mib[-1] - settled > args.allowed_growth_mib:
        raise SystemExit(f"memory grew: {[round(m) for m in memory_mib]}")


def memory_left_mib(stock: Stock) -> float:
    """Resident memory when all environments are closed; raises if any of them left something."""
    gc.collect()
    living = gc.get_objects()
    assert not any(type(thing) is Simulator for thing in living)
    assert sum(type(thing) is World for thing in living) == len(stock.worlds)
    del living
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # gives free pages back, which would blur the comparison
    return float(psutil.Process().memory_info().rss) / 2**20


def soak(
    env_id: str,
    args: argparse.Namespace,
    rng: np.random.Generator,
    totals: dict[str, int],
    stock: Stock,
    *,
    steps: int,
    renderer: str,
) -> None:
    """Random actions in one vector environment for so many steps of its environments."""
    options = drawn_options(env_id, rng)
    env = gymnasium.make_vec(
        env_id,
        num_envs=args.envs,
        vectorization_mode="vector_entry_point",
        renderer=renderer,
        width=args.side,
        height=args.side,
        world=stock.world,
        **options,
    )
    env.action_space.seed(int(rng.integers(2**31)))
    check(env, *env.reset(seed=int(rng.integers(2**31))))
    worlds = list(env.unwrapped.simulator.worlds)
    for step in range(-(-steps // args.envs)):
        observation, reward, terminated, truncated, info = env.step(random_actions(env, rng))
        ended = terminated | truncated
        totals["steps"] += args.envs
        totals["episodes"] += int(ended.sum())
        assert np.isfinite(reward).all(), (env_id, options, reward)
        if step % 20 == 0 or ended.any() or renderer == "frame":
            check(env, observation, info)
            totals["checked"] += args.envs
        if env.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            check(env, *env.reset(options={"reset_mask": ended}))
        if ended.any():
            now = list(env.unwrapped.simulator.worlds)
            changes = sum(a is not b for a, b in zip(worlds, now, strict=True))
            totals["changes of world"] += changes
            worlds = now
    env.close()


def random_actions(env: Any, rng: np.random.Generator) -> Any:
    """Samples of the action space, but few that stop: 0 where discrete, above 0.9 where not."""
    actions = env.action_space.sample()
    goes_on = rng.random(env.num_envs) < 0.98
    if isinstance(env.single_action_space, gymnasium.spaces.Discrete):
        moves = rng.integers(1, env.single_action_space.n, env.num_envs)
        return np.where(goes_on, moves, actions)
    return np.where(goes_on[:, None], 0.9 * actions, actions).astype(actions.dtype)


def drawn_options(env_id: str, rng: np.random.Generator) -> dict[str, Any]:
    """Arguments of an environment, at random."""
    from worldfm_envs.sensors import SENSORS

    config = gymnasium.envs.registration.load_env_creator(
        gymnasium.registry[env_id].entry_point
    ).Config
    known = config()
    offered = [
        name
        for name, make in SENSORS.items()
        if set(getattr(make(known), "requires", ())) <= set(config.GOALS)
    ]
    modes = getattr(config, "ACTION_MODES", ())
    return {
        **({"action_mode": str(rng.choice(modes))} if modes else {}),
        "world_seed": None,
        "new_world_every": int(rng.integers(1, 4)),
        "observations": offered,
        "sliding": bool(rng.random() < 0.8),
        "rgb_noise": rng.choice([None, "gaussian", "speckle", "salt_and_pepper"]),
        "depth_noise": rng.choice([None, "redwood", "kinect"]),
        "depth_dtype": str(rng.choice(["uint8", "float32"])),
        "max_episode_steps": int(rng.integers(100, 400)),
        "autoreset_mode": rng.choice(list(AutoresetMode)),
    }


def check(env: Any, observation: dict[str, Any], info: dict[str, Any]) -> None:
    """Raise where a reading is outside its space or a number is NaN."""
    for name, values in observation.items():
        assert np.isfinite(values).all(), (env, name)
    assert env.observation_space.contains(observation), env
    for name, values in info.items():
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            assert not np.isnan(values).any(), (env, name, values)


if __name__ == "__main__":
    main()
