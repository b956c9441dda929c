"""Augmentation: what differs between a clean sample and what a model meets in the wild."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.batch import Batch

_EXPOSED_SHARE = 0.7  # of the groups: light and white balance of their own
_EXPOSURE, _BALANCE, _REFERENCE_EXPOSURE = 0.14, 0.04, 0.03  # in nepers
_EXACT_SHARE, _MAX_DEPTH_ERROR = 0.4, 0.02  # of references' depth
_UNKNOWN_SHARE = 0.15  # of the references: depth that is missing in blocks
_BLOCKS = 8  # blocks across an image that vanish whole
_MASK = (0.05, 0.45)  # share of the blocks that a masked anchor raster loses


def augment(batch: Batch, *, masked_share: float, generator: torch.Generator) -> Batch:
    """Vary light, lens gain, the references' depth and the anchor's coverage of a batch.

    Args:
        batch: A clean batch.
        masked_share: Share of the samples that lose blocks of their anchor raster.
        generator: Source of randomness, on the batch's device.
    """
    draw = _Draw(generator)
    groups, references = batch.references.rgb.shape[:2]
    light = draw.normal(groups, 1, 1) * _EXPOSURE + draw.normal(groups, 1, 3) * _BALANCE
    light = light * (draw.uniform(groups, 1, 1) < _EXPOSED_SHARE)  # [G, 1, 3]
    own = draw.normal(groups, references, 1) * _REFERENCE_EXPOSURE  # [G, R, 1]
    masked = replace(
        batch,
        target=replace(batch.target, rgb=_exposed(batch.target.rgb, light)),
        anchor_rgb=_exposed(batch.anchor_rgb, light),
        references=replace(batch.references, rgb=_exposed(batch.references.rgb, light + own)),
    )
    if references:
        masked = replace(masked, references=_rough_depth(masked.references, draw))
    return _mask_anchor(masked, masked_share, draw)


class _Draw:
    """Random tensors on the generator's device."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def uniform(self, *shape: int) -> Tensor:
        return self._of(torch.rand, shape)

    def normal(self, *shape: int) -> Tensor:
        return self._of(torch.randn, shape)

    def _of(self, sample: Callable[..., Tensor], shape: tuple[int, ...]) -> Tensor:
        return sample(shape, generator=self._generator, device=self._generator.device)


def _exposed(rgb: Tensor, log_gain: Tensor) -> Tensor:
    """uint8 images [G, K, H, W, 3] under gains [G, K or 1, 3 or 1]."""
    gain = log_gain.exp()[:, :, None, None]
    return (rgb * gain).add_(0.5).clamp_(0, 255).to(torch.uint8)


def _rough_depth(references: PosedImages, draw: _Draw) -> PosedImages:
    """Depth with smooth relative errors and missing blocks."""
    groups, count, height, width = references.depth_z.shape
    size = draw.uniform(groups, count, 1, 1) * _MAX_DEPTH_ERROR
    size = size * (draw.uniform(groups, count, 1, 1) >= _EXACT_SHARE)
    error = interpolate(
        draw.normal(groups, count, 6, 6), (height, width), mode="bilinear", align_corners=False
    )
    missing = draw.uniform(groups, count, 1, 1) < _UNKNOWN_SHARE
    missing = missing & (_blocks(draw, groups, count, height, width) < 0.2)
    depth = references.depth_z * (1 + size * error)
    return replace(references, depth_z=depth.masked_fill_(missing, 0.0))


def _mask_anchor(batch: Batch, share: float, draw: _Draw) -> Batch:
    """Uncover random blocks of some samples' rasters."""
    groups, targets, height, width = batch.anchor_index.shape
    low, high = _MASK
    lost = low + (high - low) * draw.uniform(groups, targets, 1, 1)
    lost = lost * (draw.uniform(groups, targets, 1, 1) < share)
    gone = _blocks(draw, groups, targets, height, width) < lost
    return replace(
        batch,
        anchor_rgb=batch.anchor_rgb.masked_fill(gone[..., None], 0),
        anchor_depth_z=batch.anchor_depth_z.masked_fill(gone, 0.0),
        anchor_index=batch.anchor_index.masked_fill(gone, -1),
    )


def _blocks(draw: _Draw, groups: int, count: int, height: int, width: int) -> Tensor:
    """Uniform numbers, the same for all pixels of a block, [G, K, H, W]."""
    coarse = draw.uniform(groups, count, _BLOCKS, _BLOCKS)
    return interpolate(coarse, (height, width), mode="nearest")
