"""Sensor: one entry of an observation, batched over agents, and what it reads from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldfm_gym.frame import Frame
from worldfm_gym.simulator import Simulator

POSITION_LIMIT_M = 1000.0
"""Bound of every position and distance in an observation; readings are clipped to it."""


@dataclass(slots=True, kw_only=True)
class SensorInput:
    """The M agents that are read, after a step or at the start of an episode.

    Arrays are to be read only. What agents share (objects, worlds) is in the simulator, by `scene`.

    Attributes:
        simulator: The simulator of these and, maybe, other agents.
        frame: What the M agents see; arrays in numpy, or tensors where the renderer draws them.
        agents: Their indices in the simulator, int64 [M].
        c2w: Camera poses, float64 [M, 4, 4].
        last_c2w: Camera poses before the last step, float64 [M, 4, 4]; those of now at the start.
        start_c2w: Camera poses at the start of the episode, float64 [M, 4, 4].
        scene: Scenes of the agents, int64 [M].
        collided: Whether the last step met something, bool [M].
        step_count: Steps since the episode began, int64 [M].
        episode_seed: A number drawn for each episode, uint64 [M]. Noise is a function of it, of
            `step_count` and of what it falls on, so it depends on no history and no batch.
        step_s: Duration of a step, seconds.
        goals: What the task's agents look for, arrays [M, …] by name; see `Task.goals`.
    """

    simulator: Simulator
    frame: Frame
    agents: NDArray[np.int64]
    c2w: NDArray[np.float64]
    last_c2w: NDArray[np.float64]
    start_c2w: NDArray[np.float64]
    scene: NDArray[np.int64]
    collided: NDArray[np.bool_]
    step_count: NDArray[np.int64]
    episode_seed: NDArray[np.uint64]
    step_s: float
    goals: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.c2w)


class Sensor(Protocol):
    """One entry of the observation dictionary.

    A sensor keeps no state of episodes: what it reads is a function of its input, so that single
    and vector environments, and restored states, agree. A class attribute `requires` names the
    goals it reads, if any; only tasks that have them offer it.
    """

    @property
    def space(self) -> spaces.Box:
        """The space of one agent's reading.

        One-dimensional or a uint8 image where possible, because that is what policies of RL
        libraries accept without adapters.
        """
        ...

    def read(self, source: SensorInput) -> Any:
        """Readings [M, *space.shape], an array that is not used again.

        Image sensors return tensors where `source.frame` holds tensors, others numpy arrays.
        """
        ...
