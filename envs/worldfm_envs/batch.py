"""EnvBatch: N environments that share a simulator; single and vector environments are faces of it.

Each environment has its own generator and its own scenes, so that what happens in one never depends
on the others: environment i of N goes through the very episodes of a single one. Worlds are never
modified, so those of one source and seed are built once for all N.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from worldfm_envs.config import WorldConfig
from worldfm_envs.counterfactual import edit_episode
from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.stored_worlds import StoredWorlds
from worldfm_envs.task import Task
from worldfm_envs.world_source import WorldCache, WorldSource
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World


class EnvBatch:
    """N environments of one configuration: their worlds, simulator and task.

    Environment i has the scenes ``i · k … i · k + k − 1``, one for each of its k sources.

    Attributes:
        config: What they have in common.
        num_envs: N.
        action_space: Of one environment.
        observation_space: Of one environment, a `Dict` in the order of the sensors.
    """

    def __init__(self, config: WorldConfig, num_envs: int = 1) -> None:
        self.config = config
        self.num_envs = num_envs
        self.actions = config.make_actions()
        self.sensors = config.make_sensors()
        self.action_space = self.actions.space
        self.observation_space = spaces.Dict([(n, s.space) for n, s in self.sensors.items()])
        shared: WorldCache = WeakValueDictionary()
        prepare = _once_a_world(config.prepare_world)
        self._sources = [
            WorldSource(
                config.world,
                world_seed=config.world_seed,
                new_world_every=config.new_world_every,
                body=config.body,
                cache=shared,
                prepare=prepare,
            )
            for _ in range(num_envs)
        ]
        self._stored: StoredWorlds | None = None
        if config.episodes is not None:
            episodes = EpisodeSet.load(config.episodes)
            fixed = {name for episode in episodes for name in episode.options}
            unknown = sorted(fixed - set(config.RESET_OPTIONS))
            if unknown:
                raise ConfigError(
                    f"the episode set {episodes.name!r} fixes {unknown}, and "
                    f"{type(config).__name__} takes {list(config.RESET_OPTIONS)} only"
                )
            self._stored = StoredWorlds(episodes, body=config.body, prepare=prepare)
        self._task: Task | None = None
        if self._sources[0].known and self._stored is None:
            self._build([source.first() for source in self._sources])

    @property
    def task(self) -> Task:
        """The task of all N agents."""
        if self._task is None:
            raise ResetNeeded("the world is drawn at the first reset: call reset() first")
        return self._task

    @property
    def started(self) -> bool:
        """Whether there are worlds already."""
        return self._task is not None

    def begin(
        self,
        envs: Sequence[int],
        rngs: Sequence[np.random.Generator],
        *,
        restart: Sequence[bool],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Start an episode in each of the environments `envs`.

        From each generator are drawn, in this order: the world (or the stored episode), a seed for
        what is random within the episode without deciding its course (noise, appearance), and what
        the task needs.

        Args:
            envs: Indices of environments; all of them the first time.
            rngs: Their generators.
            restart: Whether each generator was just seeded.
            options: Reset options, the same for all, except that ``"episode"`` may be an array [N].
                Every task takes ``"edits"``, see `worldfm_envs.counterfactual`.

        Raises:
            ConfigError: If there is no such option.
        """
        given = self._checked(options)
        stored = self._stored_episodes(given.pop("episode", None))
        edits = given.pop("edits", ())
        beginnings = [
            self._drawn(env, rng, restart=again, episode=stored[env])
            for env, rng, again in zip(envs, rngs, restart, strict=True)
        ]
        if self._task is None:
            self._build([beginning.worlds for beginning in beginnings])
        simulator = self.task.simulator
        for env, rng, beginning in zip(envs, rngs, beginnings, strict=True):
            self._enter(env, beginning.worlds)
            scene = env * len(beginning.worlds) + beginning.chosen
            simulator.reset_objects([scene])
            seed = int(rng.integers(2**63))
            # Always, for an earlier episode may have had one; before the task draws its goals.
            appearance = self.config.draw_appearance(seed, simulator.worlds[scene])
            simulator.set_appearance(scene, appearance)
            fixed = {**beginning.options, **given}
            self.task.start(env, rng, scene=scene, episode_seed=seed, options=fixed)
            if edits:
                edit_episode(self.task, env, edits)

    def _drawn(
        self, env: int, rng: np.random.Generator, *, restart: bool, episode: int | None
    ) -> _Beginning:
        """Where the next episode of an environment takes place, and what is fixed of it."""
        if self._stored is None:
            worlds, chosen = self._sources[env].next(rng, restart=restart)
            return _Beginning(worlds, chosen, {})
        k = int(rng.integers(len(self._stored.episodes))) if episode is None else episode
        return _Beginning([self._stored.world(k)], 0, self._stored.episodes[k].options)

    def _stored_episodes(self, episode: Any) -> list[int | None]:
        """Which episode of the set each environment is to take, None for one that is drawn."""
        if episode is None:
            return [None] * self.num_envs
        wanted = np.asarray(episode)
        if wanted.dtype.kind not in "iu" or wanted.shape not in ((), (self.num_envs,)):
            raise ConfigError(
                "reset option episode must be an index into the episode set, or an array of "
                f"{self.num_envs}, one per environment; got {episode!r}"
            )
        return [int(k) for k in np.broadcast_to(wanted, self.num_envs)]

    def _build(self, worlds: list[list[World]]) -> None:
        """The simulator and the task, with the worlds of each environment."""
        every = [world for own in worlds for world in own]
        for world in every:
            self._check_floor(world)
        simulator = Simulator(
            every,
            scene=np.arange(self.num_envs) * len(worlds[0]),
            config=self.config.simulator_config,
            renderer=self.config.renderer,
            device=self.config.device,
            renderer_options=self.config.renderer_options,
        )
        self._task = self.config.make_task(simulator, actions=self.actions, sensors=self.sensors)
        for scene in range(len(every)):
            simulator.set_object_motion(scene, self.config.object_motion)

    def _enter(self, env: int, worlds: list[World]) -> None:
        """Put these worlds into the scenes of an environment, where they differ."""
        simulator = self.task.simulator
        for scene, world in enumerate(worlds, start=env * len(worlds)):
            if simulator.worlds[scene] is not world:
                self._check_floor(world)
                simulator.set_world(scene, world)
                simulator.set_object_motion(scene, self.config.object_motion)

    def _check_floor(self, world: World) -> None:
        if self.config.NEEDS_FLOOR:
            world.require_nav()

    def _checked(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """The options, if there are such."""
        known = [*self.config.RESET_OPTIONS, "edits"]
        known += ["episode"] if self._stored is not None else []
        unknown = sorted(set(options or {}) - set(known))
        if unknown:
            raise ConfigError(
                f"unknown reset options {unknown}: {type(self.config).__name__} takes {known}"
            )
        return dict(options or {})


def _once_a_world(prepare: Callable[[World], World]) -> Callable[[World], World]:
    """The function, giving the same for the same world: other seeds may lead to it again."""
    prepared: WeakKeyDictionary[World, World] = WeakKeyDictionary()

    def remembered(world: World) -> World:
        if world not in prepared:
            result = prepare(world)
            if result is world:
                return world
            prepared[world] = result
        return prepared[world]

    return remembered


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Worlds of an environment's scenes, the one that the episode is in, and reset options."""

    worlds: list[World]
    chosen: int
    options: Mapping[str, Any]
