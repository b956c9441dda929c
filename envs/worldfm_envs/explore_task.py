"""Exploration, batched: see as much of the floor as can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.coverage import FloorCoverage
from worldfm_envs.metrics import TravelMetrics
from worldfm_envs.reset_options import given
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome, Task
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

if TYPE_CHECKING:
    from worldfm_envs.explore import ExploreConfig


class ExploreTask(Task):
    """See `worldfm_envs.explore.ExploreEnv`.

    Attributes:
        config: What counts and what it is worth.
        coverage: What each agent has seen of the floor.
        metrics: How far the agents went.
    """

    OPTIONS = ("start_xy", "start_yaw")

    def __init__(
        self,
        simulator: Simulator,
        *,
        actions: ActionModel,
        sensors: Mapping[str, Sensor],
        config: ExploreConfig,
    ) -> None:
        super().__init__(simulator, actions=actions, sensors=sensors)
        self.config = config
        self.coverage = FloorCoverage(simulator, view_range_m=config.view_range_m)
        self.metrics = TravelMetrics(simulator.num_agents)

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`; options are those that `OPTIONS` names."""
        simulator = self.simulator
        xy = given(options, "start_xy", (2,))
        yaw = given(options, "start_yaw", ())
        xy = simulator.worlds[scene].require_nav().random_point(rng) if xy is None else xy
        yaw = rng.uniform(-np.pi, np.pi) if yaw is None else yaw
        simulator.place_ground([agent], xy, yaw, scene=[scene])
        self.metrics.restart(agent, xy)
        self.coverage.begin(agent, scene)
        self.coverage.look([agent])

    def edited(self, agent: int, world: World) -> None:
        """See `Task.edited`: other floor can be reached, other floor is in sight."""
        self.coverage.begin(agent, int(self.simulator.scene[agent]), nav=world.require_nav())
        self.coverage.look([agent])

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        config = self.config
        self.metrics.travel(self.simulator.position_xy, self.simulator.collided)
        reward = config.slack_reward + config.coverage_reward * self.coverage.look()
        info = self.info()
        reward += config.success_reward * info["success"]
        return Outcome(reward, stopped | info["success"], info)

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        fraction = self.coverage.fraction
        return {
            "success": fraction >= self.config.coverage_goal,
            "coverage": fraction,
            "covered_area": self.coverage.seen_m2.copy(),
            **self.metrics.as_info(),
        }
