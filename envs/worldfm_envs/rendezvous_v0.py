"""rendezvous_v0: robots that look for each other until all of them have met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.multi_agent import MultiAgentConfig, MultiAgentEnv, metadata_of, turn_by_turn
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome
from worldfm_envs.team_task import TeamTask, walking_distances
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class RendezvousConfig(MultiAgentConfig):
    """Arguments of `RendezvousEnv`, besides those of every environment of several agents.

    Attributes:
        meeting_distance_m: All have met when no two are farther apart than this (geodesic).
        slack_reward: Added every step.
        progress_reward: Per metre by which the mean distance between two agents shrank.
        success_reward: Added when all have met.
    """

    meeting_distance_m: float = 1.0
    slack_reward: float = -0.01
    progress_reward: float = 1.0
    success_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_agents < 2:
            raise ConfigError(f"it takes two agents to meet, got num_agents={self.num_agents}")
        if not self.meeting_distance_m > 0:
            raise ConfigError(f"meeting_distance_m must be positive, got {self.meeting_distance_m}")

    def make_task(
        self, simulator: Simulator, *, actions: Any, sensors: Mapping[str, Sensor]
    ) -> RendezvousTask:
        """See `MultiAgentConfig.make_task`."""
        return RendezvousTask(simulator, actions=actions, sensors=sensors, config=self)


class RendezvousTask(TeamTask):
    """Get together; see `RendezvousEnv`.

    Attributes:
        distances_m: Walking distances between agents, float64 [N, N].
    """

    config: RendezvousConfig

    def begin_team(self, rng: np.random.Generator) -> None:
        """See `TeamTask.begin_team`."""
        self.distances_m = self._distances()

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        simulator, config = self.simulator, self.config
        self.metrics.travel(simulator.position_xy, simulator.collided)
        before = self._mean_distance()
        now = self._distances()
        # Pushed by something into a nook without a way out, an agent keeps its last distances.
        self.distances_m = np.where(np.isfinite(now), now, self.distances_m)
        met = self._met()
        reward = config.slack_reward + config.progress_reward * (before - self._mean_distance())
        reward += config.success_reward * met
        count = simulator.num_agents
        return Outcome(np.full(count, reward), np.full(count, met), self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return self.team_info(
            success=self._met(),
            mean_distance=self._mean_distance(),
            largest_distance=float(self.distances_m.max()),
        )

    def _distances(self) -> NDArray[np.float64]:
        """Walking distances of all pairs: half of them, each measured once."""
        xy = self.simulator.position_xy
        whole = np.zeros((len(xy), len(xy)))
        whole[:-1] = walking_distances(self.nav, xy[:-1], xy)
        upper: NDArray[np.float64] = np.triu(whole, 1)
        return upper + upper.T

    def _mean_distance(self) -> float:
        count = len(self.distances_m)
        return float(self.distances_m.sum() / (count * (count - 1)))

    def _met(self) -> bool:
        return bool((self.distances_m < self.config.meeting_distance_m).all())


class RendezvousEnv(MultiAgentEnv):
    """Find each other, and come together.

    ## Description

    The rendezvous problem (Alpern, "The Rendezvous Search Problem", 1995) as robots meet it: a team
    is spread over a place that none of them knows, and has to get together. Agents see each other
    as robots of different colors, collide, and know where the others are relative to themselves
    (`teammates`); without that entry they have to look for them. A PettingZoo `ParallelEnv`; all
    agents act at once.

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

    The same for all: −0.01 every step, plus the metres by which the mean walking distance between
    two agents shrank, plus 2.5 when all have met.

    ## Starting State

    Random points of the largest connected floor, `start_distance_m` or more apart where there is
    room, and random headings.

    ## Episode End

    Terminated for all when no two are farther than `meeting_distance_m` apart (geodesic), truncated
    after `max_cycles`.

    ## Info

    `success`, `mean_distance` and `largest_distance` between two agents (geodesic, metres),
    `path_length` (metres) and `collisions` (number of steps that met something) of each.

    ## Arguments

    Those of every environment in which agents walk (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `num_agents` | 3 | size of the team |
    | `max_cycles` | 500 | steps after which an episode is truncated |
    | `start_distance_m` | 1 | least distance between agents at the start |
    | `body_height_m` | 1 | height of the robots that agents see |
    | `meeting_distance_m` | 1 | how near all have to get |
    | `slack_reward`, `progress_reward`, `success_reward` | −0.01, 1, 2.5 | per step, per metre, on success |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    metadata: ClassVar = metadata_of("rendezvous_v0")
    Config = RendezvousConfig


def parallel_env(**options: Any) -> RendezvousEnv:
    """The environment; see `RendezvousEnv` for its options."""
    return RendezvousEnv(**options)


def env(**options: Any) -> Any:
    """The environment for agents that act one after the other, a PettingZoo `AECEnv`."""
    return turn_by_turn(parallel_env(**options))
