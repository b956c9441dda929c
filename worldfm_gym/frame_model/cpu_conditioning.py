"""Conditioning compiled for the CPU, in agreement with `conditioning`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from worldfm_gym.frame_model.conditioning import PosedImages, relative_pose
from worldfm_gym.threads import run_striped

_ZERO, _ONE, _TWO, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_SMALL, _IN_FRONT = np.float32(1e-6), np.float32(0.05)
_SAME_SURFACE, _LEVELS = np.float32(0.03), np.float32(127.5)
_FAR = np.float32(1e9)  # no point is farther
_CLEARLY_NEARER, _LEAST_AROUND, _LEAST_TO_FILL = np.float32(0.85), 4, 4
_SLOPE, _THREE = np.float32(-0.75), np.float32(3)  # of cubic interpolation, as torch has it


def complete_depth(
    depth_z: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    references: PosedImages,
    *,
    still: Tensor | None = None,
) -> Tensor:
    """The compiled `worldfm_gym.frame_model.conditioning.complete_depth`, for CPU tensors."""
    if references.depth_z.shape[1] == 0:
        return depth_z
    rotation, translation = relative_pose(c2w[:, None], references.c2w)
    out = torch.empty_like(depth_z)
    if still is None:
        still = torch.ones(len(depth_z), dtype=torch.bool)
    _complete_views(
        depth_z.numpy(), intrinsics.numpy(), rotation.numpy(), translation.numpy(),
        references.depth_z.numpy(), references.intrinsics.numpy(), still.numpy(), out.numpy(),
    )  # fmt: skip
    return out


def warp_references(
    depth_z: Tensor, c2w: Tensor, intrinsics: Tensor, references: PosedImages
) -> tuple[Tensor, Tensor]:
    """The compiled `worldfm_gym.frame_model.conditioning.warp_references`, for CPU tensors."""
    batch, height, width = depth_z.shape
    out = torch.zeros(batch, 4, height, width)
    if references.rgb.shape[1]:
        rotation, translation = relative_pose(references.c2w, c2w[:, None])
        run_striped(
            _warp_rows, batch * height, depth_z.numpy(), intrinsics.numpy(), rotation.numpy(),
            translation.numpy(), references.rgb.numpy(), references.depth_z.numpy(),
            references.intrinsics.numpy(), out.numpy(),
        )  # fmt: skip
    return out[:, :3], out[:, 3:]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _complete_views(
    depth_z: Any, lens: Any, rotation: Any, translation: Any, ref_depth_z: Any, ref_lens: Any,
    still: Any, out: Any,
) -> None:  # fmt: skip
    """Depth [B, H, W], or that of the nearest point of R references, to [B, H, W]."""
    batch, height, width = depth_z.shape
    nearer = np.zeros((height + 2, width + 2), np.bool_)  # with a border
    for b in range(batch):
        nearest = out[b]
        share = _CLEARLY_NEARER if still[b] else _ZERO
        for y in range(height):
            for x in range(width):  # only points nearer than this count
                depth = depth_z[b, y, x]
                nearest[y, x] = share * depth if depth > _ZERO else _FAR
        for r in range(ref_depth_z.shape[1]):
            _splat_points(
                ref_depth_z[b, r], ref_lens[b, r], rotation[b, r], translation[b, r], lens[b],
                nearest,
            )  # fmt: skip
        for y in range(height):
            for x in range(width):
                depth = depth_z[b, y, x]
                nearer[y + 1, x + 1] = depth > _ZERO and nearest[y, x] < share * depth
        for y in range(height):
            for x in range(width):
                depth = depth_z[b, y, x]
                if depth > _ZERO and not _among_others(nearer, y, x):
                    nearest[y, x] = depth
                elif nearest[y, x] >= _FAR:
                    nearest[y, x] = _ZERO
        _fill_cracks(nearest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_cracks(depth_z: Any) -> None:
    """Fill in unknown pixels among known ones; see `conditioning._without_cracks`."""
    height, width = depth_z.shape
    above, here = np.zeros(width, np.float32), np.empty(width, np.float32)  # as they were
    for y in range(height):
        here[:] = depth_z[y]
        for x in range(width):
            if here[x] > _ZERO:
                continue
            count, total = 0, _ZERO
            for j in range(max(x - 1, 0), min(x + 2, width)):
                below = depth_z[y + 1, j] if y + 1 < height else _ZERO
                for known in (above[j], here[j], below):
                    if known > _ZERO:
                        count += 1
                        total += _ONE / known
            if count >= _LEAST_TO_FILL:
                depth_z[y, x] = np.float32(count) / total
        above[:] = here


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _among_others(flags: Any, y: int, x: int) -> Any:
    """Whether pixel (y, x) of flags with a border is set, and enough of those around it are."""
    if not flags[y + 1, x + 1]:
        return False
    count = 0
    for i in range(3):
        for j in range(3):
            count += 1 if flags[y + i, x + j] else 0
    return count >= _LEAST_AROUND


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _splat_points(
    ref_depth_z: Any, ref_lens: Any, rotation: Any, translation: Any, lens: Any, nearest: Any
) -> None:
    """Lower `nearest` [H, W] to the depth of a reference's points, each 2 × 2 pixels large."""
    m, t = rotation, translation
    height, width = nearest.shape
    # Beyond these a point touches no pixel; they also keep what is made an integer small.
    right, bottom = np.float32(width), np.float32(height)
    for row in range(ref_depth_z.shape[0]):
        ray_y = (np.float32(row) + _HALF - ref_lens[3]) / ref_lens[1]
        for column in range(ref_depth_z.shape[1]):
            depth = ref_depth_z[row, column]
            if depth <= _ZERO:
                continue
            px, py = (np.float32(column) + _HALF - ref_lens[2]) / ref_lens[0] * depth, ray_y * depth
            z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * depth + t[2]
            if z <= _IN_FRONT:
                continue
            x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * depth + t[0]
            y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * depth + t[1]
            u = np.floor(lens[0] * x / z + lens[2] - _HALF)
            v = np.floor(lens[1] * y / z + lens[3] - _HALF)
            if not (-_ONE <= u < right and -_ONE <= v < bottom):
                continue
            left, top = int(u), int(v)
            for i in range(max(top, 0), min(top + 2, height)):
                for j in range(max(left, 0), min(left + 2, width)):
                    nearest[i, j] = min(nearest[i, j], z)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _warp_rows(
    first: int, step: int, depth_z: Any, lens: Any, rotation: Any, translation: Any, ref_rgb: Any,
    ref_depth_z: Any, ref_lens: Any, out: Any,
) -> None:  # fmt: skip
    """Rows first, first + step, … of B images, to [B, 4, H, W]: rgb and confidence."""
    batch, height, width = depth_z.shape
    for task in range(first, batch * height, step):
        b, y = task // height, task % height
        fx, fy, cx, cy = lens[b, 0], lens[b, 1], lens[b, 2], lens[b, 3]
        ray_y = (np.float32(y) + _HALF - cy) / fy
        for x in range(width):
            depth = depth_z[b, y, x]
            if depth <= _ZERO:
                continue
            ray_x = (np.float32(x) + _HALF - cx) / fx
            red = green = blue = total = best = _ZERO
            for r in range(ref_rgb.shape[1]):
                weight, u, v = _weight_of(
                    ray_x * depth, ray_y * depth, depth, fx, rotation[b, r], translation[b, r],
                    ref_depth_z[b, r], ref_lens[b, r],
                )  # fmt: skip
                if weight > _ZERO:
                    share = (weight * weight) * (weight * weight)
                    cr, cg, cb = _color_at(ref_rgb[b, r], u, v)
                    red, green, blue = red + share * cr, green + share * cg, blue + share * cb
                    total += share
                    best = max(best, weight)
            total += _SMALL
            out[b, 0, y, x], out[b, 1, y, x] = red / total, green / total
            out[b, 2, y, x], out[b, 3, y, x] = blue / total, best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weight_of(
    px: Any, py: Any, pz: Any, focal: Any, rotation: Any, translation: Any, depth_z: Any, lens: Any
) -> Any:
    """How well a reference shows the point p of the target's frame, and where (u, v), pixels."""
    m, t = rotation, translation
    dx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz
    dy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz
    dz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz
    x, y, z = dx + t[0], dy + t[1], dz + t[2]
    if z <= _IN_FRONT:
        return _ZERO, _ZERO, _ZERO
    height, width = depth_z.shape
    u, v = lens[0] * x / z + lens[2], lens[1] * y / z + lens[3]
    if not (_ZERO < u < np.float32(width) and _ZERO < v < np.float32(height)):
        return _ZERO, _ZERO, _ZERO
    column = min(max(int(np.rint(u - _HALF)), 0), width - 1)
    row = min(max(int(np.rint(v - _HALF)), 0), height - 1)
    there = depth_z[row, column]
    if there <= _ZERO:
        return _ZERO, _ZERO, _ZERO
    same = min(max(_TWO - abs(there - z) / (_SAME_SURFACE * z), _ZERO), _ONE)
    toward = x * dx + y * dy + z * dz
    lengths = np.sqrt(x * x + y * y + z * z) * np.sqrt(px * px + py * py + pz * pz)
    cosine = min(max(toward / (lengths + _SMALL), _ZERO), _ONE)
    finer = min(lens[0] * pz / (z * focal), _ONE)
    return same * cosine * cosine * finer, u, v


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _color_at(rgb: Any, u: Any, v: Any) -> Any:
    """Color in [−1, 1] at pixel coordinates, cubic (Keys 1981), the border repeated."""
    height, width = rgb.shape[:2]
    u, v = u - _HALF, v - _HALF
    left, top = int(np.floor(u)), int(np.floor(v))
    across, down = _cubic(u - np.float32(left)), _cubic(v - np.float32(top))
    red = green = blue = _ZERO
    for i in range(4):
        row = min(max(top - 1 + i, 0), height - 1)
        r = g = b = _ZERO
        for j in range(4):
            column = min(max(left - 1 + j, 0), width - 1)
            share = across[j]
            r += share * np.float32(rgb[row, column, 0])
            g += share * np.float32(rgb[row, column, 1])
            b += share * np.float32(rgb[row, column, 2])
        red, green, blue = red + down[i] * r, green + down[i] * g, blue + down[i] * b
    return _to_unit(red), _to_unit(green), _to_unit(blue)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _cubic(t: Any) -> Any:
    """Weights of the four pixels around a place t of the way from the second to the third."""
    s = _ONE - t
    return (
        _SLOPE * t * s * s,
        ((_SLOPE + _TWO) * t - (_SLOPE + _THREE)) * t * t + _ONE,
        ((_SLOPE + _TWO) * s - (_SLOPE + _THREE)) * s * s + _ONE,
        _SLOPE * s * t * t,
    )


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _to_unit(level: Any) -> Any:
    """0…255 to [−1, 1]; interpolation may have gone beyond."""
    return min(max(level / _LEVELS - _ONE, -_ONE), _ONE)
