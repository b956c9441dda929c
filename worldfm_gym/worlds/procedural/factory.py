"""Factory: one hall with machines on both sides of an aisle, stores along the walls."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural import hall as halls
from worldfm_gym.worlds.procedural import industrial, storage
from worldfm_gym.worlds.procedural.furniture import stool
from worldfm_gym.worlds.procedural.hall import Hall
from worldfm_gym.worlds.procedural.industrial import PlantStyle
from worldfm_gym.worlds.procedural.palette import HAZARD, draw_style, light_color
from worldfm_gym.worlds.procedural.placement import Piece, Placed, RoomPlacer
from worldfm_gym.worlds.scene import Scene, SceneBuilder


@dataclass(frozen=True, slots=True)
class FactoryConfig:
    """A factory hall.

    Attributes:
        width_m: Length along the aisle; None draws 20…30.
        depth_m: Length across it; None draws 15…19.
        ceiling_m: Height of the roof; None draws 5…7.
        clutter: From 0 (machines only) to 1 (pallets, drums and totes wherever there is room).
    """

    width_m: float | None = None
    depth_m: float | None = None
    ceiling_m: float | None = None
    clutter: float = 0.7

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("width_m", self.width_m, 18, 60),
            ("depth_m", self.depth_m, 14, 30),
            ("ceiling_m", self.ceiling_m, 5, 10),
            ("clutter", self.clutter, 0, 1),
        ):
            if value is not None and not low <= value <= high:
                raise SourceError(f"factory: {name} must be {low}…{high}, got {value}")


@dataclass(frozen=True, slots=True)
class _Cell:
    """A stretch of floor beside the aisle.

    Pieces are placed by their distance back from the aisle and their offset along it, and face
    the aisle unless turned.
    """

    placer: RoomPlacer
    draw: Random
    style: PlantStyle
    middle_x: float
    edge_y: float
    facing: float  # +1 where the aisle lies at higher y

    def put(self, piece: Piece, back: float, along: float, turn: float = 0.0) -> Placed | None:
        yaw = self.facing * math.pi / 2
        x = self.middle_x - self.facing * along
        return self.placer.put(piece, x, self.edge_y - self.facing * back, yaw + turn)


def build_factory(rng: np.random.Generator, config: FactoryConfig) -> Scene:
    """Draw a factory hall."""
    draw = Random(int(rng.integers(2**63)))
    hall = Hall(
        draw.uniform(20, 30) if config.width_m is None else config.width_m,
        draw.uniform(15, 19) if config.depth_m is None else config.depth_m,
        draw.uniform(5, 7) if config.ceiling_m is None else config.ceiling_m,
    )
    style = industrial.draw_plant_style(draw)
    builder = SceneBuilder(rng)
    placer = RoomPlacer(hall.inside, draw)
    aisle = draw.uniform(2.6, 3.2)
    aisle_y = hall.depth / 2 + draw.uniform(-0.8, 0.8)
    low, high = aisle_y - aisle / 2, aisle_y + aisle / 2

    halls.add_shell(builder, hall, style, band_m=draw.uniform(1.3, 2.4))
    halls.add_columns_and_trusses(builder, hall, placer, style.steelwork)
    halls.add_high_windows(builder, hall, (1, 3), bottom=max(2.9, hall.height - 2.6))
    for side in (0, 2):
        halls.add_roller_door(builder, hall, placer, side, aisle_y, style)
    rows_y = (hall.depth * 0.25, hall.depth * 0.75)
    halls.add_lamps(
        builder, hall, rows_y, warmth=draw.uniform(0.0, 0.4), drop=draw.uniform(1.0, 1.4)
    )
    halls.add_pipes(builder, draw, hall, count=draw.randint(3, 5))
    _mark_floor(builder, draw, hall, low, high)

    placer.kept.append((0.0, low - 0.15, hall.width, high + 0.15, 0.0, 3.0))
    for edge_y, facing in ((low - 0.3, 1.0), (high + 0.3, -1.0)):
        _fill_row(builder, placer, style, hall, edge_y, facing)
    _fill_walls(placer, style, config.clutter)
    placer.emit(builder)
    return builder.build(
        ambient=light_color(0.1, 0.4), floor_rects=[hall.inside], height=hall.height
    )


def _mark_floor(b: SceneBuilder, draw: Random, hall: Hall, low: float, high: float) -> None:
    """Paint the aisle, its lines, and stripes before the doors."""
    if draw.random() < 0.6:
        halls.add_patch(b, (0.0, low, hall.width, high), halls.WALKWAY)
    for y in (low, high):
        halls.add_line(b, 0.3, y, hall.width - 0.3, y)
    for x in (0.9, hall.width - 0.9):
        b.box((x, (low + high) / 2, 0.003), (0.5, high - low - 0.3, 0.006), **HAZARD)


def _fill_row(
    b: SceneBuilder, placer: RoomPlacer, style: PlantStyle, hall: Hall, edge_y: float, facing: float
) -> None:
    """Put one work cell after another along one side of the aisle."""
    draw = placer.draw
    x = draw.uniform(1.0, 1.8)
    last: Callable[[_Cell], None] | None = None
    while True:
        wide, theme = draw.choice(_THEMES)
        if theme is last:
            continue
        last = theme
        if x + wide > hall.width - 1.0:
            return
        cell = _Cell(placer, draw, style, x + wide / 2, edge_y, facing)
        theme(cell)
        if draw.random() < 0.5:
            _outline(b, cell, wide, 2.6)
        x += wide + draw.uniform(0.9, 1.3)


def _outline(b: SceneBuilder, cell: _Cell, wide: float, back: float) -> None:
    """Paint the outline of a cell on the floor."""
    x0, x1 = cell.middle_x - wide / 2 - 0.2, cell.middle_x + wide / 2 + 0.2
    y0, y1 = cell.edge_y - 0.1 * cell.facing, cell.edge_y - cell.facing * back
    for x in (x0, x1):
        halls.add_line(b, x, y0, x, y1, wide=0.07)
    halls.add_line(b, x0, y1, x1, y1, wide=0.07)


def _machine_cell(cell: _Cell) -> None:
    draw = cell.draw
    cell.put(industrial.cnc_machine(draw, cell.style), 1.0, 0.0)
    cell.put(stool(draw, draw_style(draw)), 0.1, 1.1)
    cell.put(storage.pallet(draw), 2.7, draw.uniform(-0.6, 0.6), math.pi / 2)


def _press_cell(cell: _Cell) -> None:
    draw = cell.draw
    cell.put(industrial.press(draw, cell.style), 0.9, -0.7)
    cell.put(industrial.control_cabinet(draw, cell.style, doors=1), 0.6, 1.1)
    cell.put(storage.pallet(draw), 2.5, 0.9)


def _robot_cell(cell: _Cell) -> None:
    draw, style = cell.draw, cell.style
    cell.put(industrial.robot_arm(draw, style), 1.5, 0.0)
    cell.put(industrial.fence(3.6), 2.75, 0.0)
    for side in (-1, 1):
        cell.put(industrial.fence(2.3), 1.55, side * 1.85, math.pi / 2)
    table = cell.put(storage.packing_table(draw, style), 2.25, 0.0)
    if table is None:
        cell.put(storage.crate(draw), 0.5, 0.9)
    cell.put(storage.tote(draw), 0.35, -1.1)


def _tank_cell(cell: _Cell) -> None:
    draw = cell.draw
    tank_seed = draw.getrandbits(32)
    count = draw.choice((2, 2, 3))
    for i in range(count):
        cell.put(industrial.tank(Random(tank_seed), cell.style), 1.1, (i - (count - 1) / 2) * 1.85)
    cell.put(industrial.control_cabinet(draw, cell.style, doors=1), 2.6, 0.0)


def _conveyor_cell(cell: _Cell) -> None:
    draw = cell.draw
    belt = cell.put(industrial.conveyor(draw, cell.style, length=draw.uniform(5.0, 6.0)), 0.8, 0.0)
    if belt is not None:
        at = -belt.piece.width / 2 + 0.4
        while at < belt.piece.width / 2 - 0.4:
            cell.placer.on_top(storage.carton(draw), belt, 0.0, at, draw.uniform(-0.15, 0.15))
            at += draw.uniform(0.6, 1.5)
    cell.put(industrial.robot_arm(draw, cell.style), 2.95, draw.uniform(-1.0, 1.5))
    cell.put(storage.pallet(draw), 2.4, -2.4, math.pi / 2)


def _store_cell(cell: _Cell) -> None:
    draw = cell.draw
    for i in range(2):
        for k in range(2):
            piece = storage.pallet(draw, loaded=draw.random() < 0.85)
            cell.put(piece, 0.7 + 1.25 * k, (i - 0.5) * 1.5, draw.choice((0.0, math.pi)))
    color = storage.barrel_color(draw)
    for i in range(draw.randint(0, 3)):
        cell.put(storage.barrel(draw, color), 0.45 + 0.66 * i, 1.85)


def _bench_cell(cell: _Cell) -> None:
    draw = cell.draw
    cell.put(industrial.workbench(draw, cell.style), 1.2, 0.0)
    cell.put(stool(draw, draw_style(draw)), 0.35, 0.3)
    cell.put(storage.shelving(draw, cell.style), 2.4, 0.0)


_THEMES: tuple[tuple[float, Callable[[_Cell], None]], ...] = (
    (4.2, _machine_cell),
    (4.2, _machine_cell),
    (3.2, _press_cell),
    (3.9, _robot_cell),
    (5.0, _tank_cell),
    (6.2, _conveyor_cell),
    (4.2, _store_cell),
    (2.6, _bench_cell),
)


def _fill_walls(placer: RoomPlacer, style: PlantStyle, clutter: float) -> None:
    """Put cabinets, shelving and stores along the walls, and signs on them."""
    draw = placer.draw
    makers: tuple[Callable[[], Piece], ...] = (
        lambda: industrial.control_cabinet(draw, style),
        lambda: storage.shelving(draw, style),
        lambda: storage.shelving(draw, style),
        lambda: industrial.workbench(draw, style),
        lambda: storage.pallet(draw),
        lambda: storage.pallet(draw, loaded=False),
        lambda: storage.crate(draw),
        lambda: storage.barrel(draw),
    )
    for _ in range(round(8 + 12 * clutter)):
        placer.against_wall(draw.choice(makers)(), gap=0.06, tries=4)
    for _ in range(6):
        placer.against_wall(industrial.sign(draw), bottom=draw.uniform(1.7, 2.1), gap=0.0, tries=4)
    for _ in range(3):
        placer.against_wall(industrial.extinguisher(), bottom=0.5, gap=0.0, tries=4)
    for _ in range(2):
        placer.against_wall(industrial.railing(draw.uniform(1.5, 3.0)), gap=1.0, tries=4)
