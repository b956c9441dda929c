"""Waypoint actions: where to go next, as distance and direction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions.base import BoxActions
from worldfm_envs.actions.continuous import STOP_THRESHOLD
from worldfm_envs.actions.walking import Motion, Walking
from worldfm_gym.simulator import Simulator


class Waypoints(BoxActions):
    """(distance, direction, stop), each in [−1, 1]: turn there, then go straight until contact.

    −1…1 is 0…`max_distance_m` and −180…180° to the left. The agent turns in one step of the
    simulator and walks in as many as it takes for `max_distance_m` in steps of `forward_step_m`, so
    that every action takes the same time. With tilt, a fourth component turns the camera upward.
    """

    def __init__(
        self,
        *,
        max_distance_m: float,
        forward_step_m: float,
        tilt_step_deg: float | None = None,
        walking: Walking | None = None,
    ) -> None:
        self._tilts = tilt_step_deg is not None
        super().__init__("distance", "direction to the left", "stop", *["tilt up"] * self._tilts)
        self._max_distance_m = max_distance_m
        self._forward_step_m = forward_step_m
        self._strides = math.ceil(max_distance_m / forward_step_m - 1e-9)
        self._tilt = np.deg2rad(tilt_step_deg or 0.0)
        self._walking = walking or Walking()
        self.steps = (1 + self._strides) * self._walking.repeat

    def apply(
        self,
        simulator: Simulator,
        actions: NDArray[Any],
        *,
        episode_seed: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.bool_]:
        """See `ActionModel.apply`."""
        stop = actions[:, 2] > STOP_THRESHOLD
        way = np.where(stop, 0.0, 0.5 * (np.clip(actions[:, 0], -1.0, 1.0) + 1.0))
        way *= self._max_distance_m
        nothing = np.zeros(len(actions))
        turn = Motion(nothing, np.where(stop, 0.0, np.pi * actions[:, 1]))
        if self._tilts:
            turn.pitch_delta = np.where(stop, 0.0, actions[:, 3] * self._tilt)
        strides = [
            np.clip(way - k * self._forward_step_m, 0.0, self._forward_step_m)
            for k in range(self._strides)
        ]
        motions = [turn, *(Motion(stride, nothing) for stride in strides)]
        if self._walking.noise is not None:
            for motion in motions[1:]:
                motion.effort = motion.forward_m / self._forward_step_m
        self._walking.carry_out(simulator, motions, episode_seed=episode_seed)
        return np.asarray(stop)
