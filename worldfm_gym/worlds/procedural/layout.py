"""Floor plans: an apartment cut into rooms of the right sizes, joined by doors, lit by windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

Rect = tuple[float, float, float, float]  # x0, y0, x1, y1

WALL_M = 0.11
OUTER_WALL_M = 0.22
DOOR_CLEAR_M = 0.92
FRAME_M = 0.04
DOOR_TOP_M = 2.06
_MIN_SIDE_M = 2.05
_MAX_ASPECT = 2.3

# Sides of a room: west, south, east, north. The heading into the room from each.
INWARD_YAW = (0.0, math.pi / 2, math.pi, -math.pi / 2)

_AREA_M2 = {
    "living": 27.0,
    "kitchen": 13.0,
    "bedroom": 15.0,
    "bathroom": 6.8,
    "study": 11.0,
    "hall": 8.5,
}
_PROGRAM = ("living", "kitchen", "bedroom", "bathroom", "hall", "study", "bedroom")


@dataclass(frozen=True, slots=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: "door", "arch" (a door without leaf or frame head), "entrance" or "window".
        axis: 0 where the wall runs along x, 1 along y.
        line: The other coordinate: the middle of an inner wall, the inner face of an outer one.
        start: Where the hole begins along the wall.
        stop: Where it ends.
        bottom: Height of its lower edge.
        top: Height of its upper edge.
        rooms: Indices of the rooms on both sides; one for openings in outer walls.
    """

    kind: str
    axis: int
    line: float
    start: float
    stop: float
    bottom: float
    top: float
    rooms: tuple[int, ...]

    @property
    def middle(self) -> float:
        """Half way along the hole."""
        return (self.start + self.stop) / 2


@dataclass(slots=True)
class Room:
    """A room: its purpose, its cell up to the middle of the walls, and its free inside."""

    index: int
    purpose: str
    cell: Rect
    inside: Rect
    outer: tuple[bool, bool, bool, bool]
    openings: list[Opening] = field(default_factory=list)

    def side_span(self, side: int) -> tuple[float, float]:
        """Start and end of a side along its wall."""
        x0, y0, x1, y1 = self.inside
        return (y0, y1) if side in (0, 2) else (x0, x1)

    def side_openings(self, side: int) -> list[Opening]:
        """Openings in one side, in order along the wall."""
        axis = 1 if side in (0, 2) else 0
        line = self.inside[side]
        found = [o for o in self.openings if o.axis == axis and abs(o.line - line) < WALL_M]
        return sorted(found, key=lambda o: o.start)

    @property
    def area(self) -> float:
        """Free floor in square metres."""
        x0, y0, x1, y1 = self.inside
        return (x1 - x0) * (y1 - y0)


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """Rooms and openings; the inside of the outer walls spans (0, 0) to (width, depth)."""

    width: float
    depth: float
    rooms: list[Room]
    openings: list[Opening]

    def floor_rects(self) -> list[Rect]:
        """Walkable rectangles: the rooms and the thresholds of their doors."""
        rects = [room.inside for room in self.rooms]
        for o in self.openings:
            if o.kind in ("door", "arch"):
                a, b = o.start + FRAME_M, o.stop - FRAME_M
                low, high = o.line - WALL_M / 2, o.line + WALL_M / 2
                rects.append((a, low, b, high) if o.axis == 0 else (low, a, high, b))
        return rects


def plan_apartment(
    draw: Random, *, area_m2: float, room_count: int, window_top: float
) -> FloorPlan:
    """Draw a plan whose rooms have sensible sizes and are all connected by doors."""
    best: tuple[float, FloorPlan] | None = None
    for _ in range(60):
        aspect = draw.uniform(1.0, 1.5)
        width, depth = math.sqrt(area_m2 * aspect), math.sqrt(area_m2 / aspect)
        purposes = list(_PROGRAM[:room_count])
        draw.shuffle(purposes)
        weights = [(p, _AREA_M2[p] * draw.uniform(0.85, 1.2)) for p in purposes]
        cells = _partition(draw, (0.0, 0.0, width, depth), weights)
        rooms = [_room(i, p, cell, width, depth) for i, (p, cell) in enumerate(cells)]
        doors = _doors(draw, rooms)
        if doors is None:
            continue
        badness = sum(_badness(room) for room in rooms)
        if best is None or badness < best[0]:
            best = badness, FloorPlan(width, depth, rooms, doors)
        if badness == 0:
            break
    if best is None:  # cells of one partition always touch, so this needs absurdly narrow rooms
        raise RuntimeError(f"no plan connects {room_count} rooms on {area_m2:.0f} m²")
    plan = best[1]
    plan.openings.extend(_entrance(draw, plan.rooms))
    for opening in plan.openings:
        for index in opening.rooms:
            plan.rooms[index].openings.append(opening)
    for room in plan.rooms:
        for window in _windows(draw, room, window_top):
            plan.openings.append(window)
            room.openings.append(window)
    return plan


def _partition(
    draw: Random, cell: Rect, weights: list[tuple[str, float]]
) -> list[tuple[str, Rect]]:
    """Binary space partition: cut the longer side in proportion to what each half must hold."""
    if len(weights) == 1:
        return [(weights[0][0], cell)]
    cut = len(weights) // 2 if len(weights) < 4 or draw.random() < 0.7 else len(weights) // 2 - 1
    first, second = weights[:cut], weights[cut:]
    share = sum(w for _, w in first) / sum(w for _, w in weights)
    x0, y0, x1, y1 = cell
    if x1 - x0 > y1 - y0:
        x = x0 + share * (x1 - x0)
        halves: tuple[Rect, Rect] = ((x0, y0, x, y1), (x, y0, x1, y1))
    else:
        y = y0 + share * (y1 - y0)
        halves = ((x0, y0, x1, y), (x0, y, x1, y1))
    return _partition(draw, halves[0], first) + _partition(draw, halves[1], second)


def _room(index: int, purpose: str, cell: Rect, width: float, depth: float) -> Room:
    """Room of a cell: half an inner wall is cut off every side that is not an outer one."""
    x0, y0, x1, y1 = cell
    outer = (x0 < 1e-6, y0 < 1e-6, x1 > width - 1e-6, y1 > depth - 1e-6)
    half = WALL_M / 2
    inside = (
        x0 if outer[0] else x0 + half,
        y0 if outer[1] else y0 + half,
        x1 if outer[2] else x1 - half,
        y1 if outer[3] else y1 - half,
    )
    return Room(index, purpose, cell, inside, outer)


def _badness(room: Room) -> float:
    """How far a room is from sensible proportions; 0 is fine."""
    x0, y0, x1, y1 = room.inside
    short, long = sorted((x1 - x0, y1 - y0))
    limit = 3.2 if room.purpose == "hall" else _MAX_ASPECT
    lightless = 0.5 if room.purpose not in ("hall", "bathroom") and not any(room.outer) else 0.0
    minimum = 1.5 if room.purpose == "hall" else _MIN_SIDE_M
    return max(0.0, minimum - short) * 4 + max(0.0, long / short - limit) + lightless


def _doors(draw: Random, rooms: list[Room]) -> list[Opening] | None:
    """Doors along a cheapest spanning tree of the rooms, and a few more for loops."""
    candidates = []
    for a, b in combinations(rooms, 2):
        shared = _shared_wall(a, b)
        if shared is not None and shared[3] - shared[2] >= DOOR_CLEAR_M + 0.3:
            cost = _door_cost(a.purpose, b.purpose) + draw.uniform(0, 1.5)
            candidates.append((cost, a.index, b.index, shared))
    group = list(range(len(rooms)))
    doors = []
    for cost, first, second, (axis, line, start, stop) in sorted(candidates):
        joins = group[first] != group[second]
        loop = cost < 3.5 and draw.random() < 0.3
        if not (joins or loop):
            continue
        group = [group[second] if g == group[first] else g for g in group]
        pair = {rooms[first].purpose, rooms[second].purpose}
        doors.append(_door(draw, pair, axis, line, start, stop, (first, second)))
    return doors if len(set(group)) == 1 else None


def _shared_wall(a: Room, b: Room) -> tuple[int, float, float, float] | None:
    """(axis, line, start, stop) of the wall between two rooms, None where they don't touch."""
    ax0, ay0, ax1, ay1 = a.cell
    bx0, by0, bx1, by1 = b.cell
    (ix0, iy0, ix1, iy1), (jx0, jy0, jx1, jy1) = a.inside, b.inside
    for left, right in ((ax1, bx0), (bx1, ax0)):
        if abs(left - right) < 1e-6:
            return 1, left, max(iy0, jy0), min(iy1, jy1)
    for low, high in ((ay1, by0), (by1, ay0)):
        if abs(low - high) < 1e-6:
            return 0, low, max(ix0, jx0), min(ix1, jx1)
    return None


def _door_cost(a: str, b: str) -> float:
    """How unusual a door between two rooms is."""
    pair = {a, b}
    if "bathroom" in pair:
        other = (pair - {"bathroom"} or {"bathroom"}).pop()
        return {"hall": 5.0, "bedroom": 6.0, "living": 7.0}.get(other, 9.0)
    if "hall" in pair:
        return 0.0
    if pair == {"living", "kitchen"}:
        return 0.3
    if "living" in pair:
        return 2.2
    return 4.5


def _door(
    draw: Random, pair: set[str], axis: int, line: float, start: float, stop: float,
    rooms: tuple[int, int],
) -> Opening:  # fmt: skip
    """A door, usually near one end of the shared wall so that the rest can be furnished."""
    clear = DOOR_CLEAR_M + draw.choice((0.0, 0.0, 0.06))
    kind = "door"
    if pair <= {"living", "kitchen", "hall", "study"} and draw.random() < 0.45:
        kind = "arch"
        clear = min(draw.uniform(1.1, 1.9), stop - start - 0.4)
        clear = max(clear, DOOR_CLEAR_M)
    width = clear + 2 * FRAME_M
    slack = stop - start - width
    offset = min(draw.uniform(0.1, 0.3), slack / 2)
    if draw.random() < 0.3:
        offset = draw.uniform(offset, slack - offset)
    elif draw.random() < 0.5:
        offset = slack - offset
    return Opening(kind, axis, line, start + offset, start + offset + width, 0.0, DOOR_TOP_M, rooms)


def _entrance(draw: Random, rooms: list[Room]) -> list[Opening]:
    """The closed front door, in an outer wall of the hall or else of the living room."""
    for purpose in ("hall", "living"):
        for room in rooms:
            sides = [s for s in range(4) if room.outer[s]]
            if room.purpose != purpose or not sides:
                continue
            side = draw.choice(sides)
            start, stop = room.side_span(side)
            width = DOOR_CLEAR_M + 2 * FRAME_M
            if stop - start < width + 0.3:
                continue
            at = draw.uniform(start + 0.12, stop - width - 0.12)
            axis = 1 if side in (0, 2) else 0
            line = room.inside[side]
            return [Opening("entrance", axis, line, at, at + width, 0.0, DOOR_TOP_M, (room.index,))]
    return []


def _windows(draw: Random, room: Room, top: float) -> list[Opening]:
    """Windows in the outer walls of a room."""
    if room.purpose == "hall" and draw.random() < 0.7:
        return []
    sides = [s for s in range(4) if room.outer[s] and not room.side_openings(s)]
    draw.shuffle(sides)
    windows: list[Opening] = []
    for side in sides:
        if windows and (room.purpose == "bathroom" or draw.random() < 0.5):
            continue
        start, stop = room.side_span(side)
        length = stop - start
        count = 1 if room.purpose == "bathroom" else max(1, round(length / 3.9))
        bottom = draw.choice((0.82, 0.9, 0.95))
        width = draw.uniform(1.0, 1.7)
        if room.purpose == "bathroom":
            bottom, width = 1.3, draw.uniform(0.6, 0.9)
        elif room.purpose == "kitchen":
            bottom, width = 1.2, draw.uniform(1.0, 1.4)
        elif room.purpose == "living" and draw.random() < 0.35:
            bottom, width = 0.12, draw.uniform(1.5, 2.1)
        width = min(width, length / count - 0.7)
        if width < 0.5:
            continue
        axis, line = (1 if side in (0, 2) else 0), room.inside[side]
        for i in range(count):
            middle = start + length * (i + 0.5) / count
            a, b = middle - width / 2, middle + width / 2
            windows.append(Opening("window", axis, line, a, b, bottom, top, (room.index,)))
    return windows
