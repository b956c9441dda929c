"""Many environments at once: one simulator, one drawing call a step, tensors if wanted.

You learn how to make the native vector environment, which is much faster than separate ones, how
it starts episodes anew by itself, and that environment i does what a single one does for its seed.
"""

from time import perf_counter

import gymnasium as gym
import numpy as np

import worldfm_gym  # noqa: F401  (importing it registers the environments)

ENVS, STEPS = 8, 200
OPTIONS = {
    "world": ["rooms", "maze"],  # each episode takes place in one of them
    "renderer": "anchor",
    "observations": ["rgb", "depth", "pointgoal"],
    "width": 84,
    "height": 84,
    "max_episode_steps": 50,
}


def main() -> None:
    envs = gym.make_vec(
        "WorldFM/PointNav-v0",
        num_envs=ENVS,
        vectorization_mode="vector_entry_point",
        autoreset_mode="SameStep",  # the observation after an end is the next episode's first
        output="torch",  # "numpy" by default; with device="cuda" images stay on the GPU
        **OPTIONS,
    )
    single = gym.make("WorldFM/PointNav-v0", **OPTIONS)
    observation, _ = envs.reset(seed=100)  # environment i gets the seed 100 + i
    for name, value in observation.items():
        print(f"{name:10} {value.dtype} {tuple(value.shape)}")
    alone, _ = single.reset(seed=103)
    print(
        "number 3 is what one alone is:",
        np.array_equal(observation["rgb"][3].numpy(), alone["rgb"]),
    )

    rng = np.random.default_rng(0)
    ended, nearest, start = 0, np.inf, perf_counter()
    for _ in range(STEPS):
        actions = rng.integers(1, 4, ENVS)  # 0 would stop, and end the episode
        observation, _, terminated, truncated, info = envs.step(actions)
        ended += int((terminated | truncated).sum())
        nearest = min(nearest, float(info["distance_to_goal"].min()))
    print(f"{ENVS * STEPS / (perf_counter() - start):,.0f} frames/s, resets included")
    print(f"{ended} episodes ended; the nearest that one came to its goal is {nearest:.2f} m")
    envs.close()
    single.close()


if __name__ == "__main__":
    main()
