"""Object motion: constant speed, no jumps, and the same alone, in scenes and after pickling."""

import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import make_box_room, place
from worldfm_gym.camera import check_rigid
from worldfm_gym.errors import CameraError, ConfigError
from worldfm_gym.object_motion import Patrol, RouteTable, Still, Waypoints
from worldfm_gym.simulator import Simulator, SimulatorConfig

coordinate = st.integers(-50, 50).map(lambda n: n / 10)
points = st.integers(2, 3).flatmap(
    lambda d: st.lists(st.tuples(*[coordinate] * d), min_size=2, max_size=6)
)
speeds = st.floats(0.1, 3.0)


def way(route):
    """Length of the polyline in metres."""
    return np.linalg.norm(np.diff(np.nan_to_num(route.points_world), axis=0), axis=1).sum()


@given(points=points, speed=speeds, kind=st.sampled_from(["stop", "bounce", "loop"]))
def test_it_moves_at_its_speed_and_never_jumps(points, speed, kind):
    route = (
        Waypoints(points, speed_mps=speed)
        if kind == "stop"
        else Patrol(points, speed_mps=speed, loop=kind == "loop")
    )
    assume(way(route) > 0)
    times = np.linspace(0, 2.5 * way(route) / speed, 120)
    poses = RouteTable([route] * 120, np.tile(np.eye(4), (120, 1, 1))).poses(times)
    np.testing.assert_array_equal(poses[77], route(times[77]))
    check_rigid(poses, tolerance=1e-12)
    travelled = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    full = speed * (times[1] - times[0])
    assert travelled.max() <= full + 1e-9  # a corner is cut, never overshot
    on_the_way = np.ones(119, np.bool_)
    if kind == "stop":
        arrived = times >= way(route) / speed
        assert np.abs(poses[arrived, :2, 3] - points[-1][:2]).max() < 1e-9
        on_the_way = ~arrived[1:]
    slower = on_the_way & ~np.isclose(travelled, full, rtol=1e-6)
    assert slower.sum() <= 3 * (len(points) + 1)  # once for each corner that is passed


def test_positions_are_exact():
    square = [(0, 0), (2, 0), (2, 1)]
    there = Waypoints(square, speed_mps=0.5)
    back = Patrol(square, speed_mps=0.5)
    around = Patrol([(0, 0), (3, 0), (0, 4)], speed_mps=1.0, loop=True)
    for route, time_s, xy in (
        (there, 0, (0, 0)),
        (there, 3, (1.5, 0)),
        (there, 5, (2, 0.5)),
        (there, 99, (2, 1)),
        (back, 6, (2, 1)),
        (back, 7, (2, 0.5)),
        (back, 11, (0.5, 0)),
        (back, 12, (0, 0)),
        (around, 9, (0, 3)),
        (around, 12, (0, 0)),
        (around, 14, (2, 0)),
    ):
        np.testing.assert_allclose(route(time_s)[:2, 3], xy, atol=1e-12)


def test_the_front_follows_the_way_or_keeps_its_direction():
    base = place(5.0, 5.0, 0.7, 0.4)
    route = Patrol([(0, 0), (0, 2)], speed_mps=1.0)
    np.testing.assert_allclose(route(1.0, base), place(0, 1, 0.7, np.pi / 2), atol=1e-12)
    np.testing.assert_allclose(route(3.0, base), place(0, 1, 0.7, -np.pi / 2), atol=1e-12)
    fixed = Patrol([(0, 0, 1), (0, 2, 3)], speed_mps=2**0.5, yaw_follows=False)
    np.testing.assert_allclose(fixed(1.0, base), place(0, 1, 2, 0.4), atol=1e-12)


def test_an_object_keeps_its_height_and_starts_where_its_route_does():
    world = make_box_room()
    simulator = Simulator([world, world], config=SimulatorConfig(width=8, height=8))
    route = Patrol([(1.0, 3.0), (2.0, 3.0)], speed_mps=1.0)
    copy = pickle.loads(pickle.dumps(route))
    simulator.set_object_motion(1, {1: copy, 2: Still(place(4.0, 3.0, 1.0))})
    np.testing.assert_allclose(simulator.object_poses[1], [place(1, 3, 0.4), place(4, 3, 1)])
    for step in range(1, 9):
        simulator.move_ground(0.0)
        expected = route(0.25 * step, world.objects[0].pose)
        np.testing.assert_array_equal(simulator.object_poses[1, 0], expected)
    np.testing.assert_array_equal(simulator.object_poses[0, 0], world.objects[0].pose)
    simulator.set_object_motion(1, None)
    simulator.move_ground(0.0)
    np.testing.assert_array_equal(simulator.object_poses[1, 0], expected)


def test_one_point_is_a_place_to_stay():
    np.testing.assert_array_equal(Waypoints([(1, 2, 3)], speed_mps=1)(9.0)[:3, 3], [1, 2, 3])
    np.testing.assert_array_equal(Patrol([(1, 2), (1, 2)], speed_mps=1)(9.0)[:2, 3], [1, 2])


@pytest.mark.parametrize(
    ("points", "speed", "message"),
    [
        ([], 1.0, "at least one point"),
        ([1.0, 2.0], 1.0, "at least one point"),
        ([(0, 0), (np.nan, 1)], 1.0, "finite"),
        ([(0, 0), (1, 1)], 0.0, "positive"),
        ([(0, 0), (1, 1)], np.inf, "positive"),
    ],
)
def test_senseless_routes_are_refused(points, speed, message):
    with pytest.raises(ConfigError, match=message):
        Waypoints(points, speed_mps=speed)


def test_a_pose_to_stay_at_must_be_rigid():
    with pytest.raises(CameraError):
        Still(np.zeros((4, 4)))
