"""Splat pyramid: an anchor cut into cells and levels of detail, ready to be rasterised.

Points are grouped into cubic cells, one rigid body per cell (the background or one object). Level 0
of a cell holds its points; each next level merges them on a voxel grid twice as coarse, so that a
distant cell is drawn with fewer, larger, averaged splats and its texture does not alias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import invert_rigid

NEAR_M = 0.05  # nothing nearer is drawn
MAX_FOOTPRINT_PX = 64.0  # half side; only surfaces closer than a hand reach it
LEVELS = 5
LEVEL_PIXELS = 1.5  # a level is drawn where its spacing covers at most so many pixels
# A disc of radius √2·r circumscribes the square of surface of half side r that a point stands for.
DISC_PER_RADIUS = np.float32(1.4142135)
_CELL_VOXELS = 16  # cell side in finest voxels; a power of two ≥ 2**(LEVELS - 1), so voxels nest
_INDEX_BITS = 26


@dataclass(frozen=True, slots=True)
class SplatPyramid:
    """Splats of one world, contiguous by cell and, within a cell, by level.

    Attributes:
        geometry: x, y, z, disc radius, normal x, y, z at rest, float32 [7, M].
        rgba: sRGB and 1 for generated, 0 for observed, uint8 [M, 4].
        instance: Object ids, int32 [M].
        source: Index of the anchor point that the splat stands for (of several merged: the first),
            int32 [M].
        cell_sphere: Bounding spheres of the cells at rest (x, y, z, radius), float32 [C, 4].
        cell_body: Body of each cell, 0 background, k + 1 the world's object k, int32 [C].
        cell_start: Level l of cell c is ``cell_start[c, l]:cell_start[c, l + 1]``,
            int32 [C, LEVELS + 1].
        body: Body of each splat, int32 [M].
        spacing_m: Sampling distance of level 0; level l has spacing_m · 2**l.
        inverse_rest: World-to-object transforms at rest of the K objects, float64 [K, 4, 4].
    """

    geometry: NDArray[np.float32]
    rgba: NDArray[np.uint8]
    instance: NDArray[np.int32]
    source: NDArray[np.int32]
    cell_sphere: NDArray[np.float32]
    cell_body: NDArray[np.int32]
    cell_start: NDArray[np.int32]
    body: NDArray[np.int32]
    spacing_m: float
    inverse_rest: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.geometry.shape[1])


def build_pyramid(anchor: Anchor, objects: Sequence[WorldObject] = ()) -> SplatPyramid:
    """Cut an anchor into cells and levels.

    Args:
        anchor: Points at rest.
        objects: The world's objects; points of other instances belong to the background body.
    """
    if len(anchor) >= 1 << _INDEX_BITS:
        raise ValueError(f"an anchor to draw can have up to 2**26 points, got {len(anchor):,}")
    spacing = 2.0 * float(np.median(anchor.radius))
    body = _body_of_points(anchor.instance, objects)
    low = anchor.points.min(axis=0).astype(np.float64)
    voxel = np.floor((anchor.points - low) / spacing).astype(np.int64)  # [N, 3] finest voxels
    order, cell_of_point = _cells(voxel, body)
    level = _Level(
        points=anchor.points[order],
        normals=anchor.normals[order],
        colors=np.concatenate(
            [anchor.colors[order], anchor.generated[order, None].astype(np.uint8)], axis=1
        ),
        radius=anchor.radius[order],
        instance=anchor.instance[order],
        source=order.astype(np.int32),
        voxel=voxel[order] % _CELL_VOXELS,
        cell=cell_of_point,
    )
    levels = [level]
    for _ in range(LEVELS - 1):
        levels.append(_coarsen(levels[-1]))
    inverse_rest = [invert_rigid(item.rest_pose) for item in objects]
    return _interleave(levels, body[order], spacing, np.reshape(inverse_rest, (-1, 4, 4)))


@dataclass(frozen=True, slots=True)
class _Level:
    """Splats of one level in cell order; `voxel` [M, 3] is relative to the cell."""

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    colors: NDArray[np.uint8]
    radius: NDArray[np.float32]
    instance: NDArray[np.int32]
    source: NDArray[np.int32]
    voxel: NDArray[np.int64]
    cell: NDArray[np.int32]


def _body_of_points(
    instance: NDArray[np.int32], objects: Sequence[WorldObject]
) -> NDArray[np.int32]:
    lookup = np.zeros(int(max(instance.max(), *(o.instance for o in objects), 0)) + 1, np.int32)
    for k, item in enumerate(objects):
        lookup[item.instance] = k + 1
    return np.where(instance > 0, lookup[np.maximum(instance, 0)], 0).astype(np.int32)


def _cells(
    voxel: NDArray[np.int64], body: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Order of points by (body, cell), and the cell rank of each point in that order."""
    cell = voxel // _CELL_VOXELS
    extent = cell.max(axis=0) + 1
    key = ((body * extent[2] + cell[:, 2]) * extent[1] + cell[:, 1]) * extent[0] + cell[:, 0]
    order, key = _stable_order(key)
    rank = np.zeros(len(key), np.int32)
    np.cumsum(key[1:] != key[:-1], out=rank[1:])
    return order, rank


def _stable_order(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stable argsort and sorted keys, by NumPy's SIMD sort of keys with the index packed in."""
    if int(key.max(initial=0)) >= 1 << (63 - _INDEX_BITS):
        order = np.argsort(key, kind="stable")
        return order, key[order]
    packed = np.sort((key << _INDEX_BITS) | np.arange(len(key)))
    return packed & ((1 << _INDEX_BITS) - 1), packed >> _INDEX_BITS


def _coarsen(fine: _Level) -> _Level:
    """Merge splats of a cell that share a voxel twice as large and face the same way."""
    voxel = fine.voxel >> 1
    dominant = np.abs(fine.normals).argmax(axis=1)
    sign = np.take_along_axis(fine.normals, dominant[:, None], axis=1)[:, 0]
    facing = np.where(sign == 0, 6, 2 * dominant + (sign > 0))
    key = (fine.cell * np.int64(1) << 9) | (voxel[:, 2] << 6) | (voxel[:, 1] << 3) | voxel[:, 0]
    order, key = _stable_order(key * 8 + facing)
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    merged = _merge(
        order,
        np.append(first, len(order)),
        fine.points,
        fine.normals,
        fine.colors,
        fine.radius,
        fine.source,
    )
    points, normals, colors, radius, source = merged
    head = order[first]
    return _Level(
        points, normals, colors, radius, fine.instance[head], source, voxel[head], fine.cell[head]
    )


@numba.njit(cache=True, nogil=True)
def _merge(
    order: Any, start: Any, points: Any, normals: Any, colors: Any, radius: Any, source: Any
) -> Any:
    """Average position, normal and color of each group weighted by area; areas add up."""
    count = len(start) - 1
    out_points = np.empty((count, 3), np.float32)
    out_normals = np.zeros((count, 3), np.float32)
    out_colors = np.empty((count, 4), np.uint8)
    out_radius = np.empty(count, np.float32)
    out_source = np.empty(count, np.int32)
    for g in range(count):
        area, px, py, pz, nx, ny, nz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        c0, c1, c2, c3 = 0.0, 0.0, 0.0, 0.0
        representative = source[order[start[g]]]
        for j in range(start[g], start[g + 1]):
            i = order[j]
            w = np.float64(radius[i]) * np.float64(radius[i])
            area += w
            px += w * points[i, 0]
            py += w * points[i, 1]
            pz += w * points[i, 2]
            nx += w * normals[i, 0]
            ny += w * normals[i, 1]
            nz += w * normals[i, 2]
            c0 += w * colors[i, 0]
            c1 += w * colors[i, 1]
            c2 += w * colors[i, 2]
            c3 += w * colors[i, 3]
            representative = min(representative, source[i])
        out_points[g, 0], out_points[g, 1], out_points[g, 2] = px / area, py / area, pz / area
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length > 0:
            out_normals[g, 0], out_normals[g, 1] = nx / length, ny / length
            out_normals[g, 2] = nz / length
        out_colors[g, 0] = np.uint8(c0 / area + 0.5)
        out_colors[g, 1] = np.uint8(c1 / area + 0.5)
        out_colors[g, 2] = np.uint8(c2 / area + 0.5)
        out_colors[g, 3] = np.uint8(c3 / area + 0.5)
        out_radius[g] = np.sqrt(area)
        out_source[g] = representative
    return out_points, out_normals, out_colors, out_radius, out_source


def _interleave(
    levels: Sequence[_Level],
    body: NDArray[np.int32],
    spacing: float,
    inverse_rest: NDArray[np.float64],
) -> SplatPyramid:
    """Lay the levels out contiguously by cell, level and order within the level."""
    cells = int(levels[0].cell[-1]) + 1
    counts = np.stack([np.bincount(level.cell, minlength=cells) for level in levels], axis=1)
    flat = np.concatenate([[0], np.cumsum(counts.ravel())])
    start = np.empty((cells, LEVELS + 1), np.int32)
    start[:, :LEVELS] = flat[:-1].reshape(cells, LEVELS)
    start[:, LEVELS] = flat[LEVELS::LEVELS]
    total = int(flat[-1])
    geometry = np.empty((7, total), np.float32)
    rgba = np.empty((total, 4), np.uint8)
    instance = np.empty(total, np.int32)
    source = np.empty(total, np.int32)
    for depth, level in enumerate(levels):
        first = np.cumsum(counts[:, depth]) - counts[:, depth]
        slot = np.arange(len(level.cell)) + (start[:, depth] - first)[level.cell]
        geometry[:3, slot] = level.points.T
        geometry[3, slot] = level.radius * DISC_PER_RADIUS
        geometry[4:, slot] = level.normals.T
        rgba[slot] = level.colors
        instance[slot] = level.instance
        source[slot] = level.source
    first_point = np.cumsum(counts[:, 0]) - counts[:, 0]
    cell_body = body[first_point]
    return SplatPyramid(
        geometry=geometry,
        rgba=rgba,
        instance=instance,
        source=source,
        cell_sphere=_bounding_spheres(start, geometry),
        cell_body=cell_body,
        cell_start=start,
        body=np.repeat(cell_body, counts.sum(axis=1)),
        spacing_m=spacing,
        inverse_rest=inverse_rest,
    )


@numba.njit(cache=True, nogil=True)
def _bounding_spheres(start: Any, geometry: Any) -> Any:
    """Spheres around the splats of each cell and what their first-order footprints may reach."""
    spheres = np.empty((len(start), 4), np.float32)
    for c in range(len(start)):
        first, end = start[c, 0], start[c, -1]
        x0 = y0 = z0 = np.float32(np.inf)
        x1 = y1 = z1 = np.float32(-np.inf)
        for i in range(first, end):
            x0, x1 = min(x0, geometry[0, i]), max(x1, geometry[0, i])
            y0, y1 = min(y0, geometry[1, i]), max(y1, geometry[1, i])
            z0, z1 = min(z0, geometry[2, i]), max(z1, geometry[2, i])
        x, y, z = (x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2
        reach = 0.0
        for i in range(first, end):
            dx, dy, dz = geometry[0, i] - x, geometry[1, i] - y, geometry[2, i] - z
            reach = max(reach, np.sqrt(dx * dx + dy * dy + dz * dz) + 2.0 * geometry[3, i])
        spheres[c, 0], spheres[c, 1], spheres[c, 2] = x, y, z
        spheres[c, 3] = reach * 1.01 + 1e-4
    return spheres
