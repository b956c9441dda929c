"""Conditioning: what the frame model is told about a view, as image channels.

Three things reach it besides the noise: the anchor as rasterised; the references' pixels carried
over to the target view, where the anchor's depth or their own says how (image-based rendering);
and, for the transformer, the references themselves with their relative projections. Images are
float [−1, 1] NCHW here and nowhere else. Every function is batched, stays on its device and waits
for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

NOISE_CHANNELS = 4  # rgb and the depth code
CONDITIONING_CHANNELS = 9  # anchor rgb, completed depth code, coverage; warped rgb, confidence
REFERENCE_CHANNELS = 5  # rgb, depth code, whether depth is known

_MIDDLE_DEPTH_M, _DEPTH_RATIO = 2.5, 20.0  # the code is ±1 at 2.5 m · 20 and 2.5 m / 20
_TRANSLATION_PER_M = 1 / 3  # keeps projections of rooms near the size of rotations
_NEAR_M, _FAR_M = 0.05, 1e9  # references' points are used from here on; no point is farther
_FAR_KEY = int(np.float32(_FAR_M).view(np.int32))
_SAME_SURFACE = 0.03  # relative difference of depth up to which two views see one surface
# The anchor is seen through where references know something at less than this share of its depth,
# in this many of a pixel's 3×3 neighbors and itself: not for the rim that splats add to things.
_CLEARLY_NEARER, _LEAST_AROUND = 0.85, 4
_LEAST_TO_FILL = 4  # known depths around an unknown one that is a crack between points


@dataclass(frozen=True, slots=True)
class PosedImages:
    """RGB-D images and their cameras, with any leading dimensions L.

    Attributes:
        rgb: uint8 [*L, H, W, 3].
        depth_z: z-depth in metres, float32 [*L, H, W]; 0 where unknown.
        c2w: Camera-to-world transforms, float32 [*L, 4, 4].
        intrinsics: (fx, fy, cx, cy) in pixels, float32 [*L, 4].
    """

    rgb: Tensor
    depth_z: Tensor
    c2w: Tensor
    intrinsics: Tensor


def encode_rgb(rgb: Tensor) -> Tensor:
    """uint8 [*L, H, W, 3] to float32 [*L, 3, H, W] in [−1, 1]."""
    return rgb.movedim(-1, -3).float() / 127.5 - 1


def decode_rgb(x: Tensor) -> Tensor:
    """[*L, 3, H, W] in [−1, 1] to uint8 [*L, H, W, 3]."""
    levels = (x.float() * 127.5 + 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).movedim(-3, -1).contiguous()


def encode_depth(depth_z: Tensor) -> Tensor:
    """The depth code, [*L, H, W] metres to [*L, 1, H, W]: log inverse depth, 0 where unknown.

    Equal steps of the code are equal relative steps of depth; it is 1 at 0.125 m, −1 at 50 m.
    """
    known = depth_z > 0
    code = (_MIDDLE_DEPTH_M / torch.where(known, depth_z, 1.0)).log()
    return (code / math.log(_DEPTH_RATIO)).clamp(-1.25, 1.25).mul(known).unsqueeze(-3)


def decode_depth(code: Tensor) -> Tensor:
    """Depth code [*L, 1, H, W] to z-depth in metres, float32 [*L, H, W]."""
    code = code.squeeze(-3).float().clamp(-1.25, 1.25)
    return _MIDDLE_DEPTH_M * torch.exp(code * -math.log(_DEPTH_RATIO))


def pixel_rays(intrinsics: Tensor, height: int, width: int) -> Tensor:
    """(x / z, y / z) of the rays through pixel centers, camera frame, [*L, 4] to [*L, 2, H, W]."""
    fx, fy, cx, cy = (v[..., None] for v in intrinsics.unbind(-1))
    u = torch.arange(width, device=intrinsics.device, dtype=torch.float32) + 0.5
    v = torch.arange(height, device=intrinsics.device, dtype=torch.float32) + 0.5
    x = ((u - cx) / fx)[..., None, :].expand(*intrinsics.shape[:-1], height, width)
    y = ((v - cy) / fy)[..., :, None].expand(*intrinsics.shape[:-1], height, width)
    return torch.stack([x, y], dim=-3)


def relative_pose(to_c2w: Tensor, from_c2w: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation [*L, 3, 3] and translation [*L, 3] from one camera's frame to another's.

    The difference of positions is taken first, so that worlds far from the origin lose nothing.
    """
    inverse = to_c2w[..., :3, :3].transpose(-1, -2)
    rotation = inverse @ from_c2w[..., :3, :3]
    offset = from_c2w[..., :3, 3] - to_c2w[..., :3, 3]
    return rotation, (inverse @ offset[..., None]).squeeze(-1)


def complete_depth(
    depth_z: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    references: PosedImages,
    *,
    still: Tensor | None = None,
) -> Tensor:
    """The anchor's depth, or that of the nearest surface that a reference knows.

    The references' counts where the anchor has none, and where the anchor is seen through: where it
    lacks a near surface and shows a far one behind it. Cracks between their points are filled in.

    Args:
        depth_z: The anchor's depth in the target view, float32 [B, H, W]; 0 = uncovered.
        c2w: Target cameras, float32 [B, 4, 4].
        intrinsics: Target lenses, float32 [B, 4].
        references: R images for each target, leading dimensions [B, R].
        still: Views of scenes in which nothing moves, bool [B]; all by default. Elsewhere a
            reference may know a thing where it no longer is, and the anchor counts.

    Returns:
        float32 [B, H, W]; 0 where neither knows.
    """
    height, width = depth_z.shape[1:]
    count, ref_height, ref_width = references.depth_z.shape[1:]
    if count == 0:
        return depth_z
    rotation, translation = relative_pose(c2w[:, None], references.c2w)
    rays = pixel_rays(references.intrinsics, ref_height, ref_width)
    points = (
        torch.cat([rays, torch.ones_like(rays[:, :, :1])], dim=2) * references.depth_z[:, :, None]
    )
    x, y, z = (rotation @ points.flatten(3) + translation[..., None]).unbind(2)  # [B, R, h·w]
    ahead = (references.depth_z.flatten(2) > 0) & (z > _NEAR_M)
    fx, fy, cx, cy = (v[:, None, None] for v in intrinsics.unbind(-1))
    safe = torch.where(ahead, z, 1.0)
    # Each point covers the 2×2 pixels around it; the nearest point wins, as whole numbers do in
    # the order of their floats.
    left, top = torch.floor(fx * x / safe + cx - 0.5), torch.floor(fy * y / safe + cy - 0.5)
    key = torch.where(ahead, z, _FAR_M).contiguous().view(torch.int32).flatten(1)
    nearest = torch.full_like(depth_z, _FAR_M).view(torch.int32).flatten(1)
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        u, v = left + right, top + down
        inside = ahead & (u >= 0) & (u < width) & (v >= 0) & (v < height)
        pixel = torch.where(inside, v * width + u, 0.0).long().flatten(1)
        far = torch.where(inside.flatten(1), key, nearest.new_full((), _FAR_KEY))
        nearest = nearest.scatter_reduce(1, pixel, far, "amin")
    known = nearest.view(torch.float32).view_as(depth_z)
    covered = depth_z > 0
    nearer = covered & (known < _CLEARLY_NEARER * depth_z)
    if still is not None:
        nearer &= still[:, None, None]
    around = 9 * F.avg_pool2d(nearer[:, None].float(), 3, stride=1, padding=1)[:, 0]
    seen_through = nearer & (around > _LEAST_AROUND - 0.5)
    known = torch.where(known < _FAR_M, known, 0.0)
    return _without_cracks(torch.where(covered & ~seen_through, depth_z, known))


def _without_cracks(depth_z: Tensor) -> Tensor:
    """Depth with unknown pixels among known ones filled in by the mean inverse depth around."""
    known = depth_z > 0
    inverse = torch.where(known, 1 / torch.where(known, depth_z, 1.0), 0.0)
    around = 9 * F.avg_pool2d(torch.stack([known.float(), inverse], 1), 3, stride=1, padding=1)
    count, total = around.unbind(1)
    cracks = ~known & (count > _LEAST_TO_FILL - 0.5)
    return torch.where(cracks, count / total.clamp(min=1e-6), depth_z)


def shown_anchor(depth_z: Tensor, completed_depth_z: Tensor) -> Tensor:
    """Where the anchor is what a view shows: it covers the pixel and isn't seen through.

    Args:
        depth_z: The anchor's depth, float32 [B, H, W]; 0 = uncovered.
        completed_depth_z: From `complete_depth`, float32 [B, H, W].

    Returns:
        bool [B, H, W].
    """
    return (depth_z > 0) & (completed_depth_z == depth_z)


def warp_references(
    depth_z: Tensor, c2w: Tensor, intrinsics: Tensor, references: PosedImages
) -> tuple[Tensor, Tensor]:
    """Carry the references' colors to the target view, where both see the same surface.

    Args:
        depth_z: Depth in the target view, from `complete_depth`, float32 [B, H, W]; 0 = unknown.
        c2w: Target cameras, float32 [B, 4, 4].
        intrinsics: Target lenses, float32 [B, 4].
        references: R images for each target, leading dimensions [B, R].

    Returns:
        rgb, float32 [B, 3, H, W] in [−1, 1], 0 where no reference helps; and confidence in 0…1,
        float32 [B, 1, H, W]: high where a reference sees the surface from nearby and as sharply.
    """
    batch, height, width = depth_z.shape
    count = references.rgb.shape[1]
    if count == 0:
        empty = depth_z.new_zeros(batch, 4, height, width)
        return empty[:, :3], empty[:, 3:]
    rotation, translation = relative_pose(references.c2w, c2w[:, None])  # [B, R, 3, 3], [B, R, 3]
    rays = pixel_rays(intrinsics, height, width)
    rays = torch.cat([rays, torch.ones_like(rays[:, :1])], dim=1)  # [B, 3, H, W]
    points = (rays * depth_z[:, None]).flatten(2)  # target frame
    seen = (rotation @ points[:, None] + translation[..., None]).unflatten(-1, (height, width))
    z = seen[:, :, 2].clamp(min=1e-3)
    fx, fy, cx, cy = (v[..., None, None] for v in references.intrinsics.unbind(-1))
    ref_height, ref_width = references.rgb.shape[2:4]
    grid_x = (fx * seen[:, :, 0] / z + cx) * (2 / ref_width) - 1
    grid_y = (fy * seen[:, :, 1] / z + cy) * (2 / ref_height) - 1
    grid = torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)  # [B·R, H, W, 2]
    rgb = encode_rgb(references.rgb).flatten(0, 1)
    # Cubic: a linear interpolation takes half of the contrast of neighboring pixels away.
    colors = F.grid_sample(
        rgb, grid, mode="bicubic", padding_mode="border", align_corners=False
    ).clamp(-1, 1)
    there = F.grid_sample(
        references.depth_z.flatten(0, 1)[:, None], grid, mode="nearest", align_corners=False
    ).view_as(z)

    inside = (grid_x.abs() < 1) & (grid_y.abs() < 1) & (seen[:, :, 2] > _NEAR_M)
    inside &= (there > 0) & (depth_z > 0)[:, None]
    same = (2 - (there - z).abs() / (_SAME_SURFACE * z)).clamp(0, 1)
    # Cosine between the two lines of sight, and how finely the reference samples the surface.
    toward = (seen * (seen - translation[..., None, None])).sum(2)
    cosine = toward / (seen.norm(dim=2) * points.norm(dim=1).view_as(depth_z)[:, None] + 1e-6)
    finer = (fx * depth_z[:, None] / (z * intrinsics[:, None, :1, None])).clamp(max=1)
    weight = (inside * same * cosine.clamp(0, 1).square() * finer)[:, :, None]  # [B, R, 1, H, W]
    # A steep power: the best view wins, for averages of two nearly right pictures are blurred.
    share = weight.pow(4)
    rgb = (share * colors.unflatten(0, (batch, count))).sum(1) / (share.sum(1) + 1e-6)
    return rgb, weight.amax(1)


def conditioning_channels(
    anchor_rgb: Tensor,
    anchor_depth_z: Tensor,
    *,
    completed_depth_z: Tensor,
    warped_rgb: Tensor,
    confidence: Tensor,
) -> Tensor:
    """All that the network sees of a view besides noise, float32 [B, 9, H, W].

    Args:
        anchor_rgb: uint8 [B, H, W, 3].
        anchor_depth_z: float32 [B, H, W]; 0 where uncovered or seen through.
        completed_depth_z: float32 [B, H, W], from `complete_depth`; 0 = unknown.
        warped_rgb: float32 [B, 3, H, W], from `warp_references`.
        confidence: float32 [B, 1, H, W].
    """
    covered = (anchor_depth_z > 0)[:, None].float()
    anchor = encode_rgb(anchor_rgb) * covered
    return torch.cat(
        [anchor, encode_depth(completed_depth_z), covered, warped_rgb, confidence], dim=1
    )


def reference_channels(rgb: Tensor, depth_z: Tensor) -> Tensor:
    """What the reference stream sees, uint8 [M, h, w, 3] and [M, h, w] to float32 [M, 5, h, w]."""
    known = (depth_z > 0)[:, None].float()
    return torch.cat([encode_rgb(rgb), encode_depth(depth_z), known], dim=1)


def relative_projection(
    c2w: Tensor,
    intrinsics: Tensor,
    size: tuple[int, int],
    ref_c2w: Tensor,
    ref_intrinsics: Tensor,
    ref_size: tuple[int, int],
) -> Tensor:
    """P_target · P_reference⁻¹ of PRoPE (Li et al. 2025; see `attention`).

    P is the 4×4 world-to-image projection with image coordinates in [−1, 1].

    Args:
        c2w: Target cameras, [B, 4, 4].
        intrinsics: [B, 4].
        size: (height, width) of the target.
        ref_c2w: [B, R, 4, 4].
        ref_intrinsics: [B, R, 4].
        ref_size: (height, width) of the references.

    Returns:
        float32 [B, R, 4, 4].
    """
    rotation, translation = relative_pose(c2w[:, None], ref_c2w)
    target = _lens_matrix(*_normalized_lens(intrinsics, *size))[:, None]  # [B, 1, 3, 3]
    fx, fy, cx, cy = _normalized_lens(ref_intrinsics, *ref_size)
    unproject = _lens_matrix(1 / fx, 1 / fy, -cx / fx, -cy / fy)
    projection = rotation.new_zeros(*rotation.shape[:2], 4, 4)
    projection[..., :3, :3] = target @ rotation @ unproject
    projection[..., :3, 3] = (target @ translation[..., None]).squeeze(-1) * _TRANSLATION_PER_M
    projection[..., 3, 3] = 1
    return projection


def _normalized_lens(intrinsics: Tensor, height: int, width: int) -> tuple[Tensor, ...]:
    """(fx, fy, cx, cy) for image coordinates in [−1, 1], each [*L]."""
    fx, fy, cx, cy = intrinsics.unbind(-1)
    return 2 * fx / width, 2 * fy / height, 2 * cx / width - 1, 2 * cy / height - 1


def _lens_matrix(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """Intrinsics [*L] as matrices [*L, 3, 3]."""
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = [fx, zero, cx, zero, fy, cy, zero, zero, one]
    matrix: Tensor = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    return matrix
