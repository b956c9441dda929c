"""Voxel thinning: at most one point per voxel, object and side of a surface."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import AnchorError

_SIDES = 7  # ±x, ±y, ±z, unknown


def voxel_thin(anchor: Anchor, voxel_m: float) -> Anchor:
    """Average the points that share a voxel, an object, a side and their provenance.

    Points whose normals have different dominant axes or signs stay apart, so that the two sides
    of a thin wall keep their own color. The result is ordered by voxel and does not depend on the
    order of the input beyond rounding.

    Args:
        anchor: Points to thin.
        voxel_m: Side of the voxels in metres.

    Returns:
        An anchor with averaged positions, colors and (renormalized) normals. A voxel cuts at most
        voxel² / max |nᵢ| from a plane with unit normal n, so the radius is half the side of a
        square of that area, or the members' mean radius where that is larger.

    Raises:
        AnchorError: If `voxel_m` is not positive, or so small that voxels can't be numbered.
    """
    if not (np.isfinite(voxel_m) and voxel_m > 0):
        raise AnchorError(f"voxel_m must be a positive length in metres, got {voxel_m}")
    key = _voxel_keys(anchor, voxel_m)
    # A stable sort keeps sums in input order, so that every machine rounds alike.
    order = np.argsort(key, kind="stable")
    first, mean = _average_groups(
        key, order, anchor.points, anchor.colors, anchor.normals, anchor.radius
    )
    normals = mean[:, 6:9]
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.where(length > 1e-3, normals / np.maximum(length, 1e-3), 0.0)
    dominant = np.abs(normals).max(axis=-1)
    # Unknown normals get the widest patch, the one across the voxel's diagonal.
    patch_radius = 0.5 * voxel_m / np.sqrt(np.where(dominant > 0, dominant, 3**-0.5))
    return Anchor(
        points=mean[:, 0:3].astype(np.float32),
        colors=np.rint(mean[:, 3:6]).astype(np.uint8),
        normals=normals.astype(np.float32),
        instance=anchor.instance[first],
        radius=np.maximum(patch_radius, mean[:, 9]).astype(np.float32),
        generated=anchor.generated[first],
    )


@numba.njit(cache=True, nogil=True)
def _average_groups(
    key: NDArray[np.int64],
    order: NDArray[np.int64],
    points: NDArray[np.float32],
    colors: NDArray[np.uint8],
    normals: NDArray[np.float32],
    radius: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """First member [G] and mean (point, color, normal, radius) [G, 10] of runs of equal keys."""
    groups = 1
    for i in range(1, len(order)):
        groups += key[order[i]] != key[order[i - 1]]
    first = np.empty(groups, np.int64)
    mean = np.zeros((groups, 10), np.float64)
    group, start = -1, 0
    for i in range(len(order)):
        member = order[i]
        if i == 0 or key[member] != key[order[i - 1]]:
            if group >= 0:
                mean[group] /= i - start
            group, start = group + 1, i
            first[group] = member
        for axis in range(3):
            mean[group, axis] += points[member, axis]
            mean[group, 3 + axis] += colors[member, axis]
            mean[group, 6 + axis] += normals[member, axis]
        mean[group, 9] += radius[member]
    mean[group] /= len(order) - start
    return first, mean


def _voxel_keys(anchor: Anchor, voxel_m: float) -> NDArray[np.int64]:
    """One integer per point, int64 [N], equal where points are to be merged."""
    low = np.floor(anchor.points.min(axis=0) / np.float64(voxel_m))
    extent = np.floor(anchor.points.max(axis=0) / np.float64(voxel_m)) - low + 1
    if anchor.instance.any():
        body = np.unique(anchor.instance, return_inverse=True)[1]
    else:
        body = np.zeros(len(anchor), np.int64)
    total = float(extent.prod()) * (int(body.max()) + 1) * _SIDES * 2
    if total >= 2**62:
        raise AnchorError(
            f"voxel_m = {voxel_m} is too fine for a cloud of "
            f"{np.ptp(anchor.points, axis=0).round(1).tolist()} metres: use larger voxels"
        )
    keys: NDArray[np.int64] = _number_voxels(
        anchor.points,
        anchor.normals,
        anchor.generated,
        body,
        low,
        extent.astype(np.int64),
        int(body.max()) + 1,
        voxel_m,
    )
    return keys


@numba.njit(cache=True, nogil=True)
def _number_voxels(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    generated: NDArray[np.bool_],
    body: NDArray[np.int64],
    low: NDArray[np.float64],
    extent: NDArray[np.int64],
    bodies: int,
    voxel_m: float,
) -> NDArray[np.int64]:
    """Row-major numbers of (voxel, body, side, generated), int64 [N]."""
    keys = np.empty(len(points), np.int64)
    for i in range(len(points)):
        side, dominant = _SIDES - 1, 0.0
        key = 0
        for axis in range(3):
            key = key * extent[axis] + np.int64(np.floor(points[i, axis] / voxel_m) - low[axis])
            if abs(normals[i, axis]) > abs(dominant):
                dominant = normals[i, axis]
                side = 2 * axis + (1 if dominant < 0 else 0)
        keys[i] = ((key * bodies + body[i]) * _SIDES + side) * 2 + (1 if generated[i] else 0)
    return keys
