"""Surface normals of depth images and of point clouds."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import Camera

_WINDOW = 2  # half side, pixels
_SAME_SURFACE = 0.10  # neighbors farther than this fraction of depth lie on another surface
_MAX_RESIDUAL = 0.012  # of a plane fit, relative to depth; beyond it the window spans an edge
_MIN_SUPPORT = 9  # of 25 pixels
_NEIGHBORS = 16
_KNN_CHUNK = 200_000


def normals_from_depth(depth_z: NDArray[np.floating[Any]], camera: Camera) -> NDArray[np.float32]:
    """Unit normals of the surfaces in a depth image, facing the camera.

    Along a plane, inverse depth is linear in pixel coordinates, so the normal at a pixel is the
    gradient of a least-squares fit of inverse depth over its 5×5 window (Badino et al., "Fast and
    Accurate Computation of Surface Normals from Range Images", ICRA 2011).

    Args:
        depth_z: z-depth in metres, [H, W]; 0 where unknown.
        camera: The single camera (batch shape ()) that took it.

    Returns:
        World-frame normals, float32 [H, W, 3]; zero where depth is unknown, and at depth edges
        and on surfaces too small to fit a plane.
    """
    inverse = np.zeros(depth_z.shape, np.float64)
    np.divide(1.0, depth_z, out=inverse, where=depth_z > 0)
    normals_cam = _fit_inverse_depth(inverse, camera.intrinsics)
    return np.asarray(normals_cam @ camera.c2w[:3, :3].T, np.float32)


def estimate_normals(
    points: NDArray[np.floating[Any]], *, toward: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Unit normals of an unordered cloud: the direction of least spread of 16 nearest neighbors.

    Args:
        points: Positions, [N, 3].
        toward: A point (3,) that every normal is turned to face, such as the sensor's position.
            None leaves the sign arbitrary.

    Returns:
        Normals, float32 [N, 3]; all zero if there are fewer than three points.
    """
    from scipy.spatial import cKDTree

    count = len(points)
    normals = np.zeros((count, 3), np.float32)
    if count < 3:
        return normals
    positions = np.asarray(points, np.float64)
    tree = cKDTree(positions)
    for start in range(0, count, _KNN_CHUNK):
        chunk = positions[start : start + _KNN_CHUNK]
        _, neighbor = tree.query(chunk, k=min(_NEIGHBORS, count), workers=-1)
        spread = positions[neighbor] - positions[neighbor].mean(axis=1, keepdims=True)
        covariance = np.einsum("nki,nkj->nij", spread, spread)
        normals[start : start + _KNN_CHUNK] = np.linalg.eigh(covariance)[1][:, :, 0]
    if toward is not None:
        away = np.einsum("ni,ni->n", normals, np.asarray(toward, np.float64) - positions) < 0
        normals[away] *= -1
    return normals


@numba.njit(cache=True, nogil=True)
def _fit_inverse_depth(
    inverse: NDArray[np.float64], intrinsics: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Camera-frame normals [H, W, 3] by fits 1/z ≈ a·x + b·y + c; the normal is −(a, b, c)."""
    height, width = inverse.shape
    fx, fy, cx, cy = intrinsics
    normals = np.zeros((height, width, 3), np.float32)
    for v in range(height):
        for u in range(width):
            center = inverse[v, u]
            if center <= 0:
                continue
            n = 0.0
            sx = sy = sz = sxx = sxy = syy = sxz = syz = szz = 0.0
            for row in range(max(0, v - _WINDOW), min(height, v + _WINDOW + 1)):
                for column in range(max(0, u - _WINDOW), min(width, u + _WINDOW + 1)):
                    value = inverse[row, column]
                    if value <= 0 or abs(value - center) > _SAME_SURFACE * center:
                        continue
                    x, y, z = float(column - u), float(row - v), value / center - 1.0
                    n += 1.0
                    sx += x
                    sy += y
                    sz += z
                    sxx += x * x
                    sxy += x * y
                    syy += y * y
                    sxz += x * z
                    syz += y * z
                    szz += z * z
            if n < _MIN_SUPPORT:
                continue
            cxx, cxy, cyy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
            cxz, cyz, czz = sxz - sx * sz / n, syz - sy * sz / n, szz - sz * sz / n
            det = cxx * cyy - cxy * cxy
            if det < 1.0:
                continue
            slope_u = (cyy * cxz - cxy * cyz) / det
            slope_v = (cxx * cyz - cxy * cxz) / det
            residual_sq = max(czz - slope_u * cxz - slope_v * cyz, 0.0) / n
            if residual_sq > _MAX_RESIDUAL**2:
                continue
            # Per pixel to per unit of normalized image coordinates, then to the plane's equation.
            a, b = slope_u * fx, slope_v * fy
            value = 1.0 + (sz - slope_u * sx - slope_v * sy) / n
            c = value - a * (u + 0.5 - cx) / fx - b * (v + 0.5 - cy) / fy
            length = math.sqrt(a * a + b * b + c * c)
            if length > 0:
                normals[v, u, 0] = -a / length
                normals[v, u, 1] = -b / length
                normals[v, u, 2] = -c / length
    return normals
