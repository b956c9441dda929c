"""Foreground: the floor between a camera's foot and the lower edge of its photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera
from worldfm_gym.worlds.world import Reference

_MAX_REACH_M = 4.0
_FOOT_RADIUS_M = 0.3  # whoever took the photo stood here
_FLOOR_BAND_M = 0.02
_CLEAR_M = 0.05  # a ray that ends so far behind a point has passed it
_LOWEST_M = 0.15
_NEIGHBORS = 64


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
        The new points, colored like the nearest floor in view; None if there is nothing to fill.
    """
    from scipy.spatial import cKDTree

    seen = (np.abs(anchor.points[:, 2]) < _FLOOR_BAND_M) & (anchor.normals[:, 2] > 0.9)
    ground = _ground_below(reference.camera, spacing_m)
    ground = ground[_column_is_clear(ground, reference)]
    if len(ground) == 0 or not seen.any():
        return None
    nearest = cKDTree(anchor.points[seen, :2]).query(
        ground[:, :2], k=np.arange(1, min(_NEIGHBORS, int(seen.sum())) + 1)
    )[1]
    return Anchor.from_points(
        ground,
        np.rint(anchor.colors[seen][nearest].mean(axis=1)),
        normals=np.tile([0.0, 0.0, 1.0], (len(ground), 1)),
        radius=spacing_m / 2,
        generated=np.ones(len(ground), np.bool_),
    )


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
    heights = np.linspace(_LOWEST_M, max(_LOWEST_M, float(eye[2]) + 0.3), 32)
    column = ground[:, None] + heights[:, None] * [0.0, 0.0, 1.0]  # [N, 32, 3]
    pixels, depth_z = camera.project(column.reshape(-1, 3))
    u, v = (np.floor(np.nan_to_num(pixels, posinf=-1, neginf=-1)).astype(np.int64)).T
    inside = (depth_z > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    observed = np.zeros(len(u), np.float32)
    observed[inside] = reference.depth[v[inside], u[inside]]
    known = (observed > 0).reshape(len(ground), -1)
    blocked = known & (observed <= depth_z + _CLEAR_M).reshape(len(ground), -1)
    at_foot = np.linalg.norm((ground - eye)[:, :2], axis=-1) < _FOOT_RADIUS_M
    return np.asarray((known.any(axis=1) | at_foot) & ~blocked.any(axis=1))
