"""Pushing, in kernels: bodies that moving boxes run into, and boxes that walking bodies run into.

There are no masses and no friction. A box that moves by itself pushes a body out of its way, as
far as nothing else holds it; a box that can be pushed gives way along the contact's normal, by as
much as the body would go deeper, as far as floor, other boxes and other bodies leave room.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from worldfm_gym.navigation.boxes import rectangle_distance, rectangle_gradient
from worldfm_gym.navigation.sweep import (
    box_slope,
    box_value,
    move_body,
    sample_field,
    select_near,
)

_OVERLAP_M = 1e-6  # less is contact
_ESCAPES = 4
_HALVINGS = 6
_FLOOR_CELLS = 0.25  # a box may come so near to cells that are not free, in cells
_PROBE_M = 1e-3
_TINY_M = 1e-9


@njit(cache=True, nogil=True, error_model="numpy")
def escape(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    balls: Any,
    near: Any,
    own: int,
    planar: bool,
    contact: float,
    p: Any,
) -> Any:
    """Push a body out of the boxes that it overlaps, deepest first: (x, y, z, pushed).

    Other things in the way stop it, so a body between a box and a wall stays where it is.
    """
    pushed = False
    for _ in range(_ESCAPES):
        count = without(near, select_near(balls, near, p, 0.0), own)
        deepest, depth = -1, _OVERLAP_M
        for n in range(count):
            k = near[n]
            if planar and boxes[k, 17] < 0.0:
                continue  # another body, which has moved by itself
            overlap = contact - box_value(boxes, k, planar, p)
            if overlap > depth:
                deepest, depth = k, overlap
        if deepest < 0:
            break
        pushed = True
        gx, gy, gz = box_slope(boxes, deepest, planar, p)
        way = (depth * gx, depth * gy, depth * gz)
        count = without(near, select_near(balls, near, p, depth), own)
        x, y, z, _ = move_body(
            field, origin, per_metre, boxes, near, count, planar, contact, True, p, way
        )
        if abs(x - p[0]) + abs(y - p[1]) + abs(z - p[2]) < _OVERLAP_M:
            break
        p = (x, y, z)
    return p[0], p[1], p[2], pushed


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def without(near: Any, count: int, own: int) -> Any:
    """Take the body's own box out of the list of near ones; how many are left."""
    if own < 0:
        return count
    kept = 0
    for n in range(count):
        if near[n] != own:
            near[kept] = near[n]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def push(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    pushable: Any,
    near: Any,
    count: int,
    contact: float,
    p: Any,
    rest: Any,
    bodies: Any,
    body: int,
    first_body: int,
    end_body: int,
) -> Any:
    """Move the pushable box that stops a walking body at p; which one, or −1.

    Args:
        field: Distance field [1, ny, nx] of the floor.
        origin: Its corner.
        per_metre: Cells per metre.
        boxes: Packed boxes [K, 21]; the pushed one is changed.
        pushable: Which of them can be pushed [K].
        near: Boxes near the body.
        count: How many of those there are.
        contact: Distance at which the body touches.
        p: Where it stopped.
        rest: Motion that it still wants to make.
        bodies: Positions of all bodies now [N, 2].
        body: The one that pushes.
        first_body: First body of its scene.
        end_body: One past the last body of its scene.
    """
    length = math.sqrt(rest[0] * rest[0] + rest[1] * rest[1])
    if length < _TINY_M:
        return -1
    probe = _PROBE_M / length
    qx, qy = p[0] + probe * rest[0], p[1] + probe * rest[1]
    met, nearest = -1, contact
    for n in range(count):
        k = near[n]
        distance = rectangle_distance(boxes, k, qx, qy)
        closer = distance < rectangle_distance(boxes, k, p[0], p[1])
        if pushable[k] and closer and distance < nearest:
            met, nearest = k, distance
    if met < 0:
        return -1
    gx, gy, _ = rectangle_gradient(boxes, met, p[0], p[1])
    most = -(rest[0] * gx + rest[1] * gy)
    if most <= _TINY_M:
        return -1
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        share = high if low == 0.0 and high == 1.0 else 0.5 * (low + high)
        dx, dy = -share * most * gx, -share * most * gy
        if _has_room(
            field, origin, per_metre, boxes, met, dx, dy, contact, bodies, body, first_body,
            end_body,
        ):  # fmt: skip
            low = share
            if share == 1.0:
                break
        else:
            high = share
            if share == 1.0:
                high = 0.999
    if low == 0.0:
        return -1
    boxes[met, 0] -= low * most * gx
    boxes[met, 1] -= low * most * gy
    return met


@njit(cache=True, nogil=True, error_model="numpy")
def _has_room(
    field: Any,
    origin: Any,
    per_metre: float,
    boxes: Any,
    k: int,
    dx: float,
    dy: float,
    contact: float,
    bodies: Any,
    body: int,
    first_body: int,
    end_body: int,
) -> Any:
    """Whether box k, moved by (dx, dy), gets no deeper into floor, boxes or bodies than it is."""
    if _leaves_floor(field, origin, per_metre, boxes, k, dx, dy):
        return False
    for j in range(len(boxes)):
        if j == k or boxes[j, 19] >= boxes[k, 20] or boxes[j, 20] <= boxes[k, 19]:
            continue
        gap = _gap(boxes, k, j, dx, dy)
        if gap < 0.0 and gap < _gap(boxes, k, j, 0.0, 0.0) - _TINY_M:
            return False
    for other in range(first_body, end_body):
        if other == body:
            continue
        x, y = bodies[other, 0], bodies[other, 1]
        distance = rectangle_distance(boxes, k, x - dx, y - dy)
        if distance < contact and distance < rectangle_distance(boxes, k, x, y) - _TINY_M:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _leaves_floor(
    field: Any, origin: Any, per_metre: float, boxes: Any, k: int, dx: float, dy: float
) -> Any:
    """Whether a point of the outline comes nearer to what is not free floor, and too near."""
    least = _FLOOR_CELLS / per_metre
    cos, sin = boxes[k, 15], boxes[k, 16]
    half = (abs(boxes[k, 17]), boxes[k, 18] if boxes[k, 17] > 0.0 else abs(boxes[k, 17]))
    for side in range(2):
        steps = math.ceil(4.0 * half[side] * per_metre) + 1
        for i in range(steps + 1):
            along = half[side] * (2.0 * i / steps - 1.0)
            for sign in (-1.0, 1.0):
                across = sign * half[1 - side]
                a, b = (along, across) if side == 0 else (across, along)
                x, y = boxes[k, 0] + cos * a - sin * b, boxes[k, 1] + sin * a + cos * b
                value = sample_field(field, origin, per_metre, (x + dx, y + dy, 0.0))
                before = sample_field(field, origin, per_metre, (x, y, 0.0))
                if value < least and value < before - _TINY_M:
                    return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _gap(boxes: Any, k: int, j: int, dx: float, dy: float) -> Any:
    """Separation of two floor rectangles, the first one moved; negative where they overlap.

    By separating axes: the largest over the four directions of their sides (for discs: exact).
    """
    if boxes[j, 17] < 0.0:
        return rectangle_distance(boxes, k, boxes[j, 0] - dx, boxes[j, 1] - dy) + boxes[j, 17]
    x, y = boxes[j, 0] - boxes[k, 0] - dx, boxes[j, 1] - boxes[k, 1] - dy
    widest = -np.inf
    for box in (k, j):
        cos, sin = boxes[box, 15], boxes[box, 16]
        for axis in ((cos, sin), (-sin, cos)):
            apart = abs(x * axis[0] + y * axis[1])
            for one in (k, j):
                c, s = boxes[one, 15], boxes[one, 16]
                apart -= abs(boxes[one, 17]) * abs(c * axis[0] + s * axis[1])
                apart -= boxes[one, 18] * abs(c * axis[1] - s * axis[0])
            widest = max(widest, apart)
    return widest
