"""Collision response: discs that walk and spheres that fly, batched, stopping or sliding.

Tolerance: the static background is known by cells, so a body may come half a cell closer to it
than its radius; to a box, whose distance is exact, a tenth of a cell (`CONTACT_SKIN_CELLS`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation.boxes import BOX_COLUMNS
from worldfm_gym.navigation.pushing import escape, push, without
from worldfm_gym.navigation.sweep import (
    CONTACT_SKIN_CELLS,
    bounding_balls,
    free_margin,
    move_body,
    select_near,
    write_balls,
)

if TYPE_CHECKING:
    from worldfm_gym.navigation.nav_map import NavMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Boxes and bodies of several scenes, for moving the bodies of all of them in one call.

    Bodies move one after the other, in the order given; those of a scene must follow each other.

    Attributes:
        boxes: Packed boxes of each scene, float64 [S, K, 21]. Those that walking bodies push, and
            those that bodies carry along, are changed.
        row: Scene of each body, int64 [N].
        own: Box that each body carries along, which does not stop it, int64 [N]; −1 for none.
        moving: Scenes whose boxes have moved, bool [S]: there, a body that a box has run into is
            pushed out of it before it moves, and counts as stopped.
        pushable: Boxes that a walking body pushes, bool [S, K].
    """

    boxes: NDArray[np.float64]
    row: NDArray[np.int64]
    own: NDArray[np.int64]
    moving: NDArray[np.bool_]
    pushable: NDArray[np.bool_]

    @staticmethod
    def of_one(boxes: NDArray[np.float64], count: int) -> Crowd:
        """`count` bodies among boxes [K, 21] that stand still."""
        return Crowd(
            boxes=boxes[None],
            row=np.zeros(count, np.int64),
            own=np.full(count, -1),
            moving=np.zeros(1, np.bool_),
            pushable=np.zeros((1, len(boxes)), np.bool_),
        )


def move_discs(
    nav: NavMap,
    xy: ArrayLike,
    delta: ArrayLike,
    *,
    slide: bool,
    boxes: NDArray[np.float64] | Crowd | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Walk agents of the map's body over its floor.

    Args:
        nav: The map; only its static background is used, never the footprints stamped into it.
        xy: World positions, metres [N, 2].
        delta: Wanted motions, metres [N, 2].
        slide: Whether contact removes only the motion into the obstacle, or ends it.
        boxes: Objects where they are now, from `object_boxes` [K, 21]; None means where the map
            last saw them (`NavMap.set_obstacles`). A `Crowd` for agents of several scenes.

    Returns:
        New positions, float64 [N, 2], and whether each motion was altered, bool [N]. An agent
        that starts inside an obstacle may move wherever it gets no deeper.

    Raises:
        NavigationError: If shapes disagree, or a position or motion is not finite.
    """
    start, motion, crowd = _checked(xy, delta, nav.boxes if boxes is None else boxes, 2)
    contact = nav.body.radius_m - CONTACT_SKIN_CELLS * nav.cell_m
    new_xy, altered, finite = _move_discs(
        nav.static_clearance,
        nav.origin_xy,
        nav.cell_m,
        crowd.boxes,
        crowd.row,
        crowd.own,
        crowd.moving,
        crowd.pushable,
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
    boxes: NDArray[np.float64] | Crowd | None = None,
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
            last saw them (`NavMap.set_obstacles`). A `Crowd` for spheres of several scenes, which
            push nothing.

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
    start, motion, crowd = _checked(position, delta, nav.boxes if boxes is None else boxes, 3)
    new_position, altered, finite = _move_spheres(
        nav.voxels.distance_field(unknown_is_solid=unknown_is_solid),
        nav.voxels.origin,
        nav.cell_m,
        crowd.boxes,
        crowd.row,
        crowd.own,
        crowd.moving,
        max(radius_m - CONTACT_SKIN_CELLS * nav.cell_m, 0.5 * radius_m),
        slide,
        start,
        motion,
    )
    if not finite:
        raise NavigationError("positions and motions must be finite, got NaN or infinity")
    return new_position, altered


def _checked(start: ArrayLike, delta: ArrayLike, boxes: Any, width: int) -> Any:
    """Contiguous float64 arrays of the right shapes, and the crowd."""
    begin = np.ascontiguousarray(start, np.float64)
    motion = np.ascontiguousarray(delta, np.float64)
    if begin.ndim != 2 or begin.shape[1] != width or motion.shape != begin.shape:
        raise NavigationError(
            f"positions and motions must both be [N, {width}], got {begin.shape} and {motion.shape}"
        )
    if isinstance(boxes, Crowd):
        return begin, motion, boxes
    packed = np.ascontiguousarray(boxes, np.float64)
    if packed.ndim != 2 or packed.shape[1] != BOX_COLUMNS:
        raise NavigationError(
            f"boxes must be packed by object_boxes to [K, {BOX_COLUMNS}], got {packed.shape}"
        )
    return begin, motion, Crowd.of_one(packed, len(begin))


@njit(cache=True, nogil=True, error_model="numpy")
def _move_discs(
    clearance: Any,
    origin_xy: Any,
    cell_m: float,
    boxes_of: Any,
    row: Any,
    own: Any,
    moving: Any,
    pushable: Any,
    contact: float,
    z_low: float,
    z_high: float,
    slide: bool,
    xy: Any,
    delta: Any,
) -> Any:
    """Move each disc: (new xy [N, 2], altered [N], whether all input was finite)."""
    field = clearance.reshape((1, clearance.shape[0], clearance.shape[1]))
    balls = np.empty((4, boxes_of.shape[1]))
    near = np.empty(boxes_of.shape[1] + 1, np.int64)
    new_xy, altered = xy.copy(), np.zeros(len(xy), np.bool_)
    last, pushes, first, end = -1, False, 0, 0
    for n in range(len(xy)):
        start, motion = (xy[n, 0], xy[n, 1], 0.0), (delta[n, 0], delta[n, 1], 0.0)
        length = math.sqrt(motion[0] ** 2 + motion[1] ** 2)
        if not np.isfinite(length + start[0] + start[1]):
            return new_xy, altered, False
        boxes = boxes_of[row[n]]
        if row[n] != last:
            last = row[n]
            write_balls(boxes, True, contact, z_low, z_high, balls)
            pushes, first, end = pushable[last].any(), n, n
            while end < len(xy) and row[end] == last:
                end += 1
        if moving[last]:
            x, y, _, altered[n] = escape(
                field, origin_xy, 1.0 / cell_m, boxes, balls, near, own[n], True, contact, start
            )
            start = (x, y, 0.0)
        count = without(near, select_near(balls, near, start, length), own[n])
        margin = free_margin(
            field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, start
        )
        if margin >= length:  # as most often: nothing near
            new_xy[n, 0], new_xy[n, 1] = start[0] + motion[0], start[1] + motion[1]
        else:
            if pushes:
                x, y, _, hit = move_body(
                    field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, False,
                    start, motion,
                )  # fmt: skip
                altered[n] |= hit
                rest = (motion[0] - (x - start[0]), motion[1] - (y - start[1]), 0.0)
                pushed = -1
                if hit:
                    pushed = push(
                        field, origin_xy, 1.0 / cell_m, boxes, pushable[last], near, count,
                        contact, (x, y, 0.0), rest, new_xy, n, first, end,
                    )  # fmt: skip
                if pushed >= 0:
                    balls[0, pushed], balls[1, pushed] = boxes[pushed, 0], boxes[pushed, 1]
                    start, motion = (x, y, 0.0), rest
            x, y, _, hit = move_body(
                field, origin_xy, 1.0 / cell_m, boxes, near, count, True, contact, slide,
                start, motion,
            )  # fmt: skip
            altered[n] |= hit
            new_xy[n, 0], new_xy[n, 1] = x, y
        if own[n] >= 0:
            boxes[own[n], 0], boxes[own[n], 1] = new_xy[n, 0], new_xy[n, 1]
            balls[0, own[n]], balls[1, own[n]] = new_xy[n, 0], new_xy[n, 1]
    return new_xy, altered, True


@njit(cache=True, nogil=True, error_model="numpy")
def _move_spheres(
    field: Any,
    origin: Any,
    cell_m: float,
    boxes_of: Any,
    row: Any,
    own: Any,
    moving: Any,
    contact: float,
    slide: bool,
    position: Any,
    delta: Any,
) -> Any:
    """Move each sphere: (new position [N, 3], altered [N], whether all input was finite)."""
    balls = np.empty((4, boxes_of.shape[1]))
    near = np.empty(boxes_of.shape[1] + 1, np.int64)
    new_position, altered = position.copy(), np.zeros(len(position), np.bool_)
    last = -1
    for n in range(len(position)):
        start = (position[n, 0], position[n, 1], position[n, 2])
        motion = (delta[n, 0], delta[n, 1], delta[n, 2])
        length = math.sqrt(motion[0] ** 2 + motion[1] ** 2 + motion[2] ** 2)
        if not np.isfinite(length + start[0] + start[1] + start[2]):
            return new_position, altered, False
        boxes = boxes_of[row[n]]
        if row[n] != last:
            last = row[n]
            write_balls(boxes, False, contact, 0.0, 0.0, balls)
        if moving[last]:
            x, y, z, altered[n] = escape(
                field, origin, 1.0 / cell_m, boxes, balls, near, own[n], False, contact, start
            )
            start = (x, y, z)
        count = without(near, select_near(balls, near, start, length), own[n])
        margin = free_margin(field, origin, 1.0 / cell_m, boxes, near, count, False, contact, start)
        if margin >= length:  # as most often: nothing near
            for i in range(3):
                new_position[n, i] = start[i] + motion[i]
            continue
        x, y, z, hit = move_body(
            field, origin, 1.0 / cell_m, boxes, near, count, False, contact, slide, start, motion
        )
        altered[n] |= hit
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
