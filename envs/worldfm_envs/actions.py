"""Actions: what an action means for a simulator, batched over agents."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import ActionError
from worldfm_gym.simulator import Simulator

STOP, FORWARD, LEFT, RIGHT = range(4)

STOP_THRESHOLD = 0.9
"""Third component of a continuous action above which it stops. High, so that an untrained policy,
whose actions spread over [−1, 1], does not end most of its episodes within a few steps."""

_ROUNDING = 1e-6


class ActionModel(Protocol):
    """Checks a batch of actions and carries it out."""

    @property
    def space(self) -> spaces.Space[Any]:
        """The action space of one agent."""
        ...

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """`actions` [N, …] as an array.

        Raises:
            ActionError: If one is misshapen, not finite or outside the space.
        """
        ...

    def apply(self, simulator: Simulator, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Move all agents by checked actions; returns which of them asked to stop, bool [N]."""
        ...


class DiscreteSteps:
    """STOP = 0, FORWARD = 1, LEFT = 2, RIGHT = 3, in Habitat's order."""

    def __init__(self, *, forward_step_m: float = 0.25, turn_step_deg: float = 10.0) -> None:
        self.space = spaces.Discrete(4)
        turn = np.deg2rad(turn_step_deg)
        self._forward_m = np.array([0.0, forward_step_m, 0.0, 0.0])
        self._yaw_delta = np.array([0.0, 0.0, turn, -turn])

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """See `ActionModel.check`."""
        array = np.asarray(actions)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise ActionError(
                "a discrete action is one integer: 0 stop, 1 forward, 2 left, 3 right; got "
                f"{actions!r}"
            )
        for action in array.tolist():
            if not 0 <= action < 4:
                raise ActionError(
                    f"action {action} is outside Discrete(4): 0 stop, 1 forward, 2 left, 3 right"
                )
        return array

    def apply(self, simulator: Simulator, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """See `ActionModel.apply`."""
        simulator.move_ground(self._forward_m[actions], yaw_delta=self._yaw_delta[actions])
        return np.asarray(actions == STOP)


class ContinuousVelocity:
    """(forward, turn left, stop), each in [−1, 1]; negative forward drives backward."""

    def __init__(self, *, max_speed_mps: float, max_turn_dps: float, step_s: float) -> None:
        self.space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self._scale = np.array([max_speed_mps, np.deg2rad(max_turn_dps)]) * step_s

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """See `ActionModel.check`."""
        return _check_normalized(actions, 3, "3 numbers (forward, turn left, stop)")

    def apply(self, simulator: Simulator, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """See `ActionModel.apply`."""
        stop = actions[:, 2] > STOP_THRESHOLD
        step = actions[:, :2] * self._scale
        step[stop] = 0.0
        simulator.move_ground(step[:, 0], yaw_delta=step[:, 1])
        return np.asarray(stop)


class FreeVelocity:
    """(vx, vy, vz, wx, wy, wz) in the camera frame, each in [−1, 1]."""

    def __init__(self, *, max_speed_mps: float, max_turn_dps: float, step_s: float) -> None:
        self.space = spaces.Box(-1.0, 1.0, (6,), np.float32)
        self._scale = np.repeat([max_speed_mps, np.deg2rad(max_turn_dps)], 3)
        self._step_s = step_s

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """See `ActionModel.check`."""
        return _check_normalized(actions, 6, "6 numbers (vx, vy, vz, wx, wy, wz)")

    def apply(self, simulator: Simulator, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """See `ActionModel.apply`; a free camera never stops."""
        simulator.move_free(actions * self._scale, self._step_s)
        return np.zeros(len(actions), np.bool_)


def _check_normalized(actions: ArrayLike, length: int, meaning: str) -> NDArray[Any]:
    """Actions [N, length] as float64, finite and within [−1, 1]."""
    try:
        array = np.asarray(actions, np.float64)
    except (TypeError, ValueError):
        raise ActionError(f"an action is {meaning}; got {actions!r}") from None
    if array.ndim != 2 or array.shape[1] != length:
        raise ActionError(f"an action is {meaning}; got shape {array.shape[1:]}")
    if not np.abs(array).max() <= 1.0 + _ROUNDING:  # a NaN fails this comparison too
        raise ActionError(
            f"actions must be finite and within [-1, 1], got {array.tolist()}: "
            "clip them, or wrap the environment in gymnasium.wrappers.ClipAction"
        )
    return array
