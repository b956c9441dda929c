"""Configuration of environments: what all of them take, and what walking ones add."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Literal, Self

from worldfm_envs.actions import (
    ACTUATION_NOISES,
    ActionModel,
    ActuationNoise,
    ContinuousVelocity,
    DiscreteSteps,
    Waypoints,
)
from worldfm_envs.actions.walking import Walking
from worldfm_envs.appearance import AppearanceConfig
from worldfm_envs.depth_noise import DepthNoise
from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.rgb_noise import RgbNoise
from worldfm_envs.sensors import Sensor, make_sensors
from worldfm_envs.sensors.images import DepthType
from worldfm_envs.task import Task
from worldfm_envs.world_source import WorldLike
from worldfm_gym.appearance import Appearance
from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.renderer import Renderer
from worldfm_gym.scene_objects import ObjectMotion
from worldfm_gym.simulator import RendererFactory, Simulator, SimulatorConfig
from worldfm_gym.worlds.world import World


@dataclass(frozen=True, kw_only=True)
class WorldConfig(ABC):
    """What every environment takes, as keywords of `gymnasium.make` or as one object.

    A subclass adds the arguments of its task and says how to build it; single, vector and
    multi-agent environments are made from the same configuration.

    Attributes:
        world: Source for `worldfm_gym.make_world`, a `World`, a function ``seed -> World``, or a
            list of these: each episode then takes place in a random one.
        world_seed: Seed of the first world; None draws it at reset.
        new_world_every: Make another world after so many episodes; 0 never.
        episodes: An `EpisodeSet`, its file or the name of a suite: every episode is then one of it,
            a random one or, by the reset option ``"episode"``, the k-th. Worlds are those of the
            set. Its own arguments hold where no keywords are given (`from_options`); a
            configuration object is taken as it is.
        renderer: ``"frame"`` draws with the frame model; ``"anchor"`` the points alone, about ten
            times as fast; or ``"truth"``, a `Renderer`, or a function ``worlds -> Renderer``.
        renderer_options: Of ``"frame"``: ``{"steps": 1 or 2, "references": 2, "model": "nano" or a
            file, "deterministic": False}`` (`worldfm_gym.frame_renderer`).
        device: Where the renderer draws, ``"cpu"`` or ``"cuda"``.
        width: Image width in pixels.
        height: Image height in pixels.
        fov_x_deg: Horizontal field of view in degrees.
        camera_height_m: Height of the camera above the floor, at the start where it flies.
        agent_radius_m: Radius of the body that walks; None takes the world's own (0.18).
        agent_height_m: Height of the body that walks; None takes the world's own (1.5).
        sliding: Slide along what is in the way, or stop at it.
        step_s: Duration of a step in seconds: of velocities, and of how far moving objects get.
        object_motion: How objects move (`worldfm_gym.scene_objects.ObjectMotion`).
        observations: Names of the entries wanted (`worldfm_envs.sensors.SENSORS`), or a mapping
            from names to names or sensors of your own; None takes the task's usual ones.
        depth_dtype: ``"uint8"``, which is what image policies take, or ``"float32"`` for metres.
        max_depth_m: Depth is clipped here.
        num_objects: Rows of `object_poses`.
        map_size: Rows and columns of `top_down`.
        map_resolution_m: Side of a pixel of `top_down`, metres.
        lidar_beams: Beams of `lidar`.
        lidar_range_m: How far `lidar` reaches, metres.
        rgb_noise: Noise of the `rgb` observation: None, ``"gaussian"``, ``"speckle"``,
            ``"salt_and_pepper"``, or a `worldfm_envs.rgb_noise.RgbNoise` of your own strength.
        depth_noise: Noise of the `depth` observation: None, ``"redwood"``, ``"kinect"``, or a
            `worldfm_envs.depth_noise.DepthNoise`.
        appearance: How far the colors of each episode may go from those of the world
            (`worldfm_envs.appearance.AppearanceConfig`); None leaves them. Geometry, and with it
            the course of an episode, stays the same.
    """

    OBSERVATIONS: ClassVar[tuple[str, ...]]
    GOALS: ClassVar[tuple[str, ...]] = ()
    RESET_OPTIONS: ClassVar[tuple[str, ...]] = ()
    ACTION_MODES: ClassVar[tuple[str, ...]] = ()
    NEEDS_FLOOR: ClassVar[bool] = True

    world: WorldLike | Sequence[WorldLike] = "rooms"
    world_seed: int | None = 0
    new_world_every: int = 0
    episodes: EpisodeSet | str | PathLike[str] | None = None
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
    step_s: float = 0.25
    object_motion: ObjectMotion | None = None
    observations: Sequence[str] | Mapping[str, str | Sensor] | None = None
    depth_dtype: DepthType = "uint8"
    max_depth_m: float = 10.0
    num_objects: int = 8
    map_size: int = 64
    map_resolution_m: float = 0.1
    lidar_beams: int = 64
    lidar_range_m: float = 10.0
    rgb_noise: str | RgbNoise | None = None
    depth_noise: str | DepthNoise | None = None
    appearance: AppearanceConfig | None = None

    def __post_init__(self) -> None:
        if self.depth_dtype not in ("uint8", "float32"):
            raise ConfigError(f"depth_dtype must be 'uint8' or 'float32', got {self.depth_dtype!r}")
        for name in (
            *("max_depth_m", "camera_height_m", "num_objects", "step_s", "map_size"),
            *("map_resolution_m", "lidar_beams", "lidar_range_m"),
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)!r}")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """A configuration of these fields, on top of those that an episode set brings along."""
        if options.get("episodes") is None:
            return cls(**options)
        episodes = EpisodeSet.load(options["episodes"])
        return cls(**{**episodes.config, **options, "episodes": episodes})

    def draw_appearance(self, episode_seed: int, world: World) -> Appearance | None:
        """In which colors an episode in a world is shown, None for the world's own."""
        return None if self.appearance is None else self.appearance.draw(episode_seed, world)

    def prepare_world(self, world: World) -> World:
        """What the task adds to each world that is built, once; the world itself by default."""
        return world

    @abstractmethod
    def make_actions(self) -> ActionModel:
        """What actions mean."""

    @abstractmethod
    def make_task(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> Task:
        """The task, in a simulator of any number of agents."""

    def make_sensors(self) -> dict[str, Sensor]:
        """The sensors of an agent, by name."""
        return make_sensors(self)

    @property
    def body(self) -> AgentBody | None:
        """The agent that walks, or None for the one that the world was made for."""
        given = {"radius_m": self.agent_radius_m, "height_m": self.agent_height_m}
        given = {name: length for name, length in given.items() if length is not None}
        return AgentBody(**given) if given else None  # type: ignore[arg-type]

    @property
    def simulator_config(self) -> SimulatorConfig:
        """What the simulator needs to know of it."""
        return SimulatorConfig(
            width=self.width,
            height=self.height,
            fov_x_deg=self.fov_x_deg,
            camera_height_m=self.camera_height_m,
            sliding=self.sliding,
            step_s=self.step_s,
        )


@dataclass(frozen=True, kw_only=True)
class GroundConfig(WorldConfig):
    """What environments add in which the agent walks.

    Attributes:
        action_mode: ``"discrete"``, ``"continuous"`` or ``"waypoint"``; see
            `worldfm_envs.actions`.
        action_repeat: How often the motion of an action is made; the agent that meets something
            stands still for the rest. Rewards and collisions count once an action.
        forward_step_m: Length of a discrete step forward, and of the steps to a waypoint, metres.
        turn_step_deg: Angle of a discrete turn, degrees.
        max_speed_mps: Largest speed of continuous actions.
        max_turn_dps: Largest turn rate of continuous actions, degrees per second.
        max_waypoint_m: How far away waypoints can be, metres.
        tilt: Whether actions can also tilt the camera.
        tilt_step_deg: Angle of a discrete tilt, the largest of others, degrees.
        actuation_noise: By how much agents miss what they are told to do: None, ``"locobot"``,
            ``"locobot_proportional"``, ``"locobot_movebase"``, or a
            `worldfm_envs.actions.ActuationNoise`. Starts and goals are the same with it.
        actuation_noise_scale: Multiplies that noise.
    """

    ACTION_MODES: ClassVar = ("discrete", "continuous", "waypoint")

    action_mode: Literal["discrete", "continuous", "waypoint"] = "discrete"
    action_repeat: int = 1
    forward_step_m: float = 0.25
    turn_step_deg: float = 10.0
    max_speed_mps: float = 1.0
    max_turn_dps: float = 40.0
    max_waypoint_m: float = 1.0
    tilt: bool = False
    tilt_step_deg: float = 15.0
    actuation_noise: str | ActuationNoise | None = None
    actuation_noise_scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            *("forward_step_m", "turn_step_deg", "max_speed_mps", "max_turn_dps"),
            *("max_waypoint_m", "tilt_step_deg"),
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)!r}")
        if self.action_mode not in self.ACTION_MODES:
            raise ConfigError(
                f"action_mode must be one of {list(self.ACTION_MODES)}, got {self.action_mode!r}"
            )
        self._walking  # noqa: B018 (raises where it makes no sense)

    def make_actions(self) -> ActionModel:
        """See `WorldConfig.make_actions`."""
        walking = self._walking
        tilt_step_deg = self.tilt_step_deg if self.tilt else None
        if self.action_mode == "discrete":
            return DiscreteSteps(
                forward_step_m=self.forward_step_m,
                turn_step_deg=self.turn_step_deg,
                tilt_step_deg=tilt_step_deg,
                walking=walking,
            )
        if self.action_mode == "continuous":
            return ContinuousVelocity(
                max_speed_mps=self.max_speed_mps,
                max_turn_dps=self.max_turn_dps,
                step_s=self.step_s,
                tilt_step_deg=tilt_step_deg,
                walking=walking,
            )
        return Waypoints(
            max_distance_m=self.max_waypoint_m,
            forward_step_m=self.forward_step_m,
            tilt_step_deg=tilt_step_deg,
            walking=walking,
        )

    @property
    def _walking(self) -> Walking:
        """How motions are carried out."""
        noise = self.actuation_noise
        if isinstance(noise, str):
            if noise not in ACTUATION_NOISES:
                raise ConfigError(
                    f"actuation_noise must be None, one of {list(ACTUATION_NOISES)} or an "
                    f"ActuationNoise, got {noise!r}"
                )
            noise = ACTUATION_NOISES[noise]
        if noise is not None:
            noise = replace(noise, scale=noise.scale * self.actuation_noise_scale)
        return Walking(repeat=self.action_repeat, noise=noise)
