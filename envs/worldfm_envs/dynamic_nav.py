"""WorldFM/DynamicNav-v0: walk to a point among robots that move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.base import WorldEnv
from worldfm_envs.dynamic_nav_task import DynamicNavTask
from worldfm_envs.goal_nav import GoalNavConfig
from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError
from worldfm_gym.worlds.bodies import with_bodies
from worldfm_gym.worlds.world import World


@dataclass(frozen=True, kw_only=True)
class DynamicNavConfig(GoalNavConfig):
    """Arguments of `DynamicNavEnv`, besides those of every environment with a goal to walk to.

    Attributes:
        num_movers: Number of robots.
        mover_speed_mps: How fast they go, metres per second.
        collision_reward: Added in every step in which the agent and a robot meet.
        collision_ends: Whether meeting a robot ends the episode.
    """

    OBSERVATIONS: ClassVar = ("rgb", "depth", "pointgoal", "collision", "object_poses", "pose")
    GOALS: ClassVar = ("goal_xy", "mover_seed")
    RESET_OPTIONS: ClassVar = DynamicNavTask.OPTIONS
    TASK: ClassVar = DynamicNavTask

    num_movers: int = 4
    mover_speed_mps: float = 0.5
    collision_reward: float = -0.1
    collision_ends: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_movers < 0:
            raise ConfigError(f"num_movers must be 0 or more, got {self.num_movers}")
        if not self.mover_speed_mps > 0.0:
            raise ConfigError(f"mover_speed_mps must be positive, got {self.mover_speed_mps}")
        if self.object_motion is not None and not isinstance(self.object_motion, Mapping):
            raise ConfigError(
                "object_motion must be a mapping from instance ids here, beside which robots move"
            )

    def prepare_world(self, world: World) -> World:
        """See `WorldConfig.prepare_world`: add the robots, as wide as the agent."""
        if not self.num_movers:
            return world
        return with_bodies(world, self.num_movers, radius_m=world.require_nav().body.radius_m)


class DynamicNavEnv(WorldEnv[DynamicNavTask]):
    """Walk to a point given by distance and direction among robots that go their own ways.

    ## Description

    `WorldFM/PointNav-v0` with robots in the way, as in social navigation (Perez-D'Arpino et al.,
    "Robot Navigation in Constrained Pedestrian Environments using Reinforcement Learning", 2021).
    Each robot goes back and forth between two random points of the floor on the shortest path
    between them, one of 64 such ways of a place. It does not give way: where it meets the agent, it pushes it aside. Distances,
    rewards and SPL are those of a place without robots.

    ## Action Space

    That of `WorldFM/PointNav-v0`; by default `Discrete(4)`: 0 stop, 1 forward, 2 left, 3 right.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `pointgoal` | `Box((2,), float32)` | distance to the goal on the floor plane in metres, and its direction in radians from the heading, positive to the left |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, robots included, `worldfm_envs.sensors.objects` |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    −0.01 every step, plus the metres by which the geodesic distance to the goal shrank, plus 2.5
    for success, −0.1 in every step in which the agent and a robot meet. Success is stopping within
    0.2 m of the goal (geodesic).

    ## Starting State

    As in `WorldFM/PointNav-v0`. The robots start at random points, a meter or more from the agent
    where there is room. `reset(options={...})` fixes any of `start_xy` (x, y), `start_yaw`
    (radians), `goal_xy` (x, y) and `mover_seed` (an integer that the robots' ways follow from).

    ## Episode End

    Terminated by stopping and, with `collision_ends`, by meeting a robot; truncated after 500 steps
    (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success`, `spl`, `soft_spl`, `distance_to_goal` (geodesic, metres), `path_length` (metres),
    `collisions` (number of steps that met something) and `mover_collisions` (that met a robot).

    ## Arguments

    Those of every environment in which the agent walks (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `num_movers` | 4 | number of robots |
    | `mover_speed_mps` | 0.5 | how fast they go |
    | `collision_reward` | −0.1 | in every step in which the agent and a robot meet |
    | `collision_ends` | `False` | whether that ends the episode |
    | `difficulty` | `None` | `"easy"`, `"medium"` or `"hard"` (`worldfm_envs.episodes`), instead of the next two |
    | `goal_distance_m` | (1, 30) | geodesic distance from start to goal |
    | `least_detour` | 1 | smallest ratio of geodesic to straight distance |
    | `success_distance_m` | 0.2 | stopping nearer than this is success |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = DynamicNavConfig


class DynamicNavVectorEnv(WorldVectorEnv):
    """N of `DynamicNavEnv`, stepped together."""

    Env = DynamicNavEnv
