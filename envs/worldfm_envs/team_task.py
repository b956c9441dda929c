"""TeamTask: what several agents with bodies in one scene do together; one episode for all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.metrics import TravelMetrics
from worldfm_envs.sensors import Sensor
from worldfm_envs.task import Task, to_numpy
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import DistanceField, NavMap
from worldfm_gym.navigation.regions import largest_region
from worldfm_gym.simulator import Simulator

if TYPE_CHECKING:
    from worldfm_envs.multi_agent import MultiAgentConfig

_DRAWS = 64  # of starts, before agents begin nearer to each other than they should


class TeamTask(Task):
    """N agents that share a scene, each with a body.

    Attributes:
        config: What counts and what it is worth.
        metrics: How far the agents went.
        gone: Agents whose part is over, bool [N].
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        actions: ActionModel,
        sensors: Mapping[str, Sensor],
        config: MultiAgentConfig,
    ) -> None:
        super().__init__(simulator, actions=actions, sensors=sensors)
        self.config = config
        self.metrics = TravelMetrics(simulator.num_agents)
        self.gone = np.zeros(simulator.num_agents, np.bool_)

    @property
    def scene(self) -> int:
        """The scene that all agents are in."""
        return int(self.simulator.scene[0])

    @property
    def nav(self) -> NavMap:
        """The map of that scene."""
        return self.simulator.worlds[self.scene].require_nav()

    def start_all(self, rng: np.random.Generator, *, scene: int, episode_seed: int) -> None:
        """Start an episode: every agent somewhere else, then what the task draws."""
        self.gone[:] = False
        for agent in range(self.simulator.num_agents):
            seed = (episode_seed + agent) % 2**63
            self.start(agent, rng, scene=scene, episode_seed=seed, options={})
        self.begin_team(rng)

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`: a random point of the floor, not too near to agents before this one."""
        simulator, world = self.simulator, self.simulator.worlds[scene]
        xy = world.require_nav().random_point(rng, count=_DRAWS)
        before = simulator.position_xy[:agent]
        apart = np.linalg.norm(xy[:, None] - before[None], axis=-1).min(axis=1, initial=np.inf)
        far = apart >= self.config.start_distance_m
        chosen = xy[np.argmax(far) if far.any() else np.argmax(apart)]
        simulator.place_ground([agent], chosen, rng.uniform(-np.pi, np.pi), scene=[scene])
        first_body = len(world.objects) - simulator.num_agents
        simulator.attach_body(agent, world.objects[first_body + agent].instance)
        self.metrics.restart(agent, chosen)

    @abstractmethod
    def begin_team(self, rng: np.random.Generator) -> None:
        """What else begins once all agents are in place."""

    def script(self, actions: NDArray[Any]) -> None:
        """Write the actions of agents that no policy controls into `actions` [N, …]."""

    def leave(self, agent: int) -> None:
        """An agent's part is over: it is neither seen nor met from now on."""
        self.gone[agent] = True
        self.simulator.attach_body(agent, None)

    def observe_for(self, agents: Sequence[int]) -> dict[str, Any]:
        """What some agents see, in one renderer call; `frame` has the batch of these."""
        chosen = np.asarray(agents, np.int64)
        self.frame = to_numpy(self.simulator.render(chosen))
        return self.read(self.frame, chosen)

    def team_info(self, **numbers: Any) -> dict[str, NDArray[Any]]:
        """The team's numbers, the same for every agent, and each agent's own way."""
        count = self.simulator.num_agents
        shared = {name: np.full(count, value) for name, value in numbers.items()}
        return {**shared, **self.metrics.as_info()}


def field_from(nav: NavMap, xy: NDArray[np.float64]) -> DistanceField:
    """Walking distances from a point [2] where an agent is.

    Contact and pushing lead to places where the map has no room for a body; then those from the
    nearest cell count that is connected to most of the floor.
    """
    if nav.is_navigable(xy):
        try:
            return nav.geodesic_field(xy)
        except NavigationError:  # walled in: in a gap that no cell's center lies in
            pass
    cells = largest_region(nav.navigable)
    iy, ix = np.divmod(cells, nav.shape[1])
    centers = nav.origin_xy + (np.stack([ix, iy], axis=-1) + 0.5) * nav.cell_m
    goal = np.zeros(nav.shape, np.bool_)
    goal.flat[cells[np.argmin(((centers - xy) ** 2).sum(axis=1))]] = True
    return nav.geodesic_field_to(goal)


def walking_distances(
    nav: NavMap, sources: NDArray[np.float64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Metres to walk from points [P, 2] to points [Q, 2], float64 [P, Q]."""
    distances = np.empty((len(sources), len(targets)))
    for row, xy in enumerate(sources):
        distances[row] = field_from(nav, xy).distance(targets)
    return distances
