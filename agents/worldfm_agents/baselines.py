"""Baselines by name: the floors and the ceiling of every task."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from worldfm_agents.agent import Agent
from worldfm_agents.privileged import ExploringAgent, InspectingAgent, ShortestPathAgent
from worldfm_agents.scripted import BlindAgent, GreedyAgent, RandomAgent
from worldfm_envs.config import GroundConfig
from worldfm_envs.explore import ExploreEnv
from worldfm_envs.inspect_objects import InspectEnv
from worldfm_gym.errors import ConfigError

BASELINES = ("blind", "random", "greedy", "shortest-path")
"""Blind walks straight ahead, greedy heads for `pointgoal`, shortest-path knows map and goal."""


def make_agent(name: str, env: gym.Env[Any, Any], *, seed: int | None = 0) -> Agent:
    """Make a baseline for an environment; a new one for each episode repeats that episode.

    Args:
        name: One of `BASELINES`.
        env: Whose actions it takes, wrapped or not; with discrete actions where agents walk.
        seed: Of what the agent does at random.

    Raises:
        ConfigError: If there is no such baseline, or not for this environment.
    """
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    if name == "random":
        return RandomAgent(env.action_space, seed=seed)
    if name == "shortest-path":
        inner = env.unwrapped
        if isinstance(inner, ExploreEnv):
            return ExploringAgent(env, seed=seed)
        return InspectingAgent(env) if isinstance(inner, InspectEnv) else ShortestPathAgent(env)
    if name not in BASELINES:
        raise ConfigError(f"no baseline named {name!r}: choose one of {list(BASELINES)}")
    entries = env.observation_space
    assert isinstance(entries, gym.spaces.Dict)
    needs = ["collision"] if name == "blind" else ["collision", "pointgoal"]
    if not discrete or not set(needs) <= set(entries):
        raise ConfigError(
            f"the baseline {name!r} needs discrete actions and the observations {needs}, got "
            f"{env.action_space} and {list(entries)}"
        )
    if name == "blind":
        return BlindAgent(seed=seed)
    config = getattr(env.unwrapped, "config", None)
    turn_step_deg = config.turn_step_deg if isinstance(config, GroundConfig) else 10.0
    repeat = config.action_repeat if isinstance(config, GroundConfig) else 1
    return GreedyAgent(seed=seed, turn_step_deg=repeat * turn_step_deg)
