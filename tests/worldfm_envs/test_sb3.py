"""The view for Stable-Baselines3 is what its own vector environment makes of single ones."""

import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

from worldfm_gym.errors import ConfigError, MissingExtraError

pytest.importorskip("stable_baselines3")
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from worldfm_envs.sb3 import WorldVecEnv

POINT_NAV = "WorldFM/PointNav-v0"


@pytest.fixture
def options(box_room, box_room_renderer):
    return {
        "world": box_room,
        "renderer": box_room_renderer,
        "width": 40,
        "height": 40,
        "max_episode_steps": 6,
    }


def test_it_equals_a_dummy_vec_env_of_monitors(options):
    ours = WorldVecEnv(POINT_NAV, 3, **options)
    theirs = DummyVecEnv([lambda: Monitor(gym.make(POINT_NAV, **options))] * 3)
    rng = np.random.default_rng(0)
    for env in (ours, theirs):
        env.seed(4)
    assert_equal(ours.reset(), theirs.reset())
    ends = 0
    for _ in range(20):
        actions = rng.integers(0, 4, 3)
        mine, other = ours.step(actions), theirs.step(actions)
        assert_equal(mine[0], other[0])
        for a, b in zip(mine[1:3], other[1:3], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        for env in np.flatnonzero(mine[2]):
            ends += 1
            assert_same_end(mine[3][env], other[3][env])
        assert ours.reset_infos == theirs.reset_infos
    assert ends > 5


def assert_equal(observation, expected):
    for name, values in expected.items():
        np.testing.assert_array_equal(observation[name], values)
        assert observation[name].dtype == values.dtype


def assert_same_end(info, expected):
    assert_equal(info.pop("terminal_observation"), expected.pop("terminal_observation"))
    mine, other = info.pop("episode"), expected.pop("episode")
    assert (mine["r"], mine["l"]) == (other["r"], other["l"])
    assert mine["t"] > 0
    assert info.pop("is_success") == expected["success"]
    assert info == expected


def test_ppo_learns_on_it_and_counts_successes(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = WorldVecEnv(POINT_NAV, 2, observations=("depth", "pointgoal"), **options)
        model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, n_epochs=1, seed=0)
        model.learn(32)
        assert len(model.ep_info_buffer) == len(model.ep_success_buffer) > 0
        returns, lengths = evaluate_policy(model, env, 2, return_episode_rewards=True)
    assert all(1 <= length <= 6 for length in lengths)
    assert np.isfinite(returns).all()


def test_its_wrappers_work_and_what_can_not_be_done_is_told(options):
    env = WorldVecEnv(POINT_NAV, 2, render_mode="rgb_array", **options)
    stacked = VecFrameStack(env, 2)
    assert stacked.reset()["rgb"].shape == (2, 40, 40, 6)
    assert stacked.step(np.array([1, 2]))[0]["pointgoal"].shape == (2, 4)
    assert env.render().shape == (80, 40, 3)
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.get_attr("num_envs", 0) == [2]
    with pytest.raises(NotImplementedError, match="configuration"):
        env.set_attr("width", 3)
    with pytest.raises(NotImplementedError, match="vector"):
        env.env_method("step")
    env.set_options({"start_xy": (1.0, 1.0)})
    assert (env.reset()["pose"][:, :2] == 1.0).all()
    env.set_options([{"start_xy": (1.0, 1.0)}, {}])
    with pytest.raises(ConfigError, match="one dictionary"):
        env.reset()


def test_a_missing_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("stable_baselines3")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.delitem(sys.modules, "worldfm_envs.sb3")
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[sb3\]"):
        import worldfm_envs.sb3  # noqa: F401
