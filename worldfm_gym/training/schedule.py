"""Schedule: how the learning rate follows the budget of steps or of minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from worldfm_gym.training.options import OptimizerOptions


class Budget:
    """How much of a run's steps or minutes is spent.

    With minutes, everything counts from the construction on, worlds and compilation included, so
    that a run ends when its time is up and the schedule ends with it.
    """

    def __init__(
        self,
        *,
        steps: int | None,
        minutes: float | None,
        spent_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._minutes, self._clock = steps, minutes, clock
        self._start = clock() - spent_seconds

    @property
    def spent_seconds(self) -> float:
        """Seconds of this run, earlier parts of it included."""
        return self._clock() - self._start

    def progress(self, step: int) -> float:
        """Share of the budget that is spent before step `step` (counted from 0), in 0…1."""
        shares = [0.0]
        if self._steps is not None:
            shares.append(step / self._steps)
        if self._minutes is not None:
            shares.append(self.spent_seconds / (60 * self._minutes))
        return min(1.0, max(shares))


def rate_at(options: OptimizerOptions, *, step: int, progress: float) -> float:
    """Learning rate relative to the highest, at a step and a share of the budget."""
    warmup = min(1.0, (step + 1) / max(1, options.warmup_steps))
    falling = max(0.0, progress - options.hold) / max(1e-9, 1 - options.hold)
    shape = 0.5 * (1 + math.cos(math.pi * falling)) if options.decay == "cosine" else 1 - falling
    return warmup * (options.floor + (1 - options.floor) * shape)
