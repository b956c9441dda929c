"""Agent groups: which agents of a simulator one kernel call moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.navigation import Crowd
from worldfm_gym.scene_objects import SceneObjects
from worldfm_gym.worlds.world import World


@dataclass(frozen=True, slots=True)
class AgentGroup:
    """Agents of one navigation map.

    Attributes:
        scene: One of their scenes.
        agents: The agents, scene by scene; a slice where they are neighbors, which needs no copy.
        crowd: What is in their way.
        pushing: Scenes in which they can push objects, None if there is none.
    """

    scene: int
    agents: NDArray[np.int64] | slice
    crowd: Crowd
    pushing: NDArray[np.int64] | None


def group_agents(
    worlds: Sequence[World],
    scene: NDArray[np.int64],
    bodies: NDArray[np.int64],
    objects: SceneObjects,
) -> list[AgentGroup]:
    """Agents by navigation map; without one, by scene.

    Args:
        worlds: One per scene.
        scene: Scene of each agent, int64 [N].
        bodies: Object that each agent carries along, −1 for none, int64 [N].
        objects: The objects of the scenes.
    """
    maps: dict[int, int] = {}
    map_of_scene = np.zeros(len(worlds), np.int64)
    for at in np.unique(scene):
        nav = worlds[at].nav
        key = -1 - int(at) if nav is None else id(nav)
        map_of_scene[at] = maps.setdefault(key, len(maps))
    pushing: NDArray[np.bool_] = np.any(objects.pushable, axis=1)
    row = objects.box_row[scene]
    groups = []
    for number in range(len(maps)):
        agents = np.flatnonzero(map_of_scene[scene] == number)
        agents = agents[np.argsort(row[agents], kind="stable")]
        pushed = np.unique(scene[agents][pushing[scene[agents]]])
        crowd = Crowd(
            boxes=objects.boxes,
            row=row[agents],
            own=bodies[agents],
            moving=objects.moving,
            pushable=objects.pushable,
        )
        first = int(agents[0])
        together = bool(np.all(np.diff(agents) == 1))
        groups.append(
            AgentGroup(
                scene=int(scene[first]),
                agents=slice(first, first + len(agents)) if together else agents,
                crowd=crowd,
                pushing=pushed if len(pushed) else None,
            )
        )
    return groups
