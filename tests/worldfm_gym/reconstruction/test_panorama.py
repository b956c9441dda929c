import numpy as np
import pytest

from worldfm_gym.camera import Camera
from worldfm_gym.reconstruction.panorama import (
    align_views,
    cut_view,
    has_panorama_shape,
    merge_views,
    panorama_cameras,
    sides_join,
)

SIDE = 48


def box_ranges(directions: np.ndarray) -> np.ndarray:
    """Distance along unit directions to the walls of a box around the origin."""
    low, high = np.array([-2.0, -3.0, -1.5]), np.array([4.0, 2.0, 1.2])
    with np.errstate(divide="ignore"):
        return np.fmax(low / directions, high / directions).min(axis=-1)


def view_depths(cameras: Camera) -> list[np.ndarray]:
    """Exact z-depth of the box in each view."""
    depths = []
    for i in range(len(cameras.c2w)):
        rays = cameras[i].rays_world()
        length = np.linalg.norm(rays, axis=-1)
        depths.append((box_ranges(rays / length[..., None]) / length).astype(np.float32))
    return depths


def picture_of_directions(height: int) -> np.ndarray:
    """A panorama whose colors tell the direction: 127.5 (1 + d)."""
    v, u = np.meshgrid(np.arange(height) + 0.5, np.arange(2 * height) + 0.5, indexing="ij")
    heading, elevation = np.pi - np.pi * u / height, np.pi / 2 - np.pi * v / height
    d = np.stack(
        [
            np.cos(elevation) * np.cos(heading),
            np.cos(elevation) * np.sin(heading),
            np.sin(elevation),
        ],
        axis=-1,
    )
    return np.rint(127.5 * (1 + d)).astype(np.uint8)


def test_views_show_the_directions_they_look_in():
    panorama = picture_of_directions(256)
    cameras = panorama_cameras(SIDE)
    for i in range(len(cameras.c2w)):
        rays = cameras[i].rays_world()
        expected = 127.5 * (1 + rays / np.linalg.norm(rays, axis=-1, keepdims=True))
        assert np.abs(cut_view(panorama, cameras[i]) - expected).max() < 2


def test_the_first_view_looks_ahead_at_the_middle_of_the_picture():
    np.testing.assert_allclose(panorama_cameras(SIDE).c2w[0, :3, 2], [1, 0, 0], atol=1e-12)


def test_views_of_any_scale_are_aligned():
    cameras = panorama_cameras(SIDE)
    factors = np.exp(np.random.default_rng(0).normal(0, 0.5, len(cameras.c2w)))
    scaled = [
        (d * f).astype(np.float32) for d, f in zip(view_depths(cameras), factors, strict=True)
    ]
    aligned = align_views(scaled, cameras) * factors
    np.testing.assert_allclose(aligned / aligned.mean(), 1, atol=0.02)


def test_merged_views_show_each_direction_once_and_agree():
    cameras = panorama_cameras(SIDE)
    truth = view_depths(cameras)
    bent = [
        (d * np.exp(0.05 * np.sin(i + np.linspace(0, 3, SIDE)))).astype(np.float32)
        for i, d in enumerate(truth)
    ]
    merged, owned = merge_views(bent, cameras)
    for m, b, t in zip(merged, bent, truth, strict=True):
        assert np.abs(m / t - 1).mean() < 1.1 * np.abs(b / t - 1).mean() + 0.01
    solid_angle = 0.0
    for i, mask in enumerate(owned):
        length = np.linalg.norm(cameras[i].rays_world(), axis=-1)
        solid_angle += (mask / length**3).sum() / cameras[i].intrinsics[0] ** 2
    assert solid_angle == pytest.approx(4 * np.pi, rel=0.02)
    # Where two views meet, they tell the same distance.
    ray = cameras[0].rays_world()[SIDE // 2, -2]
    pixels, along = cameras[5].project(ray[None])
    u, v = np.floor(pixels[0]).astype(int)
    assert merged[5][v, u] / along[0] == pytest.approx(merged[0][SIDE // 2, -2], rel=0.05)


def test_shapes():
    assert has_panorama_shape((4096, 2048))
    assert has_panorama_shape((1001, 500))
    assert not has_panorama_shape((400, 200))
    assert not has_panorama_shape((1920, 1080))


def test_sides_that_join():
    panorama = picture_of_directions(256)
    assert sides_join(panorama)
    assert not sides_join(panorama[:, :300])
