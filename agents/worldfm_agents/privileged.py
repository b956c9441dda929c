"""Privileged agents: they know the map and the goal, and show how well a task can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions import FORWARD, LEFT, RIGHT, STOP
from worldfm_envs.base import WorldEnv
from worldfm_envs.config import GroundConfig
from worldfm_envs.explore import ExploreEnv
from worldfm_envs.goal_nav_task import GoalNavTask
from worldfm_envs.image_nav_task import ImageNavTask
from worldfm_envs.inspect_objects import InspectEnv
from worldfm_envs.object_nav_task import ObjectNavTask
from worldfm_gym.camera import heading_c2w, rotation_log
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.navigation import DistanceField, move_discs

_STOP_SHARE = 0.95  # of the success distance, so that rounding does not decide
_VIEWS = 8
_PLACES = 24
_LEAST_GAIN_M2 = 0.05
_WORTH_A_TURN_M2 = 0.5
_REACHED_M = 0.02


class _Walker:
    """Takes discrete steps down distance fields, in one environment."""

    def __init__(self, env: gym.Env[Any, Any], *, needs: str) -> None:
        inner = env.unwrapped
        if (
            not isinstance(inner, WorldEnv)
            or not isinstance(inner.config, GroundConfig)
            or not isinstance(inner.action_space, gym.spaces.Discrete)
        ):
            raise ConfigError(f"{type(self).__name__} needs {needs} with discrete actions")
        self._env: WorldEnv[Any] = inner
        self._forward_step_m = inner.config.forward_step_m * inner.config.action_repeat
        turn_step_deg = inner.config.turn_step_deg * inner.config.action_repeat
        half = int(180 / turn_step_deg)
        turns = np.arange(-half, half + 1)
        self._turns = turns[np.argsort(np.abs(turns), kind="stable")]  # small turns win ties
        self._turn_step = np.deg2rad(turn_step_deg)
        self._plan: list[int] = []

    def _step_down(self, field: DistanceField) -> list[int]:
        """Turns, and the step forward that ends nearest to the goal of a field.

        Tries a step in every heading that turns can reach, contact with obstacles included, like
        Habitat's greedy geodesic follower.
        """
        simulator = self._env.simulator
        yaw = simulator.yaw[0] + self._turns * self._turn_step
        step = self._forward_step_m * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        reached, _ = move_discs(
            self._env.world.require_nav(),
            np.repeat(simulator.position_xy, len(step), axis=0),
            step,
            slide=simulator.config.sliding,
            boxes=simulator.objects.boxes[int(simulator.scene[0])],
        )
        # Rounded, so that equally good headings tie whatever the last digits say.
        return self._turn(int(self._turns[np.argmin(np.round(field.distance(reached), 6))])) + [
            FORWARD
        ]

    def _turn_to(self, yaw: float) -> list[int]:
        """Turns that bring the heading next to `yaw`."""
        turn = (yaw - self._env.simulator.yaw[0] + np.pi) % (2 * np.pi) - np.pi
        return self._turn(round(turn / self._turn_step))

    def _turn(self, count: int) -> list[int]:
        return [LEFT if count > 0 else RIGHT] * abs(count)


class ShortestPathAgent(_Walker):
    """Walks the shortest path to the goal of a navigation task and stops there.

    It does not know where robots will go, only where they are.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Follow the episodes of `env`.

        Args:
            env: An environment with a goal to walk to and discrete actions, wrapped or not.

        Raises:
            ConfigError: If `env` is something else.
        """
        super().__init__(env, needs="an environment with a goal to walk to (WorldFM/PointNav …)")
        if not hasattr(self._env.config, "success_distance_m"):
            raise ConfigError(
                "ShortestPathAgent needs an environment with a goal to walk to "
                f"(WorldFM/PointNav …), got {type(self._env).__name__}"
            )
        self._rng = np.random.default_rng(0)

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> int:
        """See `Agent.act`."""
        task = self._env.task
        if self._env.simulator.step_count[0] == 0:
            self._plan = []
        if not self._plan:
            if self._there(task, info):
                self._plan = self._last_turns(task)
                return self._plan.pop(0) if self._plan else STOP
            episode = task.episodes[0]
            assert episode is not None
            if info["distance_to_goal"] < _REACHED_M:
                # In a cell that sees the object, but not at its middle: some step nearby will do.
                self._plan = [*self._turn(int(self._rng.choice(self._turns))), FORWARD]
            else:
                self._plan = self._step_down(episode.field)
        return self._plan.pop(0)

    def _there(self, task: GoalNavTask, info: Mapping[str, Any]) -> bool:
        """Whether this is the place to stop."""
        if isinstance(task, ObjectNavTask):
            return bool(task.arrived(np.zeros(1), np.ones(1, np.bool_))[0])
        return bool(info["distance_to_goal"] < _STOP_SHARE * task.config.success_distance_m)

    def _last_turns(self, task: GoalNavTask) -> list[int]:
        """Turns to the goal's heading, where that matters."""
        limit_deg = getattr(task.config, "success_angle_deg", None)
        if not isinstance(task, ImageNavTask) or limit_deg is None:
            return []
        return self._turn_to(float(task.goals["goal_yaw"][0]))


class ExploringAgent(_Walker):
    """Goes where most floor comes into view for the way: the next best of some random views.

    Knows the map and what has been seen of it; after González-Baños & Latombe, "Navigation
    Strategies for Exploring Indoor Environments" (2002).
    """

    def __init__(self, env: gym.Env[Any, Any], *, seed: int | None = 0) -> None:
        """Explore the episodes of `env`.

        Args:
            env: ``WorldFM/Explore`` with discrete actions, wrapped or not.
            seed: Of the views that are considered.

        Raises:
            ConfigError: If `env` is something else.
        """
        super().__init__(env, needs="WorldFM/Explore")
        if not isinstance(self._env, ExploreEnv):
            raise ConfigError(f"ExploringAgent needs WorldFM/Explore, got {type(self._env)}")
        self._rng = np.random.default_rng(seed)
        self._field: DistanceField | None = None
        self._yaw = 0.0

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> int:
        """See `Agent.act`."""
        simulator = self._env.simulator
        if simulator.step_count[0] == 0:
            self._plan, self._field = [], None
        if self._plan:
            return self._plan.pop(0)
        if self._field is not None:
            if float(self._field.distance(simulator.position_xy[0])) > self._forward_step_m:
                self._plan = self._step_down(self._field)
                return self._plan.pop(0)
            self._field, self._plan = None, self._turn_to(self._yaw)
            if self._plan:
                return self._plan.pop(0)
        self._plan = self._choose_view()
        return self._plan.pop(0) if self._plan else STOP

    def _choose_view(self) -> list[int]:
        """Turns towards what is worth it from here; else the first steps to a better place."""
        simulator, coverage = self._env.simulator, self._env.task.coverage
        eye = simulator.c2w[0, :3, 3]
        yaws = simulator.yaw[0] + 2 * np.pi * np.arange(_VIEWS) / _VIEWS
        here = coverage.preview(0, heading_c2w(eye, yaws))
        if here.max() >= _WORTH_A_TURN_M2:
            return self._turn_to(float(yaws[here.argmax()])) or [FORWARD]
        nav = self._env.world.require_nav()
        field = nav.geodesic_field(eye[:2])
        places = nav.random_point(self._rng, count=_PLACES)
        eyes = np.column_stack([places, np.full(_PLACES, eye[2])])
        poses = heading_c2w(np.repeat(eyes, _VIEWS, axis=0), np.tile(yaws, _PLACES))
        gain = coverage.preview(0, poses)
        worth = gain / (2.0 + np.repeat(field.distance(places), _VIEWS))
        best = int(worth.argmax())
        if gain[best] < _LEAST_GAIN_M2:
            return []
        self._field = nav.geodesic_field(places[best // _VIEWS])
        self._yaw = float(yaws[best % _VIEWS])
        return self._step_down(self._field)


class InspectingAgent:
    """Flies to a view of each object in turn, the nearest first, along the floor's shortest paths.

    Knows the map and where objects are.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Inspect in the episodes of `env`.

        Args:
            env: ``WorldFM/Inspect``, wrapped or not.

        Raises:
            ConfigError: If `env` is something else.
        """
        inner = env.unwrapped
        if not isinstance(inner, InspectEnv):
            raise ConfigError(f"InspectingAgent needs WorldFM/Inspect, got {type(inner)}")
        self._env = inner
        config = inner.config
        self._scale = np.repeat(
            [config.max_speed_mps, np.deg2rad(config.max_turn_dps)],  # type: ignore[attr-defined]
            3,
        )
        self._step_s = config.step_s
        self._view: NDArray[np.float64] | None = None
        self._way: list[NDArray[np.float64]] = []
        self._wanted = -1

    def act(
        self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]
    ) -> NDArray[np.float32]:
        """See `Agent.act`."""
        simulator = self._env.simulator
        pose = simulator.c2w[0]
        if simulator.step_count[0] == 0 or self._view is None or self._served(self._view):
            self._choose_view()
        if self._view is None:
            return np.zeros(6, np.float32)
        while len(self._way) > 1 and np.linalg.norm(self._way[0] - pose[:3, 3]) < _REACHED_M:
            self._way.pop(0)
        aim = self._way[0] if self._way else self._view[:3, 3]
        turn = rotation_log(pose[:3, :3].T @ self._view[:3, :3])
        move = pose[:3, :3].T @ (aim - pose[:3, 3])
        twist = np.concatenate([move, turn]) / self._step_s / self._scale
        for part in (slice(0, 3), slice(3, 6)):  # slower, but never another way
            twist[part] /= max(np.abs(twist[part]).max(), 1.0)
        return np.asarray(twist, np.float32)

    def _served(self, view: NDArray[np.float64]) -> bool:
        """Whether the view that was flown to is there, or no longer needed."""
        done = bool(self._env.task.goals["goal_inspected"][0, self._wanted])
        return done or np.allclose(self._env.simulator.c2w[0], view, atol=1e-3)

    def _choose_view(self) -> None:
        """The nearest view of an object and side that are still missing, and the way there."""
        task, simulator = self._env.task, self._env.simulator
        nav, eye = self._env.world.require_nav(), simulator.c2w[0, :3, 3]
        self._view, nearest = None, np.inf
        for i in np.flatnonzero((task.goals["goal_objects"][0] > 0) & ~task.inspected[0]):
            poses = task.inspection.poses_of(int(simulator.scene[0]), task.place_of(0, int(i)))
            for side in np.flatnonzero(np.isfinite(poses[:, 0, 0]) & ~task.sides_seen[0, i]):
                away = float(np.linalg.norm(poses[side, :3, 3] - eye))
                if away < nearest:
                    nearest, self._view, self._wanted = away, poses[side], int(i)
        if self._view is None:
            return
        height = self._view[2, 3]
        try:
            path = nav.shortest_path(eye[:2], self._view[:2, 3])
        except NavigationError:  # flown off the floor: straight there
            path = self._view[None, :2, 3]
        self._way = [np.array([*xy, height]) for xy in path]
