"""Saved policies in single environments: what they see, what they draw, what they refuse."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO

import worldfm_gym  # noqa: F401
from worldfm_agents.policy_agent import FORMAT, load_policy, save_policy
from worldfm_gym.errors import ConfigError

SEEN = {"observations": ["depth", "pointgoal"], "width": 40, "height": 36}


@pytest.fixture
def make(box_room, box_room_renderer):
    def made(**options):
        options = {"world": box_room, "renderer": box_room_renderer, **SEEN, **options}
        return gym.make("WorldFM/PointNav-v0", **options)

    return made


def trained(env, path: Path) -> PPO:
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    save_policy(model.policy, path, SEEN)
    return model


def actions(policy, env, *, seed: int) -> list:
    agent = policy.agent(env, seed)
    observation, info = env.reset(seed=3)
    return [agent.act(observation, info) for _ in range(30)]


def test_a_saved_policy_draws_by_its_seed_alone(make, tmp_path: Path) -> None:
    env = make()
    trained(env, tmp_path / "policy.safetensors")
    policy = load_policy(tmp_path / "policy.safetensors")
    assert policy.env_options == SEEN
    state = torch.get_rng_state()
    first = actions(policy, env, seed=1)
    assert first == actions(policy, env, seed=1)
    assert first != actions(policy, env, seed=2)
    assert set(first) == {0, 1, 2, 3}
    assert all(type(action) is int for action in first)
    assert torch.equal(state, torch.get_rng_state())


def test_it_draws_from_the_distribution_that_was_saved(make, tmp_path: Path) -> None:
    env = make()
    model = trained(env, tmp_path / "policy.safetensors")
    with torch.no_grad():
        model.policy.action_net.bias.copy_(torch.tensor([0.0, 2.0, 1.0, -1.0]))
    save_policy(model.policy, tmp_path / "policy.safetensors", SEEN)
    observation, info = env.reset(seed=3)
    tensors, _ = model.policy.obs_to_tensor(observation)
    chances = model.policy.get_distribution(tensors).distribution.probs[0].detach().numpy()
    agent = load_policy(tmp_path / "policy.safetensors").agent(env, 0)
    drawn = [agent.act(observation, info) for _ in range(2000)]
    assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx(chances, abs=0.04)


def test_continuous_actions_stay_in_their_space(make, tmp_path: Path) -> None:
    env = make(action_mode="continuous")
    trained(env, tmp_path / "policy.safetensors")
    drawn = actions(load_policy(tmp_path / "policy.safetensors"), env, seed=1)
    assert all(env.action_space.contains(action) for action in drawn)
    assert np.std(drawn, axis=0).min() > 0.1


def test_says_what_does_not_fit(make, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    trained(make(), path)
    with pytest.raises(ConfigError, match="do not fit"):
        load_policy(path).agent(make(action_mode="continuous"), 0)
    with pytest.raises(ConfigError, match="no policy"):
        load_policy(tmp_path / "other.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"PK something else")
    with pytest.raises(ConfigError, match="no policy"):
        load_policy(tmp_path / "other.safetensors")
    weights = load_file(path)
    for metadata, message in (
        ({}, "has format None"),
        ({"format": FORMAT, "version": "1", "kind": "new"}, "unknown kind 'new'"),
    ):
        save_file(weights, path, metadata=metadata)
        with pytest.raises(ConfigError, match=message):
            load_policy(path)


def test_policies_of_the_training_script_are_known(make, tmp_path: Path) -> None:
    from gymnasium import spaces

    from worldfm_agents import ppo_policy
    from worldfm_agents.ppo_observations import SPACE

    policy = ppo_policy.MirrorPolicy(SPACE, spaces.Discrete(4), lambda _: 0.0)
    options = {**SEEN, "observations": ["depth", "pointgoal", "collision"], "width": 36}
    ppo_policy.save_policy(policy, tmp_path / "polar.safetensors", options)
    loaded = load_policy(tmp_path / "polar.safetensors")
    assert loaded.env_options == options
    env = make(**options)
    assert actions(loaded, env, seed=1) == actions(loaded, env, seed=1)
