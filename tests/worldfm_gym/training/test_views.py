"""Camera plans stay in free space; what a view has seen is what a ray reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.camera import Camera, check_rigid, look_at
from worldfm_gym.errors import SourceError
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.views import CLEARANCE_M, plan_places, visible_points
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.sampling import anchor_from_scene
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder

SIDE = 48


def seen_from(scene: Scene, c2w: np.ndarray, intrinsics: np.ndarray) -> PosedImages:
    """True images of views [K]."""
    rgb, depth, _ = render_scene(scene, Camera(c2w, intrinsics, SIDE, SIDE))
    return PosedImages(
        torch.from_numpy(rgb),
        torch.from_numpy(depth),
        torch.from_numpy(np.asarray(c2w, np.float32)),
        torch.from_numpy(np.asarray(intrinsics, np.float32)),
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return build_scene("rooms", seed=3)


@pytest.fixture(scope="module")
def plan(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    return plan_places(scene, np.random.default_rng(0), places=6, width=SIDE, height=SIDE)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS))
@settings(max_examples=12)
def test_cameras_stand_free_inside(seed: int, kind: str) -> None:
    scene = build_scene(kind, seed=seed)
    c2w, intrinsics = plan_places(scene, np.random.default_rng(seed), places=5, views=4)
    assert c2w.shape == (5, 4, 4, 4)
    assert intrinsics.shape == (5, 4, 4)
    check_rigid(c2w)
    eye = c2w[..., :3, 3].reshape(-1, 1, 3).astype(np.float64)
    local = np.einsum("pij,npi->npj", scene.rotation.astype(np.float64), eye - scene.center)
    beyond = np.maximum(np.abs(local) - scene.half_size, 0).max(-1)  # of a box, Chebyshev
    assert beyond.min() >= CLEARANCE_M - 1e-4
    low, high = scene.floor_rects[:, :2].min(0), scene.floor_rects[:, 2:].max(0)
    assert ((eye[:, 0, :2] > low) & (eye[:, 0, :2] < high)).all()
    assert ((eye[:, 0, 2] > 0) & (eye[:, 0, 2] < scene.height)).all()
    fov_deg = np.rad2deg(2 * np.arctan(64 / intrinsics[..., 0]))
    assert ((fov_deg > 59.9) & (fov_deg < 100.1)).all()


def test_views_of_a_place_share_what_they_see(
    scene: Scene, plan: tuple[np.ndarray, np.ndarray]
) -> None:
    shared = []
    for c2w, intrinsics in zip(*plan, strict=True):
        images = seen_from(scene, c2w, intrinsics)
        points = Camera(c2w[0], intrinsics[0], SIDE, SIDE).unproject(images.depth_z[0].numpy())
        others = PosedImages(
            images.rgb[1:], images.depth_z[1:], images.c2w[1:], images.intrinsics[1:]
        )
        flat = torch.from_numpy(points.reshape(-1, 3)).float()
        shared.append(visible_points(flat, torch.full((len(flat),), 0.02), others).float().mean())
    assert min(shared) > 0.2
    assert 0.5 < np.mean(shared) < 0.99


def test_same_randomness_same_plan(scene: Scene) -> None:
    a, b = (plan_places(scene, np.random.default_rng(5), places=3) for _ in range(2))
    c = plan_places(scene, np.random.default_rng(6), places=3)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[0], c[0])


def test_no_place_without_a_floor(scene: Scene) -> None:
    bare = replace(scene, floor_rects=np.empty((0, 4), np.float32))
    with pytest.raises(SourceError, match="floor"):
        plan_places(bare, np.random.default_rng(0))


def test_a_view_sees_its_own_depth_and_nothing_behind_it(
    scene: Scene, plan: tuple[np.ndarray, np.ndarray]
) -> None:
    c2w, intrinsics = plan[0][0, :1], plan[1][0, :1]
    images = seen_from(scene, c2w, intrinsics)
    camera = Camera(c2w[0], intrinsics[0], SIDE, SIDE)
    depth = images.depth_z[0].numpy()
    for factor, expected in ((1.0, True), (1.15, False), (0.8, False), (-1.0, False)):
        points = camera.unproject(factor * depth).reshape(-1, 3)
        radius = torch.full((len(points),), 1e-3)
        seen = visible_points(torch.from_numpy(points).float(), radius, images)
        # Behind the edge of something near, a point can lie on the slope between two pixels.
        assert (seen == expected).float().mean() > (0.999 if expected else 0.98)


def test_visible_is_what_a_ray_reaches(scene: Scene, plan: tuple[np.ndarray, np.ndarray]) -> None:
    """The oracle casts one exact ray to each point."""
    c2w, intrinsics = plan[0][1, :1], plan[1][1, :1]
    anchor = anchor_from_scene(scene, spacing_m=0.1)
    camera = Camera(c2w[0], intrinsics[0], SIDE, SIDE)
    pixels, depth_z = camera.project(anchor.points.astype(np.float64))
    ahead = (depth_z > 0.3) & (depth_z < 6) & (pixels > 0).all(-1) & (pixels < SIDE).all(-1)
    rows = np.random.default_rng(0).choice(np.flatnonzero(ahead), 600, replace=False)
    points = anchor.points[rows].astype(np.float64)
    rays = Camera(
        look_at(c2w[0, :3, 3].astype(np.float64), points), np.array([1.0, 1.0, 0.5, 0.5]), 1, 1
    )
    reached = render_scene(scene, rays)[1][:, 0, 0]
    exact = reached > np.linalg.norm(points - c2w[0, :3, 3], axis=1) - 0.01
    seen = visible_points(
        torch.from_numpy(anchor.points[rows]),
        torch.from_numpy(anchor.radius[rows]),
        seen_from(scene, c2w, intrinsics),
        normals_world=torch.from_numpy(anchor.normals[rows]),
    ).numpy()
    assert 0.1 < exact.mean() < 0.9
    assert (seen == exact).mean() > 0.95


def test_normals_tell_the_sides_of_a_thin_wall_apart() -> None:
    builder = SceneBuilder(np.random.default_rng(0))
    builder.box((2.0, 0.0, 0.0), (0.02, 4.0, 4.0), material=Material.PAINT, color=(0.5, 0.5, 0.5))
    wall = builder.build(ambient=(1, 1, 1), floor_rects=[(-1, -1, 1, 1)], height=2.0)
    pose = look_at((0.0, 0.0, 0.0), (2.0, 0.0, 0.0))[None]
    view = seen_from(wall, pose, np.array([[SIDE, SIDE, SIDE / 2, SIDE / 2]]))
    points = torch.tensor([[1.99, 0.1, 0.2], [2.01, 0.1, 0.2]])
    radius = torch.full((2,), 0.02)
    normals = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert visible_points(points, radius, view).tolist() == [True, True]
    assert visible_points(points, radius, view, normals_world=normals).tolist() == [True, False]
