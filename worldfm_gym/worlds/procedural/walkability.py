"""Walkability: furniture that would cut a floor plan in two is taken out again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.worlds.procedural.layout import FloorPlan
from worldfm_gym.worlds.procedural.placement import Placed, RoomPlacer, Volume

_GRID_M = 0.1
# Wider than the navigating agents' 0.18 m, so that coarser maps still find the way.
_WALKER_RADIUS_M = 0.22
_WALKER_HEIGHT_M = 1.8
_STEP_M = 0.05


def keep_connected(plan: FloorPlan, placers: Sequence[RoomPlacer]) -> None:
    """Drop the fewest pieces, the least first, until one can walk through every door and room."""
    grid = _WalkGrid(plan)
    for placer in placers:
        for volume in placer.taken:
            grid.add(volume, 1)
    blocked = grid.blocked_rooms()
    while blocked:
        culprits = sorted(
            ((_worth(p), i, p) for i in sorted(blocked) for p in placers[i].placed if _stands(p)),
            key=lambda found: found[:2],
        )
        if not culprits:
            return
        for _, index, culprit in culprits:
            grid.add(culprit.volume, -1)
            left = grid.blocked_rooms()
            if len(left) < len(blocked):
                placers[index].drop(culprit)
                break
            grid.add(culprit.volume, 1)
        else:  # no single piece is to blame
            _, index, culprit = culprits[0]
            grid.add(culprit.volume, -1)
            placers[index].drop(culprit)
            left = grid.blocked_rooms()
        blocked = left


class _WalkGrid:
    """Counts, on cells of 10 cm, of the obstacles that keep a walker off each cell's middle."""

    def __init__(self, plan: FloorPlan) -> None:
        self.plan = plan
        shape = math.ceil(plan.width / _GRID_M), math.ceil(plan.depth / _GRID_M)
        self.counts: NDArray[np.int16] = np.ones(shape, np.int16)
        r = _WALKER_RADIUS_M
        for x0, y0, x1, y1 in plan.floor_rects():
            # A threshold is shallower than the walker: its rooms' floors continue it.
            shrink_x = r if x1 - x0 > 2.5 * r else -2 * r
            shrink_y = r if y1 - y0 > 2.5 * r else -2 * r
            self.counts[
                _cells(x0 + shrink_x, x1 - shrink_x), _cells(y0 + shrink_y, y1 - shrink_y)
            ] = 0
        self.doors = [
            (_cell(o.middle, o.line) if o.axis == 0 else _cell(o.line, o.middle), o.rooms)
            for o in plan.openings
            if o.kind in ("door", "arch")
        ]
        self.insides = [
            (_cells(room.inside[0], room.inside[2]), _cells(room.inside[1], room.inside[3]))
            for room in plan.rooms
        ]

    def add(self, volume: Volume, count: int) -> None:
        """Add (or with −1 remove) an obstacle if a walker would bump into it."""
        if _obstructs(volume):
            x0, y0, x1, y1, _, _ = volume
            r = _WALKER_RADIUS_M
            self.counts[_cells(x0 - r, x1 + r), _cells(y0 - r, y1 + r)] += count

    def blocked_rooms(self) -> set[int]:
        """Rooms with a door that can't be reached, or without any floor that can."""
        from scipy.ndimage import label

        regions, count = label(self.counts == 0)
        if count == 0:
            return set(range(len(self.plan.rooms)))
        sizes = np.bincount(regions.ravel())
        main = int(sizes[1:].argmax()) + 1
        blocked: set[int] = set()
        for cell, rooms in self.doors:
            if regions[cell] != main:
                blocked.update(rooms)
        for index, inside in enumerate(self.insides):
            if not (regions[inside] == main).any():
                blocked.add(index)
        return blocked


def _cell(x: float, y: float) -> tuple[int, int]:
    return int(x / _GRID_M), int(y / _GRID_M)


def _cells(low: float, high: float) -> slice:
    """Cells whose middle lies in low…high."""
    return slice(max(0, math.ceil(low / _GRID_M - 0.5)), max(0, math.floor(high / _GRID_M + 0.5)))


def _obstructs(volume: Volume) -> bool:
    """Whether a walker would bump into it."""
    return volume[4] < _WALKER_HEIGHT_M and volume[5] > _STEP_M


def _stands(placed: Placed) -> bool:
    """Whether a piece stands on the floor in the way of walkers."""
    return placed.support is None and placed.z < 0.5 and _obstructs(placed.volume)


def _worth(placed: Placed) -> tuple[bool, float]:
    """Order in which pieces are given up: loose before built-in, small before large."""
    return not placed.piece.movable, placed.piece.depth * placed.piece.width
