"""Visibility: how much of a view other views show, in soft terms, and which of them complement.

Everything is computed element by element or in whole numbers, so that neither the batch a view is
in nor the order of a sum can change which references are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_GRID = 16  # points along each side of the target
_SAME_SURFACE = 0.05  # relative difference of depth at which a point is half seen
_BORDER = 0.08  # of the image's side, over which a point fades as it leaves the image
_UNKNOWN = 0.5  # how much a point counts where the reference's own depth is unknown
_UNCOVERED = 0.3  # how much a point counts whose depth the anchor doesn't know
_TYPICAL_DEPTH_M = 2.5
_NEAR_M = 0.05
_UNITS = 1 << 16  # shares are whole numbers of 1 / _UNITS


@dataclass(frozen=True, slots=True)
class Looks:
    """Cameras: c2w float32 [*L, 4, 4] and (fx, fy, cx, cy) in pixels, float32 [*L, 4]."""

    c2w: Tensor
    intrinsics: Tensor


def seen_shares(
    depth_z: Tensor, target: Looks, ref_depth_z: Tensor, references: Looks, rows: Tensor
) -> Tensor:
    """How well each reference shows each of 16 × 16 points of each target view.

    A point of the view is lifted by the anchor's depth and counts for 1, times: whether the
    reference's depth agrees that it is visible from there, its squared cosine between the two
    lines of sight, how finely the reference samples it compared to the target, and a ramp at the
    image's border. Points without depth are put at a mean distance, never tested for visibility,
    and count for less.

    Args:
        depth_z: The anchor's depth in the target views, float32 [B, H, W]; 0 = uncovered.
        target: B cameras.
        ref_depth_z: Depths of all references, float32 [M, h, w]; 0 = unknown.
        references: Cameras of K references for each target, leading dimensions [B, K].
        rows: Which of the M they are, int64 [B, K].

    Returns:
        Shares in 1 / 65536, int32 [B, K, P].
    """
    depth, x, y, known = _grid_points(depth_z, target.intrinsics)  # [B, 1, P]
    seen_x, seen_y, z, cosine = _seen_from(depth, x, y, target.c2w, references.c2w)  # [B, K, P]
    in_front = z > _NEAR_M
    z = z.clamp(min=_NEAR_M)
    fx, fy, cx, cy = references.intrinsics[..., None].unbind(-2)  # [B, K, 1]
    height, width = ref_depth_z.shape[1:]
    u, v = seen_x * fx / z + cx, seen_y * fy / z + cy
    ramp = _ramp(u, width) * _ramp(v, height)
    column = u.clamp(0, width - 1).long()
    row = v.clamp(0, height - 1).long()
    there = ref_depth_z.view(-1)[(rows[..., None] * height + row) * width + column]
    difference = (there - z) / (_SAME_SURFACE * z)
    agrees = 1 / (1 + difference * difference)
    agrees = agrees * agrees
    agrees = torch.where(there > 0, agrees, _UNKNOWN)
    agrees = torch.where(known, agrees, _UNCOVERED)
    finer = (fx * depth / (z * target.intrinsics[:, None, :1])).clamp(max=1)
    share = in_front * ramp * agrees * cosine * cosine * finer
    return (share * _UNITS).round().int()


def pick_complementary(shares: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose `count` of K by what each adds to those before, the most first.

    Args:
        shares: From `seen_shares`, int32 [B, K, P].
        count: At most K.

    Returns:
        Places among the K, int64 [B, count]; what each added to the share of the view that is
        shown, 0…1, float64 [B, count]; and what the best of the others would have added instead of
        the last, float64 [B, 1].
    """
    best = torch.zeros_like(shares[:, :1])
    added = shares.new_zeros(shares.shape[:2], dtype=torch.int64)
    places, gains = [added[:, :0]], [added[:, :0]]
    for _ in range(count):
        added = (shares - best).clamp(min=0).sum(dim=-1)  # [B, K], whole numbers
        gain, place = added.max(dim=1, keepdim=True)
        best = torch.maximum(best, shares.gather(1, place[..., None].expand_as(best)))
        places.append(place)
        gains.append(gain)
    others = added.scatter(1, places[-1], 0)
    of_view = 1 / (_UNITS * shares.shape[-1])
    return (
        torch.cat(places, dim=1),
        torch.cat(gains, dim=1).double() * of_view,
        others.amax(dim=1, keepdim=True).double() * of_view,
    )


def share_of_view(shares: Tensor) -> Tensor:
    """Share of the view that each reference shows by itself, [B, K, P] to float64 [B, K]."""
    return shares.sum(dim=-1).double() / (_UNITS * shares.shape[-1])


def _grid_points(depth_z: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Depth, x / z and y / z of grid points, and whether the depth is known, each [B, 1, P]."""
    height, width = depth_z.shape[1:]
    steps = (torch.arange(_GRID, device=depth_z.device) * 2 + 1).float() / (2 * _GRID)
    row, column = (steps * height).long(), (steps * width).long()
    sampled = depth_z[:, row[:, None], column].flatten(1)[:, None]
    known = sampled > 0
    # Harmonic mean of what is known, added up in whole numbers.
    inverse = (known / sampled.clamp(min=_NEAR_M) * _UNITS).long().sum(-1, keepdim=True)
    mean = known.sum(-1, keepdim=True) * float(_UNITS) / inverse.clamp(min=1)
    mean = torch.where(inverse > 0, mean, _TYPICAL_DEPTH_M)
    fx, fy, cx, cy = intrinsics[:, None, :, None].unbind(2)  # [B, 1, 1]
    x = (column.float() + 0.5).repeat(_GRID)
    y = (row.float() + 0.5).repeat_interleave(_GRID)
    return sampled.where(known, mean), (x - cx) / fx, (y - cy) / fy, known


def _seen_from(
    depth: Tensor, x: Tensor, y: Tensor, c2w: Tensor, ref_c2w: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points in each reference's frame (x, y, z), and the cosine between the lines of sight.

    All [B, K, P]. Sums of three terms are written out: a matrix product may round differently in
    another batch.
    """
    target, reference = c2w[:, None, :3, :3], ref_c2w[..., :3, :3]

    def turned(vector: Tensor) -> list[Tensor]:
        """Components of world vectors [B, K, 3] in the references' axes, [B, K] each."""
        a, b, c = (reference[..., i, :] * vector[..., i, None] for i in range(3))
        return list(((a + b) + c)[..., None].unbind(-2))

    columns = [turned(target[..., i].expand_as(reference[..., 0])) for i in range(3)]
    offset = turned(c2w[:, None, :3, 3] - ref_c2w[..., :3, 3])
    points = [
        (columns[0][i] * (x * depth) + columns[1][i] * (y * depth)) + columns[2][i] * depth
        for i in range(3)
    ]
    sight = [point + shift for point, shift in zip(points, offset, strict=True)]
    dot = (sight[0] * points[0] + sight[1] * points[1]) + sight[2] * points[2]
    lengths = _squared(sight) * _squared(points)
    cosine = dot / lengths.clamp(min=1e-12).sqrt()
    return sight[0], sight[1], sight[2], cosine.clamp(0, 1)


def _squared(vector: list[Tensor]) -> Tensor:
    return (vector[0] * vector[0] + vector[1] * vector[1]) + vector[2] * vector[2]


def _ramp(pixel: Tensor, side: int) -> Tensor:
    """1 inside an image of `side` pixels, falling to 0 at and beyond its border."""
    edge = torch.minimum(pixel, side - pixel) / (_BORDER * side)
    return edge.clamp(0, 1)
