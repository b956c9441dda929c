"""Ground: the floor plane under a camera, found in depth that may be noisy, bent or without scale.

For a plane ``n · p = −h`` under the camera (n points up, h is the camera's height above it), a
surface point p with ``n · p = −q h`` lies at the height ``(1 − q) h`` above the plane. So ``1 − q``
is a height over the camera's height: it needs no scale, and depth errors, which grow with distance,
weigh the same near and far. Nothing can be seen through a floor: points with q well above 1 speak
against a plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.normals import normals_from_depth
from worldfm_gym.camera import Camera

_LONGER_SIDE = 100  # samples along the longer side of the image
_HYPOTHESES = 120
_INLIER = 0.06  # of the camera's height
_SUNK = 0.2
_SUNK_COST = 2.5
_MIN_SAMPLES = 30
_MAX_ERROR_DEG = 12.0  # of an estimated up direction
_MAX_ROLL_DEG, _MAX_PITCH_DEG = 25.0, 55.0  # of a camera held by a hand, from its usual pitch
_USUAL_PITCH_DEG = -8.0
_FACING_COS = np.cos(np.deg2rad(35.0))
_MIN_SHARE = 0.02  # of the pixels with depth
_MIN_AREA = 0.15  # of the camera's height squared
_REFINEMENTS = 8
_FLATTEN = 0.1  # of the camera's height


@dataclass(frozen=True, slots=True)
class Ground:
    """A floor plane in a camera's frame: ``up · p = −height`` for its points p.

    Attributes:
        up: Unit vector, float64 [3], OpenCV camera frame.
        height: How far the camera is above it, in the depth's unit.
        share: Share of the known pixels that lie on it.
    """

    up: NDArray[np.float64]
    height: float
    share: float


def find_ground(
    depth_z: NDArray[np.float32],
    K: NDArray[np.float64],
    *,
    up_camera: NDArray[np.float64] | None = None,
) -> Ground | None:
    """Find the floor in one depth image of a camera held roughly upright.

    Planes through sampled surface points, along their normals, are scored by how many points lie on
    them, less those seen beneath them; the best is refined by reweighted least squares.

    Args:
        depth_z: z-depth in any unit, [H, W]; 0 where unknown.
        K: Intrinsics in pixels [3, 3].
        up_camera: Estimate of the direction against gravity [3]; None prefers the tilts of
            cameras held by a hand: little roll, and a pitch of up to 55°.

    Returns:
        The plane, or None if no level surface below the camera is in view.
    """
    points, normals, area = _samples(depth_z, K)
    prior = _Prior.of(up_camera)
    level = normals @ prior.up > 0.5
    facing = np.flatnonzero(level & (np.einsum("ni,ni->n", normals, points) < 0))
    if len(facing) < _MIN_SAMPLES:
        return None
    chosen = facing[np.linspace(0, len(facing) - 1, min(_HYPOTHESES, len(facing))).astype(int)]
    # Surfaces look rougher than they are: one up direction for all points is a hypothesis, too.
    common = prior.up if prior.is_measured else normals[facing].mean(axis=0)
    common = np.broadcast_to(common / np.linalg.norm(common), (len(chosen), 3))
    ups = np.concatenate([normals[chosen], common])
    heights = -np.einsum("ni,ni->n", ups, np.concatenate([points[chosen], points[chosen]]))
    plausible = (heights > 0) & (prior.likelihood(ups) > 0)
    if not plausible.any():
        return None
    ups, heights = ups[plausible], heights[plausible]
    scores = prior.likelihood(ups) * _scores(points, normals, ups, heights)
    best = int(scores.argmax())
    up, height = ups[best], float(heights[best])
    refined = _refined(points, normals, up, height)
    if prior.likelihood(refined[0][None])[0] > 0:
        up, height = refined
    if _scores(points, normals, up[None], np.array([height]))[0] <= 0:
        return None
    on = (np.abs(points @ up / -height - 1.0) < _INLIER) & (normals @ up > _FACING_COS)
    if on.mean() < _MIN_SHARE or area[on].sum() < _MIN_AREA * height**2:
        return None
    return Ground(up, height, float(on.mean()))


def flattened(
    depth_z: NDArray[np.float32], K: NDArray[np.float64], ground: Ground
) -> NDArray[np.float32]:
    """Depth whose floor lies on the ground plane, as floors do and estimates nearly do.

    Pixels are moved along their rays if the surface there is level and within 10 % of the camera's
    height of the plane; the move fades out toward the limit, so that no step appears.

    Args:
        depth_z: z-depth in any unit, [H, W]; 0 where unknown.
        K: Intrinsics in pixels [3, 3].
        ground: What `find_ground` has found in it.
    """
    height, width = depth_z.shape
    camera = Camera.from_matrix(np.eye(4), K, width=width, height=height)
    slope = camera.rays_world() @ ground.up  # [H, W], negative below the horizon
    with np.errstate(divide="ignore", invalid="ignore"):
        on_plane = -ground.height / slope
        ratio = np.where((slope < 0) & (depth_z > 0), depth_z / on_plane, 0.0)
    normals = normals_from_depth(depth_z, camera)
    level = normals @ ground.up.astype(np.float32)
    unknown = ~normals.any(axis=-1)
    pull = np.clip(2.0 - 2.0 * np.abs(ratio - 1.0) / _FLATTEN, 0.0, 1.0)
    pull *= np.where(unknown, 1.0, np.clip((level - 0.7) / 0.15, 0.0, 1.0))
    return np.where(
        pull > 0, depth_z * (1 - pull) + np.where(slope < 0, on_plane, 0) * pull, depth_z
    ).astype(np.float32)


def _samples(
    depth_z: NDArray[np.float32], K: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Points [N, 3], normals [N, 3] and areas [N] of a thinned depth image, camera frame."""
    step = max(1, -(-max(depth_z.shape) // _LONGER_SIDE))
    height, width = (side // step for side in depth_z.shape)
    blocks = depth_z[: height * step, : width * step].reshape(height, step, width, step)
    # Medians: a mean would put points into the air between foreground and background.
    thin = np.median(blocks.swapaxes(1, 2).reshape(height, width, -1), axis=-1)
    small = np.diag([1.0 / step, 1.0 / step, 1.0]) @ K
    camera = Camera.from_matrix(np.eye(4), small, width=width, height=height)
    normals = normals_from_depth(thin, camera)
    known = (thin > 0) & normals.any(axis=-1)
    points = camera.unproject(thin.astype(np.float64))[known]
    flat = normals[known].astype(np.float64)
    distance = np.linalg.norm(points, axis=-1)
    cosine = np.abs(np.einsum("ni,ni->n", flat, points)) / np.maximum(distance, 1e-12)
    area = points[:, 2] ** 2 / (small[0, 0] * small[1, 1]) / np.maximum(cosine, 0.05)
    return points, flat, area


@dataclass(frozen=True, slots=True)
class _Prior:
    """Which up directions to believe in: near an estimate, or those of hand-held cameras."""

    up: NDArray[np.float64]
    is_measured: bool

    @classmethod
    def of(cls, up_camera: NDArray[np.float64] | None) -> _Prior:
        """The prior of an estimate, or of none."""
        if up_camera is None:
            return cls(np.array([0.0, -1.0, 0.0]), False)
        return cls(np.asarray(up_camera, np.float64), True)

    def likelihood(self, ups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors [N] within 0…1 for up directions [N, 3]; 0 is not believed."""
        if self.is_measured:
            tilt_deg = np.rad2deg(np.arccos(np.clip(ups @ self.up, -1, 1)))
            return np.asarray(np.clip(1.0 - (tilt_deg / _MAX_ERROR_DEG) ** 2, 0.0, 1.0))
        roll_deg = np.rad2deg(np.arcsin(np.clip(ups[:, 0], -1, 1)))
        pitch_deg = np.rad2deg(np.arctan2(ups[:, 2], -ups[:, 1])) - _USUAL_PITCH_DEG
        off = (roll_deg / _MAX_ROLL_DEG) ** 2 + (pitch_deg / _MAX_PITCH_DEG) ** 2
        return np.asarray(np.where(ups[:, 1] < 0, np.clip(1.0 - off, 0.0, 1.0), 0.0))


def _scores(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    ups: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Share of points on each of M planes, less the cost of those seen through it, [M]."""
    q = (points @ ups.T) / -heights
    on = (np.abs(q - 1.0) < _INLIER) & (normals @ ups.T > _FACING_COS)
    sunk = q > 1.0 + _SUNK
    return np.asarray(on.mean(axis=0) - _SUNK_COST * sunk.mean(axis=0))


def _refined(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    up: NDArray[np.float64],
    height: float,
) -> tuple[NDArray[np.float64], float]:
    """Least squares of ``a · p = −1`` over the points on the plane, refitted until they settle."""
    for _ in range(_REFINEMENTS):
        q = points @ up / -height
        level = normals @ up > _FACING_COS
        weight = np.where(level, np.clip(1.0 - ((q - 1.0) / (2 * _INLIER)) ** 2, 0.0, 1.0), 0.0)
        if (weight > 0).sum() < 10:
            break
        weighted = points * weight[:, None]
        normal = np.linalg.lstsq(weighted.T @ points, -weighted.sum(axis=0), rcond=1e-9)[0]
        length = float(np.linalg.norm(normal))
        if not np.isfinite(length) or length < 1e-9:
            break
        up, height = normal / length, 1.0 / length
    return up, height
