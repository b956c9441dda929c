"""Agents in a room whose every depth is known."""

import numpy as np
import pytest

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_gym.simulator import Simulator, SimulatorConfig


@pytest.fixture
def source(box_room, box_room_renderer):
    """Three agents: facing the crate, facing a wall, looking away from everything."""
    simulator = Simulator(
        [box_room, box_room],
        scene=[0, 1, 0],
        config=SimulatorConfig(width=48, height=32),
        renderer=box_room_renderer,
    )
    simulator.place_ground([0, 1, 2], [(1.0, 2.0), (1.0, 1.0), (1.0, 2.0)], [0.0, np.pi, np.pi])
    goal_xy = np.array([[2.0, 2.0], [1.0, 2.0], [1.0, 1.0]])
    return sensor_input(simulator, simulator.render(), goal_xy=goal_xy)
