"""Teammate sensor: where the others are, from geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldfm_envs.sensors.base import POSITION_LIMIT_M, SensorInput
from worldfm_gym.motion import heading_of

TEAMMATE_COLUMNS = 5
"""Metres ahead and to the left, cosine and sine of the difference of headings, 1 if it is there."""


class TeammateSensor:
    """Where the other agents of the simulator are, in the order of their numbers, itself left out.

    ``reshape(-1, 5)`` has a row for each: metres ahead and to the left, cosine and sine of its
    heading relative to the agent's, and 1; all zeros once it has left.
    """

    def __init__(self, num_agents: int) -> None:
        """For one of `num_agents` agents that share a scene."""
        high = np.tile(
            np.array([POSITION_LIMIT_M, POSITION_LIMIT_M, 1, 1, 1], np.float32), num_agents - 1
        )
        low = -high
        low[TEAMMATE_COLUMNS - 1 :: TEAMMATE_COLUMNS] = 0.0
        self.space = spaces.Box(low, high, dtype=np.float32)

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        simulator = source.simulator
        count = simulator.num_agents
        others = np.arange(count - 1) + (np.arange(count - 1) >= source.agents[:, None])  # [M, N-1]
        yaw = heading_of(source.c2w)[0][:, None]
        offset = simulator.position_xy[others] - source.c2w[:, None, :2, 3]
        turn = simulator.yaw[others] - yaw
        cos, sin = np.cos(yaw), np.sin(yaw)
        reading = np.stack(
            [
                cos * offset[..., 0] + sin * offset[..., 1],
                cos * offset[..., 1] - sin * offset[..., 0],
                np.cos(turn),
                np.sin(turn),
                np.ones_like(turn),
            ],
            axis=-1,
        )
        reading[..., :2] = reading[..., :2].clip(-POSITION_LIMIT_M, POSITION_LIMIT_M)
        reading *= (simulator.bodies[others] >= 0)[..., None]
        return reading.reshape(len(source), -1).astype(np.float32)
