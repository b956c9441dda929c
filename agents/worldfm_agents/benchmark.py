"""Benchmark: an agent plays every episode of a set, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import gymnasium as gym

from worldfm_agents.agent import Agent
from worldfm_agents.rollout import EpisodeResult, rollout
from worldfm_envs.episode_set import EpisodeSet

AgentMaker = Callable[[gym.Env[Any, Any], int], Agent]
"""Makes the agent that plays episode number k of an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedEpisode:
    """How one stored episode went.

    Attributes:
        id: Its name in the set.
        geodesic_distance_m: Way to the goal at the start, metres; None where there is no goal.
        difficulty: As the set has it.
        steps: Number of steps.
        total_reward: Sum of the rewards.
        truncated: Whether the time limit ended it.
        metrics: The numbers of the last `info`, truth values as 0 or 1.
        seconds: Wall time of the episode, reset and agent included.
    """

    id: str
    geodesic_distance_m: float | None
    difficulty: str | None
    steps: int
    total_reward: float
    truncated: bool
    metrics: dict[str, float]
    seconds: float


def play(
    episodes: EpisodeSet,
    make_agent: AgentMaker,
    *,
    options: Mapping[str, Any] | None = None,
    env_id: str | None = None,
) -> Iterator[PlayedEpisode]:
    """Play each episode once, in order; episode k is reset with seed k.

    Args:
        episodes: What to play.
        make_agent: Called anew for each episode.
        options: Arguments of `gymnasium.make`, over those that the set asks for.
        env_id: Another environment than the set was made for, with the same reset options.

    Raises:
        ConfigError: If the environment does not have an option.
    """
    env = gym.make(env_id or episodes.env_id, episodes=episodes, **(options or {}))
    try:
        for number, stored in enumerate(episodes):
            start = perf_counter()
            result = rollout(
                env,
                make_agent(env, number),
                episodes=1,
                seed=number,
                reset_options={"episode": number},
            )[0]
            yield PlayedEpisode(
                id=stored.id,
                geodesic_distance_m=stored.geodesic_distance_m,
                difficulty=stored.difficulty,
                steps=result.steps,
                total_reward=result.total_reward,
                truncated=result.truncated,
                metrics=_numbers(result),
                seconds=perf_counter() - start,
            )
    finally:
        env.close()


def _numbers(result: EpisodeResult) -> dict[str, float]:
    """What of the last info is a number."""
    return {
        name: float(value)
        for name, value in result.info.items()
        if isinstance(value, bool | int | float)
    }
