"""Timesteps: which noise levels a stage trains on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldfm_gym.frame_model.sampler import SECOND_STEP_TIME

_LOWEST = 0.02  # below, an image is as good as clean


@dataclass(kw_only=True)
class TimeOptions:
    """A distribution of times in (0, 1]: 1 is pure noise."""

    pure_noise: float = 0.25
    """Probability of t = 1, where a one-step sample is made."""
    second_step: float = 0.1
    """Probability of t near 0.2, where the second of two steps starts."""
    shift: float = 2.5
    """Favors high noise: t = shift · u / (1 + (shift − 1) · u) of uniform u; 1 favors nothing."""


def draw_times(
    options: TimeOptions, count: int, *, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Random times, float32 [count]."""
    kind, u = torch.rand(2, count, generator=generator, device=device)
    shifted = options.shift * u / (1 + (options.shift - 1) * u)
    times = shifted.clamp(min=_LOWEST)
    near_second = SECOND_STEP_TIME * (0.8 + 0.4 * u)
    times = torch.where(kind < options.pure_noise + options.second_step, near_second, times)
    return torch.where(kind < options.pure_noise, torch.ones_like(times), times)
