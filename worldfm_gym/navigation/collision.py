"""Collision response: discs that walk and spheres that fly, batched, stopping or sliding.

Tolerance: the static background is known by cells, so a body may come half a cell closer to it
than its radius; to a box, whose distance is exact, a tenth of a cell (`CONTACT_SKIN_CELLS`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation.boxes import BOX_COLUMNS
from worldfm_gym.navigation.sweep import (
    CONTACT_SKIN_CELLS,
    bounding_balls,
    free_margin,
    move_body,
    select_near,
)

if TYPE_CHECKING:
    from worldfm_gym.navigation.nav_map import NavMap


def move_discs(
    nav: NavMap,
    xy: ArrayLike,
    delta: ArrayLike,
    *,
    slide: bool,
    boxes: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Walk agents of the map's body over its floor.

    Args:
        nav: The map; only its static background is used, never the footprints stamped into it.
        xy: World positions, metres [N, 2].
        delta: Wanted motions, metres [N, 2].
        slide: Whether contact removes only the motion into the obstacle, or ends it.
        boxes: Objects where they are now, from `object_boxes` [K, 21]; None means where the map
            last saw them (`NavMap.set_obstacles`).

    Returns:
        New positions, float64 [N, 2], and whether each motion was altered, bool [N]. An agent
        that starts inside an obstacle may move wherever it gets no deeper.

    Raises:
        NavigationError: If shapes disagree, or a position or motion is not finite.
    """
    start, motion, packed = _checked(xy, delta, nav.boxes if boxes is None else boxes, 2)
    contact = nav.body.radius_m - CONTACT_SKIN_CELLS * nav.cell_m
    new_xy, altered, finite = _move_discs(
        nav.static_clearance,
        nav.origin_xy,
        nav.cell_m,
        packed,
        contact,
        nav.body.step_height_m,
        nav.body.height_m,
        slide,
        start,
        motion,
    )
    if not finite:
        raise NavigationError("positions and motions must be finite, got NaN or infinity")
    return new_xy, altered


def move_spheres(
    nav: NavMap,
    position: ArrayLike,
    delta: ArrayLike,
    *,
    radius_m: float,
    slide: bool,
    unknown_is_solid: bool = True,
    boxes: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Fly spheres (free cameras) through the map's voxels.

    The first call on a map computes a distance field over its voxels (tens of milliseconds).

    Args:
        nav: The map; its static voxels are used.
        position: World positions, metres [N, 3].
        delta: Wanted motions, metres [N, 3].
        radius_m: Radius of the spheres, at most `nav.voxels.reach_m` less a cell.
        slide: Whether contact removes only the motion into the obstacle, or ends it.
        unknown_is_solid: Whether space that nothing has seen stops a sphere. If not, nothing ends
            the flight beyond the map either.
        boxes: Objects where they are now, from `object_boxes` [K, 21]; None means where the map
            last saw them (`NavMap.set_obstacles`).

    Returns:
        New positions, float64 [N, 3], and whether each motion was altered, bool [N]. A sphere
        that starts inside an obstacle may move wherever it gets no deeper.

    Raises:
        NavigationError: If shapes disagree, a value is not finite, or the radius is not positive
            or too large.
    """
    if not 0.0 < radius_m <= nav.voxels.reach_m - nav.cell_m:
        raise NavigationError(
            f"radius_m must be positive and at most {nav.voxels.reach_m - nav.cell_m:.2f} m "
            f"(the reach of the distance field), got {radius_m}"
        )
    start, motion, packed = _checked(position, delta, nav.boxes if boxes is None else boxes, 3)
    new_position, altered, finite = _move_spheres(
        nav.voxels.distance_field(unknown_is_solid=unknown_is_solid),
        nav.voxels.origin,
        nav.cell_m,
        packed,
        max(radius_m - CONTACT_SKIN_CELLS * nav.cell_m, 0.5 * radius_m),
        slide,
        start,
        motion,
    )
    if not finite:
        raise NavigationError("positions and motions must be finite, got NaN or infinity")
    return new_position, altered


def _checked(start: ArrayLike, delta: ArrayLike, boxes: Any, width: int) -> Any:
    """Contiguous float64 arrays of the right shapes."""
    begin = np.ascontiguousarray(start, np.float64)
    motion = np.ascontiguousarray(delta, np.float64)
    if begin.ndim != 2 or begin.shape[1] != width or motion.shape != begin.shape:
        raise NavigationError(
            f"positions and motions must both be [N, {width}], got {begin.shape} and {motion.shape}"
        )
    packed = np.ascontiguousarray(boxes, np.float64)
    if packed.ndim != 2 or packed.shape[1] != BOX_COLUMNS:
        raise NavigationError(
            f"boxes must be packed by object_boxes to [K, {BOX_COLUMNS}], got {packed.shape}"
        )
    return begin, motion, packed


@njit(cache=True, nogil=True, error_model="numpy")
def _move_discs(
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
    slide: bool,
    xy: Any,
    delta: Any,
) -> Any:
    """Move each disc: (new xy [N, 2], altered [N], whether all input was finite)."""
    field = clearance.reshape((1, clearance.shape[0], clearance.shape[1]))
    balls = bounding_balls(boxes, True, contact, z_low, z_high)
    near = np.empty(len(boxes) + 1, np.int64)
    new_xy, altered = np.empty_like(xy), np.zeros(len(xy), np.bool_)
    for n in range(len(xy)):
        start, motion = (xy[n, 0], xy[n, 1], 0.0), (delta[n, 0], delta[n, 1], 0.0)
        length = math.sqrt(motion[0] ** 2 + motion[1] ** 2)
        if not np.isfinite(length + start[0] + start[1]):
            return new_xy, altered, False
        count = select_near(balls, near, start, length)
        margin = free_margin(
            field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, start
        )
        if margin >= length:  # as most often: nothing near
            new_xy[n, 0], new_xy[n, 1] = start[0] + motion[0], start[1] + motion[1]
            continue
        x, y, _, altered[n] = move_body(
            field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, slide, start, motion
        )
        new_xy[n, 0], new_xy[n, 1] = x, y
    return new_xy, altered, True


@njit(cache=True, nogil=True, error_model="numpy")
def _move_spheres(
    field: Any,
    origin: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    slide: bool,
    position: Any,
    delta: Any,
) -> Any:
    """Move each sphere: (new position [N, 3], altered [N], whether all input was finite)."""
    balls = bounding_balls(boxes, False, contact, 0.0, 0.0)
    near = np.empty(len(boxes) + 1, np.int64)
    new_position, altered = np.empty_like(position), np.zeros(len(position), np.bool_)
    for n in range(len(position)):
        start = (position[n, 0], position[n, 1], position[n, 2])
        motion = (delta[n, 0], delta[n, 1], delta[n, 2])
        length = math.sqrt(motion[0] ** 2 + motion[1] ** 2 + motion[2] ** 2)
        if not np.isfinite(length + start[0] + start[1] + start[2]):
            return new_position, altered, False
        count = select_near(balls, near, start, length)
        margin = free_margin(field, origin, 1.0 / cell_m, boxes, near, count, False, contact, start)
        if margin >= length:  # as most often: nothing near
            for i in range(3):
                new_position[n, i] = start[i] + motion[i]
            continue
        x, y, z, altered[n] = move_body(
            field, origin, 1.0 / cell_m, boxes, near, count, False, contact, slide, start, motion
        )
        new_position[n, 0], new_position[n, 1], new_position[n, 2] = x, y, z
    return new_position, altered, True


@njit(cache=True, nogil=True, error_model="numpy")
def discs_fit(
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes: Any,
    contact: float,
    z_low: float,
    z_high: float,
    xy: Any,
) -> Any:
    """Whether a disc touches nothing at each point [N, 2], bool [N]."""
    field = clearance.reshape((1, clearance.shape[0], clearance.shape[1]))
    balls = bounding_balls(boxes, True, contact, z_low, z_high)
    near = np.empty(len(boxes) + 1, np.int64)
    fits = np.zeros(len(xy), np.bool_)
    for n in range(len(xy)):
        p = (xy[n, 0], xy[n, 1], 0.0)
        if np.isfinite(p[0] + p[1]):
            count = select_near(balls, near, p, 0.0)
            margin = free_margin(
                field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, p
            )
            fits[n] = margin >= -1e-9
    return fits
