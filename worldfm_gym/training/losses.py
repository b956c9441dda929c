"""Losses: distances to the truth, the energy score, and distribution matching's gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_PATCHES = (1, 4, 16)  # sides in pixels
_ROUND_TIP = 1e-6  # added to squared distances, whose root has no slope at 0


@dataclass(kw_only=True)
class LossOptions:
    """Weights of the parts of the reconstruction loss."""

    rgb: float = 1.0
    """Squared error of rgb in [−1, 1]."""
    depth: float = 0.5
    """Squared error of the depth code."""
    gradient: float = 0.25
    """Squared error of the differences between neighboring pixels' rgb."""
    huber: float = 0.0
    """Error from which on the loss grows linearly; 0 keeps it squared."""
    time_cap: float = 4.0
    """Low noise weighs 1 / t² up to this; 1 weighs all times alike."""


def reconstruction_loss(
    predicted: Tensor,
    truth: Tensor,
    *,
    known: Tensor,
    covered: Tensor,
    time: Tensor | None,
    options: LossOptions,
    pixels: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted error of rgb and depth code, and its parts for the log.

    Args:
        predicted: [B, 4, H, W].
        truth: [B, 4, H, W].
        known: Where the truth's depth counts, [B, 1, H, W].
        covered: Where the anchor covers the view, [B, 1, H, W].
        time: Noise level of each sample, [B]; None weighs all alike.
        options: Weights.
        pixels: How much each pixel counts, [B, 1, H, W]; None counts all alike.

    Returns:
        The loss, and detached errors by name: ``rgb`` and ``depth`` over covered and uncovered
        pixels apart, not weighted by time.
    """
    difference = predicted - truth
    error = _penalty(difference, options.huber)
    rgb, depth = error[:, :3].mean(1, keepdim=True), error[:, 3:] * known
    counted = torch.ones_like(rgb) if pixels is None else pixels
    each = (counted * (options.rgb * rgb + options.depth * depth)).mean((1, 2, 3))
    for dim in (2, 3) if options.gradient > 0 else ():
        steps = _penalty(torch.diff(difference[:, :3], dim=dim), options.huber)
        size = steps.shape[dim]
        both = torch.minimum(counted.narrow(dim, 0, size), counted.narrow(dim, 1, size))
        each = each + options.gradient * (both * steps).mean((1, 2, 3))
    weight = 1.0 if time is None else time.square().reciprocal().clamp(max=options.time_cap)
    loss = (weight * each).mean()
    with torch.no_grad():
        parts = {
            f"{name}/{where}": (value * mask).sum() / (mask.sum() + 1e-6)
            for name, value in (("rgb", rgb), ("depth", depth))
            for where, mask in (("covered", covered), ("uncovered", 1 - covered))
        }
    return loss, parts


def matching_loss(drawn: Tensor, real: Tensor, fake: Tensor, *, weight: Tensor | None) -> Tensor:
    """A loss whose gradient is that of distribution matching distillation.

    Yin et al. 2024, "One-step Diffusion with Distribution Matching Distillation", equations 7 and
    8: the gradient is the difference of the clean images that the fake and the real score network
    predict, divided for each sample by the mean distance of the drawn image to the real prediction.

    Args:
        drawn: The student's images, [B, 4, H, W]; the only argument that receives a gradient.
        real: The teacher's prediction of the noised images, [B, 4, H, W].
        fake: The fake score network's prediction, [B, 4, H, W].
        weight: Of each pixel and channel, broadcast against [B, 4, H, W].
    """
    with torch.no_grad():
        scale = (drawn - real).abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
        direction = torch.nan_to_num((fake - real) / scale)
        if weight is not None:
            direction = direction * weight
        goal = drawn - direction
    return 0.5 * F.mse_loss(drawn, goal)


def energy_score(one: Tensor, other: Tensor, truth: Tensor, *, pixels: Tensor) -> Tensor:
    """How badly draws of a random image are distributed, given one true image of each view.

    Gneiting & Raftery 2007, "Strictly Proper Scoring Rules, Prediction, and Estimation", section
    4.3: the mean distance of draws to the truth, less half of that among draws. It is least where
    draws are as likely to be true as to be drawn: a blurred mean scores worse, and so does an image
    that is always the same. Distances are Euclidean over patches of 1, 4 and 16 pixels' sides, of
    the images and of the differences between neighboring pixels.

    Args:
        one: Images drawn with some noise, [B, C, H, W].
        other: The same views with other noise, [B, C, H, W].
        truth: [B, C, H, W].
        pixels: How much each pixel counts, [B, 1, H, W].
    """
    score = one.new_zeros(())
    for a, b, sign in ((one, truth, 0.5), (other, truth, 0.5), (one, other, -0.5)):
        difference = (a - b) * pixels
        for part in (difference, torch.diff(difference, dim=2), torch.diff(difference, dim=3)):
            squared = part.square().sum(1, keepdim=True)
            for side in _PATCHES:
                distance = (F.avg_pool2d(squared, side, ceil_mode=True) + _ROUND_TIP).sqrt()
                score = score + sign * distance.mean() / (3 * len(_PATCHES))
    return score


def _penalty(error: Tensor, huber: float) -> Tensor:
    """Squared error, or twice Huber's with the same curvature at zero."""
    if huber <= 0:
        return error.square()
    return 2 * F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=huber)
