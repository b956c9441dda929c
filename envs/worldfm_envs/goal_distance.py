"""Goal distances: how far N agents are from their goals on foot, read by one kernel."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_envs.array_address import pointer_to
from worldfm_gym.navigation.geodesic import DistanceField, read_distances


class GoalDistances:
    """The distance fields of N agents; those without one are infinitely far from their goal.

    Fields differ in size, so the kernel is given their addresses.
    """

    def __init__(self, num_agents: int) -> None:
        self.fields: list[DistanceField | None] = [None] * num_agents
        self._arrays: list[Any] = [None] * num_agents  # keeps what the addresses point to
        self._table = np.zeros((num_agents, 4), np.int64)  # two addresses, rows, columns
        self._floats = np.zeros((num_agents, 5))  # goal xy, origin xy, side of a cell

    def set(self, agent: int, field: DistanceField) -> None:
        """Give one agent another goal."""
        extended = np.ascontiguousarray(field.extended, np.float32)
        direct = np.ascontiguousarray(field.direct, np.bool_)
        self.fields[agent] = field
        self._arrays[agent] = (extended, direct)
        self._table[agent] = (extended.ctypes.data, direct.ctypes.data, *extended.shape)
        self._floats[agent] = (*field.goal_xy, *field.origin_xy, field.cell_m)

    def at(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Metres to walk from points [N, 2], one per agent, float64 [N]."""
        points = np.ascontiguousarray(xy, np.float64)
        if points.shape != (len(self._table), 2):
            raise ValueError(f"points must be {(len(self._table), 2)}, got {points.shape}")
        return np.asarray(_read_all(self._table, self._floats, points))


@numba.njit(cache=True, nogil=True)
def _read_all(table: Any, floats: Any, points: Any) -> Any:
    """Distances [N] of points [N, 2], each in the field of its row."""
    out = np.full(len(points), np.inf)
    for i in range(len(points)):
        if table[i, 0] == 0:
            continue
        shape = (table[i, 2], table[i, 3])
        extended = numba.carray(pointer_to(table[i, 0]), shape, np.float32)
        direct = numba.carray(pointer_to(table[i, 1]), shape, np.bool_)
        out[i] = read_distances(
            extended, direct, floats[i, :2], floats[i, 2:4], floats[i, 4], points[i : i + 1]
        )[0]
    return out
