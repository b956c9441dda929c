"""Depth sheet: photos beside their true and their estimated depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from worldfm_gym.reconstruction.estimator import DepthEstimator
from worldfm_gym.training.depth_augmentation import DepthBatch
from worldfm_gym.training.depth_evaluation import TruePhoto

_COLUMNS, _TILE_PX = 8, 192
# Turbo's look, coarsely: near is red, far is blue.
_NEAR_TO_FAR = np.array(
    [[150, 20, 10], [240, 110, 30], [240, 210, 60], [130, 240, 90], [40, 180, 220], [50, 60, 160]],
    np.float64,
)


def depth_colors(depth_z: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth as colors, from the image's 2nd to its 98th percentile; black is unknown."""
    known = depth_z > 0
    if not known.any():
        return np.zeros((*depth_z.shape, 3), np.uint8)
    log = np.log(np.where(known, depth_z, 1.0))
    low, high = np.percentile(log[known], [2, 98])
    place = ((log - low) / max(high - low, 1e-3)).clip(0, 1) * (len(_NEAR_TO_FAR) - 1)
    steps = np.arange(len(_NEAR_TO_FAR))
    colors = np.stack([np.interp(place, steps, _NEAR_TO_FAR[:, i]) for i in range(3)], axis=-1)
    return np.where(known[..., None], colors, 0).astype(np.uint8)


def batch_sheet(batch: DepthBatch, predicted_z: Tensor | None = None) -> NDArray[np.uint8]:
    """Photos of a batch over their true, and perhaps their predicted, depth."""
    count = 3 * _COLUMNS
    rgb = (batch.rgb[:count] * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    stacks = [list(rgb)]
    for depth in (batch.depth_z, predicted_z):
        if depth is not None:
            stacks.append([depth_colors(d) for d in depth[:count].float().cpu().numpy()])
    return _tiled([np.concatenate(column) for column in zip(*stacks, strict=True)])


def photo_sheet(estimator: DepthEstimator, photos: Sequence[TruePhoto]) -> NDArray[np.uint8]:
    """Photos over true depth and estimated depth."""
    tiles = []
    for photo in photos[: 2 * _COLUMNS]:
        estimate = estimator.estimate([photo.rgb], [photo.K])[0]
        truth, guess = depth_colors(photo.depth_z), depth_colors(estimate.depth_z)
        tiles.append(np.concatenate([photo.rgb, truth, guess]))
    return _tiled(tiles)


def _tiled(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Tiles in rows, all as wide as one another and as high as the highest of them."""
    heights = [round(tile.shape[0] * _TILE_PX / tile.shape[1]) for tile in tiles]
    rows, columns = -(-len(tiles) // _COLUMNS), min(_COLUMNS, len(tiles))
    sheet = Image.new("RGB", (columns * _TILE_PX, rows * max(heights)))
    for number, (tile, height) in enumerate(zip(tiles, heights, strict=True)):
        place = (number % _COLUMNS * _TILE_PX, number // _COLUMNS * max(heights))
        sheet.paste(Image.fromarray(tile).resize((_TILE_PX, height)), place)
    return np.asarray(sheet)
