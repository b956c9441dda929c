"""Image sensors: color, depth and where pixels come from."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numba import njit

from worldfm_envs.counter_random import DEPTH_STREAM, RGB_STREAM, noise_keys
from worldfm_envs.depth_noise import DepthNoise
from worldfm_envs.rgb_noise import RgbNoise
from worldfm_envs.sensors.base import SensorInput

DepthType = Literal["uint8", "float32"]


class RgbSensor:
    """The camera image, uint8 RGB, with the noise that `rgb_noise` asks for."""

    def __init__(self, *, width: int, height: int, noise: RgbNoise | None = None) -> None:
        self.space = spaces.Box(0, 255, (height, width, 3), np.uint8)
        self._noise = noise

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        rgb = source.frame.rgb
        if self._noise is None:
            return rgb
        keys = noise_keys(source.episode_seed, source.step_count, stream=RGB_STREAM)
        return self._noise.apply(rgb, keys)


class DepthSensor:
    """z-depth in metres, clipped at `max_depth_m`, with noise if any; 0 where nothing is seen.

    As uint8, 1…255 stand for 0…`max_depth_m` metres in steps of ``max_depth_m / 255``. The noise is
    what `depth_noise` asks for.
    """

    def __init__(
        self,
        *,
        width: int,
        height: int,
        max_depth_m: float,
        dtype: DepthType,
        noise: DepthNoise | None = None,
    ) -> None:
        high = 255 if dtype == "uint8" else max_depth_m
        self._dtype = dtype
        self._noise = noise
        self._max_depth_m = np.float32(max_depth_m)
        self._steps_per_m = np.float32(255.0) / self._max_depth_m
        kind = np.uint8 if dtype == "uint8" else np.float32
        self.space = spaces.Box(0, high, (height, width, 1), kind)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        depth = source.frame.depth
        if self._noise is not None:
            keys = noise_keys(source.episode_seed, source.step_count, stream=DEPTH_STREAM)
            depth = self._noise.apply(depth, keys, source.frame.camera.intrinsics)
        if not isinstance(depth, np.ndarray):
            return self._of_tensor(depth)
        if self._dtype == "float32":
            return np.minimum(depth, self._max_depth_m)[..., None]
        out = np.empty((*depth.shape, 1), np.uint8)
        _quantize(depth.reshape(-1), self._steps_per_m, out.reshape(-1))
        return out

    def _of_tensor(self, depth: Any) -> Any:
        """The same on the device that holds the depth."""
        import torch

        if self._dtype == "float32":
            return depth.clamp(max=float(self._max_depth_m))[..., None]
        steps = (depth * float(self._steps_per_m) + 0.5).clamp(max=255.0).to(torch.uint8)
        return torch.maximum(steps, (depth > 0).to(torch.uint8))[..., None]


class ProvenanceSensor:
    """Where each pixel comes from: 0 nothing was drawn, 1 observed, 2 invented by the frame model.

    The bound of its space is that of an image, 255, because RL libraries take uint8 images only.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 1), np.uint8)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        return source.frame.provenance[..., None]


@njit(cache=True, nogil=True)
def _quantize(depth: Any, scale: Any, out: Any) -> None:
    """Depth [P] to uint8 [P]: what is seen is at least 1, so that 0 keeps meaning nothing."""
    for i in range(len(depth)):
        step = np.int32(min(depth[i] * scale + np.float32(0.5), np.float32(255.0)))
        out[i] = max(step, np.int32(depth[i] > 0))
