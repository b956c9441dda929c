"""Foreground: the floor between a camera's foot and the lower edge of its photo."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera
from worldfm_gym.worlds.world import Reference

_MAX_REACH_M = 4.0
_FOOT_RADIUS_M = 0.45  # whoever took the photo stood here, with room to turn
_FLOOR_BAND_M = 0.02
_CLEAR_M = 0.05  # a ray that ends so far behind a point has passed it
_LOWEST_M = 0.15
_FLOOR_SAMPLES = 800
_HEIGHTS = 32


def foreground_floor(anchor: Anchor, reference: Reference, *, spacing_m: float) -> Anchor | None:
    """Continue the floor from the lower edge of a photo to the camera's foot.

    A place is filled if it lies below the picture, not behind something in it, and if all that
    the camera saw of the column above it is empty. The points are marked as generated: they are a
    guess, though about ground that the camera stood on and looked across.

    Args:
        anchor: Surfaces in world coordinates, floor at z = 0.
        reference: The photo with its depth and camera.
        spacing_m: Sampling distance of the new points in metres.

    Returns:
        The new points, colored like the nearest floor in view, or like the picture's lower edge
        where no floor is; None if there is nothing to fill.
    """
    ground = _ground_below(reference.camera, spacing_m)
    ground = ground[_column_is_clear(ground, reference)]
    if len(ground) == 0:
        return None
    return Anchor.from_points(
        ground,
        _floor_colors(anchor, reference, ground),
        normals=np.tile([0.0, 0.0, 1.0], (len(ground), 1)),
        radius=spacing_m / 2,
        generated=np.ones(len(ground), np.bool_),
    )


def _floor_colors(
    anchor: Anchor, reference: Reference, ground: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Colors [N, 3] of the floor seen nearest to each point, or of the picture's lower edge."""
    seen = (np.abs(anchor.points[:, 2]) < _FLOOR_BAND_M) & (anchor.normals[:, 2] > 0.9)
    if not seen.any():
        rows = max(1, reference.rgb.shape[0] // 20)
        return np.tile(reference.rgb[-rows:].mean(axis=(0, 1)), (len(ground), 1))
    points, colors = anchor.points[seen, :2], anchor.colors[seen]
    foot = reference.camera.position_world[:2].astype(np.float32)
    nearest = np.argsort(np.linalg.norm(points - foot, axis=-1), kind="stable")
    nearest = nearest[: max(_FLOOR_SAMPLES, len(nearest) // 4)]
    nearest = nearest[:: -(-len(nearest) // _FLOOR_SAMPLES)]
    mixed: NDArray[np.float64] = _mix_by_distance(
        ground[:, :2].astype(np.float32), points[nearest], colors[nearest]
    )
    return np.rint(mixed)


@numba.njit(cache=True, nogil=True)
def _mix_by_distance(ground: Any, points: Any, colors: Any) -> Any:
    """Colors [N, 3] of points [M, 2] around each ground point [N, 2], weighted by 1 / distance⁶."""
    out = np.zeros((len(ground), 3))
    for n in range(len(ground)):
        total = 0.0
        for m in range(len(points)):
            x, y = ground[n, 0] - points[m, 0], ground[n, 1] - points[m, 1]
            square = x * x + y * y + 1e-4
            weight = 1.0 / (square * square * square)
            total += weight
            for c in range(3):
                out[n, c] += weight * colors[m, c]
        for c in range(3):
            out[n, c] /= total
    return out


def _ground_below(camera: Camera, spacing_m: float) -> NDArray[np.float64]:
    """Grid points [N, 3] of the floor around the camera's foot that lie below its image."""
    steps = np.arange(-_MAX_REACH_M, _MAX_REACH_M + spacing_m, spacing_m)
    x, y = np.meshgrid(steps, steps, indexing="ij")
    offset = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    foot = camera.position_world * [1, 1, 0]
    reach = np.linalg.norm(offset, axis=-1)
    ahead = offset @ camera.c2w[:3, 2] > 0
    points = foot + offset[(reach < _MAX_REACH_M) & (ahead | (reach < _FOOT_RADIUS_M))]
    pixels, depth_z = camera.project(points)
    return np.asarray(points[(depth_z <= 0) | (pixels[:, 1] >= camera.height)])


def _column_is_clear(ground: NDArray[np.float64], reference: Reference) -> NDArray[np.bool_]:
    """Whether the camera saw something of the column above each point [N, 3], all of it empty."""
    camera = reference.camera
    eye = camera.position_world
    heights = np.linspace(_LOWEST_M, max(_LOWEST_M, float(eye[2]) + 0.3), _HEIGHTS)
    known, blocked = _look_along_columns(
        ground, heights, np.ascontiguousarray(reference.depth), camera.w2c, camera.intrinsics
    )
    at_foot = np.linalg.norm((ground - eye)[:, :2], axis=-1) < _FOOT_RADIUS_M
    return np.asarray((known | at_foot) & ~blocked)


@numba.njit(cache=True, nogil=True)
def _look_along_columns(ground: Any, heights: Any, depth: Any, w2c: Any, intrinsics: Any) -> Any:
    """Whether depth [H, W] is known, and ends short, at a height above each point [N, 3]."""
    known = np.zeros(len(ground), np.bool_)
    blocked = np.zeros(len(ground), np.bool_)
    fx, fy, cx, cy = intrinsics
    for n in range(len(ground)):
        for h in range(len(heights)):
            x, y, z = ground[n, 0], ground[n, 1], ground[n, 2] + heights[h]
            along = w2c[2, 0] * x + w2c[2, 1] * y + w2c[2, 2] * z + w2c[2, 3]
            if along <= 1e-6:
                continue
            right = w2c[0, 0] * x + w2c[0, 1] * y + w2c[0, 2] * z + w2c[0, 3]
            down = w2c[1, 0] * x + w2c[1, 1] * y + w2c[1, 2] * z + w2c[1, 3]
            u = math.floor(right / along * fx + cx)
            v = math.floor(down / along * fy + cy)
            if 0 <= u < depth.shape[1] and 0 <= v < depth.shape[0] and depth[v, u] > 0:
                known[n] = True
                if depth[v, u] <= along + _CLEAR_M:
                    blocked[n] = True
                    break
    return known, blocked
