"""WorldFM/PointNav-v0: walk to a point."""

from __future__ import annotations

from typing import ClassVar, Literal, Unpack

from worldfm_envs.actions import ActionModel, ContinuousVelocity, DiscreteSteps
from worldfm_envs.base import WorldEnv, WorldKeywords, WorldOptions
from worldfm_envs.point_nav_task import PointNavRules, PointNavTask
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


class PointNavEnv(WorldEnv[PointNavTask]):
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
    | 0 | speed forward, times 1 m/s; negative is backward |
    | 1 | turn rate to the left, times 40 °/s |
    | 2 | above 0.9: stop, which ends the episode without moving |

    ## Observation Space

    A `Dict` of the entries that `observations` names, by default all of these but `provenance`:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen; with `depth_dtype="float32"`: `Box(0, max_depth_m, (H, W, 1), float32)` in metres |
    | `pointgoal` | `Box((2,), float32)` | distance to the goal on the floor plane in metres, and its direction in radians from the heading, positive to the left |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, nearest first: `reshape(-1, 14)`, columns in `worldfm_envs.object_sensor` (position 3, rotation 6, size 3, visible, instance id) |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |
    | `provenance` | `Box(0, 255, (H, W, 1), uint8)` | where a pixel comes from: 0 nothing was drawn, 1 observed by a source of the world, 2 invented by the frame model |

    The camera frame has x right, y down, z forward; the world has z up (`worldfm_gym.camera`).

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

    | argument | default | meaning |
    | --- | --- | --- |
    | `world` | `"rooms"` | source for `worldfm_gym.make_world`, a `World`, a function `seed -> World`, or a list of these: each episode then takes place in a random one |
    | `world_seed` | 0 | seed of the first world; None draws it at reset |
    | `new_world_every` | 0 | make another world after so many episodes; 0 never |
    | `action_mode` | `"discrete"` | or `"continuous"` |
    | `observations` | all but `provenance` | names of the entries wanted |
    | `width`, `height` | 128 | image size in pixels |
    | `fov_x_deg` | 90 | horizontal field of view in degrees |
    | `camera_height_m` | 1.25 | height of the camera above the floor |
    | `agent_radius_m`, `agent_height_m` | None | the body that walks; None takes the world's own (0.18 and 1.5) |
    | `sliding` | True | slide along what is in the way, or stop at it |
    | `depth_dtype` | `"uint8"` | what image policies take; `"float32"` for metres |
    | `max_depth_m` | 10 | depth is clipped here |
    | `num_objects` | 8 | rows of `object_poses` |
    | `goal_distance_m` | (1, 30) | geodesic distance from start to goal |
    | `success_distance_m` | 0.2 | stopping nearer than this is success |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |
    | `forward_step_m`, `turn_step_deg` | 0.25, 10 | discrete steps |
    | `max_speed_mps`, `max_turn_dps`, `step_s` | 1, 40, 0.25 | continuous steps; `step_s` is also the time by which moving objects advance in a step of either kind |
    | `object_motion` | None | how objects move (`worldfm_gym.scene_objects.ObjectMotion`) |
    | `renderer` | `"frame"` | draws with the frame model; or `"anchor"`: the points alone, about ten times as fast; or `"truth"`, a `Renderer`, or a function `worlds -> Renderer` |
    | `renderer_options` | None | of `"frame"`: `{"steps": 1 or 2, "references": 2, "model": "nano" or a file, "deterministic": False}` (`worldfm_gym.frame_renderer`) |
    | `device` | `"cpu"` | where the renderer draws |
    | `render_mode` | None | `"rgb_array"` or `"human"` |

    Raises `NavigationError` if the world has no floor to walk on, `ConfigError` if an option makes
    no sense, `ActionError` if an action is not in the action space.

    ## Version History

    * v0: first version.
    """  # noqa: E501

    SENSORS: ClassVar = ("rgb", "depth", "pointgoal", "collision", "object_poses", "pose")
    RESET_OPTIONS: ClassVar = PointNavTask.OPTIONS
    NEEDS_FLOOR: ClassVar = True

    def __init__(
        self,
        *,
        action_mode: Literal["discrete", "continuous"] = "discrete",
        goal_distance_m: tuple[float, float] = (1.0, 30.0),
        success_distance_m: float = 0.2,
        slack_reward: float = -0.01,
        progress_reward: float = 1.0,
        success_reward: float = 2.5,
        forward_step_m: float = 0.25,
        turn_step_deg: float = 10.0,
        max_speed_mps: float = 1.0,
        max_turn_dps: float = 40.0,
        step_s: float = 0.25,
        render_mode: str | None = None,
        **options: Unpack[WorldKeywords],
    ) -> None:
        actions: ActionModel
        if action_mode == "discrete":
            actions = DiscreteSteps(forward_step_m=forward_step_m, turn_step_deg=turn_step_deg)
        elif action_mode == "continuous":
            actions = ContinuousVelocity(
                max_speed_mps=max_speed_mps, max_turn_dps=max_turn_dps, step_s=step_s
            )
        else:
            raise ConfigError(
                f"action_mode must be 'discrete' or 'continuous', got {action_mode!r}"
            )
        low, high = goal_distance_m
        self._rules = PointNavRules(
            goal_distance_m=(low, high),
            success_distance_m=success_distance_m,
            slack_reward=slack_reward,
            progress_reward=progress_reward,
            success_reward=success_reward,
        )
        super().__init__(
            WorldOptions(**options), actions=actions, step_s=step_s, render_mode=render_mode
        )

    def make_task(self, simulator: Simulator) -> PointNavTask:
        """See `WorldEnv.make_task`."""
        return PointNavTask(
            simulator, actions=self._actions, sensors=self._sensors, rules=self._rules
        )
