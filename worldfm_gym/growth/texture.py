"""Texture extension: a surface's colors, continued from where they are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import FloatArray

_TILE_M = 0.6, 0.4, 0.25, 0.15  # sides of the patches that detail is copied in, largest first
_TILE_KNOWN = 0.97
_CANDIDATES = 64
_CALM = 0.4  # share of them that is used: what hangs on a wall is no detail of it
_DETAIL_LEVELS = 16.0  # steps of color beyond which detail is compressed


def extend_texture(
    colors: FloatArray,
    known: NDArray[np.bool_],
    *,
    cell_m: float,
    wrap: bool,
    rng: np.random.Generator,
) -> FloatArray:
    """Fill an image of a surface: smoothly from its known parts, with detail like theirs.

    Low frequencies are interpolated (push-pull, Gortler et al., "The Lumigraph", 1996); detail is
    what known parts have beyond that, copied in overlapping patches drawn at random.

    Args:
        colors: float64 [H, W, 3]; read where known.
        known: bool [H, W], True somewhere.
        cell_m: Side of a cell in metres.
        wrap: Whether the right border continues at the left one.
        rng: Chooses the patches.

    Returns:
        Colors, float64 [H, W, 3], those given where known.
    """
    width = known.shape[1]
    if wrap:
        colors, known = np.concatenate([colors] * 3, 1), np.concatenate([known] * 3, 1)
    smooth = _blurred(push_pull(colors, known), radius=max(1, round(0.06 / cell_m)))
    middle = slice(width, 2 * width) if wrap else slice(None)
    smooth, colors, known = smooth[:, middle], colors[:, middle], known[:, middle]
    detail = _copied_detail(colors, known, cell_m=cell_m, rng=rng)
    return np.where(known[..., None], colors, np.clip(smooth + detail, 0.0, 255.0))


def push_pull(values: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Fill an image [H, W, C] where it is unknown, from averages over ever larger blocks."""
    if known.all():
        return values
    height, width = known.shape
    if height == 1 and width == 1:
        return values
    pad = ((0, height % 2), (0, width % 2))
    weight = np.pad(known.astype(np.float64), pad)
    total = np.pad(values * known[..., None], (*pad, (0, 0)))
    weight_sum = _pooled(weight[..., None])
    coarse = _pooled(total) / np.maximum(weight_sum, 1e-12)
    coarse = push_pull(coarse, weight_sum[..., 0] > 0)
    return np.where(known[..., None], values, _doubled(coarse)[:height, :width])


def _pooled(values: FloatArray) -> FloatArray:
    """Sums of 2×2 blocks [H/2, W/2, C]."""
    rows = values[0::2] + values[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2])


def _doubled(values: FloatArray) -> FloatArray:
    """An image [H, W, C] at twice the size, linearly interpolated."""
    for axis in (0, 1):
        before = np.concatenate(
            [values.take([0], axis), values.take(range(values.shape[axis] - 1), axis)], axis
        )
        after = np.concatenate(
            [values.take(range(1, values.shape[axis]), axis), values.take([-1], axis)], axis
        )
        pair = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis + 1)
        shape = list(values.shape)
        shape[axis] *= 2
        values = pair.reshape(shape)
    return values


def _blurred(values: FloatArray, *, radius: int) -> FloatArray:
    """Three box filters, one after the other, borders repeated."""
    for axis in (0, 1, 0, 1, 0, 1):
        pad = [(0, 0)] * values.ndim
        pad[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis)
        size = values.shape[axis]
        upper = sums.take(range(2 * radius + 1, 2 * radius + 1 + size), axis)
        values = (upper - sums.take(range(size), axis)) / (2 * radius + 1)
    return values


def _copied_detail(
    colors: FloatArray, known: NDArray[np.bool_], *, cell_m: float, rng: np.random.Generator
) -> FloatArray:
    """Detail for the whole image [H, W, 3]: patches of the known part's, blended; 0 without any."""
    height, width = known.shape
    out = np.zeros((height, width, 3))
    for side_m in _TILE_M:
        tile = max(4, 2 * round(side_m / cell_m / 2))
        corners = _known_corners(known, tile)
        if len(corners):
            break
    else:
        return out
    corners = corners[rng.choice(len(corners), min(_CANDIDATES, len(corners)), replace=False)]
    base = _blurred(push_pull(colors, known), radius=max(1, tile // 4))
    residual = np.where(known[..., None], colors - base, 0.0)
    residual = _DETAIL_LEVELS * np.tanh(residual / _DETAIL_LEVELS)
    patches = np.stack([residual[v : v + tile, u : u + tile] for v, u in corners])
    busy = (patches**2).mean(axis=(1, 2, 3))
    patches = patches[busy <= np.quantile(busy, _CALM)]
    ramp = np.sin((np.arange(tile) + 0.5) / tile * np.pi)
    window = np.outer(ramp, ramp)[..., None]
    weight = np.zeros((height + 2 * tile, width + 2 * tile, 1))
    total = np.zeros((height + 2 * tile, width + 2 * tile, 3))
    for v in range(0, height + tile, tile // 2):
        for u in range(0, width + tile, tile // 2):
            patch = patches[rng.integers(len(patches))]
            total[v : v + tile, u : u + tile] += window * patch
            weight[v : v + tile, u : u + tile] += window**2  # keeps the variance, not the mean
    inner = (slice(tile, tile + height), slice(tile, tile + width))
    return np.asarray(total[inner] / np.sqrt(np.maximum(weight[inner], 1e-6)))


def _known_corners(known: NDArray[np.bool_], tile: int) -> NDArray[Any]:
    """Upper left corners [N, 2] of the windows of a side that are known nearly everywhere."""
    if min(known.shape) < tile:
        return np.zeros((0, 2), np.int64)
    sums = np.pad(known.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    filled = sums[tile:, tile:] - sums[:-tile, tile:] - sums[tile:, :-tile] + sums[:-tile, :-tile]
    return np.argwhere(filled >= _TILE_KNOWN * tile * tile)
