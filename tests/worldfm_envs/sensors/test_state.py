"""State sensors against the camera model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.sensors.state import (
    CollisionSensor,
    PoseSensor,
)
from worldfm_gym.camera import quaternion_to_rotation, rotation_exp


def test_collision_is_one_after_a_bump(source):
    simulator = source.simulator
    for _ in range(6):
        simulator.move_ground([0.3, 0.0, 0.0])
    np.testing.assert_array_equal(
        CollisionSensor().read(sensor_input(simulator, source.frame)), [[1.0], [0.0], [0.0]]
    )


@given(hnp.arrays(np.float64, 3, elements=st.floats(-3.2, 3.2)))
def test_pose_gives_back_the_rotation(vector):
    class Still:
        c2w = np.eye(4)[None].copy()

    Still.c2w[0, :3, :3] = rotation_exp(vector)
    Still.c2w[0, :3, 3] = 1.0, -2.0, 5000.0
    pose = PoseSensor().read(sensor_input(Still, None))[0]
    np.testing.assert_allclose(pose[:3], [1.0, -2.0, 1000.0])
    assert pose[3] >= 0
    np.testing.assert_allclose(quaternion_to_rotation(pose[3:]), Still.c2w[0, :3, :3], atol=1e-6)
