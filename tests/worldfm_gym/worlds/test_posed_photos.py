from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.worldfm_gym.worlds.told_depth import ToldDepth
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.posed_photos import world_from_photos
from worldfm_gym.worlds.raycast import render_scene

FACTORS = [0.6, 1.5, 0.9, 1.2]


@pytest.fixture(scope="module")
def views(room_scene):
    """Four views of a procedural room along a short walk: rgb, depth and cameras."""
    eye, heading = room_scene.start_c2w[:3, 3], room_scene.start_c2w[:3, 2]
    yaw = float(np.arctan2(heading[1], heading[0]))
    side = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    poses = [
        heading_c2w(eye + 0.2 * (i - 1.5) * side, yaw + 0.1 * (1.5 - i), -0.35) for i in range(4)
    ]
    cameras = Camera.from_fov(np.stack(poses), 75.0, width=240, height=180)
    rgb, depth, _ = render_scene(room_scene.scene, cameras)
    return rgb, depth, cameras


@pytest.fixture(scope="module")
def room_scene():
    from worldfm_gym import make_world

    return make_world("rooms", seed=3)


@pytest.fixture
def paths(views, tmp_path: Path) -> list[Path]:
    for i, rgb in enumerate(views[0]):
        Image.fromarray(rgb).save(tmp_path / f"{i}.png")
    return [tmp_path / f"{i}.png" for i in range(4)]


def test_photos_of_different_scales_fuse_into_one_room(views, paths):
    _, depth, cameras = views
    world = world_from_photos(
        paths,
        c2w=cameras.c2w,
        K=cameras.K[0],
        body=AgentBody(0.1, 0.8),
        estimator=ToldDepth(list(depth), cameras.K[0], factors=FACTORS),
    )
    assert world.source["kind"] == "photos"
    assert world.source["frames"] == 4
    found = np.array(world.source["scale"]) * FACTORS
    np.testing.assert_allclose(found, 1.0, atol=0.06)
    assert world.start_c2w[2, 3] == pytest.approx(cameras.c2w[0, 2, 3], rel=0.06)


def test_numbers_must_agree(views, paths):
    _, depth, cameras = views
    told = ToldDepth(list(depth), cameras.K[0])
    with pytest.raises(SourceError, match=r"4 photos need c2w of shape \(4, 4, 4\)"):
        world_from_photos(paths, c2w=cameras.c2w[:3], K=cameras.K[0], estimator=told)
    with pytest.raises(SourceError, match="K must have the shape"):
        world_from_photos(paths, c2w=cameras.c2w, K=np.eye(4), estimator=told)
    with pytest.raises(SourceError, match="0 photos"):
        world_from_photos([], c2w=[], K=np.eye(3), estimator=told)
