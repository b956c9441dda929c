"""The compiled version of `noise`: one lane a pixel, all views in one launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from worldfm_gym.frame_model.conditioning import NOISE_CHANNELS
from worldfm_gym.frame_model.noise import (
    CELL_OCTAVES,
    corners_around,
    filled_depth,
    normal_quantiles,
)

_CHANNELS, _CELL_OCTAVES = tl.constexpr(NOISE_CHANNELS), tl.constexpr(CELL_OCTAVES)
_MIX1, _MIX2, _STEP = tl.constexpr(0x7FEB352D), tl.constexpr(0x846CA68B), tl.constexpr(0x9E3779B9)
_LANES = 256


@triton.jit
def _hash(x):  # type: ignore[no-untyped-def]
    """Mix words, uint32 (Wellons' lowbias32)."""
    x = x ^ (x >> 16)
    x = x * tl.full((), _MIX1, tl.uint32)
    x = x ^ (x >> 15)
    x = x * tl.full((), _MIX2, tl.uint32)
    return x ^ (x >> 16)


@triton.jit
def _cell(dx, dy, dz, level):  # type: ignore[no-untyped-def]
    """Cell of a cube around a point that directions meet; see `noise._direction_cell`."""
    ax, ay, az = tl.abs(dx), tl.abs(dy), tl.abs(dz)
    along_x = (ax >= ay) & (ax >= az)
    along_y = (ay >= az) & (along_x == 0)
    length = tl.where(along_x, ax, tl.where(along_y, ay, az))
    ahead = tl.where(along_x, dx, tl.where(along_y, dy, dz)) > 0
    u = tl.where(along_x, dy, tl.where(along_y, dz, dx))
    v = tl.where(along_x, dz, tl.where(along_y, dx, dy))
    scale = tl.exp2(level) / tl.maximum(length, 1e-6)
    one = (tl.floor(u * scale).to(tl.int32) + 16384).to(tl.uint32)
    two = (tl.floor(v * scale).to(tl.int32) + 16384).to(tl.uint32)
    side = tl.where(along_x, 0, tl.where(along_y, 1, 2))
    zoom = tl.minimum(tl.maximum(level, 0.0), 31.0).to(tl.int32)
    face = ((2 * side + ahead.to(tl.int32)) * 32 + zoom).to(tl.uint32)
    return _hash((face << 30) | (one << 15) | two) ^ (face >> 2)


@triton.jit
def _word(sx, sy, sz, level, offset, place, point, seen, of_world):  # type: ignore[no-untyped-def]
    """What the noise is drawn from: of the point that is seen, or as seen from a corner."""
    dx, dy, dz = sx + tl.load(offset), sy + tl.load(offset + 1), sz + tl.load(offset + 2)
    cell = _cell(dx, dy, dz, level) ^ tl.load(place).to(tl.uint32)
    key = tl.where(seen, point.to(tl.uint32) << 1, (cell << 1) | 1)
    return _hash(_hash(key) ^ of_world)


@triton.jit
def _normal(word, step, quantiles, mask):  # type: ignore[no-untyped-def]
    drawn = _hash(word ^ step) & tl.full((), 0xFFFF, tl.uint32)
    return tl.load(quantiles + drawn.to(tl.int32), mask=mask, other=0.0)


@triton.jit
def _noise_lanes(  # type: ignore[no-untyped-def]
    out, index, depth, c2w, lens, places, offsets, shares, salt, quantiles, width, pixels,
    LANES: tl.constexpr,
):  # fmt: skip
    """Noise [B, channels, H · W] of some pixels of one view."""
    view = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * LANES + tl.arange(0, LANES)
    mask = pixel < pixels
    point = tl.load(index + view * pixels + pixel, mask=mask, other=0)
    z = tl.load(depth + view * pixels + pixel, mask=mask, other=1.0)
    lens += 4 * view
    focal = tl.load(lens)
    x = ((pixel % width).to(tl.float32) + 0.5 - tl.load(lens + 2)) / focal * z
    y = ((pixel // width).to(tl.float32) + 0.5 - tl.load(lens + 3)) / tl.load(lens + 1) * z
    c2w += 16 * view
    sx = tl.load(c2w) * x + tl.load(c2w + 1) * y + tl.load(c2w + 2) * z
    sy = tl.load(c2w + 4) * x + tl.load(c2w + 5) * y + tl.load(c2w + 6) * z
    sz = tl.load(c2w + 8) * x + tl.load(c2w + 9) * y + tl.load(c2w + 10) * z
    level = tl.floor(tl.log2(focal) + 0.5) - _CELL_OCTAVES
    of_world = (tl.load(salt + view) & 0xFFFFFFFF).to(tl.uint32)
    seen = point >= 0
    # A point's noise is drawn whole at the first corner.
    at = 4 * view
    a = _word(sx, sy, sz, level, offsets + 3 * at, places + at, point, seen, of_world)
    b = _word(sx, sy, sz, level, offsets + 3 * at + 3, places + at + 1, point, seen, of_world)
    c = _word(sx, sy, sz, level, offsets + 3 * at + 6, places + at + 2, point, seen, of_world)
    d = _word(sx, sy, sz, level, offsets + 3 * at + 9, places + at + 3, point, seen, of_world)
    share_a = tl.where(seen, 1.0, tl.load(shares + at))
    share_b, share_c = tl.load(shares + at + 1), tl.load(shares + at + 2)
    share_d = tl.load(shares + at + 3)
    blended = mask & (seen == 0)
    for channel in tl.static_range(_CHANNELS):
        step = tl.full((), ((channel + 1) * _STEP) & 0xFFFFFFFF, tl.uint32)
        value = share_a * _normal(a, step, quantiles, mask)
        value += share_b * _normal(b, step, quantiles, blended)
        value += share_c * _normal(c, step, quantiles, blended)
        value += share_d * _normal(d, step, quantiles, blended)
        tl.store(out + (view * _CHANNELS + channel) * pixels + pixel, value, mask=mask)


def draw_noise(
    index: Tensor, c2w: Tensor, intrinsics: Tensor, salt: Tensor, depth_z: Tensor
) -> Tensor:
    """`noise.anchored_noise` on a GPU."""
    batch, height, width = index.shape
    out = torch.empty((batch, NOISE_CHANNELS, height, width), device=index.device)
    places, offsets, shares = corners_around(c2w)
    grid = (triton.cdiv(height * width, _LANES), batch)
    _noise_lanes[grid](
        out, index.contiguous(), filled_depth(depth_z).contiguous(), c2w.contiguous(),
        intrinsics.contiguous(), places, offsets, shares, salt.contiguous(),
        normal_quantiles(index.device), width, height * width, LANES=_LANES,
    )  # fmt: skip
    return out
