"""The compiled CPU raster: the arithmetic of `raster_torch` with culling, in numba.

Each task draws one band of columns of one camera, on one thread:

1. keep the cells whose bounding sphere meets the band's frustum and choose their level;
2. order them front to back;
3. skip cells that lie behind what is drawn already (a conservative test against the farthest depth
   of 8×8-pixel tiles), splat the others into a buffer of (depth ‖ splat) keys;
4. resolve winners to color, instance and depth on the tangent plane.

Skipping never changes a winner, so the picture equals the oracle's.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from worldfm_gym.anchor.pyramid import MAX_FOOTPRINT_PX, NEAR_M, SplatPyramid

_NEAR = np.float32(NEAR_M)
_MAX_HALF = np.float32(MAX_FOOTPRINT_PX)
_HALF, _ONE, _TWO, _ZERO = np.float32(0.5), np.float32(1), np.float32(2), np.float32(0)
_MIN_SLOPE = np.float32(-1e-3)
_TILE = 8
_SHELLS = 64
_EMPTY = np.uint64((1 << 63) - 1)
_SKIN = np.float32(1e-3)  # metres of slack in the culling tests against rounding


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Cast an integer address to a void pointer for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def _bits(typing_context: Any, value: Any) -> Any:
    """The bit pattern of a float32 as uint32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], cgutils.int32_t)

    return types.uint32(types.float32), codegen


@intrinsic
def _from_bits(typing_context: Any, value: Any) -> Any:
    """The float32 of a bit pattern."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        import llvmlite.ir as ir

        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), codegen


@numba.njit(cache=True, nogil=True, inline="always")
def _transform(m: Any, x: Any, y: Any, z: Any) -> Any:
    """M [3, 4] applied to a point, in the oracle's order."""
    return (
        ((m[0, 0] * x + m[0, 1] * y) + m[0, 2] * z) + m[0, 3],
        ((m[1, 0] * x + m[1, 1] * y) + m[1, 2] * z) + m[1, 3],
        ((m[2, 0] * x + m[2, 1] * y) + m[2, 2] * z) + m[2, 3],
    )


@numba.njit(cache=True, nogil=True, inline="always")
def _rotate(m: Any, x: Any, y: Any, z: Any) -> Any:
    """The rotation of m [3, 4] applied to a direction."""
    return (
        (m[0, 0] * x + m[0, 1] * y) + m[0, 2] * z,
        (m[1, 0] * x + m[1, 1] * y) + m[1, 2] * z,
        (m[2, 0] * x + m[2, 1] * y) + m[2, 2] * z,
    )


@numba.njit(cache=True, nogil=True)
def _visible_cells(
    sphere: Any, body: Any, m: Any, k: Any, band: Any, levels: Any, cell: Any, level: Any, near: Any
) -> int:
    """List the cells that meet the band's frustum with their level and nearest z; return the count."""
    u0, u1, height = np.float32(band[0]), np.float32(band[1]), np.float32(band[2])
    fx, fy, cx, cy = k[0], k[1], k[2], k[3]
    # Side planes as (a, b) of a·x + b·z ≥ 0, unit normals, pointing inwards.
    al, bl = fx, cx - u0
    ar, br = -fx, u1 - cx
    at, bt = fy, cy
    ab, bb = -fy, height - cy
    nl, nr = _ONE / np.sqrt(al * al + bl * bl), _ONE / np.sqrt(ar * ar + br * br)
    nt, nb = _ONE / np.sqrt(at * at + bt * bt), _ONE / np.sqrt(ab * ab + bb * bb)
    count = 0
    for c in range(len(sphere)):
        x, y, z = _transform(m[body[c]], sphere[c, 0], sphere[c, 1], sphere[c, 2])
        reach = sphere[c, 3] + _SKIN
        # A splat covers at least one pixel, so the sphere is widened by a pixel at its far side.
        side = reach + (z + reach) / min(fx, fy)
        if (
            z + reach < _NEAR
            or (al * x + bl * z) * nl < -side
            or (ar * x + br * z) * nr < -side
            or (at * y + bt * z) * nt < -side
            or (ab * y + bb * z) * nb < -side
        ):
            continue
        distance = np.sqrt((x * x + y * y) + z * z)
        chosen = 0
        for i in range(len(levels)):
            if distance >= levels[i]:
                chosen += 1
        cell[count] = c
        level[count] = chosen
        near[count] = max(z - reach, _NEAR)
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _front_to_back(near: Any, count: int, order: Any) -> None:
    """Counting sort of cells into shells of growing nearest depth."""
    start = np.zeros(_SHELLS + 1, np.int32)
    shell = np.empty(count, np.uint8)
    for i in range(count):
        # Shells of equal width up to 8 m, then one for the rest.
        shell[i] = np.uint8(min(np.int32(near[i] * np.float32(8)), _SHELLS - 1))
        start[shell[i] + 1] += 1
    for s in range(_SHELLS):
        start[s + 1] += start[s]
    for i in range(count):
        order[start[shell[i]]] = i
        start[shell[i]] += 1


@numba.njit(cache=True, nogil=True)
def _tile_rect(x: Any, y: Any, z: Any, reach: Any, k: Any, band: Any, rect: Any) -> bool:
    """Tiles [tu0, tu1] × [tv0, tv1] of the band that a sphere may cover; False if too near to tell."""
    low = z - reach
    if low < np.float32(0.25):
        return False
    high = z + reach
    x0, x1, y0, y1 = x - reach, x + reach, y - reach, y + reach
    u_low = k[0] * (x0 / (low if x0 < _ZERO else high)) + k[2]
    u_high = k[0] * (x1 / (high if x1 < _ZERO else low)) + k[2]
    v_low = k[1] * (y0 / (low if y0 < _ZERO else high)) + k[3]
    v_high = k[1] * (y1 / (high if y1 < _ZERO else low)) + k[3]
    rect[0] = (max(np.int32(u_low) - 2, band[0]) - band[0]) // _TILE
    rect[1] = (min(np.int32(u_high) + 2, band[1] - 1) - band[0]) // _TILE
    rect[2] = max(np.int32(v_low) - 2, 0) // _TILE
    rect[3] = min(np.int32(v_high) + 2, band[2] - 1) // _TILE
    return True


@numba.njit(cache=True, nogil=True)
def _hidden(near_bits: Any, rect: Any, buffer: Any, farthest: Any, stale: Any) -> bool:
    """Whether everything in the tiles of `rect` is nearer than `near_bits`; refreshes stale tiles."""
    height, width = buffer.shape
    for tv in range(rect[2], rect[3] + 1):
        for tu in range(rect[0], rect[1] + 1):
            if farthest[tv, tu] < near_bits:
                continue
            if not stale[tv, tu]:
                return False
            worst = np.uint64(0)
            for v in range(tv * _TILE, min((tv + 1) * _TILE, height)):
                for u in range(tu * _TILE, min((tu + 1) * _TILE, width)):
                    worst = max(worst, buffer[v, u])
            stale[tv, tu] = False
            farthest[tv, tu] = worst >> np.uint64(32)
            if farthest[tv, tu] >= near_bits:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _splat(geometry: Any, first: int, end: int, m: Any, k: Any, band: Any, buffer: Any) -> None:
    """Draw splats first…end of one body into the band's key buffer [H, columns]."""
    fx, fy, cx, cy = k[0], k[1], k[2], k[3]
    left, right, bottom = np.int32(band[0]), np.int32(band[1] - 1), np.int32(band[2] - 1)
    m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    for i in range(first, end):
        px, py, pz = geometry[0, i], geometry[1, i], geometry[2, i]
        z = ((m20 * px + m21 * py) + m22 * pz) + m23
        if z <= _NEAR:
            continue
        x = ((m00 * px + m01 * py) + m02 * pz) + m03
        y = ((m10 * px + m11 * py) + m12 * pz) + m13
        qx, qy, qz = geometry[4, i], geometry[5, i], geometry[6, i]
        nx = (m00 * qx + m01 * qy) + m02 * qz
        ny = (m10 * qx + m11 * qy) + m12 * qz
        nz = (m20 * qx + m21 * qy) + m22 * qz
        if (nx * x + ny * y) + nz * z > _ZERO:
            continue
        inverse_z = _ONE / z
        radius = geometry[3, i]
        tangent = x * inverse_z
        along = nx - tangent * nz
        extent = np.sqrt(max((_ONE + tangent * tangent) - along * along, _ZERO))
        half = min(max(((fx * radius) * inverse_z) * extent, _HALF), _MAX_HALF)
        center = (fx * tangent + cx) - _HALF
        u0, u1 = np.int32(np.ceil(center - half)), np.int32(np.floor(center + half))
        u0, u1 = max(u0, left), min(u1, right)
        if u0 > u1:
            continue
        tangent = y * inverse_z
        along = ny - tangent * nz
        extent = np.sqrt(max((_ONE + tangent * tangent) - along * along, _ZERO))
        half = min(max(((fy * radius) * inverse_z) * extent, _HALF), _MAX_HALF)
        center = (fy * tangent + cy) - _HALF
        v0, v1 = np.int32(np.ceil(center - half)), np.int32(np.floor(center + half))
        v0, v1 = max(v0, np.int32(0)), min(v1, bottom)
        key = (np.uint64(_bits(z)) << np.uint64(32)) | np.uint64(i)
        for v in range(v0, v1 + 1):
            for u in range(u0 - left, u1 + 1 - left):
                if key < buffer[v, u]:
                    buffer[v, u] = key


@numba.njit(cache=True, nogil=True)
def _draw_cells(
    geometry: Any,
    start: Any,
    sphere: Any,
    body: Any,
    m: Any,
    k: Any,
    levels: Any,
    band: Any,
    buffer: Any,
) -> None:
    """Cull, order, test for occlusion and splat the cells of one band."""
    cell = np.empty(len(sphere), np.int32)
    level = np.empty(len(sphere), np.int32)
    near = np.empty(len(sphere), np.float32)
    count = _visible_cells(sphere, body, m, k, band, levels, cell, level, near)
    order = np.empty(count, np.int32)
    _front_to_back(near, count, order)
    tiles_v, tiles_u = -(-buffer.shape[0] // _TILE), -(-buffer.shape[1] // _TILE)
    farthest = np.full((tiles_v, tiles_u), np.uint64((1 << 31) - 1))
    stale = np.zeros((tiles_v, tiles_u), np.bool_)
    rect = np.zeros(4, np.int32)
    for j in range(count):
        i = order[j]
        c = cell[i]
        x, y, z = _transform(m[body[c]], sphere[c, 0], sphere[c, 1], sphere[c, 2])
        bounded = _tile_rect(x, y, z, sphere[c, 3] + _SKIN, k, band, rect)
        if bounded and _hidden(np.uint64(_bits(near[i])), rect, buffer, farthest, stale):
            continue
        _splat(geometry, start[c, level[i]], start[c, level[i] + 1], m[body[c]], k, band, buffer)
        if bounded:
            stale[rect[2] : rect[3] + 1, rect[0] : rect[1] + 1] = True
        else:
            stale[:] = True


@numba.njit(cache=True, nogil=True, inline="always")
def _tangent_depth(geometry: Any, i: Any, m: Any, k: Any, center_z: Any, u: Any, v: Any) -> Any:
    """z-depth of the pixel's ray on the splat's tangent plane, as in the oracle."""
    x, y, z = _transform(m, geometry[0, i], geometry[1, i], geometry[2, i])
    nx, ny, nz = _rotate(m, geometry[4, i], geometry[5, i], geometry[6, i])
    ray_x = ((np.float32(u) + _HALF) - k[2]) / k[0]
    ray_y = ((np.float32(v) + _HALF) - k[3]) / k[1]
    slope = (nx * ray_x + ny * ray_y) + nz
    depth = center_z
    if slope < _MIN_SLOPE:
        depth = ((nx * x + ny * y) + nz * z) / slope
    reach = _TWO * geometry[3, i]
    return min(max(depth, max(center_z - reach, _NEAR)), center_z + reach)


@numba.njit(cache=True, nogil=True)
def _resolve(
    geometry: Any,
    rgba: Any,
    instance: Any,
    source: Any,
    body: Any,
    m: Any,
    k: Any,
    band: Any,
    buffer: Any,
    out: Any,
) -> None:
    """Write color, depth, instance, provenance and point index of the band's winners."""
    rgb, depth, ids, provenance, index = out
    for v in range(buffer.shape[0]):
        for column in range(buffer.shape[1]):
            u = column + band[0]
            key = buffer[v, column]
            if key == _EMPTY:
                rgb[v, u, 0], rgb[v, u, 1], rgb[v, u, 2] = 0, 0, 0
                depth[v, u], ids[v, u], provenance[v, u], index[v, u] = _ZERO, -1, 0, -1
                continue
            i = np.int64(key & np.uint64(0xFFFFFFFF))
            rgb[v, u, 0], rgb[v, u, 1], rgb[v, u, 2] = rgba[i, 0], rgba[i, 1], rgba[i, 2]
            provenance[v, u] = 1 + rgba[i, 3]
            ids[v, u] = instance[i]
            index[v, u] = source[i]
            center_z = _from_bits(np.uint32(key >> np.uint64(32)))
            depth[v, u] = _tangent_depth(geometry, i, m[body[i]], k, center_z, u, v)


def address_table(pyramid: SplatPyramid) -> NDArray[np.int64]:
    """Sizes and addresses that let one compiled call draw many pyramids, int64 [11].

    The addresses hold as long as the pyramid's arrays live.
    """
    arrays = (
        pyramid.geometry,
        pyramid.rgba,
        pyramid.instance,
        pyramid.source,
        pyramid.cell_sphere,
        pyramid.cell_body,
        pyramid.cell_start,
        pyramid.body,
    )
    sizes = [len(pyramid), len(pyramid.cell_sphere), pyramid.cell_start.shape[1]]
    return np.array(sizes + [array.ctypes.data for array in arrays], np.int64)


@numba.njit(cache=True, nogil=True)
def _draw_band(table: Any, body_to_camera: Any, k: Any, levels: Any, band: Any, out: Any) -> None:
    """Draw one band of one camera; `table` holds sizes and addresses of one pyramid's arrays."""
    splats, cells = table[0], table[1]
    geometry = numba.carray(_pointer(table[3]), (7, splats), np.float32)
    rgba = numba.carray(_pointer(table[4]), (splats, 4), np.uint8)
    instance = numba.carray(_pointer(table[5]), (splats,), np.int32)
    source = numba.carray(_pointer(table[6]), (splats,), np.int32)
    sphere = numba.carray(_pointer(table[7]), (cells, 4), np.float32)
    cell_body = numba.carray(_pointer(table[8]), (cells,), np.int32)
    start = numba.carray(_pointer(table[9]), (cells, table[2]), np.int32)
    body = numba.carray(_pointer(table[10]), (splats,), np.int32)
    buffer = np.full((band[2], band[1] - band[0]), _EMPTY)
    _draw_cells(geometry, start, sphere, cell_body, body_to_camera, k, levels, band, buffer)
    _resolve(geometry, rgba, instance, source, body, body_to_camera, k, band, buffer, out)


@numba.njit(cache=True, nogil=True, parallel=True)
def draw(
    tables: Any,
    scene: Any,
    first_body: Any,
    body_to_camera: Any,
    intrinsics: Any,
    levels: Any,
    bands: Any,
    rgb: Any,
    depth: Any,
    instance: Any,
    provenance: Any,
    index: Any,
) -> None:
    """Draw B cameras; tasks are (camera, band) pairs in parallel.

    Args:
        tables: Sizes and addresses per scene (`address_table`), int64 [S, 11].
        scene: Scene of each camera, int64 [B].
        first_body: Row of `body_to_camera` where each camera's bodies start, int64 [B].
        body_to_camera: Rest-to-camera transforms, float32 [rows, 3, 4].
        intrinsics: (fx, fy, cx, cy), float32 [B, 4].
        levels: Distances from which coarser levels are drawn, float32 [B, LEVELS − 1].
        bands: (first column, end column, height) of each band, int64 [T, 3].
        rgb: Out, uint8 [B, H, W, 3].
        depth: Out, float32 [B, H, W].
        instance: Out, int32 [B, H, W].
        provenance: Out, uint8 [B, H, W].
        index: Out, int32 [B, H, W].
    """
    per_camera = len(bands)
    for task in numba.prange(len(scene) * per_camera):
        b = task // per_camera
        _draw_band(
            tables[scene[b]],
            body_to_camera[first_body[b] :],
            intrinsics[b],
            levels[b],
            bands[task % per_camera],
            (rgb[b], depth[b], instance[b], provenance[b], index[b]),
        )
