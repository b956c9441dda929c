"""Point-goal navigation, batched: reach a point, say so by stopping there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.episodes import NavigationEpisode, sample_episode
from worldfm_envs.metrics import NavigationMetrics
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome, Task
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class PointNavRules:
    """What counts and what it is worth; the defaults are Habitat's.

    Attributes:
        goal_distance_m: Smallest and largest geodesic distance from start to goal, metres.
        success_distance_m: Stopping nearer to the goal than this is success, metres.
        slack_reward: Added every step.
        progress_reward: Per metre by which the geodesic distance to the goal shrinks.
        success_reward: Added on success.
    """

    goal_distance_m: tuple[float, float] = (1.0, 30.0)
    success_distance_m: float = 0.2
    slack_reward: float = -0.01
    progress_reward: float = 1.0
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        low, high = self.goal_distance_m
        if not 0.0 <= low < high:
            raise ConfigError(
                f"goal_distance_m must be (smallest, largest) in metres, got {(low, high)}"
            )
        if not self.success_distance_m > 0.0:
            raise ConfigError(f"success_distance_m must be positive, got {self.success_distance_m}")


class PointNavTask(Task):
    """See `worldfm_envs.point_nav.PointNavEnv` for what agents see, do and earn."""

    OPTIONS = ("start_xy", "start_yaw", "goal_xy")

    def __init__(
        self,
        simulator: Simulator,
        *,
        actions: ActionModel,
        sensors: Mapping[str, Sensor],
        rules: PointNavRules,
    ) -> None:
        super().__init__(simulator, actions=actions, sensors=sensors)
        count = simulator.num_agents
        self.rules = rules
        self.metrics = NavigationMetrics(count, success_distance_m=rules.success_distance_m)
        self.episodes: list[NavigationEpisode | None] = [None] * count
        self._goal_xy = np.zeros((count, 2))

    @property
    def goal_xy(self) -> NDArray[np.float64]:
        """Goals of the agents in world metres, float64 [N, 2]."""
        return self._goal_xy

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`."""
        return {"goal_xy": self._goal_xy}

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`; options are those of `sample_episode`."""
        episode = sample_episode(
            self.simulator.worlds[scene].require_nav(),
            rng,
            distance_range_m=self.rules.goal_distance_m,
            start_xy=_given(options, "start_xy", (2,)),
            start_yaw=_given(options, "start_yaw", ()),
            goal_xy=_given(options, "goal_xy", (2,)),
        )
        self.simulator.place_ground([agent], episode.start_xy, episode.start_yaw, scene=[scene])
        self.episodes[agent] = episode
        self._goal_xy[agent] = episode.goal_xy
        self.metrics.begin(agent, episode.start_xy, episode.distance_m)

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        metrics, rules = self.metrics, self.rules
        xy = self.simulator.position_xy
        distance = np.empty(len(xy))
        for agent, episode in enumerate(self.episodes):
            distance[agent] = episode.field.distance(xy[agent]) if episode else np.inf
        metrics.update(xy, distance, self.simulator.collided, stopped)
        reward = rules.progress_reward * metrics.progress_m
        reward += rules.slack_reward + rules.success_reward * metrics.success
        return Outcome(reward, stopped, self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        metrics = self.metrics
        return {
            "success": metrics.success.copy(),
            "spl": metrics.spl.copy(),
            "soft_spl": metrics.soft_spl.copy(),
            "distance_to_goal": metrics.distance_to_goal_m.copy(),
            "path_length": metrics.path_length_m.copy(),
            "collisions": metrics.collisions.copy(),
        }


def _given(options: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Any:
    """A reset option as an array of a shape, or None where it is not given."""
    if name not in options:
        return None
    try:
        value = np.asarray(options[name], np.float64)
    except (TypeError, ValueError):
        value = np.full((), np.nan)
    if value.shape != shape or not np.isfinite(value).all():
        wanted = "two finite numbers (x, y) in metres" if shape else "a finite angle in radians"
        raise ConfigError(f"reset option {name} must be {wanted}, got {options[name]!r}")
    return value
