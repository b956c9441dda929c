"""Reference images: a world's posed frames, resampled to the scale at which views are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.worlds.world import Reference

_SIDE_STEP_PX = 8  # sides of what the network draws and reads are multiples of this
_DEPTH_SAMPLES = 3  # along each side of a pixel


def load_references(references: Sequence[Reference], *, size_long_px: int) -> list[PosedImages]:
    """References as tensors on the CPU whose longer side has `size_long_px` pixels.

    Colors are averaged over the area of a pixel. Depths are not, for between foreground and
    background there is nothing: a pixel gets the median of nine depths in its area, or 0 where most
    of them are unknown.

    Args:
        references: A world's frames, of any sizes.
        size_long_px: A multiple of 8; the shorter side becomes the nearest one.

    Returns:
        One `PosedImages` without leading dimensions for each reference.
    """
    return [_load(reference, size_long_px) for reference in references]


def _load(reference: Reference, size_long_px: int) -> PosedImages:
    camera = reference.camera
    scale = size_long_px / max(camera.width, camera.height)
    width, height = (
        max(_SIDE_STEP_PX, round(side * scale / _SIDE_STEP_PX) * _SIDE_STEP_PX)
        for side in (camera.width, camera.height)
    )
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    rgb = Image.fromarray(reference.rgb).resize((width, height), way)
    return PosedImages(
        rgb=torch.from_numpy(np.array(rgb)),
        depth_z=torch.from_numpy(_median_depth(reference.depth, width, height)),
        c2w=torch.from_numpy(camera.c2w.astype(np.float32)),
        intrinsics=torch.from_numpy(camera.resized(width, height).intrinsics.astype(np.float32)),
    )


def _median_depth(depth_z: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Depth [H, W] at another size: the lower median of nine samples a pixel, or 0."""
    rows, columns = (
        ((np.arange(side * _DEPTH_SAMPLES) + 0.5) * (given / (side * _DEPTH_SAMPLES))).astype(int)
        for side, given in zip((height, width), depth_z.shape, strict=True)
    )
    samples = depth_z[rows[:, None], columns].reshape(height, _DEPTH_SAMPLES, width, _DEPTH_SAMPLES)
    samples = samples.transpose(0, 2, 1, 3).reshape(height, width, -1)
    known = (samples > 0).sum(axis=-1, keepdims=True)
    ordered = np.sort(np.where(samples > 0, samples, np.inf), axis=-1)
    median = np.take_along_axis(ordered, np.maximum(known - 1, 0) // 2, axis=-1)
    mostly = known > samples.shape[-1] // 2
    return np.where(mostly, median, 0.0)[..., 0].astype(np.float32)
