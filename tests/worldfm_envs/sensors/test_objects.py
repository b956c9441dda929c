"""Object rows against the camera model."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.sensors.objects import OBJECT_COLUMNS, ObjectPoseSensor
from worldfm_gym.camera import invert_rigid


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
        bodies = np.full(1, -1)
        objects = Objects

    Objects.poses, Objects.sizes, Objects.instances = poses, np.ones((1, 9, 3)), instances
    Objects.present = np.ones((1, 9), np.bool_)

    class Nothing:
        instance = np.full((1, 4, 4), -1, np.int32)

    reading = ObjectPoseSensor(num_objects=wanted).read(sensor_input(Still, Nothing))
    distance = np.where(instances[0] > 0, np.linalg.norm(poses[0, :, :3, 3], axis=1), np.inf)
    expected = instances[0][np.argsort(distance, kind="stable")][: min(wanted, 8)]
    assert reading.reshape(wanted, -1)[: len(expected), 13].tolist() == expected.tolist()


def test_absent_objects_and_own_bodies_have_no_row(source):
    source.simulator.set_object_present(0, 1, False)
    rows = rows_of(source, num_objects=2)
    assert rows[0, :, 13].tolist() == [2, 0]
    assert rows[1, :, 13].tolist() == [1, 2]
    source.simulator.set_object_present(0, 1, True)
    source.simulator.attach_body(2, 1)
    rows = rows_of(source, num_objects=2)
    assert rows[2, :, 13].tolist() == [2, 0]
    assert sorted(rows[0, :, 13].tolist()) == [1, 2]


def test_rows_are_the_same_where_images_are_tensors(source):
    frame = replace(source.frame, instance=torch.from_numpy(source.frame.instance))
    there = ObjectPoseSensor(num_objects=3).read(replace(source, frame=frame))
    here = ObjectPoseSensor(num_objects=3).read(source)
    assert here.reshape(3, 3, -1)[..., 12].any()
    np.testing.assert_array_equal(there.numpy(), here)
