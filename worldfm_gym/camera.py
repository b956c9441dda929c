"""Cameras and rigid transforms, and every convention of this library.

Conventions (pinned by ``tests/worldfm_gym/test_camera.py``):

* The camera frame is OpenCV's: +x right, +y down, +z forward. The world is right-handed with +z
  up, in metres; where a floor is known it lies at z = 0.
* ``c2w`` [..., 4, 4] maps camera to world coordinates: ``p_world = R @ p_cam + t``.
* Pixel (row v, column u) has its centre at (u + ½, v + ½); the image is [0, width] × [0, height].
* ``depth`` is z-depth (distance along the optical axis) in metres, float32; 0 means none.
* Images at API edges are uint8 RGB [H, W, 3].
* Quaternions are (w, x, y, z). Angles are radians; degrees only where a name ends in ``_deg``.
* Batch dimensions come first.
* A heading (``yaw``) is measured counter-clockwise from world +x, seen from above; ``pitch`` is
  positive looking up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import CameraError

FloatArray = NDArray[np.float64]

_MAX_IMAGE_SIDE = 16_384


@dataclass(frozen=True, slots=True)
class Camera:
    """A batch of pinhole cameras that share one image size.

    Attributes:
        c2w: Camera-to-world transforms, float64 [..., 4, 4], rigid.
        intrinsics: (fx, fy, cx, cy) in pixels, float64 [..., 4]; same batch shape as `c2w`.
        width: Image width in pixels.
        height: Image height in pixels.

    Raises:
        CameraError: On a non-finite or non-rigid `c2w`, a focal length that is not positive, or an
            image side outside 1…16384.
    """

    c2w: FloatArray
    intrinsics: FloatArray
    width: int
    height: int

    def __post_init__(self) -> None:
        c2w = check_rigid(self.c2w)
        intrinsics = np.asarray(self.intrinsics, dtype=np.float64)
        if intrinsics.shape[-1:] != (4,):
            raise CameraError(
                f"intrinsics must be (fx, fy, cx, cy) of shape [..., 4], got {intrinsics.shape}"
            )
        if not np.isfinite(intrinsics).all() or (intrinsics[..., :2] <= 0).any():
            raise CameraError(
                "intrinsics need finite values and positive focal lengths in pixels, got "
                f"(fx, fy, cx, cy) = {intrinsics.reshape(-1, 4)[0].tolist()}"
            )
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= _MAX_IMAGE_SIDE:
                raise CameraError(f"{name} must be 1…{_MAX_IMAGE_SIDE} pixels, got {side}")
        object.__setattr__(self, "c2w", c2w)
        object.__setattr__(
            self, "intrinsics", np.broadcast_to(intrinsics, (*c2w.shape[:-2], 4)).copy()
        )

    @classmethod
    def unchecked(
        cls, c2w: FloatArray, intrinsics: FloatArray, *, width: int, height: int
    ) -> Camera:
        """Build without validation, for inner loops that made the arrays themselves."""
        camera = object.__new__(cls)
        object.__setattr__(camera, "c2w", c2w)
        object.__setattr__(camera, "intrinsics", intrinsics)
        object.__setattr__(camera, "width", width)
        object.__setattr__(camera, "height", height)
        return camera

    @classmethod
    def from_matrix(cls, c2w: ArrayLike, K: ArrayLike, *, width: int, height: int) -> Camera:
        """Build from 3×3 intrinsic matrices `K` [..., 3, 3] without skew."""
        matrix = np.asarray(K, dtype=np.float64)
        if matrix.shape[-2:] != (3, 3):
            raise CameraError(f"K must have shape [..., 3, 3], got {matrix.shape}")
        if (np.abs(matrix[..., 0, 1]) > 1e-6 * np.abs(matrix[..., 0, 0])).any():
            raise CameraError("K has skew (K[0, 1] ≠ 0): undistort and rectify the image first")
        intrinsics = np.stack(
            [matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 2], matrix[..., 1, 2]], axis=-1
        )
        return cls(np.asarray(c2w, dtype=np.float64), intrinsics, width, height)

    @classmethod
    def from_fov(cls, c2w: ArrayLike, fov_x_deg: float, *, width: int, height: int) -> Camera:
        """Build with square pixels, a centred principal point and a horizontal field of view."""
        return cls(
            np.asarray(c2w, dtype=np.float64),
            intrinsics_from_fov(fov_x_deg, width=width, height=height),
            width,
            height,
        )

    @property
    def K(self) -> FloatArray:
        """Intrinsic matrices, float64 [..., 3, 3]."""
        K = np.zeros((*self.intrinsics.shape[:-1], 3, 3))
        K[..., 0, 0], K[..., 1, 1] = self.intrinsics[..., 0], self.intrinsics[..., 1]
        K[..., 0, 2], K[..., 1, 2] = self.intrinsics[..., 2], self.intrinsics[..., 3]
        K[..., 2, 2] = 1.0
        return K

    @property
    def w2c(self) -> FloatArray:
        """World-to-camera transforms, float64 [..., 4, 4]."""
        return invert_rigid(self.c2w)

    @property
    def position_world(self) -> FloatArray:
        """Camera centres in world coordinates, float64 [..., 3]."""
        return self.c2w[..., :3, 3]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading dimensions, () for one camera."""
        return tuple(self.c2w.shape[:-2])

    def __getitem__(self, index: Any) -> Camera:
        """Select cameras along the batch dimensions."""
        return Camera.unchecked(
            self.c2w[index], self.intrinsics[index], width=self.width, height=self.height
        )

    def flat(self) -> Camera:
        """The same cameras with exactly one batch dimension."""
        return Camera.unchecked(
            self.c2w.reshape(-1, 4, 4),
            self.intrinsics.reshape(-1, 4),
            width=self.width,
            height=self.height,
        )

    def resized(self, width: int, height: int) -> Camera:
        """The same view sampled on an image of another size."""
        scale = np.array([width / self.width, height / self.height] * 2)
        return Camera(self.c2w, self.intrinsics * scale, width, height)

    def project(self, points_world: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project points of one camera.

        Args:
            points_world: [..., N, 3], batch dimensions broadcast against the cameras'.

        Returns:
            Pixel coordinates (u, v) [..., N, 2] and z-depth in metres [..., N]. Points at or
            behind the camera have depth ≤ 0 and meaningless pixels.
        """
        w2c = self.w2c
        points_cam = points_world @ np.swapaxes(w2c[..., :3, :3], -1, -2) + w2c[..., None, :3, 3]
        depth_z = points_cam[..., 2]
        focal, centre = self.intrinsics[..., None, :2], self.intrinsics[..., None, 2:]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = points_cam[..., :2] / depth_z[..., None] * focal + centre
        return pixels, depth_z

    def rays_world(self) -> FloatArray:
        """Ray directions of all pixel centres, scaled to z-depth 1.

        Returns:
            Float64 [..., H, W, 3] in world axes: the point seen at pixel (v, u) with z-depth d is
            ``position_world + d * rays_world()[v, u]``.
        """
        u = np.arange(self.width) + 0.5
        v = np.arange(self.height) + 0.5
        fx, fy, cx, cy = (self.intrinsics[..., i, None, None] for i in range(4))
        x = np.broadcast_to((u - cx) / fx, (*self.batch_shape, self.height, self.width))
        y = np.broadcast_to((v[:, None] - cy) / fy, x.shape)
        rays_cam = np.stack([x, y, np.ones_like(x)], axis=-1)
        return np.asarray(np.einsum("...ij,...hwj->...hwi", self.c2w[..., :3, :3], rays_cam))

    def unproject(self, depth_z: FloatArray) -> FloatArray:
        """World points of a z-depth image [..., H, W], float64 [..., H, W, 3]."""
        return self.position_world[..., None, None, :] + depth_z[..., None] * self.rays_world()


def intrinsics_from_fov(fov_x_deg: float, *, width: int, height: int) -> FloatArray:
    """(fx, fy, cx, cy) of square pixels and a horizontal field of view, float64 [4]."""
    if not 1.0 <= fov_x_deg <= 170.0:
        raise CameraError(f"horizontal field of view must be 1…170 degrees, got {fov_x_deg}")
    focal = 0.5 * width / np.tan(np.deg2rad(fov_x_deg) / 2)
    return np.array([focal, focal, width / 2, height / 2])


def check_rigid(c2w: ArrayLike, *, tolerance: float = 1e-3) -> FloatArray:
    """Return `c2w` as float64 if it is a rigid transform.

    Raises:
        CameraError: If the shape is not [..., 4, 4], a value is not finite, the rotation is not
            orthonormal within `tolerance`, mirrors, or the last row is not (0, 0, 0, 1).
    """
    matrix = np.asarray(c2w, dtype=np.float64)
    if matrix.shape[-2:] != (4, 4):
        raise CameraError(f"c2w must have shape [..., 4, 4], got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise CameraError("c2w holds NaN or infinite values: drop frames whose tracking was lost")
    rotation = matrix[..., :3, :3]
    gram = np.swapaxes(rotation, -1, -2) @ rotation
    if np.abs(gram - np.eye(3)).max(initial=0.0) > tolerance:
        raise CameraError(
            "c2w is not rigid: its 3×3 part must be a rotation without scale or shear"
        )
    if (np.linalg.det(rotation) < 0).any():
        raise CameraError("c2w mirrors (determinant −1): convert to a right-handed camera frame")
    if np.abs(matrix[..., 3, :] - [0, 0, 0, 1]).max(initial=0.0) > tolerance:
        raise CameraError("the last row of c2w must be (0, 0, 0, 1): is the matrix transposed?")
    return matrix


def invert_rigid(transform: FloatArray) -> FloatArray:
    """Inverse of rigid transforms [..., 4, 4]."""
    rotation_t = np.swapaxes(transform[..., :3, :3], -1, -2)
    inverse = np.zeros_like(transform)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -(rotation_t @ transform[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def quaternion_to_rotation(quaternion_wxyz: ArrayLike) -> FloatArray:
    """Rotation matrices [..., 3, 3] of quaternions [..., 4], normalised first."""
    q = np.asarray(quaternion_wxyz, dtype=np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_to_quaternion(rotation: ArrayLike) -> FloatArray:
    """Quaternions wxyz [..., 4] with w ≥ 0 of rotation matrices [..., 3, 3] (Shepperd's method)."""
    r = np.asarray(rotation, dtype=np.float64)
    trace = np.trace(r, axis1=-2, axis2=-1)[..., None]
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    squares = np.concatenate([1 + trace, 1 - trace + 2 * diagonal], axis=-1)  # 4·(w², x², y², z²)
    cross = np.stack(
        [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1
    )
    products = np.zeros((*r.shape[:-2], 4, 4))  # 4·q·qᵀ, of which the largest row is the stablest
    products[..., 0, 1:] = products[..., 1:, 0] = cross
    products[..., 1:, 1:] = r + np.swapaxes(r, -1, -2)
    for i in range(4):
        products[..., i, i] = squares[..., i]
    best = squares.argmax(axis=-1)[..., None, None]
    q = np.take_along_axis(products, best, axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.asarray(np.where(q[..., :1] < 0, -q, q))


def rotation_exp(rotation_vector: ArrayLike) -> FloatArray:
    """Rotation matrices [..., 3, 3] of axis-angle vectors [..., 3] in radians (Rodrigues)."""
    w = np.asarray(rotation_vector, dtype=np.float64)
    angle_sq = (w * w).sum(-1)[..., None, None]
    angle = np.sqrt(angle_sq)
    small = angle_sq < 1e-8
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1 - angle_sq / 6, np.sin(safe) / safe)
    b = np.where(small, 0.5 - angle_sq / 24, (1 - np.cos(safe)) / (safe * safe))
    skew = np.zeros((*w.shape[:-1], 3, 3))
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -w[..., 2], w[..., 1], -w[..., 0]
    skew -= np.swapaxes(skew, -1, -2)
    return np.asarray(np.eye(3) + a * skew + b * (skew @ skew))


def rotation_log(rotation: ArrayLike) -> FloatArray:
    """Axis-angle vectors [..., 3] in radians of rotation matrices; inverse of `rotation_exp`."""
    q = rotation_to_quaternion(rotation)
    norm = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(norm, q[..., :1])
    scale = np.where(norm < 1e-9, 2.0, angle / np.where(norm < 1e-9, 1.0, norm))
    return q[..., 1:] * scale


def look_at(
    eye_world: ArrayLike, target_world: ArrayLike, *, up_world: ArrayLike = (0, 0, 1)
) -> FloatArray:
    """c2w [..., 4, 4] of cameras at `eye_world` that look at `target_world`.

    Looking straight along `up_world` is allowed; the image's up is then world +y.

    Raises:
        CameraError: If an eye coincides with its target.
    """
    eye, target = np.broadcast_arrays(
        np.asarray(eye_world, dtype=np.float64), np.asarray(target_world, dtype=np.float64)
    )
    forward = target - eye
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    if (length < 1e-9).any():
        raise CameraError("look_at needs an eye that differs from its target")
    forward = forward / length
    right = np.cross(forward, np.asarray(up_world, dtype=np.float64))
    norm = np.linalg.norm(right, axis=-1, keepdims=True)
    right = np.where(norm < 1e-6, np.cross(forward, [0.0, 1.0, 0.0]), right)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    c2w = np.zeros((*eye.shape[:-1], 4, 4))
    c2w[..., :3, 0] = right
    c2w[..., :3, 1] = np.cross(forward, right)
    c2w[..., :3, 2] = forward
    c2w[..., :3, 3] = eye
    c2w[..., 3, 3] = 1.0
    return c2w


def heading_c2w(position_world: ArrayLike, yaw: ArrayLike, pitch: ArrayLike = 0.0) -> FloatArray:
    """c2w [..., 4, 4] of cameras without roll, from position [..., 3], heading and pitch [...]."""
    position = np.asarray(position_world, dtype=np.float64)
    yaw, pitch = np.broadcast_arrays(
        np.asarray(yaw, dtype=np.float64), np.asarray(pitch, dtype=np.float64)
    )
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    c2w = np.zeros((*np.broadcast_shapes(yaw.shape, position.shape[:-1]), 4, 4))
    c2w[..., 0, 0], c2w[..., 1, 0] = sin_yaw, -cos_yaw
    c2w[..., 0, 1], c2w[..., 1, 1], c2w[..., 2, 1] = (
        sin_pitch * cos_yaw,
        sin_pitch * sin_yaw,
        -cos_pitch,
    )
    c2w[..., 0, 2], c2w[..., 1, 2], c2w[..., 2, 2] = (
        cos_pitch * cos_yaw,
        cos_pitch * sin_yaw,
        sin_pitch,
    )
    c2w[..., :3, 3] = position
    c2w[..., 3, 3] = 1.0
    return c2w
