"""The lidar ring against exact distances in the box room."""

import numpy as np
import pytest

from tests.conftest import ROOM, box_entry
from worldfm_envs.sensors.lidar import LidarSensor
from worldfm_gym.camera import heading_c2w

BEAMS = 72


def read(source, range_m=10.0):
    sensor = LidarSensor(lidar_beams=BEAMS, lidar_range_m=range_m)
    ranges = sensor.read(source)
    assert all(one in sensor.space for one in ranges)
    return ranges


def exact(simulator, agent, yaw, box_room):
    """Ways to the walls and to the boxes along each beam [BEAMS]."""
    angle = yaw + 2 * np.pi * np.arange(BEAMS) / BEAMS
    rays = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    eye, scene = simulator.c2w[agent, :3, 3], simulator.scene[agent]
    rays[np.abs(rays) < 1e-12] = 1e-12
    walls = (np.where(rays > 0, ROOM - eye, -eye) / rays)[:, :2].min(axis=1)
    boxes = np.full(BEAMS, np.inf)
    for k, item in enumerate(box_room.objects):
        hit = box_entry(simulator.object_poses[scene, k], item.size, eye, rays)
        boxes = np.minimum(boxes, hit)
    return walls, boxes


@pytest.mark.parametrize("height", [0.4, 1.25])
@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_ranges_are_those_to_walls_and_boxes(source, box_room, height, yaw):
    simulator = source.simulator
    tilted = np.eye(4)
    tilted[:3, :3] = heading_c2w((0.0, 0.0, 0.0), 0.4, 0.5)[:3, :3]
    tilted[:3, 3] = 4.5, 1.0, 0.8
    simulator.set_object_pose(1, 2, tilted)
    for agent in range(3):
        source.c2w[agent] = heading_c2w((1.3, 2.2 - 0.5 * agent, height), yaw)
    simulator.c2w[:] = source.c2w
    ranges = read(source)
    for agent in range(3):
        walls, boxes = exact(simulator, agent, yaw, box_room)
        at_box = boxes < walls - 0.15
        np.testing.assert_allclose(ranges[agent][at_box], boxes[at_box], rtol=1e-5)
        rest = boxes > walls + 0.15
        # Walls are voxels of 5 cm, met at an angle of at least that to a corner.
        off = ranges[agent][rest] - walls[rest]
        assert (off < 1e-4).all()
        assert np.median(off) > -0.06
        assert at_box.any() or height == 1.25
    assert (ranges[0] != ranges[1]).any()


def test_beam_zero_looks_ahead_and_the_next_to_the_left(source):
    source.c2w[0] = heading_c2w((1.0, 1.0, 1.25), np.pi / 2, -0.7)
    ranges = read(source)[0]
    expected = [3.0, 1.0, 1.0, 5.0]  # ahead +y, left −x, behind −y, right +x
    np.testing.assert_allclose(ranges[:: BEAMS // 4], expected, atol=0.08)


def test_ranges_end_at_the_range(source):
    far, near = read(source), read(source, range_m=1.5)
    np.testing.assert_allclose(near, np.minimum(far, 1.5), rtol=1e-6)
    assert (near == np.float32(1.5)).any()


def test_what_is_gone_and_the_own_body_are_looked_through(source):
    simulator = source.simulator
    source.c2w[:, 2, 3] = 0.4
    ahead = read(source)[:, 0]
    np.testing.assert_allclose(ahead[0], 1.6, atol=1e-5)  # the crate
    simulator.set_object_present(0, 1, False)
    assert read(source)[0, 0] > 4.5
    simulator.set_object_present(0, 1, True)
    simulator.attach_body(2, 1)
    assert read(source)[2].min() > 0.5
    assert read(source)[0].max() == 0.0  # agent 0 stands within it


def test_without_a_map_only_objects_are_met(source, roofless_room):
    source.simulator.set_world(0, roofless_room)
    source.c2w[0] = heading_c2w((1.0, 2.0, 0.4), 0.0)
    ranges = read(source)[0]
    np.testing.assert_allclose(ranges[0], 1.6, atol=1e-5)
    assert ranges[BEAMS // 2] == 10.0
