"""Agreement: where drawings of a place confirm each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.camera import Camera


def draws_agree(
    rgb: NDArray[np.uint8],
    depth_z: NDArray[np.float32],
    *,
    color_tolerance: float,
    depth_tolerance: float,
) -> NDArray[np.bool_]:
    """Where D drawings of the same views, with different noise, show the same.

    Args:
        rgb: uint8 [D, B, H, W, 3].
        depth_z: float32 [D, B, H, W], metres; 0 where unknown.
        color_tolerance: Largest difference of any two, mean over channels and 3×3 pixels.
        depth_tolerance: Largest relative difference of any two.

    Returns:
        bool [B, H, W]; False where a depth is unknown.
    """
    known = (depth_z > 0).all(axis=0)
    low, high = depth_z.min(axis=0), depth_z.max(axis=0)
    near = high - low <= depth_tolerance * np.maximum(low, 1e-6)
    spread = (rgb.max(axis=0).astype(np.float32) - rgb.min(axis=0)).mean(axis=-1)
    return np.asarray(known & near & (_mean3(spread) <= color_tolerance))


def _mean3(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over 3×3 pixels of images [B, H, W], borders repeated."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = values.shape[1:]
    total = np.zeros_like(values)
    for dv in range(3):
        for du in range(3):
            total += padded[:, dv : dv + height, du : du + width]
    return np.asarray(total / 9, np.float32)


def cross_check(
    points_world: NDArray[np.floating[Any]],
    source: NDArray[np.int64],
    depth_z: NDArray[np.float32],
    cameras: Camera,
    *,
    tolerance: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many views confirm points, and how many have looked through them.

    Args:
        points_world: [N, 3].
        source: View that each point comes from, which has no vote, int64 [N].
        depth_z: Depth drawn in V views, float32 [V, H, W]; 0 where there is none to rely on.
        cameras: Their cameras, batch shape [V].
        tolerance: Relative difference in depth that counts as the same surface.

    Returns:
        Counts of views that show the point's surface, and of views that see what lies behind it,
        int64 [N] each.
    """
    agreeing = np.zeros(len(points_world), np.int64)
    through = np.zeros(len(points_world), np.int64)
    _vote(
        np.ascontiguousarray(points_world, np.float64),
        source,
        depth_z,
        cameras.w2c,
        cameras.intrinsics,
        tolerance,
        agreeing,
        through,
    )
    return agreeing, through


@njit(cache=True, nogil=True)
def _vote(
    points: Any,
    source: Any,
    depth_z: Any,
    w2c: Any,
    intrinsics: Any,
    tolerance: float,
    agreeing: Any,
    through: Any,
) -> None:
    """Add each view's vote on each point."""
    views, height, width = depth_z.shape
    for n in range(len(points)):
        for view in range(views):
            if view == source[n]:
                continue
            m = w2c[view]
            p = points[n]
            z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
            if z < 0.05:
                continue
            x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
            y = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
            u = intrinsics[view, 0] * x / z + intrinsics[view, 2]
            v = intrinsics[view, 1] * y / z + intrinsics[view, 3]
            if not (0 <= u < width and 0 <= v < height):
                continue
            shown = depth_z[view, int(v), int(u)]
            if shown <= 0:
                continue
            if abs(shown - z) <= tolerance * z:
                agreeing[n] += 1
            elif shown > z:
                through[n] += 1


def agreement_share(
    depth_z: NDArray[np.float32], expected_z: NDArray[np.float32], *, tolerance: float
) -> NDArray[np.float64]:
    """Share of the expected pixels whose drawn depth agrees, float64 [B] of images [B, H, W]."""
    known = expected_z > 0
    same = known & (np.abs(depth_z - expected_z) <= tolerance * expected_z)
    counted = np.maximum(known.sum(axis=(1, 2)), 1)
    return np.asarray(same.sum(axis=(1, 2)) / counted)
