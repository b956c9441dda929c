"""Voxels: stamping, carving along depth rays, distance field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import OccupancyGrid, VoxelState
from worldfm_gym.worlds.world import Reference


def unknown_grid(extent: float = 4.0) -> OccupancyGrid:
    low, high = np.array([0, 0, 0.0]), np.full(3, extent)
    return OccupancyGrid.covering(low, high, cell_m=0.1, fill=VoxelState.UNKNOWN)


def wall_view(depth_m: float, *, position: tuple[float, float, float] = (0.5, 2, 2)) -> Reference:
    """A camera that looks along +x at a wall."""
    camera = Camera.from_fov(heading_c2w(position, 0.0), 60.0, width=64, height=48)
    return Reference(
        np.zeros((48, 64, 3), np.uint8), np.full((48, 64), depth_m, np.float32), camera
    )


def test_the_grid_covers_its_box_and_ends_unknown() -> None:
    grid = OccupancyGrid.covering(
        np.array([-1.23, 0.4, 0.02]), np.array([2.0, 3.0, 2.5]), cell_m=0.05, fill=VoxelState.FREE
    )
    assert (grid.state_at(np.array([[-1.23, 0.4, 0.02], [2.0, 3.0, 2.5]])) == VoxelState.FREE).all()
    for axis in range(3):
        assert (np.take(grid.states, [0, -1], axis=axis) == VoxelState.UNKNOWN).all()
    assert grid.state_at(np.array([100.0, 0, 0])) == VoxelState.UNKNOWN
    layer = -grid.origin[2] / grid.cell_m
    assert layer % 1 == pytest.approx(0.5)  # z = 0 runs through voxel centres


def test_worlds_too_large_to_hold_are_refused() -> None:
    with pytest.raises(NavigationError, match="larger cell_m"):
        OccupancyGrid.covering(np.zeros(3), np.full(3, 1e3), cell_m=0.05, fill=VoxelState.UNKNOWN)


def test_only_background_points_are_stamped() -> None:
    grid = unknown_grid()
    points = np.array([[1.05, 1.05, 1.05], [2.05, 2.05, 2.05]], np.float32)
    colors = np.zeros((2, 3), np.uint8)
    grid.stamp_background(Anchor.from_points(points, colors, instance=[0, 1], radius=0.01))
    np.testing.assert_array_equal(grid.state_at(points), [VoxelState.OCCUPIED, VoxelState.UNKNOWN])
    assert (grid.states == VoxelState.OCCUPIED).sum() == 1


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 0, 0), (0.6, 0, 0.8)])
def test_a_wide_point_stamps_its_whole_square_of_surface(normal: tuple[float, ...]) -> None:
    grid = unknown_grid()
    centre = np.array([[2.03, 2.03, 2.03]], np.float32)
    anchor = Anchor.from_points(centre, np.zeros((1, 3)), normals=[normal], radius=0.3)
    grid.stamp_background(anchor)
    occupied = np.argwhere(grid.states == VoxelState.OCCUPIED)[:, ::-1] * 0.1 + grid.origin + 0.05
    offset = occupied - centre
    assert np.abs(offset @ normal).max() < 0.1
    assert np.linalg.norm(offset, axis=1).max() < 0.3 * np.sqrt(2) + 0.09
    assert 36 <= len(occupied) <= 90  # (0.6 m / 0.1 m)² and its ragged rim


def test_carving_frees_what_the_rays_passed_and_nothing_else() -> None:
    grid = unknown_grid()
    grid.carve([wall_view(2.0)], body_radius_m=0.18)
    z, y, x = np.nonzero(grid.states == VoxelState.FREE)
    centres = np.stack([x, y, z], -1) * 0.1 + grid.origin + 0.05
    ahead = centres - [0.5, 2, 2]
    in_view = (np.abs(ahead[:, 1]) <= ahead[:, 0] * np.tan(np.pi / 6) + 0.1) & (
        np.abs(ahead[:, 2]) <= ahead[:, 0] * np.tan(np.pi / 6) * 0.75 + 0.1
    )
    at_camera = np.linalg.norm(ahead, axis=1) <= 0.29
    assert (in_view | at_camera).all()
    assert ahead[:, 0].max() < 2.0
    axis = np.stack([np.arange(0.55, 2.35, 0.1), np.full(18, 2.0), np.full(18, 2.0)], -1)
    assert (grid.state_at(axis) == VoxelState.FREE).all()
    assert (grid.state_at(np.array([[2.65, 2, 2], [0.1, 2, 2], [1, 3.5, 2]])) == 0).all()


def test_carving_leaves_no_holes_between_rays() -> None:
    grid = unknown_grid()
    grid.carve([wall_view(3.0)], body_radius_m=0.18)
    y, z = np.meshgrid(np.arange(0.75, 3.3, 0.1), np.arange(1.05, 3.0, 0.1))
    plane = np.stack([np.full_like(y, 3.15), y, z], -1)
    assert (grid.state_at(plane) == VoxelState.FREE).all()


def test_pixels_without_depth_carve_nothing() -> None:
    grid = unknown_grid()
    grid.carve([wall_view(0.0)], body_radius_m=0.18)
    assert not (grid.states == VoxelState.FREE).any()


def test_a_camera_outside_the_grid_carves_only_inside() -> None:
    grid = unknown_grid()
    grid.carve([wall_view(4.0, position=(-2.0, 2, 2))], body_radius_m=0.18)
    assert grid.state_at(np.array([1.5, 2, 2])) == VoxelState.FREE
    assert (grid.states[[0, -1]] == VoxelState.UNKNOWN).all()


def test_columns_over_floor_are_free_up_to_what_hangs_above() -> None:
    grid = unknown_grid()
    floor = np.zeros(grid.states.shape[1:], np.bool_)
    floor[10, 10] = floor[10, 11] = True
    headroom = np.full(floor.shape, np.inf, np.float32)
    headroom[10, 10] = 2.5
    grid.free_columns(floor, headroom, height_m=1.5)
    free_m = (grid.states == VoxelState.FREE).sum(axis=0) * 0.1
    assert free_m[10, 10] == pytest.approx(2.5, abs=0.1)
    assert free_m[10, 11] == pytest.approx(1.5, abs=0.1)
    assert free_m.sum() == pytest.approx(4.0, abs=0.2)


@settings(deadline=None, max_examples=30)
@given(
    arrays(
        np.uint8, array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=30), elements=st.just(1)
    ),
    st.lists(st.tuples(*[st.integers(0, 29)] * 3), min_size=1, max_size=6),
)
def test_distance_field_is_exact_up_to_its_reach(
    states: np.ndarray, solids: list[tuple[int, int, int]]
) -> None:
    for index in solids:
        states[tuple(i % n for i, n in zip(index, states.shape, strict=True))] = 2
    grid = OccupancyGrid(states, np.zeros(3), 0.05)
    expected = np.minimum(distance_transform_edt(states == 1) * 0.05, grid.reach_m)
    np.testing.assert_allclose(grid.distance_field(), expected, atol=1e-6)


def test_unknown_space_is_solid_unless_asked_otherwise() -> None:
    states = np.zeros((9, 9, 9), np.uint8)
    states[4, 4, 4] = VoxelState.FREE
    states[4, 4, 8] = VoxelState.OCCUPIED
    grid = OccupancyGrid(states, np.zeros(3), 0.05)
    assert grid.distance_field()[4, 4, 4] == pytest.approx(0.05)
    assert grid.distance_field(unknown_is_solid=False)[4, 4, 4] == pytest.approx(0.2)
