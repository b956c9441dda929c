"""Lighting: albedo, soft shadows, ambient occlusion and tone mapping (shared source).

Shadows are analytic: each occluder covers the light's disc by how deep the ray to the light's
centre passes inside its outline, and coverages add up, so neighboring parts of a wall leave no
seam. Ambient occlusion samples the distance field along the normal (Evans, "Fast approximations
for global illumination on dynamic scenes", SIGGRAPH course 2006; Quilez).
"""

from __future__ import annotations

from worldfm_gym.worlds.raycast.geometry import (
    FLOATS,
    INTS,
    clearance,
    into_frame,
    signed_distance,
)
from worldfm_gym.worlds.raycast.materials import (
    BOOKS,
    EMISSIVE,
    PICTURE,
    SCREEN,
    WINDOW,
    WOOD,
    blend_tone,
)
from worldfm_gym.worlds.raycast.noise import clamp01, mix, ramp, smooth
from worldfm_gym.worlds.raycast.pictures import (
    book_row,
    framed_picture,
    screen_view,
    window_view,
)
from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    Memory,
    absolute,
    any_true,
    div,
    floor,
    hash_int,
    like,
    load,
    load_one,
    maximum,
    minimum,
    most,
    sqrt,
    to_float,
    to_int,
    where,
)

LIGHT_FLOATS = 8  # position, color, range, radius of the glowing disc
GRID_FLOATS = 8  # origin, 1 / cell side, ambient color
GRID_INTS = 8  # cells along x, y, z; first cell, first (cell, light) pair, first light, lights

SURFACE_OFFSET = 0.002  # metres by which shadow rays and distance taps leave their surface
AO_TAP_1 = 0.03
AO_TAP_2 = 0.09
AO_TAP_3 = 0.20
AO_TAP_4 = 0.42
AO_STRENGTH = 0.72
EXPOSURE = 1.15
WHITE = 3.2


def surface_color(
    prims: Memory, kinds: Memory, j: Lanes, live: Lanes,
    x: Lanes, y: Lanes, z: Lanes, nx: Lanes, ny: Lanes, nz: Lanes, width: Lanes,
) -> Lanes:  # fmt: skip
    """Linear albedo (or emitted color) of local points on primitives `j`.

    The face is the one that the local normal points out of most; its (u, v) are the two other
    local axes, v being z on upright faces.
    """
    base = j * FLOATS
    material = load(kinds, j * INTS + 1, live)
    seed = load(kinds, j * INTS + 2, live)
    hx = load(prims, base + 12, live)
    hy = load(prims, base + 13, live)
    hz = load(prims, base + 14, live)
    p = maximum(load(prims, base + 15, live), like(x, 1.0e-3))
    on_z = (absolute(nz) >= absolute(nx)) & (absolute(nz) >= absolute(ny))
    on_x = (absolute(nx) > absolute(ny)) & (absolute(nx) > absolute(nz))
    face = to_int(where(on_z, like(x, 3.0), where(on_x, like(x, 1.0), like(x, 2.0))))
    hu = where(on_x, hy, hx)
    hv = where(on_z, hy, hz)
    lu = where(on_x, y, x)
    lv = where(on_z, y, z)
    tx = load(prims, base + 22, live)
    ty = load(prims, base + 23, live)
    tz = load(prims, base + 24, live)
    u = lu + where(on_x, ty, tx)
    v = lv + where(on_z, ty, tz)
    turn = (material == WOOD) & (hv > hu)  # grain runs along the longer side
    gu = where(turn, v, u)
    gv = where(turn, u, v)
    blend, tone = blend_tone(
        material, gu, gv, where(turn, hv, hu), where(turn, hu, hv), width, p,
        hash_int(seed, face, seed),
    )  # fmt: skip
    cr = load(prims, base + 16, live)
    cg = load(prims, base + 17, live)
    cb = load(prims, base + 18, live)
    ar = load(prims, base + 19, live)
    ag = load(prims, base + 20, live)
    ab = load(prims, base + 21, live)
    r = mix(cr, ar, blend) * tone
    g = mix(cg, ag, blend) * tone
    b = mix(cb, ab, blend) * tone
    plain = material == EMISSIVE
    r, g, b = where(plain, cr, r), where(plain, cg, g), where(plain, cb, b)
    if any_true(material == BOOKS):
        r1, g1, b1 = book_row(u, lv, hv, width, p, seed, cr, cg, cb, ar, ag, ab)
        # Seen from above or the side, a row of books is a block of pages.
        spine = (material == BOOKS) & (face != 3) & (hu >= 0.999 * where(on_x, hx, hy))
        pages = (material == BOOKS) & ~spine
        r = where(spine, r1, where(pages, 0.55 * tone, r))
        g = where(spine, g1, where(pages, 0.50 * tone, g))
        b = where(spine, b1, where(pages, 0.40 * tone, b))
    front = hu * hv >= 0.999 * maximum(maximum(hx * hy, hy * hz), hx * hz)
    if any_true((material == PICTURE) & front):
        r1, g1, b1 = framed_picture(lu, lv, hu, hv, width, seed, cr, cg, cb)
        on = (material == PICTURE) & front
        r, g, b = where(on, r1, r), where(on, g1, g), where(on, b1, b)
    if any_true((material == WINDOW) & front):
        r1, g1, b1 = window_view(lu, lv, hu, hv, width, seed, cr, cg, cb, ar, ag, ab)
        on = (material == WINDOW) & front
        r, g, b = where(on, r1, r), where(on, g1, g), where(on, b1, b)
    if any_true((material == SCREEN) & front):
        r1, g1, b1 = screen_view(lu, lv, hu, hv, width, seed, cr, cg, cb, ar, ag, ab)
        on = (material == SCREEN) & front
        r, g, b = where(on, r1, r), where(on, g1, g), where(on, b1, b)
    return r, g, b


def cell_of(grid_f: Memory, grid_i: Memory, scene: Lanes, x: Lanes, y: Lanes, z: Lanes) -> Lanes:
    """Index, within its scene, of the grid cell that holds a world point (clamped to the grid)."""
    f = scene * GRID_FLOATS
    i = scene * GRID_INTS
    inverse = load_one(grid_f, f + 3)
    nx = load_one(grid_i, i)
    ny = load_one(grid_i, i + 1)
    nz = load_one(grid_i, i + 2)
    zero = like(x, 0.0)
    fx = floor((x - load_one(grid_f, f)) * inverse)
    fy = floor((y - load_one(grid_f, f + 1)) * inverse)
    fz = floor((z - load_one(grid_f, f + 2)) * inverse)
    ix = to_int(minimum(maximum(fx, zero), zero + (to_float(nx) - 1.0)))
    iy = to_int(minimum(maximum(fy, zero), zero + (to_float(ny) - 1.0)))
    iz = to_int(minimum(maximum(fz, zero), zero + (to_float(nz) - 1.0)))
    return (iz * ny + iy) * nx + ix


def occlusion(
    prims: Memory, kinds: Memory, starts: Memory, items: Memory, row: Lanes, live: Lanes,
    x: Lanes, y: Lanes, z: Lanes, nx: Lanes, ny: Lanes, nz: Lanes,
) -> Lanes:  # fmt: skip
    """Ambient light that reaches surface points, in [0, 1], from distances along the normal."""
    start = load(starts, row, live)
    count = where(live, load(starts, row + 1, live) - start, 0)
    d1 = like(x, AO_TAP_1)
    d2 = like(x, AO_TAP_2)
    d3 = like(x, AO_TAP_3)
    d4 = like(x, AO_TAP_4)
    for k in range(most(count)):
        on = k < count
        j = load(items, start + k, on)
        base = j * FLOATS
        cx = x - load(prims, base, on)
        cy = y - load(prims, base + 1, on)
        cz = z - load(prims, base + 2, on)
        # The farthest tap is open unless the bounding ball comes near it.
        fx = cx + AO_TAP_4 * nx
        fy = cy + AO_TAP_4 * ny
        fz = cz + AO_TAP_4 * nz
        bound = load(prims, base + 27, on) + AO_TAP_4
        on = on & (fx * fx + fy * fy + fz * fz < bound * bound)
        if any_true(on):
            shape = load(kinds, j * INTS, on)
            hx = maximum(load(prims, base + 12, on), like(x, 1.0e-4))
            hy = maximum(load(prims, base + 13, on), like(x, 1.0e-4))
            hz = maximum(load(prims, base + 14, on), like(x, 1.0e-4))
            px, py, pz = into_frame(prims, base, on, cx, cy, cz)
            ex, ey, ez = into_frame(prims, base, on, nx, ny, nz)
            last = signed_distance(
                shape, px + AO_TAP_4 * ex, py + AO_TAP_4 * ey, pz + AO_TAP_4 * ez, hx, hy, hz
            )
            near = on & (last < AO_TAP_4)
            d4 = where(near, minimum(d4, last), d4)
            if any_true(near):
                s1 = signed_distance(
                    shape, px + AO_TAP_1 * ex, py + AO_TAP_1 * ey, pz + AO_TAP_1 * ez, hx, hy, hz
                )
                s2 = signed_distance(
                    shape, px + AO_TAP_2 * ex, py + AO_TAP_2 * ey, pz + AO_TAP_2 * ez, hx, hy, hz
                )
                s3 = signed_distance(
                    shape, px + AO_TAP_3 * ex, py + AO_TAP_3 * ey, pz + AO_TAP_3 * ez, hx, hy, hz
                )
                d1 = where(near, minimum(d1, s1), d1)
                d2 = where(near, minimum(d2, s2), d2)
                d3 = where(near, minimum(d3, s3), d3)
    zero = like(x, 0.0)
    blocked = (
        0.16 * (1.0 - maximum(d1, zero) * (1.0 / AO_TAP_1))
        + 0.22 * (1.0 - maximum(d2, zero) * (1.0 / AO_TAP_2))
        + 0.30 * (1.0 - maximum(d3, zero) * (1.0 / AO_TAP_3))
        + 0.32 * (1.0 - maximum(d4, zero) * (1.0 / AO_TAP_4))
    )
    return 1.0 - AO_STRENGTH * clamp01(blocked)


def light_visible(
    prims: Memory, kinds: Memory, starts: Memory, items: Memory, row: Lanes, live: Lanes,
    own: Lanes, x: Lanes, y: Lanes, z: Lanes, dx: Lanes, dy: Lanes, dz: Lanes,
    distance: Lanes, radius: Lanes, width: Lanes,
) -> Lanes:  # fmt: skip
    """Part of a light's disc that points see along unit directions, in [0, 1]."""
    start = load(starts, row, live)
    count = where(live, load(starts, row + 1, live) - start, 0)
    covered = like(x, 0.0)
    for k in range(most(count)):
        on = k < count
        j = load(items, start + k, on)
        # A convex surface that faces the light does not shadow itself.
        on = on & (j != own) & (covered < 1.0)
        base = j * FLOATS
        cx = x - load(prims, base, on)
        cy = y - load(prims, base + 1, on)
        cz = z - load(prims, base + 2, on)
        # Most candidates miss: compare the ray's distance from the centre with the bounding ball.
        ahead = cx * dx + cy * dy + cz * dz
        off = cx * cx + cy * cy + cz * cz - ahead * ahead
        bound = load(prims, base + 27, on) + radius + width
        on = on & (off < bound * bound)
        if any_true(on):
            shape = load(kinds, j * INTS, on)
            hx = maximum(load(prims, base + 12, on), like(x, 1.0e-4))
            hy = maximum(load(prims, base + 13, on), like(x, 1.0e-4))
            hz = maximum(load(prims, base + 14, on), like(x, 1.0e-4))
            px, py, pz = into_frame(prims, base, on, cx, cy, cz)
            ex, ey, ez = into_frame(prims, base, on, dx, dy, dz)
            depth, along = clearance(shape, px, py, pz, ex, ey, ez, hx, hy, hz)
            between = on & (along > 0.0) & (along < distance)
            spread = maximum(div(radius * along, distance), 0.5 * width + 0.003)
            shadow = smooth(clamp01(div(0.5 * depth, spread) + 0.5))
            covered = where(between, covered + shadow, covered)
    return 1.0 - minimum(covered, like(x, 1.0))


def power_16(x: Lanes) -> Lanes:
    """The sixteenth power."""
    x2 = x * x
    x4 = x2 * x2
    x8 = x4 * x4
    return x8 * x8


def illuminate(
    prims: Memory, kinds: Memory, lights: Memory, grid_f: Memory, grid_i: Memory,
    near_start: Memory, near_items: Memory, shadow_start: Memory, shadow_items: Memory,
    scene: Lanes, j: Lanes, lit: Lanes,
    wx: Lanes, wy: Lanes, wz: Lanes, nx: Lanes, ny: Lanes, nz: Lanes,
    vx: Lanes, vy: Lanes, vz: Lanes, width: Lanes, highlights: Lanes,
) -> Lanes:  # fmt: skip
    """Light that surface points get, whatever they are made of; arguments as in `shade`.

    Returns:
        Open part of the surroundings in [0, 1], irradiance (r, g, b), and light near the mirror
        direction (r, g, b), which is zero where `highlights` is.
    """
    px = wx + SURFACE_OFFSET * nx
    py = wy + SURFACE_OFFSET * ny
    pz = wz + SURFACE_OFFSET * nz
    cell = cell_of(grid_f, grid_i, scene, px, py, pz)
    gi = scene * GRID_INTS
    gf = scene * GRID_FLOATS
    open_sky = occlusion(
        prims, kinds, near_start, near_items, cell + load_one(grid_i, gi + 3), lit,
        wx, wy, wz, nx, ny, nz,
    )  # fmt: skip
    # Floors and furniture bounce less and warmer light down-to-up than ceilings do up-to-down.
    sky = open_sky * (0.86 + 0.14 * nz)
    er = load_one(grid_f, gf + 4) * sky
    eg = load_one(grid_f, gf + 5) * sky * (0.985 + 0.015 * nz)
    eb = load_one(grid_f, gf + 6) * sky * (0.95 + 0.05 * nz)
    facing = vx * nx + vy * ny + vz * nz
    mx = 2.0 * facing * nx - vx
    my = 2.0 * facing * ny - vy
    mz = 2.0 * facing * nz - vz
    shine_r = like(wx, 0.0)
    shine_g = like(wx, 0.0)
    shine_b = like(wx, 0.0)
    first = load_one(grid_i, gi + 5)
    lights_here = load_one(grid_i, gi + 6)
    pair = load_one(grid_i, gi + 4) + cell * lights_here
    for k in range(lights_here):
        at = (first + k) * LIGHT_FLOATS
        dx = load_one(lights, at) - px
        dy = load_one(lights, at + 1) - py
        dz = load_one(lights, at + 2) - pz
        reach = load_one(lights, at + 6)
        dd = dx * dx + dy * dy + dz * dz
        distance = sqrt(dd) + 1.0e-6
        dx = div(dx, distance)
        dy = div(dy, distance)
        dz = div(dz, distance)
        cosine = dx * nx + dy * ny + dz * nz
        reached = lit & (dd < reach * reach) & (cosine > 0.0)
        if any_true(reached):
            seen = light_visible(
                prims, kinds, shadow_start, shadow_items, pair + k, reached, j,
                px, py, pz, dx, dy, dz, distance, like(wx, 0.0) + load_one(lights, at + 7), width,
            )  # fmt: skip
            edge = 1.0 - div(dd, like(dd, 0.0) + reach * reach)
            falloff = div(edge * edge, 1.0 + 0.35 * dd)
            strength = where(reached, seen * falloff, like(wx, 0.0))
            cr = load_one(lights, at + 3) * strength
            cg = load_one(lights, at + 4) * strength
            cb = load_one(lights, at + 5) * strength
            er = er + cr * cosine
            eg = eg + cg * cosine
            eb = eb + cb * cosine
            toward = maximum(mx * dx + my * dy + mz * dz, like(wx, 0.0))
            lobe = power_16(toward)
            lobe = highlights * (0.35 * lobe + 1.3 * lobe * lobe * lobe)
            shine_r = shine_r + cr * lobe
            shine_g = shine_g + cg * lobe
            shine_b = shine_b + cb * lobe
    return open_sky, er, eg, eb, shine_r, shine_g, shine_b


def reflect(
    prims: Memory, kinds: Memory, j: Lanes, live: Lanes, r: Lanes, g: Lanes, b: Lanes,
    open_sky: Lanes, er: Lanes, eg: Lanes, eb: Lanes,
    shine_r: Lanes, shine_g: Lanes, shine_b: Lanes,
    nx: Lanes, ny: Lanes, nz: Lanes, vx: Lanes, vy: Lanes, vz: Lanes, highlights: Lanes,
) -> Lanes:  # fmt: skip
    """Linear radiance of points of albedo (r, g, b) in the light that `illuminate` found."""
    material = load(kinds, j * INTS + 1, live)
    glow = (material == EMISSIVE) | (material == WINDOW)
    lit = live & ~glow
    gloss = load(prims, j * FLOATS + 25, lit)
    mirror = load(prims, j * FLOATS + 26, lit)
    facing = vx * nx + vy * ny + vz * nz
    mz = 2.0 * facing * nz - vz
    # What a polished surface mirrors: a bright ceiling over a dim room, dimmer in corners.
    up = mix(nz, mz, highlights)
    room = (0.30 + 0.85 * ramp(-0.25, 0.85, up)) * open_sky
    grazing = 1.0 - clamp01(facing)
    fresnel = highlights * grazing * grazing * grazing * grazing * gloss * 0.5
    mirrored = mirror + fresnel
    dull = 1.0 - 0.75 * mirror
    tint = clamp01(mirror * 2.0)
    out_r = r * er * dull + mix(like(r, 1.0), r, tint) * (gloss * shine_r + mirrored * room * 1.2)
    out_g = g * eg * dull + mix(like(g, 1.0), g, tint) * (gloss * shine_g + mirrored * room * 1.2)
    out_b = b * eb * dull + mix(like(b, 1.0), b, tint) * (gloss * shine_b + mirrored * room * 1.15)
    return where(glow, r, out_r), where(glow, g, out_g), where(glow, b, out_b)


def shade(
    prims: Memory, kinds: Memory, lights: Memory, grid_f: Memory, grid_i: Memory,
    near_start: Memory, near_items: Memory, shadow_start: Memory, shadow_items: Memory,
    scene: Lanes, j: Lanes, live: Lanes,
    lx: Lanes, ly: Lanes, lz: Lanes, lnx: Lanes, lny: Lanes, lnz: Lanes,
    wx: Lanes, wy: Lanes, wz: Lanes, nx: Lanes, ny: Lanes, nz: Lanes,
    vx: Lanes, vy: Lanes, vz: Lanes, width: Lanes, highlights: Lanes,
) -> Lanes:  # fmt: skip
    """Linear radiance of surface points toward a viewer.

    The arrays are those of `packing.PackedScenes`; `scene` is the same for all lanes. Each lane
    lies on primitive `j` (`live` is false where there is none), at (lx, ly, lz) with normal
    (lnx, lny, lnz) in its frame, (wx, wy, wz) and (nx, ny, nz) in the world; (vx, vy, vz) points
    to the viewer. `width` is the sample's footprint on the surface in metres. `highlights` is 1
    for reflections that depend on the view, 0 for what looks the same from everywhere. The result
    is not negative and may exceed 1.
    """
    r, g, b = surface_color(prims, kinds, j, live, lx, ly, lz, lnx, lny, lnz, width)
    material = load(kinds, j * INTS + 1, live)
    lit = live & (material != EMISSIVE) & (material != WINDOW)
    open_sky, er, eg, eb, shine_r, shine_g, shine_b = illuminate(
        prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
        scene, j, lit, wx, wy, wz, nx, ny, nz, vx, vy, vz, width, highlights,
    )  # fmt: skip
    return reflect(
        prims, kinds, j, live, r, g, b, open_sky, er, eg, eb, shine_r, shine_g, shine_b,
        nx, ny, nz, vx, vy, vz, highlights,
    )  # fmt: skip


def encode(x: Lanes) -> Lanes:
    """Display value 0…255 of linear radiance: Reinhard's extended curve, then sRGB.

    sRGB's root is Taylor's fit from square roots (2010), within 0.2 %: no power function, whose
    last bits differ between processors.
    """
    e = maximum(x, like(x, 0.0)) * EXPOSURE
    tone = clamp01(div(e * (1.0 + e * (1.0 / (WHITE * WHITE))), 1.0 + e))
    s1 = sqrt(tone)
    s2 = sqrt(s1)
    s3 = sqrt(s2)
    root = 0.662002687 * s1 + 0.684122060 * s2 - 0.323583601 * s3 - 0.0225411470 * tone
    linear = 12.92 * tone
    display = where(tone < 0.0031308, linear, root)
    return to_int(floor(clamp01(display) * 255.0 + 0.5))
