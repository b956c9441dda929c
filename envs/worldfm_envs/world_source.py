"""World source: which worlds an environment steps through, and when it makes new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from weakref import WeakValueDictionary

import numpy as np

from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.world import World

WorldLike = str | PathLike[str] | World | Callable[[int], World]
"""A source for `worldfm_gym.make_world`, a world, or a function of a seed that makes one."""


DRAWN_SEEDS = 1_000_000_000
"""Seeds are drawn below; those from here on belong to the suites (`worldfm_envs.suites`)."""

WorldCache = WeakValueDictionary[tuple[int, int | None], World]
"""Worlds in use by index of their source and seed: sources of one list build each only once."""


class WorldSource:
    """Hands out worlds by seed.

    The seeds that it draws depend on the generator and on how many episodes have begun since the
    last seeded reset, never on what was made before: the same seed gives the same worlds.
    """

    def __init__(
        self,
        world: WorldLike | Sequence[WorldLike],
        *,
        world_seed: int | None = 0,
        new_world_every: int = 0,
        body: AgentBody | None = None,
        cache: WorldCache | None = None,
        prepare: Callable[[World], World] | None = None,
    ) -> None:
        """Check and keep the sources.

        Args:
            world: One source or several; with several, each episode takes place in a random one.
            world_seed: Seed of the first world; source number i gets ``world_seed + i``. None
                draws it from the environment's generator at the first reset and each seeded one.
            new_world_every: After so many episodes, sources that take a seed get a new one and
                make another world. 0 keeps the first worlds.
            body: The agent that walks; None takes the one that a world was made for.
            cache: Shared by several of the same list and body, so that they share worlds.
            prepare: What is done to each world once it is built.
        """
        several = isinstance(world, Sequence) and not isinstance(world, str)
        self._sources: list[WorldLike] = list(world) if several else [world]  # type: ignore[arg-type, list-item]
        if not self._sources:
            raise ConfigError("world must name at least one source, got an empty list")
        for source in self._sources:
            if not isinstance(source, str | PathLike | World) and not callable(source):
                raise ConfigError(
                    "world must be a source for worldfm_gym.make_world (such as 'rooms' or a "
                    f"path), a World, a function of a seed, or a list of these; got {source!r}"
                )
        if world_seed is not None and world_seed < 0:
            raise ConfigError(f"world_seed must be 0 or more, or None, got {world_seed}")
        if new_world_every < 0:
            raise ConfigError(f"new_world_every must be 0 or more, got {new_world_every}")
        self._world_seed = world_seed
        self._new_world_every = new_world_every
        self._body = body
        self._cache: WorldCache = WeakValueDictionary() if cache is None else cache
        self._prepare = prepare
        self._seeds: list[int] = []
        self._worlds: list[World] = []
        self._episodes = 0

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def known(self) -> bool:
        """Whether the first worlds are settled before any reset."""
        return self._world_seed is not None

    def first(self) -> list[World]:
        """The worlds of the first episode, made now; only if `known`."""
        assert self._world_seed is not None, "the first worlds are drawn at reset"
        self._make([self._world_seed + i for i in range(len(self._sources))])
        return list(self._worlds)

    def next(self, rng: np.random.Generator, *, restart: bool) -> tuple[list[World], int]:
        """Worlds of the next episode, and which of them it takes place in.

        Args:
            rng: The environment's generator.
            restart: Whether the generator was just seeded.
        """
        count = len(self._sources)
        if restart:
            self._episodes = 0
        due = self._new_world_every > 0 and self._episodes % self._new_world_every == 0
        if self._episodes == 0 and self._world_seed is not None:
            self._make([self._world_seed + i for i in range(count)])
        elif self._episodes == 0 or due:
            self._make([int(seed) for seed in rng.integers(DRAWN_SEEDS, size=count)])
        self._episodes += 1
        return list(self._worlds), int(rng.integers(count)) if count > 1 else 0

    def _make(self, seeds: list[int]) -> None:
        """Bring the worlds to these seeds; what has its seed already stays."""
        worlds = []
        for i, (source, seed) in enumerate(zip(self._sources, seeds, strict=True)):
            kept = bool(self._worlds) and (self._seeds[i] == seed or not takes_seed(source))
            worlds.append(self._worlds[i] if kept else self._build(i, source, seed))
        self._worlds, self._seeds = worlds, seeds

    def _build(self, index: int, source: WorldLike, seed: int) -> World:
        key = (index, seed if takes_seed(source) else None)
        world = self._cache.get(key)
        if world is None:
            world = build(source, seed, self._body)
            world = self._cache[key] = self._prepare(world) if self._prepare else world
        return world


def build(source: WorldLike, seed: int | None, body: AgentBody | None) -> World:
    """Make the world of one source for a body; the seed is for those that take one."""
    if isinstance(source, World) and body is None:
        return source
    from worldfm_gym import make_world

    if callable(source) and not isinstance(source, World):
        assert seed is not None, "a function of a seed is given one"
        return make_world(source(seed), body=body)
    return make_world(source, seed=seed if takes_seed(source) else None, body=body)


def takes_seed(source: WorldLike) -> bool:
    """Whether another seed gives another world: procedural kinds and functions, not files."""
    if isinstance(source, str):
        from worldfm_gym.worlds.procedural import KINDS

        return source in KINDS
    return callable(source) and not isinstance(source, World)
