"""Clearance: Euclidean distance from every floor cell to the nearest cell that is not free."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.navigation.boxes import rectangle_distance


def euclidean_clearance(free: NDArray[np.bool_], *, cell_m: float) -> NDArray[np.float32]:
    """Exact Euclidean distance transform of a grid.

    Args:
        free: True where a cell is free, bool [ny, nx].
        cell_m: Side of a cell in metres.

    Returns:
        Metres from each cell's centre to the centre of the nearest cell that is not free, 0 in
        such cells, infinite where every cell is free; float32 [ny, nx]. A wall may lie anywhere
        in its cell, so the true distance differs by up to half a cell.

    Source:
        Felzenszwalb & Huttenlocher, "Distance Transforms of Sampled Functions", 2012.
    """
    clearance: NDArray[np.float32] = _distance_transform(free, cell_m)
    return clearance


def refine_near_boxes(
    clearance: NDArray[np.float32],
    boxes: NDArray[np.float64],
    *,
    origin_xy: NDArray[np.float64],
    cell_m: float,
    reach_m: float,
) -> None:
    """Lower a clearance map in place to the exact distance to each floor rectangle within reach.

    The cells that a rectangle was stamped into miss its edge by up to half a cell. Near it the
    body's fit depends on exactly that, and moving bodies test the rectangle itself.
    """
    _refine(clearance, boxes, origin_xy, cell_m, reach_m)


def stamp_boxes(
    shape: tuple[int, int],
    boxes: NDArray[np.float64],
    *,
    origin_xy: NDArray[np.float64],
    cell_m: float,
) -> NDArray[np.bool_]:
    """Cells whose centre lies on the floor rectangle of a packed box [K, 21], bool [ny, nx].

    A rectangle thinner than a cell counts as one cell wide, so that none falls between centres.
    """
    stamped = np.zeros(shape, np.bool_)
    _stamp(stamped, boxes, origin_xy, cell_m)
    return stamped


@njit(cache=True, nogil=True)
def _distance_transform(free: Any, cell_m: float) -> Any:
    """Columns by two sweeps, then rows by the lower envelope of parabolas."""
    ny, nx = free.shape
    far = np.int64(1) << 20
    steps = np.empty((ny, nx), np.int64)  # cells to the nearest solid in the same column
    for x in range(nx):
        steps[0, x] = far if free[0, x] else 0
    for y in range(1, ny):
        for x in range(nx):
            steps[y, x] = steps[y - 1, x] + 1 if free[y, x] else 0
    for y in range(ny - 2, -1, -1):
        for x in range(nx):
            steps[y, x] = min(steps[y, x], steps[y + 1, x] + 1)
    out = np.empty((ny, nx), np.float32)
    apex = np.empty(nx, np.int64)
    start = np.empty(nx + 1, np.float64)
    for y in range(ny):
        count = 0
        for x in range(nx):
            if steps[y, x] >= far:
                continue
            height = steps[y, x] * steps[y, x] + x * x
            begin = -math.inf
            while count > 0:
                other = apex[count - 1]
                begin = (height - steps[y, other] * steps[y, other] - other * other) / (
                    2.0 * (x - other)
                )
                if begin > start[count - 1]:
                    break
                count -= 1
                begin = -math.inf
            apex[count] = x
            start[count] = begin
            count += 1
        start[count] = math.inf
        k = 0
        for x in range(nx):
            if count == 0:
                out[y, x] = np.inf
                continue
            while start[k + 1] < x:
                k += 1
            dx, dy = x - apex[k], steps[y, apex[k]]
            out[y, x] = cell_m * math.sqrt(float(dx * dx + dy * dy))
    return out


@njit(cache=True, nogil=True)
def cell_window(box: Any, margin: float, origin_xy: Any, cell_m: float, shape: Any) -> Any:
    """Range of cells (x0, x1, y0, y1), ends excluded, around a floor rectangle plus a margin."""
    reach_x = abs(box[15]) * box[17] + abs(box[16]) * box[18] + margin
    reach_y = abs(box[16]) * box[17] + abs(box[15]) * box[18] + margin
    x0 = max(math.floor((box[0] - reach_x - origin_xy[0]) / cell_m), 0)
    x1 = min(math.floor((box[0] + reach_x - origin_xy[0]) / cell_m) + 1, shape[1])
    y0 = max(math.floor((box[1] - reach_y - origin_xy[1]) / cell_m), 0)
    y1 = min(math.floor((box[1] + reach_y - origin_xy[1]) / cell_m) + 1, shape[0])
    return x0, x1, y0, y1


@njit(cache=True, nogil=True)
def _stamp(stamped: Any, boxes: Any, origin_xy: Any, cell_m: float) -> None:
    """Mark the cells whose centres lie on rectangles."""
    for k in range(len(boxes)):
        box = boxes[k]
        along, across = max(box[17], 0.5 * cell_m), max(box[18], 0.5 * cell_m)
        x0, x1, y0, y1 = cell_window(box, cell_m, origin_xy, cell_m, stamped.shape)
        for iy in range(y0, y1):
            for ix in range(x0, x1):
                dx = origin_xy[0] + (ix + 0.5) * cell_m - box[0]
                dy = origin_xy[1] + (iy + 0.5) * cell_m - box[1]
                if (
                    abs(box[15] * dx + box[16] * dy) <= along
                    and abs(box[15] * dy - box[16] * dx) <= across
                ):
                    stamped[iy, ix] = True


@njit(cache=True, nogil=True)
def _refine(clearance: Any, boxes: Any, origin_xy: Any, cell_m: float, reach_m: float) -> None:
    """Replace the stamped distance by the exact one wherever a rectangle is the nearest thing."""
    for k in range(len(boxes)):
        x0, x1, y0, y1 = cell_window(boxes[k], reach_m, origin_xy, cell_m, clearance.shape)
        for iy in range(y0, y1):
            y = origin_xy[1] + (iy + 0.5) * cell_m
            for ix in range(x0, x1):
                x = origin_xy[0] + (ix + 0.5) * cell_m
                distance = max(rectangle_distance(boxes, k, x, y), 0.0)
                if distance < clearance[iy, ix]:
                    clearance[iy, ix] = distance
