"""The vocabulary for Numba: a lane is one number, so a block-wide question is about itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_word = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_word
def where(condition: Any, yes: Any, no: Any) -> Any:
    """Select one of two numbers."""
    return yes if condition else no


@_word
def minimum(a: Any, b: Any) -> Any:
    """The lesser of two floats."""
    return a if a < b else b


@_word
def maximum(a: Any, b: Any) -> Any:
    """The greater of two floats."""
    return a if a > b else b


@_word
def absolute(a: Any) -> Any:
    """Magnitude of a float."""
    return abs(a)


@_word
def floor(a: Any) -> Any:
    """Largest whole float not above `a`."""
    return np.floor(a)


@_word
def sqrt(a: Any) -> Any:
    """Correctly rounded square root."""
    return np.sqrt(a)


@_word
def div(a: Any, b: Any) -> Any:
    """Correctly rounded quotient."""
    return a / b


@_word
def to_int(a: Any) -> Any:
    """A whole float as int32."""
    return np.int32(a)


@_word
def to_float(a: Any) -> Any:
    """An int32 as float32."""
    return np.float32(a)


@_word
def hash_int(i: Any, j: Any, seed: Any) -> Any:
    """Multiply–xorshift hash; every product is cut back to 32 bits."""
    h = np.uint32(np.uint32(i) * np.uint32(0x8DA6B343))
    h = np.uint32(h ^ np.uint32(np.uint32(j) * np.uint32(0xD8163841)))
    h = np.uint32(h ^ np.uint32(np.uint32(seed) * np.uint32(0x9E3779B1)))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39))
    return np.int32(h ^ (h >> np.uint32(15)))


@_word
def stir(seed: Any, k: Any) -> Any:
    """The int32 `seed + k`; a plain sum would widen to 64 bits."""
    return np.int32(seed + k)


@_word
def unit_float(hashed: Any) -> Any:
    """Float in [0, 1) from the upper 24 bits."""
    return np.float32(np.uint32(hashed) >> np.uint32(8)) * np.float32(2.0**-24)


@_word
def like(lanes: Any, value: Any) -> Any:
    """The constant itself."""
    return np.float32(value)


@_word
def load(memory: Any, index: Any, live: Any) -> Any:
    """Read one element; a single lane is asked only when it is live."""
    return memory[index]


@_word
def load_one(memory: Any, index: Any) -> Any:
    """Read one element."""
    return memory[index]


@_word
def any_true(condition: Any) -> Any:
    """The condition itself."""
    return condition


@_word
def most(count: Any) -> Any:
    """The count itself."""
    return count
