"""pursuit_v0: robots that chase robots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import FORWARD, LEFT, RIGHT
from worldfm_envs.evasion import flight_headings
from worldfm_envs.multi_agent import MultiAgentConfig, MultiAgentEnv, metadata_of, turn_by_turn
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Outcome
from worldfm_envs.team_task import TeamTask, walking_distances
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(frozen=True, kw_only=True)
class PursuitConfig(MultiAgentConfig):
    """Arguments of `PursuitEnv`, besides those of every environment of several agents.

    Attributes:
        num_evaders: Robots to catch.
        evaders: ``"scripted"``, or ``"agents"`` that policies control.
        evader_speed: Of scripted evaders, as a share of the pursuers' speed.
        fear_distance_m: Scripted evaders flee from pursuers that are nearer than this.
        catch_distance_m: An evader is caught by a pursuer that is nearer than this (geodesic).
        slack_reward: Of pursuers, added every step; evaders get the opposite.
        progress_reward: Of pursuers, per metre by which an evader's distance to the nearest one
            shrank, on average over evaders.
        catch_reward: Of pursuers, for each evader that is caught; that evader gets the opposite.
    """

    num_evaders: int = 1
    evaders: Literal["scripted", "agents"] = "scripted"
    evader_speed: float = 0.75
    fear_distance_m: float = 4.0
    catch_distance_m: float = 0.75
    slack_reward: float = -0.01
    progress_reward: float = 0.1
    catch_reward: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_evaders < 1:
            raise ConfigError(f"num_evaders must be 1 or more, got {self.num_evaders}")
        if self.evaders not in ("scripted", "agents"):
            raise ConfigError(f"evaders must be 'scripted' or 'agents', got {self.evaders!r}")
        if not 0.0 <= self.evader_speed <= 1.0:
            raise ConfigError(f"evader_speed must lie in 0…1, got {self.evader_speed}")
        if not self.catch_distance_m > 0.0:
            raise ConfigError(f"catch_distance_m must be positive, got {self.catch_distance_m}")

    @property
    def num_bodies(self) -> int:
        """See `MultiAgentConfig.num_bodies`."""
        return self.num_agents + self.num_evaders

    @property
    def agent_names(self) -> list[str]:
        """See `MultiAgentConfig.agent_names`."""
        pursuers = [f"pursuer_{i}" for i in range(self.num_agents)]
        evaders = [f"evader_{i}" for i in range(self.num_evaders)]
        return pursuers + (evaders if self.evaders == "agents" else [])

    def make_task(
        self, simulator: Simulator, *, actions: Any, sensors: Mapping[str, Sensor]
    ) -> PursuitTask:
        """See `MultiAgentConfig.make_task`."""
        return PursuitTask(simulator, actions=actions, sensors=sensors, config=self)


class PursuitTask(TeamTask):
    """Catch all evaders; see `PursuitEnv`. Agents are numbered pursuers first.

    Attributes:
        distance_m: Walking distance of each evader to the nearest pursuer, float64 [E].
    """

    config: PursuitConfig

    def __init__(self, simulator: Simulator, **given: Any) -> None:
        super().__init__(simulator, **given)
        self._pursuers = np.arange(simulator.num_agents) < self.config.num_agents
        self._strides = np.zeros(self.config.num_evaders)  # of scripted evaders, yet to be made
        self._evaders = np.flatnonzero(~self._pursuers)
        self.distance_m = np.zeros(self.config.num_evaders)

    def begin_team(self, rng: np.random.Generator) -> None:
        """See `TeamTask.begin_team`."""
        self._strides[:] = 0.0
        self.distance_m = self._distances()

    def script(self, actions: NDArray[Any]) -> None:
        """See `TeamTask.script`: evaders flee, if no policy controls them."""
        config, simulator = self.config, self.simulator
        fleeing = self._evaders[~self.gone[self._evaders]]
        if config.evaders == "agents" or not len(fleeing):
            return
        xy, yaw = simulator.position_xy, simulator.yaw
        heading = flight_headings(
            self.nav, xy[fleeing], yaw[fleeing], xy[self._pursuers], fear_m=config.fear_distance_m
        )
        turn = (heading - yaw[fleeing] + np.pi) % (2 * np.pi) - np.pi
        if config.action_mode == "continuous":
            most = np.deg2rad(config.max_turn_dps) * config.step_s
            actions[fleeing, 0] = config.evader_speed * (np.abs(turn) < np.pi / 2)
            actions[fleeing, 1] = (turn / most).clip(-1, 1)
            actions[fleeing, 2] = -1.0
            return
        if config.action_mode == "waypoint":
            actions[fleeing, 0] = 2.0 * config.evader_speed - 1.0
            actions[fleeing, 1] = turn / np.pi
            actions[fleeing, 2] = -1.0
            return
        # A discrete step forward has one length, so slower robots take fewer of them.
        straight = np.abs(turn) < 0.75 * np.deg2rad(config.turn_step_deg)
        number = fleeing - config.num_agents
        self._strides[number] += config.evader_speed * straight
        go = straight & (self._strides[number] >= 1.0)
        self._strides[number] -= go
        actions[fleeing] = np.where(go, FORWARD, np.where(turn > 0, LEFT, RIGHT))
        actions[fleeing[straight & ~go]] = 0

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        config, simulator = self.config, self.simulator
        self.metrics.travel(simulator.position_xy, simulator.collided)
        before, now = self.distance_m, self._distances()
        self.distance_m = np.where(np.isfinite(now), now, before)
        free = ~self.gone[self._evaders]
        caught = free & (self.distance_m < config.catch_distance_m)
        progress = np.where(free, before - self.distance_m, 0.0).mean()
        team = config.slack_reward + config.progress_reward * progress
        reward = np.where(self._pursuers, team + config.catch_reward * caught.sum(), 0.0)
        reward[self._evaders] = -config.slack_reward - config.catch_reward * caught
        for agent in self._evaders[caught]:
            self.leave(int(agent))
        over = self._all_caught()
        return Outcome(reward, self.gone | over, self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        gone = self.gone[self._evaders]
        return self.team_info(
            success=self._all_caught(),
            caught=int(gone.sum()),
            distance_to_evader=float(self.distance_m[~gone].min(initial=np.inf))
            if not gone.all()
            else 0.0,
        )

    def _all_caught(self) -> bool:
        return bool(self.gone[self._evaders].all())

    def _distances(self) -> NDArray[np.float64]:
        """Walking distance of each evader to the nearest pursuer; of caught ones as it was."""
        xy, distance = self.simulator.position_xy, self.distance_m.copy()
        free = np.flatnonzero(~self.gone[self._evaders])
        to_pursuers = walking_distances(self.nav, xy[self._evaders[free]], xy[self._pursuers])
        distance[free] = to_pursuers.min(axis=1)
        return distance


class PursuitEnv(MultiAgentEnv):
    """Catch robots that run away, together.

    ## Description

    Pursuit and evasion (Benda et al., "On Optimal Cooperation of Knowledge Sources", 1986; Gupta et
    al., "Cooperative Multi-Agent Control Using Deep Reinforcement Learning", 2017) in furnished
    rooms, from camera images. Evaders are scripted, slower than the pursuers and good at running
    away, or agents of their own (`evaders="agents"`). Agents see each other as robots of different
    colors and collide. A PettingZoo `ParallelEnv`; all agents act at once.

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
    | `teammates` | `Box((5 · (num_agents + num_evaders − 1),), float32)` | a row for each other robot, pursuers first: metres ahead and to the left, cosine and sine of its heading relative to one's own, 1 if it is there, all 0 once it is caught |
    | `collision` | `Box(0, 1, (1,), float32)` | 1 if the last step met something |
    | `pose` | `Box((7,), float32)` | camera position xyz in metres and quaternion wxyz, in the world |

    ## Rewards

    The same for all pursuers: −0.01 every step, plus 0.1 per metre by which an evader's walking
    distance to the nearest pursuer shrank (the mean over evaders), plus 2.5 for each that is
    caught. Evaders that are agents get 0.01 every step, and −2.5 when caught.

    ## Starting State

    Random points of the largest connected floor, `start_distance_m` or more apart where there is
    room, and random headings.

    ## Episode End

    An evader is caught, leaves, and is terminated once a pursuer is nearer than `catch_distance_m`
    (geodesic). All are terminated when all evaders are caught; truncated after `max_cycles`.

    ## Info

    `success` (all evaders are caught), `caught` (how many), `distance_to_evader` (geodesic, metres,
    of the nearest pursuer to the nearest evader), `path_length` (metres) and `collisions` (number
    of steps that met something) of each.

    ## Arguments

    Those of every environment in which agents walk (`worldfm_envs.config`). Besides:

    | argument | default | meaning |
    | --- | --- | --- |
    | `num_agents` | 3 | number of pursuers |
    | `num_evaders` | 1 | robots to catch |
    | `evaders` | `"scripted"` | or `"agents"` that policies control: `evader_0`, … |
    | `evader_speed` | 0.75 | of scripted evaders, as a share of the pursuers' speed |
    | `fear_distance_m` | 4 | scripted evaders flee from pursuers nearer than this |
    | `catch_distance_m` | 0.75 | a pursuer nearer than this catches an evader |
    | `max_cycles` | 500 | steps after which an episode is truncated |
    | `start_distance_m` | 1 | least distance between robots at the start |
    | `body_height_m` | 1 | height of the robots that agents see |
    | `slack_reward`, `progress_reward`, `catch_reward` | −0.01, 0.1, 2.5 | per step, per metre, per catch |

    ## Version History

    * v0: first version.
    """  # noqa: E501

    metadata: ClassVar = metadata_of("pursuit_v0")
    Config = PursuitConfig


def parallel_env(**options: Any) -> PursuitEnv:
    """The environment; see `PursuitEnv` for its options."""
    return PursuitEnv(**options)


def env(**options: Any) -> Any:
    """The environment for agents that act one after the other, a PettingZoo `AECEnv`."""
    return turn_by_turn(parallel_env(**options))
