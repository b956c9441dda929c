"""Task: N episodes stepped together in one simulator; what single and vector environments share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.sensors.base import Sensor, SensorInput
from worldfm_gym.camera import Camera
from worldfm_gym.frame import Frame
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step brought each agent, besides its observation.

    Attributes:
        reward: float64 [N].
        terminated: bool [N].
        info: Arrays of length N by name.
    """

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    info: dict[str, NDArray[Any]]


class Task(ABC):
    """Rewards, goals and observations of the N agents of a simulator.

    A task is given its simulator, so it knows nothing of where worlds and renderers come from. It
    reads geometry only, never pixels, except to say which objects an image shows.

    Attributes:
        simulator: Where the agents are.
        actions: What an action means.
        sensors: What an observation is put together from.
        frame: What all agents saw at the last `observe()`, or None before the first.
        episode_seed: A number drawn for each episode, uint64 [N].
        start_c2w: Camera poses at the start of the episodes, float64 [N, 4, 4].
        last_c2w: Camera poses before the last step, float64 [N, 4, 4].
    """

    def __init__(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> None:
        self.simulator = simulator
        self.actions = actions
        self.sensors = dict(sensors)
        self.frame: Frame | None = None
        self.episode_seed = np.zeros(simulator.num_agents, np.uint64)
        self.start_c2w = simulator.c2w.copy()
        self.last_c2w = simulator.c2w.copy()

    @abstractmethod
    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """Start an episode of one agent in a scene; `options` fix what is not to be random."""

    @abstractmethod
    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """Judge the step that the simulator has just made."""

    @abstractmethod
    def info(self) -> dict[str, NDArray[Any]]:
        """The numbers that go with the observations of now, fresh arrays [N] by name."""

    @property
    def goals(self) -> Mapping[str, NDArray[Any]]:
        """What the agents look for, arrays [N, …] by the names that `WorldConfig.GOALS` lists.

        ``goal_xy`` [N, 2] is a point of the floor in world metres, ``goal_yaw`` [N] a heading,
        ``goal_rgb`` uint8 [N, H, W, 3] a view to find, ``goal_category`` int64 [N] an index of a
        category, ``goal_objects`` int64 [N, K] ids of objects (0 for none) and ``goal_inspected``
        bool [N, K] which of them are done. Together with the start, those that are reset options
        give the episode again; so does ``mover_seed`` [N].
        """
        return {}

    def start(
        self,
        agent: int,
        rng: np.random.Generator,
        *,
        scene: int,
        episode_seed: int,
        options: Mapping[str, Any],
    ) -> None:
        """Start an episode and remember how it started; see `begin`."""
        self.episode_seed[agent] = episode_seed
        self.begin(agent, rng, scene=scene, options=options)
        self.start_c2w[agent] = self.last_c2w[agent] = self.simulator.c2w[agent]

    def edited(self, agent: int, world: World) -> None:  # noqa: B027 (often nothing to do)
        """The objects of an agent's scene were edited after its episode was drawn.

        Tasks whose goals or rewards follow from where objects are work them out again.

        Args:
            agent: Whose episode.
            world: The world with its objects as they are now; its `nav` knows them, too.
        """

    def advance(self, actions: ArrayLike) -> Outcome:
        """Carry out one action per agent [N, …].

        Raises:
            ActionError: If an action is misshapen, not finite or outside its space; nothing moved.
        """
        checked = self.actions.check(actions)
        self.last_c2w[...] = self.simulator.c2w
        stopped = self.actions.apply(self.simulator, checked, episode_seed=self.episode_seed)
        return self.score(stopped)

    def observe(self, *, tensors: bool = False) -> dict[str, Any]:
        """Draw one frame per agent and read every sensor: entries [N, …] by name.

        Args:
            tensors: Leave images where the renderer draws them; else everything comes in numpy.
        """
        frame = self.frame = self._drawn(None, tensors)
        return self.read(frame, np.arange(self.simulator.num_agents))

    def observe_some(self, agents: NDArray[np.int64], *, tensors: bool = False) -> dict[str, Any]:
        """What agents [M] observe now, entries [M, …] by name; `frame` stays as it is."""
        return self.read(self._drawn(agents, tensors), agents)

    def observe_again(self, agents: NDArray[np.int64], *, tensors: bool = False) -> dict[str, Any]:
        """As `observe`, when nothing has changed since for any but these agents [M]."""
        if self.frame is None:
            return self.observe(tensors=tensors)
        part = self._drawn(agents, tensors)
        frame = self.frame = with_part(self.frame, part, agents)
        return self.read(frame, np.arange(self.simulator.num_agents))

    def _drawn(self, agents: NDArray[np.int64] | None, tensors: bool) -> Frame:
        frame = self.simulator.render(agents)
        return frame if tensors else to_numpy(frame)

    def read(self, frame: Frame, agents: NDArray[np.int64]) -> dict[str, Any]:
        """Readings of every sensor for agents [M] that see a frame of batch M."""
        simulator = self.simulator
        source = SensorInput(
            simulator=simulator,
            frame=frame,
            agents=agents,
            c2w=simulator.c2w[agents],
            last_c2w=self.last_c2w[agents],
            start_c2w=self.start_c2w[agents],
            scene=simulator.scene[agents],
            collided=simulator.collided[agents],
            step_count=simulator.step_count[agents],
            episode_seed=self.episode_seed[agents],
            step_s=simulator.config.step_s * self.actions.steps,
            goals={name: goal[agents] for name, goal in self.goals.items()},
        )
        return {name: sensor.read(source) for name, sensor in self.sensors.items()}


def to_numpy(frame: Frame) -> Frame:
    """The frame with its images in numpy, wherever they were drawn."""
    if isinstance(frame.rgb, np.ndarray):
        return frame
    return Frame(
        rgb=frame.rgb.cpu().numpy(),
        depth=frame.depth.cpu().numpy(),
        instance=frame.instance.cpu().numpy(),
        provenance=frame.provenance.cpu().numpy(),
        camera=frame.camera,
    )


def with_part(frame: Frame, part: Frame, agents: NDArray[np.int64]) -> Frame:
    """A copy of a frame of batch N in which agents [M] see a frame of batch M."""

    def replaced(whole: Any, some: Any) -> Any:
        if isinstance(whole, np.ndarray):
            whole = whole.copy()
        else:
            whole = whole.clone()
        whole[agents] = some
        return whole

    return Frame(
        rgb=replaced(frame.rgb, part.rgb),
        depth=replaced(frame.depth, part.depth),
        instance=replaced(frame.instance, part.instance),
        provenance=replaced(frame.provenance, part.provenance),
        camera=Camera.unchecked(
            replaced(frame.camera.c2w, part.camera.c2w),
            frame.camera.intrinsics,
            width=frame.camera.width,
            height=frame.camera.height,
        ),
    )


def one_of(batch: Mapping[str, NDArray[Any]], agent: int) -> dict[str, Any]:
    """One agent's entries of arrays [N], as plain Python numbers."""
    return {name: values[agent].item() for name, values in batch.items()}
