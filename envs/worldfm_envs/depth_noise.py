"""Noise of depth images as depth cameras have it: the Redwood model and the Kinect model.

Off by default. It falls on the `depth` observation alone, never on what a task reads, and is a
function of the episode, the step and the pixel (`counter_random`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.counter_random import (
    normal_quantiles,
    normal_quarter,
    quarter,
    word_of,
    words_on,
)
from worldfm_gym.errors import ConfigError
from worldfm_gym.threads import run_striped

_DISPARITY_M = 35.130  # disparity is this over depth; both in Choi et al.'s simulator
_DISPARITY_STD = 0.027778
_DISPARITY_STEPS = 8.0  # an eighth of a unit of disparity is the smallest that is told
_SHUFFLE_STD_PX = 0.25
_KINECT_FOCAL_PX = 585.0


class DepthNoise(Protocol):
    """What a sensor does to exact depth images."""

    def apply(self, depth: Any, keys: NDArray[np.uint64], intrinsics: NDArray[np.float64]) -> Any:
        """Noisy z-depth in metres, float32 [M, H, W]; 0 where the sensor measures nothing.

        Arrays and tensors come back as what they are; the input stays as it is.

        Args:
            depth: Exact z-depth, float32 [M, H, W]; 0 = none.
            keys: Noise keys of the agents [M].
            intrinsics: (fx, fy, cx, cy) in pixels, [M, 4].
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RedwoodDepthNoise:
    """A PrimSense camera: pixels shuffled, read at half resolution, disparity noisy and in steps.

    The model of Choi, Zhou and Koltun, "Robust Reconstruction of Indoor Scenes" (2015), as their
    simulator has it but for the lens distortion, which is that of one device: pixels are displaced
    by normal numbers of ¼ pixel; disparity, 35.13 over depth, gets normal noise of 0.0278 and is
    rounded to eighths. At 4 m that is an error of 1.3 cm and steps of 6 cm.

    Attributes:
        scale: Scales the displacement and the noise of disparity; the steps stay.
        max_range_m: Nothing is measured from here on, metres.
    """

    scale: float = 1.0
    max_range_m: float = 10.0

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        if not self.max_range_m > 0.0:
            raise ConfigError(f"max_range_m must be positive, got {self.max_range_m!r}")

    def apply(self, depth: Any, keys: NDArray[np.uint64], intrinsics: NDArray[np.float64]) -> Any:
        """See `DepthNoise.apply`."""
        if not isinstance(depth, np.ndarray):
            return self._of_tensor(depth, keys)
        out = np.empty_like(depth)
        limits = np.array([self.scale, self.max_range_m])
        run_striped(_redwood, len(depth), depth, keys, normal_quantiles(), limits, out)
        return out

    def _of_tensor(self, depth: Any, keys: NDArray[np.uint64]) -> Any:
        import torch

        words = words_on(depth.device, keys, depth[0].numel()).view(depth.shape)
        shuffled = _sample(depth, words, self.scale * _SHUFFLE_STD_PX, coarse=True)
        disparity = _DISPARITY_M / shuffled + self.scale * _DISPARITY_STD * normal_quarter(words, 2)
        steps = torch.floor(disparity * _DISPARITY_STEPS + 0.5)
        measured = (shuffled > 0) & (shuffled < self.max_range_m) & (steps > 0)
        return torch.where(measured, _DISPARITY_M * _DISPARITY_STEPS / steps, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class KinectDepthNoise:
    """A Kinect: axial noise that grows with the square of depth, lateral noise, lost edges.

    The model of Nguyen, Izadi and Lovell, "Modeling Kinect Sensor Noise for Improved 3D
    Reconstruction and Tracking" (2012). With z in metres and θ the angle at which a surface is
    seen, the standard deviations are

    * lateral: 0.8 + 0.035 θ / (π/2 − θ) pixels of the sensor, whose focal length is 585 of them;
    * axial: 0.0012 + 0.0019 (z − 0.4)² metres, and beyond 60° also 0.0001 z^−½ θ² / (π/2 − θ)².

    Beyond 80° nothing is measured, so the edges of things are lost as well.

    Attributes:
        scale: Scales both standard deviations.
        min_range_m: Nothing is measured up to here, metres.
        max_range_m: Nothing is measured from here on, metres.
    """

    scale: float = 1.0
    min_range_m: float = 0.4
    max_range_m: float = 8.0

    def __post_init__(self) -> None:
        _check_scale(self.scale)
        if not 0.0 <= self.min_range_m < self.max_range_m:
            raise ConfigError(
                "min_range_m must be at least 0 and less than max_range_m, got "
                f"{self.min_range_m!r} and {self.max_range_m!r}"
            )

    def apply(self, depth: Any, keys: NDArray[np.uint64], intrinsics: NDArray[np.float64]) -> Any:
        """See `DepthNoise.apply`."""
        if not isinstance(depth, np.ndarray):
            return self._of_tensor(depth, keys, intrinsics)
        out = np.empty_like(depth)
        limits = np.array([self.scale, self.min_range_m, self.max_range_m])
        pinhole = np.ascontiguousarray(intrinsics, np.float64)
        run_striped(_kinect, len(depth), depth, keys, pinhole, normal_quantiles(), limits, out)
        return out

    def _of_tensor(self, depth: Any, keys: NDArray[np.uint64], intrinsics: Any) -> Any:
        import torch

        from worldfm_envs.sensors.tensors import tensor_on

        pinhole = tensor_on(depth.device, np.asarray(intrinsics, np.float32))
        words = words_on(depth.device, keys, depth[0].numel()).view(depth.shape)
        angle = _incidence_on_device(depth, pinhole)
        steepness = angle / (math.pi / 2 - angle).clamp(min=1e-6)
        pixels = (self.scale / _KINECT_FOCAL_PX) * pinhole[:, 0, None, None]
        z = _sample(depth, words, (0.8 + 0.035 * steepness) * pixels, coarse=False)
        std = 0.0012 + 0.0019 * (z - 0.4) ** 2
        steep = 0.0001 / z.clamp(min=1e-6).sqrt() * steepness**2
        std = std + torch.where(angle > math.radians(60.0), steep, 0.0)
        noisy = z + self.scale * std * normal_quarter(words, 2)
        measured = (depth > 0) & (z > 0) & (angle <= math.radians(80.0))
        measured &= (noisy > self.min_range_m) & (noisy < self.max_range_m)
        return torch.where(measured, noisy, 0.0)


DEPTH_NOISES: dict[str, type[DepthNoise]] = {
    "redwood": RedwoodDepthNoise,
    "kinect": KinectDepthNoise,
}
"""What `depth_noise=` can name."""


def make_depth_noise(noise: str | DepthNoise | None) -> DepthNoise | None:
    """The noise of a name, with its usual strength; other values come back as they are.

    Raises:
        ConfigError: If there is no noise of that name.
    """
    if not isinstance(noise, str):
        return noise
    if noise not in DEPTH_NOISES:
        raise ConfigError(f"depth_noise must be one of {list(DEPTH_NOISES)}, got {noise!r}")
    return DEPTH_NOISES[noise]()


def _check_scale(scale: float) -> None:
    if not 0.0 <= scale < np.inf:
        raise ConfigError(f"scale must be a finite number, at least 0, got {scale!r}")


@njit(cache=True, nogil=True, inline="always")
def _displaced(at: int, by: Any, size: int) -> int:
    """Pixel index after a displacement in pixels, within the image."""
    return int(min(max(at + by, 0.0), size - 1.0) + 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _redwood(
    first: int, step: int, depth: Any, keys: Any, table: Any, limits: Any, out: Any
) -> None:
    """What `RedwoodDepthNoise` does to images first, first + step, … up to the last."""
    scale, max_range_m = limits
    shuffle = scale * _SHUFFLE_STD_PX
    height, width = depth.shape[1:]
    for i in range(first, len(depth), step):
        for v in range(height):
            for u in range(width):
                word = word_of(keys[i], v * width + u)
                y = _displaced(v, shuffle * table[quarter(word, 0)], height)
                x = _displaced(u, shuffle * table[quarter(word, 1)], width)
                z = depth[i, y - y % 2, x - x % 2]
                disparity = _DISPARITY_M / z + scale * _DISPARITY_STD * table[quarter(word, 2)]
                steps = math.floor(disparity * _DISPARITY_STEPS + 0.5)
                if 0.0 < z < max_range_m and steps > 0.0:
                    out[i, v, u] = _DISPARITY_M * _DISPARITY_STEPS / steps
                else:
                    out[i, v, u] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _kinect(
    first: int, step: int, depth: Any, keys: Any, pinhole: Any, table: Any, limits: Any, out: Any
) -> None:
    """What `KinectDepthNoise` does to images first, first + step, … up to the last."""
    scale, nearest_m, farthest_m = limits
    height, width = depth.shape[1:]
    for i in range(first, len(depth), step):
        pixels = scale * pinhole[i, 0] / _KINECT_FOCAL_PX
        for v in range(height):
            for u in range(width):
                out[i, v, u] = 0.0
                angle = _incidence(depth[i], v, u, pinhole[i])
                if not depth[i, v, u] > 0.0 or angle > math.radians(80.0):
                    continue
                word = word_of(keys[i], v * width + u)
                steepness = angle / (math.pi / 2 - angle)
                lateral = (0.8 + 0.035 * steepness) * pixels
                y = _displaced(v, lateral * table[quarter(word, 0)], height)
                x = _displaced(u, lateral * table[quarter(word, 1)], width)
                z = depth[i, y, x]
                if not z > 0.0:
                    continue
                std = 0.0012 + 0.0019 * (z - 0.4) ** 2
                if angle > math.radians(60.0):
                    std += 0.0001 / math.sqrt(z) * steepness**2
                noisy = z + scale * std * table[quarter(word, 2)]
                if nearest_m < noisy < farthest_m:
                    out[i, v, u] = noisy


@njit(cache=True, nogil=True, inline="always")
def _slope(before: Any, here: Any, after: Any) -> Any:
    """Change of depth per pixel from the neighbors that have depth."""
    if before > 0.0 and after > 0.0:
        return 0.5 * (after - before)
    if after > 0.0:
        return after - here
    if before > 0.0:
        return here - before
    return 0.0 * here


@njit(cache=True, nogil=True, error_model="numpy")
def _incidence(depth: Any, v: int, u: int, pinhole: Any) -> float:
    """Angle between the ray of a pixel and the normal of the surface that it meets, radians."""
    height, width = depth.shape
    fx, fy, cx, cy = pinhole
    z = float(depth[v, u])
    along_u = _slope(
        depth[v, u - 1] if u > 0 else 0.0, z, depth[v, u + 1] if u + 1 < width else 0.0
    )
    along_v = _slope(
        depth[v - 1, u] if v > 0 else 0.0, z, depth[v + 1, u] if v + 1 < height else 0.0
    )
    x, y = (u + 0.5 - cx) / fx, (v + 0.5 - cy) / fy
    a, b = fx * along_u, fy * along_v
    c = z + x * a + y * b
    # The normal is (−a, −b, c): the cross product of the surface's tangents along u and v.
    cosine = z / math.sqrt((a * a + b * b + c * c) * (x * x + y * y + 1.0))
    return math.acos(min(cosine, 1.0))


def _incidence_on_device(depth: Any, pinhole: Any) -> Any:
    """`_incidence` of all pixels of a tensor [M, H, W]."""
    import torch
    from torch.nn import functional as F

    padded = F.pad(depth, (1, 1, 1, 1))
    height, width = depth.shape[1:]
    sides = [
        (padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]),
        (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]),
    ]
    slopes = []
    for before, after in sides:
        one = torch.where(after > 0, after - depth, torch.where(before > 0, depth - before, 0.0))
        slopes.append(torch.where((before > 0) & (after > 0), 0.5 * (after - before), one))
    fx, fy, cx, cy = (pinhole[:, k, None, None] for k in range(4))
    x = (torch.arange(width, device=depth.device) + 0.5 - cx) / fx
    y = (torch.arange(height, device=depth.device)[:, None] + 0.5 - cy) / fy
    a, b = fx * slopes[0], fy * slopes[1]
    c = depth + x * a + y * b
    cosine = depth / ((a * a + b * b + c * c) * (x * x + y * y + 1.0)).sqrt()
    return torch.where(depth > 0, cosine, 1.0).clamp(max=1.0).acos()


def _sample(depth: Any, words: Any, std_px: Any, *, coarse: bool) -> Any:
    """Depth [M, H, W] at displaced pixels; `coarse` takes every second row and column."""
    import torch

    height, width = depth.shape[1:]
    device = depth.device
    v = torch.arange(height, device=device)[:, None] + std_px * normal_quarter(words, 0)
    u = torch.arange(width, device=device) + std_px * normal_quarter(words, 1)
    v = (v.clamp(0.0, height - 1.0) + 0.5).long()
    u = (u.clamp(0.0, width - 1.0) + 0.5).long()
    if coarse:
        v, u = v - v % 2, u - u % 2
    return depth.flatten(1).gather(1, (v * width + u).flatten(1)).view(depth.shape)
