"""State sensors: contact, where the agent is and how it moves, from geometry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sensors.base import POSITION_LIMIT_M, SensorInput

SPEED_LIMIT = 1000.0
"""Bound of velocities (m/s) and turn rates (rad/s); readings are clipped to it."""


class CollisionSensor:
    """1 where the last step met something, else 0."""

    def __init__(self) -> None:
        self.space = spaces.Box(0.0, 1.0, (1,), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return source.collided.astype(np.float32)[:, None]


class PoseSensor:
    """Camera position xyz in metres and orientation quaternion wxyz (w ≥ 0), both in the world."""

    def __init__(self) -> None:
        high = np.array([POSITION_LIMIT_M] * 3 + [1.0] * 4, np.float32)
        self.space = spaces.Box(-high, high, dtype=np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_poses(source.c2w))


class GpsSensor:
    """Where the agent is from where it started: metres ahead and to the left of its first heading.

    Without noise, on the floor plane. With `compass` an agent that knows its goal from the start
    can find it.
    """

    def __init__(self) -> None:
        self.space = spaces.Box(-POSITION_LIMIT_M, POSITION_LIMIT_M, (2,), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_since_start(source.start_c2w, source.c2w)[:, :2])


class CompassSensor:
    """Heading relative to that at the start, radians from −π to π, positive to the left."""

    def __init__(self) -> None:
        # float32(π) exceeds π, so the bound holds for every angle.
        self.space = spaces.Box(-np.pi, np.pi, (1,), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_since_start(source.start_c2w, source.c2w)[:, 2:])


class VelocitySensor:
    """Mean velocity over the last step, in the camera frame of now (x right, y down, z forward).

    Three components of linear velocity in m/s, then three of the turn rate in rad/s, right-handed
    about these axes. 0 at the start. What a collision stopped does not count.
    """

    def __init__(self) -> None:
        self.space = spaces.Box(-SPEED_LIMIT, SPEED_LIMIT, (6,), np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        return np.asarray(_velocities(source.last_c2w, source.c2w, source.step_s))


@njit(cache=True, nogil=True)
def _since_start(start: Any, now: Any) -> Any:
    """(ahead, left, turn to the left) [N, 3] of cameras since their start."""
    out = np.empty((len(now), 3), np.float32)
    for i in range(len(now)):
        yaw = math.atan2(start[i, 0, 0], -start[i, 1, 0])
        cos, sin = math.cos(yaw), math.sin(yaw)
        dx, dy = now[i, 0, 3] - start[i, 0, 3], now[i, 1, 3] - start[i, 1, 3]
        out[i, 0] = min(max(cos * dx + sin * dy, -POSITION_LIMIT_M), POSITION_LIMIT_M)
        out[i, 1] = min(max(cos * dy - sin * dx, -POSITION_LIMIT_M), POSITION_LIMIT_M)
        turn = math.atan2(now[i, 0, 0], -now[i, 1, 0]) - yaw
        out[i, 2] = math.atan2(math.sin(turn), math.cos(turn))
    return out


@njit(cache=True, nogil=True)
def _velocities(last: Any, now: Any, step_s: float) -> Any:
    """Linear and angular velocities [N, 6] between cameras, by the logarithm of the rotation."""
    out = np.empty((len(now), 6), np.float32)
    between = np.empty((3, 3))
    for i in range(len(now)):
        for a in range(3):
            linear = 0.0
            for c in range(3):
                linear += now[i, c, a] * (now[i, c, 3] - last[i, c, 3])
            out[i, a] = min(max(linear / step_s, -SPEED_LIMIT), SPEED_LIMIT)
            for b in range(3):
                between[a, b] = 0.0
                for c in range(3):
                    between[a, b] += last[i, c, a] * now[i, c, b]
        # Twice the sine times the axis: a turn is its own axis, so both frames agree on it.
        x = between[2, 1] - between[1, 2]
        y = between[0, 2] - between[2, 0]
        z = between[1, 0] - between[0, 1]
        sine = 0.5 * math.sqrt(x * x + y * y + z * z)
        cosine = 0.5 * (between[0, 0] + between[1, 1] + between[2, 2] - 1.0)
        angle = math.atan2(sine, cosine)
        scale = 0.5 * (angle / sine if sine > 1e-12 else 1.0) / step_s
        out[i, 3] = min(max(x * scale, -SPEED_LIMIT), SPEED_LIMIT)
        out[i, 4] = min(max(y * scale, -SPEED_LIMIT), SPEED_LIMIT)
        out[i, 5] = min(max(z * scale, -SPEED_LIMIT), SPEED_LIMIT)
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
