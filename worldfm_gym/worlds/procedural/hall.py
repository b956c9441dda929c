"""Hall: floor, clad walls, columns, trusses, high windows, roller doors and lamps of big sheds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from worldfm_gym.worlds.procedural.industrial import PlantStyle
from worldfm_gym.worlds.procedural.layout import INWARD_YAW, Rect
from worldfm_gym.worlds.procedural.orient import ALONG_X, ALONG_Y, roll
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    DAYLIGHT,
    HAZARD,
    SAFETY_YELLOW,
    STEEL,
    Finish,
    finish,
    lamp,
    light_color,
    tinted,
)
from worldfm_gym.worlds.procedural.placement import RoomPlacer
from worldfm_gym.worlds.scene import Material, SceneBuilder

_WALL_M = 0.3
_COLUMN_M = 0.32
_PAINT_M = 0.004
_BAY_M = 5.8
ROLLER_DOOR_M = (3.4, 3.8)  # width, height


@dataclass(frozen=True, slots=True)
class Hall:
    """Size of a hall; its floor spans (0, 0) to (width, depth)."""

    width: float
    depth: float
    height: float

    @property
    def bays(self) -> int:
        """Number of stretches between trusses."""
        return max(2, round(self.width / _BAY_M))

    def lamp_columns(self) -> list[float]:
        """Where lamps hang: in the middle of every bay, or of every other one in long halls."""
        every = 1 if self.bays < 5 else 2
        return [self.width * (i + 0.5) / self.bays for i in range(0, self.bays, every)]

    @property
    def inside(self) -> Rect:
        """The floor."""
        return 0.0, 0.0, self.width, self.depth

    def wall_frame(self, side: int, along: float) -> tuple[tuple[float, float, float], float]:
        """Position and yaw of a frame on a wall's inner face, x pointing inwards."""
        x, y = ((0.0, along), (along, 0.0), (self.width, along), (along, self.depth))[side]
        return (x, y, 0.0), INWARD_YAW[side]

    def span(self, side: int) -> float:
        """Length of a side."""
        return self.depth if side in (0, 2) else self.width


def add_shell(b: SceneBuilder, hall: Hall, style: PlantStyle, *, band_m: float) -> None:
    """Add floor, ceiling and walls with a lower band of another finish."""
    w, d, h, t = hall.width, hall.depth, hall.height, _WALL_M
    b.box((w / 2, d / 2, -0.1), (w + 2 * t, d + 2 * t, 0.2), **style.floor)
    roof = finish(Material.METAL, "c3c7c8", "a9aeb0", 0.3)
    b.box((w / 2, d / 2, h + 0.1), (w + 2 * t, d + 2 * t, 0.2), **roof)
    for bottom, top, made_of in ((0.0, band_m, style.wall_low), (band_m, h, style.wall_high)):
        z, tall = (bottom + top) / 2, top - bottom
        for x in (-t / 2, w + t / 2):
            b.box((x, d / 2, z), (t, d, tall), **made_of)
        for y in (-t / 2, d + t / 2):
            b.box((w / 2, y, z), (w + 2 * t, t, tall), **made_of)


def add_columns_and_trusses(
    b: SceneBuilder, hall: Hall, placer: RoomPlacer, made_of: Finish
) -> None:
    """Add steel columns along both long walls, and a truss from each to its opposite."""
    bays = hall.bays
    top, chord = hall.height - 0.12, hall.height - 0.85
    for i in range(1, bays):
        x = hall.width * i / bays
        for y in (_COLUMN_M / 2 + 0.02, hall.depth - _COLUMN_M / 2 - 0.02):
            _add_column(b, x, y, hall.height, made_of)
            half = _COLUMN_M / 2 + 0.02
            placer.taken.append((x - half, y - half, x + half, y + half, 0.0, hall.height))
        for z in (top, chord):
            b.box((x, hall.depth / 2, z), (0.14, hall.depth - 0.04, 0.12), **made_of)
        panels = max(4, 2 * round(hall.depth / 5))
        step = (hall.depth - 0.6) / panels
        rise = math.atan2(top - chord, step)
        for k in range(panels):
            tilt = roll(rise if k % 2 == 0 else -rise)
            center = (x, 0.3 + step * (k + 0.5), (top + chord) / 2)
            b.box(center, (0.07, math.hypot(step, top - chord), 0.07), rotation=tilt, **made_of)


def _add_column(b: SceneBuilder, x: float, y: float, tall: float, made_of: Finish) -> None:
    """Rolled-steel column with a striped foot."""
    b.box((x, y, tall / 2), (0.03, _COLUMN_M - 0.06, tall), **made_of)
    for sign in (-1, 1):
        b.box((x, y + sign * (_COLUMN_M / 2 - 0.02), tall / 2), (_COLUMN_M, 0.04, tall), **made_of)
    b.box((x, y, 0.5), (_COLUMN_M + 0.02, _COLUMN_M + 0.02, 1.0), **HAZARD)


def add_high_windows(b: SceneBuilder, hall: Hall, sides: tuple[int, ...], *, bottom: float) -> None:
    """Add a strip of windows below the roof on the given sides."""
    tall = min(1.3, hall.height - bottom - 1.0)
    if tall < 0.5:
        return
    for side in sides:
        length = hall.span(side)
        count = max(2, round(length / 4.6))
        wide = length / count - 1.0
        for i in range(count):
            position, yaw = hall.wall_frame(side, length * (i + 0.5) / count)
            with b.object("window", position, yaw, movable=False):
                b.box((0.02, 0, bottom + tall / 2), (0.04, wide, tall), **BLACK_METAL)
                b.box((0.035, 0, bottom + tall / 2), (0.03, wide - 0.12, tall - 0.12), **DAYLIGHT)
                b.box((0.05, 0, bottom - 0.02), (0.1, wide + 0.1, 0.04), **STEEL)


def add_roller_door(
    b: SceneBuilder,
    hall: Hall,
    placer: RoomPlacer,
    side: int,
    along: float,
    style: PlantStyle,
    *,
    number: int | None = None,
) -> None:
    """Add a closed roller door with striped guides, drum housing and a number board."""
    wide, tall = ROLLER_DOOR_M
    tall = min(tall, hall.height - 1.1)
    position, yaw = hall.wall_frame(side, along)
    slats = finish(Material.METAL, style.door["color"], tinted(style.door, 0.75)["color"], 0.2)
    with b.object("roller_door", position, yaw, movable=False):
        b.box((0.03, 0, tall / 2), (0.06, wide, tall), **slats)
        for i in range(9):
            b.box((0.065, 0, tall * (i + 0.5) / 9), (0.012, wide, 0.05), **tinted(slats, 0.8))
        for sign in (-1, 1):
            b.box((0.09, sign * (wide / 2 + 0.08), tall / 2), (0.18, 0.16, tall), **HAZARD)
        b.box((0.2, 0, tall + 0.22), (0.4, wide + 0.4, 0.44), **STEEL)
        b.box((0.075, 0, 0.06), (0.03, wide, 0.12), **BLACK_METAL)
        if number is not None:
            b.box((0.41, 0, tall + 0.22), (0.02, 0.5, 0.36), **SAFETY_YELLOW)
            for k in range(number % 4 + 1):
                b.box((0.425, 0.1 * k - 0.15, tall + 0.22), (0.012, 0.05, 0.24), **BLACK_METAL)
    half = wide / 2 + 0.2
    placer.kept.append(placer.at_wall(side, along - half, along + half, 3.0, 0.0, 4.2))


def add_lamps(
    b: SceneBuilder, hall: Hall, rows_y: Sequence[float], *, warmth: float, drop: float
) -> None:
    """Add rows of hanging lamps along x, each lamp with its light."""
    z = hall.height - drop
    columns_x = hall.lamp_columns()
    count = len(columns_x) * len(rows_y)
    reach = math.hypot(hall.width / len(columns_x), hall.depth / len(rows_y), z) + 3.0
    intensity = 1.5 + 0.045 * hall.width * hall.depth / count + 0.08 * z * z
    for x in columns_x:
        for y in rows_y:
            _add_lamp(b, (x, y, z), drop=drop)
            b.light((x, y, z - 0.05), light_color(warmth, intensity), range_m=reach)


def _add_lamp(b: SceneBuilder, at: tuple[float, float, float], *, drop: float) -> None:
    """Add a tube lamp that hangs `drop` below the roof."""
    with b.object("ceiling_lamp", at, movable=False):
        b.box((0, 0, 0.09), (1.5, 0.3, 0.06), **STEEL)
        b.box((0, 0, 0.03), (1.44, 0.22, 0.06), **lamp(0.1))
        for sign in (-1, 1):
            b.cylinder((sign * 0.6, 0, (drop + 0.12) / 2), 0.01, drop - 0.12, **BLACK_METAL)


def add_pipes(b: SceneBuilder, draw: Random, hall: Hall, *, count: int) -> None:
    """Add pipes along the long walls and a duct across, all overhead."""
    colors = ("2f6fa8", "c23a2c", "3f8f56", "b9bdbf", "d8a722")
    for i in range(count):
        made_of = finish(Material.METAL, draw.choice(colors))
        radius = draw.uniform(0.05, 0.14)
        y = 0.55 + 0.36 * (i // 2)
        y = y if i % 2 == 0 else hall.depth - y
        z = hall.height - 1.3 - 0.12 * (i % 3)
        b.cylinder((hall.width / 2, y, z), radius, hall.width - 0.1, rotation=ALONG_X, **made_of)
        for k in range(4):
            x = hall.width * (k + 0.5) / 4
            b.cylinder((x, y, z), radius + 0.03, 0.08, rotation=ALONG_X, **STEEL)
    galvanized = finish(Material.METAL, "b4b9bb", "9da2a4", 0.4)
    x = hall.width * draw.randint(1, hall.bays - 1) / hall.bays + 0.9  # clear of truss and lamps
    z = hall.height - 1.35
    b.cylinder((x, hall.depth / 2, z), 0.3, hall.depth - 0.1, rotation=ALONG_Y, **galvanized)
    for k in range(6):
        at = (x, hall.depth * (k + 0.5) / 6, z)
        b.cylinder(at, 0.315, 0.06, rotation=ALONG_Y, **tinted(galvanized, 0.85))
        if k % 2:
            b.box((at[0], at[1] + 0.6, z - 0.32), (0.3, 0.5, 0.1), **BLACK_METAL)


def add_line(
    b: SceneBuilder, x0: float, y0: float, x1: float, y1: float, *, wide: float = 0.1
) -> None:
    """Add a painted floor line along x or y."""
    size = (abs(x1 - x0) + wide, abs(y1 - y0) + wide, _PAINT_M)
    b.box(((x0 + x1) / 2, (y0 + y1) / 2, _PAINT_M / 2), size, **SAFETY_YELLOW)


def add_patch(b: SceneBuilder, rect: Rect, made_of: Finish) -> None:
    """Add a painted or striped area on the floor, below the lines."""
    x0, y0, x1, y1 = rect
    center = ((x0 + x1) / 2, (y0 + y1) / 2, _PAINT_M / 8)
    b.box(center, (x1 - x0, y1 - y0, _PAINT_M / 4), **made_of)


WALKWAY = finish(Material.PAINT, "5d7f68", "56765f", 3.0)
