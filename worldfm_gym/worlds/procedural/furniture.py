"""Furniture: seats, tables, storage and lamps, composed of parts; every front faces +x."""

from __future__ import annotations

from random import Random

from worldfm_gym.worlds.procedural.orient import lean
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    BLACK_PLASTIC,
    SCREEN_OFF,
    Finish,
    Style,
    finish,
    lamp,
    light_color,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import Piece
from worldfm_gym.worlds.scene import Material, SceneBuilder

BOOK_COLORS = (
    ("8a3b32", "31506b"),
    ("c9a24a", "4d6b4a"),
    ("3b3f52", "a8623c"),
    ("d8cdb4", "6a4a3a"),
)


def add_legs(
    b: SceneBuilder, depth: float, width: float, top: float, thick: float, made_of: Finish
) -> None:
    """Four legs flush with the corners of a depth × width plan, up to `top`."""
    x, y = (depth - thick) / 2, (width - thick) / 2
    for sign_x in (-x, x):
        for sign_y in (-y, y):
            b.box((sign_x, sign_y, top / 2), (thick, thick, top), **made_of)


def add_fronts(
    b: SceneBuilder,
    x: float,
    width: float,
    bottom: float,
    top: float,
    *,
    columns: int,
    rows: int,
    made_of: Finish,
    handle: Finish,
) -> None:
    """A grid of doors or drawers with handles on the face at `x`, standing 1.6 cm out of it."""
    wide, tall = width / columns, (top - bottom) / rows
    for column in range(columns):
        y = -width / 2 + wide * (column + 0.5)
        for row in range(rows):
            z = bottom + tall * (row + 0.5)
            b.box((x + 0.008, y, z), (0.016, wide - 0.012, tall - 0.012), **made_of)
            if tall > wide:  # a door: its handle is vertical, next to its neighbour's
                edge = (wide / 2 - 0.06) * (1 if column % 2 == 0 else -1)
                b.box((x + 0.026, y + edge, z), (0.02, 0.014, 0.16), **handle)
            else:
                b.box((x + 0.026, y, z + 0.2 * tall), (0.02, min(0.16, wide / 2), 0.014), **handle)


def chair(draw: Random, style: Style) -> Piece:
    """Dining chair: seat, back and legs."""
    frame = style.wood if draw.random() < 0.6 else style.second
    seat = draw.choice((style.seat, frame, style.fabrics[0]))
    slats = draw.random() < 0.5

    def add(b: SceneBuilder) -> None:
        add_legs(b, 0.42, 0.42, 0.44, 0.036, frame)
        b.box((0, 0, 0.455), (0.43, 0.43, 0.04), **seat)
        for sign in (-1, 1):
            b.box((-0.195, sign * 0.192, 0.66), (0.034, 0.034, 0.4), **frame)
        if slats:
            for z in (0.6, 0.7, 0.8):
                b.box((-0.197, 0, z), (0.02, 0.35, 0.055), **frame)
        else:
            b.box((-0.195, 0, 0.74), (0.04, 0.36, 0.26), **seat)

    return Piece("chair", 0.43, 0.43, 0.87, add)


def stool(draw: Random, style: Style) -> Piece:
    """Round stool."""
    top = draw.choice((style.wood, style.seat))
    high = draw.choice((0.46, 0.62))

    def add(b: SceneBuilder) -> None:
        add_legs(b, 0.28, 0.28, high - 0.04, 0.03, style.metal)
        b.cylinder((0, 0, high - 0.02), 0.18, 0.04, **top)

    return Piece("stool", 0.36, 0.36, high, add)


def office_chair(draw: Random, style: Style) -> Piece:
    """Swivel chair on a five-armed foot."""
    cloth = draw.choice((style.seat, BLACK_PLASTIC, style.fabrics[1]))

    def add(b: SceneBuilder) -> None:
        for arm in range(5):
            with b.frame((0, 0, 0), arm * 1.2566):
                b.box((0.14, 0, 0.075), (0.28, 0.04, 0.03), **BLACK_PLASTIC)
                b.ellipsoid((0.26, 0, 0.03), (0.06, 0.05, 0.06), **BLACK_PLASTIC)
        b.cylinder((0, 0, 0.26), 0.028, 0.34, **BLACK_METAL)
        b.box((0, 0, 0.47), (0.48, 0.48, 0.08), **cloth)
        b.box((-0.22, 0, 0.56), (0.03, 0.08, 0.2), **BLACK_METAL)
        b.box((-0.225, 0, 0.82), (0.06, 0.44, 0.5), **cloth)
        for sign in (-1, 1):
            b.box((-0.02, sign * 0.25, 0.66), (0.26, 0.05, 0.03), **BLACK_PLASTIC)
            b.box((-0.05, sign * 0.25, 0.56), (0.04, 0.03, 0.18), **BLACK_PLASTIC)

    return Piece("office_chair", 0.58, 0.58, 1.07, add)


def sofa(draw: Random, style: Style, *, seats: int | None = None) -> Piece:
    """Sofa (or armchair with one seat): base, arms, cushions and throw pillows."""
    count = draw.choice((2, 3, 3)) if seats is None else seats
    cushion, arm = draw.uniform(0.6, 0.68), draw.choice((0.12, 0.18, 0.22))
    cloth = style.seat if count > 1 or draw.random() < 0.4 else style.fabrics[1]
    width, depth, feet = count * cushion + 2 * arm, draw.uniform(0.84, 0.94), draw.random() < 0.6
    low = 0.12 if feet else 0.0
    arm_top, back_top = draw.uniform(0.56, 0.66), draw.uniform(0.74, 0.88)
    pillows = [(draw.choice(style.fabrics), draw.uniform(-0.3, 0.3)) for _ in range(min(count, 2))]

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, (low + 0.3) / 2), (depth, width, 0.3 - low), **tinted(cloth, 0.9))
        tall = back_top - 0.3
        b.box((-depth / 2 + 0.09, 0, 0.3 + tall / 2), (0.18, width - 2 * arm, tall), **cloth)
        for sign in (-1, 1):
            y = sign * (width - arm) / 2
            b.box((0, y, (0.3 + arm_top) / 2), (depth, arm, arm_top - 0.3), **cloth)
            if feet:
                b.box((0, y, low / 2), (depth - 0.1, 0.05, low), **style.wood)
        for i in range(count):
            y = (i - (count - 1) / 2) * cushion
            b.box((0.1, y, 0.375), (depth - 0.21, cushion - 0.012, 0.15), **cloth)
            slant = lean(-0.26)
            size = (0.14, cushion - 0.03, 0.36)
            b.box((-depth / 2 + 0.27, y, 0.61), size, rotation=slant, **tinted(cloth, 1.06))
        for i, (fabric, turn) in enumerate(pillows):
            y = (width / 2 - arm - 0.24) * (1 if i == 0 else -1)
            slant = lean(-0.44)
            at = (-depth / 2 + 0.43, y, 0.62)
            b.ellipsoid(at, (0.18, 0.42, 0.4), yaw=turn * 0.5, rotation=slant, **fabric)

    category = "sofa" if count > 1 else "armchair"
    return Piece(category, depth, width, max(back_top, 0.88), add, front=0.4)


def coffee_table(draw: Random, style: Style) -> Piece:
    """Low table, round or with a shelf below."""
    if draw.random() < 0.35:
        radius = draw.uniform(0.36, 0.46)

        def add_round(b: SceneBuilder) -> None:
            b.cylinder((0, 0, 0.39), radius, 0.035, **style.wood)
            add_legs(b, radius, radius, 0.375, 0.035, style.metal)

        return Piece("coffee_table", 2 * radius, 2 * radius, 0.408, add_round)
    depth, width = draw.uniform(0.5, 0.62), draw.uniform(0.95, 1.2)
    tiled = style.counter["material"] == Material.TILE
    top = style.wood if tiled or draw.random() < 0.7 else style.counter
    legs = style.wood if draw.random() < 0.5 else style.metal

    def add(b: SceneBuilder) -> None:
        add_legs(b, depth - 0.04, width - 0.04, 0.38, 0.045, legs)
        b.box((0, 0, 0.4), (depth, width, 0.04), **top)
        b.box((0, 0, 0.14), (depth - 0.13, width - 0.13, 0.02), **style.wood)

    return Piece("coffee_table", depth, width, 0.42, add)


def table(draw: Random, style: Style, *, seats: int) -> Piece:
    """Dining table for two, four or six."""
    width = {2: 0.8, 4: draw.uniform(1.2, 1.4), 6: draw.uniform(1.7, 1.9)}[seats]
    depth = draw.uniform(0.78, 0.9) if seats > 2 else draw.uniform(0.7, 0.8)
    top = style.wood
    legs = draw.choice((style.wood, style.second, style.metal))

    def add(b: SceneBuilder) -> None:
        add_legs(b, depth - 0.06, width - 0.06, 0.72, 0.06, legs)
        b.box((0, 0, 0.735), (depth, width, 0.035), **top)
        for sign in (-1, 1):
            b.box((sign * (depth / 2 - 0.07), 0, 0.68), (0.022, width - 0.18, 0.08), **legs)

    return Piece("table", depth, width, 0.7525, add)


def desk(draw: Random, style: Style) -> Piece:
    """Desk with a drawer unit; the sitter's side is +x."""
    depth, width = draw.uniform(0.62, 0.75), draw.uniform(1.25, 1.55)
    side = draw.choice((-1, 1))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.725), (depth, width, 0.03), **style.wood)
        y = -side * (width / 2 - 0.04)
        for sign in (-1, 1):
            b.box((sign * (depth / 2 - 0.05), y, 0.355), (0.05, 0.05, 0.71), **style.metal)
        with b.frame((0, side * (width / 2 - 0.23), 0)):
            b.box((-0.01, 0, 0.355), (depth - 0.06, 0.4, 0.71), **style.second)
            x = depth / 2 - 0.04
            add_fronts(
                b, x, 0.4, 0.06, 0.7, columns=1, rows=3, made_of=style.front, handle=style.metal
            )
        b.box((-depth / 2 + 0.03, -side * 0.2, 0.5), (0.018, width - 0.5, 0.35), **style.wood)

    return Piece("desk", depth, width, 0.74, add)


def cabinet(
    draw: Random, style: Style, category: str, *, width: float, height: float, depth: float,
    columns: int, rows: int,
) -> Piece:  # fmt: skip
    """Storage with doors or drawers: sideboard, dresser, nightstand, wardrobe, shoe cabinet."""
    body = draw.choice((style.wood, style.wood, style.second))
    doors = draw.choice((body, style.front))
    foot = draw.choice((0.04, 0.12)) if height < 1.2 else 0.06

    def add(b: SceneBuilder) -> None:
        core = depth - 0.036
        b.box((-0.018, 0, (height - 0.02 + foot) / 2), (core, width, height - foot - 0.02), **body)
        b.box((0, 0, height - 0.01), (depth, width, 0.02), **body)
        if foot > 0.1:
            add_legs(b, depth - 0.08, width - 0.06, foot, 0.035, style.metal)
        else:
            b.box((-0.03, 0, foot / 2), (depth - 0.08, width - 0.03, foot), **tinted(body, 0.6))
        add_fronts(
            b, core - depth / 2, width - 0.012, foot + 0.01, height - 0.03,
            columns=columns, rows=rows, made_of=doors, handle=style.metal,
        )  # fmt: skip

    return Piece(category, depth, width, height, add, movable=height < 1.5, front=0.45)


def bookshelf(draw: Random, style: Style, *, height: float | None = None) -> Piece:
    """Open shelves with rows of books, boxes and vases."""
    width, depth = draw.uniform(0.75, 1.15), 0.3
    tall = draw.choice((1.25, 1.85, 2.05)) if height is None else height
    levels = max(2, round(tall / 0.36))
    body = draw.choice((style.wood, style.second))
    contents = [
        (
            draw.random(),
            draw.uniform(0.35, 0.95),
            draw.uniform(0.62, 0.88),
            draw.choice(BOOK_COLORS),
        )
        for _ in range(levels)
    ]
    vase_color = draw.choice(style.fabrics)["color"]

    def add(b: SceneBuilder) -> None:
        for sign in (-1, 1):
            b.box((0, sign * (width / 2 - 0.012), tall / 2), (depth, 0.024, tall), **body)
        back = tinted(body, 0.8)
        b.box((-depth / 2 + 0.006, 0, tall / 2), (0.012, width - 0.048, tall), **back)
        pitch = (tall - 0.06) / levels
        free = width - 0.06
        for i, (kind, fill, high, colors) in enumerate(contents):
            z = 0.04 + pitch * i
            b.box((0.005, 0, z), (depth - 0.012, width - 0.046, 0.022), **body)
            bottom, room = z + 0.011, pitch - 0.04
            if kind < 0.68:
                books = finish(Material.BOOKS, colors[0], colors[1], 0.035)
                wide, side = free * fill, 1 if kind < 0.34 else -1
                at = (-0.02, side * (free - wide) / 2, bottom + room * high / 2)
                b.box(at, (0.2, wide, room * high), **books)
                if fill < 0.7:
                    spot = -side * (free / 2 - 0.1)
                    b.ellipsoid((0, spot, bottom + 0.08), (0.13, 0.13, 0.16),
                                material=Material.MARBLE, color=vase_color)  # fmt: skip
            elif kind < 0.85:
                for sign in (-1, 1):
                    box = tinted(style.fabrics[i % len(style.fabrics)], 0.95)
                    size = (0.24, free * 0.42, room * 0.75)
                    b.box((0, sign * free * 0.24, bottom + room * 0.375), size, **box)
        b.box((0, 0, tall - 0.012), (depth, width, 0.024), **body)

    return Piece("bookshelf", depth, width, tall, add, movable=False, front=0.35)


def floor_lamp(draw: Random, style: Style) -> Piece:
    """Standing lamp with a glowing shade and its own small light."""
    tall = draw.uniform(1.45, 1.65)
    warm = min(1.0, style.warmth + 0.3)
    bowl = draw.random() < 0.4

    def add(b: SceneBuilder) -> None:
        b.cylinder((0, 0, 0.015), 0.14, 0.03, **style.metal)
        b.cylinder((0, 0, tall / 2), 0.012, tall - 0.06, **style.metal)
        if bowl:
            b.ellipsoid((0, 0, tall - 0.16), (0.32, 0.32, 0.32), **lamp(warm))
        else:
            b.cylinder((0, 0, tall - 0.14), 0.18, 0.28, **lamp(warm))
        b.light((0.0, 0.0, tall + 0.06), light_color(warm, 0.35), range_m=3.0)

    return Piece("floor_lamp", 0.36, 0.36, tall, add)


def table_lamp(draw: Random, style: Style) -> Piece:
    """Small lamp for nightstands and sideboards."""
    foot = draw.choice((style.fabrics[-1], style.metal, style.second))

    def add(b: SceneBuilder) -> None:
        b.ellipsoid((0, 0, 0.09), (0.13, 0.13, 0.18), **foot)
        b.cylinder((0, 0, 0.2), 0.01, 0.08, **style.metal)
        b.cylinder((0, 0, 0.29), 0.095, 0.15, **lamp(min(1.0, style.warmth + 0.3)))

    return Piece("table_lamp", 0.19, 0.19, 0.365, add)


def tv(draw: Random, style: Style) -> Piece:
    """Television on its foot."""
    wide = draw.uniform(0.95, 1.3)
    tall = wide * 0.57

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.01), (0.2, wide * 0.4, 0.02), **BLACK_PLASTIC)
        b.box((-0.02, 0, 0.05), (0.03, 0.1, 0.08), **BLACK_PLASTIC)
        b.box((0, 0, 0.07 + tall / 2), (0.045, wide, tall), **BLACK_PLASTIC)
        b.box((0.024, 0, 0.07 + tall / 2), (0.004, wide - 0.03, tall - 0.03), **SCREEN_OFF)

    return Piece("tv", 0.2, wide, 0.07 + tall, add)


def monitor(draw: Random, style: Style) -> Piece:
    """Computer monitor with keyboard in front."""
    wide = draw.uniform(0.5, 0.64)

    def add(b: SceneBuilder) -> None:
        b.box((-0.1, 0, 0.008), (0.16, 0.22, 0.016), **BLACK_PLASTIC)
        b.box((-0.13, 0, 0.11), (0.03, 0.05, 0.19), **BLACK_PLASTIC)
        b.box((-0.1, 0, 0.31), (0.03, wide, 0.34), **BLACK_PLASTIC)
        b.box((-0.084, 0, 0.312), (0.004, wide - 0.024, 0.31), **SCREEN_OFF)
        b.box((0.13, 0, 0.012), (0.14, 0.42, 0.024), **BLACK_PLASTIC)

    return Piece("monitor", 0.4, 0.64, 0.48, add)


def tv_stand(draw: Random, style: Style, *, width: float) -> Piece:
    """Low board below a television."""
    return cabinet(
        draw, style, "tv_stand", width=width, height=draw.uniform(0.42, 0.5), depth=0.42,
        columns=3, rows=1,
    )  # fmt: skip
