"""StepTimer: how fast an environment steps, without the time of who acts or records."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gymnasium as gym


class StepTimer(gym.Wrapper[Any, Any, Any, Any]):
    """Adds up the wall time that `step` takes; resets are not counted.

    Attributes:
        steps: Steps since the timer was started.
        seconds: Time that they took.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.steps = 0
        self.seconds = 0.0

    @property
    def steps_per_second(self) -> float:
        """Steps a second; 0 before the first."""
        return self.steps / self.seconds if self.seconds > 0 else 0.0

    def warm_up(self, *, seed: int = 0) -> None:
        """Make one step that is not counted, so that compiling and first-use set-up are not."""
        self.env.reset(seed=seed)
        self.env.action_space.seed(seed)
        self.env.step(self.env.action_space.sample())
        self.steps, self.seconds = 0, 0.0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step and take the time."""
        start = perf_counter()
        result = self.env.step(action)
        self.seconds += perf_counter() - start
        self.steps += 1
        return result
