"""Goal sensors: what the task's goals look like from where the agent is."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.categories import CATEGORIES
from worldfm_envs.sensors.base import POSITION_LIMIT_M, SensorInput
from worldfm_envs.sensors.tensors import is_tensor, tensor_on


class PointGoalSensor:
    """(distance in metres, angle in radians, positive to the left) to the goal, on the floor plane.

    An ideal GPS and compass: the goal as seen from where the agent is now.
    """

    requires: ClassVar = ("goal_xy",)

    def __init__(self) -> None:
        self.space = spaces.Box(
            np.array([0.0, -np.pi], np.float32),
            np.array([POSITION_LIMIT_M, np.pi], np.float32),
            dtype=np.float32,
        )

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_polar(source.c2w, source.goals["goal_xy"]))


class ImageGoalSensor:
    """The view to find, uint8 RGB, without the noise or the motion of the agent's own camera."""

    requires: ClassVar = ("goal_rgb",)

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 3), np.uint8)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        goal: Any = source.goals["goal_rgb"]
        if is_tensor(source.frame.rgb):
            return tensor_on(source.frame.rgb.device, goal)
        return goal.cpu().numpy() if is_tensor(goal) else goal


class ObjectGoalSensor:
    """The category to find, one-hot over `categories.CATEGORIES`: 1 at its index, else 0."""

    requires: ClassVar = ("goal_category",)

    def __init__(self) -> None:
        self.space = spaces.Box(0.0, 1.0, (len(CATEGORIES),), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        wanted = source.goals["goal_category"][:, None]
        return np.asarray(np.arange(len(CATEGORIES)) == wanted, np.float32)


@njit(cache=True, nogil=True)
def _polar(c2w: Any, goal_xy: Any) -> Any:
    """Distance and bearing [N, 2] of goals from cameras."""
    out = np.empty((len(c2w), 2), np.float32)
    for i in range(len(c2w)):
        dx, dy = goal_xy[i, 0] - c2w[i, 0, 3], goal_xy[i, 1] - c2w[i, 1, 3]
        # (−r_y, r_x) of the right axis is the heading even when the camera looks up or down.
        ahead = -c2w[i, 1, 0] * dx + c2w[i, 0, 0] * dy
        left = -c2w[i, 0, 0] * dx - c2w[i, 1, 0] * dy
        out[i, 0] = min(math.hypot(dx, dy), POSITION_LIMIT_M)
        # float32(π) exceeds π, so the bound of the space holds for every angle.
        out[i, 1] = math.atan2(left, ahead)
    return out
