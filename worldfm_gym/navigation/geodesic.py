"""Geodesic distance: how far a body has to walk to a goal, everywhere at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

_BUCKETS = 64  # circular, a power of two; more than seeds and steps span
_BUCKETS_PER_CELL = math.sqrt(2.0)  # a bucket is as wide as the shortest step: none is redone
SEED_REACH_CELLS = 8


@dataclass(frozen=True, eq=False, slots=True)
class DistanceField:
    """Geodesic distances to one goal: a point, or the nearest of a set of cells.

    Attributes:
        values: Metres from cell centres to the goal, float32 [ny, nx]; infinite where a body misses
            fitting by over half a cell, or the goal can't be reached.
        goal_xy: World position of the goal, float64 [2]; NaN where the goal is a set of cells.
        origin_xy: World xy of the corner of cell [0, 0], float64 [2].
        cell_m: Side of a cell in metres.
        extended: `values` carried two cells into what is too close to walls, so that a body in
            contact reads a smooth distance, float32 [ny, nx].
        direct: Cells near a point from which the way to it is straight, bool [ny, nx].
    """

    values: NDArray[np.float32]
    goal_xy: NDArray[np.float64]
    origin_xy: NDArray[np.float64]
    cell_m: float
    extended: NDArray[np.float32]
    direct: NDArray[np.bool_]

    def distance(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Metres to walk from world points [..., 2], float64 [...]; infinite if unreachable."""
        points = np.asarray(xy, dtype=np.float64)
        flat = read_distances(
            self.extended, self.direct, self.goal_xy, self.origin_xy, self.cell_m,
            np.ascontiguousarray(points.reshape(-1, 2)),
        )  # fmt: skip
        result: NDArray[np.float64] = flat.reshape(points.shape[:-1])
        return result


def distance_field(
    navigable: NDArray[np.bool_],
    crossable: NDArray[np.bool_],
    direct: NDArray[np.bool_],
    goal_xy: NDArray[np.float64],
    *,
    origin_xy: NDArray[np.float64],
    cell_m: float,
) -> DistanceField:
    """Solve the eikonal equation on navigable cells.

    Each cell takes the shortest straight way to a point on the edge between an axis neighbor and
    a diagonal neighbor, distances interpolated along that edge: eight directions halve the grid
    bias of the usual four. Cells wait in buckets as wide as the least increase of a step, √½ cell,
    so that each is settled once and the result is what exact ordering would give.

    Args:
        navigable: Where the body fits, bool [ny, nx]; the outermost cells must be False.
        crossable: Squares between the centres of cells [y, x], [y, x + 1], [y + 1, x] and
            [y + 1, x + 1] that may be crossed off their edges, bool [ny, nx].
        direct: Navigable cells within `SEED_REACH_CELLS` of the goal that see it: they start with
            their straight distance, bool [ny, nx].
        goal_xy: World position of the goal [2].
        origin_xy: World xy of the corner of cell [0, 0].
        cell_m: Side of a cell in metres.

    Source:
        Ferguson & Stentz, "Field D*", 2005 (the interpolated update); Yatziv, Bartesaghi &
        Sapiro, "O(N) implementation of the fast marching algorithm", 2006 (the buckets).
    """
    goal_cells = (goal_xy - origin_xy) / cell_m - 0.5
    seeds = np.flatnonzero(direct)
    y, x = np.divmod(seeds, direct.shape[1])
    start = np.hypot(x - goal_cells[0], y - goal_cells[1])
    values = _solve(navigable, crossable, seeds, start)
    return _field(values, navigable, direct, goal_xy, origin_xy, cell_m)


def distance_field_to_cells(
    navigable: NDArray[np.bool_],
    crossable: NDArray[np.bool_],
    goal: NDArray[np.bool_],
    *,
    origin_xy: NDArray[np.float64],
    cell_m: float,
) -> DistanceField:
    """`distance_field` to the nearest of some cells' centres.

    Args:
        navigable: See `distance_field`.
        crossable: See `distance_field`.
        goal: Navigable cells that are goals, bool [ny, nx].
        origin_xy: See `distance_field`.
        cell_m: See `distance_field`.
    """
    seeds = np.flatnonzero(goal & navigable)
    values = _solve(navigable, crossable, seeds, np.zeros(len(seeds)))
    nowhere = np.full(2, np.nan)
    return _field(values, navigable, np.zeros_like(goal), nowhere, origin_xy, cell_m)


def _field(
    values: NDArray[np.float32],
    navigable: NDArray[np.bool_],
    direct: NDArray[np.bool_],
    goal_xy: NDArray[np.float64],
    origin_xy: NDArray[np.float64],
    cell_m: float,
) -> DistanceField:
    """The field of distances in cells."""
    extended = _extend(values, navigable)
    return DistanceField(
        values * np.float32(cell_m),
        goal_xy,
        origin_xy,
        cell_m,
        extended * np.float32(cell_m),
        direct,
    )


@njit(cache=True, nogil=True)
def _edge_update(axis: float, diagonal: float) -> Any:
    """Distance through the edge between an axis and a diagonal neighbor, in cells."""
    if not axis < math.inf:
        return math.inf
    drop = axis - diagonal
    if not drop > 0.0:
        return axis + 1.0
    if drop * drop >= 0.5:
        return diagonal + math.sqrt(2.0)
    return axis + math.sqrt(1.0 - drop * drop)


@njit(cache=True, nogil=True)
def _solve(navigable: Any, crossable: Any, seeds: Any, start: Any) -> Any:
    """Distances in cells, float32 [ny, nx], by a circular bucket queue.

    `seeds` [M] are flat indices of cells that start with the distances `start` [M].
    """
    ny, nx = navigable.shape
    cells, squares = navigable.ravel(), crossable.ravel()
    distance = np.full(ny * nx, np.inf)
    queued = np.full(ny * nx, -1, np.int32)  # bucket that holds the cell's live entry
    heads = np.full(_BUCKETS, -1, np.int64)
    node, follower = np.empty(4096, np.int32), np.empty(4096, np.int32)
    unused, size, waiting = -1, 0, 0
    current = 1 << 60
    fresh = np.empty(9, np.int64)
    axis_step = np.array([1, nx, -1, -nx])
    square_step = np.array([0, -1, -1 - nx, -nx])  # between an axis step and the next
    seed, p = 0, 0
    while seed < len(seeds) or waiting > 0:
        count = 0
        if seed < len(seeds):
            distance[seeds[seed]] = start[seed]
            fresh[0], count = seeds[seed], 1
            seed += 1
        else:
            while heads[current & (_BUCKETS - 1)] < 0:
                current += 1
            entry = heads[current & (_BUCKETS - 1)]
            heads[current & (_BUCKETS - 1)] = follower[entry]
            p = node[entry]
            follower[entry], unused = unused, entry
            waiting -= 1
            if queued[p] != current:
                continue  # a shorter way was found after this entry was made
            queued[p] = -1
            here = distance[p]
            for i in range(4):
                ahead, side = axis_step[i], axis_step[(i + 1) % 4]
                q = p + ahead
                if cells[q] and distance[q] > here + math.sqrt(0.5):
                    diagonal = math.inf
                    if squares[p + square_step[i]]:
                        diagonal = distance[p + side]
                    if squares[p + square_step[(i + 3) % 4]]:
                        diagonal = min(diagonal, distance[p - side])
                    shortest = _edge_update(here, diagonal)
                    if shortest < distance[q]:
                        distance[q] = shortest
                        fresh[count] = q
                        count += 1
            for i in range(4):
                ahead, side = axis_step[i], axis_step[(i + 1) % 4]
                q = p + ahead + side
                if squares[p + square_step[i]] and cells[q] and distance[q] > here + 1.0:
                    # An update grows with the axis neighbor's distance: the smaller one is best.
                    shortest = _edge_update(min(distance[p + ahead], distance[p + side]), here)
                    if shortest < distance[q]:
                        distance[q] = shortest
                        fresh[count] = q
                        count += 1
        for i in range(count):
            q = fresh[i]
            bucket = int(distance[q] * _BUCKETS_PER_CELL)
            if queued[q] == bucket:
                continue
            if unused >= 0:
                entry, unused = unused, follower[unused]
            else:
                if size == len(node):
                    node = np.concatenate((node, np.empty(size, np.int32)))
                    follower = np.concatenate((follower, np.empty(size, np.int32)))
                entry, size = size, size + 1
            node[entry], follower[entry] = q, heads[bucket & (_BUCKETS - 1)]
            heads[bucket & (_BUCKETS - 1)], queued[q] = entry, bucket
            if bucket < current:
                current = bucket
            waiting += 1
    return distance.astype(np.float32).reshape(ny, nx)


@njit(cache=True, nogil=True)
def _extend(values: Any, navigable: Any) -> Any:
    """Carry distances two cells into cells that are not navigable, by straight steps."""
    ny, nx = values.shape
    out = values.copy()
    for _ in range(2):
        known = out.copy()
        for y in range(1, ny - 1):
            for x in range(1, nx - 1):
                if navigable[y, x] or known[y, x] < np.inf:
                    continue
                axis = min(known[y, x - 1], known[y, x + 1], known[y - 1, x], known[y + 1, x])
                diagonal = min(
                    known[y - 1, x - 1],
                    known[y - 1, x + 1],
                    known[y + 1, x - 1],
                    known[y + 1, x + 1],
                )
                out[y, x] = min(axis + np.float32(1.0), diagonal + np.float32(math.sqrt(2.0)))
    return out


@njit(cache=True, nogil=True)
def read_distances(
    extended: Any, direct: Any, goal: Any, origin_xy: Any, cell_m: float, points: Any
) -> Any:
    """Distance at points [P, 2]: straight near the goal, bilinear elsewhere."""
    ny, nx = extended.shape
    out = np.empty(len(points))
    for n in range(len(points)):
        u = (points[n, 0] - origin_xy[0]) / cell_m - 0.5
        v = (points[n, 1] - origin_xy[1]) / cell_m - 0.5
        if not (0.0 <= u < nx - 1 and 0.0 <= v < ny - 1):
            out[n] = np.inf
            continue
        x, y = int(u), int(v)
        a, b = u - x, v - y
        straight, total, weight = 0, 0.0, 0.0
        for j in range(2):
            for i in range(2):
                straight += direct[y + j, x + i]
                w = (a if i else 1.0 - a) * (b if j else 1.0 - b)
                if extended[y + j, x + i] < np.inf:
                    total += w * extended[y + j, x + i]
                    weight += w
        air = math.hypot(points[n, 0] - goal[0], points[n, 1] - goal[1])
        if straight == 4 or (straight > 0 and air < 2.0 * cell_m):
            out[n] = air
        elif weight > 1e-9:
            out[n] = total / weight
        else:
            out[n] = np.inf
    return out
