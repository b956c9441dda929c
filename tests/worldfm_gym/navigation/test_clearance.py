"""Clearance against SciPy's distance transform and brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt, label

from worldfm_gym.navigation.boxes import object_boxes
from worldfm_gym.navigation.clearance import (
    euclidean_clearance,
    refine_near_boxes,
    stamp_boxes,
)
from worldfm_gym.navigation.regions import largest_region


@settings(deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_clearance_is_the_exact_distance_transform(free: np.ndarray) -> None:
    clearance = euclidean_clearance(free, cell_m=0.05)
    if free.all():
        assert np.isinf(clearance).all()
    else:
        np.testing.assert_allclose(clearance, distance_transform_edt(free) * 0.05, rtol=1e-6)


def test_clearance_of_a_large_sparse_grid() -> None:
    free = np.random.default_rng(0).random((256, 240)) > 0.002
    expected = distance_transform_edt(free) * 0.05
    np.testing.assert_allclose(euclidean_clearance(free, cell_m=0.05), expected, rtol=1e-6)


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    count = draw(st.integers(1, 4))
    poses = np.tile(np.eye(4), (count, 1, 1))
    sizes = np.ones((count, 3))
    for k in range(count):
        yaw = draw(st.floats(-3.2, 3.2))
        poses[k, :2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        poses[k, :2, 3] = draw(st.floats(-0.5, 2.5)), draw(st.floats(-0.5, 2.5))
        sizes[k, :2] = draw(st.floats(0.01, 1.5)), draw(st.floats(0.01, 1.5))
    return object_boxes(poses, sizes)


def _brute_force(packed: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance of points [..., 2] to the nearest rectangle, 0 inside."""
    distances = []
    for row in packed:
        axes = np.array([[row[15], row[16]], [-row[16], row[15]]])
        local = (points - row[:2]) @ axes.T
        nearest = np.clip(local, -row[17:19], row[17:19])
        distances.append(np.linalg.norm(local - nearest, axis=-1))
    return np.min(distances, axis=0)


@settings(deadline=None)
@given(boxes())
def test_refined_clearance_is_exact_near_rectangles(packed: np.ndarray) -> None:
    cell_m, reach_m, origin = 0.05, 0.3, np.zeros(2)
    clearance = np.full((40, 44), np.inf, np.float32)
    refine_near_boxes(clearance, packed, origin_xy=origin, cell_m=cell_m, reach_m=reach_m)
    ix, iy = np.meshgrid(np.arange(44), np.arange(40))
    expected = _brute_force(packed, (np.stack([ix, iy], -1) + 0.5) * cell_m)
    near = expected <= reach_m
    np.testing.assert_allclose(clearance[near], expected[near], atol=1e-6)
    assert (clearance[~near] >= expected[~near] - 1e-6).all()


@settings(deadline=None)
@given(boxes())
def test_stamped_cells_are_those_whose_centres_are_covered(packed: np.ndarray) -> None:
    cell_m = 0.05
    stamped = stamp_boxes((40, 44), packed, origin_xy=np.zeros(2), cell_m=cell_m)
    ix, iy = np.meshgrid(np.arange(44), np.arange(40))
    distance = _brute_force(packed, (np.stack([ix, iy], -1) + 0.5) * cell_m)
    assert stamped[distance == 0].all()
    assert not stamped[distance > cell_m / np.sqrt(2)].any()


@settings(deadline=None)
@given(arrays(np.bool_, (12, 15)))
def test_largest_region_agrees_with_scipy(mask: np.ndarray) -> None:
    mask[[0, -1]] = False
    mask[:, [0, -1]] = False
    labels, count = label(mask)
    region = largest_region(mask)
    if count == 0:
        assert len(region) == 0
    else:
        sizes = np.bincount(labels.ravel())[1:]
        assert len(region) == sizes.max()
        assert len(np.unique(labels.ravel()[region])) == 1
