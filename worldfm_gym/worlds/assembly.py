"""Assembly: reconstructed surfaces and frames, in any pose, become an upright world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import Camera, FloatArray, heading_c2w
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import AgentBody, NavMap
from worldfm_gym.reconstruction.instances import find_objects
from worldfm_gym.worlds.floor import Floor, find_floor, upright_pose
from worldfm_gym.worlds.foreground import foreground_floor
from worldfm_gym.worlds.world import Reference, World

_FOREGROUND_SPACING_M = 0.02
_ONE_PLACE_M = 0.001
EYE_BELOW_TOP_M = 0.1  # an agent's camera sits this far below the top of its body


def world_from_frames(
    anchor: Anchor,
    references: Sequence[Reference],
    cameras: Sequence[Camera],
    *,
    body: AgentBody,
    source: Mapping[str, Any],
    extend_floor: bool = False,
    objects: bool = False,
    floor: Floor | None = None,
) -> World:
    """Make a world of what cameras saw.

    Up is searched around the cameras' mean up direction. The world's origin lies below the first
    camera, which looks along +x and is where the world starts.

    Args:
        anchor: Surfaces in the cameras' coordinates.
        references: Frames to remember, in the same coordinates.
        cameras: All cameras of the source (batch shape ()), at least one.
        body: The agent to walk with.
        source: Record of where the world comes from.
        extend_floor: Whether to continue the floor to the foot of the first reference's camera,
            by points marked as generated; see `foreground_floor`.
        objects: Whether to tell what stands on the floor as objects; see `find_objects`.
        floor: Up and floor in the cameras' coordinates, if they are known.
    """
    c2w = np.stack([camera.c2w for camera in cameras]).astype(np.float64)
    if floor is None:
        mean_up = -c2w[:, :3, 1].mean(axis=0)
        if np.linalg.norm(mean_up) < 0.1:
            mean_up = -c2w[0, :3, 1]
        floor = find_floor(anchor, up=mean_up, below=c2w[:, :3, 3])
    pose = upright_pose(floor, origin=c2w[0, :3, 3], forward=c2w[0, :3, 2])
    placed = [
        replace(
            r,
            camera=Camera(
                pose @ r.camera.c2w, r.camera.intrinsics, r.camera.width, r.camera.height
            ),
        )
        for r in references
    ]
    upright, found = moved(anchor, pose), list[WorldObject]()
    if objects and floor.problem is None:
        eyes = (pose @ c2w)[:, :3, 3]
        from_one_place = bool(np.ptp(eyes, axis=0).max() < _ONE_PLACE_M)
        upright, found = find_objects(upright, seen_from=eyes[0] if from_one_place else None)
    if extend_floor and placed and floor.problem is None:
        foreground = foreground_floor(upright, placed[0], spacing_m=_FOREGROUND_SPACING_M)
        if foreground is not None:
            upright = Anchor.concatenate([upright, foreground])
    return _walkable(
        upright, placed, floor, found, body=body, source=source, start_c2w=pose @ c2w[0]
    )


def world_from_cloud(
    anchor: Anchor, floor: Floor, *, body: AgentBody, source: Mapping[str, Any]
) -> World:
    """Make a world of surfaces that no known camera saw; it starts at its most open place.

    Args:
        anchor: Surfaces in the coordinates of `floor`.
        floor: Up and the floor's height.
        body: The agent to walk with.
        source: Record of where the world comes from.
    """
    return _walkable(
        moved(anchor, upright_pose(floor)), [], floor, [], body=body, source=source, start_c2w=None
    )


def moved(anchor: Anchor, pose: NDArray[np.float64]) -> Anchor:
    """The anchor under a rigid transform [4, 4]."""
    return replace(
        anchor,
        points=(anchor.points @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32),
        normals=(anchor.normals @ pose[:3, :3].T).astype(np.float32),
    )


def open_start_c2w(nav: NavMap) -> FloatArray:
    """A level camera at eye height above the most open place, looking the way that is free longest.

    Args:
        nav: A map on which its body fits somewhere.
    """
    row, column = np.unravel_index(int(nav.clearance.argmax()), nav.shape)
    x, y = nav.origin_xy + (np.array([column, row]) + 0.5) * nav.cell_m
    ways = np.arange(16) * (2 * np.pi / 16)
    reach = np.arange(1, max(nav.shape)) * nav.cell_m
    columns = column + np.rint(np.cos(ways)[:, None] * reach / nav.cell_m).astype(np.int64)
    rows = row + np.rint(np.sin(ways)[:, None] * reach / nav.cell_m).astype(np.int64)
    inside = (rows >= 0) & (rows < nav.shape[0]) & (columns >= 0) & (columns < nav.shape[1])
    free = np.zeros_like(inside)
    free[inside] = nav.navigable[rows[inside], columns[inside]]
    run = np.logical_and.accumulate(free, axis=1).sum(axis=1)
    return heading_c2w([x, y, nav.body.height_m - EYE_BELOW_TOP_M], float(ways[int(run.argmax())]))


def _walkable(
    anchor: Anchor,
    references: list[Reference],
    floor: Floor,
    objects: list[WorldObject],
    *,
    body: AgentBody,
    source: Mapping[str, Any],
    start_c2w: FloatArray | None,
) -> World:
    """Add the navigation map, or the reason why there is none."""
    nav, problem = None, floor.problem
    if problem is None:
        try:
            nav = NavMap.build(anchor, objects, body=body, references=references)
        except NavigationError as error:
            problem = str(error)
    if start_c2w is None:
        start_c2w = _overview_c2w(anchor) if nav is None else open_start_c2w(nav)
    return World(
        anchor=anchor,
        references=references,
        objects=objects,
        nav=nav,
        nav_problem=problem,
        start_c2w=np.asarray(start_c2w, np.float64),
        source={**source, "has_floor": floor.problem is None},
    )


def with_body(world: World, body: AgentBody) -> World:
    """The same world, with a navigation map for another body; shares all else with `world`."""
    if world.nav is not None and world.nav.body == body:
        return world
    if not world.source.get("has_floor", True):
        return world
    nav, problem = None, None
    try:
        nav = NavMap.build(
            world.anchor,
            world.objects,
            body=body,
            references=world.references,
            closed=world.scene is not None,
        )
    except NavigationError as error:
        problem = str(error)
    return replace(world, nav=nav, nav_problem=problem)


def _overview_c2w(anchor: Anchor) -> FloatArray:
    """A level camera in front of the cloud's low x end, looking along +x at its middle."""
    low, high = (corner.astype(np.float64) for corner in anchor.bounds)
    middle = (low + high) / 2
    distance = max(high[1] - low[1], high[2] - low[2], 0.1)
    return heading_c2w([low[0] - distance, middle[1], middle[2]], 0.0)
