"""MultiAgentEnv: PettingZoo environments of several agents with bodies in one world."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import NDArray

from worldfm_envs.config import GroundConfig
from worldfm_envs.sensors import Sensor, make_sensors
from worldfm_envs.task import one_of
from worldfm_envs.team_task import TeamTask
from worldfm_envs.teammates import TeammateSensor
from worldfm_envs.window import Window, open_window
from worldfm_envs.world_source import WorldSource
from worldfm_gym.errors import ActionError, ConfigError, MissingExtraError
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.bodies import with_bodies
from worldfm_gym.worlds.world import World

try:
    from pettingzoo import AECEnv, ParallelEnv
    from pettingzoo.utils import OrderEnforcingWrapper
    from pettingzoo.utils.conversions import parallel_to_aec
except ImportError:
    raise MissingExtraError(
        "pettingzoo", "multi-agent", "an environment of several agents"
    ) from None

Observation = dict[str, NDArray[Any]] | NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class MultiAgentConfig(GroundConfig):
    """What environments of several agents take besides what all walking ones do.

    `observations` may also be one name alone: observations are then arrays, not dictionaries.

    Attributes:
        num_agents: Agents that work together.
        max_cycles: Steps after which an episode is truncated.
        start_distance_m: Least distance between agents at the start, where there is room, metres.
        body_height_m: Height of the robots that agents see each other as, metres.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "teammates", "collision", "pose")

    num_agents: int = 3
    max_cycles: int = 500
    start_distance_m: float = 1.0
    body_height_m: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_agents", "max_cycles"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)!r}")
        if not self.body_height_m > 0:
            raise ConfigError(f"body_height_m must be positive, got {self.body_height_m!r}")
        if self.episodes is not None:
            raise ConfigError("environments of several agents take no episode sets: seed them")

    @property
    def num_bodies(self) -> int:
        """Agents in the simulator, those that no policy controls included."""
        return self.num_agents

    @property
    def agent_names(self) -> list[str]:
        """The agents that policies control, in the order of their numbers."""
        return [f"agent_{i}" for i in range(self.num_agents)]

    def prepare_world(self, world: World) -> World:
        """See `WorldConfig.prepare_world`: add the bodies, as wide as those that walk."""
        radius_m = world.require_nav().body.radius_m
        return with_bodies(world, self.num_bodies, radius_m=radius_m, height_m=self.body_height_m)

    def make_sensors(self) -> dict[str, Sensor]:
        """See `WorldConfig.make_sensors`; here is also ``"teammates"``."""
        wanted = self.OBSERVATIONS if self.observations is None else self.observations
        if isinstance(wanted, str):
            wanted = (wanted,)
        if not isinstance(wanted, Mapping):
            wanted = {name: name for name in wanted}
        others = TeammateSensor(self.num_bodies)
        given = {name: others if of == "teammates" else of for name, of in wanted.items()}
        return make_sensors(replace(self, observations=given))

    @abstractmethod
    def make_task(
        self, simulator: Simulator, *, actions: Any, sensors: Mapping[str, Sensor]
    ) -> TeamTask:
        """The task, in a simulator of `num_bodies` agents in one scene."""


class MultiAgentEnv(ParallelEnv[str, Observation, Any]):  # type: ignore[misc]
    """Agents that act at the same time in one shared world.

    All of them are one batch of one simulator: a step is one call for collision and one for images.
    """

    Config: ClassVar[type[MultiAgentConfig]]

    def __init__(
        self,
        config: MultiAgentConfig | None = None,
        *,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Set up an environment.

        Args:
            config: Its configuration; None takes the defaults.
            render_mode: None, ``"rgb_array"`` or ``"human"``.
            **options: Fields of the configuration to set.

        Raises:
            ConfigError: If an option makes no sense.
            NavigationError: If a world has no floor to walk on.
        """
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise ConfigError(f"render_mode must be None or one of {modes}, got {render_mode!r}")
        config = self.Config(**options) if config is None else replace(config, **options)
        self.config = config
        self.render_mode = render_mode
        self.max_cycles = config.max_cycles
        self._actions, self._sensors = config.make_actions(), config.make_sensors()
        self.possible_agents = config.agent_names
        self.agents: list[str] = []
        self._only = config.observations if isinstance(config.observations, str) else None
        space: spaces.Space[Any] = spaces.Dict([(n, s.space) for n, s in self._sensors.items()])
        if self._only is not None:
            space = self._sensors[self._only].space
        self.observation_spaces = {name: copy.deepcopy(space) for name in self.possible_agents}
        self.action_spaces = {
            name: copy.deepcopy(self._actions.space) for name in self.possible_agents
        }
        self._number = {name: number for number, name in enumerate(self.possible_agents)}
        self._source = WorldSource(
            config.world,
            world_seed=config.world_seed,
            new_world_every=config.new_world_every,
            body=config.body,
            prepare=config.prepare_world,
        )
        self._task: TeamTask | None = None
        self._rng: np.random.Generator | None = None
        self._cycles = 0
        self._closed = False
        self._window: Window | None = None
        if self._source.known:
            self._task = self._build(self._source.first())
        if render_mode == "human":
            fps = self.metadata["render_fps"]
            self._window = open_window(title=self.metadata["name"], fps=fps)

    @property
    def task(self) -> TeamTask:
        """The task of all agents; as `task.simulator`, the simulator."""
        if self._task is None:
            raise ResetNeeded("the world is drawn at the first reset: call reset() first")
        return self._task

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent observes; the same object every time."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent can do; the same object every time."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start a new episode.

        Args:
            seed: Seeds the environment's generator; None goes on with it.
            options: Not used; PettingZoo asks for it.
        """
        self._check_open()
        if options and "edits" in options:
            raise ConfigError("environments of several agents take no edits")
        if seed is not None or self._rng is None:
            self._rng, _ = seeding.np_random(seed)
        rng = self._rng
        worlds, scene = self._source.next(rng, restart=seed is not None)
        task = self._task = self._in_worlds(worlds)
        simulator = task.simulator
        simulator.reset_objects([scene])
        episode_seed = int(rng.integers(2**63))
        appearance = self.config.draw_appearance(episode_seed, simulator.worlds[scene])
        simulator.set_appearance(scene, appearance)
        task.start_all(rng, scene=scene, episode_seed=episode_seed)
        self.agents = list(self.possible_agents)
        self._cycles = 0
        return self._observations(self.agents), self._infos(self.agents, task.info())

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Observation],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Carry out the actions of all live agents at once.

        Raises:
            ActionError: If an agent's action is missing or outside its space; nothing moved.
        """
        self._check_open()
        if self._task is None:
            raise ResetNeeded("step() before reset(): call reset() first")
        if not self.agents:
            return {}, {}, {}, {}, {}
        acting = self.agents
        outcome = self._task.advance(self._joined(actions))
        self._cycles += 1
        late = self._cycles >= self.max_cycles
        rewards, terminated, truncated = {}, {}, {}
        for name in acting:
            number = self._number[name]
            rewards[name] = float(outcome.reward[number])
            terminated[name] = bool(outcome.terminated[number])
            truncated[name] = late and not terminated[name]
        observations = self._observations(acting)
        self.agents = [name for name in acting if not (terminated[name] or truncated[name])]
        return observations, rewards, terminated, truncated, self._infos(acting, outcome.info)

    def render(self) -> NDArray[np.uint8] | None:
        """What the agents saw last, side by side [H, M · W, 3], in mode ``"rgb_array"``."""
        self._check_open()
        if self.render_mode != "rgb_array":
            return None
        return self._picture()

    def close(self) -> None:
        """Let go of worlds, renderer and window; closing twice does nothing."""
        self._closed, self._task, self.agents = True, None, []
        if self._window is not None:
            self._window.close()
            self._window = None

    def _joined(self, actions: Mapping[str, Any]) -> NDArray[Any]:
        """One action per agent of the simulator; those whose part is over stay where they are."""
        task = self.task
        missing = [name for name in self.agents if name not in actions]
        if missing:
            raise ActionError(f"no action for {missing}: every live agent needs one")
        given = self._actions.check(np.stack([np.asarray(actions[name]) for name in self.agents]))
        joined = np.zeros((task.simulator.num_agents, *given.shape[1:]), given.dtype)
        if given.ndim == 2:
            joined[:, 2] = 1.0  # stop
        joined[[self._number[name] for name in self.agents]] = given
        task.script(joined)
        return joined

    def _observations(self, names: Sequence[str]) -> dict[str, Observation]:
        batch = self.task.observe_for([self._number[name] for name in names])
        if self._window is not None:
            self._window.show(self._picture())
        if self._only is not None:
            return dict(zip(names, batch[self._only], strict=True))
        return {
            name: {key: reading[row] for key, reading in batch.items()}
            for row, name in enumerate(names)
        }

    def _infos(
        self, names: Sequence[str], info: Mapping[str, NDArray[Any]]
    ) -> dict[str, dict[str, Any]]:
        return {name: one_of(info, self._number[name]) for name in names}

    def _picture(self) -> NDArray[np.uint8]:
        """The last images side by side."""
        if self._task is None or self._task.frame is None:
            raise ResetNeeded("render() before reset(): there is nothing to show yet")
        return np.concatenate(list(self._task.frame.rgb), axis=1)

    def _build(self, worlds: Sequence[World]) -> TeamTask:
        config = self.config
        simulator = Simulator(
            worlds,
            scene=np.zeros(config.num_bodies, np.int64),
            config=config.simulator_config,
            renderer=config.renderer,
            device=config.device,
            renderer_options=config.renderer_options,
        )
        for scene in range(len(worlds)):
            simulator.set_object_motion(scene, config.object_motion)
        return config.make_task(simulator, actions=self._actions, sensors=self._sensors)

    def _in_worlds(self, worlds: Sequence[World]) -> TeamTask:
        """The task, with these worlds in its scenes."""
        if self._task is None:
            return self._build(worlds)
        simulator = self._task.simulator
        for scene, world in enumerate(worlds):
            if simulator.worlds[scene] is not world:
                simulator.set_world(scene, world)
                simulator.set_object_motion(scene, self.config.object_motion)
        return self._task

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedEnvironmentError("this environment is closed: make a new one")


def metadata_of(name: str) -> dict[str, Any]:
    """The metadata of a class of environments."""
    return {
        "name": name,
        "render_modes": ["rgb_array", "human"],
        "render_fps": 30,
        "is_parallelizable": True,
    }


def turn_by_turn(parallel: MultiAgentEnv) -> AECEnv[str, Observation, Any]:
    """The same environment for agents that act one after the other, by PettingZoo's conversion."""
    return OrderEnforcingWrapper(parallel_to_aec(parallel))
