"""Oriented boxes of movable objects, packed for kernels, and exact distances to them.

A packed box is a float64 row: its 3D box for flying cameras and its floor rectangle for walking
agents, so that one array serves both.

====== ==================================================================
column meaning
====== ==================================================================
0–2    centre, world metres
3–5    half sizes along the box axes, metres
6–14   box-to-world rotation, row-major
15–16  (cos, sin) of the floor rectangle's first axis
17–18  half sizes of the floor rectangle, metres; of a disc minus its radius, and 0
19–20  lowest and highest z, metres
====== ==================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.errors import NavigationError

BOX_COLUMNS = 21


def object_boxes(
    objects: Sequence[WorldObject] | ArrayLike, sizes: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Pack oriented boxes for collision queries.

    Args:
        objects: World objects, or object-to-world poses [K, 4, 4] (rigid, not checked again).
        sizes: Full side lengths in metres [K, 3]; only with poses.

    Returns:
        Packed boxes, float64 [K, 21] (columns in the module's docstring). The floor rectangle is
        the box's shadow; of a tilted box, the rectangle around it along its most level axis.

    Raises:
        NavigationError: If poses and sizes disagree in shape.
    """
    if sizes is None:
        members: Any = list(objects)  # type: ignore[arg-type]
        if not members:
            return np.empty((0, BOX_COLUMNS))
        poses = np.array([member.pose for member in members])
        lengths = np.array([member.size for member in members])
    else:
        poses = np.ascontiguousarray(objects, dtype=np.float64)
        lengths = np.ascontiguousarray(sizes, dtype=np.float64)
    if poses.shape[1:] != (4, 4) or lengths.shape != (len(poses), 3):
        raise NavigationError(
            f"boxes need poses [K, 4, 4] and sizes [K, 3], got {poses.shape} and {lengths.shape}"
        )
    boxes: NDArray[np.float64] = _pack(poses, lengths)
    return boxes


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(poses: Any, sizes: Any) -> Any:
    """Packed boxes of poses [K, 4, 4] and full sizes [K, 3]."""
    boxes = np.empty((len(poses), BOX_COLUMNS))
    for k in range(len(poses)):
        row, pose = boxes[k], poses[k]
        level, level_norm, reach_z = 0, -1.0, 0.0
        for i in range(3):
            row[i] = pose[i, 3]
            row[3 + i] = 0.5 * sizes[k, i]
            reach_z += abs(pose[2, i]) * row[3 + i]
            for j in range(3):
                row[6 + 3 * i + j] = pose[i, j]
            norm = math.hypot(pose[0, i], pose[1, i])
            if norm > level_norm + 1e-9:
                level, level_norm = i, norm
        cos, sin = pose[0, level] / level_norm, pose[1, level] / level_norm
        along, across = 0.0, 0.0
        for i in range(3):
            along += abs(cos * pose[0, i] + sin * pose[1, i]) * row[3 + i]
            across += abs(cos * pose[1, i] - sin * pose[0, i]) * row[3 + i]
        row[15], row[16], row[17], row[18] = cos, sin, along, across
        row[19], row[20] = pose[2, 3] - reach_z, pose[2, 3] + reach_z
    return boxes


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def rectangle_distance(boxes: Any, k: int, x: float, y: float) -> Any:
    """Signed distance of (x, y) to floor rectangle or disc k."""
    dx, dy = x - boxes[k, 0], y - boxes[k, 1]
    if boxes[k, 17] < 0.0:
        return math.sqrt(dx * dx + dy * dy) + boxes[k, 17]
    cos, sin = boxes[k, 15], boxes[k, 16]
    return _outside(
        abs(cos * dx + sin * dy) - boxes[k, 17], abs(cos * dy - sin * dx) - boxes[k, 18]
    )


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _outside(a: float, b: float) -> Any:
    """Signed distance to a quadrant's corner from how far out one is along each axis."""
    if a > 0.0 and b > 0.0:
        return math.sqrt(a * a + b * b)
    return max(a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def rectangle_gradient(boxes: Any, k: int, x: float, y: float) -> Any:
    """Gradient (x, y, 0) of `rectangle_distance`."""
    dx, dy = x - boxes[k, 0], y - boxes[k, 1]
    if boxes[k, 17] < 0.0:
        norm = math.sqrt(dx * dx + dy * dy)
        if norm > 0.0:
            return dx / norm, dy / norm, 0.0
        return 1.0, 0.0, 0.0
    cos, sin = boxes[k, 15], boxes[k, 16]
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    a, b = abs(along) - boxes[k, 17], abs(across) - boxes[k, 18]
    if a > 0.0 and b > 0.0:
        norm = math.sqrt(a * a + b * b)
        a, b = a / norm, b / norm
    elif a > b:
        a, b = 1.0, 0.0
    else:
        a, b = 0.0, 1.0
    a, b = math.copysign(a, along), math.copysign(b, across)
    return cos * a - sin * b, sin * a + cos * b, 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _into_box(boxes: Any, k: int, x: float, y: float, z: float) -> Any:
    """Coordinates along the axes of box k."""
    dx, dy, dz = x - boxes[k, 0], y - boxes[k, 1], z - boxes[k, 2]
    return (
        boxes[k, 6] * dx + boxes[k, 9] * dy + boxes[k, 12] * dz,
        boxes[k, 7] * dx + boxes[k, 10] * dy + boxes[k, 13] * dz,
        boxes[k, 8] * dx + boxes[k, 11] * dy + boxes[k, 14] * dz,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def box_distance(boxes: Any, k: int, x: float, y: float, z: float) -> Any:
    """Signed distance of (x, y, z) to oriented box k."""
    along = _into_box(boxes, k, x, y, z)
    a, b = abs(along[0]) - boxes[k, 3], abs(along[1]) - boxes[k, 4]
    c = abs(along[2]) - boxes[k, 5]
    deepest = max(a, max(b, c))
    if deepest <= 0.0:
        return deepest
    a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
    return math.sqrt(a * a + b * b + c * c)


@njit(cache=True, nogil=True, error_model="numpy")
def box_gradient(boxes: Any, k: int, x: float, y: float, z: float) -> Any:
    """Gradient (x, y, z) of `box_distance`."""
    along = _into_box(boxes, k, x, y, z)
    a, b = abs(along[0]) - boxes[k, 3], abs(along[1]) - boxes[k, 4]
    c = abs(along[2]) - boxes[k, 5]
    deepest = max(a, max(b, c))
    if deepest > 0.0:
        a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
        norm = math.sqrt(a * a + b * b + c * c)
        a, b, c = a / norm, b / norm, c / norm
    elif a == deepest:
        a, b, c = 1.0, 0.0, 0.0
    elif b == deepest:
        a, b, c = 0.0, 1.0, 0.0
    else:
        a, b, c = 0.0, 0.0, 1.0
    a, b, c = (
        math.copysign(a, along[0]),
        math.copysign(b, along[1]),
        math.copysign(c, along[2]),
    )
    return (
        boxes[k, 6] * a + boxes[k, 7] * b + boxes[k, 8] * c,
        boxes[k, 9] * a + boxes[k, 10] * b + boxes[k, 11] * c,
        boxes[k, 12] * a + boxes[k, 13] * b + boxes[k, 14] * c,
    )
