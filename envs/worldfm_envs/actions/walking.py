"""Walking: carries out sequences of motions on the floor, with what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.actions.actuation import ActuationNoise
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator


@dataclass(slots=True)
class Motion:
    """What N agents are to do in one step of the simulator.

    Attributes:
        forward_m: Way forward, metres [N].
        yaw_delta: Turn to the left, radians [N].
        pitch_delta: Turn of the camera upward, radians [N], or None.
        effort: Share of a full step, 0…1 [N], or None where every step is a full one.
    """

    forward_m: NDArray[np.float64]
    yaw_delta: NDArray[np.float64]
    pitch_delta: NDArray[np.float64] | None = None
    effort: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walking:
    """How motions are carried out.

    Attributes:
        repeat: How often each motion is made.
        noise: By how much agents miss them; None for exact motions.
    """

    repeat: int = 1
    noise: ActuationNoise | None = None

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise ConfigError(f"action_repeat must be 1 or more, got {self.repeat}")

    def carry_out(
        self,
        simulator: Simulator,
        motions: Sequence[Motion],
        *,
        episode_seed: NDArray[np.uint64] | None,
    ) -> None:
        """Make motions one after the other; who meets something stands still for the rest."""
        if len(motions) == 1 and self.repeat == 1:
            self._make(simulator, motions[0], 1.0, episode_seed)
            return
        free = np.ones(simulator.num_agents)
        for _ in range(self.repeat):
            for motion in motions:
                self._make(simulator, motion, free, episode_seed)
                free = free * ~simulator.collided
        simulator.collided[...] = free == 0.0

    def _make(
        self,
        simulator: Simulator,
        motion: Motion,
        free: Any,
        episode_seed: NDArray[np.uint64] | None,
    ) -> None:
        """One step of the simulator; `free` is 0 for agents that stand still."""
        forward_m, yaw_delta = motion.forward_m * free, motion.yaw_delta * free
        pitch_delta = 0.0 if motion.pitch_delta is None else motion.pitch_delta * free
        if self.noise is None:
            simulator.move_ground(forward_m, yaw_delta=yaw_delta, pitch_delta=pitch_delta)
            return
        count = simulator.num_agents
        error = self.noise.errors(
            forward_m,
            yaw_delta,
            np.ones(count) if motion.effort is None else motion.effort,
            episode_seed=np.zeros(count, np.uint64) if episode_seed is None else episode_seed,
            step_count=simulator.step_count,
        )
        simulator.move_ground(
            forward_m + error[:, 0],
            strafe_m=error[:, 1],
            yaw_delta=yaw_delta + error[:, 2],
            pitch_delta=pitch_delta,
        )
