"""How often neighboring cameras get other references, and how much that changes the frame.

    python benchmarks/references.py [--worlds 3] [--references 8] [--steps 300]

A camera walks through procedural rooms in steps of 1 cm and 1°. A step counts as a change if
another set of references is read, and the frame's change is the mean absolute difference, in grey
levels, to the frame of the same pose with the references that the step before had: what the swap
alone does. Beside it stands the change that the motion itself brings.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from hardware import describe, table
from numpy.typing import NDArray

from worldfm_gym import make_world
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.frame_model.memory import Chosen, References
from worldfm_gym.frame_renderer import FrameRenderer
from worldfm_gym.worlds.world import World


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--references", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--model", default="nano")
    args = parser.parse_args()
    print(
        describe("torch", flags=[f"{args.size}²", f"{args.references} references a world, 2 read"])
    )
    rows = []
    for seed in range(args.worlds):
        world = make_world("rooms", seed=seed, references=args.references)
        rows.append([f"rooms {seed}", *walk_figures(world, args)])
    head = [
        "world",
        "steps with other references",
        "change by the swap",
        "worst swap",
        "change by the motion",
    ]
    print(table(head, rows))


def walk_figures(world: World, args: argparse.Namespace) -> list[str]:
    """The figures of a walk through one world."""
    renderer = FrameRenderer([world], model=args.model)
    memory = Memory(renderer, args.size)
    swaps, motions, changed = [], [], 0
    before = last = None
    for c2w in walk(world, args.steps):
        camera = Camera.from_fov(c2w[None], 90.0, width=args.size, height=args.size)
        memory.fixed = None
        frame = picture(renderer, camera)
        chosen = memory.last
        if before is not None and last is not None:
            motions.append(np.abs(frame - last).mean())
            if not torch.equal(before.rows, chosen.rows):
                changed += 1
                memory.fixed = before
                swaps.append(np.abs(frame - picture(renderer, camera)).mean())
        before, last = chosen, frame
    swapped = [f"{np.mean(swaps):.2f}", f"{np.max(swaps):.2f}"] if swaps else ["–", "–"]
    return [f"{100 * changed / (args.steps - 1):.1f} %", *swapped, f"{np.mean(motions):.2f}"]


class Memory:
    """Watches what a renderer's references choose, and can make it stay with a choice."""

    def __init__(self, renderer: FrameRenderer, size: int) -> None:
        self.last: Any = None
        self.fixed: Chosen | None = None
        references = renderer._references_for(size)
        select = references.select

        def watched(*views: Any) -> Chosen:
            self.last = self.fixed or select(*views)
            return self.last

        references.select = watched  # type: ignore[method-assign]
        assert isinstance(references, References)


def picture(renderer: FrameRenderer, camera: Camera) -> NDArray[np.float64]:
    """What the camera sees, as numbers that can be subtracted."""
    return np.asarray(renderer.render(camera, np.zeros(1, np.int64)).rgb[0], np.float64)


def walk(world: World, steps: int) -> NDArray[np.float64]:
    """Poses along a path over the floor that turns at random, float64 [steps, 4, 4]."""
    rng = np.random.default_rng(0)
    nav = world.require_nav()
    xy, yaw, turn = np.array(world.start_c2w[:2, 3]), 0.0, 1.0
    poses = []
    for step in range(steps):
        if step % 30 == 0:
            turn = rng.choice([-1.0, 1.0])
        yaw += np.deg2rad(turn)
        ahead = xy + 0.01 * np.array([np.cos(yaw), np.sin(yaw)])
        if nav.is_navigable(ahead[None])[0]:
            xy = ahead
        poses.append(heading_c2w([*xy, 1.25], yaw))
    return np.stack(poses)


if __name__ == "__main__":
    main()
