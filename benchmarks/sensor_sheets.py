"""Pictures of what agents observe: every sensor, every noise, other colors, and twins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import worldfm_gym
from worldfm_agents.catalog_pictures import small_png
from worldfm_agents.pictures import INK, PAPER, depth_picture, panel, provenance_picture
from worldfm_envs.appearance import AppearanceConfig
from worldfm_envs.counterfactual import Edit, Move, Remove, Repaint
from worldfm_envs.depth_noise import DEPTH_NOISES
from worldfm_envs.rgb_noise import RGB_NOISES
from worldfm_gym.worlds.world import World

_RANGE_M = 6.0
_OBSERVATIONS = ("rgb", "depth", "instance", "semantic", "provenance", "top_down", "lidar")
Panel = tuple[NDArray[np.uint8], str]


@dataclass(frozen=True)
class Arguments:
    """What to draw, and where to.

    Attributes:
        output: Folder for ``sensors.png`` and ``twins.png``, made if missing.
        world: Kind of procedural world.
        seed: Seed of the world.
        episode: Seed of the first start to try; the view that sees most objects of 40 is taken.
        renderer: ``"frame"``, ``"anchor"`` or ``"truth"``.
        size: Side of a panel in pixels.
    """

    output: Path = Path("docs/environments/images")
    world: str = "rooms"
    seed: int = 3
    episode: int = 0
    renderer: str = "frame"
    size: int = 128


def main(arguments: Arguments) -> None:
    """Draw both sheets."""
    world = worldfm_gym.make_world(arguments.world, seed=arguments.seed)
    start = _start(world, arguments)
    sheets = {
        "sensors": _sensors(world, start, arguments),
        "twins": _twins(world, start, arguments),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, panels in sheets.items():
        tiles = [panel(p, caption, width=176, height=176) for p, caption in panels]
        tiles += [np.full_like(tiles[0], PAPER)] * (-len(tiles) % 7)
        rows = [np.concatenate(tiles[i : i + 7], axis=1) for i in range(0, len(tiles), 7)]
        (arguments.output / f"{name}.png").write_bytes(small_png(np.concatenate(rows)))


def _make(world: World, arguments: Arguments, **options: Any) -> gym.Env[Any, Any]:
    return gym.make(
        "WorldFM/PointNav-v0",
        world=world,
        width=arguments.size,
        height=arguments.size,
        map_size=arguments.size,
        map_resolution_m=2 * _RANGE_M / arguments.size,
        lidar_beams=180,
        lidar_range_m=_RANGE_M,
        depth_dtype="float32",
        **{"renderer": arguments.renderer, "observations": _OBSERVATIONS, **options},
    )


def _start(world: World, arguments: Arguments) -> int:
    """The seed of the start that sees most objects."""
    env = _make(world, arguments, renderer="anchor", observations=("instance",))
    seeds = range(arguments.episode, arguments.episode + 40)
    return max(seeds, key=lambda seed: _shown(env.reset(seed=seed)[0]["instance"]))


def _shown(instance: NDArray[np.uint8]) -> float:
    """How much is to be seen: objects of some size, none of which fills the view."""
    counts = np.bincount(instance.ravel(), minlength=2)[1:]
    return float((counts > 0.004 * instance.size).sum() - 4 * counts.max() / instance.size)


def _sensors(world: World, start: int, arguments: Arguments) -> list[Panel]:
    """Every sensor that makes a picture, then noise, then other colors."""
    seen, _ = _make(world, arguments).reset(seed=start)
    panels = [
        (seen["rgb"], "rgb"),
        (_depth(seen), "depth"),
        (_labels(seen["instance"]), "instance"),
        (_labels(seen["semantic"]), "semantic"),
        (provenance_picture(seen["rgb"], seen["provenance"][..., 0]), "provenance"),
        (np.repeat(seen["top_down"], 3, axis=-1), "top_down"),
        (_ring(seen["lidar"]), "lidar"),
    ]
    for name in RGB_NOISES:
        noisy, _ = _make(world, arguments, rgb_noise=name).reset(seed=start)
        panels.append((noisy["rgb"], f"rgb_noise={name}"))
    for name in DEPTH_NOISES:
        noisy, _ = _make(world, arguments, depth_noise=name).reset(seed=start)
        panels.append((_depth(noisy), f"depth_noise={name}"))
    colored = _make(world, arguments, appearance=AppearanceConfig(repaint_background=0.5))
    for seed in (start, start + 1):
        image = colored.reset(seed=seed, options=_course(world, arguments, start))[0]["rgb"]
        panels.append((image, "appearance"))
    return panels


def _course(world: World, arguments: Arguments, start: int) -> dict[str, Any]:
    """The reset options that give the same start and goal under any seed."""
    env = _make(world, arguments, renderer="anchor").unwrapped
    env.reset(seed=start)
    simulator, goal = env.simulator, env.task.goal_xy[0]  # type: ignore[attr-defined]
    return {
        "start_xy": simulator.position_xy[0],
        "start_yaw": simulator.yaw[0],
        "goal_xy": goal,
    }


def _twins(world: World, start: int, arguments: Arguments) -> list[Panel]:
    """The same episode with its largest movable objects moved, removed and repainted."""
    env = _make(world, arguments)
    seen, _ = env.reset(seed=start)
    panels: list[Panel] = [(seen["rgb"], "as it is")]
    counts = np.bincount(seen["instance"].ravel(), minlength=256)
    ids = [item.instance for item in world.objects if item.movable and item.instance < 255]
    for instance in sorted(ids, key=lambda k: -counts[k])[:2]:
        category = world.object(instance).category
        for edit, done in _edits(world, instance):
            twin, _ = env.reset(seed=start, options={"edits": [edit]})
            panels.append((twin["rgb"], f"{category} {done}"))
    return panels


def _edits(world: World, instance: int) -> Iterator[tuple[Edit, str]]:
    pose = world.object(instance).pose.copy()
    pose[:2, 3] += 0.3
    yield Move(instance, pose), "moved"
    yield Remove(instance), "removed"
    yield Repaint(instance, (60, 100, 200)), "repainted"


def _depth(observation: dict[str, Any]) -> NDArray[np.uint8]:
    return depth_picture(observation["depth"][..., 0], max_depth_m=_RANGE_M)


def _labels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A color for each number; what is 0 stays dark."""
    colors = np.random.default_rng(1).integers(60, 256, (256, 3), np.uint8)
    colors[0] = PAPER
    return np.asarray(colors[image[..., 0]])


def _ring(ranges: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Beams from above, ahead is up."""
    side = 176
    picture = Image.new("RGB", (side, side), PAPER)
    pen = ImageDraw.Draw(picture)
    for beam, way in enumerate(ranges):
        angle = 2 * math.pi * beam / len(ranges)
        reach = float(way) / _RANGE_M * side / 2
        end = side / 2 - reach * math.sin(angle), side / 2 - reach * math.cos(angle)
        pen.line((side / 2, side / 2, *end), fill=(70, 72, 78))
        pen.ellipse((end[0] - 1, end[1] - 1, end[0] + 1, end[1] + 1), fill=INK)
    return np.asarray(picture)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
