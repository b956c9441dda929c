"""Floor coverage against brute force and against what a depth image shows."""

import numpy as np
import pytest

from worldfm_envs.coverage import FloorCoverage, FloorGrid
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.simulator import Simulator, SimulatorConfig

CONFIG = SimulatorConfig(width=64, height=64, fov_x_deg=80.0)


@pytest.fixture
def simulator(box_room, box_room_renderer):
    return Simulator([box_room] * 3, config=CONFIG, renderer=box_room_renderer)


def looked(simulator, xy, yaw, *, pitch=0.0, view_range_m=5.0):
    """What one agent sees of the floor from a pose."""
    simulator.place_ground([0], xy, yaw, pitch=pitch)
    coverage = FloorCoverage(simulator, view_range_m=view_range_m)
    for group in range(3):
        coverage.begin(group, group)
    coverage.look([0])
    return coverage


def brute_force(simulator, coverage, view_range_m):
    """Cells in view whose line of sight, finely sampled, stays above all cells in between."""
    centers = coverage.centers_xy(0)
    camera = Camera.from_fov(simulator.c2w[0], CONFIG.fov_x_deg, width=64, height=64)
    points = np.concatenate([centers, np.zeros((*centers.shape[:2], 1))], axis=-1)
    pixels, depth = camera.project(points.reshape(-1, 3))
    inside = ((pixels >= 0) & (pixels <= 64)).all(-1) & (depth > 0)
    eye = simulator.c2w[0, :3, 3]
    ny, nx = centers.shape[:2]
    top = coverage._top_m[0, : ny * nx].reshape(ny, nx)
    seen = np.zeros((ny, nx), np.bool_)
    t = np.linspace(0, 1, 4001)
    for y, x in np.argwhere(inside.reshape(ny, nx) & coverage.floor(0)):
        if np.hypot(*(centers[y, x] - eye[:2])) > view_range_m:
            continue
        way = eye[:2] + t[:, None] * (centers[y, x] - eye[:2])
        ix, iy = ((way - centers[0, 0]) / 0.1 + 0.5).astype(int).T
        own = (ix == ix[0]) & (iy == iy[0]) | (ix == x) & (iy == y)
        seen[y, x] = (own | (top[iy, ix] <= eye[2] * (1 - t))).all()
    return seen


@pytest.mark.parametrize(
    ("xy", "yaw", "pitch"),
    [((1.0, 1.0), 0.7, 0.0), ((2.0, 2.03), 0.0, -0.5), ((5.0, 1.1), 2.2, 0.2)],
)
def test_the_same_cells_are_seen_as_by_brute_force(simulator, xy, yaw, pitch):
    coverage = looked(simulator, xy, yaw, pitch=pitch, view_range_m=4.0)
    expected = brute_force(simulator, coverage, 4.0)
    seen = coverage.seen(0)
    assert expected.sum() > 100
    # Lines through corners of cells fall on either side of a sample.
    assert (seen != expected).mean() < 0.002
    area = coverage._floor[0, : seen.size][seen.ravel()].sum() * 0.05**2
    assert coverage.seen_m2[0] == pytest.approx(area)


def test_what_is_seen_is_what_a_depth_image_shows(simulator):
    coverage = looked(simulator, (1.2, 1.6), 0.2, view_range_m=20.0)
    frame = simulator.render([0])
    camera = frame.camera[0]
    points = np.concatenate(
        [coverage.centers_xy(0), np.zeros((*coverage.seen(0).shape, 1))], axis=-1
    )
    pixels, depth = camera.project(points.reshape(-1, 3))
    column, row = np.clip(pixels, 0, 63.9).astype(int).T
    inside = ((pixels >= 1) & (pixels <= 63)).all(-1) & (depth > 0)
    shown = inside & (np.abs(frame.depth[0, row, column] / depth - 1) < 0.15)
    floor, seen = coverage.floor(0).ravel(), coverage.seen(0).ravel()
    agree = shown[floor & inside] == seen[floor & inside]
    assert inside[floor].sum() > 300
    assert agree.mean() > 0.93


def sees(coverage, x, y):
    """Whether the cell at a point of the floor has been seen."""
    ix, iy = ((np.array([x, y]) - coverage.centers_xy(0)[0, 0]) / 0.1 + 0.5).astype(int)
    assert coverage.floor(0)[iy, ix]
    return bool(coverage.seen(0)[iy, ix])


def test_a_crate_hides_floor_until_it_is_moved_away(simulator):
    coverage = looked(simulator, (1.2, 2.0), 0.0, pitch=-0.2, view_range_m=9.0)
    assert sees(coverage, 2.45, 2.0)
    assert sees(coverage, 4.0, 0.8)
    assert not sees(coverage, 3.6, 2.0)
    assert not sees(coverage, 5.4, 2.0)
    aside = np.eye(4)
    aside[:3, 3] = 3.0, 0.5, 0.4
    simulator.set_object_pose(0, 1, aside)
    coverage.look([0])
    assert sees(coverage, 3.6, 2.0)
    assert sees(coverage, 5.4, 2.0)


def test_reachable_floor_is_the_room_without_its_furniture(box_room):
    grid = FloorGrid.of(box_room.nav, camera_height_m=1.25)
    assert grid.floor_m2 == pytest.approx(6 * 4 - 0.8**2 - 0.6 * 1.0, rel=0.05)
    assert grid.floor_m2 == pytest.approx(grid.floor_cells.sum() * 0.05**2)


def test_a_full_turn_everywhere_covers_everything(simulator):
    coverage = FloorCoverage(simulator, view_range_m=10.0)
    coverage.begin(0, 0)
    total = 0.0
    for xy in ((1.0, 1.0), (5.0, 1.0), (1.0, 3.0), (4.6, 3.0), (3.0, 0.8), (3.0, 3.2)):
        for yaw in np.linspace(0, 2 * np.pi, 9):
            simulator.place_ground([0], xy, yaw, pitch=-0.6)
            new = coverage.look([0])
            assert new[0] >= 0
            total += new[0]
    assert total == pytest.approx(coverage.seen_m2[0])
    assert coverage.fraction[0] > 0.97
    coverage.begin(0, 0)
    assert coverage.fraction[0] == 0.0
    assert not coverage.seen(0).any()


def test_a_group_shares_its_map_and_credits_what_is_new(box_room, box_room_renderer):
    simulator = Simulator([box_room], agents_per_scene=3, config=CONFIG, renderer=box_room_renderer)
    coverage = FloorCoverage(simulator, group=[0, 0, 1])
    coverage.begin(0, 0)
    coverage.begin(1, 0)
    simulator.place(np.arange(3), heading_c2w((1.0, 1.0, 1.25), 0.5))
    new = coverage.look()
    assert new[0] > 1.0
    assert new[1] == 0.0
    assert new[2] == new[0]
    np.testing.assert_allclose(coverage.seen_m2, [new[0], new[0]])


def test_many_agents_see_the_same_as_one_at_a_time(box_room, box_room_renderer):
    rng = np.random.default_rng(0)
    xy, yaw = box_room.nav.random_point(rng, count=80), rng.uniform(-np.pi, np.pi, 80)
    simulator = Simulator([box_room] * 80, config=CONFIG, renderer=box_room_renderer)
    simulator.place_ground(np.arange(80), xy, yaw)
    together, apart = FloorCoverage(simulator), FloorCoverage(simulator)
    for group in range(80):
        together.begin(group, group)
        apart.begin(group, group)
    new = together.look()
    for group in range(80):
        assert apart.look([group])[group] == new[group]
        np.testing.assert_array_equal(apart.seen(group), together.seen(group))
    assert (new > 0).sum() > 60
    gain = together.preview(3, simulator.c2w)
    assert gain[3] == 0.0
    assert (gain <= new).all()
