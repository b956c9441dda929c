"""Task: N episodes stepped together in one simulator; what single and vector environments share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from worldfm_envs.actions import ActionModel
from worldfm_envs.sensors import Sensor, SensorInput
from worldfm_gym.frame import Frame
from worldfm_gym.simulator import Simulator


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
    """

    def __init__(
        self, simulator: Simulator, *, actions: ActionModel, sensors: Mapping[str, Sensor]
    ) -> None:
        self.simulator = simulator
        self.actions = actions
        self.sensors = dict(sensors)
        self.frame: Frame | None = None

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
    def goal_xy(self) -> NDArray[np.float64] | None:
        """Goals of the agents [N, 2], in tasks that have goals."""
        return None

    def advance(self, actions: ArrayLike) -> Outcome:
        """Carry out one action per agent [N, …].

        Raises:
            ActionError: If an action is misshapen, not finite or outside its space; nothing moved.
        """
        return self.score(self.actions.apply(self.simulator, self.actions.check(actions)))

    def observe(self) -> dict[str, NDArray[Any]]:
        """Draw one frame per agent and read every sensor: arrays [N, …] by name."""
        frame = self.frame = to_numpy(self.simulator.render())
        source = SensorInput(self.simulator, frame, self.goal_xy)
        return {name: sensor.read(source) for name, sensor in self.sensors.items()}


def observation_space(sensors: Mapping[str, Sensor]) -> spaces.Dict:
    """The space of one agent's observation, entries in the order of the sensors."""
    return spaces.Dict([(name, sensor.space) for name, sensor in sensors.items()])


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


def one_of(batch: Mapping[str, NDArray[Any]], agent: int) -> dict[str, Any]:
    """One agent's entries of arrays [N], as plain Python numbers."""
    return {name: values[agent].item() for name, values in batch.items()}
