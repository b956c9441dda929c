"""Waypoints: turn there, go straight, stop at contact, always in the same time."""

import numpy as np
import pytest

OPEN = {"start_xy": (1.0, 1.0), "start_yaw": 0.0, "goal_xy": (5.0, 1.0)}


def at(distance_m, angle_deg, *, reach_m=1.0, stop=-1.0):
    return np.array([2 * distance_m / reach_m - 1, angle_deg / 180, stop], np.float32)


@pytest.mark.parametrize(("distance_m", "angle_deg"), [(1.0, 0), (0.6, 90), (0.37, -30), (0, 45)])
def test_the_agent_gets_there_and_faces_that_way(make_env, distance_m, angle_deg):
    env = make_env(action_mode="waypoint")
    env.reset(options=OPEN)
    info = env.step(at(distance_m, angle_deg))[4]
    angle = np.deg2rad(angle_deg)
    simulator = env.unwrapped.simulator
    expected = np.array([1.0, 1.0]) + distance_m * np.array([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(simulator.position_xy[0], expected, atol=1e-5)
    assert simulator.yaw[0] == pytest.approx(angle, abs=1e-5)
    assert info["path_length"] == pytest.approx(distance_m, abs=1e-5)
    assert info["collisions"] == 0
    assert simulator.time_s[0] == pytest.approx(0.25 * (1 + 4))


def test_it_ends_at_what_is_in_the_way(make_env):
    env = make_env(action_mode="waypoint", max_waypoint_m=3.0, sliding=False)
    env.reset(options={**OPEN, "start_xy": (1.0, 2.0)})
    observation, *_, info = env.step(at(3.0, 0.0, reach_m=3.0))
    assert observation["collision"][0] == 1.0
    assert info["collisions"] == 1
    # The crate's near side is at x = 2.6, the body's radius 0.18 m.
    assert env.unwrapped.simulator.position_xy[0, 0] == pytest.approx(2.6 - 0.18, abs=0.02)


def test_a_goal_is_reached_by_waypoints(make_env):
    env = make_env(action_mode="waypoint", observations=("pointgoal",))
    observation, _ = env.reset(options={**OPEN, "goal_xy": (1.5, 2.2)})
    for _ in range(3):
        distance, angle = observation["pointgoal"]
        observation, *_ = env.step(at(min(distance, 1.0), np.rad2deg(angle)))
    _, _, terminated, _, info = env.step(at(0.0, 0.0, stop=1.0))
    assert terminated
    assert info["success"]
    assert info["spl"] == pytest.approx(1.0, abs=0.02)
