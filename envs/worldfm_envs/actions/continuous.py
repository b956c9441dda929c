"""Continuous actions: how fast to drive, turn and tilt, and whether to stop."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions.base import BoxActions
from worldfm_envs.actions.walking import Motion, Walking
from worldfm_gym.simulator import Simulator

STOP_THRESHOLD = 0.9
"""Third component of a continuous action above which it stops. High, so that an untrained policy,
whose actions spread over [−1, 1], does not end most of its episodes within a few steps."""


class ContinuousVelocity(BoxActions):
    """(forward, turn left, stop), each in [−1, 1]; negative forward drives backward.

    With tilt, a fourth component turns the camera upward.
    """

    def __init__(
        self,
        *,
        max_speed_mps: float,
        max_turn_dps: float,
        step_s: float,
        tilt_step_deg: float | None = None,
        walking: Walking | None = None,
    ) -> None:
        self._tilts = tilt_step_deg is not None
        super().__init__("forward", "turn left", "stop", *["tilt up"] * self._tilts)
        self._walking = walking or Walking()
        self.steps = self._walking.repeat
        self._scale = np.array([max_speed_mps, np.deg2rad(max_turn_dps)]) * step_s
        self._tilt = np.deg2rad(tilt_step_deg or 0.0)

    def apply(
        self,
        simulator: Simulator,
        actions: NDArray[Any],
        *,
        episode_seed: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.bool_]:
        """See `ActionModel.apply`."""
        stop = actions[:, 2] > STOP_THRESHOLD
        moves = np.where(stop[:, None], 0.0, actions)
        motion = Motion(moves[:, 0] * self._scale[0], moves[:, 1] * self._scale[1])
        if self._tilts:
            motion.pitch_delta = moves[:, 3] * self._tilt
        if self._walking.noise is not None:
            motion.effort = np.minimum(np.abs(moves[:, :2]).max(axis=1), 1.0)
        self._walking.carry_out(simulator, [motion], episode_seed=episode_seed)
        return np.asarray(stop)
