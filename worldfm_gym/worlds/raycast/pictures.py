"""Pictures: materials that bring colors of their own: book spines, framed art, windows, screens.

Shared source. Each takes surface coordinates (u, v) in metres from the middle of the face, v up
on upright faces, and returns linear RGB.
"""

from __future__ import annotations

from worldfm_gym.worlds.raycast.materials import books
from worldfm_gym.worlds.raycast.noise import (
    band,
    cell_noise,
    clamp01,
    fading_noise,
    mix,
    mottle,
    pulse,
    ramp,
    value_noise,
)
from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    absolute,
    div,
    floor,
    hash_int,
    like,
    maximum,
    minimum,
    stir,
    unit_float,
    where,
)


def hue_color(hue: Lanes, strength: Lanes) -> Lanes:
    """A muted color of hue in [0, 1) and saturation in [0, 1]."""
    h = hue * 6.0
    r = clamp01(absolute(h - 3.0) - 1.0)
    g = clamp01(2.0 - absolute(h - 2.0))
    b = clamp01(2.0 - absolute(h - 4.0))
    return (
        mix(like(h, 1.0), r, strength),
        mix(like(h, 1.0), g, strength),
        mix(like(h, 1.0), b, strength),
    )


def book_row(
    u: Lanes, v: Lanes, hv: Lanes, width: Lanes, p: Lanes, seed: Lanes,
    cr: Lanes, cg: Lanes, cb: Lanes, ar: Lanes, ag: Lanes, ab: Lanes,
) -> Lanes:  # fmt: skip
    """Spines in cloth colors around `color` and `accent`, with pale titles."""
    hue, shade, title = books(u, v, hv, width, p, seed)
    pick = hue * 9.0 - floor(hue * 9.0)
    hr, hg, hb = hue_color(hue, like(hue, 0.72))
    light = 0.06 + 0.34 * pick * pick
    own = ramp(0.25, 0.3, pick)
    r = mix(mix(cr, ar, pick), hr * light, own)
    g = mix(mix(cg, ag, pick), hg * light, own)
    b = mix(mix(cb, ab, pick), hb * light, own)
    cream = ramp(0.86, 0.87, pick)
    r = mix(r, like(r, 0.62), cream)
    g = mix(g, like(r, 0.57), cream)
    b = mix(b, like(r, 0.47), cream)
    gilt = where(cream > 0.5, like(r, 0.08), like(r, 0.55))
    r = mix(r, gilt, title)
    g = mix(g, 0.85 * gilt, title)
    b = mix(b, 0.55 * gilt, title)
    return r * shade, g * shade, b * shade


def landscape(x: Lanes, y: Lanes, soft: Lanes, seed: Lanes) -> Lanes:
    """A painted landscape in x, y ∈ [−1, 1]: sky, sun, two ranges of hills, a foreground."""
    mood = unit_float(hash_int(seed, seed, seed))
    kind = unit_float(hash_int(seed, stir(seed, 1), seed))
    hr, hg, hb = hue_color(mood, like(x, 0.55))
    kr, kg, kb = hue_color(kind, like(x, 0.6))
    up = 0.5 + 0.5 * y
    r = mix(0.75 * hr + 0.1, like(x, 0.28), up)
    g = mix(0.72 * hg + 0.1, like(x, 0.42), up)
    b = mix(0.65 * hb + 0.1, like(x, 0.62), up)
    sx = x - (1.2 * kind - 0.6)
    sy = y - 0.35
    sun = ramp(0.0, 0.05, 0.05 - sx * sx - sy * sy)
    r = mix(r, like(x, 0.95), sun)
    g = mix(g, like(x, 0.80), sun)
    b = mix(b, like(x, 0.45), sun)
    far = 0.05 + 0.28 * value_noise(x * 1.7 + 4.0, like(x, 0.5), stir(seed, 2))
    near = -0.35 + 0.25 * value_noise(x * 1.1 - 2.0, like(x, 0.5), stir(seed, 3))
    on_far = clamp01(div(far - y, soft) + 0.5)
    on_near = clamp01(div(near - y, soft) + 0.5)
    stroke = 1.0 + 0.25 * mottle(x * 6.0, y * 14.0, soft * 10.0, stir(seed, 4))
    r = mix(mix(r, 0.30 * kr + 0.05, on_far), 0.22 * kg * stroke, on_near)
    g = mix(mix(g, 0.28 * kg + 0.06, on_far), 0.20 * hr * stroke + 0.03, on_near)
    b = mix(mix(b, 0.34 * kb + 0.08, on_far), 0.14 * kb * stroke, on_near)
    return r, g, b


def abstract(x: Lanes, y: Lanes, soft: Lanes, seed: Lanes) -> Lanes:
    """An abstract print: overlapping blocks of color on paper."""
    r = like(x, 0.72)
    g = like(x, 0.68)
    b = like(x, 0.60)
    for k in range(4):
        s = hash_int(seed, stir(seed, k), stir(seed, 17))
        cx = 1.4 * unit_float(s) - 0.7
        cy = 1.4 * unit_float(hash_int(s, s, seed)) - 0.7
        size = 0.22 + 0.4 * unit_float(hash_int(s, seed, s))
        disc = unit_float(hash_int(s, stir(s, 1), s)) > 0.45
        dx = absolute(x - cx)
        dy = absolute(y - cy)
        reach = where(disc, div(dx * dx + dy * dy, like(x, 0.0) + size), maximum(dx, 0.6 * dy))
        on = clamp01(div(size - reach, soft) + 0.5) * 0.92
        hr, hg, hb = hue_color(unit_float(hash_int(stir(s, 2), seed, s)), like(x, 0.75))
        dark = 0.12 + 0.6 * unit_float(hash_int(stir(s, 3), seed, s))
        r = mix(r, hr * dark, on)
        g = mix(g, hg * dark, on)
        b = mix(b, hb * dark, on)
    return r, g, b


def framed_picture(
    u: Lanes, v: Lanes, hu: Lanes, hv: Lanes, width: Lanes, seed: Lanes,
    cr: Lanes, cg: Lanes, cb: Lanes,
) -> Lanes:  # fmt: skip
    """A picture in a frame of `color` with a white mount."""
    edge = minimum(hu - absolute(u), hv - absolute(v))
    size = minimum(hu, hv)
    rail = minimum(0.10 * size, like(u, 0.03))
    mount = rail + 0.16 * size
    x = div(u, maximum(hu - mount, like(u, 1.0e-3)))
    y = div(v, maximum(hv - mount, like(u, 1.0e-3)))
    soft = div(width, size) + 0.02
    r, g, b = landscape(x, y, soft, seed)
    r2, g2, b2 = abstract(x, y, soft, seed)
    modern = unit_float(hash_int(seed, seed, stir(seed, 31))) > 0.5
    r = where(modern, r2, r)
    g = where(modern, g2, g)
    b = where(modern, b2, b)
    w = maximum(width, like(u, 1.0e-4))
    on_mount = clamp01(div(mount - edge, w) + 0.5)
    on_rail = clamp01(div(rail - edge, w) + 0.5)
    groove = 1.0 - 0.35 * ramp(0.6, 1.0, div(edge, rail))
    r = mix(mix(r, like(u, 0.80), on_mount), cr * groove, on_rail)
    g = mix(mix(g, like(u, 0.79), on_mount), cg * groove, on_rail)
    b = mix(mix(b, like(u, 0.75), on_mount), cb * groove, on_rail)
    return r, g, b


def window_view(
    u: Lanes, v: Lanes, hu: Lanes, hv: Lanes, width: Lanes, seed: Lanes,
    cr: Lanes, cg: Lanes, cb: Lanes, ar: Lanes, ag: Lanes, ab: Lanes,
) -> Lanes:  # fmt: skip
    """Daylight outside: sky of `color` with clouds over a treeline and a meadow of `accent`.

    Sash bars divide the pane; the values exceed 1, since outdoors is brighter than any room.
    """
    y = div(v, hv)
    cloud = ramp(0.0, 0.6, mottle(u * 1.3, v * 2.6, width * 2.6, seed))
    haze = clamp01(0.75 - 0.55 * y)
    white = clamp01(haze + 0.5 * cloud)
    r = mix(1.5 * cr, like(u, 1.9), white)
    g = mix(1.5 * cg, like(u, 1.9), white)
    b = mix(1.6 * cb, like(u, 1.95), white)
    tree = -0.42 + 0.16 * value_noise(u * 2.3, like(u, 0.5), stir(seed, 1))
    tree = tree + 0.07 * fading_noise(u * 9.0, like(u, 0.5), width * 9.0, stir(seed, 2))
    ground = -0.62 + 0.05 * value_noise(u * 1.1, like(u, 0.5), stir(seed, 3))
    soft = div(width, hv) + 0.01
    on_tree = clamp01(div(tree - y, soft) + 0.5)
    on_ground = clamp01(div(ground - y, soft) + 0.5)
    leaf = 0.75 + 0.35 * mottle(u * 7.0, v * 7.0, width * 7.0, stir(seed, 4))
    r = mix(mix(r, 0.70 * ar * leaf, on_tree), 1.25 * ar, on_ground)
    g = mix(mix(g, 0.75 * ag * leaf, on_tree), 1.35 * ag, on_ground)
    b = mix(mix(b, 0.70 * ab * leaf, on_tree), 1.05 * ab, on_ground)
    frame = minimum(hu - absolute(u), hv - absolute(v))
    w = maximum(width, like(u, 1.0e-4))
    sash = clamp01(div(0.045 - frame, w) + 0.5)
    post = where(hu > 0.42, band(u, -0.022, 0.022, width), like(u, 0.0))
    rail = where(hv > 0.5, band(v - 0.25 * hv, -0.018, 0.018, width), like(u, 0.0))
    bars = maximum(sash, maximum(post, rail))
    return mix(r, like(u, 0.55), bars), mix(g, like(u, 0.54), bars), mix(b, like(u, 0.52), bars)


def screen_view(
    u: Lanes, v: Lanes, hu: Lanes, hv: Lanes, width: Lanes, seed: Lanes,
    cr: Lanes, cg: Lanes, cb: Lanes, ar: Lanes, ag: Lanes, ab: Lanes,
) -> Lanes:  # fmt: skip
    """A display: dark glass of `color` with a bezel, rows and bars glowing in `accent`."""
    edge = minimum(hu - absolute(u), hv - absolute(v))
    w = maximum(width, like(u, 1.0e-4))
    bezel = clamp01(div(0.012 - edge, w) + 0.5)
    x = div(u, hu)
    y = div(v, hv)
    row = floor((y + 1.0) * 6.0)
    length = 0.25 + 0.6 * cell_noise(row, like(u, 1.0), seed)
    text = pulse((y + 1.0) * 6.0, like(u, 0.4), div(width, hv) * 6.0)
    text = (
        text
        * band(x + 0.9, 0.0, 1.6, div(width, hu))
        * clamp01(div(length - 0.5 * (x + 0.9), soft_of(width, hu)))
    )
    glow = 0.35 + 0.4 * (y + 1.0) * 0.5
    r = mix(cr, ar, clamp01(0.25 * glow + 0.75 * text))
    g = mix(cg, ag, clamp01(0.25 * glow + 0.75 * text))
    b = mix(cb, ab, clamp01(0.25 * glow + 0.75 * text))
    return (
        mix(r, like(u, 0.015), bezel),
        mix(g, like(u, 0.015), bezel),
        mix(b, like(u, 0.016), bezel),
    )


def soft_of(width: Lanes, half: Lanes) -> Lanes:
    """A footprint relative to a half size, never zero."""
    return div(width, half) + 0.01
