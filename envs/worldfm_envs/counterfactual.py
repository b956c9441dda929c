"""Counterfactual twins: the same episode with an object moved, removed or repainted.

Every environment of one agent takes the reset option ``"edits"``. The episode is drawn as it would
be without them, so start and goal stay what they were; then the world is edited, and what is seen,
met, measured and rewarded follows. Light is part of an anchor's colors, so shadows stay where they
were (except those that the ``"truth"`` renderer casts).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike

from worldfm_gym.appearance import Appearance, material_luminance
from worldfm_gym.camera import check_rigid
from worldfm_gym.errors import ConfigError
from worldfm_gym.navigation import NavMap
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

if TYPE_CHECKING:
    from worldfm_envs.task import Task


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """An object stands somewhere else from the start.

    One that moves by itself (`object_motion`) goes back to its motion with the first step.

    Attributes:
        instance: Id of the object.
        pose: Object-to-world transform [4, 4], rigid.
    """

    instance: int
    pose: ArrayLike


@dataclass(frozen=True, slots=True)
class Remove:
    """An object is not there: not drawn, not in the way, in no observation.

    Attributes:
        instance: Id of the object.
    """

    instance: int


@dataclass(frozen=True, slots=True, eq=False)
class Repaint:
    """An object has another color; the light and dark of its texture and shading stay.

    Attributes:
        instance: Id of the object, or 0 for floor, walls and ceiling.
        rgb: sRGB of its new mean color, 0…255, [3].
    """

    instance: int
    rgb: ArrayLike


Edit = Move | Remove | Repaint
"""What can be different in a twin."""

Outcome = tuple[Any, float, bool, bool, dict[str, Any]]
"""What `gymnasium.Env.step` gives."""


def edit_episode(task: Task, agent: int, edits: Sequence[Edit]) -> None:
    """Edit the scene of an agent whose episode has just been drawn.

    Raises:
        ConfigError: If something else than edits was given, or a world has no such object.
        CameraError: If the pose of a `Move` is not rigid.
        NavigationError: If the edits leave no way from the start to the goal.
    """
    simulator, scene = task.simulator, int(task.simulator.scene[agent])
    apply_edits(simulator, scene, edits)
    if any(not isinstance(edit, Repaint) for edit in edits):
        task.edited(agent, edited_world(simulator.worlds[scene], edits))


def apply_edits(simulator: Simulator, scene: int, edits: Sequence[Edit]) -> None:
    """Move, remove and repaint objects of one scene, in this order; the world stays as it is.

    Raises:
        ConfigError: If something else than edits was given, or the world has no such object;
            nothing changed.
        CameraError: If the pose of a `Move` is not rigid; nothing changed.
    """
    world = simulator.worlds[scene]
    for edit in edits:
        _check(edit, world)
    for edit in edits:
        if isinstance(edit, Move):
            simulator.set_object_pose(scene, edit.instance, edit.pose)
        elif isinstance(edit, Remove):
            simulator.set_object_present(scene, edit.instance, False)
        else:
            _repaint(simulator, scene, edit)


def edited_world(world: World, edits: Sequence[Edit]) -> World:
    """The world as it would be if its objects had been moved and removed before anyone came.

    For what is worked out on foot: distances, viewpoints, coverage. Anchor and references are
    those of the original world.
    """
    objects = {item.instance: item for item in world.objects}
    for edit in edits:
        if isinstance(edit, Move) and edit.instance in objects:
            pose = np.array(edit.pose, np.float64)
            objects[edit.instance] = replace(objects[edit.instance], pose=pose)
        elif isinstance(edit, Remove):
            objects.pop(edit.instance, None)
    there, nav = list(objects.values()), world.nav
    if nav is not None:
        nav = NavMap.from_arrays(nav.to_arrays(), nav.body, there)
    return replace(world, objects=there, nav=nav)


class Twins:
    """Two environments in lockstep: an episode as it is, and the same one edited.

    ```python
    with Twins(lambda: gymnasium.make("WorldFM/PointNav-v0"), [Remove(3)]) as twins:
        (observation, info), (edited_observation, edited_info) = twins.reset(seed=0)
        here, there = twins.step(1)  # each (observation, reward, terminated, truncated, info)
    ```

    Attributes:
        envs: The environment as it is, and the edited one.
    """

    def __init__(
        self,
        make: Callable[[], gym.Env[Any, Any]],
        edits: Sequence[Edit] | Callable[[World], Sequence[Edit]],
    ) -> None:
        """Make both.

        Args:
            make: Makes an environment, twice the same.
            edits: What is different in the second, or a function that says so for the world that
                the episode takes place in.
        """
        self.envs = make(), make()
        self._edits = edits
        self._last: list[Outcome | None] = [None, None]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]:
        """Start the same episode in both; observation and info of each."""
        self._last = [None, None]
        if seed is None:  # both go on with the numbers of the first
            first_env, second_env = (env.unwrapped for env in self.envs)
            second_env.np_random = copy.deepcopy(first_env.np_random)
        first = self.envs[0].reset(seed=seed, options=options)
        world: World = self.envs[0].unwrapped.world  # type: ignore[attr-defined]
        edits = self._edits(world) if callable(self._edits) else self._edits
        second = self.envs[1].reset(seed=seed, options={**(options or {}), "edits": edits})
        return first, second

    def step(self, action: Any) -> tuple[Outcome, Outcome]:
        """Carry out an action in both; one whose episode has ended gives its last outcome again."""
        for k, env in enumerate(self.envs):
            last = self._last[k]
            if last is None or not (last[2] or last[3]):
                observation, reward, terminated, truncated, info = env.step(action)
                self._last[k] = observation, float(reward), terminated, truncated, info
        here, there = self._last
        assert here is not None
        assert there is not None
        return here, there

    def close(self) -> None:
        """Close both."""
        for env in self.envs:
            env.close()

    def __enter__(self) -> Twins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check(edit: Edit, world: World) -> None:
    """Refuse what can't be carried out, before anything has changed."""
    if not isinstance(edit, Edit):
        raise ConfigError(
            "edits must be a sequence of worldfm_envs.counterfactual.Move, Remove or Repaint, "
            f"got {edit!r}"
        )
    known = [item.instance for item in world.objects]
    if isinstance(edit, Repaint):
        color = np.asarray(edit.rgb, np.float64)
        if color.shape != (3,) or not ((color >= 0) & (color <= 255)).all():
            raise ConfigError(f"Repaint takes an sRGB color (r, g, b) in 0…255, got {edit.rgb!r}")
        known.insert(0, 0)
    if isinstance(edit, Move):
        check_rigid(edit.pose)
    if edit.instance not in known:
        raise ConfigError(
            f"this world has no object with instance id {edit.instance} to edit; it has {known}"
        )


def _repaint(simulator: Simulator, scene: int, edit: Repaint) -> None:
    """Paint over what the scene looks like."""
    luminance = float(material_luminance(simulator.worlds[scene])[edit.instance])
    look = Appearance.repaint(edit.instance, edit.rgb, luminance=luminance)
    under = simulator.appearance(scene)
    simulator.set_appearance(scene, look if under is None else look @ under)
