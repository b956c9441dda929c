"""Episodes: where a navigation episode starts and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import NavMap

_GOALS_TRIED = 8
_STARTS_TRIED = 64


@dataclass(frozen=True, slots=True)
class NavigationEpisode:
    """One start and one goal.

    Attributes:
        start_xy: World position of the start, metres, float64 [2].
        start_yaw: Heading at the start, radians.
        goal_xy: World position of the goal, metres, float64 [2].
        field: Geodesic distance to the goal; ``field.distance(xy)``.
        distance_m: Geodesic distance from start to goal, metres.
    """

    start_xy: NDArray[np.float64]
    start_yaw: float
    goal_xy: NDArray[np.float64]
    field: Any
    distance_m: float


def sample_episode(
    nav: NavMap,
    rng: np.random.Generator,
    *,
    distance_range_m: tuple[float, float],
    start_xy: NDArray[np.float64] | None = None,
    start_yaw: float | None = None,
    goal_xy: NDArray[np.float64] | None = None,
) -> NavigationEpisode:
    """Draw a start and a goal whose geodesic distance lies in a range.

    A goal is drawn first, because its distance field then judges many starts for free. What is
    given is kept: a given pair of start and goal is accepted at any finite distance.

    Args:
        nav: Map of the world.
        rng: Source of randomness.
        distance_range_m: Smallest and largest geodesic distance, metres.
        start_xy: Start to use instead of a random one [2].
        start_yaw: Heading to use instead of a random one, radians.
        goal_xy: Goal to use instead of a random one [2].

    Raises:
        NavigationError: If no pair of points lies in the range, or a given point can't be reached.
    """
    low, high = distance_range_m
    if start_xy is not None and goal_xy is not None:
        low, high = 0.0, np.inf
    best = np.inf
    for _ in range(1 if goal_xy is not None else _GOALS_TRIED):
        goal = nav.random_point(rng) if goal_xy is None else goal_xy
        field = nav.geodesic_field(goal)
        for _ in range(1 if start_xy is not None else _STARTS_TRIED):
            start = nav.random_point(rng) if start_xy is None else start_xy
            distance = float(field.distance(start))
            if low <= distance <= high and np.isfinite(distance):
                yaw = rng.uniform(-np.pi, np.pi) if start_yaw is None else start_yaw
                return NavigationEpisode(
                    np.array(start, np.float64),
                    float(yaw),
                    np.array(goal, np.float64),
                    field,
                    distance,
                )
            best = min(best, max(low - distance, distance - high))
    if start_xy is not None and goal_xy is not None:
        raise NavigationError(f"no way leads from {start_xy.tolist()} to {goal_xy.tolist()}")
    missed = f" (the closest missed by {best:.2f} m)" if np.isfinite(best) else ""
    raise NavigationError(
        f"found no start and goal {low:g}…{high:g} m apart on foot in this world{missed}: "
        "widen goal_distance_m"
    )
