"""Floor map: which floor cells the background leaves known and free."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.navigation.body import AgentBody
from worldfm_gym.navigation.clearance import cell_window
from worldfm_gym.navigation.occupancy import tangents

FLOOR_TOLERANCE_M = 0.06
_RING_CELLS = 3


class FloorMap(NamedTuple):
    """Per floor cell, what background points say.

    Attributes:
        seen: Floor was seen, small gaps closed, bool [ny, nx].
        blocked: A background point lies between step height and body height, bool [ny, nx].
        headroom: Lowest background point above step height, metres, float32 [ny, nx]; infinite
            where there is none.
    """

    seen: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    headroom: NDArray[np.float32]


def map_floor(
    anchor: Anchor,
    *,
    shape: tuple[int, int],
    origin_xy: NDArray[np.float64],
    cell_m: float,
    body: AgentBody,
    resting_boxes: NDArray[np.float64],
) -> FloorMap:
    """Read the floor off the background points of an anchor (instance 0).

    Args:
        anchor: The point cloud.
        shape: (ny, nx) of the map.
        origin_xy: World xy of the corner of cell [0, 0].
        cell_m: Side of a cell, metres.
        body: The agent that walks.
        resting_boxes: Packed boxes [K, 21] of movable objects where the points were taken: the
            floor that they hide counts as seen if most of what surrounds it is.
    """
    seen = np.zeros(shape, np.bool_)
    blocked = np.zeros(shape, np.bool_)
    headroom = np.full(shape, np.inf, np.float32)
    _scatter(
        anchor.points,
        anchor.normals,
        anchor.radius,
        anchor.instance,
        origin_xy,
        cell_m,
        body.step_height_m,
        body.height_m,
        seen,
        blocked,
        headroom,
    )
    seen = _closed(seen)
    _fill_hidden(seen, blocked, resting_boxes, origin_xy, cell_m)
    return FloorMap(seen, blocked, headroom)


def _closed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Morphological closing with a 3×3 square: fills gaps up to two cells wide."""
    grown = mask.copy()
    for axis in (0, 1):
        middle = grown.copy()
        low, high = np.moveaxis(grown, axis, 0), np.moveaxis(middle, axis, 0)
        low[1:] |= high[:-1]
        low[:-1] |= high[1:]
    for axis in (0, 1):
        middle = grown.copy()
        low, high = np.moveaxis(grown, axis, 0), np.moveaxis(middle, axis, 0)
        low[1:] &= high[:-1]
        low[:-1] &= high[1:]
        low[0] = low[-1] = False
    return grown


@njit(cache=True, nogil=True)
def _scatter(
    points: Any,
    normals: Any,
    radius: Any,
    instance: Any,
    origin_xy: Any,
    cell_m: float,
    step_height: float,
    height: float,
    seen: Any,
    blocked: Any,
    headroom: Any,
) -> None:
    """Drop points into floor cells; a point wider than a cell marks its whole square of surface."""
    ny, nx = seen.shape
    for n in range(len(points)):
        if instance[n] != 0:
            continue
        copies = min(int(radius[n] / cell_m + 0.4), 5)
        a, b = tangents(normals[n]) if copies > 0 else ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        spacing = radius[n] / max(copies, 1)
        for i in range(-copies, copies + 1):
            for j in range(-copies, copies + 1):
                p, q = i * spacing, j * spacing
                x = math.floor((points[n, 0] + p * a[0] + q * b[0] - origin_xy[0]) / cell_m)
                y = math.floor((points[n, 1] + p * a[1] + q * b[1] - origin_xy[1]) / cell_m)
                z = points[n, 2] + p * a[2] + q * b[2]
                if not (0 <= x < nx and 0 <= y < ny):
                    continue
                if abs(z) <= FLOOR_TOLERANCE_M:
                    seen[y, x] = True
                elif z > step_height:
                    headroom[y, x] = min(headroom[y, x], z)
                    if z < height:
                        blocked[y, x] = True


@njit(cache=True, nogil=True)
def _fill_hidden(seen: Any, blocked: Any, boxes: Any, origin_xy: Any, cell_m: float) -> None:
    """Mark floor under rectangles as seen where most of the ring around them is known."""
    margin = _RING_CELLS * cell_m
    for k in range(len(boxes)):
        box = boxes[k]
        x0, x1, y0, y1 = cell_window(box, margin, origin_xy, cell_m, seen.shape)
        ring, floor, known = 0, 0, 0
        for fill in (False, True):
            if fill and (floor == 0 or 2 * known < ring):
                break
            for iy in range(y0, y1):
                for ix in range(x0, x1):
                    dx = origin_xy[0] + (ix + 0.5) * cell_m - box[0]
                    dy = origin_xy[1] + (iy + 0.5) * cell_m - box[1]
                    out = max(
                        abs(box[15] * dx + box[16] * dy) - box[17],
                        abs(box[15] * dy - box[16] * dx) - box[18],
                    )
                    if fill:
                        seen[iy, ix] = seen[iy, ix] or out <= 0.5 * cell_m
                    elif 0.0 < out <= margin:
                        ring += 1
                        floor += seen[iy, ix]
                        known += seen[iy, ix] or blocked[iy, ix]
