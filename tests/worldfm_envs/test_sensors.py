"""Sensors against the camera model, in a room whose every depth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worldfm_envs.sensors import SensorInput
from worldfm_envs.sensors.goals import PointGoalSensor
from worldfm_envs.sensors.images import DepthSensor, RgbSensor
from worldfm_envs.sensors.objects import OBJECT_COLUMNS, ObjectPoseSensor
from worldfm_envs.sensors.state import CollisionSensor, PoseSensor
from worldfm_gym.camera import heading_c2w, invert_rigid, quaternion_to_rotation, rotation_exp
from worldfm_gym.simulator import Simulator, SimulatorConfig

CONFIG = SimulatorConfig(width=48, height=32)
SIZE = {"width": 48, "height": 32}


def sensor_input(simulator, frame, **goals):
    """What sensors read when an episode of every agent has just begun."""
    count = len(simulator.c2w)
    zeros = np.zeros(count, np.int64)
    return SensorInput(
        simulator=simulator,
        frame=frame,
        agents=np.arange(count),
        c2w=simulator.c2w,
        last_c2w=simulator.c2w,
        start_c2w=simulator.c2w,
        scene=getattr(simulator, "scene", zeros),
        collided=getattr(simulator, "collided", zeros > 0),
        step_count=zeros,
        episode_seed=zeros.astype(np.uint64),
        step_s=0.25,
        goals=goals,
    )


@pytest.fixture
def source(box_room, box_room_renderer):
    """Three agents: facing the crate, facing a wall, looking away from everything."""
    simulator = Simulator(
        [box_room, box_room], scene=[0, 1, 0], config=CONFIG, renderer=box_room_renderer
    )
    simulator.place_ground([0, 1, 2], [(1.0, 2.0), (1.0, 1.0), (1.0, 2.0)], [0.0, np.pi, np.pi])
    goal_xy = np.array([[2.0, 2.0], [1.0, 2.0], [1.0, 1.0]])
    return sensor_input(simulator, simulator.render(), goal_xy=goal_xy)


def test_images_are_passed_on(source):
    sensor = RgbSensor(**SIZE)
    np.testing.assert_array_equal(sensor.read(source), source.frame.rgb)
    assert sensor.space.shape == (32, 48, 3)


def test_depth_in_meters_is_clipped(source):
    sensor = DepthSensor(**SIZE, max_depth_m=2.0, dtype="float32")
    depth = sensor.read(source)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth[..., 0], np.minimum(source.frame.depth, 2.0))
    assert depth.max() == 2.0


def test_depth_in_bytes_is_within_half_a_step_and_keeps_zero_for_nothing(source):
    source.frame.depth[0, 0, :3] = 0.0, 1e-4, 1e9
    sensor = DepthSensor(**SIZE, max_depth_m=8.0, dtype="uint8")
    depth = sensor.read(source)[..., 0]
    assert depth.dtype == np.uint8
    assert depth[0, 0, :3].tolist() == [0, 1, 255]
    clipped = np.minimum(source.frame.depth, 8.0)
    seen = clipped > 0.1
    assert np.abs(depth[seen] * (8.0 / 255) - clipped[seen]).max() <= 0.5 * 8.0 / 255 + 1e-5


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


def rows_of(source, num_objects):
    sensor = ObjectPoseSensor(num_objects=num_objects)
    reading = sensor.read(source)
    assert all(row in sensor.space for row in reading)
    return reading.reshape(3, num_objects, OBJECT_COLUMNS)


def test_object_rows_are_poses_in_the_camera_frame(source, box_room):
    rows = rows_of(source, num_objects=2)
    assert rows[0, :, 13].tolist() == [1, 2]  # the crate is nearer than the cabinet
    for agent in range(3):
        w2c = invert_rigid(source.simulator.c2w[agent])
        for row in rows[agent]:
            item = box_room.object(int(row[13]))
            relative = w2c @ item.pose
            np.testing.assert_allclose(row[:3], relative[:3, 3], atol=1e-6)
            np.testing.assert_allclose(row[3:9], relative[:3, :2].T.ravel(), atol=1e-6)
            np.testing.assert_allclose(row[9:12], item.size, rtol=1e-6)


def test_objects_are_visible_if_and_only_if_a_pixel_shows_them(source):
    rows = rows_of(source, num_objects=2)
    for agent in range(3):
        for row in rows[agent]:
            assert row[12] == (source.frame.instance[agent] == row[13]).any()
    assert rows[0, 0, 12] == 1
    assert rows[2, :, 12].tolist() == [0, 0]


def test_missing_objects_leave_empty_rows_and_far_ones_are_left_out(source):
    rows = rows_of(source, num_objects=5)
    assert not rows[:, 2:].any()
    assert rows_of(source, num_objects=1)[:, 0, 13].tolist() == [1, 1, 1]


def test_object_rows_follow_the_objects(source):
    pose = np.eye(4)
    pose[:3, 3] = 1.0, 1.0, 1.25
    source.simulator.set_object_pose(1, 2, pose)  # the cabinet, onto agent 1 of scene 1
    rows = rows_of(source, num_objects=2)
    assert rows[1, :, 13].tolist() == [2, 1]
    np.testing.assert_allclose(rows[1, 0, :3], 0.0, atol=1e-6)
    assert rows[0, :, 13].tolist() == [1, 2]


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_nearest_objects_come_first_with_ties_in_order(seed, wanted):
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (1, 9, 1, 1))
    poses[0, :, :3, 3] = rng.integers(-2, 3, (9, 3))
    instances = rng.permutation(9)[None] + 0  # one of them is padding: id 0

    class Objects:
        pass

    class Still:
        c2w = np.eye(4)[None]
        scene = np.zeros(1, np.int64)
        objects = Objects

    Objects.poses, Objects.sizes, Objects.instances = poses, np.ones((1, 9, 3)), instances

    class Nothing:
        instance = np.full((1, 4, 4), -1, np.int32)

    reading = ObjectPoseSensor(num_objects=wanted).read(sensor_input(Still, Nothing))
    distance = np.where(instances[0] > 0, np.linalg.norm(poses[0, :, :3, 3], axis=1), np.inf)
    expected = instances[0][np.argsort(distance, kind="stable")][: min(wanted, 8)]
    assert reading.reshape(wanted, -1)[: len(expected), 13].tolist() == expected.tolist()
