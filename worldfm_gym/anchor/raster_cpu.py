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

from worldfm_gym.anchor.pyramid import BLOCK, MAX_FOOTPRINT_PX, NEAR_M, SplatPyramid
from worldfm_gym.float_bits import bits_of, float_of, prefetch, trailing_zeros

_NEAR = np.float32(NEAR_M)
_MAX_HALF = np.float32(MAX_FOOTPRINT_PX)
_HALF, _ONE, _TWO, _ZERO = np.float32(0.5), np.float32(1), np.float32(2), np.float32(0)
_MIN_SLOPE = np.float32(-1e-3)
_TILE = 8
_SHELLS = 64
_AHEAD, _FETCHED = 2, 2  # cells ahead that blocks are loaded for, and how many of each
_EMPTY = np.int64((1 << 63) - 1)
_NO_KEY = np.int64(-1)
_NOWHERE = np.float32(-1)
_SKIN = np.float32(1e-3)  # metres of slack in the culling tests against rounding


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Cast an integer address to a void pointer for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _side_planes(k: Any, band: Any) -> Any:
    """Unit inward normals (a, b) of the band's left, right, top and bottom planes, [4, 2].

    A camera-frame point is inside where a·x + b·z ≥ 0 (left, right), a·y + b·z ≥ 0 (top, bottom).
    """
    planes = np.empty((4, 2), np.float32)
    planes[0, 0], planes[0, 1] = k[0], k[2] - np.float32(band[0])
    planes[1, 0], planes[1, 1] = -k[0], np.float32(band[1]) - k[2]
    planes[2, 0], planes[2, 1] = k[1], k[3]
    planes[3, 0], planes[3, 1] = -k[1], np.float32(band[2]) - k[3]
    for i in range(4):
        norm = np.sqrt(planes[i, 0] * planes[i, 0] + planes[i, 1] * planes[i, 1])
        planes[i, 0], planes[i, 1] = planes[i, 0] / norm, planes[i, 1] / norm
    return planes


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _outside_view(x: Any, y: Any, z: Any, reach: Any, planes: Any, pixel: Any) -> Any:
    """Whether no splat inside a sphere can cover a pixel of the band."""
    # A splat covers at least one pixel, so the sphere is widened by a pixel at its far side.
    side = -(reach + (z + reach) * pixel)
    return (
        z + reach < _NEAR
        or planes[0, 0] * x + planes[0, 1] * z < side
        or planes[1, 0] * x + planes[1, 1] * z < side
        or planes[2, 0] * y + planes[2, 1] * z < side
        or planes[3, 0] * y + planes[3, 1] * z < side
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _visible_cells(
    cells: Any, m: Any, k: Any, band: Any, levels: Any, found: Any, view: Any
) -> int:
    """Cells that may show in the band: `found` gets (cell, level), `view` (x, y, z, nearest z)."""
    sphere, cone, body, group_start, group_sphere = cells
    planes, pixel = _side_planes(k, band), _ONE / min(k[0], k[1])
    count = 0
    for g in range(len(group_sphere)):
        i = body[group_start[g]]
        px, py, pz = group_sphere[g, 0], group_sphere[g, 1], group_sphere[g, 2]
        x = ((m[i, 0, 0] * px + m[i, 0, 1] * py) + m[i, 0, 2] * pz) + m[i, 0, 3]
        y = ((m[i, 1, 0] * px + m[i, 1, 1] * py) + m[i, 1, 2] * pz) + m[i, 1, 3]
        z = ((m[i, 2, 0] * px + m[i, 2, 1] * py) + m[i, 2, 2] * pz) + m[i, 2, 3]
        if _outside_view(x, y, z, group_sphere[g, 3] + _SKIN, planes, pixel):
            continue
        for c in range(group_start[g], group_start[g + 1]):
            px, py, pz = sphere[c, 0], sphere[c, 1], sphere[c, 2]
            x = ((m[i, 0, 0] * px + m[i, 0, 1] * py) + m[i, 0, 2] * pz) + m[i, 0, 3]
            y = ((m[i, 1, 0] * px + m[i, 1, 1] * py) + m[i, 1, 2] * pz) + m[i, 1, 3]
            z = ((m[i, 2, 0] * px + m[i, 2, 1] * py) + m[i, 2, 2] * pz) + m[i, 2, 3]
            reach = sphere[c, 3] + _SKIN
            if _outside_view(x, y, z, reach, planes, pixel):
                continue
            squared = (x * x + y * y) + z * z
            ax, ay, az = cone[c, 0], cone[c, 1], cone[c, 2]
            along = (
                ((m[i, 0, 0] * ax + m[i, 0, 1] * ay) + m[i, 0, 2] * az) * x
                + ((m[i, 1, 0] * ax + m[i, 1, 1] * ay) + m[i, 1, 2] * az) * y
                + ((m[i, 2, 0] * ax + m[i, 2, 1] * ay) + m[i, 2, 2] * az) * z
            )
            across = np.sqrt(max(squared - along * along, _ZERO))
            if along * cone[c, 3] - across * cone[c, 4] > cone[c, 5] + _SKIN:
                continue
            distance = np.sqrt(squared)
            level = 0
            for j in range(len(levels)):
                level += distance >= levels[j]
            found[count, 0], found[count, 1] = c, level
            view[count, 0], view[count, 1], view[count, 2] = x, y, z
            view[count, 3] = max(z - reach, _NEAR)
            count += 1
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _front_to_back(view: Any, count: int) -> Any:
    """Counting sort of cells into shells of growing nearest depth."""
    start = np.zeros(_SHELLS + 1, np.int32)
    shell = np.empty(count, np.uint8)
    for i in range(count):
        # Shells of an eighth of a metre, the last one for the rest.
        nearest: Any = np.int32(view[i, 3] * np.float32(8))
        shell[i] = np.uint8(min(nearest, _SHELLS - 1))
        start[shell[i] + 1] += 1
    for s in range(_SHELLS):
        start[s + 1] += start[s]
    order = np.empty(count, np.int32)
    for i in range(count):
        order[start[shell[i]]] = i
        start[shell[i]] += 1
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tile_rect(x: Any, y: Any, z: Any, reach: Any, k: Any, band: Any) -> Any:
    """Tiles (tu0, tu1, tv0, tv1) that a sphere may cover; tu0 is −1 if it is too near to tell."""
    low, high = z - reach, z + reach
    if low < np.float32(0.25):
        return -1, 0, 0, 0
    x0, x1, y0, y1 = x - reach, x + reach, y - reach, y + reach
    u_low: Any = k[0] * (x0 / (low if x0 < _ZERO else high)) + k[2]
    u_high = k[0] * (x1 / (high if x1 < _ZERO else low)) + k[2]
    v_low = k[1] * (y0 / (low if y0 < _ZERO else high)) + k[3]
    v_high = k[1] * (y1 / (high if y1 < _ZERO else low)) + k[3]
    left, right = int(u_low) - 2, int(u_high) + 2
    top, bottom = int(v_low) - 2, int(v_high) + 2
    return (
        (max(left, band[0]) - band[0]) // _TILE,
        (min(right, band[1] - 1) - band[0]) // _TILE,
        max(top, 0) // _TILE,
        min(bottom, band[2] - 1) // _TILE,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _farthest(buffer: Any, tu: int, tv: int) -> Any:
    """Depth bits of the farthest pixel of a tile."""
    worst = np.int64(0)
    for v in range(tv * _TILE, (tv + 1) * _TILE):
        for u in range(tu * _TILE, (tu + 1) * _TILE):
            worst = max(worst, buffer[v, u])
    return worst >> 32


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hidden(near_bits: Any, rect: Any, buffer: Any, farthest: Any, stale: Any) -> bool:
    """Whether all of the tiles of `rect` are nearer than `near_bits`; refreshes stale tiles."""
    for tv in range(rect[2], rect[3] + 1):
        for tu in range(rect[0], rect[1] + 1):
            if farthest[tv, tu] < near_bits:
                continue
            if stale[tv, tu]:
                stale[tv, tu] = False
                farthest[tv, tu] = _farthest(buffer, tu, tv)
            if farthest[tv, tu] >= near_bits:
                return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _footprints(
    block: Any, m: Any, i: int, k: Any, left: Any, right: Any, bottom: Any, box: Any
) -> None:
    """Pixel boxes of a block of splats: `box` rows are u0, u1, v0, v1 and z; u1 is −1 if not drawn.

    Free of branches, with constant strides, so that the compiler makes SIMD of it.
    """
    fx, fy, cx, cy = k[0], k[1], k[2], k[3]
    m00, m01, m02, m03 = m[i, 0, 0], m[i, 0, 1], m[i, 0, 2], m[i, 0, 3]
    m10, m11, m12, m13 = m[i, 1, 0], m[i, 1, 1], m[i, 1, 2], m[i, 1, 3]
    m20, m21, m22, m23 = m[i, 2, 0], m[i, 2, 1], m[i, 2, 2], m[i, 2, 3]
    for s in range(BLOCK):
        px, py, pz, radius = block[0, s], block[1, s], block[2, s], block[3, s]
        qx, qy, qz = block[4, s], block[5, s], block[6, s]
        x = ((m00 * px + m01 * py) + m02 * pz) + m03
        y = ((m10 * px + m11 * py) + m12 * pz) + m13
        z = ((m20 * px + m21 * py) + m22 * pz) + m23
        nx = (m00 * qx + m01 * qy) + m02 * qz
        ny = (m10 * qx + m11 * qy) + m12 * qz
        nz = (m20 * qx + m21 * qy) + m22 * qz
        drawn = (z > _NEAR) & ((nx * x + ny * y) + nz * z <= _ZERO)
        inverse_z = _ONE / z
        tx, ty = x * inverse_z, y * inverse_z
        ex, ey = nx - tx * nz, ny - ty * nz
        ex, ey = (_ONE + tx * tx) - ex * ex, (_ONE + ty * ty) - ey * ey
        ex, ey = np.sqrt(ex if ex > _ZERO else _ZERO), np.sqrt(ey if ey > _ZERO else _ZERO)
        half_u, half_v = ((fx * radius) * inverse_z) * ex, ((fy * radius) * inverse_z) * ey
        half_u = half_u if half_u > _HALF else _HALF
        half_v = half_v if half_v > _HALF else _HALF
        half_u = half_u if half_u < _MAX_HALF else _MAX_HALF
        half_v = half_v if half_v < _MAX_HALF else _MAX_HALF
        u, v = (fx * tx + cx) - _HALF, (fy * ty + cy) - _HALF
        u0, u1 = np.ceil(u - half_u), np.floor(u + half_u)
        v0, v1 = np.ceil(v - half_v), np.floor(v + half_v)
        u1 = u1 if u1 < right else right
        box[0, s] = u0 if u0 > left else left
        box[1, s] = u1 if drawn else _NOWHERE
        box[2, s] = v0 if v0 > _ZERO else _ZERO
        box[3, s] = v1 if v1 < bottom else bottom
        box[4, s] = z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _splat(
    geometry: Any, first: int, end: int, m: Any, i: int, k: Any, band: Any, buffer: Any, box: Any
) -> None:
    """Draw splats first…end of body i into the band's key buffer."""
    left, right = np.float32(band[0]), np.float32(band[1] - 1)
    bottom = np.float32(band[2] - 1)
    for b in range(first // BLOCK, (end + BLOCK - 1) // BLOCK):
        _footprints(geometry[b], m, i, k, left, right, bottom, box)
        shown = _shown(box, max(first - b * BLOCK, 0), min(end - b * BLOCK, BLOCK))
        while shown:
            s = trailing_zeros(shown)
            shown &= shown - 1
            key = (np.int64(bits_of(box[4, s])) << 32) | np.int64(b * BLOCK + s)
            u0, u1 = np.int64(box[0, s] - left), np.int64(box[1, s] - left)
            for row in range(np.int64(box[2, s]), np.int64(box[3, s]) + 1):
                for column in range(u0, u1 + 1):
                    if key < buffer[row, column]:
                        buffer[row, column] = key


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _shown(box: Any, low: int, high: int) -> Any:
    """The splats low…high of a block that cover a pixel, as bits: faster to go through than flags.

    Free of branches, so that the compiler makes SIMD of it.
    """
    bits = np.int32(0)
    for s in range(BLOCK):
        covers = (box[0, s] <= box[1, s]) & (box[2, s] <= box[3, s])
        bits |= np.int32(covers) << np.int32(s)
    one = np.int64(1)
    return np.int64(bits) & ((one << high) - one) & ~((one << low) - one)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _fetch_blocks(geometry: Any, first: int, end: int) -> None:
    """Start to load the first blocks that hold splats first…end; others come by themselves."""
    b = np.int64(first // BLOCK)
    for line in range(8 * (min(np.int64((end - 1) // BLOCK), b + _FETCHED - 1) - b + 1)):
        prefetch(geometry.ctypes.data + (b * 8 + line) * (4 * BLOCK))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_cells(
    geometry: Any, start: Any, cells: Any, m: Any, k: Any, levels: Any, band: Any, buffer: Any
) -> None:
    """Cull, order, test for occlusion and splat the cells of one band."""
    sphere, _, body, _, _ = cells
    found = np.empty((len(sphere), 2), np.int32)
    view = np.empty((len(sphere), 4), np.float32)
    count = _visible_cells(cells, m, k, band, levels, found, view)
    order = _front_to_back(view, count)
    tiles = (buffer.shape[0] // _TILE, buffer.shape[1] // _TILE)
    farthest = np.full(tiles, _EMPTY >> 32)
    stale = np.zeros(tiles, np.bool_)
    box = np.empty((5, BLOCK), np.float32)
    for at in range(count):
        if at + _AHEAD < count:
            c, level = found[order[at + _AHEAD], 0], found[order[at + _AHEAD], 1]
            _fetch_blocks(geometry, start[c, level], start[c, level + 1])
        j = order[at]
        c, level = found[j, 0], found[j, 1]
        x, y, z, near = view[j, 0], view[j, 1], view[j, 2], view[j, 3]
        rect = _tile_rect(x, y, z, sphere[c, 3] + _SKIN, k, band)
        bounded = rect[0] >= 0
        if bounded and _hidden(np.int64(bits_of(near)), rect, buffer, farthest, stale):
            continue
        first, end = start[c, level], start[c, level + 1]
        _splat(geometry, first, end, m, body[c], k, band, buffer, box)
        if not bounded:
            rect = (0, tiles[1] - 1, 0, tiles[0] - 1)
        for tv in range(rect[2], rect[3] + 1):
            for tu in range(rect[0], rect[1] + 1):
                stale[tv, tu] = True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tangent_planes(
    geometry: Any, winners: Any, count: int, m: Any, attributes: Any, plane: Any, shown: Any
) -> None:
    """What runs of pixels show: tangent planes in the camera frame, and attributes.

    Rows of `plane` are normal, offset, z, 2·radius; of `shown` color with provenance in its highest
    byte, instance, point. A run without a winner gets values that make its depth 0.
    """
    for j in range(count):
        key = winners[j]
        if key == _EMPTY:
            for row in range(6):
                plane[row, j] = _ZERO
            shown[0, j], shown[1, j], shown[2, j] = 0, -1, -1
            continue
        s = key & 0xFFFFFFFF
        i = attributes[s, 3]
        shown[0, j] = attributes[s, 0] + (1 << 24)
        shown[1, j], shown[2, j] = attributes[s, 1], attributes[s, 2]
        b, lane = s // BLOCK, s % BLOCK
        px, py, pz = geometry[b, 0, lane], geometry[b, 1, lane], geometry[b, 2, lane]
        qx, qy, qz = geometry[b, 4, lane], geometry[b, 5, lane], geometry[b, 6, lane]
        x = ((m[i, 0, 0] * px + m[i, 0, 1] * py) + m[i, 0, 2] * pz) + m[i, 0, 3]
        y = ((m[i, 1, 0] * px + m[i, 1, 1] * py) + m[i, 1, 2] * pz) + m[i, 1, 3]
        z = float_of(np.int32(key >> 32))
        nx = (m[i, 0, 0] * qx + m[i, 0, 1] * qy) + m[i, 0, 2] * qz
        ny = (m[i, 1, 0] * qx + m[i, 1, 1] * qy) + m[i, 1, 2] * qz
        nz = (m[i, 2, 0] * qx + m[i, 2, 1] * qy) + m[i, 2, 2] * qz
        plane[0, j], plane[1, j], plane[2, j] = nx, ny, nz
        plane[3, j], plane[4, j] = (nx * x + ny * y) + nz * z, z
        plane[5, j] = _TWO * geometry[b, 3, lane]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _resolve(
    geometry: Any, attributes: Any, m: Any, k: Any, band: Any, buffer: Any, out: Any
) -> None:
    """Write color, depth, instance, provenance and point index of the band's winners.

    A row is made of runs of pixels with one winner, or with none. Pixels look up what their run
    has in loops that are free of branches, so that the compiler makes SIMD of them.
    """
    rgb, depth, ids, provenance, index = out
    width, left = band[1] - band[0], band[0]
    ray_x = ((np.arange(band[0], band[1]).astype(np.float32) + _HALF) - k[2]) / k[0]
    winners = np.empty(width, np.int64)
    run = np.empty(width, np.int32)
    plane = np.zeros((6, width), np.float32)
    shown = np.empty((3, width), np.int32)
    for v in range(band[2]):
        count, last = -1, _NO_KEY
        for column in range(width):
            key = buffer[v, column]
            if key != last:
                count += 1
                winners[count] = key
                if key != _EMPTY:
                    prefetch(attributes.ctypes.data + (key & 0xFFFFFFFF) * 16)
            run[column] = count
            last = key
        _tangent_planes(geometry, winners, count + 1, m, attributes, plane, shown)
        ray_y = ((np.float32(v) + _HALF) - k[3]) / k[1]
        for column in range(width):
            j = run[column]
            slope = (plane[0, j] * ray_x[column] + plane[1, j] * ray_y) + plane[2, j]
            z, reach = plane[4, j], plane[5, j]
            on_plane = plane[3, j] / (slope if slope < _MIN_SLOPE else _ONE)
            on_plane = on_plane if slope < _MIN_SLOPE else z
            low = z - reach if z - reach > _NEAR else _NEAR
            on_plane = on_plane if on_plane > low else low
            depth[v, left + column] = on_plane if on_plane < z + reach else z + reach
        for column in range(width):
            j = run[column]
            ids[v, left + column], index[v, left + column] = shown[1, j], shown[2, j]
        for column in range(width):
            color = shown[0, run[column]]
            rgb[v, left + column, 0] = np.uint8(color & 255)
            rgb[v, left + column, 1] = np.uint8((color >> 8) & 255)
            rgb[v, left + column, 2] = np.uint8((color >> 16) & 255)
            provenance[v, left + column] = np.uint8(color >> 24)


def address_table(pyramid: SplatPyramid) -> NDArray[np.int64]:
    """Sizes and addresses that let one compiled call draw many pyramids, int64 [12].

    The addresses hold as long as the pyramid's arrays live.
    """
    arrays = (
        pyramid.geometry,
        pyramid.attributes,
        pyramid.cell_sphere,
        pyramid.cell_cone,
        pyramid.cell_body,
        pyramid.cell_start,
        pyramid.group_start,
        pyramid.group_sphere,
    )
    groups, levels = len(pyramid.group_sphere), pyramid.cell_start.shape[1]
    sizes = [len(pyramid), len(pyramid.cell_sphere), groups, levels]
    return np.array(sizes + [array.ctypes.data for array in arrays], np.int64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_band(table: Any, m: Any, k: Any, levels: Any, band: Any, out: Any) -> None:
    """Draw one band of one camera; `table` holds sizes and addresses of one pyramid's arrays."""
    splats, count, groups = table[0], table[1], table[2]
    blocks = -(-splats // BLOCK)
    geometry = numba.carray(_pointer(table[4]), (blocks, 8, BLOCK), np.float32)
    attributes = numba.carray(_pointer(table[5]), (splats, 4), np.int32)
    cells = (
        numba.carray(_pointer(table[6]), (count, 4), np.float32),
        numba.carray(_pointer(table[7]), (count, 6), np.float32),
        numba.carray(_pointer(table[8]), (count,), np.int32),
        numba.carray(_pointer(table[10]), (groups + 1,), np.int32),
        numba.carray(_pointer(table[11]), (groups, 4), np.float32),
    )
    start = numba.carray(_pointer(table[9]), (count, table[3]), np.int32)
    # Whole tiles. What is outside the image stays at key 0: it never counts as far.
    rows, columns = band[2], band[1] - band[0]
    padded = (-(-rows // _TILE) * _TILE, -(-columns // _TILE) * _TILE)
    buffer = np.zeros(padded, np.int64)
    buffer[:rows, :columns] = _EMPTY
    _draw_cells(geometry, start, cells, m, k, levels, band, buffer)
    _resolve(geometry, attributes, m, k, band, buffer, out)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def draw(
    first: int,
    step: int,
    tables: Any,
    scene: Any,
    bodies: Any,
    intrinsics: Any,
    levels: Any,
    bands: Any,
    out: Any,
) -> None:
    """Draw tasks first, first + step, …; a task is one band of one of B cameras.

    Args:
        first: First task; task t is band ``t % T`` of camera ``t // T``.
        step: Distance to the next task.
        tables: Sizes and addresses per scene (`address_table`), int64 [S, 12].
        scene: Scene of each camera, int64 [B].
        bodies: Rest-to-camera transforms, float32 [B, K + 1, 3, 4].
        intrinsics: (fx, fy, cx, cy), float32 [B, 4].
        levels: Distances from which coarser levels are drawn, float32 [B, LEVELS − 1].
        bands: (first column, end column, height) of each band, int64 [T, 3].
        out: What is written: rgb uint8 [B, H, W, 3], depth float32, instance int32, provenance
            uint8 and index int32 [B, H, W].
    """
    rgb, depth, instance, provenance, index = out
    for task in range(first, len(scene) * len(bands), step):
        b, band = task // len(bands), task % len(bands)
        images = (rgb[b], depth[b], instance[b], provenance[b], index[b])
        _draw_band(tables[scene[b]], bodies[b], intrinsics[b], levels[b], bands[band], images)
