"""Decor: plants, pictures, rugs and the small things that stand on furniture."""

from __future__ import annotations

import math
from random import Random

from worldfm_gym.worlds.procedural.furniture import BOOK_COLORS
from worldfm_gym.worlds.procedural.orient import ALONG_X, lean
from worldfm_gym.worlds.procedural.palette import (
    BLACK_PLASTIC,
    CARDBOARD,
    CERAMIC,
    DARK_LEAVES,
    LEAVES,
    MIRROR,
    SCREEN_OFF,
    STEEL,
    TERRACOTTA,
    Finish,
    Style,
    finish,
    srgb,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import Piece
from worldfm_gym.worlds.scene import Material, SceneBuilder

_FRUIT = ("b83a2c", "d8a024", "7f9c3a")


def plant(draw: Random, style: Style, *, tall: float | None = None) -> Piece:
    """Potted plant: bushy, or with long leaves that lean outwards."""
    height = draw.uniform(0.7, 1.5) if tall is None else tall
    pot = draw.choice((TERRACOTTA, CERAMIC, tinted(style.fabrics[1], 0.9), BLACK_PLASTIC))
    leaves = draw.choice((LEAVES, DARK_LEAVES, tinted(LEAVES, 1.2)))
    pot_radius, pot_tall = 0.11 + 0.05 * height, 0.12 + 0.13 * height
    count = 7 if height > 0.6 else 5
    turns = [draw.uniform(-0.3, 0.3) for _ in range(count)]
    bushy = draw.random() < 0.5
    reach = pot_radius + 0.14 * height

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, pot_tall / 2), pot_radius, pot_tall, **pot)
        b.cylinder((0, 0, pot_tall + 0.004), pot_radius * 0.88, 0.01,
                   material=Material.CARPET, color=srgb("4a382a"))  # fmt: skip
        crown = height - pot_tall
        if bushy:
            b.cylinder((0, 0, pot_tall + crown * 0.25), 0.014, crown * 0.5,
                       material=Material.WOOD, color=srgb("6b5138"))  # fmt: skip
            for i, turn in enumerate(turns):
                angle = 2.4 * i + turn
                out = reach * 0.42 * (1 - i / (2 * count))
                z = pot_tall + crown * (0.36 + 0.44 * i / count)
                at = (out * math.cos(angle), out * math.sin(angle), z)
                b.ellipsoid(at, (reach * 0.95, reach * 0.95, crown * 0.4), yaw=angle,
                            **tinted(leaves, 0.85 + 0.05 * i))  # fmt: skip
            return
        for i, turn in enumerate(turns):
            angle = 0.12 + 0.05 * i
            cos, sin = math.cos(angle), math.sin(angle)
            length = crown * (1.0 - 0.06 * i)
            with b.frame((0, 0, pot_tall), 2 * math.pi * i / count + turn):
                center = (sin * length / 2 + 0.02, 0, cos * length / 2 - 0.01)
                b.ellipsoid(center, (0.02, 0.1 + 0.05 * height, length), rotation=lean(angle),
                            **tinted(leaves, 0.8 + 0.06 * i))  # fmt: skip

    return Piece("plant", 2 * reach, 2 * reach, height, add)


def picture(draw: Random, style: Style, *, width: float | None = None) -> Piece:
    """Framed picture, its back on the wall."""
    wide = draw.uniform(0.35, 1.0) if width is None else width
    tall = wide * draw.choice((0.7, 0.75, 1.0, 1.3))
    tall = min(tall, 0.95)
    frame = draw.choice((style.wood, style.second, BLACK_PLASTIC, style.metal))
    art = finish(Material.PICTURE, frame["color"], frame["accent"], min(wide, tall))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, tall / 2), (0.03, wide, tall), **art)

    return Piece("picture", 0.03, wide, tall, add, movable=False)


def mirror(draw: Random, style: Style, *, width: float, height: float) -> Piece:
    """Wall mirror, drawn as bright polished metal."""

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, height / 2), (0.02, width, height), **style.wood)
        b.box((0.011, 0, height / 2), (0.006, width - 0.05, height - 0.05), **MIRROR)

    return Piece("mirror", 0.028, width, height, add, movable=False)


def clock(draw: Random, style: Style) -> Piece:
    """Round wall clock."""

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.15), 0.15, 0.03, rotation=ALONG_X, **style.metal)
        b.cylinder((0.012, 0, 0.15), 0.135, 0.014, rotation=ALONG_X, **CERAMIC)
        b.box((0.021, 0, 0.19), (0.004, 0.012, 0.08), **BLACK_PLASTIC)
        b.box((0.021, 0.03, 0.15), (0.004, 0.07, 0.01), **BLACK_PLASTIC)

    return Piece("clock", 0.05, 0.3, 0.3, add, movable=False)


def rug(draw: Random, style: Style, *, depth: float, width: float) -> Piece:
    """Thin rug with a border."""
    cloth = draw.choice(style.fabrics)
    other = draw.choice(style.fabrics)
    made_of = finish(
        Material.RUG, cloth["color"], tinted(other, 0.85)["color"], draw.uniform(0.3, 0.5)
    )

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.004), (depth, width, 0.008), **made_of)

    return Piece("rug", depth, width, 0.008, add)


def wall_shelf(draw: Random, style: Style) -> Piece:
    """Board on the wall with books and a vase."""
    wide = draw.uniform(0.7, 1.1)
    colors = draw.choice(BOOK_COLORS)
    books = finish(Material.BOOKS, colors[0], colors[1], 0.035)
    vase = draw.choice(style.fabrics)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.012), (0.22, wide, 0.024), **style.wood)
        b.box((-0.01, -wide * 0.18, 0.024 + 0.11), (0.17, wide * 0.45, 0.22), **books)
        b.ellipsoid((0, wide * 0.28, 0.024 + 0.09), (0.12, 0.12, 0.18), **vase)

    return Piece("wall_shelf", 0.22, wide, 0.25, add, movable=False)


def vase(draw: Random, style: Style) -> Piece:
    """Vase with a few stems."""
    made_of: Finish = draw.choice((*style.fabrics, CERAMIC))
    glazed = finish(Material.MARBLE, made_of["color"], tinted(made_of, 1.15)["color"], 0.4)
    bloom = finish(Material.FOLIAGE, draw.choice(("c9545a", "e0c04a", "d9d2dc", "5f8a45")))

    def add(b: SceneBuilder) -> None:
        b.ellipsoid((0, 0, 0.1), (0.13, 0.13, 0.2), **glazed)
        b.cylinder((0, 0, 0.21), 0.03, 0.05, **glazed)
        for i in range(3):
            angle = 2.1 * i
            at = (0.045 * math.cos(angle), 0.045 * math.sin(angle), 0.33)
            b.ellipsoid(at, (0.09, 0.09, 0.2), **tinted(bloom, 0.9 + 0.1 * i))

    return Piece("vase", 0.18, 0.18, 0.43, add)


def bowl(draw: Random, style: Style) -> Piece:
    """Bowl of fruit."""
    made_of = draw.choice((CERAMIC, style.wood, style.fabrics[1]))

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.015), 0.07, 0.03, **made_of)
        b.cylinder((0, 0, 0.05), 0.14, 0.05, **made_of)
        for i, code in enumerate(_FRUIT):
            at = (0.055 * math.cos(2.1 * i), 0.055 * math.sin(2.1 * i), 0.09)
            b.ellipsoid(at, (0.085, 0.085, 0.08), material=Material.PAINT, color=srgb(code))

    return Piece("bowl", 0.28, 0.28, 0.13, add)


def mug(draw: Random, style: Style) -> Piece:
    """Mug with a handle."""
    made_of = draw.choice((CERAMIC, *style.fabrics))
    glaze = finish(Material.PAINT, made_of["color"])

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.05), 0.04, 0.1, **glaze)
        b.box((0, 0.05, 0.05), (0.014, 0.03, 0.06), **glaze)

    return Piece("mug", 0.08, 0.13, 0.1, add)


def book_pile(draw: Random, style: Style) -> Piece:
    """Two or three books lying on each other."""
    colors = draw.sample(BOOK_COLORS, 3)
    sizes = [
        (draw.uniform(0.15, 0.18), draw.uniform(0.2, 0.25), draw.uniform(0.02, 0.035))
        for _ in colors
    ]

    def add(b: SceneBuilder) -> None:
        z = 0.0
        for (main, _), size in zip(colors, sizes, strict=True):
            b.box((0, 0, z + size[2] / 2), size, material=Material.PAINT, color=srgb(main))
            z += size[2]

    return Piece("book", 0.18, 0.25, sum(size[2] for size in sizes), add)


def laptop(draw: Random, style: Style) -> Piece:
    """Open laptop."""
    tilt = lean(-0.35)

    def add(b: SceneBuilder) -> None:
        b.box((0.02, 0, 0.009), (0.23, 0.32, 0.018), **STEEL)
        b.box((-0.13, 0, 0.115), (0.01, 0.32, 0.21), rotation=tilt, **STEEL)
        b.box((-0.124, 0, 0.117), (0.006, 0.3, 0.19), rotation=tilt, **SCREEN_OFF)

    return Piece("laptop", 0.35, 0.32, 0.22, add)


def cardboard_box(draw: Random) -> Piece:
    """Closed moving box with tape."""
    depth, width, tall = draw.uniform(0.3, 0.45), draw.uniform(0.35, 0.6), draw.uniform(0.25, 0.42)
    card = tinted(CARDBOARD, draw.uniform(0.85, 1.1))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, tall / 2), (depth, width, tall), **card)

    return Piece("box", depth, width, tall, add)


def basket(draw: Random, style: Style, category: str = "basket") -> Piece:
    """Woven basket or bin."""
    radius, tall = draw.uniform(0.15, 0.2), draw.uniform(0.35, 0.55)
    weave = finish(Material.CARPET, draw.choice(("b99a6b", "8e8a80", "d8cdb6")), None, 0.05)

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, tall / 2), radius, tall, **weave)
        b.cylinder((0, 0, tall - 0.02), radius + 0.012, 0.04, **tinted(weave, 0.8))
        b.ellipsoid((0, 0, tall - 0.01), (radius * 1.7, radius * 1.7, 0.1), **style.fabrics[0])

    return Piece(category, 2 * radius + 0.03, 2 * radius + 0.03, tall + 0.04, add)


def ball(draw: Random) -> Piece:
    """Ball on the floor."""
    size = draw.choice((0.16, 0.22, 0.24))
    code = draw.choice(("c8472f", "2f6fb0", "e0b030", "e8e4da", "4d8f4a"))

    def add(b: SceneBuilder) -> None:
        b.ellipsoid((0, 0, size / 2), (size, size, size), material=Material.PAINT, color=srgb(code))

    return Piece("ball", size, size, size, add)
