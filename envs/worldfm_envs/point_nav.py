"""WorldFM/PointNav-v0: walk to a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from worldfm_envs.base import WorldEnv
from worldfm_envs.goal_nav import GoalNavConfig
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.vector import WorldVectorEnv


@dataclass(frozen=True, kw_only=True)
class PointNavConfig(GoalNavConfig):
    """Arguments of `PointNavEnv`: those of every environment with a goal to walk to."""

    OBSERVATIONS: ClassVar = ("rgb", "depth", "pointgoal", "collision", "object_poses", "pose")
    GOALS: ClassVar = ("goal_xy",)
    RESET_OPTIONS: ClassVar = GoalNavTask.OPTIONS


class PointNavEnv(WorldEnv[GoalNavTask]):
    """Walk to a point given by distance and direction, then say that you are there.

    ## Description

    Point-goal navigation after Anderson et al., "On Evaluation of Embodied Navigation Agents"
    (2018), with the metrics and reward of Habitat. The agent is an upright cylinder with a camera
    on a floor. It collides with walls and objects, sliding along them or stopping at them.

    ## Action Space

    `action_mode="discrete"` (default): `Discrete(4)`, in Habitat's order.

    | action | meaning |
    | --- | --- |
    | 0 | stop: ends the episode |
    | 1 | 0.25 m forward (`forward_step_m`) |
    | 2 | 10° to the left (`turn_step_deg`) |
    | 3 | 10° to the right |

    `action_mode="continuous"`: `Box(-1, 1, (3,), float32)`. A step lasts 0.25 s and follows the arc
    of constant velocity; a full step equals a discrete one.

    | component | meaning |
    | --- | --- |
    | 0 | speed forward, times 1 m/s (`max_speed_mps`); negative is backward |
    | 1 | turn rate to the left, times 40 °/s (`max_turn_dps`) |
    | 2 | above 0.9: stop, which ends the episode without moving |

    `action_mode="waypoint"`: `Box(-1, 1, (3,), float32)`. The agent turns towards a point and walks
    there on a straight line, until it meets something. Whatever the distance, that takes as many
    steps of 0.25 s as the longest one.

    | component | meaning |
    | --- | --- |
    | 0 | distance, −1…1 for 0…1 m (`max_waypoint_m`) |
    | 1 | direction from the heading, −1…1 for −180…180° to the left |
    | 2 | above 0.9: stop, which ends the episode without moving |

    With `tilt=True` the camera can look up and down, by 15° a step (`tilt_step_deg`): discrete
    actions 4 (up) and 5 (down), or a fourth component, positive up. `action_repeat` makes the motion
    of an action several times. With `actuation_noise="locobot"` (times `actuation_noise_scale`)
    motions miss by as much as those of a LoCoBot do (`worldfm_envs.actions.actuation`).

    ## Observation Space

    A `Dict` of the entries that `observations` names, by default all of these but the last:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen; with `depth_dtype="float32"`: `Box(0, max_depth_m, (H, W, 1), float32)` in metres |
    | `pointgoal` | `Box((2,), float32)` | distance to the goal on the floor plane in metres, and its direction in radians from the heading, positive to the left |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, nearest first: `reshape(-1, 14)`, columns in `worldfm_envs.sensors.objects` (position 3, rotation 6, size 3, visible, instance id) |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |
    | `provenance` | `Box(0, 255, (H, W, 1), uint8)` | where a pixel comes from: 0 nothing was drawn, 1 observed by a source of the world, 2 invented by the frame model |

    Any other of `worldfm_envs.sensors.SENSORS` can be named too. The camera frame has x right, y down,
    z forward; the world has z up (`worldfm_gym.camera`).

    ## Rewards

    −0.01 every step, plus the metres by which the geodesic distance to the goal shrank, plus 2.5
    for success. Success is stopping within 0.2 m of the goal (geodesic).

    ## Starting State

    A random point of the largest connected floor, a random heading, and a goal whose geodesic
    distance lies in `goal_distance_m`. `reset(options={...})` fixes any of `start_xy` (x, y),
    `start_yaw` (radians) and `goal_xy` (x, y).

    ## Episode End

    Terminated by stopping, truncated after 500 steps (`gymnasium.make(..., max_episode_steps=n)`).

    ## Info

    `success`, `spl`, `soft_spl`, `distance_to_goal` (geodesic, metres), `path_length` (metres) and
    `collisions` (number of steps that met something). `spl` is 0 until the agent stops.

    ## Arguments

    Those of every environment (`worldfm_envs.config.WorldConfig`): worlds, renderer, images, body,
    observations. Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `action_mode` | `"discrete"` | or `"continuous"` or `"waypoint"` |
    | `difficulty` | `None` | `"easy"`: 1.5…3 m on foot, `"medium"`: 3…5 m, `"hard"`: 5…10 m and at least 1.1 times as far as straight ahead; instead of the next two |
    | `goal_distance_m` | (1, 30) | geodesic distance from start to goal |
    | `least_detour` | 1 | smallest ratio of geodesic to straight distance |
    | `success_distance_m` | 0.2 | stopping nearer than this is success |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |
    | `forward_step_m`, `turn_step_deg` | 0.25, 10 | discrete steps |
    | `max_speed_mps`, `max_turn_dps`, `step_s` | 1, 40, 0.25 | continuous steps; `step_s` is also the time by which moving objects advance in a step of any kind |
    | `max_waypoint_m` | 1 | how far away waypoints can be |
    | `action_repeat`, `tilt`, `tilt_step_deg` | 1, `False`, 15 | see Action Space |
    | `actuation_noise`, `actuation_noise_scale` | `None`, 1 | see Action Space |

    Raises `NavigationError` if the world has no floor to walk on, `ConfigError` if an option makes
    no sense, `ActionError` if an action is not in the action space.

    ## Version History

    * v0: first version.
    """  # noqa: E501

    Config = PointNavConfig


class PointNavVectorEnv(WorldVectorEnv):
    """N of `PointNavEnv`, stepped together."""

    Env = PointNavEnv
