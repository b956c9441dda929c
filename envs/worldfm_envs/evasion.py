"""Evasion: a script for robots that run away, from geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.navigation import NavMap

_HEADINGS = 16
_LOOKAHEAD_M = (0.3, 0.6, 0.9)
_TURN_COST_M = 0.2  # metres of distance that a turn by one radian has to be worth
_BLOCKED_M = 5.0  # and that a way that is blocked nearby has


def flight_headings(
    nav: NavMap,
    xy: NDArray[np.float64],
    yaw: NDArray[np.float64],
    pursuers_xy: NDArray[np.float64],
    *,
    fear_m: float,
) -> NDArray[np.float64]:
    """Headings for evaders to take: away from the nearest pursuer, along free floor.

    Each looks at sixteen headings, its own first, and takes the one that leads farthest away from
    all pursuers; while none is near, the one nearest to its own that is free.

    Args:
        nav: The map.
        xy: Where evaders are, metres [E, 2].
        yaw: Their headings [E].
        pursuers_xy: Where pursuers are [P, 2].
        fear_m: Pursuers farther away than this are ignored.

    Returns:
        Headings in radians, float64 [E].
    """
    turn = np.arange(_HEADINGS) * (2 * np.pi / _HEADINGS)
    turn = np.where(turn > np.pi, turn - 2 * np.pi, turn)
    heading = yaw[:, None] + turn  # [E, 16]
    way = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    points = xy[:, None, None] + way[:, :, None] * np.array(_LOOKAHEAD_M)[:, None]  # [E, 16, L, 2]
    free = np.logical_and.accumulate(nav.is_navigable(points), axis=-1).sum(axis=-1)
    reach_m = np.concatenate([[0.0], _LOOKAHEAD_M])[free]  # [E, 16]
    ends = xy[:, None] + way * reach_m[..., None]
    from_here = np.linalg.norm(xy[:, None] - pursuers_xy, axis=-1)  # [E, P]
    near = from_here < fear_m
    distance = np.linalg.norm(ends[:, :, None] - pursuers_xy, axis=-1)  # [E, 16, P]
    nearest = np.where(near[:, None], distance, fear_m).min(axis=-1, initial=fear_m)
    score = nearest - _TURN_COST_M * np.abs(turn) - _BLOCKED_M * (reach_m == 0.0)
    score += 0.5 * reach_m * ~near.any(axis=-1, keepdims=True)
    best: NDArray[np.float64] = np.take_along_axis(heading, score.argmax(axis=1)[:, None], axis=1)[
        :, 0
    ]
    return best
