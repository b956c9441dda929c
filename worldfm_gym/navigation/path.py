"""Shortest paths: a walk down a distance field, pulled tight between corners."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.navigation.sweep import bounding_balls, free_margin, select_near

_CUT_PASSES = 4


@njit(cache=True, nogil=True)
def walk_is_straight(
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
    a: Any,
    b: Any,
) -> bool:
    """Whether a disc gets from a to b on a straight line; one in contact at a may leave it.

    A leaner walk than `move_body`, which every planning kernel would compile anew.
    """
    field = clearance.reshape((1, clearance.shape[0], clearance.shape[1]))
    balls = bounding_balls(boxes, True, contact, z_low, z_high)
    near = np.empty(len(boxes) + 1, np.int64)
    length = math.hypot(b[0] - a[0], b[1] - a[1])
    count = select_near(balls, near, (a[0], a[1], 0.0), length)
    travelled, margin = 0.0, 0.0
    while True:
        t = travelled / max(length, 1e-12)
        p = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), 0.0)
        before = margin
        margin = free_margin(field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, p)
        if margin < min(before, 0.0) - 1e-9 and travelled > 0.0:
            return False
        if margin >= length - travelled or travelled >= length:
            return True
        travelled = min(travelled + max(margin, 0.5 * cell_m), length)


@njit(cache=True, nogil=True)
def cells_in_sight(
    navigable: Any,
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
    goal: Any,
    reach_cells: int,
) -> Any:
    """Navigable cells within reach of a point that a disc reaches on a straight line."""
    ny, nx = navigable.shape
    direct = np.zeros((ny, nx), np.bool_)
    u, v = (goal[0] - origin_xy[0]) / cell_m - 0.5, (goal[1] - origin_xy[1]) / cell_m - 0.5
    for y in range(max(int(v) - reach_cells, 0), min(int(v) + reach_cells + 2, ny)):
        for x in range(max(int(u) - reach_cells, 0), min(int(u) + reach_cells + 2, nx)):
            if navigable[y, x] and math.hypot(x - u, y - v) <= reach_cells:
                center = (origin_xy[0] + (x + 0.5) * cell_m, origin_xy[1] + (y + 0.5) * cell_m)
                direct[y, x] = walk_is_straight(
                    clearance, origin_xy, cell_m, boxes, contact, z_low, z_high, goal, center
                )
    return direct


@njit(cache=True, nogil=True)
def trace_path(
    values: Any,
    direct: Any,
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
    start: Any,
    goal: Any,
) -> Any:
    """Cell centres from start down to the goal, float64 [P, 2]; empty if there is no way."""
    ny, nx = values.shape
    points = np.empty((ny * nx + 2, 2))
    points[0] = start
    u, v = (start[0] - origin_xy[0]) / cell_m - 0.5, (start[1] - origin_xy[1]) / cell_m - 0.5
    x, y, best = -1, -1, np.inf
    for j in range(max(int(v) - 1, 0), min(int(v) + 3, ny)):
        for i in range(max(int(u) - 1, 0), min(int(u) + 3, nx)):
            total = values[j, i] + cell_m * math.hypot(i - u, j - v)
            center = (origin_xy[0] + (i + 0.5) * cell_m, origin_xy[1] + (j + 0.5) * cell_m)
            if total < best and walk_is_straight(
                clearance, origin_xy, cell_m, boxes, contact, z_low, z_high, start, center
            ):
                x, y, best = i, j, total
    count = 1
    while x >= 0:
        points[count, 0] = origin_xy[0] + (x + 0.5) * cell_m
        points[count, 1] = origin_xy[1] + (y + 0.5) * cell_m
        count += 1
        if direct[y, x]:
            points[count] = goal
            return points[: count + 1].copy()
        here = points[count - 1]
        best, next_x, next_y = np.inf, -1, -1
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                total = values[j, i] + cell_m * math.hypot(i - x, j - y)
                if not (values[j, i] < values[y, x] and total < best):
                    continue
                center = (origin_xy[0] + (i + 0.5) * cell_m, origin_xy[1] + (j + 0.5) * cell_m)
                if (i != x and j != y) and not walk_is_straight(
                    clearance, origin_xy, cell_m, boxes, contact, z_low, z_high, here, center
                ):
                    continue
                best, next_x, next_y = total, i, j
        x, y = next_x, next_y
    return points[:0].copy()


def pull_tight(path: NDArray[np.float64], *floor: Any) -> NDArray[np.float64]:
    """The path [P, 2] without the bends that nothing forces.

    Args:
        path: Collision-free polyline in world metres.
        floor: What `walk_is_straight` needs before the two ends.
    """
    tight: NDArray[np.float64] = _skip_visible(path, *floor)
    for _ in range(_CUT_PASSES):
        tight = _skip_visible(_cut_corners(tight, *floor), *floor)
    return tight


@njit(cache=True, nogil=True)
def _skip_visible(
    path: Any,
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
) -> Any:
    """From each kept vertex go on to the last vertex in straight reach."""
    kept = np.empty_like(path)
    kept[0] = path[0]
    count, i = 1, 0
    while i < len(path) - 1:
        j = len(path) - 1
        while j > i + 1 and not walk_is_straight(
            clearance, origin_xy, cell_m, boxes, contact, z_low, z_high, path[i], path[j]
        ):
            j -= 1
        kept[count] = path[j]
        count, i = count + 1, j
    return kept[:count].copy()


@njit(cache=True, nogil=True)
def _cut_corners(
    path: Any,
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
) -> Any:
    """Replace each bend by the widest chord across it that stays clear."""
    out = np.empty((2 * len(path), 2))
    out[0] = path[0]
    count = 1
    for i in range(1, len(path) - 1):
        fraction = 0.5
        while fraction > 0.02:
            a = path[i] + fraction * (out[count - 1] - path[i])
            b = path[i] + fraction * (path[i + 1] - path[i])
            if walk_is_straight(clearance, origin_xy, cell_m, boxes, contact, z_low, z_high, a, b):
                break
            fraction *= 0.5
        if fraction > 0.02:
            out[count], out[count + 1] = a, b
            count += 2
        else:
            out[count] = path[i]
            count += 1
    out[count] = path[-1]
    return out[: count + 1].copy()
