"""Image-goal navigation, batched: find the place that a picture was taken from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.episodes import NavigationEpisode
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.reset_options import given
from worldfm_envs.task import to_numpy
from worldfm_gym.camera import heading_c2w

if TYPE_CHECKING:
    from worldfm_envs.image_nav import ImageNavConfig


class ImageNavTask(GoalNavTask):
    """See `worldfm_envs.image_nav.ImageNavEnv`."""

    OPTIONS = (*GoalNavTask.OPTIONS, "goal_yaw")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        count, config = self.simulator.num_agents, self.simulator.config
        self._goal_yaw = np.zeros(count)
        self._goal_rgb = np.zeros((count, config.height, config.width, 3), np.uint8)

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`."""
        return {"goal_rgb": self._goal_rgb, "goal_xy": self._goal_xy, "goal_yaw": self._goal_yaw}

    def draw_episode(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> NavigationEpisode:
        """As for points; then the goal's heading, and the view from there."""
        episode = super().draw_episode(agent, rng, scene=scene, options=options)
        yaw = given(options, "goal_yaw", ())
        self._goal_yaw[agent] = rng.uniform(-np.pi, np.pi) if yaw is None else yaw
        eye = np.array([*episode.goal.places_xy[0], self.simulator.config.camera_height_m])
        pose = heading_c2w(eye, self._goal_yaw[agent])
        view = to_numpy(self.simulator.render_at(pose[None], [scene]))
        self._goal_rgb[agent] = view.rgb[0]
        return episode

    def arrived(self, distance_m: NDArray[np.float64], stopped: NDArray[np.bool_]) -> Any:
        """See `GoalNavTask.arrived`: near the goal and, if wanted, facing as it does."""
        near = super().arrived(distance_m, stopped)
        limit_deg = cast("ImageNavConfig", self.config).success_angle_deg
        return near if limit_deg is None else near & (self._angle() < np.deg2rad(limit_deg))

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return {**super().info(), "angle_to_goal": self._angle()}

    def _angle(self) -> NDArray[np.float64]:
        """Between the headings of agents and goals, radians 0…π, float64 [N]."""
        turn = self._goal_yaw - self.simulator.yaw
        return np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
