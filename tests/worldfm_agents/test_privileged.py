"""Privileged agents solve their tasks nearly always, and nearly as well as can be."""

import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym
from worldfm_agents.baselines import BASELINES, make_agent
from worldfm_agents.privileged import ExploringAgent, InspectingAgent, ShortestPathAgent
from worldfm_agents.rollout import rollout
from worldfm_gym.errors import ConfigError

SMALL = {"width": 16, "height": 16, "observations": ("collision",)}


@pytest.fixture(scope="module")
def rooms():
    return worldfm_gym.make_world("rooms", seed=1)


def mean(results, name):
    return np.mean([result.info[name] for result in results])


@pytest.mark.parametrize(
    ("task", "kwargs", "least_spl"),
    [
        ("ImageNav", {}, 0.95),
        ("ImageNav", {"success_angle_deg": 10.0, "difficulty": "medium"}, 0.95),
        ("ImageNav", {"action_repeat": 2, "forward_step_m": 0.1, "tilt": True}, 0.95),
        ("ObjectNav", {}, 0.9),
        ("DynamicNav", {"num_movers": 3}, 0.6),
    ],
)
def test_goals_are_reached(rooms, task, kwargs, least_spl):
    env = gym.make(f"WorldFM/{task}-v0", world=rooms, renderer="anchor", **SMALL, **kwargs)
    results = rollout(env, ShortestPathAgent(env), episodes=12)
    assert mean(results, "success") >= 0.9
    assert mean(results, "spl") >= least_spl
    env.close()


@pytest.mark.parametrize("task", ["ImageNav", "ObjectNav"])
def test_every_goal_of_a_room_is_reached(box_room, box_room_renderer, task):
    env = gym.make(f"WorldFM/{task}-v0", world=box_room, renderer=box_room_renderer, **SMALL)
    assert mean(rollout(env, ShortestPathAgent(env), episodes=20), "success") == 1.0


def test_a_place_is_explored(rooms):
    env = gym.make("WorldFM/Explore-v0", world=rooms, renderer="anchor", **SMALL)
    coverage = {
        name: mean(rollout(env, make_agent(name, env), episodes=2), "coverage")
        for name in ("blind", "random", "shortest-path")
    }
    assert coverage["shortest-path"] > 0.8
    assert coverage["shortest-path"] > coverage["blind"]
    env.close()


def test_a_room_is_explored_to_the_end(box_room, box_room_renderer):
    env = gym.make(
        "WorldFM/Explore-v0",
        world=box_room,
        renderer=box_room_renderer,
        coverage_goal=0.9,
        **SMALL,
    )
    results = rollout(env, ExploringAgent(env), episodes=4)
    assert mean(results, "success") == 1.0
    assert rollout(env, ExploringAgent(env), episodes=4) == results


def test_objects_are_inspected(rooms):
    env = gym.make("WorldFM/Inspect-v0", world=rooms, renderer="anchor", **SMALL)
    results = rollout(env, InspectingAgent(env), episodes=6)
    assert np.mean([r.info["inspected"] / r.info["targets"] for r in results]) >= 0.9
    env.close()


def test_baselines_by_name_act_or_say_what_they_need(box_room, box_room_renderer):
    options = {"world": box_room, "renderer": box_room_renderer, "width": 16, "height": 16}
    env = gym.make("WorldFM/PointNav-v0", **options)
    for name in BASELINES:
        results = rollout(env, make_agent(name, env, seed=3), episodes=1)
        assert results == rollout(env, make_agent(name, env, seed=3), episodes=1)
    with pytest.raises(ConfigError, match="no baseline named 'psychic'"):
        make_agent("psychic", env)
    with pytest.raises(ConfigError, match="pointgoal"):
        make_agent("greedy", gym.make("WorldFM/ImageNav-v0", **options))
    with pytest.raises(ConfigError, match="discrete"):
        make_agent("blind", gym.make("WorldFM/Inspect-v0", **options))
    with pytest.raises(ConfigError, match="WorldFM/Explore"):
        ExploringAgent(env)
    with pytest.raises(ConfigError, match="WorldFM/Inspect"):
        InspectingAgent(env)
    with pytest.raises(ConfigError, match="goal to walk to"):
        ShortestPathAgent(gym.make("WorldFM/Explore-v0", **options))
