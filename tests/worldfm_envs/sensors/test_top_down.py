"""The egocentric map against the room's plan."""

import numpy as np
import pytest

from worldfm_envs.sensors.floor_maps import MAP_FREE, MAP_OBSTACLE, MAP_UNKNOWN, plan_of
from worldfm_envs.sensors.top_down import TopDownSensor
from worldfm_gym.camera import heading_c2w
from worldfm_gym.navigation import NavMap

SIZE, RESOLUTION = 80, 0.1


def read(source, resolution=RESOLUTION):
    sensor = TopDownSensor(map_size=SIZE, map_resolution_m=resolution)
    image = sensor.read(source)
    assert all(one in sensor.space for one in image)
    return image[..., 0]


def points_of(c2w, yaw, resolution):
    """World xy of the middles of the pixels [size, size, 2]: up is ahead."""
    v, u = np.mgrid[:SIZE, :SIZE] + 0.5
    ahead, right = (SIZE / 2 - v) * resolution, (u - SIZE / 2) * resolution
    cos, sin = np.cos(yaw), np.sin(yaw)
    return c2w[:2, 3] + np.stack([cos * ahead + sin * right, sin * ahead - cos * right], -1)


def on_box(xy, pose, size):
    local = (xy - pose[:2, 3]) @ pose[:2, :2]
    return (np.abs(local) <= size[:2] / 2 + 1e-9).all(-1)


def pixels_with_walls(nav, c2w, yaw, resolution):
    """Pixels [size, size] that hold the middle of a cell of the background."""
    iy, ix = np.nonzero(nav.background)
    away = nav.origin_xy + (np.stack([ix, iy], -1) + 0.5) * nav.cell_m - c2w[:2, 3]
    ahead = away @ [np.cos(yaw), np.sin(yaw)]
    right = away @ [np.sin(yaw), -np.cos(yaw)]
    v = np.floor(SIZE / 2 - ahead / resolution).astype(int)
    u = np.floor(SIZE / 2 + right / resolution).astype(int)
    inside = (v >= 0) & (v < SIZE) & (u >= 0) & (u < SIZE)
    held = np.zeros((SIZE, SIZE), bool)
    held[v[inside], u[inside]] = True
    return held


@pytest.mark.parametrize("resolution", [0.03, 0.1])
@pytest.mark.parametrize("yaw", [0.0, np.pi / 2, -2.3, 0.7])
def test_each_pixel_tells_what_stands_there(source, box_room, yaw, resolution):
    simulator, nav = source.simulator, box_room.nav
    turned = np.eye(4)
    turned[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    turned[:3, 3] = 1.5, 3.0, 0.4
    simulator.set_object_pose(1, 1, turned)
    simulator.place_ground([0, 1, 2], [(2.013, 2.117)] * 3, [yaw] * 3)
    source.c2w[:] = simulator.c2w
    image = read(source, resolution)
    xy = points_of(simulator.c2w[0], yaw, resolution)
    cells = np.floor((xy - nav.origin_xy) / nav.cell_m).astype(int)
    inside = ((cells >= 0) & (cells < nav.shape[::-1])).all(-1)
    iy, ix = np.where(inside, cells[..., 1], 0), np.where(inside, cells[..., 0], 0)
    for agent, scene in ((0, 0), (1, 1)):
        boxes = np.zeros((SIZE, SIZE), bool)
        for k, item in enumerate(box_room.objects):
            boxes |= on_box(xy, simulator.object_poses[scene, k], item.size)
        expected = np.where(inside & nav.known_free[iy, ix], MAP_FREE, MAP_UNKNOWN)
        expected[inside & nav.background[iy, ix]] = MAP_OBSTACLE
        expected[pixels_with_walls(nav, simulator.c2w[agent], yaw, resolution)] = MAP_OBSTACLE
        expected[boxes] = MAP_OBSTACLE
        assert (image[agent] != expected).mean() < 2e-3  # pixels on the very edge of a box
        assert {MAP_FREE, MAP_OBSTACLE} <= set(np.unique(image[agent]))
    assert (image[0] != image[1]).any()


def test_ahead_is_up(source):
    """Agent 0 looks along +x at the crate, 1.6 m ahead of it."""
    image = read(source)[0]
    middle = image[:, SIZE // 2]
    ahead = [middle[SIZE // 2 - 1 - round(d / RESOLUTION)] for d in (0.5, 1.4, 1.8, 2.2)]
    assert ahead == [MAP_FREE, MAP_FREE, MAP_OBSTACLE, MAP_OBSTACLE]
    source.c2w[0] = heading_c2w((1.0, 2.0, 1.25), 0.0, -1.2)  # looking down changes nothing
    np.testing.assert_array_equal(read(source)[0], image)


def test_what_is_gone_low_or_high_is_free(source):
    simulator = source.simulator
    crate = read(source)[0] == MAP_OBSTACLE
    simulator.set_object_present(0, 1, False)
    gone = crate & (read(source)[0] == MAP_FREE)
    assert gone.sum() == pytest.approx((0.8 / RESOLUTION) ** 2, rel=0.15)
    simulator.set_object_present(0, 1, True)
    for z, there in ((-0.3, False), (-0.2, True), (1.85, True), (1.95, False)):
        pose = np.eye(4)
        pose[:3, 3] = 3.0, 2.0, z  # the crate is 0.8 m high, a step 0.15 m, a body 1.5 m
        simulator.set_object_pose(0, 1, pose)
        assert (read(source)[0][gone] == MAP_OBSTACLE).all() == there


def test_an_own_body_is_not_in_the_way(source):
    simulator = source.simulator
    simulator.attach_body(0, 1)
    assert read(source)[0][SIZE // 2, SIZE // 2] == MAP_FREE
    assert read(source)[2][SIZE // 2, SIZE // 2] == MAP_OBSTACLE  # to who stands within it


def test_without_a_map_all_is_unknown(source, roofless_room):
    source.simulator.set_world(0, roofless_room)
    image = read(source)
    assert not image[0].any()
    assert image[1].any()


def test_gaps_in_walls_and_their_hollow_inside_are_walls(source, box_room):
    arrays = box_room.nav.to_arrays()
    free, background = arrays["known_free"].copy(), arrays["background"].copy()
    iy, ix = free.shape[0] // 2, free.shape[1] // 3
    for face in (0, 3):  # a hollow wall along x with a hole in one face
        background[iy + face], free[iy + face] = True, False
    background[iy, ix], free[iy, ix] = False, True
    arrays |= {"known_free": free, "background": background}
    plan = plan_of(NavMap.from_arrays(arrays, box_room.nav.body))
    inner = np.flatnonzero(free[iy + 1])
    assert (plan[iy : iy + 4, inner] == MAP_OBSTACLE).all()
    assert (plan[iy - 1, inner] == MAP_FREE).all()
    assert (plan[iy + 4, inner] == MAP_FREE).all()
    assert (plan[~free & ~background] == MAP_UNKNOWN).all()
