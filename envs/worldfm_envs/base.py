"""WorldEnv: a Gymnasium environment around a task with one agent."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypedDict, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.object_sensor import ObjectPoseSensor
from worldfm_envs.sensors import (
    CollisionSensor,
    DepthSensor,
    DepthType,
    PointGoalSensor,
    PoseSensor,
    ProvenanceSensor,
    RgbSensor,
    Sensor,
)
from worldfm_envs.task import Task, observation_space, one_of
from worldfm_envs.window import Window, open_window
from worldfm_envs.world_source import WorldLike, WorldSource
from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.renderer import Renderer
from worldfm_gym.scene_objects import ObjectMotion
from worldfm_gym.simulator import RendererFactory, Simulator, SimulatorConfig
from worldfm_gym.worlds.world import World

Observation = dict[str, NDArray[Any]]
TaskT = TypeVar("TaskT", bound=Task)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """Options that every environment takes; see the table in each environment's docstring."""

    world: WorldLike | Sequence[WorldLike] = "rooms"
    world_seed: int | None = 0
    new_world_every: int = 0
    renderer: str | Renderer | RendererFactory = "frame"
    renderer_options: Mapping[str, Any] | None = None
    device: str = "cpu"
    width: int = 128
    height: int = 128
    fov_x_deg: float = 90.0
    camera_height_m: float = 1.25
    agent_radius_m: float | None = None
    agent_height_m: float | None = None
    sliding: bool = True
    object_motion: ObjectMotion | None = None
    observations: Sequence[str] | None = None
    depth_dtype: DepthType = "uint8"
    max_depth_m: float = 10.0
    num_objects: int = 8

    def __post_init__(self) -> None:
        if self.depth_dtype not in ("uint8", "float32"):
            raise ConfigError(f"depth_dtype must be 'uint8' or 'float32', got {self.depth_dtype!r}")
        for name in ("max_depth_m", "camera_height_m", "num_objects"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)!r}")

    @property
    def body(self) -> AgentBody | None:
        """The agent that walks, or None for the one that the world was made for."""
        given = {"radius_m": self.agent_radius_m, "height_m": self.agent_height_m}
        given = {name: length for name, length in given.items() if length is not None}
        return AgentBody(**given) if given else None  # type: ignore[arg-type]


class WorldKeywords(TypedDict, total=False):
    """The fields of `WorldOptions`, for the signatures of environments."""

    world: WorldLike | Sequence[WorldLike]
    world_seed: int | None
    new_world_every: int
    renderer: str | Renderer | RendererFactory
    renderer_options: Mapping[str, Any] | None
    device: str
    width: int
    height: int
    fov_x_deg: float
    camera_height_m: float
    agent_radius_m: float | None
    agent_height_m: float | None
    sliding: bool
    object_motion: ObjectMotion | None
    observations: Sequence[str] | None
    depth_dtype: DepthType
    max_depth_m: float
    num_objects: int


class WorldEnv(gym.Env[Observation, Any], Generic[TaskT]):
    """What the environments have in common: worlds, the simulator, rendering, order of calls.

    A subclass says which sensors it offers and how to build its task; the task does the rest for N
    agents at once, of which this class is the case N = 1.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array", "human"],
        "render_fps": 30,
    }
    SENSORS: ClassVar[tuple[str, ...]]
    OPTIONAL_SENSORS: ClassVar[tuple[str, ...]] = ("provenance",)
    RESET_OPTIONS: ClassVar[tuple[str, ...]]
    NEEDS_FLOOR: ClassVar[bool]

    def __init__(
        self, options: WorldOptions, *, actions: ActionModel, step_s: float, render_mode: str | None
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(
                f"render_mode must be None or one of {self.metadata['render_modes']}, "
                f"got {render_mode!r}"
            )
        self.options = options
        self.render_mode = render_mode
        self._actions = actions
        self._sensors = make_sensors(options, default=self.SENSORS, optional=self.OPTIONAL_SENSORS)
        self.action_space = actions.space
        self.observation_space = observation_space(self._sensors)  # type: ignore[assignment]
        self._config = SimulatorConfig(
            width=options.width,
            height=options.height,
            fov_x_deg=options.fov_x_deg,
            camera_height_m=options.camera_height_m,
            sliding=options.sliding,
            step_s=step_s,
        )
        self._source: WorldSource | None = WorldSource(
            options.world,
            world_seed=options.world_seed,
            new_world_every=options.new_world_every,
            body=options.body,
        )
        self._task: TaskT | None = None
        self._stepping = False
        self._closed = False
        if self._source.known:
            self._task = self._build_task(self._source.first())
        self._window: Window | None = None
        if render_mode == "human":
            self._window = open_window(title=type(self).__name__, fps=self.metadata["render_fps"])

    @abstractmethod
    def make_task(self, simulator: Simulator) -> TaskT:
        """Build the task of this environment in a simulator."""

    @property
    def task(self) -> TaskT:
        """The batched task, with N = 1: goals, metrics and, as `task.simulator`, the simulator."""
        if self._closed:
            raise ClosedEnvironmentError("this environment is closed: make a new one")
        if self._task is None:
            raise ResetNeeded("the world is drawn at the first reset: call reset() first")
        return self._task

    @property
    def simulator(self) -> Simulator:
        """The simulator, with one agent."""
        return self.task.simulator

    @property
    def world(self) -> World:
        """The world that the agent is in."""
        simulator = self.simulator
        return simulator.worlds[int(simulator.scene[0])]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a new episode; see the class's docstring for what `options` it takes."""
        if self._closed or self._source is None:
            raise ClosedEnvironmentError("reset() after close(): make a new environment")
        fixed = self._checked_reset_options(options)
        super().reset(seed=seed)
        worlds, scene = self._source.next(self.np_random, restart=seed is not None)
        task = self._in_worlds(worlds)
        task.simulator.reset_objects([scene])
        task.begin(0, self.np_random, scene=scene, options=fixed)
        self._stepping = True
        return self._observation(task), one_of(task.info(), 0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carry out one action; never truncates by itself, `gymnasium.make` adds the time limit."""
        task = self._task
        if not self._stepping or task is None:
            raise self._order_error()
        outcome = task.advance([action])
        terminated = bool(outcome.terminated[0])
        self._stepping = not terminated
        observation = self._observation(task)
        return observation, float(outcome.reward[0]), terminated, False, one_of(outcome.info, 0)

    def render(self) -> NDArray[np.uint8] | None:
        """The camera image [H, W, 3] of now in mode ``"rgb_array"``, else None."""
        if self._closed:
            raise ClosedEnvironmentError("render() after close(): make a new environment")
        if self.render_mode is None:
            gym.logger.warn(
                "render() without a render mode: pass render_mode='rgb_array' to gymnasium.make"
            )
            return None
        if self._task is None or self._task.frame is None:
            raise ResetNeeded("render() before reset(): there is nothing to show yet")
        if self.render_mode == "human":
            return None  # reset and step have shown the frame already
        return np.array(self._task.frame.rgb[0])

    def close(self) -> None:
        """Let go of worlds, renderer and window; closing twice does nothing."""
        self._closed = True
        self._stepping = False
        self._task = self._source = None
        if self._window is not None:
            self._window.close()
            self._window = None

    def _observation(self, task: Task) -> Observation:
        batch = task.observe()
        if self._window is not None and task.frame is not None:
            self._window.show(task.frame.rgb[0])
        return {name: reading[0] for name, reading in batch.items()}

    def _build_task(self, worlds: list[World]) -> TaskT:
        if self.NEEDS_FLOOR:
            for world in worlds:
                world.require_nav()
        simulator = Simulator(
            worlds,
            scene=[0],
            config=self._config,
            renderer=self.options.renderer,
            device=self.options.device,
            renderer_options=self.options.renderer_options,
        )
        task = self.make_task(simulator)
        for scene in range(len(worlds)):
            simulator.set_object_motion(scene, self.options.object_motion)
        return task

    def _in_worlds(self, worlds: list[World]) -> TaskT:
        """The task, moved to these worlds where they differ from its own."""
        if self._task is None:
            self._task = self._build_task(worlds)
        simulator = self._task.simulator
        for scene, world in enumerate(worlds):
            if simulator.worlds[scene] is not world:
                if self.NEEDS_FLOOR:
                    world.require_nav()
                simulator.set_world(scene, world)
                simulator.set_object_motion(scene, self.options.object_motion)
        return self._task

    def _checked_reset_options(self, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
        fixed = options or {}
        unknown = sorted(set(fixed) - set(self.RESET_OPTIONS))
        if unknown:
            raise ConfigError(
                f"unknown reset options {unknown}: {type(self).__name__} takes "
                f"{list(self.RESET_OPTIONS)}"
            )
        return fixed

    def _order_error(self) -> Exception:
        if self._closed:
            return ClosedEnvironmentError("step() after close(): make a new environment")
        return ResetNeeded("step() before reset(), or after the episode ended: call reset() first")


def make_sensors(
    options: WorldOptions, *, default: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Sensor]:
    """The sensors that `options.observations` names, in its order; the default ones if None.

    Raises:
        ConfigError: If a name is neither a default nor an optional sensor's, or there is none.
    """
    offered = (*default, *optional)
    names = tuple(default if options.observations is None else options.observations)
    unknown = [name for name in names if name not in offered]
    if unknown or not names:
        raise ConfigError(f"observations must name some of {list(offered)}, got {list(names)}")
    size = {"width": options.width, "height": options.height}
    sensors: dict[str, Sensor] = {}
    for name in names:
        if name == "rgb":
            sensors[name] = RgbSensor(**size)
        elif name == "depth":
            sensors[name] = DepthSensor(
                **size, max_depth_m=options.max_depth_m, dtype=options.depth_dtype
            )
        elif name == "provenance":
            sensors[name] = ProvenanceSensor(**size)
        elif name == "pointgoal":
            sensors[name] = PointGoalSensor()
        elif name == "collision":
            sensors[name] = CollisionSensor()
        elif name == "object_poses":
            sensors[name] = ObjectPoseSensor(num_objects=options.num_objects)
        elif name == "pose":
            sensors[name] = PoseSensor()
    return sensors
