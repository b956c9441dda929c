"""Anchored noise: noise that sticks to the world, so that what is invented stays put.

The noise of a pixel is a fixed function of the world and of the anchor point that the pixel sees.
Where it sees none, it is one of the world and of the direction in which the surface there would be
seen from lattice points around the camera, at a depth that is known roughly: so it moves with that
surface, about, as the camera does, and fades into other noise from lattice point to lattice point.
It never depends on time or on earlier frames: the same pose has the same noise.

Integers are hashed and looked up in a table of normal quantiles, so that every device draws the
very same numbers.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.frame_model.conditioning import NOISE_CHANNELS, pixel_rays

_QUANTILES = 1 << 16
_WORD = 0xFFFFFFFF
_PRIMES = 73856093, 19349663, 83492791  # mix the coordinates of a lattice point (Teschner 2003)
_USUAL_DEPTH_M = 2.5
# The lattice has a point every metre: near enough that a rough depth does, far enough for the noise
# to last some steps.
CELL_OCTAVES = 2
"""Cells of directions are 2² pixels wide: a depth that is off moves a surface by some pixels."""


def anchored_noise(
    index: Tensor, c2w: Tensor, intrinsics: Tensor, salt: Tensor, *, depth_z: Tensor
) -> Tensor:
    """Standard normal noise, fixed to the world.

    Args:
        index: Anchor point that each pixel sees, int32 [B, H, W]; −1 where it sees none.
        c2w: Camera-to-world transforms, float32 [B, 4, 4].
        intrinsics: (fx, fy, cx, cy) in pixels, float32 [B, 4].
        salt: What tells worlds apart, int64 [B].
        depth_z: Depth as far as it is known, float32 [B, H, W]; 0 = unknown, which is filled in
            from around.

    Returns:
        float32 [B, 4, H, W].
    """
    if index.is_cuda:
        from worldfm_gym.frame_model.noise_triton import draw_noise

        return draw_noise(index, c2w, intrinsics, salt, depth_z)
    return noise_in_torch(index, c2w, intrinsics, salt, depth_z)


def noise_in_torch(
    index: Tensor, c2w: Tensor, intrinsics: Tensor, salt: Tensor, depth_z: Tensor
) -> Tensor:
    """`anchored_noise` on any device; the compiled versions are tested against it."""
    of_points = _normal(2 * index.long(), salt)
    rays = pixel_rays(intrinsics, index.shape[1], index.shape[2])
    rays = torch.cat([rays, torch.ones_like(rays[:, :1])], dim=1)
    to_surface = c2w[:, :3, :3] @ (rays * filled_depth(depth_z)[:, None]).flatten(2)
    level = torch.log2(intrinsics[:, 0]).round() - CELL_OCTAVES
    places, offsets, shares = corners_around(c2w)
    invented = torch.zeros_like(of_points)
    for k in range(4):
        cell = _direction_cell(to_surface + offsets[:, k, :, None], level) ^ places[:, k, None]
        drawn = _normal(2 * cell.view(index.shape) + 1, salt)
        invented += shares[:, k, None, None, None] * drawn
    return torch.where((index >= 0)[:, None], of_points, invented)


def corners_around(c2w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The corners of the lattice's simplex that holds each camera.

    Which they are follows from how far along each axis of a lattice cube the camera is, and so do
    their shares, which vanish where a corner is exchanged for another.

    Args:
        c2w: float32 [B, 4, 4].

    Returns:
        Numbers of the corners, int64 [B, 4]; the way from each to the camera, in the world's
        directions, float32 [B, 4, 3]; the root of its share, float32 [B, 4].
    """
    eye = c2w[:, :3, 3]
    below = torch.floor(eye)
    along, order = (eye - below).sort(dim=1, descending=True)
    edges = F.pad(F.pad(along, (1, 0), value=1.0), (0, 1))  # 1, the three, 0
    steps = torch.arange(3, device=eye.device) == order[..., None]  # [B, 3, 3]
    corners = F.pad(steps.float().cumsum(1), (0, 0, 1, 0))  # [B, 4, 3]
    places = _hashed_place(below[:, None] + corners)
    return places, (eye - below)[:, None] - corners, (edges[:, :-1] - edges[:, 1:]).sqrt()


def filled_depth(depth_z: Tensor) -> Tensor:
    """Depth everywhere: where it is unknown, a smooth continuation of what is known around.

    Means of inverse depth over ever larger cells fill in for smaller ones (Gortler et al. 1996,
    "The Lumigraph", call it push and pull). Without any depth it is 2.5 m.

    Args:
        depth_z: float32 [B, H, W]; 0 = unknown.

    Returns:
        float32 [B, H, W], greater than 0.
    """
    known = (depth_z > 0)[:, None]
    level = torch.where(known, 1 / torch.where(known, depth_z[:, None], 1), 0.0)
    levels = [level]
    while max(level.shape[2:]) > 1:
        odd = (0, level.shape[3] % 2, 0, level.shape[2] % 2)
        level = F.pad(level, odd) if any(odd) else level
        share = F.avg_pool2d((level > 0).float(), 2)
        level = F.avg_pool2d(level, 2) / share.clamp(min=0.25)
        levels.append(level)
    filled = torch.where(level > 0, level, 1 / _USUAL_DEPTH_M)
    for level in reversed(levels[:-1]):
        filled = F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
        filled = filled[:, :, : level.shape[2], : level.shape[3]]
        filled = torch.where(level > 0, level, filled)
    return 1 / filled[:, 0]


def _normal(key: Tensor, salt: Tensor) -> Tensor:
    """Standard normal numbers of integers [B, H, W] in worlds [B], float32 [B, channels, H, W]."""
    key = _hash(_hash(key & _WORD) ^ (salt & _WORD)[:, None, None])
    channel = torch.arange(1, NOISE_CHANNELS + 1, device=key.device)
    words = _hash(key[:, None] ^ (channel * 0x9E3779B9 & _WORD)[:, None, None])
    return normal_quantiles(key.device)[words & (_QUANTILES - 1)]


def _direction_cell(direction: Tensor, level: Tensor) -> Tensor:
    """Cell of a cube around a point that each direction [B, 3, N] meets, int64 [B, N].

    The cube's sides are parallel to the world's axes; its cells are about four pixels wide,
    2^−level [B] of half a side, so that zooming in draws finer noise instead of larger blots.
    """
    size = direction.abs()
    side = size.argmax(1, keepdim=True)
    length = size.gather(1, side).clamp(min=1e-6)
    positive = direction.gather(1, side) > 0
    others = torch.cat([(side + 1) % 3, (side + 2) % 3], dim=1)
    scale = torch.exp2(level)[:, None, None]
    cell = torch.floor(direction.gather(1, others) / length * scale).long() + (1 << 14)
    face = 2 * side + positive
    packed = (face * 32 + level.long().clamp(0, 31)[:, None, None]) << 30
    packed = (packed | cell[:, :1] << 15 | cell[:, 1:])[:, 0]
    return _hash(packed & _WORD) ^ (packed >> 32)


def _hashed_place(place: Tensor) -> Tensor:
    """Numbers of lattice points [*L, 3], int64 [*L]."""
    x, y, z = (place[..., i].long() * _PRIMES[i] for i in range(3))
    return _hash((x ^ y ^ z) & _WORD)


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
