"""Maze: corridors on a grid, with a theme of materials per quarter and landmarks to steer by."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural import decor, furniture, furniture_rooms
from worldfm_gym.worlds.procedural.layout import INWARD_YAW, Rect
from worldfm_gym.worlds.procedural.palette import (
    CEILING_WHITE,
    Finish,
    Style,
    draw_style,
    finish,
    light_color,
)
from worldfm_gym.worlds.procedural.placement import Piece, RoomPlacer
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder

_WALL_M = 0.14
_POST_M = 0.2
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MazeConfig:
    """A maze.

    Attributes:
        columns: Cells along x; None draws 5…8.
        rows: Cells along y; None draws 5…8.
        cell_m: Distance between corridor middles; None draws 1.8…2.3.
        braid: Share of dead ends opened into loops, 0 (perfect maze) to 1; None draws it.
        ceiling_m: Ceiling height; None draws 2.4…2.8.
    """

    columns: int | None = None
    rows: int | None = None
    cell_m: float | None = None
    braid: float | None = None
    ceiling_m: float | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("columns", self.columns, 2, 20),
            ("rows", self.rows, 2, 20),
            ("cell_m", self.cell_m, 1.4, 4),
            ("braid", self.braid, 0, 1),
            ("ceiling_m", self.ceiling_m, 2.2, 5),
        ):
            if value is not None and not low <= value <= high:
                raise SourceError(f"maze: {name} must be {low}…{high}, got {value}")


@dataclass(frozen=True, slots=True)
class _Theme:
    """Materials of one quarter."""

    wall: Finish
    floor: Finish
    post: Finish
    dado: Finish | None
    style: Style


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which neighboring cells are joined, and which theme a cell has."""

    columns: int
    rows: int
    pitch: float
    joined: frozenset[tuple[Cell, Cell]]
    split: Cell
    themes: tuple[_Theme, ...]

    def open(self, a: Cell, b: Cell) -> bool:
        return (min(a, b), max(a, b)) in self.joined

    def theme(self, cell: Cell) -> _Theme:
        i = min(max(cell[0], 0), self.columns - 1)
        k = min(max(cell[1], 0), self.rows - 1)
        return self.themes[2 * (i >= self.split[0]) + (k >= self.split[1])]


def build_maze(rng: np.random.Generator, config: MazeConfig) -> Scene:
    """Draw a maze by randomized depth-first search, then braid it."""
    draw = Random(int(rng.integers(2**63)))
    columns = draw.randint(5, 8) if config.columns is None else config.columns
    rows = draw.randint(5, 8) if config.rows is None else config.rows
    pitch = draw.uniform(1.8, 2.3) if config.cell_m is None else config.cell_m
    braid = draw.choice((0.0, 0.3, 0.6, 1.0)) if config.braid is None else config.braid
    height = draw.uniform(2.4, 2.8) if config.ceiling_m is None else config.ceiling_m
    split = (draw.randint(2, max(2, columns - 2)), draw.randint(2, max(2, rows - 2)))
    joined = _carve(draw, columns, rows, braid)
    plan = _Plan(columns, rows, pitch, joined, split, tuple(_draw_themes(draw)))

    builder = SceneBuilder(rng)
    _add_floors(builder, plan, height)
    _add_walls(builder, plan, height)
    _add_lamps(builder, plan, height)
    _add_landmarks(builder, draw, plan)
    return builder.build(ambient=(0.36, 0.35, 0.34), floor_rects=_floor_rects(plan), height=height)


def _carve(draw: Random, columns: int, rows: int, braid: float) -> frozenset[tuple[Cell, Cell]]:
    """Joined pairs of cells: a spanning tree, plus a second exit for a share of dead ends."""
    joined: set[tuple[Cell, Cell]] = set()
    stack, seen = [(0, 0)], {(0, 0)}
    while stack:
        cell = stack[-1]
        fresh = [n for n in _neighbors(cell, columns, rows) if n not in seen]
        if not fresh:
            stack.pop()
            continue
        following = draw.choice(fresh)
        joined.add((min(cell, following), max(cell, following)))
        seen.add(following)
        stack.append(following)
    for i in range(columns):
        for k in range(rows):
            near = _neighbors((i, k), columns, rows)
            closed = [n for n in near if (min((i, k), n), max((i, k), n)) not in joined]
            if len(near) - len(closed) == 1 and closed and draw.random() < braid:
                other = draw.choice(closed)
                joined.add((min((i, k), other), max((i, k), other)))
    return frozenset(joined)


def _neighbors(cell: Cell, columns: int, rows: int) -> list[Cell]:
    i, k = cell
    near = ((i - 1, k), (i, k - 1), (i + 1, k), (i, k + 1))
    return [(a, b) for a, b in near if 0 <= a < columns and 0 <= b < rows]


_WALLS = (
    finish(Material.BRICK, "9c5c45", "b8aea2", 0.22),
    finish(Material.BRICK, "c9c3b8", "a39e95", 0.22),
    finish(Material.PLASTER, "d8b98a", "c9a877", 0.5),
    finish(Material.TILE, "7fa8a8", "d8dedb", 0.2),
    finish(Material.CONCRETE, "a7a49e", "8f8c86", 1.2),
    finish(Material.PLANKS, "a97c4f", "8a623b", 0.14),
    finish(Material.PAINT, "6f8fae"),
    finish(Material.PAINT, "b9604a"),
    finish(Material.PAINT, "7d9468"),
    finish(Material.PAINT, "d9a441"),
    finish(Material.MARBLE, "d8d3c8", "a49c8e", 0.5),
    finish(Material.FABRIC, "7a5570", "8f6a84", 0.3),
    finish(Material.METAL, "9aa4aa", "848e94", 0.4),
)
_FLOORS = (
    finish(Material.PLANKS, "b98d5c", "9d7447", 0.16),
    finish(Material.TILE, "cfcac0", "8f8b83", 0.4),
    finish(Material.TILE, "5f6468", "45494c", 0.4),
    finish(Material.CONCRETE, "96948f", "807e79", 1.4),
    finish(Material.CARPET, "5a6a86"),
    finish(Material.CARPET, "87584e"),
    finish(Material.MARBLE, "c9c4b9", "8f897d", 0.9),
    finish(Material.PLANKS, "7b5537", "614128", 0.14),
)


def _draw_themes(draw: Random) -> list[_Theme]:
    """Four quarters with different walls and floors."""
    walls, floors = draw.sample(_WALLS, 4), draw.sample(_FLOORS, 4)
    themes = []
    for wall, floor in zip(walls, floors, strict=True):
        style = draw_style(draw)
        post = draw.choice((style.wood, style.trim, style.second))
        dado = draw.choice((style.wood, style.front, style.tile_wall))
        themes.append(_Theme(wall, floor, post, dado if draw.random() < 0.5 else None, style))
    return themes


def _add_floors(b: SceneBuilder, plan: _Plan, height: float) -> None:
    """Add a floor per quarter and one ceiling."""
    edge = _WALL_M
    x_cuts = (-edge, plan.split[0] * plan.pitch, plan.columns * plan.pitch + edge)
    y_cuts = (-edge, plan.split[1] * plan.pitch, plan.rows * plan.pitch + edge)
    for i in range(2):
        for k in range(2):
            x0, x1, y0, y1 = x_cuts[i], x_cuts[i + 1], y_cuts[k], y_cuts[k + 1]
            center, size = ((x0 + x1) / 2, (y0 + y1) / 2, -0.05), (x1 - x0, y1 - y0, 0.1)
            b.box(center, size, **plan.themes[2 * i + k].floor)
    wide, deep = plan.columns * plan.pitch, plan.rows * plan.pitch
    b.box((wide / 2, deep / 2, height + 0.05), (wide + 0.4, deep + 0.4, 0.1), **CEILING_WHITE)


def _add_walls(b: SceneBuilder, plan: _Plan, height: float) -> None:
    """Add walls, merged into runs of one material, and posts where runs end or meet."""
    ends: set[Cell] = set()
    for axis in (0, 1):
        length, lines = (plan.columns, plan.rows) if axis == 0 else (plan.rows, plan.columns)
        for line in range(lines + 1):
            run: tuple[int, _Theme] | None = None
            for at in range(length + 1):
                theme = _wall_theme(plan, axis, line, at) if at < length else None
                if run is not None and theme is not run[1]:
                    _add_run(b, plan, axis, line, run[0], at, run[1], height)
                    for end in (run[0], at):
                        ends.add((end, line) if axis == 0 else (line, end))
                    run = None
                if theme is not None and run is None:
                    run = at, theme
    for i, k in sorted(ends):
        post = plan.theme((i, k)).post
        b.box((i * plan.pitch, k * plan.pitch, height / 2), (_POST_M, _POST_M, height), **post)


def _wall_theme(plan: _Plan, axis: int, line: int, at: int) -> _Theme | None:
    """Theme of the wall along one cell's edge, None where it is open."""
    if axis == 0:
        low, high = (at, line - 1), (at, line)
        outer = line in (0, plan.rows)
    else:
        low, high = (line - 1, at), (line, at)
        outer = line in (0, plan.columns)
    if not outer and plan.open(low, high):
        return None
    return plan.theme(high)


def _add_run(
    b: SceneBuilder,
    plan: _Plan,
    axis: int,
    line: int,
    start: int,
    stop: int,
    theme: _Theme,
    height: float,
) -> None:
    """Add one straight wall with skirting boards and, in some themes, a dado."""
    length, middle, across = (
        (stop - start) * plan.pitch, (start + stop) / 2 * plan.pitch, line * plan.pitch
    )  # fmt: skip
    along = length + (_WALL_M if axis == 0 else 0.0)
    layers = [(_WALL_M, 0.0, height, theme.wall), (_WALL_M + 0.024, 0.0, 0.09, theme.post)]
    if theme.dado is not None:
        layers.append((_WALL_M + 0.01, 0.0, 0.95, theme.dado))
        layers.append((_WALL_M + 0.026, 0.95, 1.0, theme.post))
    for thick, bottom, top, made_of in layers:
        z, tall = (bottom + top) / 2, top - bottom
        if axis == 0:
            b.box((middle, across, z), (along, thick, tall), **made_of)
        else:
            b.box((across, middle, z), (thick, along, tall), **made_of)


def _add_lamps(b: SceneBuilder, plan: _Plan, height: float) -> None:
    """Add a flush lamp over every other cell, like the black squares of a chessboard."""
    reach = 2.1 * plan.pitch + 0.6
    for i in range(plan.columns):
        for k in range(plan.rows):
            if (i + 2 * k) % 4 != 0:
                continue
            theme = plan.theme((i, k))
            x, y = (i + 0.5) * plan.pitch, (k + 0.5) * plan.pitch
            piece = furniture_rooms.ceiling_lamp(Random(0), theme.style, drop=0.12)
            with b.object(piece.category, (x, y, height - 0.12), movable=False):
                piece.add(b)
            color = light_color(theme.style.warmth, 2.2)
            b.light((x, y, height - 0.16), color, range_m=reach)


def _add_landmarks(b: SceneBuilder, draw: Random, plan: _Plan) -> None:
    """Put pictures on walls, and plants, columns, lamps and boxes in corners and dead ends."""
    half = _WALL_M / 2 + 0.012
    for i in range(plan.columns):
        for k in range(plan.rows):
            inside = (
                i * plan.pitch + half, k * plan.pitch + half,
                (i + 1) * plan.pitch - half, (k + 1) * plan.pitch - half,
            )  # fmt: skip
            walls = _walls_of(plan, (i, k))
            if not walls or draw.random() < 0.25:
                continue
            placer = RoomPlacer(inside, draw)
            style = plan.theme((i, k)).style
            side = draw.choice(walls)
            if len(walls) == 3:
                _furnish_dead_end(placer, walls, style)
            elif draw.random() < 0.6:
                art = decor.picture(draw, style, width=draw.uniform(0.4, 0.8))
                placer.against_wall(art, sides=(side,), where="middle", bottom=1.2, gap=0.0)
            elif len(walls) == 2 and (walls[1] - walls[0]) % 2 == 1:
                _furnish_corner(placer, walls, style)
            placer.emit(b)


def _walls_of(plan: _Plan, cell: Cell) -> list[int]:
    """Sides of a cell that are walls, in the order west, south, east, north."""
    i, k = cell
    near = ((i - 1, k), (i, k - 1), (i + 1, k), (i, k + 1))
    return [side for side, other in enumerate(near) if not plan.open(cell, other)]


def _furnish_dead_end(placer: RoomPlacer, walls: list[int], style: Style) -> None:
    """Something to remember at the end of a blind corridor."""
    draw = placer.draw
    side = next(w for w in walls if (w + 2) % 4 in set(range(4)) - set(walls))
    piece = draw.choice((
        lambda: decor.plant(draw, style), lambda: furniture.floor_lamp(draw, style),
        lambda: furniture.bookshelf(draw, style, height=1.25), lambda: decor.cardboard_box(draw),
        lambda: furniture.sofa(draw, style, seats=1), lambda: column(draw, style),
        lambda: decor.ball(draw),
    ))()  # fmt: skip
    placer.against_wall(piece, sides=(side,), where="middle", gap=0.04)


def _furnish_corner(placer: RoomPlacer, walls: list[int], style: Style) -> None:
    """Something slim in the corner of a bend."""
    draw = placer.draw
    piece = draw.choice((
        lambda: column(draw, style), lambda: decor.plant(draw, style, tall=draw.uniform(0.5, 0.9)),
        lambda: furniture.stool(draw, style), lambda: decor.basket(draw, style),
    ))()  # fmt: skip
    x0, y0, x1, y1 = placer.inside
    gap = 0.06
    x = x0 + piece.depth / 2 + gap if 0 in walls else x1 - piece.depth / 2 - gap
    y = y0 + piece.width / 2 + gap if 1 in walls else y1 - piece.width / 2 - gap
    placer.put(piece, x, y, INWARD_YAW[walls[0]])


def column(draw: Random, style: Style) -> Piece:
    """Pedestal with a colored globe."""
    colored = draw.choice(style.fabrics)
    globe = finish(Material.PAINT, colored["color"])

    def add(b: SceneBuilder) -> None:
        b.box((0, 0, 0.04), (0.34, 0.34, 0.08), **style.second)
        b.cylinder((0, 0, 0.5), 0.13, 0.84, **globe)
        b.box((0, 0, 0.94), (0.32, 0.32, 0.05), **style.second)
        b.ellipsoid((0, 0, 1.09), (0.25, 0.25, 0.25), **globe)

    return Piece("column", 0.34, 0.34, 1.215, add)


def _floor_rects(plan: _Plan) -> list[Rect]:
    """Corridor floor: straight stretches along x, and the passages along y between them."""
    half, pitch = _WALL_M / 2, plan.pitch
    rects = []
    for k in range(plan.rows):
        start = 0
        for i in range(plan.columns):
            if i + 1 < plan.columns and plan.open((i, k), (i + 1, k)):
                continue
            x0, x1 = start * pitch + half, (i + 1) * pitch - half
            rects.append((x0, k * pitch + half, x1, (k + 1) * pitch - half))
            start = i + 1
    for i in range(plan.columns):
        for k in range(plan.rows - 1):
            if plan.open((i, k), (i, k + 1)):
                y = (k + 1) * pitch
                rects.append((i * pitch + half, y - half, (i + 1) * pitch - half, y + half))
    return rects
