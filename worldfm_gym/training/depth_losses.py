"""Depth losses: how far predicted depth is from the truth, scale aside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from worldfm_gym.reconstruction.depth_network import Prediction
from worldfm_gym.training.depth_augmentation import DepthBatch

_GRADIENT_SCALES = 4
_LEAST_SPREAD = 0.02


@dataclass(kw_only=True)
class DepthLossOptions:
    """Weights of the parts of the loss."""

    scaled: float = 1.0
    """Absolute error of log depth, each image's median error taken out."""
    absolute: float = 0.15
    """The same with nothing taken out: metres."""
    likelihood: float = 0.25
    """Negative log-likelihood of the error, under a Laplace distribution of predicted scale."""
    gradient: float = 0.6
    """Differences of neighboring pixels' log depth, at four scales."""
    affine: float = 0.3
    """Inverse depth, each image's median and mean deviation taken out."""
    focal: float = 0.1
    """Negative log-likelihood of the focal length, where the network isn't told."""
    up: float = 0.5
    """Distance to the direction against gravity."""


def depth_loss(
    predicted: Prediction, truth: DepthBatch, options: DepthLossOptions
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of all parts, and figures for the log.

    Args:
        predicted: What the network says.
        truth: Truth of the same photos.
        options: Weights.
    """
    known = truth.depth_z > 0
    mask = known.float()
    log_truth = torch.where(known, truth.depth_z, 1.0).log()
    error = (predicted.log_depth - log_truth) * mask
    center = _median(error.detach(), known)
    centered = (error - center) * mask
    log_error = predicted.log_error
    likelihood = (centered.abs() * (-log_error).exp() + log_error) * mask
    focal, up = _camera_losses(predicted, truth)
    parts = {
        "scaled": _mean(centered.abs(), mask),
        "absolute": _mean(error.abs(), mask),
        "likelihood": _mean(likelihood, mask),
        "gradient": _gradient(error, mask),
        "affine": _affine(predicted.log_depth, log_truth, known),
        "focal": focal,
        "up": up,
    }
    loss = torch.stack([getattr(options, name) * value for name, value in parts.items()]).sum()
    with torch.no_grad():
        ratio = centered.abs().exp()
        parts["absrel"] = _mean((centered.exp() - 1).abs(), mask)
        parts["delta"] = _mean((ratio < 1.25).float(), mask)
    return loss, {name: value.detach() for name, value in parts.items()}


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [B, H, W] over a mask."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def _median(values: Tensor, known: Tensor) -> Tensor:
    """Each image's median over every fourth pixel of every fourth row, [B, 1, 1]."""
    few, seen = values[:, 2::4, 2::4].flatten(1), known[:, 2::4, 2::4].flatten(1)
    median = torch.where(seen, few, torch.nan).nanmedian(dim=1).values
    return median.nan_to_num()[:, None, None]


def _gradient(error: Tensor, mask: Tensor) -> Tensor:
    """MiDaS's multi-scale gradient loss (Ranftl et al. 2020, equation 11), on log depth."""
    total = error.new_zeros(())
    for scale in range(_GRADIENT_SCALES):
        step = 2**scale
        e, m = error[:, ::step, ::step], mask[:, ::step, ::step]
        for dim in (1, 2):
            size = e.shape[dim] - 1
            both = m.narrow(dim, 0, size) * m.narrow(dim, 1, size)
            total = total + _mean(torch.diff(e, dim=dim).abs(), both)
    return total / _GRADIENT_SCALES


def _affine(log_depth: Tensor, log_truth: Tensor, known: Tensor) -> Tensor:
    """MiDaS's scale- and shift-invariant loss (Ranftl et al. 2020, equations 5 and 6)."""
    mask = known.float()
    standard = []
    for log in (log_depth, log_truth):
        inverse = (-log.clamp(-3, 5)).exp()
        shifted = (inverse - _median(inverse, known)) * mask
        count = mask.sum((1, 2), keepdim=True).clamp(min=1)
        spread = shifted.abs().sum((1, 2), keepdim=True) / count
        standard.append(shifted / spread.clamp(min=_LEAST_SPREAD))
    return _mean((standard[0] - standard[1]).abs().clamp(max=4.0), mask)


def _camera_losses(predicted: Prediction, truth: DepthBatch) -> tuple[Tensor, Tensor]:
    """Losses of the focal length and of the direction of up."""
    longer = max(truth.depth_z.shape[1:])
    log_focal = (truth.intrinsics[:, :2].mean(1) / longer).log()
    untold = (~truth.known_lens).float()
    log_error = predicted.log_focal_error
    distance = (predicted.log_focal - log_focal).abs()
    focal = ((distance * (-log_error).exp() + log_error) * untold).sum()
    up = (predicted.up_camera - truth.up_camera).square().sum(1).add(1e-6).sqrt().mean()
    return focal / untold.sum().clamp(min=1), up
