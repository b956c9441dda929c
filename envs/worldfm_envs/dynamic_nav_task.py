"""Point-goal navigation among robots that move, batched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.episodes import NavigationEpisode
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.task import Outcome
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import NavMap
from worldfm_gym.navigation.boxes import rectangle_distance
from worldfm_gym.object_motion import Patrol

if TYPE_CHECKING:
    from worldfm_envs.dynamic_nav import DynamicNavConfig

_START_GAP_M = 1.0  # robots begin no nearer to the agent than this, where there is room
_ROUTES = 64
_ROUTES_TRIED = 16
_TOUCH_M = 0.01


class DynamicNavTask(GoalNavTask):
    """See `worldfm_envs.dynamic_nav.DynamicNavEnv`.

    Attributes:
        mover_collisions: Number of steps in which each agent and a robot met, int64 [N].
    """

    OPTIONS = (*GoalNavTask.OPTIONS, "mover_seed")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        count = self.simulator.num_agents
        self.mover_collisions = np.zeros(count, np.int64)
        self._mover_seed = np.zeros(count, np.int64)
        self._first_mover = np.zeros(count, np.int64)
        self._reach_m = np.zeros(count)
        self._patrols: WeakKeyDictionary[NavMap, dict[int, Patrol]] = WeakKeyDictionary()

    @property
    def rules(self) -> DynamicNavConfig:
        """What counts and what it is worth."""
        return cast("DynamicNavConfig", self.config)

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`."""
        return {"goal_xy": self._goal_xy, "mover_seed": self._mover_seed}

    def draw_episode(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> NavigationEpisode:
        """As for points; then the ways of the robots."""
        episode = super().draw_episode(agent, rng, scene=scene, options=options)
        drawn = int(rng.integers(2**31))
        seed = options.get("mover_seed")
        seed = drawn if seed is None else seed
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise ConfigError(f"reset option mover_seed must be 0…2⁶³ − 1, got {seed!r}")
        self._mover_seed[agent] = seed
        self.mover_collisions[agent] = 0
        self._send_movers(agent, scene, episode.start_xy)
        return episode

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        simulator, rules = self.simulator, self.rules
        met = np.zeros(len(stopped), np.bool_)
        if rules.num_movers:
            _touch(
                simulator.position_xy,
                simulator.scene,
                simulator.objects.boxes,
                self._first_mover,
                rules.num_movers,
                self._reach_m,
                met,
            )
            met &= simulator.collided
        self.mover_collisions += met
        outcome = super().score(stopped)
        reward = outcome.reward + rules.collision_reward * met
        ended = outcome.terminated | (met & rules.collision_ends)
        return Outcome(reward, ended, outcome.info)

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return {**super().info(), "mover_collisions": self.mover_collisions.copy()}

    def _send_movers(self, agent: int, scene: int, start_xy: NDArray[np.float64]) -> None:
        """Put the robots on their ways between random points, away from where the agent starts."""
        simulator, rules = self.simulator, self.rules
        world = simulator.worlds[scene]
        nav = world.require_nav()
        rng = np.random.default_rng(int(self._mover_seed[agent]))
        robots = world.objects[len(world.objects) - rules.num_movers :]
        self._first_mover[agent] = len(world.objects) - rules.num_movers
        self._reach_m[agent] = nav.body.radius_m + _TOUCH_M
        motion = dict(cast("Mapping[int, Any]", rules.object_motion or {}))
        for robot in robots:
            patrol = self._patrol(nav, robot, int(rng.integers(_ROUTES)))
            for _ in range(_ROUTES_TRIED):
                if np.hypot(*(patrol.knots[0, :2] - start_xy)) >= _START_GAP_M:
                    break
                patrol = self._patrol(nav, robot, int(rng.integers(_ROUTES)))
            motion[robot.instance] = patrol
            simulator.set_object_present(scene, robot.instance, True)
        simulator.set_object_motion(scene, motion)

    def _patrol(self, nav: NavMap, robot: WorldObject, k: int) -> Patrol:
        """The k-th way between two random points of a map, there and back; worked out once."""
        known = self._patrols.setdefault(nav, {})
        if k not in known:
            rng = np.random.default_rng(k)
            way = nav.shortest_path(nav.random_point(rng), nav.random_point(rng))
            points = np.column_stack([way, np.full(len(way), 0.5 * robot.size[2])])
            known[k] = Patrol(points, speed_mps=self.rules.mover_speed_mps)
        return known[k]


@njit(cache=True, nogil=True)
def _touch(
    position_xy: Any, scene: Any, boxes: Any, first: Any, count: int, reach_m: Any, met: Any
) -> None:
    """Mark agents within reach of one of `count` boxes from their first one on."""
    for i in range(len(position_xy)):
        own = boxes[scene[i]]
        for k in range(first[i], first[i] + count):
            out = rectangle_distance(own, k, position_xy[i, 0], position_xy[i, 1])
            met[i] = met[i] or out <= reach_m[i]
