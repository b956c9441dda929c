"""Configuration that environments with a goal to walk to have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from worldfm_envs.actions import ActionModel
from worldfm_envs.config import GroundConfig
from worldfm_envs.episodes import DIFFICULTIES, Difficulty
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.sensors import Sensor
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class GoalNavConfig(GroundConfig):
    """Arguments of all environments with a goal to walk to; the rewards are Habitat's.

    Attributes:
        difficulty: ``"easy"``, ``"medium"`` or ``"hard"`` (`worldfm_envs.episodes.DIFFICULTIES`:
            1.5…3, 3…5 or 5…10 m with a detour of at least 1.1); None goes by the next two.
        goal_distance_m: Smallest and largest geodesic distance from start to goal, metres.
        least_detour: Smallest ratio of geodesic to straight distance from start to goal.
        success_distance_m: Stopping nearer to the goal than this is success, metres.
        slack_reward: Added every step.
        progress_reward: Per metre by which the geodesic distance to the goal shrinks.
        success_reward: Added on success.
    """

    TASK: ClassVar[type[GoalNavTask]] = GoalNavTask

    difficulty: Literal["easy", "medium", "hard"] | None = None
    goal_distance_m: tuple[float, float] = (1.0, 30.0)
    least_detour: float = 1.0
    success_distance_m: float = 0.2
    slack_reward: float = -0.01
    progress_reward: float = 1.0
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.goal_distance_m
        if not 0.0 <= low < high:
            raise ConfigError(
                f"goal_distance_m must be (smallest, largest) in metres, got {(low, high)}"
            )
        if not self.least_detour >= 0.0:
            raise ConfigError(f"least_detour must be 0 or more, got {self.least_detour}")
        if not self.success_distance_m > 0.0:
            raise ConfigError(f"success_distance_m must be positive, got {self.success_distance_m}")
        if self.difficulty is not None and self.difficulty not in DIFFICULTIES:
            raise ConfigError(
                f"difficulty must be None or one of {list(DIFFICULTIES)}, got {self.difficulty!r}"
            )

    @property
    def wanted_difficulty(self) -> Difficulty:
        """Which pairs of start and goal to draw."""
        if self.difficulty is not None:
            return DIFFICULTIES[self.difficulty]
        low, high = self.goal_distance_m
        return Difficulty((low, high), self.least_detour)

    def make_task(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> GoalNavTask:
        """See `WorldConfig.make_task`."""
        return self.TASK(simulator, actions=actions, sensors=sensors, config=self)
