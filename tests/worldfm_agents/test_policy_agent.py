"""Policies of Stable-Baselines3 in single environments: what they see, what they draw."""

import json
from pathlib import Path

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO

import worldfm_gym  # noqa: F401
from worldfm_agents.policy_agent import PolicyAgent, load_policy, options_of
from worldfm_gym.errors import ConfigError

SEEN = {"observations": ["depth", "pointgoal"], "width": 40, "height": 36}


class Stubborn:
    """An agent of its own that says what it was made with."""

    def __init__(self, model, env, *, deterministic, seed):
        self.made_with = (type(model), env, deterministic, seed)


@pytest.fixture
def env(box_room, box_room_renderer):
    return gym.make("WorldFM/PointNav-v0", world=box_room, renderer=box_room_renderer, **SEEN)


@pytest.fixture
def saved(env, tmp_path: Path) -> Path:
    PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, seed=0).save(tmp_path / "policy.zip")
    return tmp_path / "policy.zip"


def actions(policy, env, *, seed: int) -> list[int]:
    agent = policy.agent(env, seed)
    observation, info = env.reset(seed=3)
    return [int(agent.act(observation, info)) for _ in range(20)]


def test_a_saved_policy_knows_its_environment_and_draws_by_its_seed(saved: Path, env) -> None:
    policy = load_policy(saved)
    assert policy.env_options == {**SEEN, "depth_dtype": "uint8"}
    state = torch.get_rng_state()
    first = actions(policy, env, seed=1)
    assert first == actions(policy, env, seed=1)
    assert first != actions(policy, env, seed=2)
    assert len(set(first)) > 1
    assert torch.equal(state, torch.get_rng_state())


def test_a_file_beside_it_says_more(saved: Path, env) -> None:
    saved.with_suffix(".json").write_text(json.dumps({"deterministic": True, "env": {"width": 48}}))
    policy = load_policy(saved)
    assert policy.env_options["width"] == 48
    assert policy.env_options["height"] == 36
    assert len(set(actions(policy, env, seed=1))) == 1  # the same observation, the same action


def test_a_file_beside_it_names_another_agent(saved: Path, env, monkeypatch) -> None:
    monkeypatch.setattr("worldfm_agents.agent.Stubborn", Stubborn, raising=False)
    more = {"agent": "worldfm_agents.agent:Stubborn", "env": {"width": 48}}
    saved.with_suffix(".json").write_text(json.dumps(more))
    policy = load_policy(saved)
    assert policy.env_options == {"width": 48}
    assert policy.agent(env, 5).made_with == (PPO, env, False, 5)


def test_says_what_does_not_fit(saved: Path, box_room, box_room_renderer) -> None:
    other = gym.make(
        "WorldFM/PointNav-v0",
        world=box_room,
        renderer=box_room_renderer,
        **SEEN,
        action_mode="continuous",
    )
    with pytest.raises(ConfigError, match="action_space"):
        load_policy(saved).agent(other, 0)
    with pytest.raises(ConfigError, match="no policy"):
        load_policy(saved.with_name("other.zip"))
    with pytest.raises(ConfigError, match="Dict"):
        options_of(gym.spaces.Discrete(3))
    assert PolicyAgent is load_policy(saved).agent_class
