"""Stored worlds: the worlds of an episode set, built when an episode needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary

from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.world_source import build
from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.world import World

_KEPT = 8
"""Worlds kept though no environment is in them: sets have runs of episodes in one world."""


class StoredWorlds:
    """The worlds of an episode set; those used last stay built."""

    def __init__(
        self, episodes: EpisodeSet, *, body: AgentBody | None, prepare: Callable[[World], World]
    ) -> None:
        """Keep the set.

        Args:
            episodes: The set.
            body: The agent that walks; None takes the one that a world was made for.
            prepare: What is done to each world once it is built.
        """
        self.episodes = episodes
        self._body = body
        self._prepare = prepare
        self._in_use: WeakValueDictionary[tuple[str | Path, int | None], World]
        self._in_use = WeakValueDictionary()
        self._recent: deque[World] = deque(maxlen=_KEPT)

    def world(self, episode: int) -> World:
        """The world of an episode of the set.

        Raises:
            ConfigError: If there is no such episode.
        """
        if not 0 <= episode < len(self.episodes):
            raise ConfigError(
                f"the episode set {self.episodes.name!r} has episodes 0…{len(self.episodes) - 1}, "
                f"got {episode}"
            )
        stored = self.episodes[episode]
        key = (stored.source, stored.seed)
        world = self._in_use.get(key)
        if world is None:
            world = self._prepare(build(stored.source, stored.seed, self._body))
            self._in_use[key] = world
        if world in self._recent:
            self._recent.remove(world)
        self._recent.append(world)
        return world
