"""Swept motion of discs and spheres among a distance field and oriented boxes (kernels).

One kernel serves both: a disc on the floor is the planar case, with a distance field one layer
high and boxes reduced to their floor rectangles. A body advances by the free distance around it,
at least by a quarter of a cell, so nothing can be jumped over. Every obstacle is judged by
itself: a body that overlaps one may move wherever that overlap does not deepen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from worldfm_gym.navigation.boxes import (
    box_distance,
    box_gradient,
    rectangle_distance,
    rectangle_gradient,
)

CONTACT_SKIN_CELLS = 0.1  # a body stops where it is this much smaller than its radius
_STATIC = -1  # obstacle ids; boxes count from 0
_NOTHING = -2
_SLACK_M = 1e-9
_PUSH_SLACK_M = 1e-7
_STATIC_SAFETY = 0.95  # interpolation bends the distance to a nearby point a little
_BISECTIONS = 12
_PUSHES = 4


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _cell(coordinate: float, count: int) -> Any:
    """Cell and fraction to interpolate at, clamped; unsigned, so that indexing never wraps."""
    if not coordinate > 0.0:
        coordinate = 0.0
    if coordinate > count - 1.0 - 1e-9:
        coordinate = count - 1.0 - 1e-9
    cell = np.uint64(coordinate)
    return cell, coordinate - cell


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _layer_value(field: Any, k: Any, j: Any, i: Any, b: float, a: float) -> Any:
    """Bilinear value in layer k."""
    one = np.uint64(1)
    low = field[k, j, i] + a * (np.float64(field[k, j, i + one]) - field[k, j, i])
    high = field[k, j + one, i] + a * (
        np.float64(field[k, j + one, i + one]) - field[k, j + one, i]
    )
    return low + b * (high - low)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def sample_field(field: Any, origin: Any, per_metre: float, p: Any) -> Any:
    """Interpolated value of a field [nz, ny, nx] at p, clamped at the border; one layer: any z."""
    i, a = _cell((p[0] - origin[0]) * per_metre - 0.5, field.shape[2])
    j, b = _cell((p[1] - origin[1]) * per_metre - 0.5, field.shape[1])
    if field.shape[0] == 1:
        return _layer_value(field, np.uint64(0), j, i, b, a)
    k, c = _cell((p[2] - origin[2]) * per_metre - 0.5, field.shape[0])
    low = _layer_value(field, k, j, i, b, a)
    return low + c * (_layer_value(field, k + np.uint64(1), j, i, b, a) - low)


@njit(cache=True, nogil=True, error_model="numpy")
def _field_gradient(field: Any, origin: Any, per_metre: float, p: Any) -> Any:
    """Gradient (x, y, z) at p by central differences over half a cell, which smooths its steps."""
    h = 0.25 / per_metre
    scale = 2.0 * per_metre
    gx = sample_field(field, origin, per_metre, (p[0] + h, p[1], p[2]))
    gx -= sample_field(field, origin, per_metre, (p[0] - h, p[1], p[2]))
    gy = sample_field(field, origin, per_metre, (p[0], p[1] + h, p[2]))
    gy -= sample_field(field, origin, per_metre, (p[0], p[1] - h, p[2]))
    gz = 0.0
    if field.shape[0] > 1:
        gz = sample_field(field, origin, per_metre, (p[0], p[1], p[2] + h))
        gz -= sample_field(field, origin, per_metre, (p[0], p[1], p[2] - h))
    return scale * gx, scale * gy, scale * gz


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def box_value(boxes: Any, k: int, planar: bool, p: Any) -> Any:
    """Signed distance of p to one box, or to its floor rectangle."""
    if planar:
        return rectangle_distance(boxes, k, p[0], p[1])
    return box_distance(boxes, k, p[0], p[1], p[2])


@njit(cache=True, nogil=True, error_model="numpy")
def box_slope(boxes: Any, k: int, planar: bool, p: Any) -> Any:
    """Gradient (x, y, z) of `box_value`."""
    if planar:
        return rectangle_gradient(boxes, k, p[0], p[1])
    return box_gradient(boxes, k, p[0], p[1], p[2])


@njit(cache=True, nogil=True, error_model="numpy")
def write_balls(
    boxes: Any, planar: bool, contact: float, z_low: float, z_high: float, balls: Any
) -> None:
    """Columns (x, y, z, radius) of balls that hold a body's centre wherever it touches a box.

    Planar balls have no z; boxes outside the z range get a radius that nothing can reach.
    """
    for k in range(len(boxes)):
        balls[0, k], balls[1, k], balls[2, k] = boxes[k, 0], boxes[k, 1], boxes[k, 2]
        if planar:
            balls[2, k] = 0.0
            balls[3, k] = contact + math.hypot(boxes[k, 17], boxes[k, 18])
            if boxes[k, 19] >= z_high or boxes[k, 20] <= z_low:
                balls[3, k] = -np.inf
        else:
            diagonal_sq = boxes[k, 3] ** 2 + boxes[k, 4] ** 2 + boxes[k, 5] ** 2
            balls[3, k] = contact + math.sqrt(diagonal_sq)


@njit(cache=True, nogil=True, error_model="numpy")
def bounding_balls(boxes: Any, planar: bool, contact: float, z_low: float, z_high: float) -> Any:
    """The balls of `write_balls`, in an array of their own, float64 [4, K]."""
    balls = np.empty((4, len(boxes)))
    write_balls(boxes, planar, contact, z_low, z_high, balls)
    return balls


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _in_reach(balls: Any, k: int, x: float, y: float, z: float, reach: float) -> Any:
    """Whether p comes within a ball when it moves by `reach`."""
    dx, dy, dz = x - balls[0, k], y - balls[1, k], z - balls[2, k]
    limit = reach + balls[3, k]
    return (limit > 0.0) & (dx * dx + dy * dy + dz * dz < limit * limit)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def select_near(balls: Any, near: Any, p: Any, reach: float) -> Any:
    """Write to `near` the boxes that a body may touch within `reach` of p; how many."""
    x, y, z = p
    any_near = 0
    for k in range(balls.shape[1]):  # counting alone compiles to vector code
        any_near += _in_reach(balls, k, x, y, z, reach)
    count = 0
    if any_near:
        for k in range(balls.shape[1]):
            if _in_reach(balls, k, x, y, z, reach):
                near[count] = k
                count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def free_margin(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    near: Any,
    near_count: int,
    planar: bool,
    contact: float,
    p: Any,
) -> Any:
    """Metres that a body may move from p in any direction without touching anything."""
    margin = _STATIC_SAFETY * (sample_field(field, origin, per_metre, p) - contact)
    for n in range(near_count):
        margin = min(margin, box_value(boxes, near[n], planar, p) - contact)
    return margin


@njit(cache=True, nogil=True, error_model="numpy")
def _worst_overlap(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    near: Any,
    near_count: int,
    planar: bool,
    contact: float,
    p: Any,
    q: Any,
) -> Any:
    """The obstacle that moving from p to q overlaps most, beyond the overlap at p: (id, metres)."""
    worst, depth = _NOTHING, _SLACK_M
    value = sample_field(field, origin, per_metre, q)
    if value < contact:
        before = sample_field(field, origin, per_metre, p)
        if min(contact, before) - value > depth:
            worst, depth = _STATIC, min(contact, before) - value
    for n in range(near_count):
        value = box_value(boxes, near[n], planar, q)
        if value < contact:
            before = box_value(boxes, near[n], planar, p)
            if min(contact, before) - value > depth:
                worst, depth = near[n], min(contact, before) - value
    return worst, depth


@njit(cache=True, nogil=True, error_model="numpy")
def _slide_step(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    near: Any,
    near_count: int,
    planar: bool,
    contact: float,
    p: Any,
    direction: Any,
    step: float,
) -> Any:
    """Take a short step and push it out of what it enters: (moved, x, y, z)."""
    x, y, z = p[0] + step * direction[0], p[1] + step * direction[1], p[2] + step * direction[2]
    clear = True
    for _ in range(_PUSHES):
        obstacle, depth = _worst_overlap(
            field, origin, per_metre, boxes, near, near_count, planar, contact, p, (x, y, z)
        )
        clear = obstacle == _NOTHING
        if clear:
            break
        if obstacle == _STATIC:
            gx, gy, gz = _field_gradient(field, origin, per_metre, (x, y, z))
        else:
            gx, gy, gz = box_slope(boxes, obstacle, planar, (x, y, z))
        slope_sq = gx * gx + gy * gy + gz * gz
        if slope_sq < 1e-6:
            break
        push = (depth + _PUSH_SLACK_M) / slope_sq
        x, y, z = x + push * gx, y + push * gy, z + push * gz
    dx, dy, dz = x - p[0], y - p[1], z - p[2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    if length > step:  # sliding must not be faster than walking
        clear = False
        x, y, z = p[0] + dx * step / length, p[1] + dy * step / length, p[2] + dz * step / length
    progress = dx * direction[0] + dy * direction[1] + dz * direction[2]
    if progress < 1e-6 * step:
        return False, p[0], p[1], p[2]
    if not clear:
        obstacle = _worst_overlap(
            field, origin, per_metre, boxes, near, near_count, planar, contact, p, (x, y, z)
        )[0]
        clear = obstacle == _NOTHING
    return clear, x, y, z


@njit(cache=True, nogil=True, error_model="numpy")
def move_body(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    near: Any,
    near_count: int,
    planar: bool,
    contact: float,
    slide: bool,
    start: Any,
    delta: Any,
) -> Any:
    """Sweep one body from `start` by `delta`: (x, y, z, altered)."""
    length = math.sqrt(delta[0] * delta[0] + delta[1] * delta[1] + delta[2] * delta[2])
    end = (start[0] + delta[0], start[1] + delta[1], start[2] + delta[2])
    if length == 0.0:
        return start[0], start[1], start[2], False
    direction = (delta[0] / length, delta[1] / length, delta[2] / length)
    # Whoever starts inside the map meets its border first, so longer motion changes nothing.
    across = (field.shape[0] + field.shape[1] + field.shape[2]) / per_metre
    length = min(length, 2.0 * across)
    least = 0.5 / per_metre
    p = (start[0], start[1], start[2])
    travelled = 0.0
    altered = False
    while travelled < length:
        remaining = length - travelled
        margin = free_margin(field, origin, per_metre, boxes, near, near_count, planar, contact, p)
        if margin >= remaining:
            if not altered:
                return end[0], end[1], end[2], False
            return (
                p[0] + remaining * direction[0],
                p[1] + remaining * direction[1],
                p[2] + remaining * direction[2],
                True,
            )
        step = min(remaining, max(margin, least))
        if altered and margin < least:
            moved, x, y, z = _slide_step(
                field,
                origin,
                per_metre,
                boxes,
                near,
                near_count,
                planar,
                contact,
                p,
                direction,
                step,
            )
            if not moved:
                return p[0], p[1], p[2], True
            p = (x, y, z)
            travelled += step
            continue
        q = (p[0] + step * direction[0], p[1] + step * direction[1], p[2] + step * direction[2])
        hit = _worst_overlap(
            field, origin, per_metre, boxes, near, near_count, planar, contact, p, q
        )[0]
        if hit == _NOTHING:
            p = q
            travelled += step
            continue
        altered = True
        low, high = 0.0, step
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            q = (
                p[0] + middle * direction[0],
                p[1] + middle * direction[1],
                p[2] + middle * direction[2],
            )
            hit = _worst_overlap(
                field, origin, per_metre, boxes, near, near_count, planar, contact, p, q
            )[0]
            if hit == _NOTHING:
                low = middle
            else:
                high = middle
        p = (p[0] + low * direction[0], p[1] + low * direction[1], p[2] + low * direction[2])
        travelled += low
        if not slide:
            break
    if not altered:
        return end[0], end[1], end[2], False
    return p[0], p[1], p[2], True
