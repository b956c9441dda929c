"""Episodes: where a navigation episode starts, where it leads, and how hard that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import DistanceField, NavMap

_GOALS_TRIED = 8
_STARTS_TRIED = 64


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Which episodes count as how hard.

    Attributes:
        distance_m: Smallest and largest geodesic distance from start to goal, metres.
        least_detour: Smallest ratio of the geodesic to the straight distance.
    """

    distance_m: tuple[float, float]
    least_detour: float = 1.0


DIFFICULTIES = {
    "easy": Difficulty((1.5, 3.0)),
    "medium": Difficulty((3.0, 5.0)),
    "hard": Difficulty((5.0, 10.0), least_detour=1.1),
}
"""Distances are those of Mezghani et al., "Memory-Augmented Reinforcement Learning for Image-Goal
Navigation" (2021); a detour of 1.1 is what Savva et al., "Habitat: A Platform for Embodied AI
Research" (2019), tell episodes apart by that going straight ahead nearly solves."""


def difficulty_of(distance_m: float, straight_m: float) -> str:
    """The name in `DIFFICULTIES` that fits an episode best, however near or far it leads.

    Args:
        distance_m: Geodesic distance from start to goal, metres.
        straight_m: Straight distance from start to goal, metres.
    """
    if distance_m < DIFFICULTIES["medium"].distance_m[0]:
        return "easy"
    hard = DIFFICULTIES["hard"]
    detour = distance_m / max(straight_m, 1e-9)
    return "hard" if distance_m >= hard.distance_m[0] and detour >= hard.least_detour else "medium"


@dataclass(frozen=True, slots=True)
class Goal:
    """Where a way ends: at a point, or at the nearest of several.

    Attributes:
        places_xy: The points, world metres, float64 [P, 2].
        field: Geodesic distance to the nearest of them; ``field.distance(xy)``.
    """

    places_xy: NDArray[np.float64]
    field: DistanceField

    @classmethod
    def at(cls, nav: NavMap, xy: NDArray[np.float64]) -> Goal:
        """A point of the floor [2].

        Raises:
            NavigationError: If the body does not fit there.
        """
        return cls(np.array(xy, np.float64)[None], nav.geodesic_field(xy))

    def straight_m(self, xy: NDArray[np.float64]) -> float:
        """Straight distance from a point [2] to the nearest place, metres."""
        return float(np.hypot(*(self.places_xy - xy).T).min())


@dataclass(frozen=True, slots=True)
class NavigationEpisode:
    """One start and one goal.

    Attributes:
        start_xy: World position of the start, metres, float64 [2].
        start_yaw: Heading at the start, radians.
        goal: Where it leads.
        distance_m: Geodesic distance from start to goal, metres.
    """

    start_xy: NDArray[np.float64]
    start_yaw: float
    goal: Goal
    distance_m: float

    @property
    def field(self) -> DistanceField:
        """Geodesic distance to the goal."""
        return self.goal.field


def sample_episode(
    nav: NavMap,
    rng: np.random.Generator,
    *,
    difficulty: Difficulty,
    start_xy: NDArray[np.float64] | None = None,
    start_yaw: float | None = None,
    goal: Goal | None = None,
    draw_goal: Callable[[], Goal | None] | None = None,
) -> NavigationEpisode:
    """Draw a start and a goal that are as hard as wanted.

    A goal is drawn first, because its distance field then judges many starts for free. What is
    given is kept: a given pair of start and goal is accepted at any finite distance.

    Args:
        nav: Map of the world.
        rng: Source of randomness.
        difficulty: Which pairs of start and goal to take.
        start_xy: Start to use instead of a random one [2].
        start_yaw: Heading to use instead of a random one, radians.
        goal: Goal to use instead of a random one.
        draw_goal: Gives the next goal to try, None when there are no more; None takes random
            points of the floor.

    Raises:
        NavigationError: If no pair is as wanted, or a given point can't be reached.
    """
    low, high = difficulty.distance_m
    detour = difficulty.least_detour
    if start_xy is not None and goal is not None:
        low, high, detour = 0.0, np.inf, 0.0
    draw = draw_goal or (lambda: Goal.at(nav, nav.random_point(rng)))
    missed_m, missed_detour, tried = np.inf, 0.0, 0
    while tried < (_GOALS_TRIED if goal is None else 1):
        tried += 1
        aim = draw() if goal is None else goal
        if aim is None:
            break
        for _ in range(1 if start_xy is not None else _STARTS_TRIED):
            start = nav.random_point(rng) if start_xy is None else start_xy
            distance = float(aim.field.distance(start))
            if low <= distance <= high and np.isfinite(distance):
                straight = aim.straight_m(start)
                if distance >= detour * straight:
                    yaw = rng.uniform(-np.pi, np.pi) if start_yaw is None else float(start_yaw)
                    return NavigationEpisode(np.array(start, np.float64), yaw, aim, distance)
                missed_detour = max(missed_detour, distance / straight)
            missed_m = min(missed_m, max(low - distance, distance - high))
    if start_xy is not None and goal is not None:
        raise NavigationError(
            f"no way leads from {start_xy.tolist()} to {goal.places_xy[:3].tolist()}"
        )
    missed = f" (the closest missed by {missed_m:.2f} m)" if 0 < missed_m < np.inf else ""
    if missed_detour:
        missed = f" with a detour of {detour:g} (the largest was {missed_detour:.2f})"
    raise NavigationError(
        f"found no start and goal {low:g}…{high:g} m apart on foot in this world{missed}: "
        "widen goal_distance_m, or choose another difficulty"
    )
