"""Furnishing: which pieces each room of an apartment gets, and where they go."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from worldfm_gym.worlds.procedural import decor, furniture, furniture_rooms
from worldfm_gym.worlds.procedural.clutter import add_clutter
from worldfm_gym.worlds.procedural.palette import Style
from worldfm_gym.worlds.procedural.placement import Piece, Placed, RoomPlacer

_CUPBOARD_BOTTOM_M = 1.45


def furnish(placer: RoomPlacer, purpose: str, style: Style, *, clutter: float) -> None:
    """Furnish a room; `clutter` from 0 (only what the room is for) to 1 (lived in for years)."""
    placer.attempt(lambda: _FURNISHERS[purpose](placer, style), _WANTED[purpose], tries=5)
    add_clutter(placer, purpose, style, clutter)


def _living(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    sofa = _against_longest(placer, lambda: furniture.sofa(draw, style))
    sofa = sofa or placer.against_wall(furniture.sofa(draw, style, seats=2), tries=16)
    if sofa is not None:
        _lounge(placer, style, sofa)
    seats = draw.choice((4, 6)) if placer.area > 21 else 4
    _dining(placer, style, seats)
    placer.against_wall(furniture.bookshelf(draw, style), where="corner")
    if draw.random() < 0.7:
        board = furniture.cabinet(
            draw, style, "sideboard", width=draw.uniform(1.2, 1.7), height=draw.uniform(0.75, 0.9),
            depth=0.42, columns=3, rows=draw.choice((1, 1, 3)),
        )  # fmt: skip
        placed = placer.against_wall(board)
        if placed is not None:
            placer.on_top(decor.vase(draw, style), placed, 0.0, 0.35)
            placer.on_top(furniture.table_lamp(draw, style), placed, 0.0, -0.4)
    if draw.random() < 0.6:
        placer.against_wall(furniture.sofa(draw, style, seats=1), where="corner", gap=0.08)


def _lounge(placer: RoomPlacer, style: Style, sofa: Placed) -> None:
    """Rug, coffee table and television around a sofa."""
    draw, piece = placer.draw, sofa.piece
    coffee = furniture.coffee_table(draw, style)
    ahead = piece.depth / 2 + 0.36 + coffee.depth / 2
    rug = decor.rug(
        draw, style, depth=draw.uniform(1.5, 1.9), width=piece.width + draw.uniform(0.1, 0.6)
    )
    placer.kept.pop()  # the sofa's clear front: what stands there now leaves knee room itself
    x, y = sofa.local(ahead, 0.0)
    if draw.random() < 0.8:
        placer.put(rug, x, y, sofa.yaw, flat=True)
    low_table = placer.put(coffee, x, y, sofa.yaw)
    if low_table is not None:
        placer.on_top(draw.choice((decor.bowl, decor.book_pile))(draw, style), low_table, 0.0, 0.1)
        if coffee.width > 0.9:
            placer.on_top(decor.mug(draw, style), low_table, 0.12, -0.28)
    for sign in draw.sample((-1, 1), 2):
        lamp_x, lamp_y = sofa.local(-piece.depth / 2 + 0.22, sign * (piece.width / 2 + 0.24))
        if placer.put(furniture.floor_lamp(draw, style), lamp_x, lamp_y, sofa.yaw) is not None:
            break
    side = _side_facing(sofa.yaw + math.pi)
    stand = furniture.tv_stand(draw, style, width=draw.uniform(1.3, 1.8))
    along = sofa.y if side in (0, 2) else sofa.x
    low, high = placer.span(side)
    along = min(max(along, low + stand.width / 2 + 0.03), high - stand.width / 2 - 0.03)
    tv_x, tv_y, yaw = placer.wall_pose(stand, side, along, 0.02)
    placed = placer.put(stand, tv_x, tv_y, yaw) or placer.against_wall(stand, sides=(side,))
    if placed is not None:
        placer.on_top(furniture.tv(draw, style), placed, -0.06, 0.0)


def _dining(placer: RoomPlacer, style: Style, seats: int) -> None:
    """Table with chairs at it, in the middle of free floor."""
    draw = placer.draw
    table = furniture.table(draw, style, seats=seats)
    chair_seed = draw.getrandbits(32)
    reach = table.depth / 2 + 0.12
    x0, y0, x1, y1 = placer.inside
    for _ in range(14):
        yaw = draw.choice((0.0, math.pi / 2))
        half_x, half_y = (reach + 0.5, table.width / 2 + 0.35)
        if yaw:
            half_x, half_y = half_y, half_x
        if x1 - x0 < 2 * half_x + 0.2 or y1 - y0 < 2 * half_y + 0.2:
            continue
        x = draw.uniform(x0 + half_x + 0.05, x1 - half_x - 0.05)
        y = draw.uniform(y0 + half_y + 0.05, y1 - half_y - 0.05)
        probe = Piece("table", 2 * half_x, 2 * half_y, 1.0, table.add)
        if placer.put(probe, x, y, 0.0) is None:
            continue
        placer.drop(placer.placed[-1])
        placed = placer.put(table, x, y, yaw)
        if placed is None:
            continue
        per_side = max(1, seats // 2)
        for sign in (-1, 1):
            for i in range(per_side):
                along = (i - (per_side - 1) / 2) * min(0.62, (table.width - 0.1) / per_side)
                at = sign * (table.depth / 2 + draw.uniform(0.235, 0.32))
                chair_x, chair_y = placed.local(at, along)
                turn = (math.pi if sign > 0 else 0.0) + draw.uniform(-0.06, 0.06)
                placer.put(furniture.chair(Random(chair_seed), style), chair_x, chair_y, yaw + turn)
        placer.on_top(draw.choice((decor.bowl, decor.vase))(draw, style), placed, 0.0, 0.0)
        if draw.random() < 0.7:
            placer.on_top(decor.mug(draw, style), placed, 0.2, 0.3)
        return


def _kitchen(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    sides = sorted(range(4), key=lambda side: -_free_run(placer, side)[1])
    used = 0
    for side in sides[:2]:
        start, length = _free_run(placer, side)
        if length < (2.2 if used == 0 else 1.8):
            continue
        if used == 0:
            used += 1
            _counter_run(placer, style, side, start, length)
        elif draw.random() < 0.6:
            fridge_or_more = furniture_rooms.base_cabinet(style, min(1.2, length - 0.7))
            placer.against_wall(fridge_or_more, sides=(side,))
    if placer.area > 9:
        _dining(placer, style, 4 if placer.area > 13 else 2)
    placer.against_wall(decor.basket(draw, style, "bin"), where="corner", gap=0.04)


def _counter_run(placer: RoomPlacer, style: Style, side: int, start: float, length: float) -> None:
    """Fridge, counter, sink and stove along a wall, cupboards and hood above."""
    draw = placer.draw
    length = min(length, 4.4)
    fridge = furniture_rooms.fridge(draw, style)
    rest = length - fridge.width - 0.6 - 0.06
    sink_width = min(0.9, rest * 0.4)
    worktops = rest - sink_width
    pieces: list[Piece] = [
        fridge,
        furniture_rooms.base_cabinet(style, worktops * 0.45),
        furniture_rooms.base_cabinet(style, sink_width, sink=True),
        furniture_rooms.base_cabinet(style, worktops * 0.55),
        furniture_rooms.stove(style),
    ]
    if draw.random() < 0.5:
        pieces.reverse()
    at = start + 0.03
    for piece in pieces:
        x, y, yaw = placer.wall_pose(piece, side, at + piece.width / 2, 0.016)
        middle = at + piece.width / 2
        at += piece.width + 0.002
        placed = placer.put(piece, x, y, yaw)
        if placed is None:
            continue
        if piece.category in ("counter", "stove", "sink"):
            tiles = furniture_rooms.backsplash(style, piece.width)
            x, y, yaw = placer.wall_pose(tiles, side, middle, 0.003)
            placer.put(tiles, x, y, yaw, bottom=0.91)
        if piece.category == "stove":
            above = furniture_rooms.hood(style)
            x, y, yaw = placer.wall_pose(above, side, middle, 0.02)
            placer.put(above, x, y, yaw, bottom=1.55)
        if piece.category == "counter":
            above = furniture_rooms.upper_cabinet(style, piece.width)
            x, y, yaw = placer.wall_pose(above, side, middle, 0.016)
            placer.put(above, x, y, yaw, bottom=_CUPBOARD_BOTTOM_M)
            thing = draw.choice((
                lambda: furniture_rooms.kettle(draw, style), lambda: furniture_rooms.bottles(draw),
                lambda: decor.bowl(draw, style),
            ))()  # fmt: skip
            if piece.width > thing.width + 0.05:
                placer.on_top(thing, placed, -0.1, 0.0)


def _bedroom(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    width = draw.choice((1.4, 1.6, 1.6)) if placer.area > 10 else draw.choice((0.9, 1.2))
    bed = None
    for size, where in ((width, "middle"), (width, "anywhere"), (1.2, "corner"), (0.9, "corner")):
        bed = bed or placer.against_wall(
            furniture_rooms.bed(draw, style, width=size), where=where, tries=12
        )
    if bed is not None:
        stand_seed = draw.getrandbits(32)
        for sign in (-1, 1):
            stand = furniture.cabinet(
                Random(stand_seed), style, "nightstand", width=0.44, height=0.5, depth=0.4,
                columns=1, rows=2,
            )  # fmt: skip
            x, y = bed.local(-bed.piece.depth / 2 + 0.2, sign * (bed.piece.width / 2 + 0.27))
            placed = placer.put(stand, x, y, bed.yaw)
            if placed is not None and draw.random() < 0.8:
                placer.on_top(furniture.table_lamp(draw, style), placed, -0.05, 0.0)
        if draw.random() < 0.7:
            rug = decor.rug(draw, style, depth=1.5, width=width + 1.1)
            x, y = bed.local(0.5, 0.0)
            placer.put(rug, x, y, bed.yaw, flat=True)
    columns = draw.choice((2, 3, 4))
    wardrobe = furniture.cabinet(
        draw, style, "wardrobe", width=0.5 * columns, height=draw.uniform(1.95, 2.15), depth=0.6,
        columns=columns, rows=1,
    )  # fmt: skip
    placer.against_wall(wardrobe, where="corner", tries=8) or placer.against_wall(
        wardrobe, tries=10
    )
    dresser = furniture.cabinet(
        draw, style, "dresser", width=draw.uniform(0.8, 1.2), height=draw.uniform(0.75, 0.95),
        depth=0.45, columns=2, rows=3,
    )  # fmt: skip
    placed = placer.against_wall(dresser)
    if placed is not None:
        placer.on_top(draw.choice((decor.vase, decor.book_pile))(draw, style), placed, 0.0, 0.15)
        _hang(placer, decor.mirror(draw, style, width=0.6, height=0.8), placed, 1.1)
    if draw.random() < 0.5 and placer.area > 13:
        placer.against_wall(furniture.sofa(draw, style, seats=1), where="corner", gap=0.08)


def _bathroom(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    tub = furniture_rooms.bathtub(draw, style)
    if draw.random() < 0.6:
        placed = placer.against_wall(tub, where="corner", gap=0.005, tries=8)
    else:
        placed = None
    if placed is None:
        placer.against_wall(
            furniture_rooms.shower(draw, style), where="corner", gap=0.005, tries=10
        )
    toilet = furniture_rooms.toilet(draw)
    if placer.against_wall(toilet, where="corner", gap=0.01, tries=6) is None:
        placer.against_wall(toilet, gap=0.01, tries=30)
    basin = placer.against_wall(furniture_rooms.washbasin(draw, style), gap=0.01, tries=20)
    if basin is not None:
        wide = basin.piece.width * 0.9
        _hang(placer, furniture_rooms.polished_mirror(wide, 0.75), basin, 1.15)
        _hang(placer, furniture_rooms.cabinet_light(style), basin, 1.98)
    if draw.random() < 0.6:
        placer.against_wall(furniture_rooms.washing_machine(draw), where="corner", gap=0.01)
    placer.against_wall(furniture_rooms.towel_rail(draw, style), bottom=0.75, gap=0.0)
    placer.against_wall(decor.basket(draw, style), where="corner", gap=0.05)
    if basin is not None:
        x, y = basin.local(0.6, 0.0)
        placer.put(decor.rug(draw, style, depth=0.5, width=0.8), x, y, basin.yaw, flat=True)


def _study(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    desk = placer.against_wall(furniture.desk(draw, style), tries=12)
    if desk is not None:
        x, y = desk.local(
            desk.piece.depth / 2 + draw.uniform(0.31, 0.45), draw.uniform(-0.15, 0.15)
        )
        placer.put(furniture.office_chair(draw, style), x, y, desk.yaw + math.pi)
        main = furniture.monitor if draw.random() < 0.6 else decor.laptop
        placer.on_top(main(draw, style), desk, 0.02, 0.0)
        placer.on_top(furniture.table_lamp(draw, style), desk, -0.15, desk.piece.width / 2 - 0.14)
        thing = draw.choice((decor.book_pile, decor.mug))(draw, style)
        placer.on_top(thing, desk, -0.1, -desk.piece.width / 2 + 0.18)
        if draw.random() < 0.6:
            _hang(placer, decor.wall_shelf(draw, style), desk, 1.35)
    for _ in range(draw.choice((1, 2, 2))):
        placer.against_wall(furniture.bookshelf(draw, style))
    if draw.random() < 0.6:
        placer.against_wall(furniture.sofa(draw, style, seats=draw.choice((1, 2))), tries=10)
    if draw.random() < 0.6:
        x0, y0, x1, y1 = placer.inside
        rug = decor.rug(draw, style, depth=min(1.4, x1 - x0 - 0.8), width=min(2.0, y1 - y0 - 0.8))
        placer.put(rug, (x0 + x1) / 2, (y0 + y1) / 2, 0.0, flat=True)


def _hall(placer: RoomPlacer, style: Style) -> None:
    draw = placer.draw
    placer.against_wall(furniture_rooms.coat_rack(draw, style), bottom=0.85, gap=0.0, tries=10)
    shoes = furniture.cabinet(
        draw, style, "shoe_cabinet", width=draw.uniform(0.7, 1.0), height=0.95, depth=0.28,
        columns=1, rows=3,
    )  # fmt: skip
    placed = placer.against_wall(shoes, tries=10)
    if placed is not None:
        placer.on_top(decor.vase(draw, style), placed, 0.0, 0.2)
        _hang(placer, decor.mirror(draw, style, width=0.55, height=0.9), placed, 1.15)
    if draw.random() < 0.5:
        placer.against_wall(furniture.stool(draw, style), where="corner", gap=0.05)
    x0, y0, x1, y1 = placer.inside
    runner = decor.rug(draw, style, depth=min(1.0, x1 - x0 - 0.5), width=min(2.4, y1 - y0 - 0.7))
    if draw.random() < 0.7:
        placer.put(runner, (x0 + x1) / 2, (y0 + y1) / 2, 0.0, flat=True)


def _hang(placer: RoomPlacer, piece: Piece, below: Placed, bottom: float) -> Placed | None:
    """Put a piece on the wall above another one that stands against it."""
    side = _side_facing(below.yaw)
    along = below.y if side in (0, 2) else below.x
    x, y, yaw = placer.wall_pose(piece, side, along, 0.0)
    return placer.put(piece, x, y, yaw, bottom=bottom)


def _against_longest(placer: RoomPlacer, make: Callable[[], Piece]) -> Placed | None:
    """Place against the side with the longest free stretch, else anywhere."""
    sides = sorted(range(4), key=lambda side: -_free_run(placer, side)[1])
    return (
        placer.against_wall(make(), sides=sides[:1], where="middle", tries=4)
        or placer.against_wall(make(), sides=sides[:2], tries=8)
        or placer.against_wall(make(), tries=10)
    )


def _free_run(placer: RoomPlacer, side: int) -> tuple[float, float]:
    """(start, length) of the longest stretch of a side where counters can stand."""
    start, stop = placer.span(side)
    strip = placer.at_wall(side, start, stop, 0.6, 0.0, 1.0)
    low, high = (1, 3) if side in (0, 2) else (0, 2)
    blocks = sorted(
        (v[low], v[high])
        for v in (*placer.taken, *placer.kept)
        if v[0] < strip[2]
        and strip[0] < v[2]
        and v[1] < strip[3]
        and strip[1] < v[3]
        and v[4] < 0.95
    )
    best, at = (start, 0.0), start
    for a, b in (*blocks, (stop, stop)):
        if a - at > best[1]:
            best = at, a - at
        at = max(at, b)
    return best


def _side_facing(yaw: float) -> int:
    """The side whose inward direction is `yaw`."""
    return round(yaw / (math.pi / 2)) % 4


_FURNISHERS: dict[str, Callable[[RoomPlacer, Style], None]] = {
    "living": _living,
    "kitchen": _kitchen,
    "bedroom": _bedroom,
    "bathroom": _bathroom,
    "study": _study,
    "hall": _hall,
}

_WANTED = {
    "living": frozenset({"sofa", "tv_stand"}),
    "kitchen": frozenset({"sink", "stove", "fridge"}),
    "bedroom": frozenset({"bed", "wardrobe"}),
    "bathroom": frozenset({"toilet", "washbasin"}),
    "study": frozenset({"desk"}),
    "hall": frozenset[str](),
}
