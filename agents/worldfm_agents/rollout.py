"""Rollout: an agent plays episodes of an environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from worldfm_agents.agent import Agent


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        seed: Seed that the episode was reset with.
        steps: Number of steps.
        total_reward: Sum of the rewards.
        terminated: Whether the episode ended by itself.
        truncated: Whether the time limit ended it.
        info: The last `info`: success, spl and so on.
    """

    seed: int
    steps: int
    total_reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


def rollout(
    env: gym.Env[Any, Any],
    agent: Agent,
    *,
    episodes: int,
    seed: int = 0,
    reset_options: dict[str, Any] | None = None,
    on_frame: Callable[[dict[str, Any], dict[str, Any]], None] | None = None,
) -> list[EpisodeResult]:
    """Play episodes; number i is reset with ``seed + i``.

    Args:
        env: An environment that ends its episodes (`gymnasium.make` adds the time limit).
        agent: Who acts.
        episodes: How many episodes.
        seed: Seed of the first.
        reset_options: Given to every `reset`.
        on_frame: Called with every observation and info, those of `reset` included.
    """
    results = []
    for episode_seed in range(seed, seed + episodes):
        observation, info = env.reset(seed=episode_seed, options=reset_options)
        if on_frame is not None:
            on_frame(observation, info)
        steps, total, terminated, truncated = 0, 0.0, False, False
        while not (terminated or truncated):
            action = agent.act(observation, info)
            observation, reward, terminated, truncated, info = env.step(action)
            steps, total = steps + 1, total + float(reward)
            if on_frame is not None:
                on_frame(observation, info)
        results.append(EpisodeResult(episode_seed, steps, total, terminated, truncated, info))
    return results
