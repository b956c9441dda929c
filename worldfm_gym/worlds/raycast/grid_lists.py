"""Grid lists: which primitives can darken which cell, found once per scene."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.worlds.raycast import geometry, lighting
from worldfm_gym.worlds.raycast.single_source import numba_compiler

_compile = numba_compiler()
_signed_distance = _compile(geometry.signed_distance)
_ray_box = _compile(geometry.ray_box)
_clearance_box = _compile(geometry.clearance_box)
_FLOATS, _INTS, _LIGHT = geometry.FLOATS, geometry.INTS, lighting.LIGHT_FLOATS
# A tap at distance h from a point is closer than h only to what is within 2 h of the point.
AO_REACH = np.float32(2 * lighting.AO_TAP_4 + 0.02)
_STEPS = 4  # pieces of a shaft from a cell to a light
_BLOCK = 4  # cells along a side of a block
_SURFACE_SLACK = np.float32(0.01)
_LAMP_HOLDER = np.float32(0.02)
_PENUMBRA_SLACK = np.float32(0.05)  # more than half the footprint of a sample or nearby pixel

IntArray = NDArray[np.int32]


@njit(nogil=True, error_model="numpy")
def distance_to(prims, kinds, j, x, y, z):  # type: ignore[no-untyped-def]
    """Signed distance from a world point to primitive j."""
    b = j * _FLOATS
    cx, cy, cz = x - prims[b], y - prims[b + 1], z - prims[b + 2]
    return _signed_distance(
        kinds[j * _INTS],
        prims[b + 3] * cx + prims[b + 6] * cy + prims[b + 9] * cz,
        prims[b + 4] * cx + prims[b + 7] * cy + prims[b + 10] * cz,
        prims[b + 5] * cx + prims[b + 8] * cy + prims[b + 11] * cz,
        prims[b + 12], prims[b + 13], prims[b + 14],
    )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def segment_near(prims, j, x, y, z, dx, dy, dz, r0, r1):  # type: ignore[no-untyped-def]
    """Whether primitive j may touch a ball that moves from p to p + d, radius r0 to r1.

    Conservative: the primitive's box, grown by the ball's larger radius, against the segment.
    """
    b = j * _FLOATS
    r = max(r0, r1)
    cx, cy, cz = x - prims[b], y - prims[b + 1], z - prims[b + 2]
    enter, leave = np.float32(0.0), np.float32(1.0)
    for a in range(3):
        o = prims[b + 3 + a] * cx + prims[b + 6 + a] * cy + prims[b + 9 + a] * cz
        d = prims[b + 3 + a] * dx + prims[b + 6 + a] * dy + prims[b + 9 + a] * dz
        h = prims[b + 12 + a] + r
        if abs(d) < np.float32(1e-9):
            if abs(o) > h:
                return False
            continue
        t0, t1 = (-h - o) / d, (h - o) / d
        enter, leave = max(enter, min(t0, t1)), min(leave, max(t0, t1))
        if enter > leave:
            return False
    return True


@njit(nogil=True, error_model="numpy")
def _grown(items):  # type: ignore[no-untyped-def]
    """The same items in an array twice as long."""
    grown = np.empty(2 * len(items), np.int32)
    grown[: len(items)] = items
    return grown


@njit(nogil=True, error_model="numpy")
def _push(items, used, value):  # type: ignore[no-untyped-def]
    """Append, doubling the array when it is full."""
    if used == len(items):
        items = _grown(items)
    items[used] = value
    return items


@njit(nogil=True, error_model="numpy")
def _by_row(rows, items, used, row_count):  # type: ignore[no-untyped-def]
    """CSR lists of `used` (row, item) pairs; items keep their order within a row."""
    starts = np.zeros(row_count + 1, np.int32)
    for k in range(used):
        starts[rows[k] + 1] += 1
    for row in range(row_count):
        starts[row + 1] += starts[row]
    sorted_items = np.empty(used, np.int32)
    cursor = starts[:-1].copy()
    for k in range(used):
        sorted_items[cursor[rows[k]]] = items[k]
        cursor[rows[k]] += 1
    return starts, sorted_items


@njit(cache=True, nogil=True, error_model="numpy")
def near_lists(prims, kinds, low, side, cells):  # type: ignore[no-untyped-def]
    """CSR lists, per cell, of the primitives within reach of its ambient occlusion taps.

    Also returns which cells may hold any surface, uint8 per cell.
    """
    nx, ny, nz = cells
    cell_r = np.float32(0.5 * side * np.sqrt(3.0))
    reach = AO_REACH + cell_r
    rows, items = np.empty(1024, np.int32), np.empty(1024, np.int32)
    used = 0
    occupied = np.zeros(nx * ny * nz, np.uint8)
    first, last = np.empty(3, np.int64), np.empty(3, np.int64)
    for j in range(len(kinds) // _INTS):
        b = j * _FLOATS
        for a in range(3):
            extent = AO_REACH
            for k in range(3):
                extent += abs(prims[b + 3 + 3 * a + k]) * prims[b + 12 + k]
            first[a] = max(int(np.floor((prims[b + a] - extent - low[a]) / side)), 0)
            last[a] = min(int(np.floor((prims[b + a] + extent - low[a]) / side)), cells[a] - 1)
        for iz in range(first[2], last[2] + 1):
            for iy in range(first[1], last[1] + 1):
                for ix in range(first[0], last[0] + 1):
                    x = np.float32(low[0] + (ix + 0.5) * side)
                    y = np.float32(low[1] + (iy + 0.5) * side)
                    z = np.float32(low[2] + (iz + 0.5) * side)
                    distance = distance_to(prims, kinds, j, x, y, z)
                    if distance < reach:
                        cell = (iz * ny + iy) * nx + ix
                        rows, items = _push(rows, used, cell), _push(items, used, j)
                        used += 1
                        if abs(distance) < cell_r + _SURFACE_SLACK:
                            occupied[cell] = 1
    starts, sorted_items = _by_row(rows, items, used, nx * ny * nz)
    return starts, sorted_items, occupied


@njit(cache=True, nogil=True, error_model="numpy")
def shadow_lists(  # type: ignore[no-untyped-def]
    prims, kinds, lights, casts, low, side, cells, occupied
):
    """CSR lists, per (cell, light), of the primitives that can shadow the cell from the light.

    Blocks of cells are tested first, so that a cell looks only at what its block kept. Cells
    without a surface get no lists.
    """
    nx, ny, nz = cells
    prim_count, light_count = len(kinds) // _INTS, len(lights) // _LIGHT
    half_diagonal, middle = np.float32(0.5 * side * np.sqrt(3.0)), _BLOCK / 2
    rows, items = np.empty(1024, np.int32), np.empty(1024, np.int32)
    used = 0
    reached, kept = np.empty(prim_count, np.int32), np.empty(prim_count, np.int32)
    for k in range(light_count):
        light = lights[k * _LIGHT : (k + 1) * _LIGHT]
        reached_count = 0
        for j in range(prim_count):
            distance = distance_to(prims, kinds, j, light[0], light[1], light[2])
            # A shade or fitting that holds the lamp does not shadow it.
            if casts[j] and distance > _LAMP_HOLDER and distance < light[6]:
                reached[reached_count] = j
                reached_count += 1
        for bz in range(0, nz, _BLOCK):
            for by in range(0, ny, _BLOCK):
                for bx in range(0, nx, _BLOCK):
                    kept_count = _in_shafts(
                        prims, kinds, reached, reached_count, low, side, light,
                        _BLOCK * half_diagonal, bx + middle, by + middle, bz + middle, kept,
                    )  # fmt: skip
                    if kept_count == 0:
                        continue
                    for iz in range(bz, min(bz + _BLOCK, nz)):
                        for iy in range(by, min(by + _BLOCK, ny)):
                            for ix in range(bx, min(bx + _BLOCK, nx)):
                                cell = (iz * ny + iy) * nx + ix
                                if not occupied[cell]:
                                    continue
                                while len(items) < used + kept_count:
                                    rows, items = _grown(rows), _grown(items)
                                found = _in_shafts(
                                    prims, kinds, kept, kept_count, low, side, light, half_diagonal,
                                    ix + 0.5, iy + 0.5, iz + 0.5, items[used:],
                                )  # fmt: skip
                                rows[used : used + found] = cell * light_count + k
                                used += found
    return _by_row(rows, items, used, nx * ny * nz * light_count)


@njit(nogil=True, error_model="numpy")
def _in_shafts(  # type: ignore[no-untyped-def]
    prims, kinds, among, count, low, side, light, radius, ix, iy, iz, out
):
    """Copy to `out` what can come between a light and a ball at grid position (ix, iy, iz).

    What hides the light from the whole ball stands for all the rest.
    """
    x = np.float32(low[0] + ix * side)
    y = np.float32(low[1] + iy * side)
    z = np.float32(low[2] + iz * side)
    dx, dy, dz = light[0] - x, light[1] - y, light[2] - z
    if np.sqrt(dx * dx + dy * dy + dz * dz) > light[6] + radius:
        return 0
    found = 0
    for i in range(count):
        if in_shaft(prims, among[i], x, y, z, dx, dy, dz, radius, light[7]):
            if blocks(prims, kinds, among[i], x, y, z, dx, dy, dz, radius, light[7]):
                out[0] = among[i]
                return 1
            out[found] = among[i]
            found += 1
    return found


@njit(nogil=True, error_model="numpy")
def in_shaft(prims, j, x, y, z, dx, dy, dz, cell_r, light_r):  # type: ignore[no-untyped-def]
    """Whether primitive j may touch the shaft from a cell's ball at p to a light's at p + d."""
    if not segment_near(prims, j, x, y, z, dx, dy, dz, cell_r, light_r):
        return False
    step = np.float32(1.0 / _STEPS)
    for i in range(_STEPS):
        t = np.float32(i * step)
        r0 = cell_r + (light_r - cell_r) * t
        if segment_near(
            prims, j, x + t * dx, y + t * dy, z + t * dz, step * dx, step * dy, step * dz, r0, r0
        ):
            return True
    return False


@njit(nogil=True, error_model="numpy")
def blocks(prims, kinds, j, x, y, z, dx, dy, dz, ball_r, light_r):  # type: ignore[no-untyped-def]
    """Whether box j hides a light's whole disc at p + d from every point of a ball at p.

    The axis of the shaft passes inside the box's outline by more than the shaft is wide, and the
    box is clear of both ends; so every ray of the shaft crosses it, penumbra included.
    """
    if kinds[j * _INTS] != geometry.BOX:
        return False
    b = j * _FLOATS
    inverse = np.float32(1.0) / np.sqrt(dx * dx + dy * dy + dz * dz)
    p, d = np.empty(3, np.float32), np.empty(3, np.float32)
    for a in range(3):
        r0, r1, r2 = prims[b + 3 + a], prims[b + 6 + a], prims[b + 9 + a]
        p[a] = r0 * (x - prims[b]) + r1 * (y - prims[b + 1]) + r2 * (z - prims[b + 2])
        d[a] = (r0 * dx + r1 * dy + r2 * dz) * inverse
    h = prims[b + 12 : b + 15]
    enter, leave = _ray_box(p[0], p[1], p[2], d[0], d[1], d[2], h[0], h[1], h[2])
    if enter < ball_r or leave > np.float32(1.0) / inverse - light_r or enter >= leave:
        return False
    inside, _ = _clearance_box(p[0], p[1], p[2], d[0], d[1], d[2], h[0], h[1], h[2])
    return inside > ball_r + light_r + _PENUMBRA_SLACK
