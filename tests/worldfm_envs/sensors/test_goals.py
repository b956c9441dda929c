"""Goal sensors against plane geometry."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.sensors.goals import PointGoalSensor
from worldfm_gym.camera import heading_c2w


def test_pointgoal_is_polar_and_positive_to_the_left(source):
    expected = [(1.0, 0.0), (1.0, -np.pi / 2), (1.0, np.pi / 2)]
    np.testing.assert_allclose(PointGoalSensor().read(source), expected, atol=1e-6)


@given(st.floats(-3.1, 3.1), st.floats(-1.4, 1.4))
def test_pointgoal_does_not_depend_on_the_pitch(yaw, pitch):
    class Still:
        c2w = heading_c2w([[0.0, 0.0, 1.0]], yaw, pitch)

    goal = np.array([[np.cos(yaw + 0.3), np.sin(yaw + 0.3)]])
    reading = PointGoalSensor().read(sensor_input(Still, None, goal_xy=goal))
    np.testing.assert_allclose(reading, [[1.0, 0.3]], atol=1e-6)
