"""Bodies: little robots for agents to be seen as, added to a world."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.errors import ConfigError
from worldfm_gym.scene_objects import PARKED_BELOW_M
from worldfm_gym.worlds.sampling import anchor_from_scene
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder
from worldfm_gym.worlds.world import World

_SPACING_M = 0.025
_GOLDEN = 0.61803398875  # steps of hue that keep any number of colors apart
_DARK, _WHITE = (0.05, 0.05, 0.06), (0.85, 0.85, 0.85)


def with_bodies(
    world: World,
    count: int,
    *,
    radius_m: float = 0.18,
    height_m: float = 1.0,
    category: str = "robot",
    colors: ArrayLike | None = None,
) -> World:
    """A world that has `count` more objects: robots, told apart by color, with a visible front.

    They are the last objects of the new world. Until someone places them (with
    `Simulator.attach_body`, or `set_object_pose` and `set_object_present`) they are not there. In
    procedural worlds the ``"truth"`` renderer draws them, too.

    Args:
        world: Stays as it is; the new one shares its references, and a copy of its map.
        count: How many.
        radius_m: Radius of the upright cylinder that holds a robot, metres.
        height_m: Its height, metres.
        category: Category of the new objects.
        colors: Main colors, linear RGB in 0…1, [count, 3]; None takes distinct ones.

    Raises:
        ConfigError: If a number is not positive, or the colors don't fit.
    """
    if count < 1 or not radius_m > 0 or not height_m > 0:
        raise ConfigError(
            "bodies need a positive count, radius and height, got "
            f"{count}, {radius_m} m and {height_m} m"
        )
    paints = _palette(count) if colors is None else np.asarray(colors, np.float64)
    if paints.shape != (count, 3) or not ((paints >= 0) & (paints <= 1)).all():
        raise ConfigError(
            f"colors must be {count} rows of linear RGB in 0…1, got shape {paints.shape}"
        )
    ids = [item.instance for item in world.objects]
    first = max([*ids, int(world.anchor.instance.max())]) + 1
    rest = np.eye(4)  # where the anchor keeps their points: all at one place inside the world
    rest[:2, 3] = world.start_c2w[:2, 3]
    anchors, scenes, objects = [world.anchor], [world.scene], list(world.objects)
    for number, paint in enumerate(paints):
        robot = _robot(tuple(paint), radius_m, height_m)
        anchors.append(
            _placed(anchor_from_scene(robot, spacing_m=_SPACING_M), rest, first + number)
        )
        scenes.append(_moved(robot, rest, first + number))
        objects.append(_parked(rest, first + number, category, radius_m, height_m))
    return World(
        anchor=Anchor.concatenate(anchors),
        references=world.references,
        objects=objects,
        nav=None if world.nav is None else world.nav.with_obstacles(objects),
        nav_problem=world.nav_problem,
        start_c2w=world.start_c2w,
        source={**world.source, "bodies": count},
        scene=None if world.scene is None else _joined([s for s in scenes if s is not None]),
    )


def _palette(count: int) -> NDArray[np.float64]:
    """Distinct saturated colors, linear RGB [count, 3]."""
    return np.array([colorsys.hsv_to_rgb(i * _GOLDEN % 1.0, 0.9, 0.75) for i in range(count)])


def _robot(paint: Sequence[float], radius_m: float, height_m: float) -> Scene:
    """A robot on the floor at the origin, in a plain room of its own; its front faces +x."""
    r, h = radius_m, height_m
    accent = tuple(0.35 * c for c in paint)
    builder = SceneBuilder(np.random.default_rng(0))
    with builder.object("robot", (0.0, 0.0, 0.0)):
        builder.cylinder((0, 0, 0.06 * h), r, 0.12 * h, material=Material.PAINT, color=_DARK)
        builder.cylinder(
            (0, 0, 0.41 * h), 0.85 * r, 0.58 * h,
            material=Material.HAZARD, color=paint, accent=accent, scale=0.25, seed=1,
        )  # fmt: skip
        builder.cylinder((0, 0, 0.74 * h), 0.3 * r, 0.1 * h, material=Material.METAL, color=_DARK)
        builder.ellipsoid(
            (0, 0, 0.89 * h), (1.6 * r, 1.6 * r, 0.22 * h), material=Material.PAINT, color=paint
        )
        builder.box(
            (0.83 * r, 0, 0.45 * h), (0.3 * r, 0.6 * r, 0.34 * h),
            material=Material.EMISSIVE, color=_WHITE,
        )  # fmt: skip
        builder.box(
            (0.66 * r, 0, 0.9 * h), (0.4 * r, 0.9 * r, 0.07 * h),
            material=Material.EMISSIVE, color=_DARK,
        )  # fmt: skip
    builder.light((0.6, 0.5, h + 1.5), (2.0, 2.0, 2.0), range_m=6.0)
    reach = 2 * r + 1
    return builder.build(
        ambient=(0.5, 0.5, 0.5), floor_rects=[(-reach, -reach, reach, reach)], height=h + 2
    )


def _placed(robot: Anchor, rest: NDArray[np.float64], instance: int) -> Anchor:
    """Points of a robot where the anchor keeps them."""
    return replace(
        robot,
        points=(robot.points + rest[:3, 3]).astype(np.float32),
        instance=np.full(len(robot), instance, np.int32),
    )


def _parked(
    rest: NDArray[np.float64], instance: int, category: str, radius_m: float, height_m: float
) -> WorldObject:
    """The object of a robot, out of the way."""
    middle = rest.copy()
    middle[2, 3] = 0.5 * height_m
    parked = middle.copy()
    parked[2, 3] = 2 * PARKED_BELOW_M
    size = np.array([2 * radius_m, 2 * radius_m, height_m])
    return WorldObject(instance, category, parked, middle, size, movable=False)


def _moved(robot: Scene, rest: NDArray[np.float64], instance: int) -> Scene:
    """The primitives of a robot at rest in the world, with its id."""
    return replace(
        robot,
        center=(robot.center + rest[:3, 3]).astype(np.float32),
        instance=np.full(len(robot), instance, np.int32),
    )


def _joined(scenes: Sequence[Scene]) -> Scene:
    """The first scene with the primitives of all."""
    names = [f.name for f in fields(Scene)]
    per_primitive = names[: names.index("instance") + 1]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(s, name) for s in scenes]) for name in per_primitive
    }
    return replace(scenes[0], **joined)
