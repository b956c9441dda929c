"""Image-goal navigation: the goal is the view from there, and success asks where one stands."""

import numpy as np
import pytest

from worldfm_envs.actions import FORWARD, LEFT, STOP
from worldfm_gym.camera import heading_c2w
from worldfm_gym.errors import ConfigError

ID = "WorldFM/ImageNav-v0"
STRAIGHT = {"start_xy": (1.0, 1.0), "start_yaw": 0.0, "goal_xy": (2.5, 1.0), "goal_yaw": 0.2}


def test_the_goal_is_what_one_sees_there(make_env):
    env = make_env(ID)
    observation, _ = env.reset(options=STRAIGHT)
    assert (observation["imagegoal"] != observation["rgb"]).any()
    simulator = env.unwrapped.simulator
    there = simulator.render_at(heading_c2w((2.5, 1.0, 1.25), 0.2)[None], [0])
    np.testing.assert_array_equal(observation["imagegoal"], there.rgb[0])
    step = env.step(FORWARD)[0]
    np.testing.assert_array_equal(step["imagegoal"], observation["imagegoal"])


def test_success_is_stopping_near_the_goal(make_env):
    env = make_env(ID)
    for steps, success in ((1, False), (3, True)):
        _, info = env.reset(options=STRAIGHT)
        assert info["distance_to_goal"] == pytest.approx(1.5, rel=0.02)
        for _ in range(steps):
            env.step(FORWARD)
        *_, terminated, _, info = env.step(STOP)
        assert terminated
        assert info["success"] is success
        assert (info["spl"] > 0.99) is success


def test_success_can_ask_for_the_heading(make_env):
    env = make_env(ID, success_angle_deg=15.0, success_distance_m=2.0)
    for turns, success in ((0, True), (1, True), (3, False)):
        env.reset(options={**STRAIGHT, "goal_yaw": 0.0})
        for _ in range(turns):
            env.step(LEFT)
        info = env.step(STOP)[4]
        assert info["angle_to_goal"] == pytest.approx(np.deg2rad(10 * turns), abs=1e-9)
        assert info["success"] is success


def test_seeds_and_options_repeat_the_goal(make_env):
    env = make_env(ID)
    first, _ = env.reset(seed=4)
    goals = {name: np.array(goal[0]) for name, goal in env.unwrapped.task.goals.items()}
    again, _ = env.reset(seed=4)
    np.testing.assert_array_equal(first["imagegoal"], again["imagegoal"])
    fixed, _ = env.reset(options={name: goals[name] for name in ("goal_xy", "goal_yaw")})
    np.testing.assert_array_equal(first["imagegoal"], fixed["imagegoal"])


def test_a_senseless_angle_is_refused(make_env):
    with pytest.raises(ConfigError, match="success_angle_deg"):
        make_env(ID, success_angle_deg=0.0)
