"""Shell: floors, walls with their openings, skirting, doors, windows and ceilings of rooms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from worldfm_gym.worlds.procedural.layout import (
    FRAME_M,
    INWARD_YAW,
    OUTER_WALL_M,
    WALL_M,
    Opening,
    Room,
)
from worldfm_gym.worlds.procedural.palette import (
    BLACK_METAL,
    DAYLIGHT,
    STEEL,
    WHITE_LACQUER,
    Finish,
    Style,
    finish,
    tinted,
)
from worldfm_gym.worlds.scene import Material, SceneBuilder

_SKIRTING_DEPTH_M = 0.012
_GLASS_M = 0.02
_SASH_M = 0.04


@dataclass(frozen=True, slots=True)
class RoomFinish:
    """What the surfaces of one room are made of; `walls` in the order west, south, east, north."""

    floor: Finish
    ceiling: Finish
    walls: tuple[Finish, Finish, Finish, Finish]
    skirting: Finish | None


def add_room_shell(builder: SceneBuilder, room: Room, look: RoomFinish, *, height: float) -> None:
    """Add one room's floor, ceiling, its half of the walls, and skirting boards."""
    x0, y0, x1, y1 = room.inside
    thick = [OUTER_WALL_M if outer else WALL_M / 2 for outer in room.outer]
    low_x, low_y, high_x, high_y = x0 - thick[0], y0 - thick[1], x1 + thick[2], y1 + thick[3]
    middle = ((low_x + high_x) / 2, (low_y + high_y) / 2)
    extent = (high_x - low_x, high_y - low_y)
    builder.box((*middle, -0.05), (*extent, 0.1), **look.floor)
    builder.box((*middle, height + 0.05), (*extent, 0.1), **look.ceiling)
    for side in range(4):
        start, stop = room.side_span(side)
        openings = room.side_openings(side)
        if side in (1, 3):
            _add_wall(builder, room, side, thick[side], (low_x, high_x), openings, look, height)
        else:
            _add_wall(builder, room, side, thick[side], (start, stop), openings, look, height)
        if look.skirting is not None:
            _add_skirting(builder, room, side, openings, look.skirting)


def _add_wall(
    builder: SceneBuilder,
    room: Room,
    side: int,
    thick: float,
    span: tuple[float, float],
    openings: list[Opening],
    look: RoomFinish,
    height: float,
) -> None:
    """Add the solid parts of one side around its openings."""
    made_of = look.walls[side]

    def solid(start: float, stop: float, bottom: float, top: float) -> None:
        center, size = _side_box(room, side, start, stop, -thick, 0.0, bottom, top)
        builder.box(center, size, **made_of)

    at = span[0]
    for o in openings:
        solid(at, o.start, 0.0, height)
        if o.bottom > 0:
            solid(o.start, o.stop, 0.0, o.bottom)
        solid(o.start, o.stop, o.top, height)
        at = o.stop
    solid(at, span[1], 0.0, height)


def _add_skirting(
    builder: SceneBuilder, room: Room, side: int, openings: list[Opening], made_of: Finish
) -> None:
    """Add skirting boards along one side, interrupted by doors."""
    at, end = room.side_span(side)
    runs = []
    for o in openings:
        if o.bottom < 0.1:
            casing = FRAME_M if o.kind != "window" else 0.0
            runs.append((at, o.start - casing))
            at = o.stop + casing
    runs.append((at, end))
    for start, stop in runs:
        if stop - start > 0.05:
            center, size = _side_box(room, side, start, stop, 0.0, _SKIRTING_DEPTH_M, 0.0, 0.08)
            builder.box(center, size, **made_of)


def _side_box(
    room: Room,
    side: int,
    start: float,
    stop: float,
    near: float,
    far: float,
    bottom: float,
    top: float,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(center, size) of a box along a side, from `near` to `far` metres into the room."""
    line = room.inside[side]
    inward = 1.0 if side < 2 else -1.0
    across, along = line + inward * (near + far) / 2, (start + stop) / 2
    depth, length, z, tall = far - near, stop - start, (bottom + top) / 2, top - bottom
    if side in (0, 2):
        return (across, along, z), (depth, length, tall)
    return (along, across, z), (length, depth, tall)


def add_door_frame(builder: SceneBuilder, o: Opening, made_of: Finish) -> None:
    """Add the lining and casing of a door opening, standing out of both wall faces."""
    at_x, at_y, yaw = _opening_frame(o)
    deep = WALL_M + 0.03 if o.kind != "entrance" else OUTER_WALL_M + 0.03
    shift = 0.0 if o.kind != "entrance" else -OUTER_WALL_M / 2
    half, wide = (o.stop - o.start) / 2, 2 * FRAME_M
    with builder.frame((at_x, at_y, 0.0), yaw):
        for sign in (-1, 1):
            builder.box((shift, sign * half, o.top / 2), (deep, wide, o.top), **made_of)
        builder.box((shift, 0, o.top), (deep, 2 * half + wide, wide), **made_of)


def _opening_frame(o: Opening) -> tuple[float, float, float]:
    """(x, y, yaw) of a frame in the middle of an opening, its y axis along the wall."""
    return (o.line, o.middle, 0.0) if o.axis == 1 else (o.middle, o.line, math.pi / 2)


def add_door_leaf(
    builder: SceneBuilder, o: Opening, made_of: Finish, *, into: int, hinge: int
) -> None:
    """Add an open door leaf at right angles to its wall, outside the clear opening.

    Args:
        builder: What to add it to.
        o: The opening.
        made_of: Its finish.
        into: Side of the wall it opens to: +1 or −1 along the opening's normal.
        hinge: Which jamb it hangs on: +1 or −1 along the wall.
    """
    at_x, at_y, yaw = _opening_frame(o)
    leaf_width, leaf_top = o.stop - o.start - 2 * FRAME_M, o.top - FRAME_M - 0.01
    jamb = hinge * ((o.stop - o.start) / 2 - FRAME_M + 0.022)
    x = into * (WALL_M / 2 + 0.02)
    cos, sin = math.cos(yaw), math.sin(yaw)
    position = (at_x + cos * x - sin * jamb, at_y + sin * x + cos * jamb, 0.0)
    turn = yaw if into > 0 else yaw + math.pi
    with builder.object("door", position, turn, movable=False):
        _leaf(builder, leaf_width, leaf_top, made_of)


def _leaf(builder: SceneBuilder, width: float, top: float, made_of: Finish) -> None:
    """Door leaf along +x from the hinge, with panels and handles on both faces."""
    tall = top - 0.008
    builder.box((width / 2, 0, 0.008 + tall / 2), (width, 0.04, tall), **made_of)
    panel = tinted(made_of, 0.93)
    for z, high in ((0.55, 0.75), (1.5, 0.8)):
        builder.box((width / 2, 0, z), (width - 0.3, 0.05, high), **panel)
    builder.box((width - 0.09, 0, 1.03), (0.12, 0.13, 0.022), **STEEL)


def add_entrance(builder: SceneBuilder, room: Room, o: Opening, made_of: Finish) -> None:
    """Add the closed front door, set back in the outer wall, and close the wall behind it."""
    side = _side_of(room, o)
    x, y, yaw = _mounted(room, side, o.middle)
    wide, tall = o.stop - o.start, o.top
    with builder.object("door", (x, y, 0.0), yaw, movable=False):
        builder.box((-0.12, 0, tall / 2), (0.05, wide, tall), **made_of)
        panel = tinted(made_of, 0.9)
        for z, high in ((0.5, 0.7), (1.4, 0.8)):
            builder.box((-0.09, 0, z), (0.03, wide - 0.36, high), **panel)
        builder.box((-0.06, wide / 2 - 0.13, 1.03), (0.07, 0.03, 0.16), **STEEL)
        builder.cylinder((-0.09, 0, 1.55), 0.02, 0.03, **BLACK_METAL)
    center, size = _side_box(room, side, o.start, o.stop, -OUTER_WALL_M, -0.16, 0.0, tall)
    builder.box(center, size, **WHITE_LACQUER)


def add_window(builder: SceneBuilder, room: Room, o: Opening, frame: Finish) -> None:
    """Add a window: frame, daylight pane and sill board."""
    side = _side_of(room, o)
    x, y, yaw = _mounted(room, side, o.middle)
    wide, tall, z = o.stop - o.start, o.top - o.bottom, (o.top + o.bottom) / 2
    with builder.object("window", (x, y, 0.0), yaw, movable=False):
        builder.box((-0.16, 0, z), (0.06, wide, tall), **frame)
        pane = (_GLASS_M, wide - 2 * _SASH_M, tall - 2 * _SASH_M)
        builder.box((-0.128, 0, z), pane, **DAYLIGHT)
        if o.bottom > 0.3:
            builder.box((-0.045, 0, o.bottom + 0.005), (0.12, wide - 0.004, 0.03), **frame)


def add_curtains(
    builder: SceneBuilder, room: Room, o: Opening, cloth: Finish, rod: Finish, *, bottom: float
) -> None:
    """Add two gathered curtains beside a window, on a rod."""
    side = _side_of(room, o)
    x, y, yaw = _mounted(room, side, o.middle)
    half, top = (o.stop - o.start) / 2, o.top + 0.1
    turned = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    with builder.object("curtain", (x, y, 0.0), yaw, movable=False):
        builder.cylinder((0.055, 0, top), 0.012, 2 * half + 0.5, rotation=turned, **rod)
        for sign in (-1, 1):
            for fold in range(3):
                at = sign * (half - 0.08 + 0.1 * fold)
                center = (0.055, at, (top + bottom) / 2 - 0.01)
                builder.cylinder(center, (0.042, 0.062), top - bottom, **cloth)


def curtain_reach(o: Opening) -> tuple[float, float]:
    """Start and end along the wall of what the curtains of a window cover."""
    return o.start - 0.26, o.stop + 0.26


def add_radiator(builder: SceneBuilder, room: Room, o: Opening) -> None:
    """Add a ribbed radiator below a window."""
    side = _side_of(room, o)
    x, y, yaw = _mounted(room, side, o.middle)
    wide = min(1.1, o.stop - o.start - 0.1)
    with builder.object("radiator", (x, y, 0.0), yaw, movable=False):
        builder.box((0.05, 0, 0.4), (0.05, wide, 0.5), **WHITE_LACQUER)
        ribs = finish(Material.GRATE, "dcdbd6", "a3a29d", 0.06)
        builder.box((0.083, 0, 0.4), (0.016, wide - 0.04, 0.46), **ribs)
        builder.cylinder((0.05, wide / 2 + 0.03, 0.2), 0.025, 0.06, **STEEL)


RADIATOR_DEPTH_M = 0.1


def _side_of(room: Room, o: Opening) -> int:
    """The side of the room that an opening is in."""
    return next(side for side in range(4) if o in room.side_openings(side))


def _mounted(room: Room, side: int, along: float) -> tuple[float, float, float]:
    """(x, y, yaw) of a frame on a wall's inner face, x pointing into the room."""
    line = room.inside[side]
    position = (line, along) if side in (0, 2) else (along, line)
    return (*position, INWARD_YAW[side])


def room_finish(draw: Random, purpose: str, style: Style, ceiling: Finish) -> RoomFinish:
    """Choose the surfaces of a room by its purpose."""
    if purpose == "bathroom":
        tiles = (style.tile_wall,) * 4
        return RoomFinish(style.tile_floor, ceiling, tiles, None)
    floor = style.floor
    if purpose == "kitchen" and draw.random() < 0.6:
        floor = style.tile_floor
    elif purpose in ("bedroom", "study") and draw.random() < 0.5:
        floor = style.soft_floor
    walls = [style.wall] * 4
    if purpose in ("living", "bedroom", "study") and draw.random() < 0.75:
        walls[draw.randrange(4)] = style.accent_wall
    elif purpose in ("hall", "kitchen") and draw.random() < 0.25:
        walls = [style.accent_wall if draw.random() < 0.5 else style.wall] * 4
    west, south, east, north = walls
    return RoomFinish(floor, ceiling, (west, south, east, north), style.trim)
