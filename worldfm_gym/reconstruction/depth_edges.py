"""Depth edges: estimators blur them into ramps; a ramp in the air becomes a step again."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_REACH = 0.01  # of the longer side: half the width of a ramp
_STEEP = 8.0  # tangent of the angle to the line of sight, 83°, of what is no surface
_EDGE = 0.12  # relative step of 1/z across the window, beyond which it may be an edge
_STEEPER = 2.0  # how much steeper than its surroundings a ramp is
_SIDE = 0.2  # share of the step within which a pixel is on one side already
_COLOR_WEIGHT = 0.7


def sharpened(depth_z: NDArray[np.float32], rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Depth with ramps at depth edges turned into steps.

    A ramp is steeper in 1/z than the surfaces on either side of it, which a slanted plane is not.
    Each of its pixels goes to the side that it is nearer to in depth and in color.

    Args:
        depth_z: z-depth, float32 [H, W]; 0 where unknown.
        rgb: The image that it belongs to, uint8 [H, W, 3].
    """
    inverse = np.zeros(depth_z.shape, np.float32)
    np.divide(1.0, depth_z, out=inverse, where=depth_z > 0)
    inverse = _stepped(
        inverse, np.ascontiguousarray(rgb), max(2, round(_REACH * max(depth_z.shape)))
    )
    out = np.zeros(depth_z.shape, np.float32)
    np.divide(1.0, inverse, out=out, where=inverse > 0)
    return out


def steep_pixels(depth_z: NDArray[np.float32], focal_px: float) -> NDArray[np.bool_]:
    """Pixels whose surface lies nearly along the line of sight: what is left of ramps, [H, W].

    Floors far away do, too: the caller knows them.

    Args:
        depth_z: z-depth, float32 [H, W]; 0 where unknown.
        focal_px: Focal length in pixels.
    """
    log = np.log(np.where(depth_z > 0, depth_z, np.float32(1.0)))
    square = np.zeros(depth_z.shape, np.float32)
    for axis in (0, 1):
        along, known = np.moveaxis(log, axis, 0), np.moveaxis(depth_z > 0, axis, 0)
        slope = np.zeros_like(along)
        slope[1:-1] = np.where(known[2:] & known[:-2], (along[2:] - along[:-2]) / 2, 0)
        square += np.moveaxis(slope * np.float32(focal_px), 0, axis) ** 2
    return np.asarray(square > _STEEP**2)


@numba.njit(cache=True, nogil=True)
def _stepped(inverse: Any, rgb: Any, reach: int) -> Any:
    """1/z [H, W] with the pixels of ramps moved to one of their sides."""
    height, width = inverse.shape
    out = inverse.copy()
    for v in range(height):
        for u in range(width):
            if inverse[v, u] > 0 and _on_ramp(inverse, v, u, reach):
                out[v, u] = _side(inverse, rgb, v, u, reach)
    return out


@numba.njit(cache=True, nogil=True)
def _on_ramp(inverse: Any, v: int, u: int, reach: int) -> bool:
    """Whether 1/z changes much across a pixel, and much faster than beyond."""
    height, width = inverse.shape
    for way in range(4):
        dv, du = ((0, 1), (1, 0), (1, 1), (1, -1))[way]
        values = np.empty(4, np.float32)
        for k in range(4):
            far = (-2, -1, 1, 2)[k] * reach
            row = min(max(v + far * dv, 0), height - 1)
            column = min(max(u + far * du, 0), width - 1)
            values[k] = inverse[row, column]
        if values.min() <= 0:
            continue
        inside = abs(values[2] - values[1])
        if inside <= _EDGE * max(values[1], values[2]):
            continue
        outside = max(abs(values[1] - values[0]), abs(values[3] - values[2]))
        if inside > 2 * _STEEPER * outside:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _side(inverse: Any, rgb: Any, v: int, u: int, reach: int) -> float:
    """1/z of the side that a pixel of a ramp belongs to; its own if it is there already."""
    height, width = inverse.shape
    stride = max(1, reach // 3)
    low, high = inverse[v, u], inverse[v, u]
    for row in range(max(v - reach, 0), min(v + reach + 1, height), stride):
        for column in range(max(u - reach, 0), min(u + reach + 1, width), stride):
            value = inverse[row, column]
            if value > 0:
                low, high = min(low, value), max(high, value)
    place = (inverse[v, u] - low) / max(high - low, 1e-12)
    if place < _SIDE or place > 1 - _SIDE:
        return float(inverse[v, u])
    count = np.zeros(2)
    total = np.zeros(2)
    color = np.zeros((2, 3))
    for row in range(max(v - reach, 0), min(v + reach + 1, height), stride):
        for column in range(max(u - reach, 0), min(u + reach + 1, width), stride):
            value = inverse[row, column]
            where = (value - low) / max(high - low, 1e-12)
            if value <= 0 or _SIDE <= where <= 1 - _SIDE:
                continue
            side = 1 if where > 0.5 else 0
            count[side] += 1
            total[side] += value
            for c in range(3):
                color[side, c] += rgb[row, column, c]
    if count.min() == 0:
        return float(inverse[v, u])
    off = np.zeros(2)
    for side in range(2):
        for c in range(3):
            off[side] += (color[side, c] / count[side] - rgb[v, u, c]) ** 2
        off[side] = math.sqrt(off[side])
    like_near = (off[0] + 1.0) / (off[0] + off[1] + 2.0)
    near = place - 0.5 + _COLOR_WEIGHT * (like_near - 0.5) > 0
    side = 1 if near else 0
    return float(total[side] / count[side])
