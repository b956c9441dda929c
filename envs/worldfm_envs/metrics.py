"""Metrics: how well a navigation episode goes, batched over agents.

Success, SPL and path length after Anderson et al., "On Evaluation of Embodied Navigation Agents"
(2018); SoftSPL after Datta et al., "Integrating Egocentric Localization for More Realistic
Point-Goal Navigation Agents" (2020). All are computed as Habitat computes them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


class TravelMetrics:
    """How far agents went, arrays of length N.

    Attributes:
        path_length_m: Length of the way travelled, metres.
        collisions: Number of steps that met something.
    """

    def __init__(self, num_agents: int, *, axes: int = 2) -> None:
        """Begin nowhere; positions have 2 axes on the floor, or 3."""
        self.path_length_m = np.zeros(num_agents)
        self.collisions = np.zeros(num_agents, np.int64)
        self._position = np.zeros((num_agents, axes))

    def restart(self, agent: int, position: NDArray[np.float64]) -> None:
        """Start an episode of one agent at a point [axes]."""
        self._position[agent] = position
        self.path_length_m[agent] = self.collisions[agent] = 0

    def travel(self, position: NDArray[np.float64], collided: NDArray[np.bool_]) -> None:
        """Account for one step that led to points [N, axes] and met something or not [N]."""
        _travel(position, collided, self._position, self.path_length_m, self.collisions)

    def as_info(self) -> dict[str, NDArray[Any]]:
        """The metrics under their names in `info`, fresh arrays [N]."""
        return {"path_length": self.path_length_m.copy(), "collisions": self.collisions.copy()}


class NavigationMetrics(TravelMetrics):
    """How well agents get to their goals, arrays of length N.

    Attributes:
        start_distance_m: Geodesic distance to the goal when the episode began, metres.
        distance_to_goal_m: Geodesic distance to the goal now, metres.
        progress_m: By how much the last step shrank that distance, metres.
        success: Whether the agent stopped where the task wants it.
        spl: Success weighted by path length, ``S · l / max(p, l)``; 0 until the agent stops.
        soft_spl: SPL with progress for success, ``max(0, 1 − d / l) · l / max(p, l)``.
    """

    def __init__(self, num_agents: int) -> None:
        super().__init__(num_agents)
        self.start_distance_m = np.ones(num_agents)
        self.distance_to_goal_m = np.ones(num_agents)
        self.progress_m = np.zeros(num_agents)
        self.success = np.zeros(num_agents, np.bool_)
        self.spl = np.zeros(num_agents)
        self.soft_spl = np.zeros(num_agents)

    def as_info(self) -> dict[str, NDArray[Any]]:
        """The metrics under their names in `info`, fresh arrays [N]."""
        return {
            "success": self.success.copy(),
            "spl": self.spl.copy(),
            "soft_spl": self.soft_spl.copy(),
            "distance_to_goal": self.distance_to_goal_m.copy(),
            **super().as_info(),
        }

    def begin(self, agent: int, position_xy: NDArray[np.float64], distance_m: float) -> None:
        """Start an episode of one agent at a point [2] a geodesic distance from its goal."""
        self.restart(agent, position_xy)
        self.start_distance_m[agent] = self.distance_to_goal_m[agent] = distance_m
        self.progress_m[agent] = 0.0
        self.success[agent] = False
        self.spl[agent] = self.soft_spl[agent] = 0.0

    def update(
        self,
        position_xy: NDArray[np.float64],
        distance_m: NDArray[np.float64],
        collided: NDArray[np.bool_],
        success: NDArray[np.bool_],
    ) -> None:
        """Account for one step.

        Args:
            position_xy: Where the agents are now, metres [N, 2].
            distance_m: Geodesic distances to their goals [N]; where infinite (a body pushed by a
                moving object can stand where no way leads on), the last finite one is kept.
            collided: Whether the step met something [N].
            success: Whether the agent declared that it has arrived, and has [N].
        """
        self.travel(position_xy, collided)
        _update(
            distance_m,
            success,
            self.start_distance_m,
            self.distance_to_goal_m,
            self.progress_m,
            self.path_length_m,
            self.success,
            self.spl,
            self.soft_spl,
        )


@njit(cache=True, nogil=True)
def _travel(
    position: Any, collided: Any, last_position: Any, path_length_m: Any, collisions: Any
) -> None:
    """`TravelMetrics.travel` on arrays, in place."""
    for i in range(len(position)):
        square = 0.0
        for axis in range(position.shape[1]):
            way = position[i, axis] - last_position[i, axis]
            square += way * way
            last_position[i, axis] = position[i, axis]
        path_length_m[i] += math.sqrt(square)
        collisions[i] += collided[i]


@njit(cache=True, nogil=True)
def _update(
    distance_m: Any,
    succeeded: Any,
    start_distance_m: Any,
    distance_to_goal_m: Any,
    progress_m: Any,
    path_length_m: Any,
    success: Any,
    spl: Any,
    soft_spl: Any,
) -> None:
    """`NavigationMetrics.update` on arrays [N], in place."""
    for i in range(len(distance_m)):
        before = distance_to_goal_m[i]
        now = distance_m[i] if math.isfinite(distance_m[i]) else before
        distance_to_goal_m[i], progress_m[i] = now, before - now
        success[i] = succeeded[i]
        start = start_distance_m[i]
        longest = max(start, path_length_m[i])
        # Who starts on the goal and stays there has gone the shortest way.
        efficiency = start / longest if longest > 0.0 else 1.0
        spl[i] = efficiency if success[i] else 0.0
        soft_spl[i] = efficiency * (max(0.0, 1.0 - now / start) if start > 0.0 else 1.0)
