"""AgentBody: the upright cylinder that stands for an agent in every walking query."""

from __future__ import annotations

import math
from dataclasses import dataclass

from worldfm_gym.errors import NavigationError


@dataclass(frozen=True, slots=True)
class AgentBody:
    """An upright cylinder on the floor.

    Attributes:
        radius_m: Radius in metres; the default is that of Habitat's LoCoBot.
        height_m: Height in metres: what hangs higher does not block.
        step_height_m: Things lower than this, in metres, do not block.

    Raises:
        NavigationError: If a length is not finite or positive, or the step is not below the head.
    """

    radius_m: float = 0.18
    height_m: float = 1.5
    step_height_m: float = 0.15

    def __post_init__(self) -> None:
        lengths = (self.radius_m, self.height_m, self.step_height_m)
        if not all(math.isfinite(v) for v in lengths) or self.radius_m <= 0:
            raise NavigationError(
                "an agent body needs finite lengths in metres and a positive radius, got "
                f"(radius, height, step height) = {lengths}"
            )
        if not 0 <= self.step_height_m < self.height_m:
            raise NavigationError(
                f"step_height_m must lie in 0…height_m, got a step of {self.step_height_m} m "
                f"for a height of {self.height_m} m"
            )
