"""Motion: how one control step changes the pose of a camera, before anything is in its way.

Two integrators, both batched over N cameras and both exact for constant velocity over the step:

* *ground*: a level camera with heading and pitch that rolls on the floor (a unicycle, plus strafe);
* *free*: a camera that follows a body-frame twist, ``c2w ← c2w · exp(twist · dt)``.

`c2w` [N, 4, 4] is the only state of either, so ground agents and free cameras share one array.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import FloatArray, rotation_exp

MAX_PITCH = math.radians(89.0)


def se3_exp(twist: ArrayLike) -> FloatArray:
    """Rigid transforms [..., 4, 4] of twists [..., 6]: the exponential map of SE(3).

    Args:
        twist: (vx, vy, vz, wx, wy, wz): translation in metres, then rotation vector in radians.

    Source:
        Lynch and Park, *Modern Robotics* (2017), section 3.3.3, in the form
        ``[exp(ω), V(ω) v]`` with ``V = I + (1 − cos θ)/θ² [ω] + (θ − sin θ)/θ³ [ω]²``.
    """
    xi = np.asarray(twist, dtype=np.float64)
    linear, w = xi[..., :3], xi[..., 3:]
    angle_sq = (w * w).sum(-1)[..., None, None]
    small = angle_sq < 1e-8
    safe = np.sqrt(np.where(small, 1.0, angle_sq))
    b = np.where(small, 0.5 - angle_sq / 24, (1 - np.cos(safe)) / safe**2)
    c = np.where(small, 1 / 6 - angle_sq / 120, (safe - np.sin(safe)) / safe**3)
    skew = np.zeros((*w.shape[:-1], 3, 3))
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -w[..., 2], w[..., 1], -w[..., 0]
    skew -= np.swapaxes(skew, -1, -2)
    left_jacobian = np.eye(3) + b * skew + c * (skew @ skew)
    transform = np.zeros((*xi.shape[:-1], 4, 4))
    transform[..., :3, :3] = rotation_exp(w)
    transform[..., :3, 3] = (left_jacobian @ linear[..., None])[..., 0]
    transform[..., 3, 3] = 1.0
    return transform


def heading_of(c2w: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heading and pitch [...] in radians of level cameras [..., 4, 4]; inverse of `heading_c2w`.

    Read from the camera's right and down axes, so that a camera looking straight up or down still
    has a heading. A rolled camera is read as the level one with the same right axis in plan.
    """
    yaw = np.arctan2(c2w[..., 0, 0], -c2w[..., 1, 0])
    pitch = np.arctan2(c2w[..., 2, 2], -c2w[..., 2, 1])
    return yaw, pitch


@njit(cache=True, nogil=True)
def turn_level(
    c2w: NDArray[np.float64],
    forward_m: NDArray[np.float64],
    strafe_m: NDArray[np.float64],
    yaw_delta: NDArray[np.float64],
    pitch_delta: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Turn level cameras `c2w` [N, 4, 4] in place; returns the displacement [N, 2] to make.

    Moving while turning follows the arc of constant velocity: its chord points along the heading
    halfway through the turn and is shorter than the arc by sin(h)/h, with h half the turn.
    """
    count = c2w.shape[0]
    delta = np.empty((count, 2))
    for i in range(count):
        yaw = math.atan2(c2w[i, 0, 0], -c2w[i, 1, 0])
        pitch = math.atan2(c2w[i, 2, 2], -c2w[i, 2, 1]) + pitch_delta[i]
        pitch = min(max(pitch, -MAX_PITCH), MAX_PITCH)
        half = 0.5 * yaw_delta[i]
        chord = 1.0 - half * half / 6.0 if abs(half) < 1e-4 else math.sin(half) / half
        cos_mid, sin_mid = math.cos(yaw + half), math.sin(yaw + half)
        delta[i, 0] = chord * (forward_m[i] * cos_mid + strafe_m[i] * sin_mid)
        delta[i, 1] = chord * (forward_m[i] * sin_mid - strafe_m[i] * cos_mid)
        yaw += yaw_delta[i]
        cos_yaw, sin_yaw = math.cos(yaw), math.sin(yaw)
        cos_pitch, sin_pitch = math.cos(pitch), math.sin(pitch)
        c2w[i, 0, 0], c2w[i, 1, 0], c2w[i, 2, 0] = sin_yaw, -cos_yaw, 0.0
        c2w[i, 0, 1], c2w[i, 1, 1], c2w[i, 2, 1] = (
            sin_pitch * cos_yaw,
            sin_pitch * sin_yaw,
            -cos_pitch,
        )
        c2w[i, 0, 2], c2w[i, 1, 2], c2w[i, 2, 2] = (
            cos_pitch * cos_yaw,
            cos_pitch * sin_yaw,
            sin_pitch,
        )
    return delta


@njit(cache=True, nogil=True)
def turn_free(c2w: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn free cameras in place by ``exp(step)``; returns the world displacement [N, 3] to make.

    `step` [N, 6] is twist times time. The rotation is re-orthonormalised, so it stays rigid however
    long the run.
    """
    count = c2w.shape[0]
    delta = np.empty((count, 3))
    skew = np.zeros((3, 3))
    for i in range(count):
        wx, wy, wz = step[i, 3], step[i, 4], step[i, 5]
        angle_sq = wx * wx + wy * wy + wz * wz
        if angle_sq < 1e-8:
            a, b, c = 1 - angle_sq / 6, 0.5 - angle_sq / 24, 1 / 6 - angle_sq / 120
        else:
            angle = math.sqrt(angle_sq)
            a = math.sin(angle) / angle
            b = (1 - math.cos(angle)) / angle_sq
            c = (angle - math.sin(angle)) / (angle_sq * angle)
        skew[0, 1], skew[0, 2], skew[1, 2] = -wz, wy, -wx
        skew[1, 0], skew[2, 0], skew[2, 1] = wz, -wy, wx
        turn, jacobian = np.eye(3), np.eye(3)
        for row in range(3):
            for column in range(3):
                square = 0.0
                for k in range(3):
                    square += skew[row, k] * skew[k, column]
                turn[row, column] += a * skew[row, column] + b * square
                jacobian[row, column] += b * skew[row, column] + c * square
        rotation = c2w[i, :3, :3].copy()
        for row in range(3):
            delta[i, row] = 0.0
            for k in range(3):
                moved = 0.0
                for column in range(3):
                    moved += jacobian[k, column] * step[i, column]
                delta[i, row] += rotation[row, k] * moved
        for row in range(3):
            for column in range(3):
                total = 0.0
                for k in range(3):
                    total += rotation[row, k] * turn[k, column]
                c2w[i, row, column] = total
        _orthonormalize(c2w[i])
    return delta


@njit(cache=True, nogil=True)
def _orthonormalize(pose: NDArray[np.float64]) -> None:
    """Gram–Schmidt on the columns of the rotation, keeping the viewing direction."""
    zx, zy, zz = pose[0, 2], pose[1, 2], pose[2, 2]
    scale = 1.0 / math.sqrt(zx * zx + zy * zy + zz * zz)
    zx, zy, zz = zx * scale, zy * scale, zz * scale
    xx, xy, xz = pose[0, 0], pose[1, 0], pose[2, 0]
    along = xx * zx + xy * zy + xz * zz
    xx, xy, xz = xx - along * zx, xy - along * zy, xz - along * zz
    scale = 1.0 / math.sqrt(xx * xx + xy * xy + xz * xz)
    xx, xy, xz = xx * scale, xy * scale, xz * scale
    pose[0, 0], pose[1, 0], pose[2, 0] = xx, xy, xz
    pose[0, 1], pose[1, 1], pose[2, 1] = zy * xz - zz * xy, zz * xx - zx * xz, zx * xy - zy * xx
    pose[0, 2], pose[1, 2], pose[2, 2] = zx, zy, zz


def per_agent(value: ArrayLike, count: int, tail: tuple[int, ...] = ()) -> NDArray[np.float64]:
    """`value` as a contiguous float64 array [count, *tail], broadcast from a scalar or one row."""
    if isinstance(value, float | int):
        return np.full((count, *tail), value, np.float64)
    array = np.ascontiguousarray(value, np.float64)
    if array.shape == (count, *tail):
        return array
    return np.ascontiguousarray(np.broadcast_to(array, (count, *tail)))
