"""Exploration: what is earned is what is newly seen, and the end comes when all of it is."""

import numpy as np
import pytest

from worldfm_envs.actions import FORWARD, LEFT, STOP
from worldfm_gym.errors import ConfigError

ID = "WorldFM/Explore-v0"


def test_rewards_add_up_to_the_area_that_was_seen(make_env):
    env = make_env(ID, coverage_goal=1.0)
    _, info = env.reset(options={"start_xy": (1.0, 1.0), "start_yaw": 0.5})
    first, total, steps = info["covered_area"], 0.0, 0
    assert 0.0 < info["coverage"] < 1.0
    rng = np.random.default_rng(0)
    while steps < 60:
        _, reward, terminated, _, info = env.step(int(rng.integers(1, 4)))
        total, steps = total + reward, steps + 1
        assert not terminated
    assert info["covered_area"] > first
    assert total == pytest.approx(0.1 * (info["covered_area"] - first) - 0.01 * steps)
    floor_m2 = env.unwrapped.task.coverage.floor_m2[0]
    assert info["coverage"] == pytest.approx(info["covered_area"] / floor_m2)
    assert info["path_length"] > 0.0


def test_turning_around_in_the_corners_sees_it_all(make_env):
    env = make_env(ID, view_range_m=8.0, coverage_goal=0.9, slack_reward=0.0, coverage_reward=0.0)
    for corner in ((0.4, 0.4), (5.6, 0.4), (0.4, 3.6), (4.9, 3.6)):
        env.reset(options={"start_xy": corner, "start_yaw": 0.0})
        for _ in range(35):
            info = env.step(LEFT)[4]
        assert 0.4 < info["coverage"] < 0.9  # the crate hides what is behind it
        assert not info["success"]
    env.reset(options={"start_xy": (0.4, 0.4), "start_yaw": 0.0})
    for action in [*[LEFT] * 36, *[FORWARD] * 21, *[LEFT] * 36, *[FORWARD] * 3]:
        _, reward, terminated, _, info = env.step(action)
        if terminated:
            break
    assert terminated
    assert info["success"]
    assert info["coverage"] >= 0.9
    assert reward == 2.5


def test_stopping_ends_the_episode(make_env):
    env = make_env(ID)
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(STOP)
    assert terminated
    assert not info["success"]
    assert reward == pytest.approx(-0.01)


def test_each_episode_begins_unseen(make_env):
    env = make_env(ID)
    start = {"start_xy": (1.0, 1.0), "start_yaw": 0.5}
    first = env.reset(options=start)[1]
    for _ in range(10):
        env.step(LEFT)
    assert env.reset(options=start)[1] == first


@pytest.mark.parametrize("kwargs", [{"view_range_m": 0.0}, {"coverage_goal": 1.5}])
def test_senseless_rules_are_refused(make_env, kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        make_env(ID, **kwargs)
