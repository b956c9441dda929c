"""WorldFM/FreeCamera-v0: fly a camera through a world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.actions import ActionModel
from worldfm_envs.base import WorldEnv
from worldfm_envs.flying import FlyingConfig
from worldfm_envs.free_camera_task import FreeCameraTask
from worldfm_envs.sensors import Sensor
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class FreeCameraConfig(FlyingConfig):
    """Arguments of `FreeCameraEnv`: those of every environment in which the camera flies."""

    OBSERVATIONS: ClassVar = ("rgb", "depth", "collision", "object_poses", "pose")
    RESET_OPTIONS: ClassVar = FreeCameraTask.OPTIONS
    NEEDS_FLOOR: ClassVar = False

    def make_task(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> FreeCameraTask:
        """See `WorldConfig.make_task`."""
        return FreeCameraTask(simulator, actions=actions, sensors=sensors)


class FreeCameraEnv(WorldEnv[FreeCameraTask]):
    """Fly a camera with six degrees of freedom; no goal.

    ## Description

    For exploration, data collection and world models. Where the world has a navigation map, the
    camera is a ball of 0.1 m radius that slides along solid and unknown space, or stops at it;
    where it has none (a photo without a visible floor, say) the camera flies through everything.

    ## Action Space

    `Box(-1, 1, (6,), float32)`: velocity in the camera frame (x right, y down, z forward), constant
    over a step of 0.1 s (`step_s`).

    | component | meaning |
    | --- | --- |
    | 0, 1, 2 | velocity along x, y, z, times 1 m/s (`max_speed_mps`) |
    | 3, 4, 5 | turn rate about x, y, z, times 60 °/s (`max_turn_dps`), right-handed: +x looks up, +y turns right |

    ## Observation Space

    A `Dict` of the entries that `observations` names, by default all of these but `provenance`:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen; with `depth_dtype="float32"`: `Box(0, max_depth_m, (H, W, 1), float32)` in metres |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, nearest first: `reshape(-1, 14)`, columns in `worldfm_envs.sensors.objects` (position 3, rotation 6, size 3, visible, instance id) |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |
    | `provenance` | `Box(0, 255, (H, W, 1), uint8)` | where a pixel comes from: 0 nothing was drawn, 1 observed by a source of the world, 2 invented by the frame model |

    ## Rewards

    Always 0.

    ## Starting State

    A level camera at a random free point of the floor, `camera_height_m` above it, with a random
    heading; in a world without a navigation map, the world's own start pose.
    `reset(options={"c2w": pose})` fixes the pose [4, 4].

    ## Episode End

    Never terminated; truncated after 500 steps (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `collided`: whether the last step met something.

    ## Arguments

    Those of every environment (`worldfm_envs.config.WorldConfig`): worlds, renderer, images, body,
    observations. Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `max_speed_mps`, `max_turn_dps`, `step_s` | 1, 60, 0.1 | velocity limits and duration of a step |
    | `action_repeat` | 1 | how many steps an action lasts |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = FreeCameraConfig


class FreeCameraVectorEnv(WorldVectorEnv):
    """N of `FreeCameraEnv`, stepped together."""

    Env = FreeCameraEnv
