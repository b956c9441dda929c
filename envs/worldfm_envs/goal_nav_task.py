"""Walking to a goal, batched: what point, image and category goals have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.episodes import Goal, NavigationEpisode, sample_episode
from worldfm_envs.goal_distance import GoalDistances
from worldfm_envs.metrics import NavigationMetrics
from worldfm_envs.reset_options import given
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome, Task
from worldfm_gym.errors import NavigationError
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

if TYPE_CHECKING:
    from worldfm_envs.goal_nav import GoalNavConfig


class GoalNavTask(Task):
    """Walk until you say that you are there; rewards are Habitat's.

    A subclass says what `goals` there are, draws them in `draw_episode` and judges in `arrived`.

    Attributes:
        config: What counts and what it is worth.
        metrics: How well it goes.
        episodes: Start and goal of each agent, None before its first episode.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ("start_xy", "start_yaw", "goal_xy")

    def __init__(
        self,
        simulator: Simulator,
        *,
        actions: ActionModel,
        sensors: Mapping[str, Sensor],
        config: GoalNavConfig,
    ) -> None:
        super().__init__(simulator, actions=actions, sensors=sensors)
        count = simulator.num_agents
        self.config = config
        self.metrics = NavigationMetrics(count)
        self.episodes: list[NavigationEpisode | None] = [None] * count
        self._distances = GoalDistances(count)
        self._goal_xy = np.zeros((count, 2))

    @property
    def goal_xy(self) -> NDArray[np.float64]:
        """Goals of the agents in world metres, float64 [N, 2]; the first place of several."""
        return self._goal_xy

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`."""
        return {"goal_xy": self._goal_xy}

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`; options are those that `OPTIONS` names."""
        episode = self.draw_episode(agent, rng, scene=scene, options=options)
        self.simulator.place_ground([agent], episode.start_xy, episode.start_yaw, scene=[scene])
        self._goal_xy[agent] = episode.goal.places_xy[0]
        self._take(agent, episode)

    def edited(self, agent: int, world: World) -> None:
        """See `Task.edited`: start and goal stay, the way between them may not."""
        episode = self.episodes[agent]
        assert episode is not None, "begin() comes first"
        goal = self.goal_in(agent, world)
        distance_m = float(goal.field.distance(episode.start_xy))
        if not np.isfinite(distance_m):
            raise NavigationError(
                f"the edits leave no way from the start {episode.start_xy.tolist()} to the goal"
            )
        self._take(agent, replace(episode, goal=goal, distance_m=distance_m))

    def goal_in(self, agent: int, world: World) -> Goal:
        """The goal of an agent's episode in an edited world.

        Raises:
            NavigationError: If it can't be reached there.
        """
        return Goal.at(world.require_nav(), self._goal_xy[agent])

    def draw_episode(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> NavigationEpisode:
        """Start and goal of an episode; a random point of the floor unless options fix it."""
        nav = self.simulator.worlds[scene].require_nav()
        goal_xy = given(options, "goal_xy", (2,))
        return sample_episode(
            nav,
            rng,
            difficulty=self.config.wanted_difficulty,
            start_xy=given(options, "start_xy", (2,)),
            start_yaw=given(options, "start_yaw", ()),
            goal=None if goal_xy is None else Goal.at(nav, goal_xy),
        )

    def arrived(self, distance_m: NDArray[np.float64], stopped: NDArray[np.bool_]) -> Any:
        """Whether agents are where they should stop, bool [N]; only asked of those that stopped.

        Args:
            distance_m: Geodesic distances to the goals [N].
            stopped: Which agents stopped [N].
        """
        return distance_m < self.config.success_distance_m

    def _take(self, agent: int, episode: NavigationEpisode) -> None:
        """Measure an agent's way by an episode."""
        self.episodes[agent] = episode
        self._distances.set(agent, episode.field)
        self.metrics.begin(agent, episode.start_xy, episode.distance_m)

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        metrics, config = self.metrics, self.config
        xy = self.simulator.position_xy
        distance = self._distances.at(xy)
        success = stopped
        if stopped.any():
            success = stopped & self.arrived(distance, stopped)
        metrics.update(xy, distance, self.simulator.collided, success)
        reward = config.progress_reward * metrics.progress_m
        reward += config.slack_reward + config.success_reward * metrics.success
        return Outcome(reward, stopped, self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return self.metrics.as_info()
