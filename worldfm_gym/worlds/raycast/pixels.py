"""Pixels: from a pixel to a ray, and from a hit to a color (shared source)."""

from __future__ import annotations

from worldfm_gym.worlds.raycast.geometry import FLOATS, INTS, into_frame, local_normal, out_of_frame
from worldfm_gym.worlds.raycast.lighting import (
    encode,
    illuminate,
    reflect,
    shade,
    surface_color,
)
from worldfm_gym.worlds.raycast.materials import EMISSIVE, WINDOW
from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    Memory,
    absolute,
    div,
    like,
    load,
    maximum,
    sqrt,
)


def ray_direction(
    r00: Lanes, r01: Lanes, r02: Lanes, r10: Lanes, r11: Lanes, r12: Lanes,
    r20: Lanes, r21: Lanes, r22: Lanes,
    inverse_fx: Lanes, inverse_fy: Lanes, cx: Lanes, cy: Lanes, u: Lanes, v: Lanes,
) -> Lanes:  # fmt: skip
    """World ray, scaled to z-depth 1, through the centre of pixel column u, row v."""
    x = (u + 0.5 - cx) * inverse_fx
    y = (v + 0.5 - cy) * inverse_fy
    return r00 * x + r01 * y + r02, r10 * x + r11 * y + r12, r20 * x + r21 * y + r22


def resolve(
    prims: Memory, kinds: Memory, lights: Memory, grid_f: Memory, grid_i: Memory,
    near_start: Memory, near_items: Memory, shadow_start: Memory, shadow_items: Memory,
    scene: Lanes, j: Lanes, live: Lanes, t: Lanes,
    ox: Lanes, oy: Lanes, oz: Lanes, dx: Lanes, dy: Lanes, dz: Lanes, pixel: Lanes,
) -> Lanes:  # fmt: skip
    """SRGB (r, g, b) in 0…255 of rays that hit primitive `j` at z-depth `t`.

    `pixel` is the size of a pixel at z-depth 1.
    """
    base = j * FLOATS
    one = like(dx, 1.0)
    hx = maximum(load(prims, base + 12, live), like(dx, 1.0e-4))
    hy = maximum(load(prims, base + 13, live), like(dx, 1.0e-4))
    hz = maximum(load(prims, base + 14, live), like(dx, 1.0e-4))
    wx = ox + t * dx
    wy = oy + t * dy
    wz = oz + t * dz
    cx = wx - load(prims, base, live)
    cy = wy - load(prims, base + 1, live)
    cz = wz - load(prims, base + 2, live)
    lx, ly, lz = into_frame(prims, base, live, cx, cy, cz)
    shape = load(kinds, j * INTS, live)
    lnx, lny, lnz = local_normal(shape, lx, ly, lz, hx, hy, hz)
    nx, ny, nz = out_of_frame(prims, base, live, lnx, lny, lnz)
    length = sqrt(dx * dx + dy * dy + dz * dz)
    vx = div(-dx, length)
    vy = div(-dy, length)
    vz = div(-dz, length)
    # A footprint stretches along the line of sight; its geometric mean keeps floors crisp.
    slant = maximum(absolute(vx * nx + vy * ny + vz * nz), like(dx, 0.08))
    width = pixel * t * div(one, sqrt(slant))
    r, g, b = shade(
        prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
        scene, j, live, lx, ly, lz, lnx, lny, lnz, wx, wy, wz, nx, ny, nz, vx, vy, vz, width, one,
    )  # fmt: skip
    return encode(r), encode(g), encode(b)


def surface_light(
    prims: Memory, kinds: Memory, lights: Memory, grid_f: Memory, grid_i: Memory,
    near_start: Memory, near_items: Memory, shadow_start: Memory, shadow_items: Memory,
    scene: Lanes, j: Lanes, live: Lanes,
    wx: Lanes, wy: Lanes, wz: Lanes, nx: Lanes, ny: Lanes, nz: Lanes, width: Lanes,
) -> Lanes:  # fmt: skip
    """Open surroundings and irradiance (r, g, b) at surface points, from `illuminate`."""
    material = load(kinds, j * INTS + 1, live)
    open_sky, er, eg, eb, _r, _g, _b = illuminate(
        prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
        scene, j, live & (material != EMISSIVE) & (material != WINDOW),
        wx, wy, wz, nx, ny, nz, nx, ny, nz, width, like(wx, 0.0),
    )  # fmt: skip
    return open_sky, er, eg, eb


def surface_rgb(
    prims: Memory, kinds: Memory, j: Lanes, live: Lanes,
    lx: Lanes, ly: Lanes, lz: Lanes, lnx: Lanes, lny: Lanes, lnz: Lanes,
    nx: Lanes, ny: Lanes, nz: Lanes, width: Lanes,
    open_sky: Lanes, er: Lanes, eg: Lanes, eb: Lanes,
) -> Lanes:  # fmt: skip
    """SRGB (r, g, b) in 0…255 of surface points as they look from everywhere: no highlights."""
    zero = like(nx, 0.0)
    r, g, b = surface_color(prims, kinds, j, live, lx, ly, lz, lnx, lny, lnz, width)
    r, g, b = reflect(
        prims, kinds, j, live, r, g, b, open_sky, er, eg, eb, zero, zero, zero,
        nx, ny, nz, nx, ny, nz, zero,
    )  # fmt: skip
    return encode(r), encode(g), encode(b)
