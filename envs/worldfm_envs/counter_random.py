"""Random numbers that are a function of where they fall: episode, step, stream and element.

Noise that is drawn this way needs no generator and no history: it is the same in single and vector
environments, the same after a state was restored, and does not change the course of an episode.

SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", 2014) does it:
a key picks the place where a sequence begins, and element e reads its (e + 1)-th word. Words are
cut into four 16-bit indices of a table of normal quantiles, so CPU and GPU draw the same numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

RGB_STREAM, DEPTH_STREAM, ACTUATION_STREAM, APPEARANCE_STREAM = range(1, 5)
"""What must not share random numbers."""

QUANTILES = 1 << 16
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def noise_keys(
    episode_seed: NDArray[np.uint64], step_count: NDArray[np.int64], *, stream: int
) -> NDArray[np.uint64]:
    """The key of every agent [M] at this step in a stream, uint64 [M]."""
    keys: NDArray[np.uint64] = _keys(
        np.ascontiguousarray(episode_seed, np.uint64),
        np.ascontiguousarray(step_count, np.int64),
        stream,
    )
    return keys


def normals(keys: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """Standard normal numbers [M, count] of keys [M], from all bits of a word each.

    For the few numbers that a motion needs; images read `normal_quantiles` instead.
    """
    from scipy.special import ndtri

    drawn: NDArray[np.float64] = ndtri(uniforms(keys, count))
    return drawn


def uniforms(keys: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """Numbers between 0 and 1, ends excluded, float64 [M, count], of keys [M]."""
    numbers: NDArray[np.float64] = _uniforms(np.ascontiguousarray(keys, np.uint64), count)
    return numbers


@lru_cache(maxsize=1)
def normal_quantiles() -> NDArray[np.float32]:
    """Quantiles of the standard normal distribution at (i + ½) / 2¹⁶, float32 [2¹⁶]."""
    from scipy.special import ndtri

    table: NDArray[np.float32] = ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES).astype(np.float32)
    return table


@njit(cache=True, nogil=True, inline="always")
def word_of(key: Any, element: Any) -> Any:
    """The 64-bit word of an element."""
    word = key + (np.uint64(element) + np.uint64(1)) * np.uint64(_GOLDEN)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(_FIRST)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(_SECOND)
    return word ^ (word >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def quarter(word: Any, which: Any) -> Any:
    """A quarter of a word, 0…3, as an index of `normal_quantiles`."""
    return np.int64((word >> np.uint64(16 * which)) & np.uint64(QUANTILES - 1))


@njit(cache=True, nogil=True)
def _keys(episode_seed: Any, step_count: Any, stream: int) -> Any:
    """Keys [M]: the seed's own sequence per stream, read at the step."""
    keys = np.empty(len(episode_seed), np.uint64)
    for i in range(len(keys)):
        keys[i] = word_of(word_of(episode_seed[i], stream), step_count[i])
    return keys


@njit(cache=True, nogil=True)
def _uniforms(keys: Any, count: int) -> Any:
    """Uniform numbers [M, count] from the upper 53 bits, at the middles of their steps."""
    out = np.empty((len(keys), count))
    for i in range(len(keys)):
        for j in range(count):
            out[i, j] = (np.float64(word_of(keys[i], j) >> np.uint64(12)) + 0.5) * 2.0**-52
    return out


def words_on(device: Any, keys: NDArray[np.uint64], count: int) -> Tensor:
    """The words of elements 0…count − 1 on a torch device, int64 [M, count], bit for bit."""
    import torch

    start = torch.from_numpy(keys.view(np.int64).copy())
    if device.type == "cuda":
        start = start.pin_memory().to(device, non_blocking=True)
    steps = torch.arange(1, count + 1, device=device) * _signed(_GOLDEN)
    word = start[:, None] + steps
    word = (word ^ _shifted(word, 30)) * _signed(_FIRST)
    word = (word ^ _shifted(word, 27)) * _signed(_SECOND)
    return word ^ _shifted(word, 31)


def normal_quarter(words: Tensor, which: int) -> Tensor:
    """Standard normal numbers of a quarter of each word, float32 of the same shape."""
    return _quantiles_on(words.device)[(words >> (16 * which)) & (QUANTILES - 1)]


@lru_cache(maxsize=8)
def _quantiles_on(device: Any) -> Tensor:
    import torch

    return torch.from_numpy(normal_quantiles()).to(device)


def _signed(word: int) -> int:
    """The signed integer of the same 64 bits: torch has no other."""
    return word - (1 << 64) if word >> 63 else word


def _shifted(word: Tensor, by: int) -> Tensor:
    """A logical shift to the right of int64."""
    return (word >> by) & ((1 << (64 - by)) - 1)
