"""Sampler: from noise to a clean image in one, two or many passes.

Images travel on straight paths, x_t = (1 − t) · clean + t · noise (Liu et al. 2023, "Flow straight
and fast"), and the network predicts the clean end. One pass starts and ends at t = 1. Two passes go
back to t = 0.2 with the very same noise. Many passes follow the path with Euler steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from worldfm_gym.errors import FrameModelError

SECOND_STEP_TIME = 0.2

Predict = Callable[[Tensor, Tensor], Tensor]
"""The clean image [B, 4, H, W] that a network predicts of (noisy image, time [B])."""


def sample(predict: Predict, noise: Tensor, *, steps: int = 1) -> Tensor:
    """Draw images.

    Args:
        predict: A network with its conditioning bound, `FrameDiT` behind a lambda.
        noise: Standard normal, [B, 4, H, W].
        steps: 1 or 2 as frames are served, more for a teacher.

    Returns:
        Clean rgb in [−1, 1] and depth code, [B, 4, H, W].

    Raises:
        FrameModelError: If `steps` is below 1.
    """
    if steps < 1:
        raise FrameModelError(f"steps must be at least 1, got {steps}")
    clean = predict(noise, noise.new_ones(len(noise)))
    if steps == 2:
        return predict(
            mix(clean, noise, SECOND_STEP_TIME), noise.new_full((len(noise),), SECOND_STEP_TIME)
        )
    x = noise
    for i in range(1, steps):
        now, then = 1 - (i - 1) / steps, 1 - i / steps
        x = clean + (x - clean) * (then / now)
        clean = predict(x, noise.new_full((len(noise),), then))
    return clean


def mix(clean: Tensor, noise: Tensor, time: Tensor | float) -> Tensor:
    """The point at `time` ([B, 1, 1, 1] or a number) of the path from clean to noise."""
    return clean + (noise - clean) * time


def check_steps(steps: int) -> int:
    """`steps`, if frames can be served in so many.

    Raises:
        FrameModelError: If it is neither 1 nor 2.
    """
    if steps not in (1, 2):
        raise FrameModelError(f"a frame model draws in 1 or 2 steps, got steps={steps!r}")
    return steps


def bind(
    network: torch.nn.Module,
    conditioning: Tensor,
    intrinsics: Tensor,
    memory: object = None,
    relative: Tensor | None = None,
    log_weight: Tensor | None = None,
) -> Predict:
    """A network with everything but the noisy image and its time filled in."""

    def predict(noisy: Tensor, time: Tensor) -> Tensor:
        clean: Tensor = network(noisy, time, conditioning, intrinsics, memory, relative, log_weight)
        return clean

    return predict
