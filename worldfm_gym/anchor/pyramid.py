"""Splat pyramid: an anchor cut into cells and levels of detail, ready to be rasterised.

Points are grouped into cells: those of one rigid body (the background or one object), one cube of
space and one of seven facings, so that a cell is a patch that can be culled whole. Level 0 of a cell
holds its points; each next level merges them on a voxel grid twice as coarse, so that a distant cell
is drawn with fewer, larger, averaged splats and its texture does not alias.
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
BLOCK = 16  # splats in a block of `geometry`: one cache line a component
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
        geometry: x, y, z, disc radius, normal x, y, z, 0 at rest in blocks of splats, float32
            [⌈M / BLOCK⌉, 8, BLOCK]: splat s is ``geometry[s // BLOCK, :, s % BLOCK]``.
        attributes: Color, object id, anchor point (of several merged: the first) and body, int32
            [M, 4]; the color is r | g << 8 | b << 16, and bit 24 marks generated points.
        cell_sphere: Bounding spheres of the cells at rest (x, y, z, radius), float32 [C, 4].
        cell_cone: What culls a cell that faces away: axis x, y, z of its normals, cosine and sine
            of their spread, and how far its points reach behind its center, float32 [C, 6].
        cell_body: Body of each cell, 0 background, k + 1 the world's object k, int32 [C].
        cell_start: Level l of cell c is ``cell_start[c, l]:cell_start[c, l + 1]``,
            int32 [C, LEVELS + 1].
        spacing_m: Sampling distance of level 0; level l has spacing_m · 2**l.
        inverse_rest: World-to-object transforms at rest of the K objects, float64 [K, 4, 4].
    """

    geometry: NDArray[np.float32]
    attributes: NDArray[np.int32]
    cell_sphere: NDArray[np.float32]
    cell_cone: NDArray[np.float32]
    cell_body: NDArray[np.int32]
    cell_start: NDArray[np.int32]
    spacing_m: float
    inverse_rest: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.attributes)

    @property
    def splats(self) -> NDArray[np.float32]:
        """A copy of `geometry` with one splat a row, float32 [M, 8]."""
        return self.geometry.transpose(0, 2, 1).reshape(-1, 8)[: len(self)]


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
    order, cell_of_point = _cells(voxel, body, anchor.normals)
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
    voxel: NDArray[np.int64], body: NDArray[np.int32], normals: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Order of points by (body, cube, facing), and the cell rank of each point in that order."""
    cube = voxel // _CELL_VOXELS
    extent = cube.max(axis=0) + 1
    key = ((body * extent[2] + cube[:, 2]) * extent[1] + cube[:, 1]) * extent[0] + cube[:, 0]
    dominant = np.abs(normals).argmax(axis=1)
    along = np.take_along_axis(normals, dominant[:, None], axis=1)[:, 0]
    key = key * 7 + np.where(along == 0, 6, 2 * dominant + (along > 0))
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
    """Merge splats of a cell that share a voxel twice as large."""
    voxel = fine.voxel >> 1
    key = (fine.cell.astype(np.int64) << 9) | (voxel[:, 2] << 6) | (voxel[:, 1] << 3) | voxel[:, 0]
    order, key = _stable_order(key)
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
    geometry = np.zeros((total, 8), np.float32)
    attributes = np.empty((total, 4), np.int32)
    for depth, level in enumerate(levels):
        first = np.cumsum(counts[:, depth]) - counts[:, depth]
        slot = np.arange(len(level.cell)) + (start[:, depth] - first)[level.cell]
        geometry[slot, :3] = level.points
        geometry[slot, 3] = level.radius * DISC_PER_RADIUS
        geometry[slot, 4:7] = level.normals
        attributes[slot, 0] = level.colors.view(np.int32)[:, 0]
        attributes[slot, 1] = level.instance
        attributes[slot, 2] = level.source
    cell_body = body[np.cumsum(counts[:, 0]) - counts[:, 0]]
    attributes[:, 3] = np.repeat(cell_body, counts.sum(axis=1))
    sphere, cone = _cell_bounds(start, geometry)
    blocks = np.zeros((-(-total // BLOCK) * BLOCK, 8), np.float32)
    blocks[:total] = geometry
    return SplatPyramid(
        geometry=np.ascontiguousarray(blocks.reshape(-1, BLOCK, 8).transpose(0, 2, 1)),
        attributes=attributes,
        cell_sphere=sphere,
        cell_cone=cone,
        cell_body=cell_body,
        cell_start=start,
        spacing_m=spacing,
        inverse_rest=inverse_rest,
    )


@numba.njit(cache=True, nogil=True)
def _cell_bounds(start: Any, geometry: Any) -> Any:
    """Spheres around what the footprints of each cell may reach, and cones around its normals."""
    spheres = np.empty((len(start), 4), np.float32)
    cones = np.empty((len(start), 6), np.float32)
    for c in range(len(start)):
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        axis = np.zeros(3)
        for i in range(start[c, 0], start[c, -1]):
            for a in range(3):
                low[a], high[a] = min(low[a], geometry[i, a]), max(high[a], geometry[i, a])
                axis[a] += geometry[i, 4 + a]
        middle = ((low + high) / 2).astype(np.float32)
        length = np.sqrt((axis * axis).sum())
        axis /= max(length, 1e-12)
        radius, reach, behind, cosine, flat = 0.0, 0.0, 0.0, 1.0, True
        for i in range(start[c, 0], start[c, -1]):
            x = geometry[i, 0] - middle[0]
            y = geometry[i, 1] - middle[1]
            z = geometry[i, 2] - middle[2]
            distance = np.sqrt(x * x + y * y + z * z)
            radius = max(radius, distance)
            reach = max(reach, distance + 2.0 * geometry[i, 3])
            nx, ny, nz = geometry[i, 4], geometry[i, 5], geometry[i, 6]
            cosine = min(cosine, axis[0] * nx + axis[1] * ny + axis[2] * nz)
            behind = max(behind, -(axis[0] * x + axis[1] * y + axis[2] * z))
            flat &= nx == geometry[start[c, 0], 4] and ny == geometry[start[c, 0], 5]
        spheres[c, :3] = middle
        spheres[c, 3] = reach * 1.01 + 1e-4
        cones[c, :3] = axis
        if flat and length > 0:
            cones[c, 3], cones[c, 4], cones[c, 5] = 1.0, 0.0, behind
        elif cosine > 0.0:
            wider = min(np.arccos(min(cosine, 1.0)) + 1e-3, np.pi / 2)
            cones[c, 3], cones[c, 4], cones[c, 5] = np.cos(wider), np.sin(wider), radius
        else:
            cones[c, 3], cones[c, 4], cones[c, 5] = 0.0, 0.0, np.inf
    return spheres, cones
