"""Storage: pallets, crates, barrels, shelving, pallet racks and the forklifts that serve them."""

from __future__ import annotations

import math
from random import Random

from worldfm_gym.worlds.procedural.industrial import PlantStyle
from worldfm_gym.worlds.procedural.orient import ALONG_Y, lean
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    BLACK_PLASTIC,
    CARDBOARD,
    DARK_STEEL,
    HAZARD,
    STEEL,
    Finish,
    finish,
    srgb,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import Piece
from worldfm_gym.worlds.scene import Material, SceneBuilder

PALLET_HEIGHT_M = 0.144
_PALLET_WOOD = finish(Material.WOOD, "b8925f", "96744a", 0.05)
_FILM = finish(Material.PAINT, "cfd6d8")
_BARRELS = ("2c5d9c", "1f6f5c", "b23a2a", "3a3c40", "d8a722")
_CRATES = ("3f6ea3", "7a7f84", "b8452f", "4f7f4a")


def add_pallet(b: SceneBuilder, depth: float, width: float) -> None:
    """Pallet with three runners and a deck, its top at `PALLET_HEIGHT_M`."""
    for sign in (-1, 0, 1):
        b.box((0, sign * (width / 2 - 0.06), 0.06), (depth, 0.1, 0.12), **_PALLET_WOOD)
    b.box((0, 0, 0.132), (depth, width, 0.024), **_PALLET_WOOD)


def add_load(
    b: SceneBuilder, draw: Random, bottom: float, depth: float, width: float, tall: float
) -> None:
    """What stands on a pallet: a block of cartons, a crate, sacks or a wrapped load."""
    kind = draw.random()
    if kind < 0.45:
        card = tinted(CARDBOARD, draw.uniform(0.8, 1.1))
        rows = 2 if tall > 0.5 else 1
        high = tall / rows
        for row in range(rows):
            fill = 1.0 if row == 0 or draw.random() < 0.6 else 0.5
            size = (depth * 0.94, width * 0.94 * fill, high - 0.004)
            b.box((0, -width * 0.47 * (1 - fill), bottom + high * (row + 0.5)), size,
                  **tinted(card, 1.0 - 0.08 * row))  # fmt: skip
    elif kind < 0.65:
        skin = finish(Material.WOOD, "c9a871", "a98a58", 0.08)
        b.box((0, 0, bottom + tall / 2), (depth * 0.92, width * 0.92, tall), **skin)
        for sign in (-1, 1):
            b.box((0, sign * width * 0.3, bottom + tall / 2), (depth * 0.95, 0.09, tall + 0.02),
                  **tinted(skin, 0.8))  # fmt: skip
    elif kind < 0.82:
        b.box((0, 0, bottom + tall / 2), (depth * 0.95, width * 0.95, tall), **_FILM)
        b.box((0, 0, bottom + tall * 0.5), (depth * 0.955, width * 0.955, tall * 0.3), **CARDBOARD)
    else:
        color = srgb(draw.choice(_CRATES))
        b.box(
            (0, 0, bottom + tall / 2),
            (depth * 0.9, width * 0.9, tall),
            material=Material.PAINT,
            color=color,
        )
        rim = (depth * 0.93, width * 0.93, 0.06)
        b.box((0, 0, bottom + tall - 0.03), rim, **tinted(_FILM, 0.6))


def pallet(draw: Random, *, loaded: bool = True) -> Piece:
    """Pallet on the floor with its load, or a stack of empty ones."""
    tall = draw.uniform(0.5, 1.2)
    load_seed = draw.getrandbits(32)
    if not loaded:
        count = draw.randint(3, 8)

        def add_stack(b: SceneBuilder) -> None:
            for i in range(count):
                with b.frame((0, 0, i * PALLET_HEIGHT_M), 0.04 * ((i * 7) % 3 - 1)):
                    add_pallet(b, 0.8, 1.2)

        return Piece("pallet", 0.86, 1.24, count * PALLET_HEIGHT_M, add_stack)

    def add(b: SceneBuilder) -> None:
        add_pallet(b, 0.8, 1.2)
        add_load(b, Random(load_seed), PALLET_HEIGHT_M, 0.8, 1.2, tall)

    return Piece("pallet", 0.8, 1.2, PALLET_HEIGHT_M + tall + 0.01, add)


def barrel(draw: Random, color: str | None = None) -> Piece:
    """Steel drum with rolling hoops."""
    skin = finish(Material.PAINT, draw.choice(_BARRELS) if color is None else color)

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.43), 0.285, 0.86, **skin)
        for z in (0.02, 0.3, 0.58, 0.85):
            b.cylinder((0, 0, z), 0.297, 0.035, **tinted(skin, 0.85))
        b.cylinder((0.14, 0, 0.872), 0.04, 0.02, **STEEL)

    return Piece("barrel", 0.595, 0.595, 0.882, add)


def barrel_color(draw: Random) -> str:
    """A color for a group of drums."""
    return draw.choice(_BARRELS)


def crate(draw: Random) -> Piece:
    """Wooden crate with battens."""
    size = draw.uniform(0.55, 0.95)
    tall = size * draw.uniform(0.7, 1.0)
    skin = finish(Material.PLANKS, "c2a06c", "8f7046", 0.12)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, tall / 2), (size - 0.04, size - 0.04, tall - 0.02), **skin)
        for sign in (-1, 1):
            for z in (0.05, tall - 0.05):
                b.box((sign * (size / 2 - 0.01), 0, z), (0.02, size, 0.1), **_PALLET_WOOD)
                b.box((0, sign * (size / 2 - 0.01), z), (size, 0.02, 0.1), **_PALLET_WOOD)

    return Piece("crate", size, size, tall, add)


def carton(draw: Random) -> Piece:
    """Box for conveyors and tables."""
    depth, width, tall = draw.uniform(0.28, 0.42), draw.uniform(0.3, 0.5), draw.uniform(0.2, 0.36)
    card = tinted(CARDBOARD, draw.uniform(0.8, 1.12))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, tall / 2), (depth, width, tall), **card)

    return Piece("box", depth, width, tall, add)


def tote(draw: Random) -> Piece:
    """Plastic tote with a lid rim."""
    skin = finish(Material.PAINT, draw.choice(_CRATES))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.13), (0.38, 0.56, 0.26), **skin)
        b.box((0, 0, 0.265), (0.4, 0.6, 0.03), **tinted(skin, 0.8))

    return Piece("tote", 0.4, 0.6, 0.28, add)


def shelving(draw: Random, style: PlantStyle) -> Piece:
    """Steel shelving with totes and cartons."""
    wide, deep, tall = draw.uniform(1.6, 2.4), 0.55, draw.uniform(1.9, 2.5)
    levels = 4
    fill_seed = draw.getrandbits(32)

    def add(b: SceneBuilder) -> None:
        fill = Random(fill_seed)
        add_uprights(b, deep, wide, tall, 0.05, style.rack)
        for level in range(levels):
            z = 0.1 + level * (tall - 0.2) / (levels - 1)
            b.box((0, 0, z), (deep, wide - 0.1, 0.035), **STEEL)
            if level == levels - 1:
                continue
            y = -wide / 2 + 0.1
            while y < wide / 2 - 0.35:
                w, h = fill.uniform(0.28, 0.5), fill.uniform(0.18, 0.4)
                if y + w > wide / 2 - 0.06:
                    break
                made_of: Finish = CARDBOARD
                if fill.random() < 0.45:
                    made_of = finish(Material.PAINT, fill.choice(_CRATES))
                if fill.random() < 0.85:
                    b.box((0, y + w / 2, z + 0.0175 + h / 2), (deep * 0.8, w, h), **made_of)
                y += w + fill.uniform(0.03, 0.15)

    return Piece("shelf", deep, wide, tall, add, False, 0.5)


def add_uprights(
    b: SceneBuilder, depth: float, width: float, tall: float, thick: float, made_of: Finish
) -> None:
    """Four corner posts."""
    x, y = (depth - thick) / 2, (width - thick) / 2
    for sign_x in (-x, x):
        for sign_y in (-y, y):
            b.box((sign_x, sign_y, tall / 2), (thick, thick, tall), **made_of)


def pallet_rack(
    draw: Random,
    style: PlantStyle,
    *,
    bays: int,
    levels: int,
    bay_m: float = 2.8,
    fill: float = 0.85,
) -> Piece:
    """Row of pallet-rack bays along y, loaded from both ends of each bay's beams."""
    depth, pitch = 1.05, 1.55
    length, tall = bays * bay_m + 0.1, (levels - 1) * pitch + 1.2
    load_seed = draw.getrandbits(32)

    def add(b: SceneBuilder) -> None:
        loads = Random(load_seed)
        for i in range(bays + 1):
            y = -length / 2 + 0.05 + i * bay_m
            for sign in (-1, 1):
                b.box((sign * (depth / 2 - 0.05), y, tall / 2), (0.1, 0.09, tall), **style.rack)
            brace = lean(-math.atan2(1.2, depth - 0.1))
            for k in range(max(1, int(tall / 1.6))):
                at = (0.0, y, 0.8 + 1.5 * k)
                b.box(
                    at, (math.hypot(1.2, depth - 0.1), 0.035, 0.035), rotation=brace, **style.rack
                )
        for sign in (-1, 1):
            for level in range(1, levels):
                x = sign * (depth / 2 - 0.03)
                b.box((x, 0, level * pitch - 0.06), (0.05, length - 0.1, 0.12), **style.beam)
            for end in (-1, 1):
                at = (sign * (depth / 2 - 0.05), end * (length / 2 - 0.05), 0.22)
                b.box(at, (0.14, 0.1, 0.44), **HAZARD)
        for bay in range(bays):
            for level in range(levels):
                for slot in (-1, 1):
                    if loads.random() > fill:
                        continue
                    y = -length / 2 + 0.05 + (bay + 0.5) * bay_m + slot * bay_m * 0.24
                    with b.frame((0, y, level * pitch + 0.002)):
                        b.box((0, 0, 0.07), (1.0, 1.15, 0.14), **_PALLET_WOOD)
                        add_load(b, loads, 0.14, 1.0, 1.15, loads.uniform(0.45, 1.0))

    return Piece("pallet_rack", depth + 0.042, length, tall, add, False)


def forklift(draw: Random) -> Piece:
    """Counterbalance truck facing +x: mast, forks, cab, seat, wheels."""
    skin = finish(Material.PAINT, draw.choice(("e0a21c", "c8401f", "d97a1a", "3f7f5a")))

    def add(b: SceneBuilder) -> None:
        for x, radius in ((0.35, 0.3), (-0.75, 0.25)):
            for sign in (-1, 1):
                b.cylinder((x, sign * 0.45, radius), radius, 0.2, rotation=ALONG_Y, **BLACK_PLASTIC)
        b.box((-0.25, 0, 0.48), (1.5, 0.8, 0.4), **skin)
        b.box((-0.8, 0, 0.72), (0.55, 0.9, 0.5), **skin)
        b.box((-0.3, 0, 0.78), (0.5, 0.5, 0.14), **BLACK_PLASTIC)
        b.box((-0.55, 0, 1.05), (0.12, 0.48, 0.5), **BLACK_PLASTIC)
        b.cylinder((0.18, 0, 1.05), 0.14, 0.04, **BLACK_PLASTIC)
        for x in (-0.75, 0.35):
            for sign in (-1, 1):
                b.box((x, sign * 0.42, 1.4), (0.06, 0.06, 1.5), **BLACK_METAL)
        b.box((-0.2, 0, 2.15), (1.2, 0.92, 0.06), **BLACK_METAL)
        for sign in (-1, 1):
            b.box((0.68, sign * 0.28, 1.1), (0.12, 0.1, 2.1), **DARK_STEEL)
            b.box((1.25, sign * 0.28, 0.08), (1.05, 0.12, 0.05), **STEEL)
        b.box((0.72, 0, 0.35), (0.06, 0.85, 0.5), **DARK_STEEL)
        b.box((0.66, 0, 2.1), (0.12, 0.66, 0.1), **DARK_STEEL)
        b.ellipsoid(
            (-0.2, 0, 2.24), (0.12, 0.12, 0.12), material=Material.EMISSIVE, color=srgb("ff9a2e")
        )

    return Piece("forklift", 3.6, 1.12, 2.31, add)


def pallet_jack(draw: Random) -> Piece:
    """Hand pallet truck."""
    skin = finish(Material.PAINT, draw.choice(("c8401f", "e0a21c", "2f6fb0")))

    def add(b: SceneBuilder) -> None:
        for sign in (-1, 1):
            b.box((0.15, sign * 0.2, 0.08), (1.15, 0.15, 0.06), **skin)
            b.cylinder((0.6, sign * 0.2, 0.04), 0.04, 0.1, rotation=ALONG_Y, **BLACK_PLASTIC)
        b.box((-0.48, 0, 0.25), (0.14, 0.4, 0.4), **skin)
        b.cylinder((-0.56, 0, 0.1), 0.1, 0.16, rotation=ALONG_Y, **BLACK_PLASTIC)
        b.box((-0.6, 0, 0.75), (0.04, 0.04, 0.75), **BLACK_METAL)
        b.box((-0.6, 0, 1.14), (0.04, 0.36, 0.05), **BLACK_METAL)

    return Piece("pallet_jack", 1.5, 0.55, 1.17, add)


def packing_table(draw: Random, style: PlantStyle) -> Piece:
    """Packing bench with paper roll, screen arm and a shelf above."""
    wide = draw.uniform(1.6, 2.0)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.87), (0.8, wide, 0.04), material=Material.WOOD, color=srgb("c7a878"))
        add_uprights(b, 0.76, wide - 0.04, 0.85, 0.06, style.steelwork)
        for sign in (-1, 1):
            b.box((-0.36, sign * (wide / 2 - 0.06), 1.35), (0.05, 0.05, 0.96), **style.steelwork)
        b.box((-0.25, 0, 1.6), (0.3, wide - 0.04, 0.03), **STEEL)
        b.box((-0.05, 0, 0.25), (0.6, wide - 0.2, 0.03), **STEEL)
        for i in range(3):
            y = -wide / 2 + 0.35 + i * (wide - 0.7) / 2
            b.box(
                (-0.25, y, 1.72), (0.24, 0.34, 0.2 + 0.04 * i), **tinted(CARDBOARD, 0.9 + 0.06 * i)
            )
            b.box((-0.05, y, 0.4), (0.4, 0.36, 0.26), **tinted(CARDBOARD, 1.0 - 0.07 * i))
        b.cylinder((0.1, wide / 2 - 0.4, 0.99), 0.1, 0.5, rotation=ALONG_Y, **_FILM)

    return Piece("packing_table", 0.8, wide, 1.9, add, False, 0.6)
