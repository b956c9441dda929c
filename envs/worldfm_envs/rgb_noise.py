"""Noise of color images: Gaussian, speckle, salt and pepper.

Off by default. It falls on the `rgb` observation alone, never on what a task reads, and is a
function of the episode, the step and the pixel (`counter_random`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.counter_random import (
    QUANTILES,
    normal_quantiles,
    normal_quarter,
    quarter,
    word_of,
    words_on,
)
from worldfm_gym.errors import ConfigError
from worldfm_gym.threads import run_striped


class RgbNoise(Protocol):
    """What a sensor does to clean color images."""

    def apply(self, rgb: Any, keys: NDArray[np.uint64]) -> Any:
        """Noisy images, uint8 [M, H, W, 3], of clean ones and the noise keys [M] of their agents.

        Arrays and tensors come back as what they are; the input stays as it is.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianRgbNoise:
    """Adds a normal number to every channel of every pixel, as an amplifier does.

    Attributes:
        std: Standard deviation as a share of full scale.
    """

    std: float = 0.05

    def __post_init__(self) -> None:
        _check_std(self.std)

    def apply(self, rgb: Any, keys: NDArray[np.uint64]) -> Any:
        """See `RgbNoise.apply`."""
        return _normal_noise(rgb, keys, added=255.0 * self.std, multiplied=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeckleRgbNoise:
    """Scales every channel of every pixel by one plus a normal number: bright parts suffer most.

    Attributes:
        std: Standard deviation of the factor.
    """

    std: float = 0.1

    def __post_init__(self) -> None:
        _check_std(self.std)

    def apply(self, rgb: Any, keys: NDArray[np.uint64]) -> Any:
        """See `RgbNoise.apply`."""
        return _normal_noise(rgb, keys, added=0.0, multiplied=self.std)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaltAndPepperRgbNoise:
    """Turns some pixels white or black, as dead pixels and lost bits do.

    Attributes:
        share: Share of the pixels that are lost.
        salt: Share of those that turn white.
    """

    share: float = 0.02
    salt: float = 0.5

    def __post_init__(self) -> None:
        for name in ("share", "salt"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} must lie in 0…1, got {getattr(self, name)!r}")

    def apply(self, rgb: Any, keys: NDArray[np.uint64]) -> Any:
        """See `RgbNoise.apply`."""
        lost, white = round(self.share * 2**32), round(self.salt * QUANTILES)
        if isinstance(rgb, np.ndarray):
            out = np.empty_like(rgb)
            run_striped(_salt_and_pepper, len(rgb), _flat(rgb), keys, lost, white, _flat(out))
            return out
        words = words_on(rgb.device, keys, rgb.shape[1] * rgb.shape[2]).view(rgb.shape[:3])
        hit = ((words >> 32) & 0xFFFFFFFF) < lost
        grain = (((words & (QUANTILES - 1)) < white) * 255).to(rgb.dtype)
        return rgb.where(~hit[..., None], grain[..., None])


RGB_NOISES: dict[str, type[RgbNoise]] = {
    "gaussian": GaussianRgbNoise,
    "speckle": SpeckleRgbNoise,
    "salt_and_pepper": SaltAndPepperRgbNoise,
}
"""What `rgb_noise=` can name."""


def make_rgb_noise(noise: str | RgbNoise | None) -> RgbNoise | None:
    """The noise of a name, with its usual strength; other values come back as they are.

    Raises:
        ConfigError: If there is no noise of that name.
    """
    if not isinstance(noise, str):
        return noise
    if noise not in RGB_NOISES:
        raise ConfigError(f"rgb_noise must be one of {list(RGB_NOISES)}, got {noise!r}")
    return RGB_NOISES[noise]()


def _check_std(std: float) -> None:
    if not 0.0 <= std < np.inf:
        raise ConfigError(f"std must be a finite number, at least 0, got {std!r}")


def _normal_noise(rgb: Any, keys: NDArray[np.uint64], *, added: float, multiplied: float) -> Any:
    """Images plus ``(added + multiplied · value) · normal``, rounded and clipped."""
    if isinstance(rgb, np.ndarray):
        out = np.empty_like(rgb)
        strength = np.float32(added), np.float32(multiplied)
        run_striped(
            _add_normal, len(rgb), _flat(rgb), keys, normal_quantiles(), *strength, _flat(out)
        )
        return out
    import torch

    words = words_on(rgb.device, keys, rgb.shape[1] * rgb.shape[2]).view(rgb.shape[:3])
    drawn = torch.stack([normal_quarter(words, c) for c in range(3)], dim=-1)
    value = rgb.float()
    noisy = value + (added + multiplied * value) * drawn
    return (noisy + 0.5).clamp(0.0, 255.0).to(torch.uint8)


def _flat(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images [M, H, W, 3] as pixels [M, P, 3]."""
    return images.reshape(len(images), -1, 3)


@njit(cache=True, nogil=True)
def _add_normal(
    first: int, step: int, rgb: Any, keys: Any, table: Any, added: Any, multiplied: Any, out: Any
) -> None:
    """Noisy pixels [M, P, 3] of images first, first + step, … up to the last."""
    for i in range(first, len(rgb), step):
        for p in range(rgb.shape[1]):
            word = word_of(keys[i], p)
            for c in range(3):
                value = np.float32(rgb[i, p, c])
                value += (added + multiplied * value) * table[quarter(word, c)]
                value = min(max(value + np.float32(0.5), np.float32(0.0)), np.float32(255.0))
                out[i, p, c] = np.uint8(value)


@njit(cache=True, nogil=True)
def _salt_and_pepper(
    first: int, step: int, rgb: Any, keys: Any, lost: int, white: int, out: Any
) -> None:
    """Pixels [M, P, 3] of images first, first + step, …, some of them white or black."""
    for i in range(first, len(rgb), step):
        for p in range(rgb.shape[1]):
            word = word_of(keys[i], p)
            hit = np.int64(word >> np.uint64(32)) < lost
            grain = np.uint8(255 if quarter(word, 0) < white else 0)
            for c in range(3):
                out[i, p, c] = grain if hit else rgb[i, p, c]
