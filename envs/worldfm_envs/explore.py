"""WorldFM/Explore-v0: see all of a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.actions import ActionModel
from worldfm_envs.base import WorldEnv
from worldfm_envs.config import GroundConfig
from worldfm_envs.explore_task import ExploreTask
from worldfm_envs.sensors import Sensor
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class ExploreConfig(GroundConfig):
    """Arguments of `ExploreEnv`, besides those of every environment in which the agent walks.

    Attributes:
        view_range_m: How far the floor counts as seen, metres.
        coverage_goal: Share of the reachable floor at which the episode ends in success.
        slack_reward: Added every step.
        coverage_reward: Per m² of reachable floor that is seen for the first time.
        success_reward: Added on success.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "gps", "compass", "collision", "pose")
    RESET_OPTIONS: ClassVar = ExploreTask.OPTIONS

    view_range_m: float = 5.0
    coverage_goal: float = 0.9
    slack_reward: float = -0.01
    coverage_reward: float = 0.1
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.view_range_m > 0.0:
            raise ConfigError(f"view_range_m must be positive, got {self.view_range_m}")
        if not 0.0 < self.coverage_goal <= 1.0:
            raise ConfigError(f"coverage_goal must lie in 0…1, got {self.coverage_goal}")

    def make_task(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> ExploreTask:
        """See `WorldConfig.make_task`."""
        return ExploreTask(simulator, actions=actions, sensors=sensors, config=self)


class ExploreEnv(WorldEnv[ExploreTask]):
    """Walk until all of the floor has been seen.

    ## Description

    Exploration after Chen et al., "Learning Exploration Policies for Navigation" (2019): the reward
    is for floor seen for the first time. Floor is seen where it is in the image, no farther than
    `view_range_m`, and nothing stands between it and the camera. That is judged by geometry, on
    cells of 10 cm (`worldfm_envs.coverage`). The agent walks as in `WorldFM/PointNav-v0`.

    ## Action Space

    That of `WorldFM/PointNav-v0`; by default `Discrete(4)`: 0 stop, which ends the episode,
    1 forward, 2 left, 3 right.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `gps` | `Box((2,), float32)` | position relative to the start: metres forward and to the left of how it faced |
    | `compass` | `Box((1,), float32)` | heading relative to the start, radians |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    0.1 per m² of reachable floor that is seen for the first time, −0.01 every step, and 2.5 when
    `coverage_goal` is reached. What is seen at the start earns nothing.

    ## Starting State

    A random point of the largest connected floor and a random heading. `reset(options={...})`
    fixes any of `start_xy` (x, y) and `start_yaw` (radians).

    ## Episode End

    Terminated by stopping and by reaching `coverage_goal`, truncated after 1000 steps
    (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success` (`coverage_goal` is reached), `coverage` (share of the reachable floor seen, 0…1),
    `covered_area` (m²), `path_length` (metres) and `collisions` (number of steps that met
    something).

    ## Arguments

    Those of every environment in which the agent walks (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `view_range_m` | 5 | how far the floor counts as seen |
    | `coverage_goal` | 0.9 | share of the floor at which the episode ends |
    | `slack_reward`, `coverage_reward`, `success_reward` | −0.01, 0.1, 2.5 | per step, per m², on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = ExploreConfig


class ExploreVectorEnv(WorldVectorEnv):
    """N of `ExploreEnv`, stepped together."""

    Env = ExploreEnv
