"""EnvBatch: N environments that share a simulator; single and vector environments are faces of it.

Each environment has its own generator and its own scenes, so that what happens in one never depends
on the others: environment i of N goes through the very episodes of a single one. Worlds are never
modified, so those of one source and seed are built once for all N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from worldfm_envs.config import WorldConfig
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
        self._sources = [
            WorldSource(
                config.world,
                world_seed=config.world_seed,
                new_world_every=config.new_world_every,
                body=config.body,
                cache=shared,
            )
            for _ in range(num_envs)
        ]
        self._task: Task | None = None
        if self._sources[0].known:
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

        From each generator are drawn, in this order: the world, a seed for what is random within
        the episode without deciding its course (noise, appearance), and what the task needs.

        Args:
            envs: Indices of environments; all of them the first time.
            rngs: Their generators.
            restart: Whether each generator was just seeded.
            options: Reset options, the same for all.

        Raises:
            ConfigError: If there is no such option.
        """
        fixed = self._checked(options)
        drawn = {
            env: self._sources[env].next(rng, restart=again)
            for env, rng, again in zip(envs, rngs, restart, strict=True)
        }
        if self._task is None:
            self._build([drawn[env][0] for env in range(self.num_envs)])
        for env, rng in zip(envs, rngs, strict=True):
            worlds, chosen = drawn[env]
            self._enter(env, worlds)
            scene = env * len(worlds) + chosen
            self.task.simulator.reset_objects([scene])
            seed = int(rng.integers(2**63))
            self.task.start(env, rng, scene=scene, episode_seed=seed, options=fixed)

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

    def _checked(self, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
        fixed = options or {}
        unknown = sorted(set(fixed) - set(self.config.RESET_OPTIONS))
        if unknown:
            raise ConfigError(
                f"unknown reset options {unknown}: {type(self.config).__name__} takes "
                f"{list(self.config.RESET_OPTIONS)}"
            )
        return fixed
