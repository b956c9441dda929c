"""Rooms: furnished multi-room apartments with doors and windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural import furniture_rooms, shell
from worldfm_gym.worlds.procedural.furnishing import furnish
from worldfm_gym.worlds.procedural.layout import WALL_M, FloorPlan, Opening, Room, plan_apartment
from worldfm_gym.worlds.procedural.palette import (
    CEILING_WHITE,
    WHITE_LACQUER,
    Finish,
    Style,
    draw_style,
    light_color,
)
from worldfm_gym.worlds.procedural.placement import RoomPlacer, Volume, overlaps_any
from worldfm_gym.worlds.procedural.walkability import keep_connected
from worldfm_gym.worlds.scene import Scene, SceneBuilder


@dataclass(frozen=True, slots=True)
class RoomsConfig:
    """An apartment.

    Attributes:
        area_m2: Floor area; None draws 70…120.
        room_count: 4…7; None draws 4…7 to suit the area.
        ceiling_m: Ceiling height; None draws 2.45…2.9.
        clutter: From 0 (what each room is for) to 1 (lived in for years); None draws it.
    """

    area_m2: float | None = None
    room_count: int | None = None
    ceiling_m: float | None = None
    clutter: float | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("area_m2", self.area_m2, 50, 200),
            ("room_count", self.room_count, 4, 7),
            ("ceiling_m", self.ceiling_m, 2.4, 4.0),
            ("clutter", self.clutter, 0, 1),
        ):
            if value is not None and not low <= value <= high:
                raise SourceError(f"rooms: {name} must be {low}…{high}, got {value}")


def build_rooms(rng: np.random.Generator, config: RoomsConfig) -> Scene:
    """Draw an apartment."""
    draw = Random(int(rng.integers(2**63)))
    area_m2 = draw.uniform(70, 120) if config.area_m2 is None else config.area_m2
    room_count = config.room_count
    if room_count is None:
        room_count = min(7, max(4, round(area_m2 / 16 + draw.uniform(-0.7, 0.7))))
    height = draw.uniform(2.45, 2.9) if config.ceiling_m is None else config.ceiling_m
    clutter = draw.uniform(0.3, 1.0) if config.clutter is None else config.clutter
    style = draw_style(draw)
    window_top = min(2.25, height - 0.28)
    plan = plan_apartment(draw, area_m2=area_m2, room_count=room_count, window_top=window_top)

    builder = SceneBuilder(rng)
    placers = [RoomPlacer.for_room(room, draw) for room in plan.rooms]
    _add_openings(builder, draw, plan, placers, style)
    for room, placer in zip(plan.rooms, placers, strict=True):
        shell.add_room_shell(
            builder,
            room,
            shell.room_finish(draw, room.purpose, style, CEILING_WHITE),
            height=height,
        )
        _add_ceiling_lamps(builder, draw, room, style, height)
        furnish(placer, room.purpose, style, clutter=clutter)
    keep_connected(plan, placers)
    for placer in placers:
        placer.emit(builder)
    ambient = light_color(style.warmth * 0.3, 0.3)
    return builder.build(ambient=ambient, floor_rects=plan.floor_rects(), height=height)


def _add_openings(
    builder: SceneBuilder, draw: Random, plan: FloorPlan, placers: list[RoomPlacer], style: Style
) -> None:
    """Add doors and windows with what belongs to them; placers learn where those stand."""
    leaf = WHITE_LACQUER if draw.random() < 0.6 else style.wood
    cloth, curtained = draw.choice(style.fabrics), draw.random() < 0.75
    for o in plan.openings:
        room = plan.rooms[o.rooms[0]]
        if o.kind == "window":
            shell.add_window(builder, room, o, style.trim)
            _dress_window(builder, draw, room, o, placers[room.index], style, cloth, curtained)
            continue
        shell.add_door_frame(builder, o, style.trim)
        if o.kind == "entrance":
            shell.add_entrance(builder, room, o, style.wood)
        elif o.kind == "door" and draw.random() < 0.85:
            _hang_leaf(builder, draw, o, plan, placers, leaf)


def _hang_leaf(
    builder: SceneBuilder,
    draw: Random,
    o: Opening,
    plan: FloorPlan,
    placers: list[RoomPlacer],
    made_of: Finish,
) -> None:
    """Add an open leaf where it is least in the way, next to a corner; else leave it out."""
    best: tuple[float, int, int, int, Volume] | None = None
    for into in (-1, 1):
        for hinge in (-1, 1):
            # Where the wall runs along x the opening's frame is turned: its y axis is world −x.
            jamb = o.stop if (hinge > 0) == (o.axis == 1) else o.start
            near, far = o.line + into * WALL_M / 2, o.line + into * (WALL_M / 2 + 1.0)
            low, high = min(near, far), max(near, far)
            volume = (low, jamb - 0.08, high, jamb + 0.08, 0.0, 2.1)
            if o.axis == 0:
                volume = (jamb - 0.08, low, jamb + 0.08, high, 0.0, 2.1)
            index = next(i for i in o.rooms if _holds(plan.rooms[i], volume))
            placer = placers[index]
            in_the_way = sum(overlaps_any(volume, [other]) for other in placer.kept) - 1
            in_the_way += overlaps_any(volume, placer.taken)
            start, stop = placer.inside[o.axis], placer.inside[o.axis + 2]
            to_corner = min(jamb - start, stop - jamb)
            rank = in_the_way + to_corner + 0.1 * draw.random()
            if in_the_way == 0 and to_corner < 0.7 and (best is None or rank < best[0]):
                best = rank, into, hinge, index, volume
    if best is not None:
        _, into, hinge, index, volume = best
        shell.add_door_leaf(builder, o, made_of, into=into, hinge=hinge)
        placers[index].taken.append(volume)


def _holds(room: Room, volume: Volume) -> bool:
    """Whether the middle of a volume is in a room."""
    x, y = (volume[0] + volume[2]) / 2, (volume[1] + volume[3]) / 2
    x0, y0, x1, y1 = room.cell
    return x0 <= x <= x1 and y0 <= y <= y1


def _dress_window(
    builder: SceneBuilder,
    draw: Random,
    room: Room,
    o: Opening,
    placer: RoomPlacer,
    style: Style,
    cloth: Finish,
    curtained: bool,
) -> None:
    """Curtains beside, a radiator below."""
    side = next(s for s in range(4) if o in room.side_openings(s))
    start, stop = shell.curtain_reach(o)
    low, high = placer.span(side)
    heated = 0.6 < o.bottom < 1.0 and draw.random() < 0.6
    if curtained and room.purpose in ("living", "bedroom", "study") and low < start and stop < high:
        long = not heated and (o.bottom < 0.5 or draw.random() < 0.5)
        bottom = 0.04 if long else o.bottom - 0.12
        shell.add_curtains(builder, room, o, cloth, style.metal, bottom=bottom)
        placer.taken.append(placer.at_wall(side, start, stop, 0.11, bottom, o.top + 0.13))
    if heated:
        shell.add_radiator(builder, room, o)
        half = min(1.1, o.stop - o.start - 0.1) / 2 + 0.08
        reach = (o.middle - half, o.middle + half, shell.RADIATOR_DEPTH_M, 0.1, 0.7)
        placer.taken.append(placer.at_wall(side, *reach))


def _add_ceiling_lamps(
    builder: SceneBuilder, draw: Random, room: Room, style: Style, height: float
) -> None:
    """One lamp, or two in long rooms, each with a light that just covers its share."""
    x0, y0, x1, y1 = room.inside
    long_x = x1 - x0 > y1 - y0
    count = 2 if room.area > 20 else 1
    pendant = room.purpose in ("living", "bedroom", "study", "kitchen") and draw.random() < 0.6
    drop = draw.uniform(0.35, 0.55) if pendant and height > 2.5 else 0.12
    piece = furniture_rooms.ceiling_lamp(draw, style, drop=drop)
    share = (x1 - x0) / (count if long_x else 1), (y1 - y0) / (1 if long_x else count)
    reach = math.hypot(share[0] / 2, share[1] / 2, height - drop)
    intensity = (0.95 + 0.06 * reach * reach) * draw.uniform(0.9, 1.1)
    for i in range(count):
        part = (i + 0.5) / count
        x = x0 + (x1 - x0) * (part if long_x else 0.5)
        y = y0 + (y1 - y0) * (0.5 if long_x else part)
        with builder.object("ceiling_lamp", (x, y, height - drop), movable=False):
            piece.add(builder)
        color = light_color(style.warmth, intensity)
        builder.light((x, y, height - drop - 0.04), color, range_m=reach * 1.25 + 0.5)
