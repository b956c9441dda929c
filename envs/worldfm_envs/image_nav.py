"""WorldFM/ImageNav-v0: walk to where a picture was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.base import WorldEnv
from worldfm_envs.goal_nav import GoalNavConfig
from worldfm_envs.image_nav_task import ImageNavTask
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ImageNavConfig(GoalNavConfig):
    """Arguments of `ImageNavEnv`, besides those of every environment with a goal to walk to.

    Attributes:
        success_distance_m: Stopping nearer to the goal than this is success, metres.
        success_angle_deg: Largest difference of headings for success, degrees; None takes any.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "imagegoal", "collision", "object_poses", "pose")
    GOALS: ClassVar = ("goal_rgb", "goal_xy", "goal_yaw")
    RESET_OPTIONS: ClassVar = ImageNavTask.OPTIONS
    TASK: ClassVar = ImageNavTask

    success_distance_m: float = 1.0
    success_angle_deg: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.success_angle_deg is not None and not self.success_angle_deg > 0.0:
            raise ConfigError(
                f"success_angle_deg must be positive or None, got {self.success_angle_deg}"
            )


class ImageNavEnv(WorldEnv[ImageNavTask]):
    """Walk to where a picture was taken, then say that you are there.

    ## Description

    Image-goal navigation after Zhu et al., "Target-driven Visual Navigation in Indoor Scenes using
    Deep Reinforcement Learning" (2017). The goal is a view drawn at a random place by the renderer
    that draws the observations. The agent walks as in `WorldFM/PointNav-v0`.

    ## Action Space

    That of `WorldFM/PointNav-v0`; by default `Discrete(4)`: 0 stop, 1 forward, 2 left, 3 right.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `imagegoal` | `Box(0, 255, (H, W, 3), uint8)` | the view from the goal |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, `worldfm_envs.sensors.objects` |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    −0.01 every step, plus the metres by which the geodesic distance to the goal shrank, plus 2.5
    for success. Success is stopping within 1 m of the goal (geodesic) and, if `success_angle_deg`
    is given, within that angle of its heading.

    ## Starting State

    As in `WorldFM/PointNav-v0`; the goal's heading is random. `reset(options={...})` fixes any of
    `start_xy` (x, y), `start_yaw` (radians), `goal_xy` (x, y) and `goal_yaw` (radians).

    ## Episode End

    Terminated by stopping, truncated after 500 steps (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success`, `spl`, `soft_spl`, `distance_to_goal` (geodesic, metres), `path_length` (metres),
    `collisions` (number of steps that met something) and `angle_to_goal` (radians between the
    headings).

    ## Arguments

    Those of every environment in which the agent walks (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `difficulty` | `None` | `"easy"`, `"medium"` or `"hard"` (`worldfm_envs.episodes`), instead of the next two |
    | `goal_distance_m` | (1, 30) | geodesic distance from start to goal |
    | `least_detour` | 1 | smallest ratio of geodesic to straight distance |
    | `success_distance_m` | 1 | stopping nearer than this is success |
    | `success_angle_deg` | `None` | largest difference of headings for success |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = ImageNavConfig


class ImageNavVectorEnv(WorldVectorEnv):
    """N of `ImageNavEnv`, stepped together."""

    Env = ImageNavEnv
