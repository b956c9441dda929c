"""State sensors: contact and pose, from geometry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sensors.base import POSITION_LIMIT_M, SensorInput


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
