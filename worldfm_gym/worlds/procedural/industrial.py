"""Industrial things: machines, robots, tanks, conveyors, cabinets; every front faces +x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from worldfm_gym.worlds.procedural.furniture import add_fronts, add_legs
from worldfm_gym.worlds.procedural.orient import ALONG_X, ALONG_Y, lean
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    BLACK_PLASTIC,
    DARK_STEEL,
    HAZARD,
    SAFETY_YELLOW,
    SCREEN_OFF,
    STEEL,
    Finish,
    finish,
    srgb,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import Piece
from worldfm_gym.worlds.scene import Material, SceneBuilder

_RUBBER = finish(Material.PAINT, "232426", "1a1b1c")
_GLASS = finish(Material.METAL, "2b3a42", "1f2b31", 0.5)


def _enamel(color: str) -> Finish:
    return finish(Material.PAINT, color)


@dataclass(frozen=True, slots=True)
class PlantStyle:
    """The colors of one works: machine housings, their second color, steelwork, racks, walls."""

    machine: Finish
    panel: Finish
    robot: Finish
    steelwork: Finish
    rack: Finish
    beam: Finish
    wall_low: Finish
    wall_high: Finish
    floor: Finish
    door: Finish


_CLAD = finish(Material.METAL, "b9bec0", "9ea3a5", 0.25)
_STYLES = (
    PlantStyle(
        _enamel("d9dad6"), _enamel("3a5f86"), _enamel("e07b1f"), _enamel("5f6a70"),
        _enamel("2f5f9e"), _enamel("d8722a"), finish(Material.CONCRETE, "a5a39d", "8d8b86", 1.5),
        _enamel("cfd3d3"), finish(Material.CONCRETE, "8f908e", "7a7b7a", 2.2), _CLAD,
    ),
    PlantStyle(
        _enamel("6d8a72"), _enamel("d9d8ca"), _enamel("e8c22c"), _enamel("6b7a6e"),
        _enamel("3f6b4f"), _enamel("d6a12a"), finish(Material.BRICK, "8e5a46", "a9a096", 0.22),
        _enamel("d6d2c4"), finish(Material.CONCRETE, "9a9791", "83807b", 2.0), _enamel("5c7f6a"),
    ),
    PlantStyle(
        _enamel("e3e3e0"), _enamel("30343a"), _enamel("d8dadb"), _enamel("34393f"),
        _enamel("494f57"), _enamel("c9452c"), _enamel("b9bdbf"), _enamel("dfe1e1"),
        finish(Material.PAINT, "7f878b", "737b7f", 3.0), _enamel("8b3a30"),
    ),
    PlantStyle(
        _enamel("8fa7b5"), _enamel("e6e4da"), _enamel("e2661f"), _enamel("74818a"),
        _enamel("274f7d"), _enamel("e0a52a"), _enamel("7f95a0"), _CLAD,
        finish(Material.PAINT, "6f8478", "65796e", 3.0), _enamel("3f6285"),
    ),
    PlantStyle(
        _enamel("c8b58a"), _enamel("5a4a3c"), _enamel("3b6ea5"), _enamel("7c3f34"),
        _enamel("7c3f34"), _enamel("c9a24a"), finish(Material.BRICK, "a36a50", "b7ad9f", 0.22),
        finish(Material.BRICK, "b98a6c", "b7ad9f", 0.22),
        finish(Material.CONCRETE, "8a857d", "736e68", 2.0), _enamel("6c5a45"),
    ),
)  # fmt: skip


def draw_plant_style(draw: Random) -> PlantStyle:
    """Pick the colors of a works."""
    return draw.choice(_STYLES)


def cnc_machine(draw: Random, style: PlantStyle) -> Piece:
    """Machining centre: enclosure with sliding door and window, console, chip conveyor."""
    wide, deep, tall = draw.uniform(2.2, 2.9), draw.uniform(1.5, 1.8), draw.uniform(2.0, 2.3)
    side = draw.choice((-1, 1))

    def add(b: SceneBuilder) -> None:
        front = deep / 2 - 0.1
        b.box((-0.1, 0, 0.12), (deep - 0.25, wide - 0.1, 0.24), **BLACK_METAL)
        b.box((-0.1, 0, (tall + 0.24) / 2), (deep - 0.2, wide, tall - 0.24), **style.machine)
        b.box((-0.0975, 0, 0.5), (deep - 0.195, wide + 0.01, 0.3), **style.panel)
        y = -side * wide * 0.12
        b.box((front - 0.07, y, 1.3), (0.06, wide * 0.5, 1.15), **tinted(style.machine, 0.8))
        b.box((front - 0.03, y, 1.42), (0.02, wide * 0.34, 0.66), **_GLASS)
        b.box((front - 0.02, y - wide * 0.22, 1.3), (0.05, 0.04, 0.4), **STEEL)
        b.box((front + 0.0, side * (wide / 2 - 0.24), 1.45), (0.14, 0.36, 0.62), **style.panel)
        b.box((front + 0.074, side * (wide / 2 - 0.24), 1.56), (0.01, 0.3, 0.26), **SCREEN_OFF)
        b.box((front + 0.07, side * (wide / 2 - 0.24), 1.28), (0.02, 0.26, 0.14), **BLACK_PLASTIC)
        b.cylinder((0, side * (wide / 2 - 0.15), tall + 0.13), 0.035, 0.26,
                   material=Material.EMISSIVE, color=srgb("6fdc6a"))  # fmt: skip
        b.box((-0.1, -side * (wide / 2 + 0.3), 0.45), (0.5, 0.6, 0.4), **STEEL)

    return Piece("machine", deep, wide + 1.25, tall + 0.26, add, False, 0.6)


def press(draw: Random, style: PlantStyle) -> Piece:
    """Hydraulic press: two columns, crown, ram, bed and guard."""
    wide, tall = draw.uniform(1.6, 2.2), draw.uniform(2.7, 3.5)
    deep = 1.3

    def add(b: SceneBuilder) -> None:
        for sign in (-1, 1):
            b.box((0, sign * (wide / 2 - 0.2), tall / 2), (0.8, 0.4, tall), **style.machine)
        b.box((0, 0, tall - 0.4), (1.0, wide + 0.02, 0.8), **style.machine)
        b.box((0, 0, 0.4), (1.1, wide - 0.4, 0.8), **style.panel)
        b.box((0, 0, tall * 0.52), (0.7, wide - 0.46, 0.5), **STEEL)
        b.cylinder((0, 0, tall * 0.62), 0.16, tall * 0.34, **STEEL)
        b.box((0.56, 0, 0.66), (0.02, wide - 0.42, 0.16), **HAZARD)
        b.box((0.51, 0, tall - 0.4), (0.02, wide * 0.5, 0.26), **SAFETY_YELLOW)
        b.box((0.5, wide / 2 - 0.2, 1.4), (0.16, 0.3, 0.5), **BLACK_METAL)
        b.box((0.585, wide / 2 - 0.2, 1.48), (0.01, 0.22, 0.18), **SCREEN_OFF)
        for i in range(3):
            b.cylinder((-0.3, (i - 1) * 0.35, tall + 0.15), 0.05, 0.3, **DARK_STEEL)

    return Piece("press", deep, wide + 0.02, tall + 0.3, add, False, 0.6)


def robot_arm(draw: Random, style: PlantStyle) -> Piece:
    """Six-axis robot on a pedestal: shoulder, upper arm, elbow, forearm, wrist, gripper."""
    lift, bend = draw.uniform(0.2, 0.6), draw.uniform(1.2, 1.7)
    pedestal = draw.uniform(0.3, 0.5)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.02), (0.8, 0.8, 0.04), **DARK_STEEL)
        b.cylinder((0, 0, pedestal / 2), 0.28, pedestal, **style.steelwork)
        b.cylinder((0, 0, pedestal + 0.16), 0.24, 0.32, **style.robot)
        hip = pedestal + 0.42
        b.cylinder((0.05, 0, hip), 0.17, 0.44, rotation=ALONG_Y, **style.robot)
        sin, cos = math.sin(lift), math.cos(lift)
        elbow = (0.05 + 0.85 * sin, hip + 0.85 * cos)
        b.box(
            (0.05 + 0.425 * sin, 0.1, hip + 0.425 * cos),
            (0.2, 0.16, 0.9),
            rotation=lean(lift),
            **style.robot,
        )
        b.cylinder((elbow[0], 0, elbow[1]), 0.14, 0.4, rotation=ALONG_Y, **BLACK_METAL)
        sin, cos = math.sin(lift + bend), math.cos(lift + bend)
        center = (elbow[0] + 0.36 * sin, -0.04, elbow[1] + 0.36 * cos)
        b.box(center, (0.17, 0.17, 0.8), rotation=lean(lift + bend), **style.robot)
        wrist = (elbow[0] + 0.78 * sin, -0.04, elbow[1] + 0.78 * cos)
        b.ellipsoid(wrist, (0.2, 0.2, 0.2), **BLACK_METAL)
        b.box((wrist[0], -0.04, wrist[2] - 0.14), (0.12, 0.16, 0.1), **STEEL)
        for sign in (-1, 1):
            b.box((wrist[0], -0.04 + sign * 0.06, wrist[2] - 0.23), (0.05, 0.02, 0.12), **STEEL)

    return Piece("robot", 2.8, 0.85, 2.1, add, False)


def fence(length: float) -> Piece:
    """Safety fence: yellow posts and mesh panels along y."""
    panels = max(1, round(length / 1.3))

    def add(b: SceneBuilder) -> None:
        mesh = finish(Material.GRATE, "3a3c3e", "2c2e30", 0.05)
        for i in range(panels + 1):
            y = -length / 2 + 0.03 + (length - 0.06) * i / panels
            b.box((0, y, 0.9), (0.06, 0.06, 1.8), **SAFETY_YELLOW)
        for z in (0.18, 1.74):
            b.box((0, 0, z), (0.03, length, 0.04), **SAFETY_YELLOW)
        for z in (0.45, 0.72, 1.0, 1.28, 1.52):
            b.box((0, 0, z), (0.012, length, 0.02), **mesh)

    return Piece("fence", 0.06, length, 1.8, add, False)


def tank(draw: Random, style: PlantStyle) -> Piece:
    """Standing process tank with domed top, bands, ladder and pipe."""
    radius, tall = draw.uniform(0.55, 0.85), draw.uniform(2.2, 3.4)
    skin = draw.choice((STEEL, STEEL, style.machine, style.panel))

    def add(b: SceneBuilder) -> None:
        for i in range(4):
            angle = math.pi / 4 + i * math.pi / 2
            at = (radius * 0.8 * math.cos(angle), radius * 0.8 * math.sin(angle), 0.2)
            b.box(at, (0.1, 0.1, 0.4), **style.steelwork)
        body = tall - 0.4 - radius * 0.3
        b.ellipsoid((0, 0, 0.4), (2 * radius, 2 * radius, 0.3), **skin)
        b.cylinder((0, 0, 0.4 + body / 2), radius, body, **skin)
        b.ellipsoid((0, 0, 0.4 + body), (2 * radius, 2 * radius, radius * 0.6), **skin)
        for part in (0.12, 0.5, 0.88):
            b.cylinder((0, 0, 0.4 + body * part), radius + 0.015, 0.05, **style.steelwork)
        for sign in (-1, 1):
            b.box(
                (radius + 0.1, sign * 0.2, tall / 2 + 0.1),
                (0.03, 0.03, tall - 0.2),
                **SAFETY_YELLOW,
            )
        for i in range(5):
            b.box(
                (radius + 0.1, 0, 0.5 + i * (tall - 0.9) / 4), (0.025, 0.4, 0.025), **SAFETY_YELLOW
            )
        b.cylinder((0, 0, tall + 0.1), 0.07, 0.4, **DARK_STEEL)
        b.box((radius - 0.02, -0.35, 1.3), (0.1, 0.24, 0.2), **SAFETY_YELLOW)

    return Piece("tank", 2 * radius + 0.25, 2 * radius + 0.05, tall + 0.3, add, False)


def control_cabinet(draw: Random, style: PlantStyle, *, doors: int | None = None) -> Piece:
    """Switch cabinet with a screen, lamps and a warning sign."""
    count = draw.choice((1, 2, 2, 3)) if doors is None else doors
    wide, tall = 0.7 * count, draw.uniform(1.8, 2.1)
    skin = draw.choice((finish(Material.PAINT, "c9cbc6"), style.machine))

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.05), (0.46, wide - 0.04, 0.1), **BLACK_METAL)
        b.box((-0.01, 0, (tall + 0.1) / 2), (0.48, wide, tall - 0.1), **tinted(skin, 0.92))
        for i in range(count):
            y = (i - (count - 1) / 2) * 0.7
            b.box((0.238, y, (tall + 0.1) / 2), (0.02, 0.68, tall - 0.14), **skin)
            b.box((0.255, y + 0.28, 1.05), (0.02, 0.03, 0.2), **BLACK_PLASTIC)
        b.box((0.25, 0.0 - (count - 1) * 0.35, 1.5), (0.014, 0.34, 0.24), **SCREEN_OFF)
        for i, code in enumerate(("d8402f", "54b04a", "e0b92c")):
            at = (0.25, (i - 1) * 0.1 - (count - 1) * 0.35, 1.25)
            b.ellipsoid(at, (0.03, 0.05, 0.05), material=Material.PAINT, color=srgb(code))
        b.box((0.25, (count - 1) * 0.35, 1.55), (0.006, 0.16, 0.16), **SAFETY_YELLOW)

    return Piece("control_cabinet", 0.53, wide, tall, add, False, 0.5)


def conveyor(draw: Random, style: PlantStyle, *, length: float) -> Piece:
    """Conveyor along y: side rails, belt or rollers, legs, drive."""
    deep, top = draw.uniform(0.7, 0.9), 0.82
    rollers = length < 4.5 or draw.random() < 0.4

    def add(b: SceneBuilder) -> None:
        for sign in (-1, 1):
            x = sign * (deep / 2 - 0.03)
            b.box((x, 0, top - 0.04), (0.06, length, 0.16), **style.beam)
            for i in range(max(2, round(length / 1.8))):
                y = -length / 2 + 0.2 + (length - 0.4) * i / (max(2, round(length / 1.8)) - 1)
                b.box((x, y, (top - 0.12) / 2), (0.06, 0.08, top - 0.12), **style.steelwork)
        if rollers:
            count = max(3, round(length / 0.3))
            b.box((0, 0, top - 0.09), (deep - 0.12, length - 0.02, 0.02), **DARK_STEEL)
            for i in range(count):
                y = -length / 2 + length * (i + 0.5) / count
                b.cylinder((0, y, top - 0.03), 0.045, deep - 0.12, rotation=ALONG_X, **STEEL)
        else:
            b.box((0, 0, top - 0.025), (deep - 0.14, length, 0.05), **_RUBBER)
            for sign in (-1, 1):
                b.cylinder((0, sign * (length / 2 - 0.07), top - 0.08), 0.07, deep - 0.12,
                           rotation=ALONG_X, **STEEL)  # fmt: skip
        b.box((deep / 2 + 0.1, length * 0.3, top - 0.3), (0.2, 0.3, 0.24), **style.panel)

    return Piece("conveyor", deep + 0.4, length, top + 0.04, add, False)


def workbench(draw: Random, style: PlantStyle) -> Piece:
    """Bench with drawers, vice and a pegboard of tools."""
    wide = draw.uniform(1.6, 2.2)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.88), (0.75, wide, 0.06), material=Material.WOOD, color=srgb("a3794c"))
        add_legs(b, 0.7, wide - 0.06, 0.85, 0.07, style.steelwork)
        with b.frame((0, wide / 2 - 0.35, 0)):
            b.box((-0.02, 0, 0.46), (0.6, 0.55, 0.72), **style.panel)
            add_fronts(
                b, 0.28, 0.55, 0.12, 0.8, columns=1, rows=4, made_of=style.machine, handle=STEEL
            )
        b.box((-0.36, 0, 1.4), (0.03, wide, 0.9), **style.machine)
        for i in range(5):
            size = (0.03, 0.05, 0.22 + 0.05 * (i % 3))
            b.box((-0.33, -wide / 2 + 0.25 + i * 0.22, 1.5), size, **(STEEL, BLACK_PLASTIC)[i % 2])
        b.box((0.25, -wide / 2 + 0.25, 0.98), (0.16, 0.2, 0.14), **DARK_STEEL)
        b.box((0.36, -wide / 2 + 0.25, 1.0), (0.05, 0.18, 0.12), **DARK_STEEL)

    return Piece("workbench", 0.78, wide, 1.85, add, False, 0.6)


def sign(draw: Random) -> Piece:
    """Wall sign: warning, exit or notice board."""
    code = draw.choice(("d8b01e", "2f8f4e", "2f63a8", "c23a2c"))
    board = finish(Material.PAINT, code)

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.2), (0.02, 0.6, 0.4), **board)
        b.box((0.012, 0, 0.25), (0.006, 0.44, 0.1), material=Material.PAINT, color=srgb("efefec"))
        b.box((0.012, 0, 0.1), (0.006, 0.3, 0.05), material=Material.PAINT, color=srgb("1c1c1c"))

    return Piece("sign", 0.03, 0.6, 0.4, add, False)


def extinguisher() -> Piece:
    """Fire extinguisher on the wall below its sign."""

    def add(b: SceneBuilder) -> None:
        red = finish(Material.PAINT, "b3241c")
        b.cylinder((0, 0, 0.28), 0.08, 0.5, **red)
        b.ellipsoid((0, 0, 0.53), (0.16, 0.16, 0.12), **red)
        b.box((0, 0, 0.61), (0.05, 0.1, 0.06), **BLACK_PLASTIC)
        b.box((-0.07, 0, 1.1), (0.01, 0.25, 0.25), **red)

    return Piece("extinguisher", 0.16, 0.25, 1.23, add, False)


def railing(length: float) -> Piece:
    """Yellow guard rail along y."""
    posts = max(2, round(length / 1.5) + 1)

    def add(b: SceneBuilder) -> None:
        for i in range(posts):
            y = -length / 2 + 0.04 + (length - 0.08) * i / (posts - 1)
            b.box((0, y, 0.5), (0.06, 0.06, 1.0), **SAFETY_YELLOW)
        for z in (0.55, 1.0):
            b.cylinder((0, 0, z), 0.03, length, rotation=ALONG_Y, **SAFETY_YELLOW)

    return Piece("railing", 0.06, length, 1.03, add, False)
