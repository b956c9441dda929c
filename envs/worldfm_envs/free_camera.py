"""WorldFM/FreeCamera-v0: fly a camera through a world."""

from __future__ import annotations

from typing import ClassVar, Unpack

from worldfm_envs.actions import FreeVelocity
from worldfm_envs.base import WorldEnv, WorldKeywords, WorldOptions
from worldfm_envs.free_camera_task import FreeCameraTask
from worldfm_gym.simulator import Simulator


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
    | `object_poses` | `Box((14 · num_objects,), float32)` | the nearest objects in the camera frame, nearest first: `reshape(-1, 14)`, columns in `worldfm_envs.object_sensor` (position 3, rotation 6, size 3, visible, instance id) |
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

    | argument | default | meaning |
    | --- | --- | --- |
    | `world` | `"rooms"` | source for `worldfm_gym.make_world`, a `World`, a function `seed -> World`, or a list of these: each episode then takes place in a random one |
    | `world_seed` | 0 | seed of the first world; None draws it at reset |
    | `new_world_every` | 0 | make another world after so many episodes; 0 never |
    | `observations` | all but `provenance` | names of the entries wanted |
    | `width`, `height` | 128 | image size in pixels |
    | `fov_x_deg` | 90 | horizontal field of view in degrees |
    | `camera_height_m` | 1.25 | height of the camera above the floor at the start |
    | `agent_radius_m`, `agent_height_m` | None | the body that walks; None takes the world's own (0.18 and 1.5) |
    | `sliding` | True | slide along what is in the way, or stop at it |
    | `depth_dtype` | `"uint8"` | what image policies take; `"float32"` for metres |
    | `max_depth_m` | 10 | depth is clipped here |
    | `num_objects` | 8 | rows of `object_poses` |
    | `max_speed_mps`, `max_turn_dps`, `step_s` | 1, 60, 0.1 | velocity limits and duration of a step |
    | `object_motion` | None | how objects move (`worldfm_gym.scene_objects.ObjectMotion`) |
    | `renderer` | `"frame"` | draws with the frame model; or `"anchor"`: the points alone, about ten times as fast; or `"truth"`, a `Renderer`, or a function `worlds -> Renderer` |
    | `renderer_options` | None | of `"frame"`: `{"steps": 1 or 2, "references": 2, "model": "nano" or a file, "deterministic": False}` (`worldfm_gym.frame_renderer`) |
    | `device` | `"cpu"` | where the renderer draws |
    | `render_mode` | None | `"rgb_array"` or `"human"` |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    SENSORS: ClassVar = ("rgb", "depth", "collision", "object_poses", "pose")
    RESET_OPTIONS: ClassVar = FreeCameraTask.OPTIONS
    NEEDS_FLOOR: ClassVar = False

    def __init__(
        self,
        *,
        max_speed_mps: float = 1.0,
        max_turn_dps: float = 60.0,
        step_s: float = 0.1,
        render_mode: str | None = None,
        **options: Unpack[WorldKeywords],
    ) -> None:
        super().__init__(
            WorldOptions(**options),
            actions=FreeVelocity(
                max_speed_mps=max_speed_mps, max_turn_dps=max_turn_dps, step_s=step_s
            ),
            step_s=step_s,
            render_mode=render_mode,
        )

    def make_task(self, simulator: Simulator) -> FreeCameraTask:
        """See `WorldEnv.make_task`."""
        return FreeCameraTask(simulator, actions=self._actions, sensors=self._sensors)
