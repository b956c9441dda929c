"""State sensors against the camera model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.sensors.state import (
    CollisionSensor,
    CompassSensor,
    GpsSensor,
    PoseSensor,
    VelocitySensor,
)
from worldfm_gym.camera import heading_c2w, quaternion_to_rotation, rotation_exp
from worldfm_gym.motion import se3_exp


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


@given(
    st.floats(-3.1, 3.1),
    st.floats(-3.1, 3.1),
    hnp.arrays(np.float64, 2, elements=st.floats(-5, 5)),
    st.floats(-1.4, 1.4),
)
def test_gps_and_compass_give_back_the_way_since_the_start(yaw, turn, moved, pitch):
    class Still:
        c2w = np.eye(4)[None].copy()

    start = heading_c2w([[1.0, 2.0, 1.25]], yaw, pitch)
    ahead = np.array([np.cos(yaw), np.sin(yaw)])
    left = np.array([-np.sin(yaw), np.cos(yaw)])
    xy = start[0, :2, 3] + moved[0] * ahead + moved[1] * left
    Still.c2w = heading_c2w([[*xy, 1.25]], yaw + turn, -pitch)
    given = sensor_input(Still, None, start_c2w=start)
    np.testing.assert_allclose(GpsSensor().read(given)[0], moved, atol=1e-5)
    np.testing.assert_allclose(CompassSensor().read(given)[0], [turn], atol=1e-5)
    assert CompassSensor().read(given)[0] in CompassSensor().space
    assert GpsSensor().read(given)[0] in GpsSensor().space


@given(hnp.arrays(np.float64, 6, elements=st.floats(-3, 3)))
def test_velocity_gives_back_the_twist(twist):
    """Exactly the turn rate; the linear velocity where the camera does not turn."""

    class Still:
        c2w = np.eye(4)[None].copy()

    last = heading_c2w([[1.0, 2.0, 1.25]], 0.7, 0.2)
    Still.c2w = last @ se3_exp(twist * 0.25)
    reading = VelocitySensor().read(sensor_input(Still, None, last_c2w=last))[0]
    assert reading in VelocitySensor().space
    np.testing.assert_allclose(reading[3:], twist[3:], atol=1e-5)
    chord = np.linalg.norm(Still.c2w[0, :3, 3] - last[0, :3, 3]) / 0.25
    np.testing.assert_allclose(np.linalg.norm(reading[:3]), chord, atol=1e-5)
    straight = twist * [1, 1, 1, 0, 0, 0]
    Still.c2w = last @ se3_exp(straight * 0.25)
    reading = VelocitySensor().read(sensor_input(Still, None, last_c2w=last))[0]
    np.testing.assert_allclose(reading, straight, atol=1e-5)


def test_velocity_is_zero_at_the_start(source):
    assert not VelocitySensor().read(source).any()
