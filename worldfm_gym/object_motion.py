"""Object motion: how objects move by themselves, as pure functions of time.

Values for `worldfm_gym.simulator.Simulator.set_object_motion`:

    simulator.set_object_motion(0, {3: Patrol([(1, 1), (4, 1)], speed_mps=0.5)})

Called with a time in seconds, each gives an object-to-world pose [4, 4]. Where a route has no
height, the object keeps the one at which its world holds it. Routes of many objects are evaluated
in one compiled call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import check_rigid
from worldfm_gym.errors import ConfigError

_STOP, _BOUNCE, _LOOP = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Route:
    """Straight lines from point to point at constant speed; `Waypoints` and `Patrol` are routes.

    Attributes:
        points_world: Where the origin of the object's frame goes, metres, [P, 2] or [P, 3].
        speed_mps: Metres per second.
        yaw_follows: Turn the object's front (+x of its frame) the way that it goes, at once where
            the way bends; otherwise it keeps the rotation at which its world holds it.

    Raises:
        ConfigError: If the points or the speed make no sense.
    """

    points_world: ArrayLike
    speed_mps: float = field(kw_only=True)
    yaw_follows: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        points = np.array(self.points_world, np.float64)
        if points.ndim != 2 or points.shape[1] not in (2, 3) or not len(points):
            raise ConfigError(
                f"points_world must be at least one point, [P, 2] or [P, 3], got {points.shape}"
            )
        if not np.isfinite(points).all():
            raise ConfigError("points_world must be finite, got NaN or infinity")
        if not (math.isfinite(self.speed_mps) and self.speed_mps > 0):
            raise ConfigError(f"speed_mps must be positive and finite, got {self.speed_mps}")
        if points.shape[1] == 2:
            points = np.concatenate([points, np.full((len(points), 1), np.nan)], axis=1)
        object.__setattr__(self, "points_world", points)

    @property
    def end_rule(self) -> int:
        """What happens at the last point: stop, turn back or go on to the first."""
        return _STOP

    @cached_property
    def knots(self) -> NDArray[np.float64]:
        """Distinct points with the way to each in metres, float64 [P, 4]; NaN for no height."""
        points = np.asarray(self.points_world)
        if self.end_rule == _LOOP:
            points = np.concatenate([points, points[:1]])
        ways = np.linalg.norm(np.nan_to_num(np.diff(points, axis=0)), axis=1)
        kept = np.concatenate([[True], ways > 0])
        return np.column_stack([points[kept], np.concatenate([[0.0], np.cumsum(ways[ways > 0])])])

    def __call__(self, time_s: float, base: ArrayLike | None = None) -> NDArray[np.float64]:
        """The pose [4, 4] at a time; `base` [4, 4] is where the world holds the object."""
        held = np.eye(4) if base is None else np.asarray(base, np.float64)
        table = RouteTable([self], held[None])
        pose: NDArray[np.float64] = table.poses(np.array([float(time_s)]))[0]
        return pose


@dataclass(frozen=True, eq=False)
class Waypoints(Route):
    """Go from point to point and stay at the last one; see `Route`."""


@dataclass(frozen=True, eq=False)
class Patrol(Route):
    """Go from point to point and back again, or round and round; see `Route`.

    Attributes:
        loop: Go on from the last point to the first instead of turning back.
    """

    loop: bool = field(default=False, kw_only=True)

    @property
    def end_rule(self) -> int:
        """See `Route.end_rule`."""
        return _LOOP if self.loop else _BOUNCE


@dataclass(frozen=True, eq=False)
class Still:
    """Stay at a pose [4, 4].

    Raises:
        CameraError: If it is not rigid.
    """

    pose: ArrayLike

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", check_rigid(self.pose))

    def __call__(self, time_s: float) -> NDArray[np.float64]:
        """The pose, whatever the time."""
        return np.array(self.pose)


class RouteTable:
    """Routes of many objects, evaluated together."""

    def __init__(self, routes: Sequence[Route], bases: NDArray[np.float64]) -> None:
        """Keep routes; `bases` [M, 4, 4] are the poses at which worlds hold the objects."""
        knots = [route.knots for route in routes]
        self._first = np.concatenate([[0], np.cumsum([len(k) for k in knots])]).astype(np.int64)
        self._knots = np.concatenate(knots) if knots else np.empty((0, 4))
        self._speed = np.array([route.speed_mps for route in routes], np.float64)
        self._rule = np.array([route.end_rule for route in routes], np.int64)
        self._turns = np.array([route.yaw_follows for route in routes], np.bool_)
        self._bases = np.array(bases, np.float64)

    @staticmethod
    def joined(tables: Sequence[RouteTable]) -> RouteTable:
        """The routes of several tables, in their order."""
        all_ = RouteTable([], np.empty((0, 4, 4)))
        if not tables:
            return all_
        counts = [np.diff(table._first) for table in tables]
        all_._first = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        for name in ("_knots", "_speed", "_rule", "_turns", "_bases"):
            setattr(all_, name, np.concatenate([getattr(table, name) for table in tables]))
        return all_

    def poses(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Poses [M, 4, 4] at a time for each route [M]."""
        poses: NDArray[np.float64] = _route_poses(
            self._first, self._knots, self._speed, self._rule, self._turns, self._bases, time_s
        )
        return poses


@njit(cache=True, nogil=True, error_model="numpy")
def _route_poses(
    first: Any, knots: Any, speed: Any, rule: Any, turns: Any, bases: Any, time_s: Any
) -> Any:
    """Poses [M, 4, 4]; knots of route m are first[m]…first[m + 1]."""
    poses = bases.copy()
    for m in range(len(speed)):
        a, b = first[m], first[m + 1] - 1
        total = knots[b, 3]
        way, back = speed[m] * max(time_s[m], 0.0), False
        if rule[m] == _STOP or total == 0.0:
            way = min(way, total)
        elif rule[m] == _LOOP:
            way %= total
        else:
            way %= 2.0 * total
            back = way > total
            way = 2.0 * total - way if back else way
        i = a
        while i < b - 1 and knots[i + 1, 3] <= way:
            i += 1
        j = min(i + 1, b)
        length = knots[j, 3] - knots[i, 3]
        share = (way - knots[i, 3]) / length if length > 0.0 else 0.0
        for axis in range(3):
            at = knots[i, axis] + share * (knots[j, axis] - knots[i, axis])
            if at == at:  # no height: the base's
                poses[m, axis, 3] = at
        dx, dy = knots[j, 0] - knots[i, 0], knots[j, 1] - knots[i, 1]
        norm = math.sqrt(dx * dx + dy * dy)
        if turns[m] and norm > 0.0:
            sign = -1.0 if back else 1.0
            cos, sin = sign * dx / norm, sign * dy / norm
            for row in range(3):
                for column in range(3):
                    poses[m, row, column] = 1.0 if row == column == 2 else 0.0
            poses[m, 0, 0], poses[m, 0, 1] = cos, -sin
            poses[m, 1, 0], poses[m, 1, 1] = sin, cos
    return poses
