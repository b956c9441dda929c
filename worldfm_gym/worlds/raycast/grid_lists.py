"""Grid lists: which primitives can darken which cell, found once per scene."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.worlds.raycast import geometry, lighting
from worldfm_gym.worlds.raycast.single_source import numba_compiler

_compile = numba_compiler()
_signed_distance = _compile(geometry.signed_distance)
_FLOATS, _INTS, _LIGHT = geometry.FLOATS, geometry.INTS, lighting.LIGHT_FLOATS
# A tap at distance h from a point is closer than h only to what is within 2 h of the point.
AO_REACH = np.float32(2 * lighting.AO_TAP_4 + 0.02)
_STEPS = 4  # pieces of a shaft from a cell to a light

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
def _push(items, used, value):  # type: ignore[no-untyped-def]
    """Append, doubling the array when it is full."""
    if used == len(items):
        grown = np.empty(2 * used, np.int32)
        grown[:used] = items
        items = grown
    items[used] = value
    return items


@njit(cache=True, nogil=True, error_model="numpy")
def near_lists(prims, kinds, low, side, cells):  # type: ignore[no-untyped-def]
    """CSR lists, per cell, of the primitives within reach of its ambient occlusion taps."""
    nx, ny, nz = cells
    count = len(kinds) // _INTS
    cell_r = np.float32(0.5 * side * np.sqrt(3.0))
    reach = AO_REACH + cell_r
    pair_cell = np.empty(1024, np.int32)
    pair_prim = np.empty(1024, np.int32)
    used = 0
    starts = np.zeros(nx * ny * nz + 1, np.int32)
    first, last = np.empty(3, np.int64), np.empty(3, np.int64)
    for j in range(count):
        b = j * _FLOATS
        for a in range(3):
            extent = np.float32(0.0)
            for k in range(3):
                extent += abs(prims[b + 3 + 3 * a + k]) * prims[b + 12 + k]
            extent += AO_REACH
            first[a] = max(int(np.floor((prims[b + a] - extent - low[a]) / side)), 0)
            last[a] = min(int(np.floor((prims[b + a] + extent - low[a]) / side)), cells[a] - 1)
        for iz in range(first[2], last[2] + 1):
            for iy in range(first[1], last[1] + 1):
                for ix in range(first[0], last[0] + 1):
                    x = np.float32(low[0] + (ix + 0.5) * side)
                    y = np.float32(low[1] + (iy + 0.5) * side)
                    z = np.float32(low[2] + (iz + 0.5) * side)
                    if distance_to(prims, kinds, j, x, y, z) < reach:
                        cell = (iz * ny + iy) * nx + ix
                        pair_cell = _push(pair_cell, used, cell)
                        pair_prim = _push(pair_prim, used, j)
                        used += 1
                        starts[cell + 1] += 1
    for cell in range(nx * ny * nz):
        starts[cell + 1] += starts[cell]
    items = np.empty(used, np.int32)
    cursor = starts[:-1].copy()
    for k in range(used):
        items[cursor[pair_cell[k]]] = pair_prim[k]
        cursor[pair_cell[k]] += 1
    return starts, items


@njit(cache=True, nogil=True, error_model="numpy")
def shadow_lists(prims, kinds, lights, casts, low, side, cells):  # type: ignore[no-untyped-def]
    """CSR lists, per (cell, light), of the primitives that can shadow the cell from the light."""
    nx, ny, nz = cells
    count, light_count = len(kinds) // _INTS, len(lights) // _LIGHT
    cell_r = np.float32(0.5 * side * np.sqrt(3.0))
    in_range = np.empty((light_count, count), np.int32)
    in_range_count = np.zeros(light_count, np.int64)
    for k in range(light_count):
        x, y, z = lights[8 * k], lights[8 * k + 1], lights[8 * k + 2]
        for j in range(count):
            distance = distance_to(prims, kinds, j, x, y, z)
            # A shade or fitting that holds the lamp does not shadow it.
            if casts[j] and distance > 0.02 and distance < lights[8 * k + 6]:
                in_range[k, in_range_count[k]] = j
                in_range_count[k] += 1
    starts = np.zeros(nx * ny * nz * light_count + 1, np.int32)
    items = np.empty(1024, np.int32)
    used = 0
    for cell in range(nx * ny * nz):
        x = np.float32(low[0] + (cell % nx + 0.5) * side)
        y = np.float32(low[1] + (cell // nx % ny + 0.5) * side)
        z = np.float32(low[2] + (cell // (nx * ny) + 0.5) * side)
        for k in range(light_count):
            dx, dy, dz = lights[8 * k] - x, lights[8 * k + 1] - y, lights[8 * k + 2] - z
            distance = np.sqrt(dx * dx + dy * dy + dz * dz)
            if distance < lights[8 * k + 6] + cell_r:
                for i in range(in_range_count[k]):
                    j = in_range[k, i]
                    if in_shaft(prims, j, x, y, z, dx, dy, dz, cell_r, lights[8 * k + 7]):
                        items = _push(items, used, j)
                        used += 1
            starts[cell * light_count + k + 1] = used
    return starts, items[:used].copy()


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
