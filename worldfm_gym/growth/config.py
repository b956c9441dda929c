"""GrowthConfig: how a world is grown."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from worldfm_gym.errors import ConfigError

MODEL_STEP_PX = 8  # the frame model draws images whose sides are multiples of this


@dataclass(frozen=True, slots=True)
class GrowthConfig:
    """Options of growth; the same ones grow the same world.

    Attributes:
        seed: Which of many places grows.
        views: Cameras to draw from, about a quarter of them turning at the start, a half moving
            through the new floor, the rest closing loops.
        views_per_round: Cameras between two updates of the world.
        size_px: Side of the square images that the model draws, a multiple of 8.
        fov_deg: Their field of view.
        reach_m: How far beyond what has been seen the place may go, metres.
        floor_factor: Wanted floor area over the free floor known before; `reach_m` limits it.
        max_points: Points on the surfaces of the room that is grown into, at most.
        masked_share: Share of those that is hidden from the model in each round, so that it draws
            what it takes to be there.
        references: Drawn frames to remember, at most.
        snap: Relative difference in depth up to which a drawn surface is the one that was expected.
        depth_tolerance: Relative difference in depth up to which two drawings agree.
        color_tolerance: Mean difference in color, of 255, up to which two drawings agree.
    """

    seed: int = 0
    views: int = 96
    views_per_round: int = 8
    size_px: int = 128
    fov_deg: float = 90.0
    reach_m: float = 6.0
    floor_factor: float = 5.5
    max_points: int = 200_000
    masked_share: float = 0.25
    references: int = 12
    snap: float = 0.08
    depth_tolerance: float = 0.04
    color_tolerance: float = 24.0

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "seed": (0, 2**63 - 1),
            "views": (8, 4096),
            "views_per_round": (1, 64),
            "size_px": (32, 512),
            "fov_deg": (40.0, 120.0),
            "reach_m": (0.5, 50.0),
            "floor_factor": (1.0, 100.0),
            "max_points": (1_000, 5_000_000),
            "masked_share": (0.0, 0.9),
            "references": (0, 256),
            "snap": (0.01, 0.5),
            "depth_tolerance": (0.001, 0.5),
            "color_tolerance": (1.0, 255.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            whole = isinstance(low, int)
            number = isinstance(value, int | np.integer if whole else int | float | np.number)
            if not (number and math.isfinite(value) and low <= value <= high):
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"{name} must be {kind} in {low:g}…{high:g}, got {value!r}")
        if self.size_px % MODEL_STEP_PX:
            raise ConfigError(f"size_px must be a multiple of {MODEL_STEP_PX}, got {self.size_px}")

    @property
    def rounds(self) -> int:
        """How often the world is updated."""
        return -(-self.views // self.views_per_round)
