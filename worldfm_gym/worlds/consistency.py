"""Consistency: what all frames of a scan say together about the points fused from each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.camera import invert_rigid
from worldfm_gym.worlds.fusion import PosedFrame

_NEAR_M = 0.05
_NOISE_M, _NOISE_PER_M, _NOISE_FROM_M = 0.0012, 0.0019, 0.4
_TOLERANCE_SIGMAS, _TOLERANCE_SHARE = 3.0, 0.01
_UNKNOWN_COSINE = 0.5  # of points without a normal
_LEAST_COSINE = 0.1
_SHARPEST = 4  # power of a view's quality: the best view wins, without seams between equals
_JUDGED_POINTS = 20_000  # of an anchor, by which frames are compared
_WIDEST_PX = 3  # half side of the window that a point's color is averaged over, at most


@dataclass(frozen=True, slots=True)
class Sightings:
    """What one frame says about N points.

    Attributes:
        quality: How finely and how frontally the frame shows each point, in pixels per metre,
            float32 [N]; 0 where it does not show it.
        passed: Whether the frame saw through where the point is, bool [N].
        color: Mean color of the point's footprint, float32 [N, 3]; 0 where not shown.
        offset_m: Distance along the point's normal to the surface that the frame measured,
            float32 [N]; 0 where not shown.
        noise_m: Standard deviation of that measurement, float32 [N]; infinite where not shown.
    """

    quality: NDArray[np.float32]
    passed: NDArray[np.bool_]
    color: NDArray[np.float32]
    offset_m: NDArray[np.float32]
    noise_m: NDArray[np.float32]


def sightings(anchor: Anchor, frame: PosedFrame) -> Sightings:
    """Look up points in a frame.

    A point is shown where the measured depth agrees with its own within three standard deviations
    of a depth camera's noise, σ(z) = 1.2 mm + 1.9 mm (z − 0.4)² (Nguyen et al., "Modeling Kinect
    Sensor Noise", 3DIMPVT 2012), 1 % of the depth and the point's own size. It is seen through
    where all of the 3×3 pixels around it measure something that far behind it.

    Args:
        anchor: The points, in the coordinates of the frame's camera pose.
        frame: The frame.
    """
    return Sightings(
        *_look_up(
            anchor.points,
            anchor.normals,
            anchor.radius,
            frame.rgb,
            frame.depth,
            invert_rigid(frame.camera.c2w),
            frame.camera.intrinsics,
        )
    )


class Agreement:
    """Gathers what frames say about an anchor's points, one frame at a time.

    A point that as many frames saw through as show it was a flying pixel, or something that moved:
    it is dropped. Positions move along the normal to the mean of what was measured, weighted by
    the inverse of the noise's variance. Colors come from the views that show a point most finely
    and frontally: averages of nearly aligned pictures are blurred.
    """

    def __init__(self, anchor: Anchor) -> None:
        """Start without an opinion.

        Args:
            anchor: Points fused from the frames that will be added.
        """
        count = len(anchor)
        self._anchor = anchor
        self._shown, self._passed = np.zeros(count, np.int32), np.zeros(count, np.int32)
        self._color, self._color_weight = np.zeros((count, 3)), np.zeros(count)
        self._offset, self._precision = np.zeros(count), np.zeros(count)
        self._qualities: list[NDArray[np.float32]] = []

    def add(self, frame: PosedFrame) -> None:
        """Ask one frame."""
        seen = sightings(self._anchor, frame)
        self._shown += seen.quality > 0
        self._passed += seen.passed
        share = seen.quality.astype(np.float64) ** _SHARPEST
        self._color += share[:, None] * seen.color
        self._color_weight += share
        precision = 1.0 / np.square(seen.noise_m, dtype=np.float64)
        self._offset += precision * seen.offset_m
        self._precision += precision
        self._qualities.append(seen.quality[:: max(1, len(seen.quality) // _JUDGED_POINTS)])

    @property
    def qualities(self) -> NDArray[np.float32]:
        """How well each frame shows a sample of the points, float32 [F, P]; see `Sightings`."""
        return np.stack(self._qualities)

    def anchor(self) -> Anchor:
        """The points on which the frames agree, thinned again to the distance they had."""
        shown = self._color_weight > 0
        colors = self._anchor.colors.copy()
        colors[shown] = np.rint(self._color[shown] / self._color_weight[shown, None])
        shift = self._offset / np.maximum(self._precision, 1e-12)
        result = replace(
            self._anchor,
            points=self._anchor.points + shift[:, None].astype(np.float32) * self._anchor.normals,
            colors=colors,
        )
        kept = (self._passed == 0) | (self._passed < self._shown)
        # Noise had spread a surface over several layers of voxels, which are one layer now.
        return voxel_thin(result[kept] if kept.any() else result, 2 * float(result.radius.min()))


@numba.njit(cache=True, nogil=True)
def _look_up(
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    radius: NDArray[np.float32],
    rgb: NDArray[np.uint8],
    depth_z: NDArray[np.float32],
    w2c: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
) -> tuple[
    NDArray[np.float32],
    NDArray[np.bool_],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]:
    """Quality [N], passed [N], color [N, 3], offset_m [N] and noise_m [N] of points in a frame."""
    count = len(points)
    height, width = depth_z.shape
    fx, fy, cx, cy = intrinsics
    quality, passed = np.zeros(count, np.float32), np.zeros(count, np.bool_)
    color = np.zeros((count, 3), np.float32)
    offset, noise = np.zeros(count, np.float32), np.full(count, np.inf, np.float32)
    for i in range(count):
        px, py, pz = float(points[i, 0]), float(points[i, 1]), float(points[i, 2])
        x = w2c[0, 0] * px + w2c[0, 1] * py + w2c[0, 2] * pz + w2c[0, 3]
        y = w2c[1, 0] * px + w2c[1, 1] * py + w2c[1, 2] * pz + w2c[1, 3]
        z = w2c[2, 0] * px + w2c[2, 1] * py + w2c[2, 2] * pz + w2c[2, 3]
        if z < _NEAR_M:
            continue
        u, v = fx * x / z + cx, fy * y / z + cy
        if not (0.0 <= u < width and 0.0 <= v < height):
            continue
        column, row = int(u), int(v)
        sigma = _NOISE_M + _NOISE_PER_M * max(z - _NOISE_FROM_M, 0.0) ** 2
        tolerance = _TOLERANCE_SIGMAS * sigma + _TOLERANCE_SHARE * z + 2 * radius[i]
        there = depth_z[row, column]
        if abs(there - z) > tolerance or there <= 0:
            passed[i] = _all_behind(depth_z, row, column, z + tolerance)
            continue
        # Toward the camera along the normal; the normal's own direction in the camera's frame.
        nx, ny, nz = float(normals[i, 0]), float(normals[i, 1]), float(normals[i, 2])
        ncx = w2c[0, 0] * nx + w2c[0, 1] * ny + w2c[0, 2] * nz
        ncy = w2c[1, 0] * nx + w2c[1, 1] * ny + w2c[1, 2] * nz
        ncz = w2c[2, 0] * nx + w2c[2, 1] * ny + w2c[2, 2] * nz
        along = ncx * x + ncy * y + ncz * z  # of the normal and the line of sight, metres
        known = nx != 0.0 or ny != 0.0 or nz != 0.0
        cosine = -along / np.sqrt(x * x + y * y + z * z) if known else _UNKNOWN_COSINE
        if cosine <= 0.0:
            continue  # its back: another surface's color, or one too thin to tell
        quality[i] = cosine * fx / z
        there = _between(depth_z, u, v, there, tolerance)
        offset[i] = along * (there / z - 1.0)
        noise[i] = sigma * max(cosine, _LEAST_COSINE)
        reach = min(int(radius[i] * fx / z), _WIDEST_PX)
        _mean_color(rgb, depth_z, row, column, reach, z, tolerance, color[i])
    return quality, passed, color, offset, noise


@numba.njit(cache=True, nogil=True)
def _all_behind(depth_z: NDArray[np.float32], row: int, column: int, limit_m: float) -> bool:
    """Whether all of the 3×3 pixels measured something beyond a depth."""
    height, width = depth_z.shape
    if not (1 <= row < height - 1 and 1 <= column < width - 1):
        return False
    for v in range(row - 1, row + 2):
        for u in range(column - 1, column + 2):
            if depth_z[v, u] <= limit_m:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _between(
    depth_z: NDArray[np.float32], u: float, v: float, nearest_m: float, tolerance_m: float
) -> float:
    """Depth between pixel centers, where the four around measured one surface; else the nearest."""
    height, width = depth_z.shape
    left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
    if not (0 <= left < width - 1 and 0 <= top < height - 1):
        return nearest_m
    right_share, down_share = u - 0.5 - left, v - 0.5 - top
    inverse = 0.0
    for down in range(2):
        for right in range(2):
            there = depth_z[top + down, left + right]
            if there <= 0 or abs(there - nearest_m) > tolerance_m:
                return nearest_m
            share = (right_share if right else 1 - right_share) * (
                down_share if down else 1 - down_share
            )
            inverse += share / there  # along a plane 1/z is linear in the image
    return 1.0 / inverse


@numba.njit(cache=True, nogil=True)
def _mean_color(
    rgb: NDArray[np.uint8],
    depth_z: NDArray[np.float32],
    row: int,
    column: int,
    reach: int,
    z: float,
    tolerance_m: float,
    color: NDArray[np.float32],
) -> None:
    """Mean color [3] of the pixels of one surface within `reach`, written to `color`."""
    height, width = depth_z.shape
    total = 0.0
    for v in range(max(0, row - reach), min(height, row + reach + 1)):
        for u in range(max(0, column - reach), min(width, column + reach + 1)):
            if abs(depth_z[v, u] - z) <= tolerance_m:
                total += 1.0
                for channel in range(3):
                    color[channel] += rgb[v, u, channel]
    for channel in range(3):
        color[channel] /= total
