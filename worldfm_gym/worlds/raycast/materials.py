"""Materials: what covers a surface, as a blend of its two colors and a tone (shared source).

Each pattern takes surface coordinates (u, v) in metres, the sample's footprint `width` in metres,
the texture period `p` in metres and a seed, and returns (blend, tone): the albedo is
``mix(color, accent, blend) * tone``. Patterns that fill their face take its half sizes as well.
"""

from __future__ import annotations

from worldfm_gym.worlds.raycast.noise import (
    band,
    cell_noise,
    clamp01,
    fade,
    fading_noise,
    fraction,
    joint,
    mix,
    mottle,
    pulse,
    ramp,
    value_noise,
    wave,
)
from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    absolute,
    any_true,
    div,
    floor,
    hash_int,
    like,
    maximum,
    minimum,
    stir,
    to_int,
    unit_float,
    where,
)

PAINT = 0
PLASTER = 1
WOOD = 2
PLANKS = 3
BRICK = 4
TILE = 5
FABRIC = 6
CARPET = 7
METAL = 8
CONCRETE = 9
MARBLE = 10
LEATHER = 11
HAZARD = 12
BOOKS = 13
PICTURE = 14
EMISSIVE = 15
WINDOW = 16
CARDBOARD = 17
SCREEN = 18
FOLIAGE = 19
RUG = 20
GRATE = 21


def paint(u: Lanes, v: Lanes, width: Lanes, seed: Lanes) -> Lanes:
    """Rolled paint: barely uneven, never a flat fill."""
    broad = mottle(u * 1.3, v * 1.3, width * 1.3, seed)
    nap = fading_noise(u * 60.0, v * 60.0, width * 60.0, stir(seed, 5))
    return like(u, 0.0), 1.0 + 0.025 * broad + 0.02 * nap


def plaster(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Troweled plaster: cloudy blotches and a fine sandy grain."""
    s = div(like(u, 1.0), p)
    cloud = mottle(u * s, v * s, width * s, seed)
    stroke = mottle(u * 4.0, v * 9.0, width * 9.0, stir(seed, 2))
    grain = fading_noise(u * 45.0, v * 45.0, width * 45.0, stir(seed, 3))
    blend = clamp01(0.35 + 0.6 * cloud)
    return 0.7 * blend, 1.0 + 0.04 * stroke + 0.05 * grain


def grain(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Wood grain along u: wavering growth rings, fibers and darker pores."""
    s = div(like(u, 1.0), p)
    bend = value_noise(u * 0.9 + 3.1, v * s, seed)
    ring_at = v * s * 2.2 + 1.3 * bend + 0.35 * value_noise(u * 4.0, v * s * 3.0, stir(seed, 1))
    rings = wave(ring_at) * fade(width * s * 2.2)
    fiber = fading_noise(u * 9.0, v * 160.0, width * 90.0, stir(seed, 2))
    broad = value_noise(u * 2.0, v * s * 1.4, stir(seed, 3))
    pores = ramp(0.55, 0.95, value_noise(u * 22.0, v * 240.0, stir(seed, 4))) * fade(width * 100.0)
    blend = clamp01(0.15 + 0.85 * rings * rings + 0.25 * broad)
    return blend, 1.0 + 0.07 * broad + 0.07 * fiber - 0.16 * pores - 0.10 * rings


def planks(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Floor boards of width p along u, staggered, each with its own tone and grain."""
    s = div(like(u, 1.0), p)
    row = floor(v * s)
    shift = cell_noise(row, row, seed)
    length = 1.0 / 1.45
    along = u * length + shift * 7.0
    board = hash_int(to_int(floor(along)), to_int(row), stir(seed, 7))
    tone = unit_float(board)
    blend, detail = grain(u + 13.0 * tone, v, width, 0.8 * p, board)
    half = 0.0016 * s
    seam_v = joint(v * s, half, width * s)
    seam_u = joint(along, like(u, 0.0012 * length), width * length)
    seam = maximum(seam_v, seam_u)
    bevel = maximum(joint(v * s, 3.0 * half, width * s), seam_u)
    light = (0.80 + 0.36 * tone) * detail
    return clamp01(0.55 * blend + 0.75 * tone - 0.2), light * (1.0 - 0.12 * bevel) * (
        1.0 - 0.55 * seam
    )


def brick(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Running bond of bricks p long with mortar in the accent color."""
    s = div(like(u, 1.0), p)
    rise = 3.0 * s
    row = floor(v * rise)
    along = u * s + 0.5 * (row - 2.0 * floor(0.5 * row))
    one = hash_int(to_int(floor(along)), to_int(row), seed)
    tone = unit_float(one)
    burnt = ramp(0.78, 0.98, cell_noise(along, v * rise, stir(seed, 3)))
    half = 0.0055 * s
    wobble = 0.15 * fading_noise(u * 30.0, v * 30.0, width * 30.0, stir(seed, 4))
    mortar_u = joint(along, half * (1.0 + wobble), width * s)
    mortar_v = joint(v * rise, 3.0 * half * (1.0 + wobble), width * rise)
    mortar = 1.0 - (1.0 - mortar_u) * (1.0 - mortar_v)
    under = joint(v * rise + 0.09, like(u, 0.05), width * rise) * (1.0 - mortar)
    rough = mottle(u * 28.0, v * 28.0, width * 28.0, stir(seed, 1))
    stain = mottle(u * 0.7, v * 0.7, width * 0.7, stir(seed, 2))
    spread = fade(width * s)
    face = mix(like(u, 0.92), (0.70 + 0.50 * tone) * (1.0 - 0.40 * burnt), spread)
    tone_all = mix(face * (1.0 + 0.16 * rough) * (1.0 - 0.25 * under), 0.82 + 0.1 * rough, mortar)
    return mix(0.10 * tone * spread, like(u, 1.0), mortar), tone_all * (1.0 + 0.08 * stain)


def tile(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Glazed square tiles of side p, grout in the accent color, glaze pooled toward the edges."""
    s = div(like(u, 1.0), p)
    half = minimum(0.0022 * s, like(u, 0.06))
    grout_u = joint(u * s, half, width * s)
    grout_v = joint(v * s, half, width * s)
    grout = 1.0 - (1.0 - grout_u) * (1.0 - grout_v)
    tone = cell_noise(u * s, v * s, seed) - 0.5
    edge_u = absolute(fraction(u * s) - 0.5)
    edge_v = absolute(fraction(v * s) - 0.5)
    rim = ramp(0.40, 0.5, maximum(edge_u, edge_v)) * fade(width * s * 4.0)
    cloud = mottle(u * s * 1.7, v * s * 1.7, width * s * 1.7, stir(seed, 1))
    return grout, mix(
        1.0 + 0.12 * tone * fade(width * s) + 0.05 * cloud - 0.07 * rim, like(u, 0.9), grout
    )


def fabric(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Woven cloth: heathered threads both ways and soft creases."""
    s = div(like(u, 6.0), p)
    warp = fading_noise(u * 300.0, v * 40.0, width * 120.0, seed)
    weft = fading_noise(u * 40.0, v * 300.0, width * 120.0, stir(seed, 1))
    slub = mottle(u * s, v * s * 0.6, width * s, stir(seed, 2))
    crease = mottle(u * 3.1, v * 2.3, width * 3.1, stir(seed, 3))
    blend = clamp01(0.4 + 0.45 * slub + 0.25 * (warp + weft))
    return blend, 1.0 + 0.09 * slub + 0.08 * (warp - weft) + 0.10 * crease


def carpet(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Cut pile: tufts, and the broad shading that feet and vacuum cleaners leave."""
    s = div(like(u, 3.0), p)
    tuft = fading_noise(u * 110.0, v * 110.0, width * 110.0, seed)
    clump = mottle(u * s, v * s, width * s, stir(seed, 1))
    trodden = mottle(u * 1.1, v * 1.1, width * 1.1, stir(seed, 2))
    blend = clamp01(0.35 + 0.4 * clump + 0.2 * tuft)
    return 0.6 * blend, 1.0 + 0.16 * tuft + 0.10 * clump + 0.12 * trodden


def metal(u: Lanes, v: Lanes, width: Lanes, seed: Lanes) -> Lanes:
    """Brushed sheet: streaks along u."""
    streak = fading_noise(u * 3.0, v * 140.0, width * 70.0, seed)
    broad = mottle(u * 1.7, v * 6.0, width * 6.0, stir(seed, 1))
    return clamp01(0.25 + 0.4 * broad), 1.0 + 0.10 * streak + 0.07 * broad


def concrete(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Cast concrete: water stains, fine aggregate, air holes and the odd crack."""
    s = div(like(u, 1.0), p)
    stain = mottle(u * s * 1.3, v * s * 1.3, width * s * 1.3, seed)
    patch = mottle(u * 5.0, v * 5.0, width * 5.0, stir(seed, 1))
    grit = fading_noise(u * 90.0, v * 90.0, width * 90.0, stir(seed, 2))
    holes = ramp(0.62, 0.85, value_noise(u * 26.0, v * 26.0, stir(seed, 3))) * fade(width * 26.0)
    ridge = absolute(mottle(u * s * 0.8 + 4.0, v * s * 0.8, width * s, stir(seed, 4)))
    crack = (1.0 - ramp(0.0, 0.012, ridge)) * fade(width * 60.0)
    crack = crack * ramp(0.1, 0.5, value_noise(u * 0.5, v * 0.5, stir(seed, 5)))
    tone = 1.0 + 0.13 * stain + 0.09 * patch + 0.07 * grit - 0.22 * holes - 0.35 * crack
    return clamp01(0.4 + 0.7 * stain), tone


def marble(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Polished stone: warped veins of two weights over soft clouds."""
    s = div(like(u, 1.0), p)
    wu = u * s + 0.55 * value_noise(u * s * 1.9, v * s * 1.9, seed)
    wv = v * s + 0.55 * value_noise(u * s * 1.9 + 5.0, v * s * 1.9 + 9.0, stir(seed, 1))
    bold = 1.0 - ramp(
        0.0, 0.13, absolute(mottle(wu * 1.1, wv * 2.0, width * s * 2.0, stir(seed, 2)))
    )
    thin = 1.0 - ramp(
        0.0, 0.07, absolute(mottle(wu * 3.4, wv * 2.3, width * s * 3.4, stir(seed, 3)))
    )
    cloud = mottle(u * s, v * s, width * s, stir(seed, 4))
    blend = clamp01(0.75 * bold + 0.35 * thin * fade(width * s * 6.0) + 0.15 * cloud)
    return blend, 1.0 + 0.05 * cloud


def leather(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Tanned hide: pebbled grain, worn highlights and creases."""
    s = div(like(u, 1.0), p)
    pebble = fading_noise(u * 130.0, v * 130.0, width * 130.0, seed)
    worn = mottle(u * s, v * s, width * s, stir(seed, 1))
    crease = 1.0 - ramp(0.0, 0.1, absolute(mottle(u * 7.0, v * 5.0, width * 7.0, stir(seed, 2))))
    tone = 1.0 + 0.14 * pebble + 0.14 * worn - 0.20 * crease * fade(width * 30.0)
    return clamp01(0.4 + 0.5 * worn), tone


def hazard(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Diagonal safety stripes, scuffed."""
    s = div(like(u, 0.7071), p)
    stripe = pulse((u + v) * s, like(u, 0.5), width * s * 1.4)
    scuff = mottle(u * 11.0, v * 11.0, width * 11.0, seed)
    worn = ramp(0.45, 0.75, scuff)
    return mix(stripe, like(u, 0.5), 0.3 * worn), 1.0 + 0.10 * scuff - 0.15 * worn


def cardboard(u: Lanes, v: Lanes, hu: Lanes, hv: Lanes, width: Lanes, seed: Lanes) -> Lanes:
    """A shipping box: packing tape along the middle, a printed label, faint corrugation."""
    flute = wave(u * 120.0) * fade(width * 120.0)
    scuff = mottle(u * 5.0, v * 5.0, width * 5.0, seed)
    tape = band(v, -0.024, 0.024, width)
    rim = ramp(0.93, 1.0, maximum(absolute(div(u, hu)), absolute(div(v, hv))))
    label_u = band(u, 0.25, 0.25 + 0.11, width) * band(v + 0.5 * hv, -0.035, 0.035, width)
    lines = pulse(v * 90.0, like(u, 0.45), width * 90.0)
    blend = clamp01(0.25 + 0.35 * scuff + 0.2 * flute)
    tone = 1.0 + 0.07 * scuff - 0.10 * rim + 0.22 * tape
    return blend * (1.0 - label_u), mix(tone, 1.55 - 0.5 * lines, label_u)


def foliage(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Leaves: lit clumps over dark gaps, flecked with single leaves."""
    s = div(like(u, 2.0), p)
    clump = mottle(u * s * 0.5, v * s * 0.5, width * s * 0.5, seed)
    leaf = fading_noise(u * s * 1.6 + 0.7 * clump, v * s * 2.1, width * s, stir(seed, 1))
    fleck = fading_noise(u * s * 4.1, v * s * 3.3, width * s * 2.0, stir(seed, 2))
    gap = ramp(0.05, 0.5, -leaf - 0.4 * clump)
    tone = 1.0 + 0.30 * clump + 0.32 * leaf + 0.25 * fleck - 0.45 * gap
    return clamp01(0.45 + 0.5 * clump - 0.3 * fleck), maximum(tone, like(u, 0.15))


def rug(u: Lanes, v: Lanes, hu: Lanes, hv: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """A woven rug: striped border, a field of diamonds and a medallion, pile on top."""
    edge = minimum(hu - absolute(u), hv - absolute(v))
    s = div(like(u, 3.0), p)
    du = absolute(fraction(u * s) - 0.5)
    dv = absolute(fraction(v * s) - 0.5)
    soft = width * s + 0.02
    diamond = clamp01(div(0.30 - (du + dv), soft) + 0.5)
    core = clamp01(div(0.12 - (du + dv), soft) + 0.5)
    field = (diamond - core) * fade(width * s)
    reach = div(absolute(u), 0.62 * hu) + div(absolute(v), 0.62 * hv)
    medallion = ramp(0.98, 1.02, 2.0 - reach) - 0.8 * ramp(1.22, 1.26, 2.0 - reach)
    inner = where(reach < 1.0, medallion * (0.75 + 0.25 * field), field * 0.8)
    outline = band(edge, 0.03, 0.05, width) + band(edge, 0.16, 0.18, width)
    tooth = pulse((u + v) * s * 1.5, like(u, 0.5), width * s * 1.5) * band(edge, 0.07, 0.14, width)
    plain = band(edge, 0.0, 0.19, width)
    blend = mix(inner, clamp01(outline + 0.85 * tooth), plain)
    pile = fading_noise(u * 100.0, v * 100.0, width * 100.0, seed)
    wear = mottle(u * 2.0, v * 2.0, width * 2.0, stir(seed, 1))
    return clamp01(blend), 1.0 + 0.12 * pile + 0.10 * wear


def grate(u: Lanes, v: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """Bar grating: bars of the color over darkness."""
    s = div(like(u, 1.0), p)
    bars = pulse(u * s, like(u, 0.34), width * s)
    ties = pulse(v * s * 0.4, like(u, 0.12), width * s * 0.4)
    solid = maximum(bars, ties)
    rust = mottle(u * 4.0, v * 4.0, width * 4.0, seed)
    return clamp01(0.3 + 0.4 * rust), (0.08 + 0.92 * solid) * (1.0 + 0.1 * rust)


def books(u: Lanes, v: Lanes, hv: Lanes, width: Lanes, p: Lanes, seed: Lanes) -> Lanes:
    """A row of spines: (hue number, tone, title coverage); each book its own height and width."""
    s = div(like(u, 1.0), p)
    x = u * s + 0.30 * value_noise(u * s * 0.7, like(u, 0.5), seed)
    which = floor(x)
    hue = cell_noise(which, like(u, 3.0), stir(seed, 1))
    tall = 0.72 + 0.28 * cell_noise(which, like(u, 5.0), stir(seed, 2))
    top = div(v + hv, 2.0 * hv)
    above = ramp(0.0, 0.02, top - tall)
    gap = joint(x, like(u, 0.06), width * s)
    across = fraction(x) - 0.5
    rounded = 1.0 - 1.1 * across * across * fade(width * s)
    title = band(top, 0.45, 0.62, div(width, 2.0 * hv)) * band(across, -0.2, 0.2, width * s)
    stripe = band(top, 0.12, 0.15, div(width, 2.0 * hv)) + band(
        top, 0.80 * tall, 0.83 * tall, div(width, 2.0 * hv)
    )
    shade = rounded * (1.0 - 0.7 * gap * fade(width * s)) * (1.0 - 0.85 * above)
    return hue, shade, clamp01(0.7 * title + 0.6 * stripe) * fade(width * s * 0.8)


def blend_tone(
    material: Lanes,
    u: Lanes,
    v: Lanes,
    hu: Lanes,
    hv: Lanes,
    width: Lanes,
    p: Lanes,
    seed: Lanes,
) -> Lanes:
    """(blend, tone) of each lane's material; only materials present in the block are evaluated."""
    blend, tone = paint(u, v, width, seed)
    if any_true(material == PLASTER):
        b, t = plaster(u, v, width, p, seed)
        blend, tone = where(material == PLASTER, b, blend), where(material == PLASTER, t, tone)
    if any_true(material == WOOD):
        b, t = grain(u, v, width, p, seed)
        blend, tone = where(material == WOOD, b, blend), where(material == WOOD, t, tone)
    if any_true(material == PLANKS):
        b, t = planks(u, v, width, p, seed)
        blend, tone = where(material == PLANKS, b, blend), where(material == PLANKS, t, tone)
    if any_true(material == BRICK):
        b, t = brick(u, v, width, p, seed)
        blend, tone = where(material == BRICK, b, blend), where(material == BRICK, t, tone)
    if any_true(material == TILE):
        b, t = tile(u, v, width, p, seed)
        blend, tone = where(material == TILE, b, blend), where(material == TILE, t, tone)
    if any_true(material == FABRIC):
        b, t = fabric(u, v, width, p, seed)
        blend, tone = where(material == FABRIC, b, blend), where(material == FABRIC, t, tone)
    if any_true(material == CARPET):
        b, t = carpet(u, v, width, p, seed)
        blend, tone = where(material == CARPET, b, blend), where(material == CARPET, t, tone)
    if any_true(material == METAL):
        b, t = metal(u, v, width, seed)
        blend, tone = where(material == METAL, b, blend), where(material == METAL, t, tone)
    if any_true(material == CONCRETE):
        b, t = concrete(u, v, width, p, seed)
        blend, tone = where(material == CONCRETE, b, blend), where(material == CONCRETE, t, tone)
    if any_true(material == MARBLE):
        b, t = marble(u, v, width, p, seed)
        blend, tone = where(material == MARBLE, b, blend), where(material == MARBLE, t, tone)
    if any_true(material == LEATHER):
        b, t = leather(u, v, width, p, seed)
        blend, tone = where(material == LEATHER, b, blend), where(material == LEATHER, t, tone)
    if any_true(material == HAZARD):
        b, t = hazard(u, v, width, p, seed)
        blend, tone = where(material == HAZARD, b, blend), where(material == HAZARD, t, tone)
    if any_true(material == CARDBOARD):
        b, t = cardboard(u, v, hu, hv, width, seed)
        blend, tone = where(material == CARDBOARD, b, blend), where(material == CARDBOARD, t, tone)
    if any_true(material == FOLIAGE):
        b, t = foliage(u, v, width, p, seed)
        blend, tone = where(material == FOLIAGE, b, blend), where(material == FOLIAGE, t, tone)
    if any_true(material == RUG):
        b, t = rug(u, v, hu, hv, width, p, seed)
        blend, tone = where(material == RUG, b, blend), where(material == RUG, t, tone)
    if any_true(material == GRATE):
        b, t = grate(u, v, width, p, seed)
        blend, tone = where(material == GRATE, b, blend), where(material == GRATE, t, tone)
    return blend, tone
