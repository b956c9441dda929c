"""Geodesic distances against scikit-fmm and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import skfmm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation.geodesic import SEED_REACH_CELLS, DistanceField, distance_field
from worldfm_gym.navigation.regions import crossable_squares, largest_region

CELL_M = 0.05


def _walls(rng: np.random.Generator, kind: str, side: int) -> np.ndarray:
    """Free cells of a random map with walls at its border."""
    free = np.ones((side, side), np.bool_)
    ys, xs = np.mgrid[:side, :side]
    if kind == "rooms":
        for _ in range(10):
            x, y = rng.integers(0, side - 10, 2)
            thickness, length = rng.integers(2, 6), rng.integers(15, side // 2)
            size = (thickness, length) if rng.random() < 0.5 else (length, thickness)
            free[y : y + size[0], x : x + size[1]] = False
    elif kind == "maze":
        for i, x in enumerate(range(12, side - 12, 12)):
            free[(slice(8, None) if i % 2 else slice(None, -8)), x : x + 3] = False
    else:
        for _ in range(20):
            x, y = rng.integers(0, side, 2)
            free[(xs - x) ** 2 + (ys - y) ** 2 < rng.integers(4, 14) ** 2] = False
    free[[0, -1]] = False
    free[:, [0, -1]] = False
    return free


def _in_sight(free: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Cells near the goal (in cells, x y) whose straight line to it stays half a cell off walls."""
    direct = np.zeros_like(free)
    ys, xs = np.mgrid[: free.shape[0], : free.shape[1]]
    near = free & (np.hypot(xs - goal[0], ys - goal[1]) <= SEED_REACH_CELLS)
    for y, x in np.argwhere(near):
        line = goal + np.linspace(0, 1, 50)[:, None] * (np.array([x, y]) - goal)
        low, high = np.floor(line + 1e-9).astype(int), np.ceil(line - 1e-9).astype(int)
        direct[y, x] = all(
            free[np.ix_([a[1], b[1]], [a[0], b[0]])].all() for a, b in zip(low, high, strict=True)
        )
    return direct


def _solve(free: np.ndarray, goal: np.ndarray) -> DistanceField:
    return distance_field(
        free,
        crossable_squares(free, np.where(free, 1.0, 0.0).astype(np.float32), least_m=1.0),
        _in_sight(free, goal),
        (goal + 0.5) * CELL_M,
        origin_xy=np.zeros(2),
        cell_m=CELL_M,
    )


def _fast_marching(free: np.ndarray, goal: np.ndarray, refine: int) -> np.ndarray:
    """scikit-fmm's distances in cells on a grid `refine` times finer, read at cell centres.

    The fine grid keeps the walls of the coarse one, half a cell thicker: paths run between the
    centres of free cells.
    """
    pad = refine // 2
    fine = np.kron(free, np.ones((refine, refine), np.bool_))
    for axis in (0, 1):
        solid = ~fine
        grown = solid.copy()
        for shift in range(1, pad + 1):
            grown |= np.roll(solid, shift, axis) | np.roll(solid, -shift, axis)
        fine = ~grown
    centre = (goal + 0.5) * refine - 0.5
    ys, xs = np.mgrid[: fine.shape[0], : fine.shape[1]]
    start = 2.0
    phi = np.hypot(xs - centre[0], ys - centre[1]) / refine - start
    distance = skfmm.distance(np.ma.MaskedArray(phi, ~fine), dx=1 / refine, order=2)
    return np.ma.filled(distance, np.inf)[pad::refine, pad::refine] + start


@pytest.mark.parametrize("kind", ["rooms", "maze", "discs"])
@pytest.mark.parametrize("seed", range(3))
def test_within_two_percent_of_fast_marching(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    free = _walls(rng, kind, 96)
    open_ground = largest_region(binary_erosion(free, iterations=3))
    goal = np.array(divmod(rng.choice(open_ground), 96)[::-1]) + rng.uniform(-0.3, 0.3, 2)
    distances = _solve(free, goal).values / CELL_M
    reference = _fast_marching(free, goal, 5)
    compared = np.isfinite(distances) & np.isfinite(reference) & (reference > 2 * SEED_REACH_CELLS)
    assert compared.sum() > 1000
    np.testing.assert_allclose(distances[compared], reference[compared], rtol=0.02)


@pytest.mark.parametrize("kind", ["rooms", "discs"])
def test_reaches_what_fast_marching_reaches(kind: str) -> None:
    rng = np.random.default_rng(7)
    free = _walls(rng, kind, 96)
    goal = np.argwhere(free)[200][::-1].astype(float)
    reached = np.isfinite(_fast_marching(free, goal, 1))
    np.testing.assert_array_equal(np.isfinite(_solve(free, goal).values), reached & free)


@settings(deadline=None, max_examples=25)
@given(st.floats(5, 60), st.floats(5, 60), st.floats(2, 61), st.floats(2, 61))
def test_straight_ways_are_as_the_crow_flies(gx: float, gy: float, x: float, y: float) -> None:
    free = np.zeros((64, 64), np.bool_)
    free[1:-1, 1:-1] = True
    field = _solve(free, np.array([gx, gy]))
    expected = np.hypot(gx - x, gy - y) * CELL_M
    found = field.distance((np.array([x, y]) + 0.5) * CELL_M)
    assert found == pytest.approx(expected, rel=0.012, abs=1e-3)


def test_exact_at_and_around_the_goal() -> None:
    free = np.zeros((40, 40), np.bool_)
    free[1:-1, 1:-1] = True
    goal = np.array([20.37, 18.81])
    field = _solve(free, goal)
    offsets = np.random.default_rng(0).uniform(-0.2, 0.2, (100, 2))
    expected = np.linalg.norm(offsets, axis=-1)
    np.testing.assert_allclose(field.distance(field.goal_xy + offsets), expected, atol=1e-12)
    assert field.distance(field.goal_xy) == 0.0


def test_around_a_wall_in_closed_form() -> None:
    free = np.zeros((60, 100), np.bool_)
    free[1:-1, 1:-1] = True
    free[:40, 50] = False  # a thin wall from the bottom: the way bends at its tip, row 40
    goal, start = np.array([30.0, 10.0]), np.array([70.0, 10.0])
    # Ways run between free centres: around the tip by the centres (49, 40) and (51, 40).
    expected = (np.hypot(19, 30) + 2 + np.hypot(19, 30)) * CELL_M
    found = _solve(free, goal).distance((start + 0.5) * CELL_M)
    assert found == pytest.approx(expected, rel=0.005)


def test_what_cannot_be_reached_is_infinitely_far() -> None:
    free = np.zeros((40, 40), np.bool_)
    free[1:-1, 1:-1] = True
    free[:, 18:24] = False
    field = _solve(free, np.array([5.0, 5.0]))
    assert np.isinf(field.distance([[30.5 * CELL_M, 5 * CELL_M], [-3.0, 1.0], [9.0, 9.0]])).all()
    assert np.isfinite(field.values[1:-1, 1:18]).all()


def test_diagonal_steps_do_not_squeeze_between_corners() -> None:
    free = np.zeros((20, 20), np.bool_)
    free[1:10, 1:10] = True
    free[10:19, 10:19] = True  # touches the first room at a corner only
    field = _solve(free, np.array([5.0, 5.0]))
    assert np.isinf(field.values[10:19, 10:19]).all()


def test_distance_is_smooth_up_to_the_walls() -> None:
    free = np.zeros((60, 60), np.bool_)
    free[1:-1, 1:-1] = True
    field = _solve(free, np.array([30.0, 5.0]))
    line = np.stack([np.full(400, 1.9), np.linspace(0.08, 2.9, 400)], -1)  # 1 cell from the edge
    steps = np.diff(field.distance(line))
    assert (np.abs(steps) < 1.1 * 2.82 / 399 + 1e-6).all()


def test_shape_follows_the_query() -> None:
    free = np.zeros((20, 20), np.bool_)
    free[1:-1, 1:-1] = True
    field = _solve(free, np.array([5.0, 5.0]))
    assert field.distance(np.full((2, 3, 2), 0.4)).shape == (2, 3)
    assert field.distance([0.4, 0.4]).shape == ()


def test_the_way_to_several_cells_is_the_way_to_the_nearest(two_rooms):
    goal = np.zeros(two_rooms.shape, np.bool_)
    points = []
    for xy in ((0.7, 0.6), (2.1, 3.1), (5.2, 1.4)):
        ix, iy = ((np.array(xy) - two_rooms.origin_xy) / two_rooms.cell_m).astype(int)
        goal[iy, ix] = True
        points.append(two_rooms.origin_xy + (np.array([ix, iy]) + 0.5) * two_rooms.cell_m)
    field = two_rooms.geodesic_field_to(goal)
    starts = two_rooms.random_point(np.random.default_rng(0), count=100)
    single = [two_rooms.geodesic_field(point).distance(starts) for point in points]
    np.testing.assert_allclose(field.distance(starts), np.min(single, axis=0), atol=0.06)
    np.testing.assert_allclose(field.distance(points), 0.0, atol=1e-6)
    assert np.isinf(two_rooms.geodesic_field_to(np.zeros_like(goal)).distance(starts)).all()
    with pytest.raises(NavigationError, match="goal cells"):
        two_rooms.geodesic_field_to(goal[1:])
