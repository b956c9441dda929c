"""What if: the same episode in other colors, or with an object that is not there.

You learn to vary looks at fixed geometry (domain randomization), and to step an episode and its
edited twin in lockstep (counterfactuals). Writes out/07_what_if.png.
"""

from pathlib import Path

import gymnasium as gym
import numpy as np

import worldfm_gym  # noqa: F401  (importing it registers the environments)
from worldfm_agents.video import contact_sheet, save_png
from worldfm_envs.appearance import AppearanceConfig
from worldfm_envs.counterfactual import Remove, Repaint, Twins
from worldfm_gym import World, make_world

OPTIONS = {"renderer": "truth", "width": 160, "height": 120, "observations": ["rgb", "instance"]}


def make(world: World, **options) -> gym.Env:
    return gym.make("WorldFM/PointNav-v0", world=world, **OPTIONS, **options)


def main() -> None:
    world = make_world("rooms", seed=5)
    pictures = []

    # Colors, exposure and light change with each episode; start, goal and reward do not.
    plain, varied = make(world), make(world, appearance=AppearanceConfig(repaint_probability=0.5))
    for seed in (1, 4):
        here, info = plain.reset(seed=seed)
        there, same = varied.reset(seed=seed)
        pictures += [here["rgb"], there["rgb"]]
        print("the way to the goal is the same:", info == same)

    # The largest thing in view of the first episode is gone, or red.
    seen = plain.reset(seed=1)[0]["instance"]
    ids, counts = np.unique(seen[seen > 0], return_counts=True)
    thing = int(ids[counts.argmax()])
    print(f"object {thing} is a {world.object(thing).category}")
    for edit in (Remove(thing), Repaint(thing, (200, 30, 30))):
        with Twins(lambda: make(world), [edit]) as twins:
            (here, _), (there, _) = twins.reset(seed=1)
            changed = (here["rgb"] != there["rgb"]).any(axis=-1)
            share = changed[here["instance"][..., 0] == thing].mean()
            print(f"{type(edit).__name__}: {share:.0%} of its pixels differ", end="; ")
            here, there = twins.step(1)
            print(f"rewards of a step {here[1]:.3f} and {there[1]:.3f}")
            pictures.append(there[0]["rgb"])
    Path("out").mkdir(exist_ok=True)
    save_png(contact_sheet(pictures, columns=2), "out/07_what_if.png")


if __name__ == "__main__":
    main()
