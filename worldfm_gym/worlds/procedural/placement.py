"""Placement: pieces put against walls or in groups, without overlaps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from worldfm_gym.worlds.procedural.layout import INWARD_YAW, Rect, Room
from worldfm_gym.worlds.scene import SceneBuilder

Volume = tuple[float, float, float, float, float, float]  # x0, y0, x1, y1, z0, z1

_GAP_M = 0.02
# Low furniture may stand in front of radiators and curtains.
_STAND_OFF_M = 0.15
_SILL_M = 1.15
_DOOR_DEPTH_M = 1.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A thing to place: its extent in its own frame (x forward, y left) and how to add its parts.

    Attributes:
        category: Lower-case singular noun.
        depth: Extent along x, metres.
        width: Extent along y, metres.
        height: Extent along z, metres.
        add: Adds the parts in a frame whose origin is on the floor below the middle.
        movable: Whether it is not built in.
        front: Depth of floor to keep clear in front, metres.
    """

    category: str
    depth: float
    width: float
    height: float
    add: Callable[[SceneBuilder], None]
    movable: bool = True
    front: float = 0.0


@dataclass(slots=True)
class Placed:
    """A piece at a position, and what it stands on where that is another piece."""

    piece: Piece
    x: float
    y: float
    z: float
    yaw: float
    volume: Volume
    support: Placed | None = None

    def local(self, along_x: float, along_y: float) -> tuple[float, float]:
        """World position of a point in the piece's frame."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + cos * along_x - sin * along_y, self.y + sin * along_x + cos * along_y


@dataclass(slots=True)
class RoomPlacer:
    """Places pieces in one rectangular room.

    `taken` holds volumes that nothing may enter, `kept` floor that must stay free to walk on.
    """

    inside: Rect
    draw: Random
    taken: list[Volume] = field(default_factory=list)
    kept: list[Volume] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)

    @classmethod
    def for_room(cls, room: Room, draw: Random) -> RoomPlacer:
        """A placer that keeps doors and windows of a room free."""
        placer = cls(room.inside, draw)
        for side in range(4):
            for o in room.side_openings(side):
                if o.kind == "window":
                    edge = (o.start - 0.12, o.stop + 0.12, 0.07, o.bottom - 0.06, o.top + 0.12)
                    placer.taken.append(placer.at_wall(side, *edge))
                else:
                    edge = (o.start - 0.1, o.stop + 0.1, _DOOR_DEPTH_M, 0.0, 2.2)
                    placer.kept.append(placer.at_wall(side, *edge))
        return placer

    @property
    def area(self) -> float:
        """Floor in square metres."""
        x0, y0, x1, y1 = self.inside
        return (x1 - x0) * (y1 - y0)

    def at_wall(
        self, side: int, start: float, stop: float, depth: float, bottom: float, top: float
    ) -> Volume:
        """The volume along a stretch of one wall."""
        x0, y0, x1, y1 = self.inside
        if side == 0:
            return x0, start, x0 + depth, stop, bottom, top
        if side == 1:
            return start, y0, stop, y0 + depth, bottom, top
        if side == 2:
            return x1 - depth, start, x1, stop, bottom, top
        return start, y1 - depth, stop, y1, bottom, top

    def span(self, side: int) -> tuple[float, float]:
        """Start and end of a side along its wall."""
        x0, y0, x1, y1 = self.inside
        return (y0, y1) if side in (0, 2) else (x0, x1)

    def wall_pose(
        self, piece: Piece, side: int, along: float, gap: float
    ) -> tuple[float, float, float]:
        """(x, y, yaw) of a piece whose back is `gap` from a wall, its middle at `along`."""
        x0, y0, x1, y1 = self.inside
        off = gap + piece.depth / 2
        position = ((x0 + off, along), (along, y0 + off), (x1 - off, along), (along, y1 - off))
        return (*position[side], INWARD_YAW[side])

    def against_wall(
        self,
        piece: Piece,
        *,
        sides: Sequence[int] = (0, 1, 2, 3),
        where: str = "anywhere",
        bottom: float = 0.0,
        gap: float = _GAP_M,
        tries: int = 8,
    ) -> Placed | None:
        """Place a piece with its back to a wall; `where` is "anywhere", "corner" or "middle"."""
        order = self.draw.sample(list(sides), len(sides))
        for attempt in range(tries):
            side = order[attempt % len(order)]
            start, stop = self.span(side)
            low, high = start + piece.width / 2 + gap, stop - piece.width / 2 - gap
            if low > high:
                continue
            if where == "corner":
                along = low if self.draw.random() < 0.5 else high
            elif where == "middle":
                along = (low + high) / 2 + (high - low) * self.draw.uniform(-0.15, 0.15)
            else:
                along = self.draw.uniform(low, high)
            x, y, yaw = self.wall_pose(piece, side, along, gap)
            placed = self.put(piece, x, y, yaw, bottom=bottom)
            if placed is None and bottom == 0 and piece.movable and piece.height < _SILL_M:
                x, y, yaw = self.wall_pose(piece, side, along, _STAND_OFF_M)
                placed = self.put(piece, x, y, yaw)
            if placed is not None:
                return placed
        return None

    def put(
        self,
        piece: Piece,
        x: float,
        y: float,
        yaw: float,
        *,
        bottom: float = 0.0,
        flat: bool = False,
    ) -> Placed | None:
        """Place a piece at a pose if it fits; `flat` things (rugs) may lie under others."""
        volume = _volume(piece.depth, piece.width, x, y, yaw, bottom, bottom + piece.height)
        if not self._holds(volume):
            return None
        if not flat:
            if overlaps_any(volume, self.taken) or overlaps_any(volume, self.kept):
                return None
            if piece.front > 0:
                clear = self._front(piece, x, y, yaw)
                if not self._holds(clear) or overlaps_any(clear, self.taken):
                    return None
                self.kept.append(clear)
            self.taken.append(volume)
        placed = Placed(piece, x, y, bottom, yaw, volume)
        self.placed.append(placed)
        return placed

    def on_top(
        self, piece: Piece, support: Placed, along_x: float, along_y: float, turn: float = 0.0
    ) -> Placed | None:
        """Stand a piece on another one, at a position in that one's frame, if it is free there."""
        x, y = support.local(along_x, along_y)
        bottom = support.z + support.piece.height
        yaw = support.yaw + turn
        volume = _volume(piece.depth, piece.width, x, y, yaw, bottom, bottom + piece.height)
        if overlaps_any(volume, self.taken):
            return None
        placed = Placed(piece, x, y, bottom, yaw, volume, support)
        self.placed.append(placed)
        self.taken.append(volume)
        return placed

    def attempt(self, furnish: Callable[[], None], wanted: frozenset[str], tries: int) -> None:
        """Furnish, starting over until every wanted category has found a place or tries are up."""
        before = list(self.placed), list(self.taken), list(self.kept)
        for left in reversed(range(tries)):
            furnish()
            if left == 0 or wanted <= {p.piece.category for p in self.placed}:
                return
            self.placed, self.taken, self.kept = (before[0][:], before[1][:], before[2][:])

    def drop(self, placed: Placed) -> None:
        """Take a piece away, and what stands on it."""
        gone = [p for p in self.placed if p is placed or p.support is placed]
        self.placed = [p for p in self.placed if not any(p is g for g in gone)]
        self.taken = [v for v in self.taken if not any(v is g.volume for g in gone)]

    def emit(self, builder: SceneBuilder) -> None:
        """Add everything placed as object instances."""
        for p in self.placed:
            with builder.object(p.piece.category, (p.x, p.y, p.z), p.yaw, movable=p.piece.movable):
                p.piece.add(builder)

    def _holds(self, volume: Volume) -> bool:
        """Whether a volume is within the room's walls."""
        x0, y0, x1, y1 = self.inside
        return volume[0] >= x0 and volume[1] >= y0 and volume[2] <= x1 and volume[3] <= y1

    def _front(self, piece: Piece, x: float, y: float, yaw: float) -> Volume:
        """The floor to keep clear in front of a piece."""
        ahead = (piece.depth + piece.front) / 2 + 0.01
        x, y = x + math.cos(yaw) * ahead, y + math.sin(yaw) * ahead
        return _volume(piece.front, piece.width * 0.8, x, y, yaw, 0.02, 1.5)


def _volume(
    depth: float, width: float, x: float, y: float, yaw: float, bottom: float, top: float
) -> Volume:
    """Axis-aligned volume of a footprint turned by `yaw`."""
    cos, sin = abs(math.cos(yaw)), abs(math.sin(yaw))
    half_x, half_y = (depth * cos + width * sin) / 2, (depth * sin + width * cos) / 2
    return x - half_x, y - half_y, x + half_x, y + half_y, bottom, top


def overlaps_any(volume: Volume, others: Iterable[Volume], slack: float = 1e-4) -> bool:
    """Whether a volume shares more than its surface with any other."""
    x0, y0, x1, y1, z0, z1 = volume
    x0, y0, z0, x1, y1, z1 = x0 + slack, y0 + slack, z0 + slack, x1 - slack, y1 - slack, z1 - slack
    for a0, b0, a1, b1, c0, c1 in others:
        if x0 < a1 and a0 < x1 and y0 < b1 and b0 < y1 and z0 < c1 and c0 < z1:
            return True
    return False
