"""Targets: what the accelerated networks are told of the views to draw."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Targets:
    """B views, and which of the M encoded references each reads.

    Attributes:
        noise: Standard normal, float32 [B, 4, H, W].
        conditioning: From `conditioning_channels`, float32 [B, 9, H, W].
        intrinsics: (fx, fy, cx, cy), float32 [B, 4].
        index: Which references, int64 [B, R]; R may be 0.
        relative: From `relative_projection`, float32 [B, R, 4, 4].
        log_weight: Added to the logits of each reference, float32 [B, R]; −∞ leaves it out.
    """

    noise: Tensor
    conditioning: Tensor
    intrinsics: Tensor
    index: Tensor
    relative: Tensor
    log_weight: Tensor
