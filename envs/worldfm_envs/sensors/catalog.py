"""Sensors by name: what `observations=` can ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from worldfm_envs.depth_noise import make_depth_noise
from worldfm_envs.rgb_noise import make_rgb_noise
from worldfm_envs.sensors.base import Sensor
from worldfm_envs.sensors.goals import ImageGoalSensor, ObjectGoalSensor, PointGoalSensor
from worldfm_envs.sensors.images import DepthSensor, ProvenanceSensor, RgbSensor
from worldfm_envs.sensors.labels import InstanceSensor, SemanticSensor
from worldfm_envs.sensors.lidar import LidarSensor
from worldfm_envs.sensors.objects import ObjectPoseSensor
from worldfm_envs.sensors.state import (
    CollisionSensor,
    CompassSensor,
    GpsSensor,
    PoseSensor,
    VelocitySensor,
)
from worldfm_envs.sensors.targets import TargetSensor
from worldfm_envs.sensors.top_down import TopDownSensor
from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_envs.config import WorldConfig

SENSORS: dict[str, Callable[[WorldConfig], Sensor]] = {
    "rgb": lambda config: RgbSensor(
        width=config.width, height=config.height, noise=make_rgb_noise(config.rgb_noise)
    ),
    "depth": lambda config: DepthSensor(
        width=config.width,
        height=config.height,
        max_depth_m=config.max_depth_m,
        dtype=config.depth_dtype,
        noise=make_depth_noise(config.depth_noise),
    ),
    "instance": lambda config: InstanceSensor(width=config.width, height=config.height),
    "semantic": lambda config: SemanticSensor(width=config.width, height=config.height),
    "provenance": lambda config: ProvenanceSensor(width=config.width, height=config.height),
    "pointgoal": lambda config: PointGoalSensor(),
    "top_down": lambda config: TopDownSensor(
        map_size=config.map_size, map_resolution_m=config.map_resolution_m
    ),
    "lidar": lambda config: LidarSensor(
        lidar_beams=config.lidar_beams, lidar_range_m=config.lidar_range_m
    ),
    "imagegoal": lambda config: ImageGoalSensor(width=config.width, height=config.height),
    "objectgoal": lambda config: ObjectGoalSensor(),
    "targets": lambda config: TargetSensor(num_targets=getattr(config, "num_targets", 1)),
    "gps": lambda config: GpsSensor(),
    "compass": lambda config: CompassSensor(),
    "velocity": lambda config: VelocitySensor(),
    "collision": lambda config: CollisionSensor(),
    "object_poses": lambda config: ObjectPoseSensor(num_objects=config.num_objects),
    "pose": lambda config: PoseSensor(),
}
"""Makers of sensors, given the configuration of their environment."""


def make_sensors(config: WorldConfig) -> dict[str, Sensor]:
    """The sensors that `config.observations` asks for, in its order; the task's usual ones if None.

    Names are taken from `SENSORS`; a mapping may also hold sensors of your own.

    Raises:
        ConfigError: If a name is unknown, a sensor needs a goal that the task lacks, or there is
            nothing to observe.
    """
    wanted: Sequence[str] | Mapping[str, Sensor | str]
    wanted = config.OBSERVATIONS if config.observations is None else config.observations
    if not isinstance(wanted, Mapping):
        wanted = {name: name for name in wanted}
    if not wanted:
        raise ConfigError(f"observations must name some of {list(SENSORS)}, got none")
    sensors: dict[str, Sensor] = {}
    for name, given in wanted.items():
        if isinstance(given, str):
            if given not in SENSORS:
                raise ConfigError(f"observations must name some of {list(SENSORS)}, got {given!r}")
            given = SENSORS[given](config)
        lacking = sorted(set(getattr(given, "requires", ())) - set(config.GOALS))
        if lacking:
            raise ConfigError(
                f"the observation {name!r} needs a task with {lacking}; "
                f"{type(config).__name__} has {list(config.GOALS)}"
            )
        sensors[name] = given
    return sensors
