"""Floor view: kernels that tell which cells of a floor cameras see; see `worldfm_envs.coverage`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from worldfm_gym.navigation.boxes import rectangle_distance

MERGED_CELLS = 2
"""Cells of the navigation map per coverage cell, along each axis."""


@njit(cache=True, nogil=True)
def raise_tops(
    groups: Any,
    scene: Any,
    boxes: Any,
    carried: Any,
    stamped: Any,
    step_m: Any,
    high_m: float,
    shape: Any,
    origin_xy: Any,
    cell_m: Any,
    background_m: Any,
    top_m: Any,
) -> None:
    """Let objects [S, K] hide floor where they are now, in groups where one has moved.

    `stamped` [G, K, 21] are the boxes that `top_m` was made with. Bodies of agents hide nothing.
    """
    for g in groups:
        s, moved = scene[g], False
        for k in range(boxes.shape[1]):
            for column in range(boxes.shape[2]):
                moved = moved or stamped[g, k, column] != boxes[s, k, column]
        if not moved:
            continue
        stamped[g] = boxes[s]
        top_m[g] = background_m[g]
        for k in range(boxes.shape[1]):
            above_step, below_eye = boxes[s, k, 20] > step_m[g], boxes[s, k, 19] < high_m
            if above_step and below_eye and not carried[s, k]:
                _raise_top(boxes[s], k, shape[g, 0], shape[g, 1], origin_xy[g], cell_m[g], top_m[g])


@njit(cache=True, nogil=True)
def _raise_top(
    boxes: Any, k: int, ny: int, nx: int, origin_xy: Any, cell_m: float, top_m: Any
) -> None:
    """Raise the cells under a box to its top."""
    reach = math.hypot(boxes[k, 17], boxes[k, 18]) + cell_m
    x0 = max(int((boxes[k, 0] - reach - origin_xy[0]) / cell_m), 0)
    y0 = max(int((boxes[k, 1] - reach - origin_xy[1]) / cell_m), 0)
    x1 = min(int((boxes[k, 0] + reach - origin_xy[0]) / cell_m) + 1, nx)
    y1 = min(int((boxes[k, 1] + reach - origin_xy[1]) / cell_m) + 1, ny)
    for y in range(y0, y1):
        for x in range(x0, x1):
            wx, wy = origin_xy[0] + (x + 0.5) * cell_m, origin_xy[1] + (y + 0.5) * cell_m
            if rectangle_distance(boxes, k, wx, wy) <= 0.0:
                top_m[y * nx + x] = max(top_m[y * nx + x], boxes[k, 20])


@njit(cache=True, nogil=True)
def look(
    first: int,
    step: int,
    agents: Any,
    c2w: Any,
    group: Any,
    half_x: float,
    half_y: float,
    range_m: float,
    shape: Any,
    origin_xy: Any,
    cell_m: Any,
    top_m: Any,
    floor: Any,
    seen: Any,
    new_m2: Any,
) -> None:
    """Mark cells that agents see and add up their areas [N]; `half_*` are tangents of half fovs.

    Does the groups first, first + step, … only, for `worldfm_gym.threads.run_striped`.
    """
    for i in agents:
        if group[i] % step != first:
            continue
        g, pose, side = group[i], c2w[i], cell_m[group[i]]
        ny, nx = shape[g, 0], shape[g, 1]
        px, py, pz = pose[0, 3], pose[1, 3], pose[2, 3]
        u, v = (px - origin_xy[g, 0]) / side, (py - origin_xy[g, 1]) / side
        if not (0.0 <= u < nx and 0.0 <= v < ny):
            continue
        cell_m2 = (side / MERGED_CELLS) ** 2
        west, east, south, north = footprint(pose, half_x, half_y)
        reach = range_m / side
        for y in range(max(int(v - south * reach), 0), min(int(v + north * reach) + 2, ny)):
            for x in range(max(int(u - west * reach), 0), min(int(u + east * reach) + 2, nx)):
                k = y * nx + x
                if seen[g, k] or floor[g, k] == 0:
                    continue
                dx, dy = (x + 0.5 - u) * side, (y + 0.5 - v) * side
                if dx * dx + dy * dy > range_m * range_m:
                    continue
                right = pose[0, 0] * dx + pose[1, 0] * dy - pose[2, 0] * pz
                down = pose[0, 1] * dx + pose[1, 1] * dy - pose[2, 1] * pz
                ahead = pose[0, 2] * dx + pose[1, 2] * dy - pose[2, 2] * pz
                if not (
                    ahead > 0.0 and abs(right) <= half_x * ahead and abs(down) <= half_y * ahead
                ):
                    continue
                if _passes_over(top_m[g], nx, u, v, pz, x, y):
                    seen[g, k] = True
                    new_m2[i] += floor[g, k] * cell_m2


@njit(cache=True, nogil=True)
def footprint(pose: Any, half_x: float, half_y: float) -> Any:
    """How far a camera's view of a floor disc of radius 1 reaches to −x, +x, −y and +y, 0…1."""
    heading = math.atan2(pose[1, 2], pose[0, 2])
    widest = 0.0
    for sx in (-half_x, half_x):
        for sy in (-half_y, half_y):
            dx = pose[0, 2] + sx * pose[0, 0] + sy * pose[0, 1]
            dy = pose[1, 2] + sx * pose[1, 0] + sy * pose[1, 1]
            turn = math.atan2(dy, dx) - heading
            turn = abs(math.atan2(math.sin(turn), math.cos(turn)))
            widest = max(widest, turn)
    if widest > 0.5 * math.pi:  # it may look straight down or up
        return 1.0, 1.0, 1.0, 1.0
    reach = np.zeros(4)
    for k in range(4):  # an arc reaches farthest at its ends, unless the axis is in it
        axis = (math.pi, 0.0, -0.5 * math.pi, 0.5 * math.pi)[k]
        off = abs(math.atan2(math.sin(axis - heading), math.cos(axis - heading)))
        reach[k] = max(math.cos(max(off - widest, 0.0)), 0.0)
    return reach[0], reach[1], reach[2], reach[3]


@njit(cache=True, nogil=True)
def _passes_over(top_m: Any, nx: int, u: float, v: float, pz: float, x1: int, y1: int) -> bool:
    """Whether the line from (u, v) at height pz down to a cell's center clears what is between.

    The cell that the camera is in and the cell that it looks at hide nothing.
    """
    x, y = int(u), int(v)
    du, dv = x1 + 0.5 - u, y1 + 0.5 - v
    step_x, step_y = (1 if du > 0.0 else -1), (1 if dv > 0.0 else -1)
    across_x = abs(1.0 / du) if du != 0.0 else math.inf
    across_y = abs(1.0 / dv) if dv != 0.0 else math.inf
    until_x = ((x + 1 - u) if du > 0.0 else (u - x)) * across_x if du != 0.0 else math.inf
    until_y = ((y + 1 - v) if dv > 0.0 else (v - y)) * across_y if dv != 0.0 else math.inf
    first = True
    for _ in range(abs(x1 - x) + abs(y1 - y)):
        leaves = min(until_x, until_y)
        if not first and top_m[y * nx + x] > pz * (1.0 - leaves):
            return False
        first = False
        if until_x <= until_y:
            x, until_x = x + step_x, until_x + across_x
        else:
            y, until_y = y + step_y, until_y + across_y
    return True
