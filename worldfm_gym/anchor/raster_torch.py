"""The readable oracle of the anchor raster, in plain torch float32 on the CPU.

The fast rasterisers do the same float32 operations in the same order, without fused
multiply-adds, so the winner of every pixel is the same bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldfm_gym.anchor.pyramid import MAX_FOOTPRINT_PX, NEAR_M, SplatPyramid

EMPTY = (1 << 63) - 1


def rasterize_one(
    pyramid: SplatPyramid,
    body_to_camera: Tensor,
    *,
    intrinsics: Tensor,
    levels: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """Draw one camera.

    Args:
        pyramid: Splats of one world.
        body_to_camera: Rest-to-camera transforms per body, float32 [bodies, 3, 4].
        intrinsics: (fx, fy, cx, cy), float32 [4].
        levels: Distances from which coarser levels are drawn, float32 [LEVELS − 1].
        width: Image width.
        height: Image height.

    Returns:
        Winning splat per pixel, int64 [H, W], −1 where none; z-depth in metres, float32 [H, W],
        0 where none.
    """
    splat = selected_splats(pyramid, body_to_camera, levels)
    body = torch.from_numpy(pyramid.attributes)[:, 3].long()
    splats = torch.from_numpy(pyramid.splats)
    geometry = splats[splat].T
    position, normal = to_camera(geometry, body_to_camera[body[splat]])
    x, y, z = position
    facing = (normal[0] * x + normal[1] * y) + normal[2] * z
    keep = (z > NEAR_M) & (facing <= 0)
    splat, geometry = splat[keep], geometry[:, keep]
    position, normal = [p[keep] for p in position], [n[keep] for n in normal]
    box = footprint(position, normal, geometry[3], intrinsics)
    pair, u, v = _pixels_of(box, width, height)
    key = (position[2][pair].view(torch.int32).long() << 32) | splat[pair]
    buffer = torch.full((height * width,), EMPTY, dtype=torch.int64)
    buffer.scatter_reduce_(0, v * width + u, key, reduce="amin")
    hit = buffer != EMPTY
    winner = torch.where(hit, buffer & 0xFFFFFFFF, -1)
    center_z = torch.where(hit, buffer >> 32, 0).to(torch.int32).view(torch.float32)
    depth = torch.zeros(height * width)
    pixel = hit.nonzero()[:, 0]
    won = winner[pixel]
    geometry = splats[won].T
    position, normal = to_camera(geometry, body_to_camera[body[won]])
    depth[pixel] = tangent_depth(
        position, normal, geometry[3], center_z[pixel], pixel % width, pixel // width, intrinsics
    )
    return winner.view(height, width), depth.view(height, width)


def selected_splats(pyramid: SplatPyramid, body_to_camera: Tensor, levels: Tensor) -> Tensor:
    """Indices of the splats of the level that each cell is drawn with, int64 [M']."""
    sphere = torch.from_numpy(pyramid.cell_sphere).T
    m = body_to_camera[torch.from_numpy(pyramid.cell_body).long()]
    x, y, z = (
        ((m[:, i, 0] * sphere[0] + m[:, i, 1] * sphere[1]) + m[:, i, 2] * sphere[2]) + m[:, i, 3]
        for i in range(3)
    )
    distance = torch.sqrt((x * x + y * y) + z * z)
    level = (distance[:, None] >= levels).sum(1)
    start = torch.from_numpy(pyramid.cell_start).long()
    first = start.gather(1, level[:, None])[:, 0]
    count = start.gather(1, level[:, None] + 1)[:, 0] - first
    offset = torch.arange(int(count.sum())) - torch.repeat_interleave(
        count.cumsum(0) - count, count
    )
    return torch.repeat_interleave(first, count) + offset


def to_camera(geometry: Tensor, m: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Camera-frame positions and normals, three [M] tensors each."""
    px, py, pz, _, nx, ny, nz, _ = geometry
    position = [
        ((m[:, i, 0] * px + m[:, i, 1] * py) + m[:, i, 2] * pz) + m[:, i, 3] for i in range(3)
    ]
    normal = [(m[:, i, 0] * nx + m[:, i, 1] * ny) + m[:, i, 2] * nz for i in range(3)]
    return position, normal


def footprint(
    position: list[Tensor], normal: list[Tensor], radius: Tensor, intrinsics: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixel box (u0, u1, v0, v1), inclusive, that the projected disc of each splat covers.

    A disc of radius r and normal n around p projects to |u − u_p| ≤ f·r/z · ‖(I − nnᵀ)(1, 0, −x/z)‖
    to first order, and alike for v. Every splat covers at least the pixel that holds its center.
    """
    x, y, z = position
    fx, fy, cx, cy = intrinsics
    inverse_z = 1.0 / z
    sides = []
    for a, na, f, c in ((x, normal[0], fx, cx), (y, normal[1], fy, cy)):
        tangent = a * inverse_z
        along = na - tangent * normal[2]
        extent = torch.sqrt(torch.clamp((1.0 + tangent * tangent) - along * along, min=0.0))
        half = torch.clamp(((f * radius) * inverse_z) * extent, 0.5, MAX_FOOTPRINT_PX)
        center = (f * tangent + c) - 0.5
        sides += [torch.ceil(center - half), torch.floor(center + half)]
    return sides[0], sides[1], sides[2], sides[3]


def tangent_depth(
    position: list[Tensor],
    normal: list[Tensor],
    radius: Tensor,
    center_z: Tensor,
    u: Tensor,
    v: Tensor,
    intrinsics: Tensor,
) -> Tensor:
    """z-depth where a pixel's ray meets the tangent plane of its splat, at most two radii away."""
    fx, fy, cx, cy = intrinsics
    ray_x = ((u.float() + 0.5) - cx) / fx
    ray_y = ((v.float() + 0.5) - cy) / fy
    offset = (normal[0] * position[0] + normal[1] * position[1]) + normal[2] * position[2]
    slope = (normal[0] * ray_x + normal[1] * ray_y) + normal[2]
    on_plane = torch.where(slope < -1e-3, offset / torch.clamp(slope, max=-1e-3), center_z)
    reach = 2.0 * radius
    low = torch.clamp(center_z - reach, min=NEAR_M)
    return torch.minimum(torch.maximum(on_plane, low), center_z + reach)


def _pixels_of(
    box: tuple[Tensor, Tensor, Tensor, Tensor], width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """All (splat, u, v) triples inside the boxes and the image, three int64 [pairs]."""
    u0, u1 = box[0].clamp(0, width).long(), box[1].clamp(-1, width - 1).long()
    v0, v1 = box[2].clamp(0, height).long(), box[3].clamp(-1, height - 1).long()
    columns, rows = (u1 - u0 + 1).clamp(min=0), (v1 - v0 + 1).clamp(min=0)
    count = columns * rows
    pair = torch.repeat_interleave(torch.arange(len(count)), count)
    offset = torch.arange(len(pair)) - (count.cumsum(0) - count)[pair]
    return pair, u0[pair] + offset % columns[pair], v0[pair] + offset // columns[pair]
