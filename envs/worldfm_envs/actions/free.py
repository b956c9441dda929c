"""Actions of a flying camera: velocities with six degrees of freedom."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions.base import BoxActions
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


class FreeVelocity(BoxActions):
    """(vx, vy, vz, wx, wy, wz) in the camera frame, each in [−1, 1]."""

    def __init__(
        self, *, max_speed_mps: float, max_turn_dps: float, step_s: float, repeat: int = 1
    ) -> None:
        if repeat < 1:
            raise ConfigError(f"action_repeat must be 1 or more, got {repeat}")
        super().__init__("vx", "vy", "vz", "wx", "wy", "wz")
        self.steps = repeat
        self._scale = np.repeat([max_speed_mps, np.deg2rad(max_turn_dps)], 3)
        self._step_s = step_s

    def apply(
        self,
        simulator: Simulator,
        actions: NDArray[Any],
        *,
        episode_seed: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.bool_]:
        """See `ActionModel.apply`; a free camera never stops, and one that met something waits."""
        twist = actions * self._scale
        met = np.zeros(len(actions), np.bool_)
        for _ in range(self.steps):
            simulator.move_free(twist * ~met[:, None], self._step_s)
            met |= simulator.collided
        if self.steps > 1:
            simulator.collided[...] = met
        return np.zeros(len(actions), np.bool_)
