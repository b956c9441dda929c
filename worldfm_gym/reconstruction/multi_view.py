"""Multi-view scale: depths of posed views get the scales at which their surfaces coincide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, FloatArray
from worldfm_gym.reconstruction.alignment import Overlap, align_log_scales

_SAMPLES_PER_SIDE = 64
_ROUNDS = 8
_DAMPING = 0.7
_SAME_SURFACE = 0.7  # largest difference of log depth that is not an occlusion
_MIN_COMMON = 60
_SEARCH = np.exp(np.linspace(np.log(0.4), np.log(2.5), 41))
_CLEARLY_BETTER = 0.97
_MAX_PARTNERS = 6


def consistent_scales(
    depths: Sequence[NDArray[np.float32]],
    images: Sequence[NDArray[np.uint8]],
    cameras: Sequence[Camera],
) -> FloatArray:
    """Factors [N] for the depths of N posed views, so that they agree with the poses.

    Samples of each view are carried into the others, and the median log ratio of their depth to
    what is seen there is brought to zero by least squares over all pairs, a few times over. The
    scale common to all, which this leaves vague, is the one at which colors match best.

    Args:
        depths: z-depth of each view in any scale, float32 [H, W]; 0 where unknown.
        images: Their colors, uint8 [H, W, 3].
        cameras: Their cameras (batch shape ()), in metres.
    """
    log_scale = np.zeros(len(depths))
    pairs = _pairs(cameras)
    samples = [_samples(d, im, c) for d, im, c in zip(depths, images, cameras, strict=True)]
    for common in (False, True):
        for _ in range(_ROUNDS):
            overlaps = []
            for i, j in pairs:
                ratio, _ = _compare(samples[i], np.exp(log_scale[i]), depths[j], None, cameras[j])
                close = ratio - log_scale[j]
                close = (
                    close[np.abs(close - np.median(close)) < _SAME_SURFACE] if len(close) else close
                )
                if len(close) >= _MIN_COMMON:
                    overlaps.append(Overlap(i, j, float(np.median(close)), float(len(close))))
            log_scale += _DAMPING * align_log_scales(overlaps, len(depths))
        if not common:
            log_scale += np.log(_common_scale(samples, log_scale, depths, images, cameras, pairs))
    return np.exp(log_scale)


def _common_scale(
    samples: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
    log_scale: FloatArray,
    depths: Sequence[NDArray[np.float32]],
    images: Sequence[NDArray[np.uint8]],
    cameras: Sequence[Camera],
    pairs: Sequence[tuple[int, int]],
) -> float:
    """The factor for all views at which the colors of carried samples match best; 1 if unclear."""
    cost = np.zeros(len(_SEARCH))
    for k, factor in enumerate(_SEARCH):
        errors = [
            _compare(samples[i], factor * np.exp(log_scale[i]), depths[j], images[j], cameras[j])[1]
            for i, j in pairs
        ]
        joined = np.concatenate(errors) if errors else np.zeros(0)
        cost[k] = np.minimum(joined, 60.0).mean() if len(joined) >= _MIN_COMMON else np.inf
    best = int(cost.argmin())
    now = cost[np.abs(np.log(_SEARCH)).argmin()]
    return float(_SEARCH[best]) if cost[best] < _CLEARLY_BETTER * now else 1.0


def _pairs(cameras: Sequence[Camera]) -> list[tuple[int, int]]:
    """Each view with those whose poses are nearest to its own."""
    c2w = np.stack([camera.c2w for camera in cameras])
    place = np.concatenate([c2w[:, :3, 3], c2w[:, :3, 2]], axis=-1)
    apart = np.linalg.norm(place[:, None] - place[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, : min(_MAX_PARTNERS, len(cameras) - 1)]
    return [(i, int(j)) for i in range(len(cameras)) for j in nearest[i]]


def _samples(
    depth_z: NDArray[np.float32], image: NDArray[np.uint8], camera: Camera
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Origin [3], offsets [N, 3] of surface points from it at scale 1, and their colors [N, 3]."""
    step = max(1, max(depth_z.shape) // _SAMPLES_PER_SIDE)
    rays = camera.rays_world()[step // 2 :: step, step // 2 :: step]
    thin = depth_z[step // 2 :: step, step // 2 :: step]
    known = thin > 0
    colors = image[step // 2 :: step, step // 2 :: step][known].astype(np.float64)
    return camera.position_world, rays[known] * thin[known][:, None], colors


def _compare(
    samples: tuple[FloatArray, FloatArray, FloatArray],
    scale: float,
    depth_z: NDArray[np.float32],
    image: NDArray[np.uint8] | None,
    camera: Camera,
) -> tuple[FloatArray, FloatArray]:
    """Log ratio of samples' depth to what another view has there, and the difference in color."""
    origin, offset, colors = samples
    pixels, along = camera.project(origin + scale * offset)
    ahead = along > 1e-3
    u = np.floor(np.where(ahead, pixels[:, 0], -1)).astype(np.int64)
    v = np.floor(np.where(ahead, pixels[:, 1], -1)).astype(np.int64)
    seen = ahead & (u >= 0) & (u < depth_z.shape[1]) & (v >= 0) & (v < depth_z.shape[0])
    there = depth_z[v[seen], u[seen]]
    known = there > 0
    ratio = np.log(along[seen][known] / there[known])
    if image is None:
        return ratio, np.zeros(0)
    other = image[v[seen], u[seen]][known].astype(np.float64)
    return ratio, np.abs(other - colors[seen][known]).mean(axis=-1)
