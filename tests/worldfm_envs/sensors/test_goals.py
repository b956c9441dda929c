"""Goal sensors against plane geometry."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.categories import category_index
from worldfm_envs.sensors.goals import ImageGoalSensor, ObjectGoalSensor, PointGoalSensor
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


def test_image_goals_are_passed_on_where_frames_are(source):
    goal = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    sensor = ImageGoalSensor(width=48, height=32)
    given = replace(source, goals={"goal_rgb": goal})
    np.testing.assert_array_equal(sensor.read(given), goal)
    there = replace(given, frame=replace(source.frame, rgb=torch.from_numpy(source.frame.rgb)))
    np.testing.assert_array_equal(sensor.read(there).numpy(), goal)
    assert sensor.space.shape == (32, 48, 3)


def test_category_goals_are_one_hot(source):
    sensor = ObjectGoalSensor()
    wanted = np.array([category_index("sofa"), 1, category_index("workbench")])
    reading = sensor.read(replace(source, goals={"goal_category": wanted}))
    assert all(row in sensor.space for row in reading)
    np.testing.assert_array_equal(reading.argmax(axis=1), wanted)
    assert (reading.sum(axis=1) == 1).all()
