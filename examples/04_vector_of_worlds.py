"""A vector of worlds: several environments at once, in one process and in several.

You learn which worker start method to use (forkserver or spawn: compiled kernels and torch do not
survive a fork), and that a seed gives the same episodes in this process and in others.
"""

import functools

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

WORLDS = ("rooms", "maze")


def make_env(world: str) -> gym.Env:
    """Built inside the worker, which therefore imports worldfm_gym itself."""
    import worldfm_gym  # noqa: F401

    wanted = ("rgb", "depth", "pointgoal", "pose")
    return gym.make("WorldFM/PointNav-v0", world=world, width=84, height=84, observations=wanted)


def run(envs: VectorEnv) -> np.ndarray:
    """The poses [N, 7] after 20 steps straight on, turning a little."""
    observation, _ = envs.reset(seed=[10 + i for i in range(envs.num_envs)])
    for step in range(20):
        actions = np.full(envs.num_envs, 2 if step % 4 == 3 else 1)
        observation, *_ = envs.step(actions)
    print(f"{type(envs).__name__}: rgb {observation['rgb'].shape}")
    envs.close()
    return observation["pose"]


def main() -> None:
    makers = [functools.partial(make_env, world) for world in WORLDS]
    here = run(SyncVectorEnv(makers))
    elsewhere = run(AsyncVectorEnv(makers, context="forkserver"))
    print("the same poses in both:", np.array_equal(here, elsewhere))


if __name__ == "__main__":  # workers import this file: without the guard each would start more
    main()
