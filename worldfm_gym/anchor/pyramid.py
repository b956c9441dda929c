"""Splat pyramid: an anchor cut into cells and levels of detail, ready to be rasterised.

Points are grouped into cells: those of one rigid body (the background or one object), one cube
of space and one of seven facings, so that a cell is a patch that can be culled whole. Level 0 of a
cell holds its points; each next level merges them on a voxel grid twice as coarse, so that a
distant cell is drawn with fewer, larger, averaged splats and its texture does not alias.

Observed and generated points never share a cell, and the splats of observed points come first:
they are the same, in the same places, whatever points a world was grown by.
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
from worldfm_gym.errors import AnchorError

NEAR_M = 0.05  # nothing nearer is drawn
ABSENT_Z_M = np.float32(-1e6)  # depth of what is not there: culled whole by every backend
MAX_FOOTPRINT_PX = 64.0  # half side; only surfaces closer than a hand reach it
BLOCK = 16  # splats in a block of `geometry`: one cache line a component
LEVELS = 5
LEVEL_PIXELS = 2.0  # a level is drawn where its spacing covers at most so many pixels
# A disc of radius √2·r circumscribes the square of surface of half side r that a point stands for.
DISC_PER_RADIUS = np.float32(1.4142135)
CELL = 16  # cell side in finest voxels; a power of two ≥ 2**(LEVELS - 1), so voxels nest
GROUP = 4  # side of the cube of cells that are culled together
_CELLS_PER_GROUP = GROUP**3 * 7
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
        group_start: Cells of group g are ``group_start[g]:group_start[g + 1]``; a group holds the
            cells of one body in a cube of GROUP³ cell cubes, int32 [G + 1].
        group_sphere: Bounding spheres of the groups at rest, float32 [G, 4].
        spacing_m: Sampling distance of level 0, by observed points where there are any; level l has
            spacing_m · 2**l.
        inverse_rest: World-to-object transforms at rest of the K objects, float64 [K, 4, 4].
    """

    geometry: NDArray[np.float32]
    attributes: NDArray[np.int32]
    cell_sphere: NDArray[np.float32]
    cell_cone: NDArray[np.float32]
    cell_body: NDArray[np.int32]
    cell_start: NDArray[np.int32]
    group_start: NDArray[np.int32]
    group_sphere: NDArray[np.float32]
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

    Raises:
        AnchorError: If the anchor has 2**26 points or more.
    """
    if len(anchor) >= 1 << _INDEX_BITS:
        raise AnchorError(f"an anchor to draw can have up to 2**26 points, got {len(anchor):,}")
    observed = ~anchor.generated
    spacing = 2.0 * float(np.median(anchor.radius[observed] if observed.any() else anchor.radius))
    body_of = _body_lookup(anchor.instance, objects)
    voxel, key = _voxels_and_keys(
        anchor.points,
        anchor.normals,
        anchor.instance,
        anchor.generated,
        body_of,
        np.float32(1 / spacing),
    )
    order, key = _stable_order(key)
    cell = np.zeros(len(order), np.int32)
    np.cumsum(key[1:] != key[:-1], out=cell[1:])
    rows = _gather_rows(
        order,
        anchor.points,
        anchor.normals,
        anchor.radius,
        anchor.colors,
        anchor.generated,
        anchor.instance,
        body_of,
    )
    level = _Level(rows[0], rows[1], voxel[order], cell)
    levels = [level]
    for _ in range(LEVELS - 1):
        levels.append(_coarsen(levels[-1]))
    start = _level_starts(levels)
    geometry = np.zeros((-(-int(start[-1, -1]) // BLOCK), 8, BLOCK), np.float32)
    attributes = np.empty((int(start[-1, -1]), 4), np.int32)
    for depth, level in enumerate(levels):
        _place(level.splats, level.attributes, level.cell, start[:, depth], geometry, attributes)
    sphere, cone = _cell_bounds(start, geometry)
    first_point = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    group = key[first_point] // _CELLS_PER_GROUP
    group_start = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1], [True]]))
    return SplatPyramid(
        geometry=geometry,
        attributes=attributes,
        cell_sphere=sphere,
        cell_cone=cone,
        cell_body=attributes[start[:, 0], 3].copy(),
        cell_start=start,
        group_start=group_start.astype(np.int32),
        group_sphere=_group_spheres(group_start, sphere),
        spacing_m=spacing,
        inverse_rest=np.reshape([invert_rigid(item.rest_pose) for item in objects], (-1, 4, 4)),
    )


@dataclass(frozen=True, slots=True)
class _Level:
    """Splats of one level in cell order, laid out as in `SplatPyramid`, with a row a splat.

    `voxel` packs the position in the cell, four bits a coordinate.
    """

    splats: NDArray[np.float32]
    attributes: NDArray[np.int32]
    voxel: NDArray[np.int32]
    cell: NDArray[np.int32]


def _body_lookup(instance: NDArray[np.int32], objects: Sequence[WorldObject]) -> NDArray[np.int32]:
    """Body of each instance id; ids without an object are background."""
    lookup = np.zeros(int(max(instance.max(), *(o.instance for o in objects), 0)) + 1, np.int32)
    for k, item in enumerate(objects):
        lookup[item.instance] = k + 1
    return lookup


@numba.njit(cache=True, nogil=True)
def _voxels_and_keys(
    points: Any, normals: Any, instance: Any, generated: Any, body_of: Any, per_metre: Any
) -> Any:
    """Packed voxel in its cube, and sort key by provenance, group, cube and facing, of each point.

    Observed points and generated ones have a grid of their own, each from its lowest corner.
    """
    voxel = np.empty(len(points), np.int32)
    key = np.empty(len(points), np.int64)
    low = np.full((2, 3), np.inf, np.float32)
    high = np.full((2, 3), -np.inf, np.float32)
    for i in range(len(points)):
        g = np.int64(generated[i])
        for a in range(3):
            low[g, a], high[g, a] = min(low[g, a], points[i, a]), max(high[g, a], points[i, a])
    extent = np.zeros((2, 3), np.int64)
    for part in range(2):
        for a in range(3):
            if low[part, a] <= high[part, a]:
                cubes = np.int64((high[part, a] - low[part, a]) * per_metre) // CELL
                extent[part, a] = cubes // GROUP + 1
    bodies = np.int64(body_of.max()) + 1
    first_generated = bodies * extent[0, 0] * extent[0, 1] * extent[0, 2]
    for i in range(len(points)):
        g = np.int64(generated[i])
        x = np.int64((points[i, 0] - low[g, 0]) * per_metre)
        y = np.int64((points[i, 1] - low[g, 1]) * per_metre)
        z = np.int64((points[i, 2] - low[g, 2]) * per_metre)
        voxel[i] = ((z % CELL) << 8) | ((y % CELL) << 4) | (x % CELL)
        nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
        ax, ay, az = abs(nx), abs(ny), abs(nz)
        if ax == 0 and ay == 0 and az == 0:
            facing = 6
        elif ax >= ay and ax >= az:
            facing = 0 + (nx > 0)
        elif ay >= az:
            facing = 2 + (ny > 0)
        else:
            facing = 4 + (nz > 0)
        group = np.int64(body_of[instance[i]] if instance[i] > 0 else 0)
        x, y, z = x // CELL, y // CELL, z // CELL
        for a, at in ((2, z), (1, y), (0, x)):
            group = group * extent[g, a] + at // GROUP
        group += first_generated * g
        cube = ((z % GROUP) * GROUP + y % GROUP) * GROUP + x % GROUP
        key[i] = group * _CELLS_PER_GROUP + cube * 7 + facing
    return voxel, key


def _stable_order(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stable argsort and sorted keys, by NumPy's SIMD sort of keys with the index packed in."""
    if int(key.max()) >= 1 << (63 - _INDEX_BITS):
        order = np.argsort(key, kind="stable")
        return order, key[order]
    packed = (key << _INDEX_BITS) | np.arange(len(key))
    packed.sort()
    return packed & ((1 << _INDEX_BITS) - 1), packed >> _INDEX_BITS


@numba.njit(cache=True, nogil=True)
def _gather_rows(
    order: Any,
    points: Any,
    normals: Any,
    radius: Any,
    colors: Any,
    generated: Any,
    instance: Any,
    body_of: Any,
) -> Any:
    """Splat and attribute rows of the anchor's points."""
    splats = np.zeros((len(order), 8), np.float32)
    attributes = np.empty((len(order), 4), np.int32)
    for j in range(len(order)):
        i = order[j]
        for a in range(3):
            splats[j, a] = points[i, a]
            splats[j, 4 + a] = normals[i, a]
        splats[j, 3] = radius[i] * DISC_PER_RADIUS
        attributes[j, 0] = (
            np.int32(colors[i, 0])
            | (np.int32(colors[i, 1]) << 8)
            | (np.int32(colors[i, 2]) << 16)
            | (np.int32(generated[i]) << 24)
        )
        attributes[j, 1], attributes[j, 2] = instance[i], i
        attributes[j, 3] = body_of[instance[i]] if instance[i] > 0 else 0
    return splats, attributes


def _coarsen(fine: _Level) -> _Level:
    """Merge splats of a cell that share a voxel twice as large."""
    voxel = (fine.voxel >> 1) & 0x777
    order, key = _stable_order((fine.cell.astype(np.int64) << 12) | voxel)
    first = np.flatnonzero(key[1:] != key[:-1]) + 1
    first = np.concatenate([[0], first, [len(order)]])
    splats, attributes = _merge(order, first, fine.splats, fine.attributes)
    head = order[first[:-1]]
    return _Level(splats, attributes, voxel[head], fine.cell[head])


@numba.njit(cache=True, nogil=True)
def _merge(order: Any, start: Any, splats: Any, attributes: Any) -> Any:
    """Average position, normal and color of each group weighted by area; areas add up."""
    count = len(start) - 1
    merged = np.zeros((count, 8), np.float32)
    out = np.empty((count, 4), np.int32)
    mean = np.empty(8)
    for g in range(count):
        mean[:] = 0.0
        red, green, blue, generated, area = 0.0, 0.0, 0.0, 0.0, 0.0
        for a in range(4):  # assigning the row takes Numba seconds to compile
            out[g, a] = attributes[order[start[g]], a]
        for j in range(start[g], start[g + 1]):
            i = order[j]
            w = np.float64(splats[i, 3]) * np.float64(splats[i, 3])
            area += w
            for a in range(3):
                mean[a] += w * splats[i, a]
                mean[4 + a] += w * splats[i, 4 + a]
            color = attributes[i, 0]
            red += w * (color & 255)
            green += w * ((color >> 8) & 255)
            blue += w * ((color >> 16) & 255)
            generated += w * (color >> 24)
            out[g, 2] = min(out[g, 2], attributes[i, 2])
        length = np.sqrt(mean[4] * mean[4] + mean[5] * mean[5] + mean[6] * mean[6])
        for a in range(3):
            merged[g, a] = mean[a] / area
            merged[g, 4 + a] = mean[4 + a] / length if length > 0 else 0.0
        merged[g, 3] = np.sqrt(area)
        out[g, 0] = (
            np.int32(red / area + 0.5)
            | (np.int32(green / area + 0.5) << 8)
            | (np.int32(blue / area + 0.5) << 16)
            | (np.int32(generated / area + 0.5) << 24)
        )
    return merged, out


def _level_starts(levels: Sequence[_Level]) -> NDArray[np.int32]:
    """Where each level of each cell starts and ends, int32 [C, LEVELS + 1]."""
    cells = int(levels[0].cell[-1]) + 1
    counts = np.stack([np.bincount(level.cell, minlength=cells) for level in levels], axis=1)
    flat = np.concatenate([[0], np.cumsum(counts.ravel())])
    start = np.empty((cells, LEVELS + 1), np.int32)
    start[:, :LEVELS] = flat[:-1].reshape(cells, LEVELS)
    start[:, LEVELS] = flat[LEVELS::LEVELS]
    return start


@numba.njit(cache=True, nogil=True)
def _place(
    splats: Any, attributes: Any, cell: Any, start: Any, geometry: Any, out_attributes: Any
) -> None:
    """Copy one level to where its cells start."""
    previous, slot = -1, 0
    for i in range(len(cell)):
        slot = start[cell[i]] if cell[i] != previous else slot + 1
        previous = cell[i]
        for a in range(8):
            geometry[slot // BLOCK, a, slot % BLOCK] = splats[i, a]
        for a in range(4):
            out_attributes[slot, a] = attributes[i, a]


@numba.njit(cache=True, nogil=True)
def _cell_bounds(start: Any, geometry: Any) -> Any:
    """Spheres around what the footprints of each cell may reach, and cones around its normals."""
    spheres = np.empty((len(start), 4), np.float32)
    cones = np.empty((len(start), 6), np.float32)
    low, high, axis = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3)
    for c in range(len(start)):
        first, end = start[c, 0], start[c, -1]
        low[:], high[:], axis[:] = np.inf, -np.inf, 0.0
        for s in range(first, end):
            for a in range(3):
                value = geometry[s // BLOCK, a, s % BLOCK]
                low[a], high[a] = min(low[a], value), max(high[a], value)
                axis[a] += geometry[s // BLOCK, 4 + a, s % BLOCK]
        length = np.sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2])
        for a in range(3):
            spheres[c, a] = (low[a] + high[a]) / 2
            cones[c, a] = axis[a] / max(length, 1e-12)
        radius, reach, behind, cosine, flat = 0.0, 0.0, 0.0, 1.0, length > 0
        for s in range(first, end):
            b, lane = s // BLOCK, s % BLOCK
            squared, along, across = 0.0, 0.0, 0.0
            for a in range(3):
                offset = geometry[b, a, lane] - spheres[c, a]
                squared += offset * offset
                along += cones[c, a] * offset
                across += cones[c, a] * geometry[b, 4 + a, lane]
                flat &= geometry[b, 4 + a, lane] == geometry[first // BLOCK, 4 + a, first % BLOCK]
            distance = np.sqrt(squared)
            radius = max(radius, distance)
            reach = max(reach, distance + 2.0 * geometry[b, 3, lane])
            behind, cosine = max(behind, -along), min(cosine, across)
        spheres[c, 3] = reach * 1.01 + 1e-4
        if flat:
            cones[c, 3], cones[c, 4], cones[c, 5] = 1.0, 0.0, behind
        elif cosine > 0.0:
            spread = min(np.arccos(min(cosine, 1.0)) + 1e-3, np.pi / 2)
            cones[c, 3], cones[c, 4], cones[c, 5] = np.cos(spread), np.sin(spread), radius
        else:
            cones[c, 3], cones[c, 4], cones[c, 5] = 0.0, 0.0, np.inf
    return spheres, cones


@numba.njit(cache=True, nogil=True)
def _group_spheres(start: Any, spheres: Any) -> Any:
    """Spheres around the spheres of the cells of each group."""
    out = np.empty((len(start) - 1, 4), np.float32)
    for g in range(len(start) - 1):
        first, end = start[g], start[g + 1]
        for a in range(3):
            total = 0.0
            for c in range(first, end):
                total += spheres[c, a]
            out[g, a] = total / (end - first)
        reach = 0.0
        for c in range(first, end):
            squared = 0.0
            for a in range(3):
                squared += (spheres[c, a] - out[g, a]) ** 2
            reach = max(reach, np.sqrt(squared) + spheres[c, 3])
        out[g, 3] = reach * 1.001
    return out
