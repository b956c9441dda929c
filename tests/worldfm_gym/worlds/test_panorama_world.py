"""A panorama ray-cast in a procedural room, with the truth as estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from tests.worldfm_gym.worlds.told_depth import ToldDepth
from worldfm_gym import make_world
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.panorama import panorama_cameras
from worldfm_gym.worlds import panorama_world
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.world import World

WIDTH, VIEW = 512, 192


@pytest.fixture(autouse=True)
def small_views(monkeypatch):
    monkeypatch.setattr(panorama_world, "_VIEW_SIDE", VIEW)


@pytest.fixture(scope="module")
def room() -> World:
    return make_world("rooms", seed=3)


@pytest.fixture(scope="module")
def eye(room) -> NDArray[np.float64]:
    return room.start_c2w[:3, 3]


@pytest.fixture(scope="module")
def panorama(room, eye, tmp_path_factory) -> Path:
    """The room around its start, equirectangular, put together from six faces of a cube."""
    poses = [heading_c2w(eye, yaw) for yaw in np.arange(4) * np.pi / 2]
    poses += [heading_c2w(eye, 0.0, sign * (np.pi / 2 - 1e-6)) for sign in (1, -1)]
    faces = Camera.from_fov(np.stack(poses), 90.0, width=256, height=256)
    rgb = render_scene(room.scene, faces)[0]
    v, u = np.meshgrid(np.arange(WIDTH // 2) + 0.5, np.arange(WIDTH) + 0.5, indexing="ij")
    heading, elevation = np.pi - 2 * np.pi * u / WIDTH, np.pi / 2 - 2 * np.pi * v / WIDTH
    level = np.cos(elevation)
    ways = np.stack([level * np.cos(heading), level * np.sin(heading), np.sin(elevation)], -1)
    picture = np.zeros((WIDTH // 2, WIDTH, 3), np.uint8)
    for i in range(6):
        pixels, along = faces[i].project((eye + ways).reshape(-1, 3))
        with np.errstate(invalid="ignore"):
            inside = (along > 0) & (pixels >= 0).all(axis=-1) & (pixels < 256).all(axis=-1)
        column, row = np.floor(np.where(inside[:, None], pixels, 0)).astype(int).T
        shown = inside.reshape(picture.shape[:2])
        picture[shown] = rgb[i][row, column][inside]
    path = tmp_path_factory.mktemp("panorama") / "room.png"
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture(scope="module")
def truth(room, eye) -> list[NDArray[np.float32]]:
    """True depth of the views that are cut from the panorama."""
    cameras = panorama_cameras(VIEW)
    c2w = cameras.c2w.copy()
    c2w[:, :3, 3] = eye
    return list(render_scene(room.scene, Camera(c2w, cameras.intrinsics, VIEW, VIEW))[1])


def test_a_panorama_becomes_the_room_all_around(room, eye, panorama, truth):
    factors = np.exp(np.random.default_rng(0).normal(0, 0.4, len(truth)))
    estimator = ToldDepth(truth, np.eye(3), metric=False, factors=factors.tolist())
    world = make_world(panorama, estimator=estimator, camera_height_m=float(eye[2]))
    assert world.source["kind"] == "panorama"
    assert world.source["warnings"] == []
    assert len(world.references) == len(truth)
    assert all(K is not None for K in estimator.told_K)
    np.testing.assert_allclose(world.start_c2w[:3, 3], [0, 0, eye[2]], atol=0.01)
    # Up is the floor's, which the merged depth bends by a fraction of a degree.
    points = world.anchor.points[~world.anchor.generated] + eye * [1, 1, 0]
    off = cKDTree(room.anchor.points).query(points[::10])[0]
    assert np.median(off) < 0.05
    assert np.quantile(off, 0.9) < 0.12
    nav = world.require_nav()
    assert nav.is_navigable(world.start_c2w[:2, 3])
    heading = np.arctan2(points[:, 1] - eye[1], points[:, 0] - eye[0])
    assert (np.histogram(heading, 36, (-np.pi, np.pi))[0] > 50).all()


def test_a_panorama_has_no_field_of_view(panorama, truth):
    with pytest.raises(SourceError, match="has no K and no fov_x_deg"):
        make_world(panorama, estimator=ToldDepth(truth, np.eye(3)), fov_x_deg=90)


def test_a_panorama_can_be_taken_as_a_photo(panorama, truth):
    estimator = ToldDepth(truth[:1], panorama_cameras(VIEW).K[0])
    world = make_world(panorama, estimator=estimator, panorama=False)
    assert world.source["kind"] == "photo"
    assert len(world.references) == 1


def test_a_panorama_of_unknown_depth_is_refused(panorama, truth):
    nothing = [np.zeros_like(truth[0])]
    with pytest.raises(SourceError, match="can't tell the depth of most"):
        make_world(panorama, estimator=ToldDepth(nothing, np.eye(3)))
