"""Category-goal navigation, batched: find any object of a kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.categories import CATEGORIES, category_index, category_indices
from worldfm_envs.episodes import Goal, NavigationEpisode, sample_episode
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.reset_options import given
from worldfm_envs.sight import distance_to_object, sees_object, viewpoints
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.navigation import NavMap
from worldfm_gym.worlds.world import World

if TYPE_CHECKING:
    from worldfm_envs.object_nav import ObjectNavConfig


class ObjectNavTask(GoalNavTask):
    """See `worldfm_envs.object_nav.ObjectNavEnv`."""

    OPTIONS = ("start_xy", "start_yaw", "goal_category")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._goal_category = np.zeros(self.simulator.num_agents, np.int64)
        self._known: WeakKeyDictionary[NavMap, dict[int, Goal | None]] = WeakKeyDictionary()

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """See `Task.goals`."""
        return {"goal_category": self._goal_category}

    def instances(self, scene: int, category: int) -> NDArray[np.int64]:
        """Places of the objects of a category in a scene's list of objects, ascending."""
        return _instances(self.simulator.worlds[scene], category)

    def goal_of(self, scene: int, category: int) -> Goal | None:
        """The places that see an object of a category from within reach; None if there are none.

        Computed once a world, with objects where the world holds them.
        """
        world = self.simulator.worlds[scene]
        known = self._known.setdefault(world.require_nav(), {})
        if category not in known:
            known[category] = self._find_goal(world, category)
        return known[category]

    def goal_in(self, agent: int, world: World) -> Goal:
        """See `GoalNavTask.goal_in`."""
        category = int(self._goal_category[agent])
        goal = self._find_goal(world, category)
        if goal is None:
            raise NavigationError(f"the edits leave no {CATEGORIES[category]!r} in reach")
        return goal

    def _find_goal(self, world: World, category: int) -> Goal | None:
        """See `goal_of`."""
        nav = world.require_nav()
        cells = np.zeros(nav.shape, np.bool_)
        for k in _instances(world, category):
            cells |= viewpoints(
                world,
                int(k),
                reach_m=self.config.success_distance_m,
                eye_height_m=self.simulator.config.camera_height_m,
            )
        iy, ix = np.nonzero(cells)
        places = nav.origin_xy + (np.stack([ix, iy], axis=-1) + 0.5) * nav.cell_m
        return Goal(places, nav.geodesic_field_to(cells)) if len(places) else None

    def draw_episode(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> NavigationEpisode:
        """A random category that can be reached, unless options fix it, and a random start."""
        world = self.simulator.worlds[scene]
        wanted = _given_category(options)
        names = {item.category for item in world.objects}
        allowed = cast("ObjectNavConfig", self.config).goal_categories
        sought = names if allowed is None else names & set(allowed)
        choice = np.unique(category_indices(sought)) if wanted is None else np.array([wanted])
        left = iter(rng.permutation(choice).tolist())
        drawn = -1

        def draw_goal() -> Goal | None:
            nonlocal drawn
            for drawn in left:
                goal = self.goal_of(scene, drawn)
                if goal is not None:
                    return goal
            return None

        start_xy = given(options, "start_xy", (2,))
        goal = None
        if wanted is not None:
            goal = draw_goal()
            if goal is None:
                raise NavigationError(
                    f"no {CATEGORIES[wanted]!r} can be seen from within "
                    f"{self.config.success_distance_m} m in this world, which has {sorted(names)}"
                )
        episode = sample_episode(
            world.require_nav(),
            rng,
            difficulty=self.config.wanted_difficulty,
            start_xy=start_xy,
            start_yaw=given(options, "start_yaw", ()),
            goal=goal,
            draw_goal=draw_goal,
        )
        self._goal_category[agent] = drawn
        return episode

    def arrived(self, distance_m: NDArray[np.float64], stopped: NDArray[np.bool_]) -> Any:
        """See `GoalNavTask.arrived`: an object of the category is in reach and in sight."""
        simulator, reached = self.simulator, np.zeros(len(stopped), np.bool_)
        for agent in np.flatnonzero(stopped):
            scene, eye = int(simulator.scene[agent]), simulator.c2w[agent, :3, 3]
            for k in self.instances(scene, int(self._goal_category[agent])):
                near = distance_to_object(simulator, scene, int(k), eye[:2])
                if near <= self.config.success_distance_m and sees_object(
                    simulator, scene, int(k), eye
                ):
                    reached[agent] = True
                    break
        return reached


def _instances(world: World, category: int) -> NDArray[np.int64]:
    """Places of the objects of a category in a world's list of objects, ascending."""
    return np.flatnonzero(category_indices(item.category for item in world.objects) == category)


def _given_category(options: Mapping[str, Any]) -> int | None:
    """The category that options fix, by index or by name."""
    value = options.get("goal_category")
    if value is None:
        return None
    if isinstance(value, str) and value in CATEGORIES:
        return category_index(value)
    if isinstance(value, int | np.integer) and 0 < value < len(CATEGORIES):
        return int(value)
    raise ConfigError(
        "reset option goal_category must be a name of worldfm_envs.categories.CATEGORIES or its "
        f"index, 1…{len(CATEGORIES) - 1}, got {value!r}"
    )
