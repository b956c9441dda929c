"""Line of sight to objects, by geometry: from where a box of an object can be seen.

An object is in sight of a point if a straight line from there to one of fifteen points of its box
(the center, the centers of the faces, the corners drawn in by a tenth) meets no occupied voxel of
the background and no other object's box before it enters the box. Boxes that the point itself is
in hide nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.navigation import VoxelState, object_boxes
from worldfm_gym.navigation.boxes import rectangle_distance
from worldfm_gym.scene_objects import PARKED_BELOW_M
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

_OCCUPIED = int(VoxelState.OCCUPIED)
_SAMPLES = np.array(
    [(0, 0, 0)]
    + [tuple(sign * (axis == i) for i in range(3)) for axis in range(3) for sign in (1, -1)]
    + [(0.9 * a, 0.9 * b, 0.9 * c) for a in (1, -1) for b in (1, -1) for c in (1, -1)],
    np.float64,
)
"""Points of a box in its half sizes, float64 [15, 3]."""


def sees_object(simulator: Simulator, scene: int, k: int, eye_world: NDArray[np.float64]) -> bool:
    """Whether object k of a scene, in the order of its world, is in sight of a point [3] now."""
    objects = simulator.objects
    there = objects.poses[scene], objects.sizes[scene], objects.present[scene]
    return _sees_among(simulator.worlds[scene], *there, k, eye_world)


def sees_resting_object(world: World, k: int, eye_world: NDArray[np.float64]) -> bool:
    """Whether object k is in sight of a point [3] with objects where the world holds them."""
    return _sees_among(world, *_resting(world), k, eye_world)


def distance_to_object(simulator: Simulator, scene: int, k: int, xy: NDArray[np.float64]) -> float:
    """Distance on the floor plane from a point [2] to the box of object k, metres; inside 0."""
    boxes = simulator.objects.boxes[scene]
    return max(float(rectangle_distance(boxes, k, float(xy[0]), float(xy[1]))), 0.0)


def viewpoints(world: World, k: int, *, reach_m: float, eye_height_m: float) -> NDArray[np.bool_]:
    """Cells of the navigation map from which an object is in sight and in reach.

    Args:
        world: With its objects where it holds them.
        k: Place of the object in its list.
        reach_m: Largest distance from a cell's center to the box on the floor plane, metres.
        eye_height_m: Height of the camera above the floor, metres.

    Returns:
        Bool [ny, nx]; only cells where the body fits.
    """
    nav = world.require_nav()
    cells = np.zeros(nav.shape, np.bool_)
    _viewpoints(
        nav.navigable,
        nav.origin_xy,
        nav.cell_m,
        nav.voxels.states,
        nav.voxels.origin,
        object_boxes(world.objects),
        *_resting(world),
        k,
        reach_m,
        eye_height_m,
        _SAMPLES,
        cells,
    )
    return cells


def _resting(world: World) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Poses [K, 4, 4], sizes [K, 3] and presence [K] of objects where the world holds them."""
    poses = np.array([item.pose for item in world.objects])
    sizes = np.array([item.size for item in world.objects])
    return poses, sizes, poses[:, 2, 3] > PARKED_BELOW_M


def _sees_among(
    world: World,
    poses: NDArray[np.float64],
    sizes: NDArray[np.float64],
    present: NDArray[np.bool_],
    k: int,
    eye_world: NDArray[np.float64],
) -> bool:
    """Whether object k is in sight of a point [3] among objects."""
    voxels = world.require_nav().voxels
    grid = voxels.states, voxels.origin, voxels.cell_m
    eye = np.ascontiguousarray(eye_world, np.float64)
    return bool(present[k]) and bool(_sees(*grid, poses, sizes, present, k, eye, _SAMPLES))


@njit(cache=True, nogil=True)
def _viewpoints(
    navigable: Any,
    origin_xy: Any,
    cell_m: float,
    states: Any,
    origin: Any,
    boxes: Any,
    poses: Any,
    sizes: Any,
    present: Any,
    k: int,
    reach_m: float,
    eye_height_m: float,
    samples: Any,
    cells: Any,
) -> None:
    """Fill `cells` [ny, nx]."""
    ny, nx = navigable.shape
    reach = reach_m + math.hypot(boxes[k, 17], boxes[k, 18])
    x0 = max(int((boxes[k, 0] - reach - origin_xy[0]) / cell_m), 0)
    y0 = max(int((boxes[k, 1] - reach - origin_xy[1]) / cell_m), 0)
    x1 = min(int((boxes[k, 0] + reach - origin_xy[0]) / cell_m) + 1, nx)
    y1 = min(int((boxes[k, 1] + reach - origin_xy[1]) / cell_m) + 1, ny)
    eye = np.empty(3)
    eye[2] = eye_height_m
    for y in range(y0, y1):
        for x in range(x0, x1):
            eye[0], eye[1] = origin_xy[0] + (x + 0.5) * cell_m, origin_xy[1] + (y + 0.5) * cell_m
            if navigable[y, x] and rectangle_distance(boxes, k, eye[0], eye[1]) <= reach_m:
                cells[y, x] = _sees(states, origin, cell_m, poses, sizes, present, k, eye, samples)


@njit(cache=True, nogil=True)
def _sees(
    states: Any,
    origin: Any,
    cell_m: float,
    poses: Any,
    sizes: Any,
    present: Any,
    k: int,
    eye: Any,
    samples: Any,
) -> bool:
    """Whether a line from `eye` to a sample of box k is free until it enters the box."""
    way = np.empty(3)
    for n in range(len(samples)):
        for i in range(3):
            way[i] = poses[k, i, 3] - eye[i]
            for j in range(3):
                way[i] += poses[k, i, j] * 0.5 * sizes[k, j] * samples[n, j]
        enters, _ = box_span(poses[k], sizes[k], eye, way)
        if enters <= 0.0:
            return True
        hidden = False
        for other in range(len(poses)):
            if other != k and present[other]:
                enter, leave = box_span(poses[other], sizes[other], eye, way)
                hidden = hidden or (0.0 < enter < leave and enter < enters)
        if not hidden and _passes(states, origin, cell_m, eye, way, enters):
            return True
    return False


@njit(cache=True, nogil=True)
def box_span(pose: Any, size: Any, eye: Any, way: Any) -> Any:
    """Where the line eye + t · way enters and leaves a box, as t; enter > leave if it misses."""
    enter, leave = -math.inf, math.inf
    for axis in range(3):
        start, speed = 0.0, 0.0
        for i in range(3):
            start += pose[i, axis] * (eye[i] - pose[i, 3])
            speed += pose[i, axis] * way[i]
        half = 0.5 * size[axis]
        if abs(speed) < 1e-12:
            if abs(start) > half:
                return math.inf, -math.inf
            continue
        a, b = (-half - start) / speed, (half - start) / speed
        enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
    return enter, leave


@njit(cache=True, nogil=True)
def _passes(states: Any, origin: Any, cell_m: float, eye: Any, way: Any, end: float) -> bool:
    """Whether eye + t · way meets no occupied voxel between its first one and t = `end`.

    The last voxel and a half count no more: what stands at a wall shares voxels with it.
    """
    voxel = np.empty(3, np.int64)
    step = np.empty(3, np.int64)
    until, across = np.empty(3), np.empty(3)
    length = math.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2])
    last = end - 1.5 * cell_m / max(length, 1e-12)
    for i in range(3):
        at = (eye[i] - origin[i]) / cell_m
        voxel[i] = math.floor(at)
        step[i] = 1 if way[i] > 0.0 else -1
        across[i] = cell_m / abs(way[i]) if way[i] != 0.0 else math.inf
        ahead = voxel[i] + 1 - at if way[i] > 0.0 else at - voxel[i]
        until[i] = ahead * across[i] if way[i] != 0.0 else math.inf
    while True:
        axis = 0
        if until[1] < until[axis]:
            axis = 1
        if until[2] < until[axis]:
            axis = 2
        if until[axis] >= last:
            return True
        voxel[axis] += step[axis]
        until[axis] += across[axis]
        for i in range(3):
            if not 0 <= voxel[i] < states.shape[2 - i]:
                return True
        if states[voxel[2], voxel[1], voxel[0]] == _OCCUPIED:
            return False
