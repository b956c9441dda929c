"""Warehouse: aisles of loaded pallet racks, loading docks, forklifts and packing tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural import hall as halls
from worldfm_gym.worlds.procedural import industrial, storage
from worldfm_gym.worlds.procedural.hall import Hall
from worldfm_gym.worlds.procedural.industrial import PlantStyle
from worldfm_gym.worlds.procedural.palette import HAZARD, light_color
from worldfm_gym.worlds.procedural.placement import RoomPlacer
from worldfm_gym.worlds.scene import Scene, SceneBuilder

_BAY_M = 2.8
_RACK_DEPTH_M = 1.05
_DOCK_ZONE_M = 6.5


@dataclass(frozen=True, slots=True)
class WarehouseConfig:
    """A warehouse.

    Attributes:
        rack_rows: Number of double rows of racks; None draws 2…3.
        bays: Bays in a row; None draws 3…5.
        levels: Storage levels; None draws 3…4.
        aisle_m: Width of the aisles between racks; None draws 2.6…3.2.
        fill: Share of pallet places that are taken; None draws 0.65…0.95.
    """

    rack_rows: int | None = None
    bays: int | None = None
    levels: int | None = None
    aisle_m: float | None = None
    fill: float | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("rack_rows", self.rack_rows, 1, 6),
            ("bays", self.bays, 2, 10),
            ("levels", self.levels, 2, 5),
            ("aisle_m", self.aisle_m, 1.5, 6),
            ("fill", self.fill, 0, 1),
        ):
            if value is not None and not low <= value <= high:
                raise SourceError(f"warehouse: {name} must be {low}…{high}, got {value}")


def build_warehouse(rng: np.random.Generator, config: WarehouseConfig) -> Scene:
    """Draw a warehouse: racks run along x, docks are in the wall at x = 0."""
    draw = Random(int(rng.integers(2**63)))
    rows = draw.choice((2, 2, 3)) if config.rack_rows is None else config.rack_rows
    bays = draw.choice((3, 4, 4)) if config.bays is None else config.bays
    levels = draw.choice((3, 3, 4)) if config.levels is None else config.levels
    aisle = draw.uniform(2.6, 3.2) if config.aisle_m is None else config.aisle_m
    fill = draw.uniform(0.65, 0.95) if config.fill is None else config.fill
    style = industrial.draw_plant_style(draw)

    pair = 2 * _RACK_DEPTH_M + 0.15
    depth = rows * pair + (rows + 1) * aisle
    width = _DOCK_ZONE_M + bays * _BAY_M + 0.1 + draw.uniform(2.6, 3.4)
    hall = Hall(width, depth, 1.55 * levels + draw.uniform(1.6, 2.4))
    builder = SceneBuilder(rng)
    placer = RoomPlacer(hall.inside, draw)
    halls.add_shell(builder, hall, style, band_m=draw.uniform(1.2, 2.2))
    halls.add_columns_and_trusses(builder, hall, placer, style.steelwork)
    halls.add_high_windows(builder, hall, (0, 2), bottom=max(4.6, hall.height - 2.0))
    docks = max(2, round(depth / 5.2))
    for i in range(docks):
        halls.add_roller_door(
            builder, hall, placer, 0, depth * (i + 0.5) / docks, style, number=i + 1
        )
    aisles_y = [aisle / 2 + k * (pair + aisle) for k in range(rows + 1)]
    halls.add_lamps(builder, hall, aisles_y, warmth=draw.uniform(0.0, 0.4), drop=0.95)
    _add_racks(builder, placer, style, aisle, pair, rows, bays, levels, fill)
    _mark_docks(builder, hall, docks)
    _fill_dock_zone(placer, style, hall, docks)
    placer.emit(builder)
    return builder.build(
        ambient=light_color(0.1, 0.42), floor_rects=[hall.inside], height=hall.height
    )


def _add_racks(
    b: SceneBuilder,
    placer: RoomPlacer,
    style: PlantStyle,
    aisle: float,
    pair: float,
    rows: int,
    bays: int,
    levels: int,
    fill: float,
) -> None:
    """Place the racks in pairs, back to back, and paint the aisles between them."""
    draw = placer.draw
    length = bays * _BAY_M + 0.1
    middle_x = _DOCK_ZONE_M + length / 2
    for row in range(rows):
        low = aisle + row * (pair + aisle)
        for back, yaw in ((low + _RACK_DEPTH_M / 2, -math.pi / 2),
                          (low + pair - _RACK_DEPTH_M / 2, math.pi / 2)):  # fmt: skip
            rack = storage.pallet_rack(
                draw, style, bays=bays, levels=levels, bay_m=_BAY_M, fill=fill
            )
            placer.put(rack, middle_x, back, yaw)
        for y in (low - 0.25, low + pair + 0.25):
            halls.add_line(b, _DOCK_ZONE_M - 0.2, y, _DOCK_ZONE_M + length + 0.2, y)
        for x in (_DOCK_ZONE_M - 0.35, _DOCK_ZONE_M + length + 0.35):
            guard = industrial.railing(pair)
            placer.put(guard, x, low + pair / 2, 0.0)


def _mark_docks(b: SceneBuilder, hall: Hall, docks: int) -> None:
    """Paint a bay before each dock and the crossing aisle behind."""
    for i in range(docks):
        y = hall.depth * (i + 0.5) / docks
        for side in (-1, 1):
            halls.add_line(b, 0.3, y + side * 1.95, 3.2, y + side * 1.95)
        b.box((0.45, y, 0.003), (0.6, 3.2, 0.006), **HAZARD)
    halls.add_line(b, 3.3, 0.4, 3.3, hall.depth - 0.4)
    halls.add_line(b, _DOCK_ZONE_M - 0.8, 0.4, _DOCK_ZONE_M - 0.8, hall.depth - 0.4)


def _fill_dock_zone(placer: RoomPlacer, style: PlantStyle, hall: Hall, docks: int) -> None:
    """Put forklifts, waiting pallets and packing tables between docks and racks."""
    draw = placer.draw
    for _ in range(draw.choice((1, 2, 2))):
        truck = storage.forklift(draw)
        for _ in range(6):
            x, y = draw.uniform(2.4, _DOCK_ZONE_M), draw.uniform(1.5, hall.depth - 1.5)
            yaw = draw.choice((0.0, math.pi / 2, -math.pi / 2)) + draw.uniform(-0.25, 0.25)
            if placer.put(truck, x, y, yaw) is not None:
                break
    for i in range(1, docks):
        y = hall.depth * i / docks
        for k in range(draw.randint(1, 2)):
            piece = storage.pallet(draw, loaded=draw.random() < 0.8)
            placer.put(piece, 0.7 + 1.1 * k, y, draw.uniform(-0.06, 0.06))
    for side in (1, 3):
        for _ in range(2):
            table = storage.packing_table(draw, style)
            x = draw.uniform(1.6, _DOCK_ZONE_M - 0.5)
            at_x, y, yaw = placer.wall_pose(table, side, x, 0.06)
            placed = placer.put(table, at_x, y, yaw)
            if placed is not None:
                break
    placer.put(
        storage.pallet_jack(draw), draw.uniform(3.6, 5.0), draw.uniform(1.2, hall.depth - 1.2), 0.4
    )
    for _ in range(6):
        piece = draw.choice((storage.pallet, storage.crate, storage.barrel))(draw)
        placer.against_wall(piece, sides=(1, 2, 3), gap=0.08, tries=4)
    placer.against_wall(industrial.control_cabinet(draw, style), sides=(1, 2, 3), tries=6)
    for _ in range(4):
        placer.against_wall(industrial.sign(draw), bottom=draw.uniform(1.8, 2.3), gap=0.0, tries=4)
    for _ in range(2):
        placer.against_wall(industrial.extinguisher(), bottom=0.5, gap=0.0, tries=4)
