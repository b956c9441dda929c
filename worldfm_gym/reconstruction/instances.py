"""Object instances: what stands in a place once floor, ceiling and walls are taken away.

Planes are removed and what is left is clustered, as Open3D's `segment_plane` and `cluster_dbscan`
would; but on a voxel grid, with up known: floors are where z = 0, walls are peaks in histograms of
offsets along level directions, and clusters are connected voxels. That has no randomness, needs no
optional package and takes 0.2 s, where importing Open3D alone takes more than a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.anchor.thinning import voxel_thin

_VOXEL_M = 0.05
_FLOOR_M = 0.06  # what is lower belongs to the floor
_WALL_M = 0.12  # thickness of what is taken away with a wall
_WALL_COS = np.cos(np.deg2rad(30.0))
_LEVEL_COS = np.cos(np.deg2rad(60.0))  # beyond it a surface is not upright
_GRAZING_COS = 0.3
_DIRECTIONS = 36
_MAX_WALLS = 12
_MIN_WALL_M2 = 1.0
_MIN_WALL_SHARE = 0.03  # of all surface
_MIN_WALL_HEIGHT_M = 0.9
_MAX_BEHIND = 0.12  # share of surface that may lie behind an outer wall
_INNER_WALL_HEIGHT_M = 2.0  # a plane with more behind it is a wall only if so tall
_CEILING_M = 1.9
_TALL_M = 1.5  # what is too large is cut where it is taller: walls that are bent, shelves
_TALL_SHARE = 0.8  # of its own height, where a picture ends below 1.5 m
_HIGHEST_M = 3.0  # nothing above is an object's
_BASE_M = 0.35  # an object's lowest point lies no higher
_MIN_SIZE_M = 0.15
_MAX_SIZE_M = 2.6
_MAX_GROUND_M2 = 2.4
_MIN_AREA_M2 = 0.03
_MAX_OBJECTS = 48
_OUTLIERS_PERCENT = 1.0
_BOX_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class _Wall:
    """An upright plane ``normal · p = offset``, its normal into the place."""

    normal: NDArray[np.float64]
    offset: float
    outer: bool  # next to nothing lies behind it

    def takes(self, points: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Points [N, 3] that belong to the wall, or lie behind an outer one."""
        distance = points @ self.normal.astype(np.float32) - np.float32(self.offset)
        return np.asarray((distance < _WALL_M) & (self.outer | (distance > -_WALL_M)))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where voxels lie: the lowest one, how many, and their side."""

    low: NDArray[np.int64]
    shape: tuple[int, int, int]
    voxel_m: float

    def cells(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        """Flat cell number of points [N, 3]; −1 outside."""
        at = np.floor(points / self.voxel_m).astype(np.int64) - self.low
        inside = ((at >= 0) & (at < self.shape)).all(axis=-1)
        at = np.where(inside[:, None], at, 0)
        flat = (at[:, 0] * self.shape[1] + at[:, 1]) * self.shape[2] + at[:, 2]
        return np.where(inside, flat, -1)


def find_objects(
    anchor: Anchor, *, seen_from: NDArray[np.float64] | None = None
) -> tuple[Anchor, list[WorldObject]]:
    """Tell the objects of a reconstructed place from its floor, walls and ceiling.

    An object is a connected set of surface that stands on the floor, or near it, 0.15 to 2.6 m
    large, no larger than 2.4 m² on the ground. Walls are upright planes with next to nothing behind
    them; what hangs on them stays with them. Objects that touch are one; what is too large for one
    loses its tallest parts, such as walls that came out bent, and is tried again.

    Args:
        anchor: Surfaces, upright, floor at z = 0.
        seen_from: Where all of it was seen from [3], if from one place. Surfaces nearly along the
            line of sight then connect nothing: depth edges that came out soft look like that.

    Returns:
        The anchor with the objects' ids in `instance`, in the same order of points, and the objects
        (category "object"), largest first. Boxes stand upright and reach down to the floor where an
        object does.
    """
    voxel_m = max(_VOXEL_M, 2.5 * float(np.median(anchor.radius)))
    coarse = voxel_thin(replace(anchor, instance=np.zeros(len(anchor), np.int32)), voxel_m)
    low = anchor.points[:, 2] < _HIGHEST_M
    loose = low & ~_structure(anchor, _walls(coarse))
    firm = loose if seen_from is None else loose & ~_grazed(anchor, seen_from)
    area = 4.0 * anchor.radius.astype(np.float64) ** 2
    whole = _parts(anchor, np.flatnonzero(firm), voxel_m, area)
    too_large = [part for part in whole if _is_large(_box(anchor.points[part])[1])]
    if too_large:
        whole += _parts(
            anchor, _low_columns(anchor, np.concatenate(too_large), voxel_m), voxel_m, area
        )
    whole.sort(key=lambda part: (-float(area[part].sum()), int(part[0])))
    objects: list[WorldObject] = []
    instance = np.zeros(len(anchor), np.int32)
    for part in whole:
        if len(objects) == _MAX_OBJECTS:
            break
        pose, size = _box(anchor.points[part])
        if pose[2, 3] - size[2] / 2 > 0 or _is_large(size) or np.sort(size)[1] < _MIN_SIZE_M:
            continue
        instance[part] = len(objects) + 1
        instance[loose & (instance == 0) & _inside(anchor.points, pose, size)] = len(objects) + 1
        objects.append(WorldObject.at_rest(len(objects) + 1, "object", pose=pose, size=size))
    return replace(anchor, instance=instance), objects


def _grazed(anchor: Anchor, eye: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points whose surface lies nearly along the line of sight from a place [3], bool [N]."""
    sight = anchor.points - eye.astype(np.float32)
    cosine = np.einsum("ni,ni->n", sight, anchor.normals)
    length = np.sqrt(np.einsum("ni,ni->n", sight, sight))
    return np.asarray((np.abs(cosine) < _GRAZING_COS * length) & anchor.normals.any(axis=-1))


def _inside(
    points: NDArray[np.float32], pose: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Points [N, 3] in a box."""
    at = (points - pose[:3, 3].astype(np.float32)) @ pose[:3, :3].astype(np.float32)
    return np.asarray((np.abs(at) <= (size / 2).astype(np.float32)).all(axis=-1))


def _parts(
    anchor: Anchor, rows: NDArray[np.int64], voxel_m: float, area: NDArray[np.float64]
) -> list[NDArray[np.int64]]:
    """Rows of the points of each connected set of voxels that is not tiny."""
    if len(rows) == 0:
        return []
    points = anchor.points[rows]
    grid = _grid_of(points, voxel_m)
    label = _clusters(grid, points).reshape(-1)[grid.cells(points)]
    order = np.argsort(label, kind="stable")
    parts = np.split(rows[order], np.searchsorted(label[order], np.arange(2, label.max() + 1)))
    sums = np.bincount(label, weights=area[rows])[1:]
    return [part for part, total in zip(parts, sums, strict=True) if total >= _MIN_AREA_M2]


def _low_columns(anchor: Anchor, rows: NDArray[np.int64], voxel_m: float) -> NDArray[np.int64]:
    """Those of the points that nothing tall among them stands above or within a voxel of."""
    points = anchor.points[rows]
    at = np.floor(points[:, :2] / voxel_m).astype(np.int64)
    at -= at.min(axis=0) - 1
    tall = np.zeros(at.max(axis=0) + 2, np.bool_)
    limit = min(_TALL_M, _TALL_SHARE * float(np.percentile(points[:, 2], 99)))
    above = at[points[:, 2] > limit]
    for x in (-1, 0, 1):
        for y in (-1, 0, 1):
            tall[above[:, 0] + x, above[:, 1] + y] = True
    return np.sort(rows[~tall[at[:, 0], at[:, 1]]])


def _is_large(size: NDArray[np.float64]) -> bool:
    """Whether a box is larger than what is taken for one thing."""
    return bool(size.max() > _MAX_SIZE_M or size[0] * size[1] > _MAX_GROUND_M2)


def _structure(anchor: Anchor, walls: list[_Wall]) -> NDArray[np.bool_]:
    """Points of the floor, the ceiling and the walls, bool [N]."""
    taken = (anchor.points[:, 2] < _FLOOR_M) | _ceiling(anchor)
    for wall in walls:
        taken |= wall.takes(anchor.points)
    return taken


def _ceiling(anchor: Anchor) -> NDArray[np.bool_]:
    """Points of downward surfaces overhead, and all above them, bool [N]."""
    down = (anchor.normals[:, 2] < -_WALL_COS) & (anchor.points[:, 2] > _CEILING_M)
    area = 4.0 * anchor.radius[down].astype(np.float64) ** 2
    if area.sum() < _MIN_WALL_M2:
        return np.zeros(len(anchor), np.bool_)
    height = float(np.median(anchor.points[down, 2]))
    return np.asarray(anchor.points[:, 2] > height - _WALL_M)


def _walls(coarse: Anchor) -> list[_Wall]:
    """Large, tall, upright planes, the largest first."""
    area = 4.0 * coarse.radius.astype(np.float64) ** 2
    points = coarse.points.astype(np.float64)
    upright = np.abs(coarse.normals[:, 2]) < _LEVEL_COS
    upright &= (points[:, 2] > _FLOOR_M) & coarse.normals.any(axis=-1)
    total = area.sum()
    least = max(_MIN_WALL_M2, _MIN_WALL_SHARE * total)
    walls: list[_Wall] = []
    left = upright.copy()
    for _ in range(_MAX_WALLS):
        best, best_area = None, least
        for k in range(_DIRECTIONS):
            angle = 2 * np.pi * k / _DIRECTIONS
            normal = np.array([np.cos(angle), np.sin(angle), 0.0])
            found = _wall_along(normal, points, coarse.normals, area, left)
            if found is not None and found[1] > best_area:
                best, best_area = (normal, found[0]), found[1]
        if best is None:
            break
        normal, offset = _fitted(best, points, coarse.normals, area, left)
        on = left & (np.abs(points @ normal - offset) < _WALL_M)
        left &= ~on
        behind = area[points @ normal < offset - _WALL_M].sum()
        tall = np.ptp(np.percentile(points[on, 2], [5, 95])) if on.any() else 0.0
        outer = bool(behind <= _MAX_BEHIND * total)
        if tall >= (_MIN_WALL_HEIGHT_M if outer else _INNER_WALL_HEIGHT_M):
            walls.append(_Wall(normal, offset, outer))
    return walls


def _wall_along(
    normal: NDArray[np.float64],
    points: NDArray[np.float64],
    normals: NDArray[np.float32],
    area: NDArray[np.float64],
    left: NDArray[np.bool_],
) -> tuple[float, float] | None:
    """Offset and area of the largest plane that faces one direction."""
    facing = left & (normals @ normal > _WALL_COS)
    if not facing.any():
        return None
    offset = points[facing] @ normal
    low = offset.min()
    bins = np.bincount(((offset - low) / _VOXEL_M).astype(np.int64), weights=area[facing])
    band = np.convolve(bins, np.ones(3), mode="same")
    peak = int(band.argmax())
    return float(low + (peak + 0.5) * _VOXEL_M), float(band[peak])


def _fitted(
    wall: tuple[NDArray[np.float64], float],
    points: NDArray[np.float64],
    normals: NDArray[np.float32],
    area: NDArray[np.float64],
    left: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], float]:
    """The plane turned about the vertical and moved to fit its points by least squares."""
    normal, offset = wall
    for _ in range(3):
        on = left & (normals @ normal > _WALL_COS)
        on &= np.abs(points @ normal - offset) < 1.5 * _WALL_M
        if on.sum() < 3:
            break
        weight = area[on] / area[on].sum()
        middle = weight @ points[on, :2]
        spread = (points[on, :2] - middle) * np.sqrt(weight)[:, None]
        fitted = np.append(np.linalg.svd(spread, full_matrices=False)[2][1], 0.0)
        if abs(fitted @ normal) < _WALL_COS:
            break
        normal = fitted if fitted @ normal > 0 else -fitted
        offset = float(normal[:2] @ middle)
    return normal, offset


def _grid_of(points: NDArray[np.float32], voxel_m: float) -> _Grid:
    """A grid around points [N, 3]."""
    at = np.floor(points / voxel_m).astype(np.int64)
    low = at.min(axis=0)
    x, y, z = (at.max(axis=0) - low + 1).tolist()
    return _Grid(low, (x, y, z), voxel_m)


def _clusters(grid: _Grid, points: NDArray[np.float32]) -> NDArray[np.int32]:
    """Labels from 1 of voxels that touch by face, edge or corner, int32 [x, y, z]; 0 is empty."""
    filled = np.zeros(grid.shape, np.bool_)
    cells = np.unique(grid.cells(points))
    filled.reshape(-1)[cells] = True
    labels: NDArray[np.int32] = _label(filled, cells)
    return labels


@numba.njit(cache=True, nogil=True)
def _label(filled: Any, cells: Any) -> Any:
    """Connected components by flooding from each cell in turn."""
    nx, ny, nz = filled.shape
    labels = np.zeros((nx, ny, nz), np.int32)
    stack = np.empty(len(cells), np.int64)
    count = 0
    for seed in cells:
        x, y, z = seed // (ny * nz), seed // nz % ny, seed % nz
        if labels[x, y, z] != 0:
            continue
        count += 1
        labels[x, y, z] = count
        stack[0], held = seed, 1
        while held > 0:
            held -= 1
            x, y, z = stack[held] // (ny * nz), stack[held] // nz % ny, stack[held] % nz
            for i in range(max(x - 1, 0), min(x + 2, nx)):
                for j in range(max(y - 1, 0), min(y + 2, ny)):
                    for k in range(max(z - 1, 0), min(z + 2, nz)):
                        if filled[i, j, k] and labels[i, j, k] == 0:
                            labels[i, j, k] = count
                            stack[held] = (i * ny + j) * nz + k
                            held += 1
    return labels


def _box(points: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pose [4, 4] and size [3] of the upright box around points [N, 3].

    The box is turned so that its ground area is smallest, stray points left out. It reaches down to
    the floor where the points nearly do.
    """
    edges = [_OUTLIERS_PERCENT, 100 - _OUTLIERS_PERCENT]
    few = points[:: -(-len(points) // _BOX_SAMPLES)].astype(np.float64)
    bottom, top = np.percentile(few[:, 2], edges)
    bottom = 0.0 if bottom <= _BASE_M else bottom
    yaw = np.deg2rad(np.arange(-45.0, 45.0, 3.0))
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turns = np.stack([cosine, sine, -sine, cosine], axis=-1).reshape(-1, 2, 2)
    lows, highs = np.percentile(few[:, :2] @ turns.transpose(0, 2, 1), edges, axis=1)  # [Y, 2]
    best = int(np.prod(highs - lows, axis=-1).round(9).argmin())  # the first of equal ones
    turn, low, high = turns[best], lows[best], highs[best]
    pose = np.eye(4)
    pose[:2, :2] = turn.T
    pose[:2, 3] = turn.T @ ((low + high) / 2)
    pose[2, 3] = (bottom + top) / 2
    return pose, np.array([*np.maximum(high - low, _VOXEL_M), max(top - bottom, _VOXEL_M)])
