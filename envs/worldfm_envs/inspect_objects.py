"""WorldFM/Inspect-v0: fly a camera to where given objects are seen whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.actions import ActionModel
from worldfm_envs.base import WorldEnv
from worldfm_envs.flying import FlyingConfig
from worldfm_envs.inspect_task import InspectTask
from worldfm_envs.inspection import SIDES
from worldfm_envs.sensors import Sensor
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class InspectConfig(FlyingConfig):
    """Arguments of `InspectEnv`, besides those of every environment in which the camera flies.

    Attributes:
        num_targets: Largest number of objects to inspect.
        inspect_distance_m: Largest distance from the camera to an object's box, metres.
        inspect_sides: From how many of its four sides an object has to be seen.
        slack_reward: Added every step.
        inspect_reward: Per object that is inspected.
        success_reward: Added when all are.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "targets", "collision", "pose")
    GOALS: ClassVar = ("goal_objects", "goal_inspected")
    RESET_OPTIONS: ClassVar = InspectTask.OPTIONS

    num_targets: int = 3
    inspect_distance_m: float = 2.5
    inspect_sides: int = 1
    slack_reward: float = -0.01
    inspect_reward: float = 1.0
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_targets", "inspect_distance_m"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)!r}")
        if self.inspect_sides not in range(1, SIDES + 1):
            raise ConfigError(f"inspect_sides must be 1…{SIDES}, got {self.inspect_sides!r}")

    def make_task(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> InspectTask:
        """See `WorldConfig.make_task`."""
        return InspectTask(simulator, actions=actions, sensors=sensors, config=self)


class InspectEnv(WorldEnv[InspectTask]):
    """Fly a camera to where each of a few given objects is seen whole.

    ## Description

    Camera motion with six degrees of freedom towards views that are worth taking. An object counts
    as inspected when all corners of its box are in the image, the camera is within 2.5 m of the box
    (`inspect_distance_m`) and a straight line from the camera to the box is free; with
    `inspect_sides` above 1, from so many of its four sides. That is judged by geometry
    (`worldfm_envs.inspection`). The camera is a ball of 0.1 m radius, as in
    `WorldFM/FreeCamera-v0`.

    ## Action Space

    That of `WorldFM/FreeCamera-v0`, `Box(-1, 1, (6,), float32)`: velocity along x, y, z of the
    camera frame (right, down, forward) times 1 m/s, and turn rate about them times 60 °/s.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `targets` | `Box((15 · num_targets,), float32)` | the objects to inspect in the camera frame, always in the same rows: `reshape(-1, 15)`, columns in `worldfm_envs.sensors.objects` and a last one that is 1 when the object has been inspected |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    1 for each object that is inspected for the first time, −0.01 every step, and 2.5 when all are.

    ## Starting State

    A level camera at a random free point of the floor, `camera_height_m` above it, with a random
    heading, and `num_targets` random objects that can be inspected from where a body could stand;
    fewer if the world has no more. `reset(options={...})` fixes any of `c2w` (start pose [4, 4])
    and `goal_objects` (instance ids).

    ## Episode End

    Terminated when all objects are inspected, truncated after 500 steps
    (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success` (all are inspected), `inspected` and `targets` (number of objects), `path_length`
    (metres) and `collisions` (number of steps that met something).

    ## Arguments

    Those of every environment (`worldfm_envs.config.WorldConfig`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `num_targets` | 3 | largest number of objects to inspect |
    | `inspect_distance_m` | 2.5 | largest distance from the camera to an object's box |
    | `inspect_sides` | 1 | from how many of its four sides an object has to be seen |
    | `slack_reward`, `inspect_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per object, on success |
    | `max_speed_mps`, `max_turn_dps`, `step_s` | 1, 60, 0.1 | velocity limits and duration of a step |
    | `action_repeat` | 1 | how many steps an action lasts |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = InspectConfig


class InspectVectorEnv(WorldVectorEnv):
    """N of `InspectEnv`, stepped together."""

    Env = InspectEnv
