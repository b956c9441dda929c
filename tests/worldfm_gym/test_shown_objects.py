"""Ghosts: what references show of an object that has moved or gone does not reach the frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import BoxRoomRenderer, place
from tests.worldfm_gym.frame_model.remembered_room import (
    level_cameras,
    remembered,
    tiny_model,
)
from worldfm_gym.frame_renderer import FrameRenderer
from worldfm_gym.shown_objects import displaced, objects_shown, rest_poses
from worldfm_gym.worlds.bodies import with_bodies

CRATE, CABINET = 1, 2
FACING = ((0.8, 2.0, 0.0), (1.0, 1.6, 0.2))
NOTHING = np.full((4, 4), np.nan)


@pytest.fixture(scope="module")
def room():
    """It remembers two views of the crate; its anchor has a hole all around and behind it."""
    world = remembered(FACING)
    behind = (world.anchor.points[:, 0] > 2.2) & (world.anchor.instance != CRATE)
    return replace(world, anchor=world.anchor[~behind])


def poses_of(world, **moved):
    poses = np.array([[item.pose for item in world.objects]])
    for name, pose in moved.items():
        poses[0, {"crate": 0, "cabinet": 1}[name]] = pose
    return poses


def draw(world, camera, poses, **options):
    renderer = FrameRenderer([world], model=tiny_model(), **options)
    return renderer.render(camera, np.zeros(len(camera.c2w), np.int64), object_poses=poses)


def crate_depth(world, camera):
    """Exact depth where the camera sees the crate, infinite elsewhere."""
    exact = BoxRoomRenderer([world]).render(camera, np.zeros(1, np.int64))
    return np.where(exact.instance[0] == CRATE, exact.depth[0], np.inf)


@pytest.mark.parametrize("now", [NOTHING, place(0.5, 3.6, 0.4)])
def test_an_object_that_went_away_leaves_no_ghost(room, now):
    camera = level_cameras(0.8, 2.0, 0.0)
    crate = crate_depth(room, camera)
    seen = np.isfinite(crate)
    assert seen.sum() > 50
    before = draw(room, camera, poses_of(room))
    assert (np.abs(before.depth[0][seen] / crate[seen] - 1) < 0.06).mean() > 0.9
    after = draw(room, camera, poses_of(room, crate=now))
    ghost = np.abs(after.depth[0][seen] - crate[seen]) < 0.03 * crate[seen]
    assert ghost.mean() < 0.1
    assert (after.instance[0][seen] != CRATE).all()


def test_the_rest_of_the_references_is_carried_over_still(room):
    camera = level_cameras(0.8, 2.0, 0.0)
    far = ~np.isfinite(crate_depth(room, camera))
    near_crate = (
        torch.nn.functional.max_pool2d(
            torch.from_numpy(~far)[None].float(), 9, stride=1, padding=4
        )[0]
        .bool()
        .numpy()
    )
    truth = BoxRoomRenderer([room]).render(camera, np.zeros(1, np.int64)).depth[0]
    before = draw(room, camera, poses_of(room)).depth[0]
    after = draw(room, camera, poses_of(room, crate=NOTHING)).depth[0]
    known = (np.abs(before / truth - 1) < 0.02) & ~near_crate
    assert known.mean() > 0.3
    assert (after[known] == before[known]).mean() > 0.99


def test_what_moves_back_is_drawn_as_before(room):
    camera = level_cameras([0.8, 1.0], 2.0, 0.1)
    renderer, scene = FrameRenderer([room], model=tiny_model()), np.zeros(2, np.int64)
    first = renderer.render(camera, scene, object_poses=poses_of(room))
    away = renderer.render(camera, scene, object_poses=poses_of(room, crate=NOTHING))
    again = renderer.render(camera, scene, object_poses=poses_of(room))
    assert (away.rgb != first.rgb).any()
    np.testing.assert_array_equal(first.rgb, again.rgb)
    np.testing.assert_array_equal(first.depth, again.depth)


def test_scenes_of_one_world_have_ghosts_of_their_own_taken_out(room):
    camera = level_cameras([0.8, 0.8], 2.0, 0.0)
    renderer = FrameRenderer([room, room], model=tiny_model(), deterministic=True)
    poses = np.concatenate([poses_of(room), poses_of(room, crate=NOTHING)])
    both = renderer.render(camera, np.array([0, 1]), object_poses=poses)
    for i in range(2):
        alone = draw(room, camera[i : i + 1], poses[i : i + 1], deterministic=True)
        np.testing.assert_array_equal(both.rgb[i], alone.rgb[0])
    other = remembered(FACING[:1])
    renderer.replace_world(0, other)  # takes rows of the table of its own
    both = renderer.render(camera, np.array([0, 1]), object_poses=poses[[1, 1]])
    for i, world in enumerate((other, room)):
        alone = draw(world, camera[i : i + 1], poses[1:], deterministic=True)
        np.testing.assert_array_equal(both.rgb[i], alone.rgb[0])


def test_pixels_are_told_apart_as_exact_images_have_them(room):
    cameras = level_cameras(*np.array(FACING).T, width=64, height=48)
    shown = objects_shown(remembered(FACING), cameras).numpy()
    exact = BoxRoomRenderer([room]).render(cameras, np.zeros(2, np.int64)).instance
    for instance, least in ((CRATE, 0.97), (CABINET, 0.75)):  # the second is small and cut off
        assert (shown[exact == instance] == instance).mean() > least
        beside = (shown == instance) & (exact != instance)
        assert beside.sum() < 0.6 * (exact == instance).sum()


def test_bodies_are_in_no_picture_and_displace_nothing(room):
    populated = with_bodies(room, 2)
    rest = rest_poses([populated])
    poses = np.array([[item.pose for item in populated.objects]])
    poses[0, 2] = place(2.0, 2.0, 0.5)
    table, some = displaced(poses, np.zeros(1, np.int64), np.zeros(1, np.int64), rest)
    assert not some
    assert table.shape == (1, 5)
    poses[0, 1, 0, 3] += 0.1
    table, some = displaced(poses, np.zeros(1, np.int64), np.zeros(1, np.int64), rest)
    assert some
    assert table.tolist() == [[False, False, True, False, False]]
    cameras = level_cameras(*np.array(FACING).T)
    assert objects_shown(populated, cameras).max() <= 2
