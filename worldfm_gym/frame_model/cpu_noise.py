"""Anchored noise compiled for the CPU, in agreement with `noise`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from worldfm_gym.frame_model.noise import CELL_OCTAVES, normal_quantiles
from worldfm_gym.threads import run_striped

_ZERO, _ONE, _HALF, _QUARTER = np.float32(0), np.float32(1), np.float32(0.5), np.float32(0.25)
_SMALL, _USUAL = np.float32(1e-6), np.float32(1 / 2.5)
_MIX1, _MIX2, _STEP = np.uint32(0x7FEB352D), np.uint32(0x846CA68B), 0x9E3779B9
_PRIMES = np.array([73856093, 19349663, 83492791])
_WORD = 0xFFFFFFFF
_CELL_OCTAVES = float(CELL_OCTAVES)


def anchored_noise(
    index: Tensor, c2w: Tensor, intrinsics: Tensor, salt: Tensor, *, depth_z: Tensor
) -> Tensor:
    """The compiled `worldfm_gym.frame_model.noise.anchored_noise`, for CPU tensors."""
    out = torch.empty(len(index), 4, *index.shape[1:])
    run_striped(
        _noise_rows, index.shape[0] * index.shape[1], index.numpy(),
        _inverse_depths(depth_z.numpy()), c2w.numpy(), intrinsics.numpy(), (salt & _WORD).numpy(),
        normal_quantiles(index.device).numpy(), out.numpy(),
    )  # fmt: skip
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _inverse_depths(depth_z: Any) -> Any:
    """1 / `noise.filled_depth`, [B, H, W]."""
    out = np.empty_like(depth_z)
    for b in range(len(depth_z)):
        for y in range(depth_z.shape[1]):
            for x in range(depth_z.shape[2]):
                depth = depth_z[b, y, x]
                out[b, y, x] = _ONE / depth if depth > _ZERO else _ZERO
        _fill(out[b])
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(inverse: Any) -> None:
    """Fill in zeros of [H, W]: push to larger cells, then pull from them."""
    levels = [inverse]
    while max(levels[-1].shape) > 1:
        levels.append(_halved(levels[-1]))
    last = levels[-1]
    if last[0, 0] <= _ZERO:
        last[0, 0] = _USUAL
    for i in range(len(levels) - 2, -1, -1):
        _pull(levels[i], levels[i + 1])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _halved(fine: Any) -> Any:
    """Means of what is known of each 2 × 2 cells, 0 where nothing is."""
    height, width = fine.shape
    out = np.empty(((height + 1) // 2, (width + 1) // 2), np.float32)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            total, count = _ZERO, _ZERO
            for i in range(2 * y, min(2 * y + 2, height)):
                for j in range(2 * x, min(2 * x + 2, width)):
                    total += fine[i, j]
                    count += _ONE if fine[i, j] > _ZERO else _ZERO
            out[y, x] = total / max(count, _ONE)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pull(fine: Any, coarse: Any) -> None:
    """Fill in zeros of `fine` by the bilinear interpolation of `coarse`."""
    bottom, right = coarse.shape[0] - 1, coarse.shape[1] - 1
    for y in range(fine.shape[0]):
        for x in range(fine.shape[1]):
            if fine[y, x] > _ZERO:
                continue
            near_y, near_x = y // 2, x // 2
            far_y = min(max(near_y + (1 if y % 2 else -1), 0), bottom)
            far_x = min(max(near_x + (1 if x % 2 else -1), 0), right)
            near = coarse[near_y, near_x] + _QUARTER * (
                coarse[near_y, far_x] - coarse[near_y, near_x]
            )
            far = coarse[far_y, near_x] + _QUARTER * (coarse[far_y, far_x] - coarse[far_y, near_x])
            fine[y, x] = near + _QUARTER * (far - near)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _noise_rows(
    first: int, step: int, index: Any, inverse: Any, c2w: Any, lens: Any, salt: Any,
    quantiles: Any, out: Any,
) -> None:  # fmt: skip
    """Rows first, first + step, … of B images, to [B, channels, H, W]."""
    batch, height, width = index.shape
    for task in range(first, batch * height, step):
        b, y = task // height, task % height
        level = np.rint(np.log2(lens[b, 0])) - _CELL_OCTAVES
        places, offsets, shares = _corners_around(c2w[b])
        for x in range(width):
            point = np.int64(index[b, y, x])
            if point >= 0:
                word = _word(2 * point, salt[b])
                for channel in range(out.shape[1]):
                    out[b, channel, y, x] = quantiles[_drawn(word, channel)]
                continue
            out[b, :, y, x] = _ZERO
            surface = _lifted(x, y, inverse[b, y, x], c2w[b], lens[b])
            for k in range(4):
                cell = _direction_cell(
                    surface[0] + offsets[k, 0], surface[1] + offsets[k, 1],
                    surface[2] + offsets[k, 2], level,
                )  # fmt: skip
                word = _word(2 * (cell ^ places[k]) + 1, salt[b])
                for channel in range(out.shape[1]):
                    out[b, channel, y, x] += shares[k] * quantiles[_drawn(word, channel)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _corners_around(c2w: Any) -> Any:
    """Of the lattice's simplex around a camera: corners' numbers, ways to the camera, weights."""
    below = np.floor(c2w[:3, 3])
    along = c2w[:3, 3] - below
    order = np.argsort(-along)
    places, offsets = np.empty(4, np.int64), np.empty((4, 3), np.float32)
    shares = np.empty(4, np.float32)
    corner = np.zeros(3, np.float32)
    before = _ONE
    for k in range(4):
        after = along[order[k]] if k < 3 else _ZERO
        shares[k] = np.sqrt(before - after)
        mixed = np.int64(0)
        for i in range(3):
            mixed ^= np.int64(below[i] + corner[i]) * _PRIMES[i]
            offsets[k, i] = along[i] - corner[i]
        places[k] = np.int64(_hash(np.uint32(mixed & _WORD)))
        if k < 3:
            corner[order[k]] = _ONE
        before = after
    return places, offsets, shares


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _lifted(x: int, y: int, inverse: Any, c2w: Any, lens: Any) -> Any:
    """The way from the camera to the surface behind a pixel, in the world's directions."""
    depth = _ONE / inverse
    px = (np.float32(x) + _HALF - lens[2]) / lens[0] * depth
    py = (np.float32(y) + _HALF - lens[3]) / lens[1] * depth
    return (
        c2w[0, 0] * px + c2w[0, 1] * py + c2w[0, 2] * depth,
        c2w[1, 0] * px + c2w[1, 1] * py + c2w[1, 2] * depth,
        c2w[2, 0] * px + c2w[2, 1] * py + c2w[2, 2] * depth,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _direction_cell(dx: Any, dy: Any, dz: Any, level: Any) -> Any:
    """Cell of a cube around a point that a direction meets; see `noise._direction_cell`."""
    ax, ay, az = abs(dx), abs(dy), abs(dz)
    if ax >= ay and ax >= az:
        side, length, positive, u, v = 0, ax, dx > _ZERO, dy, dz
    elif ay >= az:
        side, length, positive, u, v = 1, ay, dy > _ZERO, dz, dx
    else:
        side, length, positive, u, v = 2, az, dz > _ZERO, dx, dy
    scale, length = np.float32(2.0**level), max(length, _SMALL)
    one = np.int64(np.floor(u / length * scale)) + (1 << 14)
    two = np.int64(np.floor(v / length * scale)) + (1 << 14)
    face = 2 * side + (1 if positive else 0)
    zoom = np.int64(min(max(level, 0.0), 31.0))
    packed = ((face * 32 + zoom) << 30) | (one << 15) | two
    return np.int64(_hash(np.uint32(packed & _WORD))) ^ (packed >> 32)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _word(key: Any, salt: Any) -> Any:
    """What the noise of a key in a world is drawn from."""
    return _hash(_hash(np.uint32(key & _WORD)) ^ np.uint32(salt))


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _drawn(word: Any, channel: int) -> Any:
    """Which quantile a channel gets."""
    return _hash(word ^ np.uint32(((channel + 1) * _STEP) & _WORD)) & np.uint32(0xFFFF)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _hash(x: Any) -> Any:
    """Mix a 32-bit word (Wellons' lowbias32)."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * _MIX1)
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * _MIX2)
    return np.uint32(x ^ (x >> np.uint32(16)))
