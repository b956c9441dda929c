"""PPO training: what the policy sees in training and alone, a short run from end to end."""

import json

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from worldfm_agents import train_ppo
from worldfm_agents.benchmark import play
from worldfm_agents.ppo_observations import SPACE, PolarAgent, PolarObservations, PolarVecEnv
from worldfm_agents.ppo_policy import load_policy
from worldfm_envs.episode_set import EpisodeSet, StoredEpisode
from worldfm_envs.sb3 import WorldVecEnv
from worldfm_gym.errors import ConfigError

SEEN = {"observations": ["depth", "pointgoal", "collision"], "width": 32, "height": 32}


def test_training_shows_what_an_agent_sees_alone(box_room, box_room_renderer) -> None:
    options = {"world": box_room, "renderer": box_room_renderer, **SEEN, "max_episode_steps": 9}
    together = PolarVecEnv(WorldVecEnv("WorldFM/PointNav-v0", 3, **options))
    together.seed(5)
    alone = [gym.make("WorldFM/PointNav-v0", **options) for _ in range(3)]
    views = [PolarObservations(1, env.observation_space) for env in alone]
    one = np.zeros(1, np.int64)

    def see(i, observation, action):
        batch = {name: value[None] for name, value in observation.items()}
        return views[i].observe(one, batch, None if action is None else np.array([action]))

    def compare(seen, i, own):
        assert SPACE.contains({name: value[i] for name, value in seen.items()})
        for name, value in own.items():
            np.testing.assert_array_equal(seen[name][i], value[0], err_msg=name)

    seen = together.reset()
    for i, env in enumerate(alone):
        compare(seen, i, see(i, env.reset(seed=5 + i)[0], None))
    rng, ended = np.random.default_rng(0), 0
    for _ in range(25):
        actions = rng.choice(4, size=3, p=[0.05, 0.45, 0.25, 0.25])
        seen, _, done, infos = together.step(actions)
        for i, env in enumerate(alone):
            observation, _, terminated, truncated, _ = env.step(int(actions[i]))
            own = see(i, observation, actions[i])
            assert done[i] == (terminated or truncated)
            if done[i]:
                ended += 1
                last = infos[i]["terminal_observation"]
                compare({name: value[None] for name, value in last.items()}, 0, own)
                views[i].forget(one)
                own = see(i, env.reset()[0], None)
            compare(seen, i, own)
    assert ended >= 6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A policy after two updates, and what was written about it."""
    folder = tmp_path_factory.mktemp("ppo")
    suite = EpisodeSet(
        name="two",
        env_id="WorldFM/PointNav-v0",
        episodes=tuple(StoredEpisode(id=str(k), source="rooms", seed=9) for k in range(2)),
    )
    suite.save(folder / "two.json")
    settings = train_ppo.Settings(
        out=folder / "out",
        suite=str(folder / "two.json"),
        steps=128,
        envs=2,
        worlds=2,
        rollout=32,
        batch=32,
        epochs=1,
        image_side=32,
        max_episode_steps=20,
    )
    return settings, train_ppo.main(settings)


def test_a_short_run_writes_what_it_did(trained) -> None:
    settings, report = trained
    assert report["steps"] == 128
    assert report["suite"]["episodes"] == 2
    assert json.loads((settings.out / "curve.json").read_text())["steps"] == 128
    with Image.open(settings.out / "curve.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert (np.abs(pixels.astype(int) - [196, 78, 38]).sum(-1) < 30).sum() > 50


def test_the_saved_policy_plays_as_the_trained_one_did(trained) -> None:
    settings, report = trained
    policy, env_options = load_policy(settings.out / "policy.safetensors")
    assert env_options == settings.environment
    episodes = play(
        EpisodeSet.load(settings.suite),
        lambda env, number: PolarAgent(policy, env, seed=number),
        options=env_options,
    )
    distances = [episode.metrics["distance_to_goal"] for episode in episodes]
    assert np.mean(distances) == pytest.approx(report["suite"]["distance_to_goal"], rel=1e-9)


def test_other_files_are_no_policies(tmp_path) -> None:
    (tmp_path / "policy.safetensors").write_bytes(b"not a policy")
    for name in ("policy.safetensors", "missing.safetensors"):
        with pytest.raises(ConfigError, match="is not a policy"):
            load_policy(tmp_path / name)
