"""Far sides of things, on a box whose near side has been seen."""

from __future__ import annotations

import numpy as np
import pytest

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.growth.backs import far_sides
from worldfm_gym.growth.layout import RoomLayout
from worldfm_gym.growth.seen_space import FREE, SeenSpace
from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame
from worldfm_gym.worlds.world import Reference, World

LAYOUT = RoomLayout(0.0, np.array([-1.0, -2.0]), np.array([4.0, 2.0]), 2.5, (True,) * 4)


@pytest.fixture
def box_before_wall() -> World:
    """A camera at the origin sees a 0.6 m wide box at 2 m, a wall at 4 m and the floor."""
    camera = Camera.from_fov(heading_c2w((0, 0, 1.0), 0.0), 80.0, width=160, height=120)
    rays = camera.rays_world()
    depth = np.where(rays[..., 2] < 0, -1.0 / np.minimum(rays[..., 2], -1e-9), 1e9)
    depth = np.minimum(depth, 4.0).astype(np.float32)
    side, up = 2.0 * rays[..., 1], 1.0 + 2.0 * rays[..., 2]
    depth[(np.abs(side) < 0.3) & (up > 0.0) & (up < 1.2)] = 2.0
    rgb = np.full((120, 160, 3), 100, np.uint8)
    rgb[depth == 2.0] = 200
    anchor = points_of_frame(PosedFrame(rgb, depth, camera, "box"))
    assert anchor is not None
    return World(anchor, [Reference(rgb, depth, camera)], [], None, None, camera.c2w)


def test_a_thing_gets_a_far_side_behind_it_and_walls_get_none(box_before_wall: World):
    back = far_sides(box_before_wall, LAYOUT, spacing_m=0.02)
    assert back is not None
    assert back.generated.all()
    x, y, z = back.points.T
    assert (x > 2.0).all()
    assert (x < 2.5).all()
    assert np.abs(y).max() < 0.3 * 2.4 / 2
    assert 0 < z.min() < 0.15
    # The middle is deeper than the outline, and all of it faces away.
    middle = (np.abs(y) < 0.1) & (np.abs(z - 0.6) < 0.2)
    outline = np.abs(y) > 0.26
    assert x[middle].mean() > 2.2 > x[outline].mean()
    assert (back.normals[middle, 0] > 0.6).all()


def test_a_far_side_has_the_near_side_s_color_and_can_not_be_seen_from_there(
    box_before_wall: World,
):
    back = far_sides(box_before_wall, LAYOUT, spacing_m=0.02)
    assert back is not None
    assert np.abs(back.colors.astype(int) - 160).max() <= 1
    verdict = SeenSpace(box_before_wall).judge(back.points, np.full(len(back), 1e-4))
    assert (verdict == FREE).mean() > 0.95


def test_an_empty_room_has_none(box_before_wall: World):
    reference = box_before_wall.references[0]
    empty = reference.depth.copy()
    empty[empty == 2.0] = 0
    anchor = points_of_frame(PosedFrame(reference.rgb, empty, reference.camera, "empty"))
    assert anchor is not None
    world = World(
        anchor,
        [Reference(reference.rgb, empty, reference.camera)],
        [],
        None,
        None,
        box_before_wall.start_c2w,
    )
    assert far_sides(world, LAYOUT, spacing_m=0.02) is None
