"""WorldFM/ObjectNav-v0: walk to any object of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.base import WorldEnv
from worldfm_envs.categories import CATEGORIES
from worldfm_envs.goal_nav import GoalNavConfig
from worldfm_envs.object_nav_task import ObjectNavTask
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ObjectNavConfig(GoalNavConfig):
    """Arguments of `ObjectNavEnv`, besides those of every environment with a goal to walk to.

    Attributes:
        success_distance_m: Largest distance to the object's box on the floor plane, metres.
        goal_categories: Names of the categories to look for, of those that a world has; None
            takes all.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "objectgoal", "gps", "compass", "collision")
    GOALS: ClassVar = ("goal_category",)
    RESET_OPTIONS: ClassVar = ObjectNavTask.OPTIONS
    TASK: ClassVar = ObjectNavTask

    success_distance_m: float = 1.0
    goal_categories: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.goal_categories or ()) - set(CATEGORIES[1:]))
        if unknown or (self.goal_categories is not None and not self.goal_categories):
            raise ConfigError(
                "goal_categories must name some of worldfm_envs.categories.CATEGORIES, got "
                f"{unknown or self.goal_categories}"
            )


class ObjectNavEnv(WorldEnv[ObjectNavTask]):
    """Walk to any object of a kind, then say that you are there.

    ## Description

    Category-goal navigation after Batra et al., "ObjectNav Revisited: On Evaluation of Embodied
    Agents Navigating to Objects" (2020): "find a chair". The agent walks as in
    `WorldFM/PointNav-v0`. Success is judged by geometry: the camera is within 1 m of the box of an
    object of the category, on the floor plane, and a straight line from the camera to the box meets
    neither the background nor another object's box (`worldfm_envs.sight`). It need not look there.

    ## Action Space

    That of `WorldFM/PointNav-v0`; by default `Discrete(4)`: 0 stop, 1 forward, 2 left, 3 right.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `objectgoal` | `Box(0, 1, (C,), float32)` | the category, one-hot over `worldfm_envs.categories.CATEGORIES` |
    | `gps` | `Box((2,), float32)` | position relative to the start: metres forward and to the left of how it faced |
    | `compass` | `Box((1,), float32)` | heading relative to the start, radians |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |

    ## Rewards

    −0.01 every step, plus the metres by which the geodesic distance to the goal shrank, plus 2.5
    for success. The goal is the nearest place from which stopping would be success.

    ## Starting State

    A random category of which an object can be seen from within reach, and a random start whose
    geodesic distance to the nearest such place lies in `goal_distance_m`. `reset(options={...})`
    fixes any of `start_xy` (x, y), `start_yaw` (radians) and `goal_category` (a name of
    `worldfm_envs.categories.CATEGORIES`, or its index).

    ## Episode End

    Terminated by stopping, truncated after 500 steps (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success`, `spl`, `soft_spl`, `distance_to_goal` (geodesic, metres), `path_length` (metres) and
    `collisions` (number of steps that met something). Distances are to where the world holds the
    objects, success asks where they are now.

    ## Arguments

    Those of every environment in which the agent walks (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `difficulty` | `None` | `"easy"`, `"medium"` or `"hard"` (`worldfm_envs.episodes`), instead of the next two |
    | `goal_distance_m` | (1, 30) | geodesic distance from start to goal |
    | `least_detour` | 1 | smallest ratio of geodesic to straight distance |
    | `success_distance_m` | 1 | largest distance to the object |
    | `goal_categories` | `None` | names of the categories to look for; `None`: all |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = ObjectNavConfig


class ObjectNavVectorEnv(WorldVectorEnv):
    """N of `ObjectNavEnv`, stepped together."""

    Env = ObjectNavEnv
