"""Inspection, batched: fly to where given objects are seen whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.inspection import SIDES, Inspection
from worldfm_envs.metrics import TravelMetrics
from worldfm_envs.sensors import Sensor
from worldfm_envs.start_pose import place_free_camera
from worldfm_envs.task import Outcome, Task
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.simulator import Simulator

if TYPE_CHECKING:
    from worldfm_envs.inspect_objects import InspectConfig


class InspectTask(Task):
    """See `worldfm_envs.inspect_objects.InspectEnv`.

    Attributes:
        config: What counts and what it is worth.
        inspection: Judges what cameras see.
        metrics: How far the cameras flew.
        sides_seen: Sides from which each target was seen, bool [N, K, 4].
    """

    OPTIONS = ("c2w", "goal_objects")

    def __init__(
        self,
        simulator: Simulator,
        *,
        actions: ActionModel,
        sensors: Mapping[str, Sensor],
        config: InspectConfig,
    ) -> None:
        super().__init__(simulator, actions=actions, sensors=sensors)
        shape = (simulator.num_agents, config.num_targets)
        self.config = config
        self.inspection = Inspection(simulator, distance_m=config.inspect_distance_m)
        self.metrics = TravelMetrics(simulator.num_agents, axes=3)
        self.sides_seen = np.zeros((*shape, SIDES), np.bool_)
        self._place = np.zeros(shape, np.int64)
        self._instance = np.zeros(shape, np.int64)

    @property
    def inspected(self) -> NDArray[np.bool_]:
        """Which targets were seen from as many sides as wanted, bool [N, K]; False in padding."""
        enough = self.sides_seen.sum(axis=-1) >= self.config.inspect_sides
        return np.asarray(enough & (self._instance > 0))

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`; ids of the targets int64 [N, K], 0 in padding, and which are done."""
        return {"goal_objects": self._instance, "goal_inspected": self.inspected}

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`; options are those that `OPTIONS` names."""
        simulator = self.simulator
        objects = simulator.worlds[scene].objects
        places = self._given_targets(scene, options)
        if places is None:
            places = self._draw_targets(scene, rng)
        self._place[agent] = self._instance[agent] = 0
        self._place[agent, : len(places)] = places
        self._instance[agent, : len(places)] = [objects[k].instance for k in places]
        self.sides_seen[agent] = False
        place_free_camera(simulator, agent, rng, scene=scene, options=options)
        self.metrics.restart(agent, simulator.c2w[agent, :3, 3])

    def place_of(self, agent: int, target: int) -> int:
        """Place of a target in the list of objects of the agent's world."""
        return int(self._place[agent, target])

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`."""
        simulator, config = self.simulator, self.config
        self.metrics.travel(simulator.c2w[:, :3, 3], simulator.collided)
        before = self.inspected
        sides = self.inspection.sides_seen(self._place, (self._instance > 0) & ~before)
        for agent, i in np.argwhere(sides >= 0):
            self.sides_seen[agent, i, sides[agent, i]] = True
        info = self.info()
        new = (self.inspected & ~before).sum(axis=1)
        reward = config.slack_reward + config.inspect_reward * new
        reward += config.success_reward * info["success"]
        return Outcome(reward, info["success"], info)

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        inspected, wanted = self.inspected.sum(axis=1), (self._instance > 0).sum(axis=1)
        return {
            "success": (inspected == wanted) & (wanted > 0),
            "inspected": inspected,
            "targets": wanted,
            **self.metrics.as_info(),
        }

    def _draw_targets(self, scene: int, rng: np.random.Generator) -> list[int]:
        """Places of random objects that can be seen from as many sides as wanted."""
        found: list[int] = []
        for k in rng.permutation(len(self.simulator.worlds[scene].objects)).tolist():
            able = np.isfinite(self.inspection.poses_of(scene, k)[:, 0, 0]).sum()
            if able >= self.config.inspect_sides:
                found.append(k)
            if len(found) == self.config.num_targets:
                break
        if not found:
            raise NavigationError(
                "no object of this world can be seen whole from within "
                f"{self.config.inspect_distance_m} m: raise inspect_distance_m"
            )
        return found

    def _given_targets(self, scene: int, options: Mapping[str, Any]) -> list[int] | None:
        """Places of the objects that options fix by their instance ids."""
        value = options.get("goal_objects")
        if value is None:
            return None
        objects = self.simulator.worlds[scene].objects
        place = {item.instance: k for k, item in enumerate(objects)}
        ids = [int(i) for i in np.asarray(value).ravel() if i != 0]
        if not 0 < len(set(ids)) == len(ids) <= self.config.num_targets or set(ids) - set(place):
            raise ConfigError(
                f"reset option goal_objects must be 1…{self.config.num_targets} different "
                f"instance ids of this world, {sorted(place)}, got {value!r}"
            )
        return [place[i] for i in ids]
