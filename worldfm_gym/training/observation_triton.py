"""The compiled version of `observation`: one lane a splat, all places in one launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from worldfm_gym.anchor.pyramid import BLOCK, DISC_PER_RADIUS
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.observation import HOLES, MAX_RADIUS_M, OBSERVERS, WAVES, Observation
from worldfm_gym.training.scene_job import MAX_DISPLACEMENT_M
from worldfm_gym.training.views import DEPTH_TOLERANCE

_BLOCK = tl.constexpr(BLOCK)
_OBSERVERS, _HOLES, _WAVES = tl.constexpr(OBSERVERS), tl.constexpr(HOLES), tl.constexpr(WAVES)
_TOLERANCE, _MAX_RADIUS = tl.constexpr(DEPTH_TOLERANCE), tl.constexpr(MAX_RADIUS_M)
_RADIUS_PER_DISC = tl.constexpr(1.0 / float(DISC_PER_RADIUS))
_MAX_SHIFT = tl.constexpr(MAX_DISPLACEMENT_M)
_LANES = 256


@triton.jit
def _inverse(image, u, v, width, height, mask):  # type: ignore[no-untyped-def]
    """Inverse depth of pixels, those beyond the border repeated; 0 where unknown."""
    u = tl.minimum(tl.maximum(u, 0), width - 1)
    v = tl.minimum(tl.maximum(v, 0), height - 1)
    depth = tl.load(image + v * width + u, mask=mask, other=0.0)
    known = depth > 0
    return tl.where(known, 1.0 / tl.where(known, depth, 1.0), 0.0)


@triton.jit
def _agrees(z, inverse, tolerance):  # type: ignore[no-untyped-def]
    return tl.abs(z * inverse - 1.0) <= tolerance * inverse


@triton.jit
def _sees(x, y, z, radius, nx, ny, nz, real, image, pose, lens, width, height):  # type: ignore[no-untyped-def]
    """Whether a view sees splats; the rules of `views.seen_by`."""
    ox, oy, oz = x - tl.load(pose + 3), y - tl.load(pose + 7), z - tl.load(pose + 11)
    cx = ox * tl.load(pose) + oy * tl.load(pose + 4) + oz * tl.load(pose + 8)
    cy = ox * tl.load(pose + 1) + oy * tl.load(pose + 5) + oz * tl.load(pose + 9)
    cz = ox * tl.load(pose + 2) + oy * tl.load(pose + 6) + oz * tl.load(pose + 10)
    ahead = tl.maximum(cz, 1e-3)
    u = tl.load(lens) * cx / ahead + tl.load(lens + 2)
    v = tl.load(lens + 1) * cy / ahead + tl.load(lens + 3)
    seen = real & (cz > 0.05) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    seen = seen & (ox * nx + oy * ny + oz * nz <= 0)
    u, v = tl.where(seen, u, 0.0), tl.where(seen, v, 0.0)
    tolerance = _TOLERANCE * cz + radius
    nearest = _inverse(
        image, tl.floor(u).to(tl.int32), tl.floor(v).to(tl.int32), width, height, seen
    )
    left, top = tl.floor(u - 0.5), tl.floor(v - 0.5)
    right_share, low_share = u - 0.5 - left, v - 0.5 - top
    i, j = left.to(tl.int32), top.to(tl.int32)
    upper = _inverse(image, i, j, width, height, seen) * (1.0 - right_share)
    upper += _inverse(image, i + 1, j, width, height, seen) * right_share
    lower = _inverse(image, i, j + 1, width, height, seen) * (1.0 - right_share)
    lower += _inverse(image, i + 1, j + 1, width, height, seen) * right_share
    between = upper * (1.0 - low_share) + lower * low_share
    return seen & (_agrees(cz, nearest, tolerance) | _agrees(cz, between, tolerance))


@triton.jit(do_not_specialize=["splats", "width", "height"])
def _observe(  # type: ignore[no-untyped-def]
    geometry, depth, c2w, intrinsics, observers, holes, waves, origin, out,
    splats, width, height,
    LANES: tl.constexpr,
):  # fmt: skip
    """Write the splats of one place, those that it has not observed at NaN."""
    place = tl.program_id(0)
    s = tl.program_id(1) * LANES + tl.arange(0, LANES)
    real = s < splats
    at = (s // _BLOCK) * (8 * _BLOCK) + s % _BLOCK
    p = geometry + at
    x = tl.load(p, mask=real, other=0.0)
    y = tl.load(p + _BLOCK, mask=real, other=0.0)
    z = tl.load(p + 2 * _BLOCK, mask=real, other=0.0)
    disc = tl.load(p + 3 * _BLOCK, mask=real, other=0.0)
    nx = tl.load(p + 4 * _BLOCK, mask=real, other=0.0)
    ny = tl.load(p + 5 * _BLOCK, mask=real, other=0.0)
    nz = tl.load(p + 6 * _BLOCK, mask=real, other=0.0)
    radius = tl.minimum(disc * _RADIUS_PER_DISC, _MAX_RADIUS)
    seen = s < 0
    for k in tl.static_range(_OBSERVERS):
        view = tl.load(observers + place * _OBSERVERS + k).to(tl.int64)
        seen = seen | _sees(
            x, y, z, radius, nx, ny, nz, real, depth + view * width * height,
            c2w + view * 16, intrinsics + view * 4, width, height,
        )  # fmt: skip
    for k in tl.static_range(_HOLES):
        hole = holes + (place * _HOLES + k) * 4
        hx, hy, hz = x - tl.load(hole), y - tl.load(hole + 1), z - tl.load(hole + 2)
        seen = seen & (hx * hx + hy * hy + hz * hz >= tl.load(hole + 3))
    error = tl.zeros_like(x)
    for k in tl.static_range(_WAVES):
        wave = waves + (place * _WAVES + k) * 4
        error += tl.sin(
            x * tl.load(wave) + y * tl.load(wave + 1) + z * tl.load(wave + 2) + tl.load(wave + 3)
        )
    ray_x = x - tl.load(origin + place * 4)
    ray_y = y - tl.load(origin + place * 4 + 1)
    ray_z = z - tl.load(origin + place * 4 + 2)
    distance = tl.sqrt(ray_x * ray_x + ray_y * ray_y + ray_z * ray_z)
    shift = error * (tl.load(origin + place * 4 + 3) / _WAVES) * distance
    shift = tl.minimum(tl.maximum(shift, -_MAX_SHIFT), _MAX_SHIFT)
    shift = shift / tl.maximum(distance, 1e-3)
    gone = float("nan")
    q = out + place.to(tl.int64) * splats * 8 + at
    tl.store(q, tl.where(seen, x + ray_x * shift, gone), mask=real)
    tl.store(q + _BLOCK, tl.where(seen, y + ray_y * shift, gone), mask=real)
    tl.store(q + 2 * _BLOCK, tl.where(seen, z + ray_z * shift, gone), mask=real)
    tl.store(q + 3 * _BLOCK, disc, mask=real)
    tl.store(q + 4 * _BLOCK, nx, mask=real)
    tl.store(q + 5 * _BLOCK, ny, mask=real)
    tl.store(q + 6 * _BLOCK, nz, mask=real)
    tl.store(q + 7 * _BLOCK, tl.zeros_like(x), mask=real)


def observe(geometry: Tensor, truth: PosedImages, observation: Observation) -> Tensor:
    """See `observation.observed_geometry`."""
    places, splats = len(observation.observers), geometry.shape[0] * BLOCK
    height, width = truth.depth_z.shape[-2:]
    out = torch.empty((places, *geometry.shape), dtype=torch.float32, device=geometry.device)
    _observe[(places, triton.cdiv(splats, _LANES))](
        geometry,
        truth.depth_z.contiguous(),
        truth.c2w.contiguous(),
        truth.intrinsics.contiguous(),
        observation.observers,
        observation.holes,
        observation.waves,
        observation.origin,
        out,
        splats,
        width,
        height,
        LANES=_LANES,
        num_warps=4,
    )
    return out
