"""Fittings of bedrooms, kitchens, bathrooms and halls; every front faces +x."""

from __future__ import annotations

from random import Random

from worldfm_gym.worlds.procedural.furniture import add_fronts, add_legs
from worldfm_gym.worlds.procedural.orient import ALONG_X, ALONG_Y
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    BLACK_PLASTIC,
    CERAMIC,
    DARK_STEEL,
    MIRROR,
    STEEL,
    Finish,
    Style,
    finish,
    lamp,
    srgb,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import Piece
from worldfm_gym.worlds.scene import Material, SceneBuilder

COUNTER_DEPTH_M = 0.6
COUNTER_TOP_M = 0.9
_WATER = finish(Material.MARBLE, "b7d3da", "cfe2e6", 0.6)
_GLASS_BLACK = finish(Material.METAL, "17181a", "0f1011", 0.5)


def bed(draw: Random, style: Style, *, width: float) -> Piece:
    """Bed: frame, mattress, duvet folded back, pillows and headboard at −x."""
    frame = draw.choice((style.wood, style.second, style.wood))
    duvet = draw.choice(style.fabrics)
    throw = draw.choice(style.fabrics)
    headboard = draw.choice((frame, style.seat))
    tall = draw.uniform(0.85, 1.1)
    sheet = finish(Material.FABRIC, "e9e6df", "dcd8cf", 0.05)
    pillows = 2 if width > 1.2 else 1

    def add(b: SceneBuilder) -> None:
        b.box((-1.03, 0, tall / 2), (0.06, width, tall), **headboard)
        b.box((0.02, 0, 0.2), (2.04, width, 0.2), **frame)
        add_legs(b, 1.9, width - 0.1, 0.1, 0.06, frame)
        b.box((0.0, 0, 0.38), (1.96, width - 0.06, 0.2), **sheet)
        b.box((0.25, 0, 0.46), (1.5, width - 0.0, 0.13), **duvet)
        b.box((-0.38, 0, 0.535), (0.26, width - 0.01, 0.05), **tinted(duvet, 1.12))
        if pillows == 2:
            b.box((0.72, 0, 0.535), (0.4, width + 0.004, 0.025), **throw)
        for i in range(pillows):
            y = (i - (pillows - 1) / 2) * width * 0.48
            b.ellipsoid((-0.74, y, 0.54), (0.42, min(0.68, width * 0.46), 0.2), **sheet)
            b.ellipsoid((-0.6, y, 0.58), (0.24, 0.44, 0.22), **throw)

    return Piece("bed", 2.12, width + 0.004, max(tall, 0.69), add, front=0.75)


def base_cabinet(style: Style, width: float, *, sink: bool = False) -> Piece:
    """Stretch of kitchen counter, with a sink if asked for."""
    drawers = not sink and width < 0.75

    def add(b: SceneBuilder) -> None:
        d, top = COUNTER_DEPTH_M, COUNTER_TOP_M
        b.box((-0.03, 0, 0.05), (d - 0.1, width, 0.1), **BLACK_PLASTIC)
        b.box((-0.012, 0, 0.48), (d - 0.06, width, 0.76), **style.front)
        columns = 1 if drawers else max(1, round(width / 0.5))
        add_fronts(
            b, d / 2 - 0.042, width, 0.11, top - 0.05, columns=columns,
            rows=3 if drawers else 1, made_of=style.front, handle=style.metal,
        )  # fmt: skip
        b.box((0, 0, top - 0.02), (d, width, 0.04), **style.counter)
        if sink:
            b.box((0.02, 0, top + 0.002), (0.42, min(0.5, width - 0.08), 0.006), **STEEL)
            b.box(
                (0.02, 0, top + 0.006), (0.35, min(0.5, width - 0.08) - 0.07, 0.006), **DARK_STEEL
            )
            b.cylinder((-0.23, 0, top + 0.1), 0.014, 0.2, **STEEL)
            b.cylinder((-0.15, 0, top + 0.19), 0.012, 0.18, rotation=ALONG_X, **STEEL)

    category, tall = ("sink", COUNTER_TOP_M + 0.205) if sink else ("counter", COUNTER_TOP_M)
    return Piece(category, COUNTER_DEPTH_M, width, tall, add, False, 0.6)


def stove(style: Style) -> Piece:
    """Oven with hob and knobs."""

    def add(b: SceneBuilder) -> None:
        b.box((-0.012, 0, 0.44), (0.576, 0.6, 0.88), **STEEL)
        b.box((0.285, 0, 0.4), (0.02, 0.5, 0.42), **_GLASS_BLACK)
        b.box((0.286, 0, 0.66), (0.028, 0.46, 0.02), **DARK_STEEL)
        for i in range(4):
            b.cylinder(
                (0.272, -0.2 + 0.133 * i, 0.77), 0.02, 0.03, rotation=ALONG_X, **BLACK_PLASTIC
            )
        b.box((-0.01, 0, 0.89), (0.56, 0.58, 0.02), **_GLASS_BLACK)
        for x, y, r in (
            (-0.13, -0.14, 0.09),
            (-0.13, 0.14, 0.075),
            (0.13, -0.14, 0.075),
            (0.13, 0.14, 0.1),
        ):
            b.cylinder((x, y, 0.902), r, 0.006, **DARK_STEEL)

    return Piece("stove", COUNTER_DEPTH_M, 0.6, 0.905, add, False, 0.6)


def fridge(draw: Random, style: Style) -> Piece:
    """Fridge with a freezer door."""
    body = draw.choice((STEEL, CERAMIC, CERAMIC, tinted(style.fabrics[-1], 0.9)))
    shell = finish(Material.METAL if body is STEEL else Material.PAINT, body["color"])
    tall = draw.uniform(1.7, 1.9)

    def add(b: SceneBuilder) -> None:
        b.box((-0.03, 0, tall / 2), (0.56, 0.62, tall), **tinted(shell, 0.85))
        b.box((0.28, 0, 0.35), (0.05, 0.61, 0.6), **shell)
        b.box((0.28, 0, (0.68 + tall) / 2), (0.05, 0.61, tall - 0.7), **shell)
        for z, high in ((0.5, 0.2), (1.0, 0.4)):
            b.box((0.306, 0.24, z), (0.028, 0.02, high), **STEEL)

    return Piece("fridge", 0.64, 0.62, tall, add, False, 0.6)


def upper_cabinet(style: Style, width: float) -> Piece:
    """Wall cupboards above the counter."""

    def add(b: SceneBuilder) -> None:
        b.box((-0.012, 0, 0.35), (0.32, width, 0.7), **style.front)
        add_fronts(
            b, 0.148, width, 0.005, 0.695, columns=max(1, round(width / 0.45)), rows=1,
            made_of=style.front, handle=style.metal,
        )  # fmt: skip

    return Piece("cupboard", 0.37, width, 0.7, add, False)


def hood(style: Style) -> Piece:
    """Extractor hood with its duct."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.05), (0.46, 0.6, 0.08), **STEEL)
        b.box((-0.07, 0, 0.1), (0.32, 0.42, 0.05), **STEEL)
        b.box((-0.11, 0, 0.4), (0.24, 0.26, 0.6), **STEEL)
        b.box((0.06, 0, 0.006), (0.12, 0.3, 0.012), **lamp(0.3))

    return Piece("hood", 0.46, 0.6, 0.7, add, False)


def backsplash(style: Style, width: float) -> Piece:
    """Tiles between counter and cupboards."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.26), (0.008, width, 0.52), **style.tile_wall)

    return Piece("backsplash", 0.008, width, 0.52, add, False)


def kettle(draw: Random, style: Style) -> Piece:
    """Kettle, or a pot with a lid."""
    made_of: Finish = draw.choice((STEEL, BLACK_PLASTIC, style.fabrics[-1]))

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.08), 0.085, 0.16, **made_of)
        b.ellipsoid((0, 0, 0.16), (0.16, 0.16, 0.06), **made_of)
        b.box((0, 0.1, 0.1), (0.02, 0.03, 0.13), **BLACK_PLASTIC)

    return Piece("kettle", 0.17, 0.23, 0.19, add)


def bottles(draw: Random) -> Piece:
    """Three bottles in a row."""
    codes = [draw.choice(("3c5a35", "7a4a22", "c9b458", "a8331f", "dfe3df")) for _ in range(3)]
    tall = [draw.uniform(0.16, 0.26) for _ in codes]

    def add(b: SceneBuilder) -> None:
        for i, code in enumerate(codes):
            made_of = finish(Material.MARBLE, code, None, 0.5)
            b.cylinder((0, (i - 1) * 0.1, tall[i] / 2), 0.035, tall[i], **made_of)
            b.cylinder((0, (i - 1) * 0.1, tall[i] + 0.03), 0.013, 0.06, **made_of)

    return Piece("bottle", 0.07, 0.27, max(tall) + 0.06, add)


def bathtub(draw: Random, style: Style) -> Piece:
    """Tub with rim, water and tap; its long side is on the wall."""
    long = draw.uniform(1.55, 1.72)
    apron = draw.choice((CERAMIC, style.tile_wall))

    def add(b: SceneBuilder) -> None:
        wide, top = 0.75, 0.56
        for sign in (-1, 1):
            b.box((sign * (wide / 2 - 0.03), 0, top / 2 - 0.02), (0.06, long, top - 0.04), **apron)
            end = (0, sign * (long / 2 - 0.04), top / 2 - 0.02)
            b.box(end, (wide - 0.12, 0.08, top - 0.04), **apron)
            b.box((sign * (wide / 2 - 0.04), 0, top - 0.02), (0.08, long, 0.04), **CERAMIC)
            b.box((0, sign * (long / 2 - 0.06), top - 0.02), (wide - 0.16, 0.12, 0.04), **CERAMIC)
        b.box((0, 0, 0.21), (wide - 0.12, long - 0.16, 0.42), **_WATER)
        b.cylinder((0.0, long / 2 - 0.1, top + 0.1), 0.018, 0.2, **STEEL)
        b.cylinder((0.0, long / 2 - 0.17, top + 0.18), 0.014, 0.16, rotation=ALONG_Y, **STEEL)

    return Piece("bathtub", 0.75, long, 0.76, add, False, 0.35)


def shower(draw: Random, style: Style) -> Piece:
    """Shower tray with riser and a half-high tiled screen at one side."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.04), (0.9, 0.9, 0.08), **CERAMIC)
        b.cylinder((0, 0, 0.083), 0.05, 0.008, **STEEL)
        b.cylinder((-0.42, 0, 1.35), 0.014, 1.4, **STEEL)
        b.cylinder((-0.3, 0, 2.04), 0.012, 0.26, rotation=ALONG_X, **STEEL)
        b.cylinder((-0.18, 0, 2.0), 0.1, 0.03, **STEEL)
        b.box((-0.41, 0, 1.1), (0.05, 0.2, 0.05), **STEEL)
        b.box((0, 0.43, 0.6), (0.9, 0.04, 1.04), **style.tile_wall)

    return Piece("shower", 0.9, 0.9, 2.055, add, False, 0.4)


def toilet(draw: Random) -> Piece:
    """Toilet with cistern and lid."""

    def add(b: SceneBuilder) -> None:
        b.box((-0.26, 0, 0.58), (0.18, 0.4, 0.4), **CERAMIC)
        b.box((-0.26, 0, 0.79), (0.2, 0.42, 0.03), **CERAMIC)
        b.cylinder((-0.26, 0, 0.81), 0.025, 0.02, **STEEL)
        b.cylinder((0.0, 0, 0.18), (0.2, 0.13), 0.36, **CERAMIC)
        b.cylinder((0.09, 0, 0.37), (0.26, 0.19), 0.05, **CERAMIC)
        b.cylinder((0.09, 0, 0.41), (0.25, 0.185), 0.03, **tinted(CERAMIC, 0.96))
        b.box((-0.24, 0, 0.2), (0.14, 0.24, 0.4), **CERAMIC)

    return Piece("toilet", 0.722, 0.42, 0.82, add, False, 0.4)


def washbasin(draw: Random, style: Style) -> Piece:
    """Vanity with basin and tap."""
    wide = draw.uniform(0.6, 0.95)

    def add(b: SceneBuilder) -> None:
        b.box((-0.01, 0, 0.5), (0.42, wide - 0.04, 0.6), **style.wood)
        add_fronts(b, 0.19, wide - 0.05, 0.21, 0.79, columns=2, rows=1, made_of=style.front,
                   handle=style.metal)  # fmt: skip
        add_legs(b, 0.4, wide - 0.06, 0.2, 0.04, style.metal)
        b.box((0, 0, 0.825), (0.46, wide, 0.05), **CERAMIC)
        b.cylinder((0.03, 0, 0.87), (0.16, 0.21), 0.05, **CERAMIC)
        b.cylinder((0.03, 0, 0.894), (0.13, 0.18), 0.008, **tinted(CERAMIC, 0.7))
        b.cylinder((-0.18, 0, 0.95), 0.015, 0.2, **STEEL)
        b.cylinder((-0.12, 0, 1.04), 0.013, 0.13, rotation=ALONG_X, **STEEL)

    return Piece("washbasin", 0.46, wide, 1.06, add, False, 0.5)


def washing_machine(draw: Random) -> Piece:
    """Front-loading washing machine."""

    def add(b: SceneBuilder) -> None:
        b.box((-0.02, 0, 0.425), (0.56, 0.6, 0.85), **CERAMIC)
        b.cylinder((0.27, 0, 0.42), 0.19, 0.04, rotation=ALONG_X, **STEEL)
        b.cylinder((0.285, 0, 0.42), 0.15, 0.03, rotation=ALONG_X, **_GLASS_BLACK)
        b.box((0.265, 0, 0.78), (0.016, 0.58, 0.12), **tinted(CERAMIC, 0.8))
        b.cylinder((0.28, 0.15, 0.78), 0.035, 0.03, rotation=ALONG_X, **STEEL)

    return Piece("washing_machine", 0.6, 0.6, 0.85, add, False, 0.45)


def towel_rail(draw: Random, style: Style) -> Piece:
    """Rail with two towels."""
    cloths = (draw.choice(style.fabrics), draw.choice(style.fabrics))

    def add(b: SceneBuilder) -> None:
        b.cylinder((0.01, 0, 0.62), 0.01, 0.66, rotation=ALONG_Y, **STEEL)
        for i, cloth in enumerate(cloths):
            b.box((0.01, (i - 0.5) * 0.32, 0.36 + 0.05 * i), (0.04, 0.27, 0.54), **cloth)
        for sign in (-1, 1):
            b.box((-0.025, sign * 0.31, 0.62), (0.05, 0.02, 0.03), **STEEL)

    return Piece("towel_rail", 0.1, 0.68, 0.68, add, False)


def coat_rack(draw: Random, style: Style) -> Piece:
    """Board with hooks and hanging coats."""
    coats = [draw.choice((*style.fabrics, style.seat)) for _ in range(3)]

    def add(b: SceneBuilder) -> None:
        b.box((-0.09, 0, 1.02), (0.025, 0.9, 0.12), **style.wood)
        b.box((0, 0, 1.1), (0.22, 0.94, 0.024), **style.wood)
        for i, coat in enumerate(coats):
            y, low = (i - 1) * 0.29, 0.05 + 0.12 * i
            b.cylinder((-0.06, y, 1.0), 0.012, 0.05, rotation=ALONG_X, **BLACK_METAL)
            b.box((-0.02, y, (low + 0.92) / 2), (0.1, 0.24, 0.92 - low), **coat)
            b.ellipsoid((-0.02, y, 0.92), (0.12, 0.26, 0.14), **coat)

    return Piece("coat_rack", 0.22, 0.94, 1.112, add, False)


def ceiling_lamp(draw: Random, style: Style, *, drop: float) -> Piece:
    """Lamp whose origin is `drop` below the ceiling, which it hangs from or sits on."""
    glow = lamp(style.warmth)
    shade_color = draw.choice((style.fabrics[1], style.metal, style.fabrics[-1]))

    def add(b: SceneBuilder) -> None:
        if drop < 0.2:
            b.cylinder((0, 0, drop - 0.02), 0.2, 0.04, **style.metal)
            b.cylinder((0, 0, drop - 0.07), 0.18, 0.08, **glow)
            return
        b.cylinder((0, 0, 0.14 + (drop - 0.14) / 2), 0.006, drop - 0.14, **BLACK_METAL)
        b.cylinder((0, 0, 0.09), 0.2, 0.12, **shade_color)
        b.ellipsoid((0, 0, 0.045), (0.17, 0.17, 0.09), **glow)

    return Piece("ceiling_lamp", 0.4, 0.4, drop, add, False)


def cabinet_light(style: Style) -> Piece:
    """Light bar above a mirror."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.03), (0.05, 0.5, 0.06), **lamp(style.warmth * 0.6))

    return Piece("wall_lamp", 0.05, 0.5, 0.06, add, False)


def polished_mirror(width: float, height: float) -> Piece:
    """Frameless bathroom mirror."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, height / 2), (0.02, width - 0.02, height - 0.02), **MIRROR)
        b.box((-0.004, 0, height / 2), (0.012, width, height),
              material=Material.PAINT, color=srgb("8f9496"))  # fmt: skip

    return Piece("mirror", 0.02, width, height, add, False)
