"""Discrete actions: Habitat's, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from worldfm_envs.actions.walking import Motion, Walking
from worldfm_gym.errors import ActionError
from worldfm_gym.simulator import Simulator

STOP, FORWARD, LEFT, RIGHT, LOOK_UP, LOOK_DOWN = range(6)

_NAMES = ("stop", "forward", "left", "right", "look up", "look down")


class DiscreteSteps:
    """STOP = 0, FORWARD = 1, LEFT = 2, RIGHT = 3; with tilt also LOOK_UP = 4, LOOK_DOWN = 5."""

    def __init__(
        self,
        *,
        forward_step_m: float = 0.25,
        turn_step_deg: float = 10.0,
        tilt_step_deg: float | None = None,
        walking: Walking | None = None,
    ) -> None:
        self._count = 4 if tilt_step_deg is None else 6
        self.space = spaces.Discrete(self._count)
        self._walking = walking or Walking()
        self.steps = self._walking.repeat
        turn, tilt = np.deg2rad(turn_step_deg), np.deg2rad(tilt_step_deg or 0.0)
        self._forward_m = np.array([0.0, forward_step_m, 0.0, 0.0, 0.0, 0.0])
        self._yaw_delta = np.array([0.0, 0.0, turn, -turn, 0.0, 0.0])
        self._pitch_delta = np.array([0.0, 0.0, 0.0, 0.0, tilt, -tilt])

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """See `ActionModel.check`."""
        array = np.asarray(actions)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise ActionError(f"a discrete action is one integer: {self._meaning}; got {actions!r}")
        if len(array) and (array.min() < 0 or array.max() >= self._count):
            wrong = next(action for action in array.tolist() if not 0 <= action < self._count)
            raise ActionError(f"action {wrong} is outside Discrete({self._count}): {self._meaning}")
        return array

    def apply(
        self,
        simulator: Simulator,
        actions: NDArray[Any],
        *,
        episode_seed: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.bool_]:
        """See `ActionModel.apply`."""
        motion = Motion(self._forward_m[actions], self._yaw_delta[actions])
        if self._count > 4:
            motion.pitch_delta = self._pitch_delta[actions]
        self._walking.carry_out(simulator, [motion], episode_seed=episode_seed)
        return np.asarray(actions == STOP)

    @property
    def _meaning(self) -> str:
        return ", ".join(f"{k} {name}" for k, name in enumerate(_NAMES[: self._count]))
