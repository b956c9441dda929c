"""NavMap: what is free, obstacles that move, random points, paths, restoring, refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import AgentBody, NavMap, VoxelState, move_discs
from worldfm_gym.worlds.world import Reference

Rooms = Callable[..., Anchor]
Objects = Callable[..., WorldObject]
seeds = st.integers(0, 2**32 - 1)


def cell(nav: NavMap, x: float, y: float) -> tuple[int, int]:
    ix, iy = ((np.array([x, y]) - nav.origin_xy) / nav.cell_m).astype(int)
    return iy, ix


def with_points(anchor: Anchor, points: object, instance: int = 0) -> Anchor:
    extra = np.asarray(points, np.float32).reshape(-1, 3)
    return Anchor.concatenate(
        [
            anchor,
            Anchor.from_points(
                extra,
                np.zeros((len(extra), 3)),
                instance=np.full(len(extra), instance),
                radius=0.02,
            ),
        ]
    )


# What is free


def test_the_floor_of_a_room_is_free_up_to_its_walls(two_rooms: NavMap) -> None:
    area = two_rooms.known_free.sum() * two_rooms.cell_m**2
    assert area == pytest.approx(6 * 4, rel=0.05)
    assert two_rooms.is_navigable([[1.5, 2], [4.5, 2], [3.0, 3.0]]).all()  # rooms and door
    blocked = [[3.0, 1.0], [0.1, 2.0], [5.95, 2.0], [-1, 2], [2, 9], [np.nan, 1.0]]
    assert not two_rooms.is_navigable(blocked).any()


def test_clearance_measures_to_the_walls(two_rooms: NavMap) -> None:
    assert two_rooms.clearance[cell(two_rooms, 1.5, 1.0)] == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(two_rooms.navigable, two_rooms.clearance >= 0.18)


@pytest.mark.parametrize(
    ("z", "blocks"), [(0.1, False), (0.2, True), (1.4, True), (1.6, False), (2.2, False)]
)
def test_only_what_is_between_step_and_head_blocks(
    make_room: Rooms, z: float, blocks: bool
) -> None:
    nav = NavMap.build(with_points(make_room(3, 3), [[1.5, 1.5, z]]), closed=True)
    assert nav.occupied[cell(nav, 1.5, 1.5)] == blocks
    assert nav.known_free[cell(nav, 1.5, 1.5)] != blocks


def test_object_points_do_not_count_but_their_boxes_do(
    make_room: Rooms, make_object: Objects
) -> None:
    anchor = with_points(make_room(4, 4), [[2, 2, 0.5], [0.6, 0.6, 0.5]], instance=1)
    crate = make_object(1, (2, 2, 0.5), (0.6, 0.6, 1.0))
    nav = NavMap.build(anchor, [crate], closed=True)
    assert nav.known_free[cell(nav, 2, 2)]
    assert nav.occupied[cell(nav, 2, 2)]
    assert not nav.occupied[cell(nav, 0.6, 0.6)]
    assert nav.voxels.state_at(np.array([2, 2, 0.5])) == VoxelState.FREE


def test_unseen_floor_is_not_free_except_for_small_gaps(make_room: Rooms) -> None:
    anchor = make_room(4, 4)
    x, y, z = anchor.points.T
    floor = np.abs(z) < 0.01
    hole = (np.abs(x - 1) < 0.3) & (np.abs(y - 1) < 0.3)
    gap = np.abs(x - 3) < 0.05
    nav = NavMap.build(anchor[~(floor & (hole | gap))], closed=True)
    assert not nav.known_free[cell(nav, 1, 1)]
    assert nav.known_free[cell(nav, 3, 2)]


@pytest.mark.parametrize("movable", [True, False])
def test_floor_that_a_movable_object_hides_is_known_if_surrounded(
    make_room: Rooms, make_object: Objects, movable: bool
) -> None:
    anchor = make_room(4, 4)
    x, y, z = anchor.points.T
    hidden = (np.abs(x - 2) < 0.5) & (np.abs(y - 2) < 0.4) & (z < 0.01)
    crate = make_object(1, (2, 2, 0.5), (1.0, 0.8, 1.0), movable=movable)
    nav = NavMap.build(anchor[~hidden], [crate], closed=True)
    assert nav.known_free[cell(nav, 2, 2)] == movable
    assert not nav.is_navigable([2.0, 2.0])
    crate.pose = crate.pose.copy()
    crate.pose[:2, 3] = 0.8, 0.8
    nav.set_obstacles([crate])
    assert nav.is_navigable([2.0, 2.0]) == movable


def test_space_over_known_floor_is_free_without_references(make_room: Rooms) -> None:
    anchor = make_room(3, 3)
    nav = NavMap.build(anchor[anchor.points[:, 2] < 2.0])
    states = nav.voxels.state_at(np.array([[1.5, 1.5, 1.0], [1.5, 1.5, 1.7], [1.5, 1.5, 0.0]]))
    np.testing.assert_array_equal(
        states, [VoxelState.FREE, VoxelState.UNKNOWN, VoxelState.OCCUPIED]
    )
    roofed = NavMap.build(anchor)
    assert roofed.voxels.state_at(np.array([1.5, 1.5, 2.2])) == VoxelState.FREE


def test_references_carve_free_space(make_room: Rooms) -> None:
    camera = Camera.from_fov(heading_c2w((0.5, 2, 1.2), 0.0), 60, width=64, height=48)
    depth = np.full((48, 64), 2.0, np.float32)
    view = Reference(np.zeros((48, 64, 3), np.uint8), depth, camera)
    nav = NavMap.build(make_room(4, 4), references=[view])
    states = nav.voxels.state_at(np.array([[1.5, 2, 1.2], [3.0, 2, 1.2], [1.0, 3.5, 1.2]]))
    np.testing.assert_array_equal(states, [VoxelState.FREE, VoxelState.UNKNOWN, VoxelState.UNKNOWN])


# Moving obstacles


def test_obstacles_follow_their_objects(make_room: Rooms, make_object: Objects) -> None:
    crate = make_object(1, (2, 2, 0.5), (0.6, 0.6, 1.0))
    nav = NavMap.build(make_room(4, 4), [crate], closed=True)
    static = nav.static_clearance.copy()
    goal = (0.5, 0.5)
    before = nav.geodesic_field(goal)
    crate.pose = crate.pose.copy()
    crate.pose[:2, 3] = 3.2, 0.8
    nav.set_obstacles([crate])
    assert nav.is_navigable([2, 2])
    assert not nav.is_navigable([3.2, 0.8])
    assert np.isinf(nav.geodesic_field(goal).values[cell(nav, 3.2, 0.8)])
    assert nav.geodesic_field(goal) is not before
    np.testing.assert_array_equal(nav.static_clearance, static)
    fresh = NavMap.build(make_room(4, 4), [crate], closed=True)
    np.testing.assert_array_equal(nav.clearance, fresh.clearance)
    np.testing.assert_array_equal(nav.occupied, fresh.occupied)


def test_nothing_is_redone_when_nothing_moved(make_room: Rooms, make_object: Objects) -> None:
    crate = make_object(1, (2, 2, 0.5), (0.6, 0.6, 1.0))
    nav = NavMap.build(make_room(4, 4), [crate], closed=True)
    clearance, field = nav.clearance, nav.geodesic_field((0.5, 0.5))
    nav.set_obstacles([crate])
    assert nav.clearance is clearance
    assert nav.geodesic_field((0.5, 0.5)) is field


@settings(deadline=None, max_examples=25)
@given(st.floats(0.8, 3.2), st.floats(0.8, 3.2), st.floats(-3.2, 3.2))
def test_navigable_cells_are_where_a_disc_can_stand(
    make_room: Rooms, make_object: Objects, x: float, y: float, yaw: float
) -> None:
    crate = make_object(1, (x, y, 0.5), (0.7, 0.3, 1.0), yaw=yaw)
    nav = NavMap.build(make_room(4, 4), [crate], closed=True)
    iy, ix = np.nonzero(nav.navigable)
    centres = nav.origin_xy + (np.stack([ix, iy], -1) + 0.5) * nav.cell_m
    assert nav.is_navigable(centres).all()


@pytest.mark.parametrize(("z", "blocks"), [(0.05, False), (0.5, True), (2.0, False)])
def test_objects_beyond_step_and_head_do_not_block(
    make_room: Rooms, make_object: Objects, z: float, blocks: bool
) -> None:
    nav = NavMap.build(make_room(4, 4), [make_object(1, (2, 2, z), (0.5, 0.5, 0.1))], closed=True)
    assert nav.is_navigable([2, 2]) != blocks
    assert nav.occupied[cell(nav, 2, 2)] == blocks


# Random points


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_random_points_fit_the_body_and_reach_each_other(two_rooms: NavMap, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = two_rooms.random_point(rng, count=50)
    assert points.shape == (50, 2)
    assert two_rooms.is_navigable(points).all()
    assert np.isfinite(two_rooms.geodesic_field(points[0]).distance(points)).all()


def test_random_points_repeat_with_their_seed(two_rooms: NavMap) -> None:
    one = two_rooms.random_point(np.random.default_rng(5))
    assert one.shape == (2,)
    np.testing.assert_array_equal(one, two_rooms.random_point(np.random.default_rng(5)))


def test_random_points_are_uniform_and_stay_in_the_largest_region(make_room: Rooms) -> None:
    nav = NavMap.build(make_room(6, 4, walls=[(4, 0, 4, 4)]), closed=True)
    points = nav.random_point(np.random.default_rng(0), count=4000)
    assert (points[:, 0] < 4).all()
    counts, _, _ = np.histogram2d(*points.T, bins=4, range=[[0.2, 3.8], [0.2, 3.8]])
    assert counts.min() > 0.75 * counts.max()
    assert len(np.unique((points[:, 0] / nav.cell_m) % 1)) > 3000  # anywhere within a cell


def test_no_room_left_is_an_error(make_room: Rooms, make_object: Objects) -> None:
    nav = NavMap.build(make_room(2, 2), [make_object(1, (1, 1, 0.5), (2, 2, 1))], closed=True)
    with pytest.raises(NavigationError, match="no room"):
        nav.random_point(np.random.default_rng(0))


# Paths


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_paths_are_walkable_and_as_short_as_the_distance_says(make_room: Rooms, seed: int) -> None:
    rng = np.random.default_rng(seed)
    walls = [
        (x, 0, x, 2.8) if i % 2 else (x, 1.2, x, 4) for i, x in enumerate((1.2, 2.4, 3.6, 4.8))
    ]
    nav = NavMap.build(make_room(6, 4, walls=walls), closed=True)
    start, goal = nav.random_point(rng, count=2)
    path = nav.shortest_path(start, goal)
    np.testing.assert_array_equal(path[[0, -1]], [start, goal])
    legs = np.diff(path, axis=0)
    for point, leg in zip(path, legs, strict=False):
        end, collided = move_discs(nav, point[None], leg[None], slide=False)
        assert not collided[0]
        np.testing.assert_allclose(end[0], point + leg)
    length = np.linalg.norm(legs, axis=1).sum()
    expected = nav.geodesic_field(goal).distance(start)
    assert length == pytest.approx(expected, rel=0.02, abs=nav.cell_m)
    assert length >= np.linalg.norm(goal - start) - 1e-9


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_paths_go_around_objects(make_room: Rooms, make_object: Objects, seed: int) -> None:
    rng = np.random.default_rng(seed)
    crates = [
        make_object(i + 1, (*rng.uniform(0.8, 3.2, 2), 0.5), (0.7, 0.4, 1.0), yaw=rng.uniform(0, 3))
        for i in range(4)
    ]
    nav = NavMap.build(make_room(4, 4), crates, closed=True)
    start, goal = nav.random_point(rng, count=2)
    path = nav.shortest_path(start, goal)
    for point, leg in zip(path, np.diff(path, axis=0), strict=False):
        assert not move_discs(nav, point[None], leg[None], slide=False)[1][0]
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    assert length == pytest.approx(
        nav.geodesic_field(goal).distance(start), rel=0.02, abs=nav.cell_m
    )


def test_geodesic_fields_are_remembered_exactly(two_rooms: NavMap) -> None:
    field = two_rooms.geodesic_field((1.0, 1.0))
    assert two_rooms.geodesic_field((1.0, 1.0)) is field
    assert two_rooms.geodesic_field((1.001, 1.0)).distance((1.001, 1.0)) == 0.0
    for x in np.linspace(1.1, 2.0, 12):
        two_rooms.geodesic_field((x, 1.0))
    again = two_rooms.geodesic_field((1.0, 1.0))
    assert again is not field
    np.testing.assert_array_equal(again.values, field.values)


def test_unreachable_goals_and_bad_points_are_refused(make_room: Rooms) -> None:
    nav = NavMap.build(make_room(6, 4, walls=[(3, 0, 3, 4)]), closed=True)
    with pytest.raises(NavigationError, match="no way leads"):
        nav.shortest_path((1, 1), (5, 1))
    assert np.isinf(nav.geodesic_field((1, 1)).distance((5, 1)))
    with pytest.raises(NavigationError, match="goal"):
        nav.geodesic_field((3, 1))
    with pytest.raises(NavigationError, match="start"):
        nav.shortest_path((-5, 1), (1, 1))
    with pytest.raises(NavigationError, match="one world point"):
        nav.geodesic_field([[1, 1], [2, 2]])
    with pytest.raises(NavigationError, match="not free"):
        nav.geodesic_field((np.nan, 1))


# Restoring and pictures


def test_arrays_restore_the_map_exactly(make_room: Rooms, make_object: Objects) -> None:
    crate = make_object(1, (2, 2, 0.5), (0.6, 0.6, 1.0), yaw=0.3)
    nav = NavMap.build(make_room(4, 4), [crate], closed=True)
    again = NavMap.from_arrays(nav.to_arrays(), nav.body, [crate])
    for name in (
        "known_free",
        "occupied",
        "clearance",
        "static_clearance",
        "navigable",
        "boxes",
        "origin_xy",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(nav, name), err_msg=name)
    np.testing.assert_array_equal(again.voxels.states, nav.voxels.states)
    np.testing.assert_array_equal(again.voxels.origin, nav.voxels.origin)
    assert (again.cell_m, again.shape) == (nav.cell_m, nav.shape)
    assert (
        again.random_point(np.random.default_rng(0)) == nav.random_point(np.random.default_rng(0))
    ).all()


def test_damaged_arrays_are_refused(two_rooms: NavMap) -> None:
    arrays = two_rooms.to_arrays()
    with pytest.raises(NavigationError, match="voxel_states"):
        NavMap.from_arrays({k: v for k, v in arrays.items() if k != "voxel_states"}, two_rooms.body)
    with pytest.raises(NavigationError, match="disagree"):
        NavMap.from_arrays(arrays | {"known_free": arrays["known_free"][1:]}, two_rooms.body)
    with pytest.raises(NavigationError, match="disagree"):
        NavMap.from_arrays(
            arrays | {"background": arrays["background"].astype(int)}, two_rooms.body
        )


def test_the_picture_has_north_up(make_room: Rooms, make_object: Objects) -> None:
    nav = NavMap.build(make_room(6, 4), [make_object(1, (5, 1, 0.5), (0.8, 0.8, 1))], closed=True)
    picture = nav.image()
    assert picture.shape == (*nav.shape, 3)
    assert picture.dtype == np.uint8

    def color(x: float, y: float) -> int:
        row, column = nav.image_pixel((x, y))
        return int(picture[int(row), int(column)].mean())

    free, crate, wall, outside = color(1, 3), color(5, 1), color(6, 2), color(-0.08, 2)
    assert free > outside > crate > wall
    assert nav.image_pixel((1.0, 3.9))[0] < nav.image_pixel((1.0, 0.1))[0]
    rows, columns = nav.image_pixel(np.zeros((7, 2)))
    assert rows.shape == columns.shape == (7,)


def test_image_pixels_are_cell_centres_at_halves(two_rooms: NavMap) -> None:
    row, column = two_rooms.image_pixel(two_rooms.origin_xy + 0.5 * two_rooms.cell_m)
    assert (row, column) == pytest.approx((two_rooms.shape[0] - 0.5, 0.5))


# Refusals


def test_worlds_without_a_usable_floor_say_why(make_room: Rooms) -> None:
    room = make_room(4, 4)
    lifted = Anchor.from_points(room.points + np.float32([0, 0, 1]), room.colors, radius=0.02)
    with pytest.raises(NavigationError, match="no floor: no background point"):
        NavMap.build(lifted)
    with pytest.raises(NavigationError, match="no floor: no background point"):
        NavMap.build(Anchor.from_points([[0, 0, 0.0]], [[0, 0, 0]], instance=[1], radius=0.1))
    with pytest.raises(NavigationError, match="m² of free floor is known"):
        NavMap.build(make_room(0.5, 0.5))
    with pytest.raises(NavigationError, match="nowhere"):
        NavMap.build(make_room(0.5, 4), body=AgentBody(radius_m=0.4))
    with pytest.raises(NavigationError, match="cell_m"):
        NavMap.build(room, cell_m=0.0)


def test_stray_points_do_not_stretch_the_map_of_a_scan(make_room: Rooms) -> None:
    anchor = with_points(make_room(4, 4), [[400.0, 300.0, 90.0]])
    nav = NavMap.build(anchor)
    assert nav.shape[0] * nav.cell_m < 6
    assert nav.is_navigable([2, 2])
