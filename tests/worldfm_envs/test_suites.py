"""Bundled suites: worlds that nobody trains on, and episodes that are what their files say."""

import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym  # noqa: F401
from worldfm_envs.episode_set import SUITES_FOLDER, EpisodeSet
from worldfm_envs.episodes import difficulty_of
from worldfm_envs.suites import SUITES, BlankRenderer, generate_episodes
from worldfm_gym.errors import ConfigError
from worldfm_gym.registration import ENTRY_POINTS
from worldfm_gym.training.generator_config import TRAINING_SEEDS


@pytest.mark.parametrize("name", SUITES)
def test_worlds_are_never_used_in_training(name: str) -> None:
    suite, recipe = EpisodeSet.load(name), SUITES[name]
    assert len(suite) == len(recipe.seeds) * recipe.per_world
    assert {e.seed for e in suite} == set(recipe.seeds)
    if recipe.seeds != (None,):
        assert min(e.seed for e in suite) >= TRAINING_SEEDS
    assert (SUITES_FOLDER / f"{name}.json").stat().st_size < 300_000
    assert len({str(e.options) for e in suite}) == len(suite)


@pytest.mark.parametrize("name", SUITES)
def test_the_recipe_draws_what_the_file_holds(name: str) -> None:
    suite, recipe = EpisodeSet.load(name), SUITES[name]
    drawn = generate_episodes(
        name,
        source=recipe.source,
        seeds=recipe.seeds[:1],
        per_world=2,
        config=recipe.config,
        description=recipe.description,
    )
    assert drawn.config == suite.config
    for new, stored in zip(drawn, suite, strict=False):
        assert (new.id, new.source, new.seed) == (stored.id, stored.source, stored.seed)
        # Another machine may round the last digit of a distance the other way.
        for option in ("start_xy", "start_yaw", "goal_xy"):
            assert new.options[option] == pytest.approx(stored.options[option], abs=2e-4)
        assert new.geodesic_distance_m == pytest.approx(stored.geodesic_distance_m, abs=2e-3)


def test_distances_are_those_of_the_map_and_in_range() -> None:
    suite = EpisodeSet.load("maze-val")
    first = [e for e in suite if e.seed == suite[0].seed]
    env = gym.make(
        suite.env_id, world="maze", world_seed=suite[0].seed, renderer=BlankRenderer, **suite.config
    )
    for stored in first:
        _, info = env.reset(options=dict(stored.options))
        assert info["distance_to_goal"] == pytest.approx(stored.geodesic_distance_m, abs=2e-3)
        straight = np.subtract(stored.options["goal_xy"], stored.options["start_xy"])
        straight_m = float(np.linalg.norm(straight))
        # An interpolated field is within a few percent of the true distance.
        assert stored.geodesic_distance_m > 0.97 * straight_m
        assert stored.difficulty == difficulty_of(stored.geodesic_distance_m, straight_m)
    assert all(1.0 <= e.geodesic_distance_m <= 30.0 for e in suite)
    env.close()


def test_the_seed_decides_what_is_drawn() -> None:
    def draw(**changes):
        return generate_episodes("x", source="maze", seeds=(3,), per_world=3, **changes)

    assert draw(seed=5) == draw(seed=5)
    assert draw(seed=5)[0].options != draw(seed=6)[0].options


def test_a_camera_without_a_goal_has_a_start_pose() -> None:
    drawn = generate_episodes(
        "flights", "WorldFM/FreeCamera-v0", source="maze", seeds=(3,), per_world=2
    )
    rotation = np.array(drawn[0].options["c2w"])[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), rtol=0, atol=1e-8)
    assert drawn[0].geodesic_distance_m is None
    assert drawn[0].difficulty is None


@pytest.mark.parametrize("env_id", sorted(set(ENTRY_POINTS) - {"WorldFM/FreeCamera-v0"}))
def test_every_task_starts_where_its_file_says(env_id: str) -> None:
    drawn = generate_episodes("x", env_id, source="rooms", seeds=(3,), per_world=2)
    env = gym.make(env_id, world="rooms", world_seed=3, renderer=BlankRenderer)
    for stored in drawn:
        seen = []
        for seed in (1, 2):
            env.reset(seed=seed, options=dict(stored.options))
            inner = env.unwrapped
            fixed = {n: g for n, g in inner.task.goals.items() if n in stored.options}
            seen.append([inner.simulator.c2w[0], *fixed.values()])
        for first, second in zip(*seen, strict=True):
            assert np.array_equal(first, second)
        if "start_xy" in stored.options:
            assert inner.simulator.position_xy[0] == pytest.approx(stored.options["start_xy"])
    env.close()


def test_refuses_an_empty_set() -> None:
    with pytest.raises(ConfigError, match="one episode or more"):
        generate_episodes("x", source="maze", seeds=(3,), per_world=0)
