"""Equirectangular panoramas: cut into ordinary views, whose depths are aligned and merged.

In a panorama's frame +z is up and +x is what the middle of the picture shows; column u of W is the
heading π − 2π (u + ½) / W, row v of H the elevation π/2 − π (v + ½) / H.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, FloatArray, heading_c2w
from worldfm_gym.reconstruction.alignment import Overlap, align_log_scales

_MIN_WIDTH = 512
_ASPECT_TOLERANCE = 0.02
_FOV_DEG = 95.0
_LEVEL_VIEWS, _TILTED_VIEWS, _TILT_DEG = 6, 3, 55.0
_SAMPLES = 20_000
_MIN_COMMON = 100
_BLEND_POWER = 6.0
_SEAM_FACTOR, _SEAM_LEVELS = 3.0, 4.0


def has_panorama_shape(size: tuple[int, int]) -> bool:
    """Whether a picture of (width, height) is twice as wide as high, and large enough."""
    return size[0] >= _MIN_WIDTH and abs(size[0] / size[1] / 2 - 1) < _ASPECT_TOLERANCE


def sides_join(rgb: NDArray[np.uint8]) -> bool:
    """Whether a picture's left and right edges continue each other, as those of a panorama do."""
    columns = rgb.astype(np.float64)
    beside = np.abs(np.diff(columns, axis=1)).mean(axis=(0, 2))
    seam = float(np.abs(columns[:, 0] - columns[:, -1]).mean())
    return seam < _SEAM_FACTOR * float(np.median(beside)) + _SEAM_LEVELS


def panorama_cameras(side: int) -> Camera:
    """The cameras of the ordinary views that cover a panorama, in its frame, batch [12].

    Six look level, the first of them ahead; three look up and three down.

    Args:
        side: Sides of the square views in pixels.
    """
    level = np.arange(_LEVEL_VIEWS) * 2 * np.pi / _LEVEL_VIEWS
    tilted = (np.arange(_TILTED_VIEWS) + 0.5) * 2 * np.pi / _TILTED_VIEWS
    tilt = np.deg2rad(_TILT_DEG)
    yaw = np.concatenate([level, tilted, tilted])
    pitch = np.repeat([0.0, -tilt, tilt], [_LEVEL_VIEWS, _TILTED_VIEWS, _TILTED_VIEWS])
    return Camera.from_fov(
        heading_c2w(np.zeros((len(yaw), 3)), yaw, pitch), _FOV_DEG, width=side, height=side
    )


def cut_view(panorama: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """What a single camera at a panorama's center sees, uint8 [h, w, 3], bilinear.

    Args:
        panorama: uint8 [H, W, 3].
        camera: Batch shape (), in the panorama's frame.
    """
    height, width = panorama.shape[:2]
    ray = camera.rays_world()
    heading = np.arctan2(ray[..., 1], ray[..., 0])
    elevation = np.arctan2(ray[..., 2], np.hypot(ray[..., 0], ray[..., 1]))
    u = (np.pi - heading) / (2 * np.pi) * width - 0.5
    v = np.clip((np.pi / 2 - elevation) / np.pi * height - 0.5, 0, height - 1)
    u0, v0 = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fu, fv = (u - u0)[..., None], (v - v0)[..., None]
    left, right = u0 % width, (u0 + 1) % width
    below = np.minimum(v0 + 1, height - 1)
    top = panorama[v0, left] * (1 - fu) + panorama[v0, right] * fu
    bottom = panorama[below, left] * (1 - fu) + panorama[below, right] * fu
    return np.asarray(np.rint(top * (1 - fv) + bottom * fv), np.uint8)


def align_views(depths: Sequence[NDArray[np.float32]], cameras: Camera) -> FloatArray:
    """Factors [N] that make the depths of views with one center agree where they overlap."""
    rays = _directions(_SAMPLES)
    ranges = np.stack([_look(d, cameras[i], rays)[0] for i, d in enumerate(depths)])
    overlaps = []
    for i, j in combinations(range(len(depths)), 2):
        common = (ranges[i] > 0) & (ranges[j] > 0)
        if common.sum() >= _MIN_COMMON:
            ratio = float(np.median(np.log(ranges[i, common] / ranges[j, common])))
            overlaps.append(Overlap(i, j, ratio, float(common.sum())))
    return np.exp(align_log_scales(overlaps, len(depths)))


def merge_views(
    depths: Sequence[NDArray[np.float32]], cameras: Camera
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]:
    """One depth for each direction, out of aligned views with one center.

    Each direction gets the mean of the views' log ranges, weighted by how near to the middle of a
    view it lies, so that the best view decides and no seam remains.

    Returns:
        The merged depth of each view, float32 [h, w], and which of its pixels no other view sees
        nearer to its middle, bool [h, w]: together these show each direction once.
    """
    merged, owned = [], []
    for i, depth_z in enumerate(depths):
        ray = cameras[i].rays_world().reshape(-1, 3).astype(np.float32)
        length = np.linalg.norm(ray, axis=-1)
        total, weighted = np.zeros_like(length), np.zeros_like(length)
        nearest = np.full(len(ray), -1.0, np.float32)
        best = np.zeros(len(ray), np.int64)
        for j, other in enumerate(depths):
            distance, inwardness = _look(other, cameras[j], ray)
            best[inwardness > nearest] = j
            nearest = np.maximum(nearest, inwardness)
            weight = np.where(distance > 0, inwardness, np.float32(0.0)) ** _BLEND_POWER
            total += weight
            weighted += weight * np.log(np.where(distance > 0, distance, np.float32(1.0)))
        known = (total > 0) & (depth_z.reshape(-1) > 0)
        mean = np.exp(weighted / np.maximum(total, np.float32(1e-12)))
        merged.append(np.where(known, mean, np.float32(0.0)).reshape(depth_z.shape))
        owned.append((best == i).reshape(depth_z.shape))
    return merged, owned


def _look(
    depth_z: NDArray[np.float32], camera: Camera, rays: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a view sees along rays [P, 3], by its nearest pixel.

    Returns:
        How many times the ray's length its surface is away, 0 if unseen, float32 [P]; and how far
        inside the view the ray is, 1 in the middle and 0 at its border and beyond, float32 [P].
    """
    height, width = depth_z.shape
    x, y, z = (rays @ camera.c2w[:3, :3].astype(np.float32)).T
    ahead = z > 1e-6
    scale = np.float32(camera.intrinsics[0]) / np.where(ahead, z, np.float32(1.0))
    u, v = x * scale, y * scale  # from the middle of the square view
    edge = np.maximum(np.abs(u), np.abs(v)) / np.float32(0.5 * width)
    inwardness = np.where(ahead, np.maximum(1.0 - edge, 0.0), np.float32(0.0)).astype(np.float32)
    inside = inwardness > 0
    column = np.where(inside, u + 0.5 * width, 0).astype(np.int32)
    row = np.where(inside, v + 0.5 * height, 0).astype(np.int32)
    along = np.where(ahead, z, np.float32(1.0))
    return np.where(inside, depth_z[row, column] / along, np.float32(0.0)), inwardness


def _directions(count: int) -> NDArray[np.float32]:
    """Unit vectors [count, 3] spread evenly over the sphere (Fibonacci lattice)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(angle), level * np.sin(angle), z], -1).astype(np.float32)
