"""Scripted agents: baselines that learn nothing and know nothing but what they observe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldfm_agents.privileged import ShortestPathAgent
from worldfm_envs.actions import FORWARD, LEFT, RIGHT, STOP
from worldfm_gym.camera import quaternion_to_rotation
from worldfm_gym.errors import ConfigError

__all__ = [
    "BlindAgent",
    "GreedyAgent",
    "OrbitAgent",
    "RandomAgent",
    "ShortestPathAgent",
    "steer",
]

_STOP_WITHIN_M = 0.19


class RandomAgent:
    """Draws actions uniformly; of point-goal actions it leaves out stopping, unless told."""

    def __init__(
        self, action_space: gym.Space[Any], *, seed: int | None = 0, stops: bool = False
    ) -> None:
        self._rng = np.random.default_rng(seed)
        if not isinstance(action_space, gym.spaces.Discrete | gym.spaces.Box):
            raise ConfigError(f"RandomAgent acts in Discrete and Box spaces, got {action_space}")
        self._space = action_space
        self._lowest = 0 if stops else FORWARD

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> Any:
        """See `Agent.act`."""
        if isinstance(self._space, gym.spaces.Discrete):
            return int(self._rng.integers(self._lowest, self._space.n))
        action = self._rng.uniform(self._space.low, self._space.high, self._space.shape)
        if self._space.shape in ((3,), (4,)) and self._lowest:
            action[2] = -1.0  # never the stop of those that walk
        return np.asarray(action, np.float32)


class BlindAgent:
    """Walks straight ahead, and turns at random where it bumps into something.

    For discrete actions; reads `collision`, and `pointgoal` where there is one, to know when to
    stop, as Habitat's forward-only agent does.
    """

    def __init__(self, *, seed: int | None = 0, stop_within_m: float = _STOP_WITHIN_M) -> None:
        self._rng = np.random.default_rng(seed)
        self._stop_within_m = stop_within_m
        self._turns: list[int] = []

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> int:
        """See `Agent.act`."""
        goal = observation.get("pointgoal")
        if goal is not None and float(goal[0]) < self._stop_within_m:
            return STOP
        if observation["collision"][0] > 0 and not self._turns:
            turn = LEFT if self._rng.random() < 0.5 else RIGHT
            self._turns = [turn] * int(self._rng.integers(3, 16))
        return self._turns.pop() if self._turns else FORWARD


class GreedyAgent:
    """Turns to the goal and walks; after bumping into something, sidesteps at random.

    For discrete point-goal navigation; reads `pointgoal` and `collision` only.
    """

    def __init__(self, *, seed: int | None = 0, turn_step_deg: float = 10.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._tolerance = np.deg2rad(turn_step_deg) / 2
        self._detour: list[int] = []

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> int:
        """See `Agent.act`."""
        distance, angle = map(float, observation["pointgoal"])
        if distance < _STOP_WITHIN_M:
            self._detour = []
            return STOP
        if observation["collision"][0] > 0 and not self._detour:
            turn = LEFT if self._rng.random() < 0.5 else RIGHT
            self._detour = [turn] * int(self._rng.integers(3, 12))
            self._detour += [FORWARD] * int(self._rng.integers(2, 7))
        if self._detour:
            return self._detour.pop(0)
        return steer(angle, tolerance=self._tolerance)


class OrbitAgent:
    """Circles around a point with the free camera, looking at it; turns back where it is blocked.

    With an arc it sways back and forth in front of the point instead, which keeps a camera where a
    photo or a scan has seen something.

    Reads `pose` and `collision`.
    """

    def __init__(
        self,
        *,
        radius_m: float = 1.5,
        center_world: tuple[float, float, float] | None = None,
        arc_deg: float | None = None,
        max_speed_mps: float = 1.0,
        max_turn_dps: float = 60.0,
    ) -> None:
        """Set up an orbit.

        Args:
            radius_m: Radius of the circle.
            center_world: What to look at; None takes the point `radius_m` ahead of the camera at
                the first action.
            arc_deg: Turn back after so many degrees to either side of the first position; None
                goes all the way around.
            max_speed_mps: As given to the environment.
            max_turn_dps: As given to the environment.
        """
        if not radius_m > 0:
            raise ConfigError(f"radius_m must be positive, got {radius_m}")
        if arc_deg is not None and not arc_deg > 0:
            raise ConfigError(f"arc_deg must be positive or None, got {arc_deg}")
        self._radius_m = radius_m
        self._arc = np.inf if arc_deg is None else np.deg2rad(arc_deg)
        self._first_azimuth: float | None = None
        self._center = None if center_world is None else np.array(center_world, np.float64)
        self._scale = np.repeat([max_speed_mps, np.deg2rad(max_turn_dps)], 3)
        # Never faster around the circle than the camera can turn to keep looking inward.
        self._speed = 0.8 * min(max_speed_mps, radius_m * self._scale[3])

    def act(
        self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]
    ) -> NDArray[np.float32]:
        """See `Agent.act`."""
        pose = observation["pose"].astype(np.float64)
        position, rotation = pose[:3], quaternion_to_rotation(pose[3:])
        if self._center is None:
            self._center = position + self._radius_m * rotation[:, 2]
        if observation["collision"][0] > 0:
            self._speed = -self._speed
        self._turn_back_at_ends(position - self._center)
        x, y, z = rotation.T @ (self._center - position)
        distance = max(float(np.sqrt(x * x + y * y + z * z)), 1e-6)
        roll = rotation[2, 0]  # the right axis of a level camera is horizontal
        velocity = np.array(
            [
                self._speed,
                0.0,
                2.0 * (distance - self._radius_m),
                2.0 * np.arctan2(-y, max(z, 1e-6)),
                -self._speed / distance + 2.0 * np.arctan2(x, z),
                2.0 * roll,
            ]
        )
        return np.asarray(np.clip(velocity / self._scale, -1.0, 1.0), np.float32)

    def _turn_back_at_ends(self, from_center: NDArray[np.float64]) -> None:
        """Head back to the middle of the arc once its end is passed."""
        azimuth = float(np.arctan2(from_center[1], from_center[0]))
        if self._first_azimuth is None:
            self._first_azimuth = azimuth
        side = (azimuth - self._first_azimuth + np.pi) % (2 * np.pi) - np.pi
        if abs(side) > self._arc:
            # Rightward (positive) speed carries an inward-looking camera counter-clockwise.
            self._speed = -np.sign(side) * abs(self._speed)


def steer(angle: float, *, tolerance: float) -> int:
    """The discrete action towards something at an angle to the left, in radians."""
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    if abs(angle) <= tolerance + 1e-9:
        return FORWARD
    return LEFT if angle > 0 else RIGHT
