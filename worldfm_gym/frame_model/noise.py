"""Anchored noise: noise that sticks to the world, so that what is invented stays put.

The noise of a pixel is a fixed function of the world and of the anchor point that the pixel sees;
where it sees none, of the world and of the ray's direction. It never depends on time or on earlier
frames: the same pose has the same noise, and a small motion of the camera moves it along.

Integers are hashed and looked up in a table of normal quantiles, so that every device draws the
very same numbers.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from worldfm_gym.frame_model.conditioning import NOISE_CHANNELS, pixel_rays

_QUANTILES = 1 << 16
_WORD = 0xFFFFFFFF


def anchored_noise(index: Tensor, c2w: Tensor, intrinsics: Tensor, salt: Tensor) -> Tensor:
    """Standard normal noise, fixed to the world.

    Args:
        index: Anchor point that each pixel sees, int32 [B, H, W]; −1 where it sees none.
        c2w: Camera-to-world transforms, float32 [B, 4, 4].
        intrinsics: (fx, fy, cx, cy) in pixels, float32 [B, 4].
        salt: What tells worlds apart, int64 [B].

    Returns:
        float32 [B, 4, H, W].
    """
    seen = index >= 0
    key = torch.where(seen, 2 * index.long(), 2 * _direction_cell(index, c2w, intrinsics) + 1)
    key = _hash(_hash(key & _WORD) ^ (salt & _WORD)[:, None, None])
    channel = torch.arange(1, NOISE_CHANNELS + 1, device=index.device)
    words = _hash(key[:, None] ^ (channel * 0x9E3779B9 & _WORD)[:, None, None])
    return normal_quantiles(index.device)[words & (_QUANTILES - 1)]


def _direction_cell(index: Tensor, c2w: Tensor, intrinsics: Tensor) -> Tensor:
    """Cell of a cube around the camera that each ray meets, int64 [B, H, W].

    The cube's sides are parallel to the world's axes; its cells are about a pixel wide, in powers
    of two, so that zooming in draws finer noise instead of larger blots.
    """
    height, width = index.shape[1:]
    x, y = pixel_rays(intrinsics, height, width).unbind(1)
    rays = torch.stack([x, y, torch.ones_like(x)], dim=1).flatten(2)
    direction = c2w[:, :3, :3] @ rays  # [B, 3, H·W]
    size = direction.abs()
    side = size.argmax(1, keepdim=True)
    length = size.gather(1, side)
    positive = direction.gather(1, side) > 0
    others = torch.cat([(side + 1) % 3, (side + 2) % 3], dim=1)
    level = torch.log2(intrinsics[:, :1]).round()[..., None]
    cell = torch.floor(direction.gather(1, others) / length * torch.exp2(level)).long() + (1 << 14)
    face = 2 * side + positive
    packed = (face * 32 + level.long().clamp(0, 31)) << 30 | cell[:, :1] << 15 | cell[:, 1:]
    return (_hash(packed & _WORD) ^ (packed >> 32)).view(index.shape)


def _hash(x: Tensor) -> Tensor:
    """Mix 32-bit words held in int64 (Wellons' lowbias32)."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _WORD
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _WORD
    return x ^ (x >> 16)


@lru_cache(maxsize=8)
def normal_quantiles(device: torch.device) -> Tensor:
    """Quantiles of the standard normal distribution, float32 [2¹⁶]."""
    steps = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
    quantiles: Tensor = torch.special.ndtri(steps).float().to(device)
    return quantiles
