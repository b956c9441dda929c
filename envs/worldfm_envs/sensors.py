"""Sensors: the pieces an observation is put together from, batched over agents.

Every space is one-dimensional or a uint8 image, because that is what image and multi-input policies
of RL libraries accept without adapters. Each reading is a fresh array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.frame import Frame
from worldfm_gym.simulator import Simulator

POSITION_LIMIT_M = 1000.0
"""Bound of every position and distance in an observation; readings are clipped to it."""

DepthType = Literal["uint8", "float32"]


@dataclass(slots=True)
class SensorInput:
    """What sensors read from.

    Attributes:
        simulator: The simulator, after the step.
        frame: What the N agents see, in numpy.
        goal_xy: Goal of each agent's episode in world metres [N, 2]; None in tasks without goals.
    """

    simulator: Simulator
    frame: Frame
    goal_xy: NDArray[np.float64] | None = None


class Sensor(Protocol):
    """One entry of the observation dictionary."""

    @property
    def space(self) -> spaces.Box:
        """The space of one agent's reading."""
        ...

    def read(self, source: SensorInput) -> NDArray[Any]:
        """Readings of all agents [N, *space.shape], an array that is not used again."""
        ...


class RgbSensor:
    """The camera image."""

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 3), np.uint8)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(source.frame.rgb)


class DepthSensor:
    """z-depth, clipped at `max_depth_m`; 0 where nothing is seen.

    As uint8, 1…255 stand for 0…`max_depth_m` metres in steps of ``max_depth_m / 255``.
    """

    def __init__(self, *, width: int, height: int, max_depth_m: float, dtype: DepthType) -> None:
        high = 255 if dtype == "uint8" else max_depth_m
        self._dtype = dtype
        self._max_depth_m = np.float32(max_depth_m)
        kind = np.uint8 if dtype == "uint8" else np.float32
        self.space = spaces.Box(0, high, (height, width, 1), kind)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        depth = source.frame.depth
        if self._dtype == "float32":
            return np.asarray(np.minimum(depth, self._max_depth_m)[..., None])
        out = np.empty((*depth.shape, 1), np.uint8)
        _quantize(depth.reshape(-1), np.float32(255.0) / self._max_depth_m, out.reshape(-1))
        return out


class ProvenanceSensor:
    """Where each pixel comes from: 0 nothing was drawn, 1 observed, 2 invented by the frame model.

    The bound of its space is that of an image, 255, because RL libraries take uint8 images only.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 1), np.uint8)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(source.frame.provenance)[..., None]


class PointGoalSensor:
    """(distance in metres, angle in radians, positive to the left) to the goal, on the floor plane.

    An ideal GPS and compass: the goal as seen from where the agent is now.
    """

    def __init__(self) -> None:
        self.space = spaces.Box(
            np.array([0.0, -np.pi], np.float32),
            np.array([POSITION_LIMIT_M, np.pi], np.float32),
            dtype=np.float32,
        )

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        assert source.goal_xy is not None, "pointgoal needs a task with goals"
        return np.asarray(_polar(source.simulator.c2w, source.goal_xy))


class CollisionSensor:
    """1 where the last step met something, else 0."""

    def __init__(self) -> None:
        self.space = spaces.Box(0.0, 1.0, (1,), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return source.simulator.collided.astype(np.float32)[:, None]


class PoseSensor:
    """Camera position xyz in metres and orientation quaternion wxyz (w ≥ 0), both in the world."""

    def __init__(self) -> None:
        high = np.array([POSITION_LIMIT_M] * 3 + [1.0] * 4, np.float32)
        self.space = spaces.Box(-high, high, dtype=np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_poses(source.simulator.c2w))


@njit(cache=True, nogil=True)
def _quantize(depth: Any, scale: Any, out: Any) -> None:
    """Depth [P] to uint8 [P]: what is seen is at least 1, so that 0 keeps meaning nothing."""
    for i in range(len(depth)):
        step = np.int32(min(depth[i] * scale + np.float32(0.5), np.float32(255.0)))
        out[i] = max(step, np.int32(depth[i] > 0))


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


@njit(cache=True, nogil=True)
def _poses(c2w: Any) -> Any:
    """Positions and quaternions wxyz [N, 7], by the largest component (Shepperd's method)."""
    out = np.empty((len(c2w), 7), np.float32)
    q = np.empty(4)
    for i in range(len(c2w)):
        r = c2w[i]
        for k in range(3):
            out[i, k] = min(max(r[k, 3], -POSITION_LIMIT_M), POSITION_LIMIT_M)
        trace = r[0, 0] + r[1, 1] + r[2, 2]
        best = 0
        largest = trace
        for k in range(3):
            if r[k, k] > largest:
                best, largest = k + 1, r[k, k]
        if best == 0:
            q[0] = 1.0 + trace
            q[1], q[2], q[3] = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
        else:
            a = best - 1
            b, c = (a + 1) % 3, (a + 2) % 3
            q[0] = r[c, b] - r[b, c]
            q[1 + a] = 1.0 + r[a, a] - r[b, b] - r[c, c]
            q[1 + b], q[1 + c] = r[a, b] + r[b, a], r[a, c] + r[c, a]
        norm = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
        if q[0] < 0:
            norm = -norm
        for k in range(4):
            out[i, 3 + k] = min(max(q[k] / norm, -1.0), 1.0)
    return out
