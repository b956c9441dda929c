"""Resampling of references: areas for colors, never a mixture of depths, cameras to match."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.camera import Camera
from worldfm_gym.frame_model.reference_images import load_references
from worldfm_gym.worlds.world import Reference

DEPTHS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(9, 40), st.integers(9, 40)),
    elements=st.sampled_from([0.0, 1.0, 2.5, 7.0]),
)


def reference(rgb, depth):
    height, width = depth.shape
    return Reference(rgb, depth, Camera.from_fov(np.eye(4), 80.0, width=width, height=height))


def load(rgb, depth, size):
    return load_references([reference(rgb, depth)], size_long_px=size)[0]


@given(DEPTHS, st.sampled_from([8, 16, 32, 64]))
def test_depths_are_chosen_never_mixed(depth, size):
    loaded = load(np.zeros((*depth.shape, 3), np.uint8), depth, size).depth_z.numpy()
    assert set(np.unique(loaded)) <= set(np.unique(depth)) | {0.0}


def test_a_pixel_gets_the_median_of_what_is_known():
    depth = np.full((24, 24), 2.0, np.float32)
    depth[::3, ::3] = 0.0  # a ninth unknown
    depth[1::3, 1::3] = 9.0  # an outlier
    loaded = load(np.zeros((24, 24, 3), np.uint8), depth, 8).depth_z.numpy()
    np.testing.assert_array_equal(loaded, 2.0)


def test_what_is_mostly_unknown_stays_unknown():
    depth = np.zeros((24, 24), np.float32)
    depth[::3] = 4.0  # a third known
    assert not load(np.zeros((24, 24, 3), np.uint8), depth, 8).depth_z.any()


def test_colors_are_averaged_over_areas():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (64, 96, 3), np.uint8)
    loaded = load(rgb, np.ones((64, 96), np.float32), 24).rgb.numpy()
    mean = rgb.reshape(16, 4, 24, 4, 3).mean(axis=(1, 3))
    assert loaded.shape == (16, 24, 3)
    assert np.abs(loaded - mean).max() <= 1.0


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((480, 640), 128, (96, 128)), ((497, 741), 128, (88, 128)), ((20, 300), 64, (8, 64))],
)
def test_sides_are_multiples_of_eight_and_lenses_follow(shape, size, expected):
    height, width = shape
    loaded = load(np.zeros((*shape, 3), np.uint8), np.ones(shape, np.float32), size)
    assert tuple(loaded.depth_z.shape) == expected
    fx, fy, cx, cy = loaded.intrinsics.numpy()
    focal = 0.5 * width / np.tan(np.deg2rad(40))
    assert (cx, cy) == (expected[1] / 2, expected[0] / 2)
    np.testing.assert_allclose(
        [fx / expected[1], fy / expected[0]], [focal / width, focal / height], rtol=1e-6
    )
