"""coverage_v0: robots that look at all of a place together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.coverage import FloorCoverage
from worldfm_envs.multi_agent import MultiAgentConfig, MultiAgentEnv, metadata_of, turn_by_turn
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome
from worldfm_envs.team_task import TeamTask
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class CoverageConfig(MultiAgentConfig):
    """Arguments of `CoverageEnv`, besides those of every environment of several agents.

    Attributes:
        view_range_m: How far the floor counts as seen, metres.
        coverage_goal: Share of the reachable floor at which the episode ends in success.
        slack_reward: Added every step.
        coverage_reward: Per m² of reachable floor that the team sees for the first time.
        success_reward: Added on success.
    """

    view_range_m: float = 5.0
    coverage_goal: float = 0.95
    slack_reward: float = -0.01
    coverage_reward: float = 0.1
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_agents < 2:
            raise ConfigError(
                f"a team has two agents or more, got num_agents={self.num_agents}: "
                "WorldFM/Explore-v0 is for one"
            )
        if not self.view_range_m > 0.0:
            raise ConfigError(f"view_range_m must be positive, got {self.view_range_m}")
        if not 0.0 < self.coverage_goal <= 1.0:
            raise ConfigError(f"coverage_goal must lie in 0…1, got {self.coverage_goal}")

    def make_task(
        self, simulator: Simulator, *, actions: Any, sensors: Mapping[str, Sensor]
    ) -> CoverageTask:
        """See `MultiAgentConfig.make_task`."""
        return CoverageTask(simulator, actions=actions, sensors=sensors, config=self)


class CoverageTask(TeamTask):
    """See all of the floor together; see `CoverageEnv`.

    Attributes:
        coverage: What the team has seen.
    """

    config: CoverageConfig

    def __init__(self, simulator: Simulator, **given: Any) -> None:
        super().__init__(simulator, **given)
        together = np.zeros(simulator.num_agents, np.int64)
        self.coverage = FloorCoverage(
            simulator, group=together, view_range_m=self.config.view_range_m
        )

    def begin_team(self, rng: np.random.Generator) -> None:
        """See `TeamTask.begin_team`."""
        self.coverage.begin(0, self.scene)
        self.coverage.look()

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        simulator, config = self.simulator, self.config
        self.metrics.travel(simulator.position_xy, simulator.collided)
        new_m2 = float(self.coverage.look().sum())
        done = self._done()
        reward = config.slack_reward + config.coverage_reward * new_m2
        reward += config.success_reward * done
        count = simulator.num_agents
        return Outcome(np.full(count, reward), np.full(count, done), self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return self.team_info(
            success=self._done(),
            coverage=float(self.coverage.fraction[0]),
            covered_area=float(self.coverage.seen_m2[0]),
        )

    def _done(self) -> bool:
        return bool(self.coverage.fraction[0] >= self.config.coverage_goal)


class CoverageEnv(MultiAgentEnv):
    """See all of the floor, as a team.

    ## Description

    `WorldFM/Explore-v0` with several robots: floor counts once, whoever sees it first, so it pays
    to split up. Robots do not hide the floor from each other. Agents see each other as robots of
    different colors, collide, and know where the others are relative to themselves (`teammates`).
    A PettingZoo `ParallelEnv`; all agents act at once.

    ## Action Space

    That of `WorldFM/PointNav-v0`, but stopping only means to stay: by default `Discrete(4)`,
    0 stay, 1 forward, 2 left, 3 right.

    ## Observation Space

    A `Dict` of the entries that `observations` names (`worldfm_envs.sensors.SENSORS`, and
    `teammates`), by default:

    | key | space | meaning |
    | --- | --- | --- |
    | `rgb` | `Box(0, 255, (H, W, 3), uint8)` | camera image |
    | `depth` | `Box(0, 255, (H, W, 1), uint8)` | z-depth, 255 = `max_depth_m` (10 m) or more, 0 = nothing seen |
    | `teammates` | `Box((5 · (num_agents − 1),), float32)` | a row for each other agent: metres ahead and to the left, cosine and sine of its heading relative to one's own, 1 if it is there |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    The same for all: 0.1 per m² of reachable floor that the team sees for the first time, −0.01
    every step, and 2.5 when `coverage_goal` is reached. What is seen at the start earns nothing.

    ## Starting State

    Random points of the largest connected floor, `start_distance_m` or more apart where there is
    room, and random headings.

    ## Episode End

    Terminated for all when `coverage_goal` is reached, truncated after `max_cycles`.

    ## Info

    `success` (`coverage_goal` is reached), `coverage` (share of the reachable floor that the team
    has seen, 0…1), `covered_area` (m²), `path_length` (metres) and `collisions` (number of steps
    that met something) of each.

    ## Arguments

    Those of every environment in which agents walk (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `num_agents` | 3 | size of the team |
    | `max_cycles` | 500 | steps after which an episode is truncated |
    | `start_distance_m` | 1 | least distance between agents at the start |
    | `body_height_m` | 1 | height of the robots that agents see |
    | `view_range_m` | 5 | how far the floor counts as seen |
    | `coverage_goal` | 0.95 | share of the floor at which the episode ends |
    | `slack_reward`, `coverage_reward`, `success_reward` | −0.01, 0.1, 2.5 | per step, per m², on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    metadata: ClassVar = metadata_of("coverage_v0")
    Config = CoverageConfig


def parallel_env(**options: Any) -> CoverageEnv:
    """The environment; see `CoverageEnv` for its options."""
    return CoverageEnv(**options)


def env(**options: Any) -> Any:
    """The environment for agents that act one after the other, a PettingZoo `AECEnv`."""
    return turn_by_turn(parallel_env(**options))
