"""Vocabulary: the words in which geometry, textures and light are written once for CPU and GPU.

A shared function is straight-line Python over float32 and int32 *lanes*. `single_source` compiles
it twice: with Numba, where a lane is one number, and with Triton, where it is a block of pixels.
The bodies here are the reference meaning of each word, on NumPy scalars or arrays; the compiled
twins live in `words_numba` and `words_triton`.

Rules of a shared function: float literals are float32, so floats never meet integer literals;
divisions and roots are correctly rounded (`div`, `sqrt`), so that both backends take the same
branch; an ``if`` may only ask `any_true` or compare a value that is uniform over the block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Lanes = Any
"""One float32/int32/bool (Numba) or a block of them (Triton)."""

Memory = Any
"""A one-dimensional array (Numba) or a pointer to its first element (Triton)."""


def where(condition: Lanes, yes: Lanes, no: Lanes) -> Lanes:
    """`yes` where the condition holds, else `no`; both are evaluated."""
    return np.where(condition, yes, no)


def minimum(a: Lanes, b: Lanes) -> Lanes:
    """The lesser of two floats."""
    return np.minimum(a, b)


def maximum(a: Lanes, b: Lanes) -> Lanes:
    """The greater of two floats."""
    return np.maximum(a, b)


def absolute(a: Lanes) -> Lanes:
    """Magnitude of a float."""
    return np.abs(a)


def floor(a: Lanes) -> Lanes:
    """Largest whole float not above `a`."""
    return np.floor(a)


def sqrt(a: Lanes) -> Lanes:
    """Correctly rounded square root."""
    return np.sqrt(a)


def div(a: Lanes, b: Lanes) -> Lanes:
    """Correctly rounded quotient."""
    return np.divide(a, b)


def to_int(a: Lanes) -> Lanes:
    """A whole float as int32."""
    return np.asarray(a).astype(np.int32)


def to_float(a: Lanes) -> Lanes:
    """An int32 as float32."""
    return np.asarray(a).astype(np.float32)


def hash_int(i: Lanes, j: Lanes, seed: Lanes) -> Lanes:
    """Well-mixed int32 of two int32 coordinates and a seed (multiply–xorshift, 32 bits)."""
    with np.errstate(over="ignore"):
        h = np.asarray(i).astype(np.uint32) * np.uint32(0x8DA6B343)
        h = h ^ (np.asarray(j).astype(np.uint32) * np.uint32(0xD8163841))
        h = h ^ (np.asarray(seed).astype(np.uint32) * np.uint32(0x9E3779B1))
        h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
        h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
        return (h ^ (h >> np.uint32(15))).astype(np.int32)


def stir(seed: Lanes, k: int) -> Lanes:
    """The int32 seed `seed + k`, wrapping."""
    with np.errstate(over="ignore"):
        return (np.asarray(seed).astype(np.uint32) + np.uint32(k)).astype(np.int32)


def unit_float(hashed: Lanes) -> Lanes:
    """Float in [0, 1) from the upper 24 bits of an int32 hash."""
    bits = np.asarray(hashed).astype(np.uint32) >> np.uint32(8)
    return bits.astype(np.float32) * np.float32(2.0**-24)


def like(lanes: Lanes, value: float) -> Lanes:
    """The constant `value` as float32, shaped like `lanes`."""
    return np.full_like(lanes, value, dtype=np.float32)


def load(memory: Memory, index: Lanes, live: Lanes) -> Lanes:
    """Read one element per lane; lanes that are not live read a harmless value."""
    return np.where(live, memory[np.where(live, index, 0)], 0)


def load_one(memory: Memory, index: Lanes) -> Lanes:
    """Read one element that is the same for the whole block."""
    return memory[index]


def any_true(condition: Lanes) -> Lanes:
    """Whether the condition holds in any lane of the block."""
    return bool(np.any(condition))


def most(count: Lanes) -> Lanes:
    """The largest int32 among the lanes of the block."""
    return int(np.max(count))
