"""The vocabulary for Triton: a lane is a one-dimensional block of pixels."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def where(condition, yes, no):  # type: ignore[no-untyped-def]
    """Select per lane."""
    return tl.where(condition, yes, no)


@triton.jit
def minimum(a, b):  # type: ignore[no-untyped-def]
    """The lesser of two floats."""
    return tl.minimum(a, b)


@triton.jit
def maximum(a, b):  # type: ignore[no-untyped-def]
    """The greater of two floats."""
    return tl.maximum(a, b)


@triton.jit
def absolute(a):  # type: ignore[no-untyped-def]
    """Magnitude of a float."""
    return tl.abs(a)


@triton.jit
def floor(a):  # type: ignore[no-untyped-def]
    """Largest whole float not above `a`."""
    return tl.floor(a)


@triton.jit
def sqrt(a):  # type: ignore[no-untyped-def]
    """Correctly rounded square root (tl.sqrt is approximate)."""
    return tl.sqrt_rn(a)


@triton.jit
def div(a, b):  # type: ignore[no-untyped-def]
    """Correctly rounded quotient (the / operator is approximate)."""
    return tl.div_rn(a, b)


@triton.jit
def to_int(a):  # type: ignore[no-untyped-def]
    """A whole float as int32."""
    return a.to(tl.int32)


@triton.jit
def to_float(a):  # type: ignore[no-untyped-def]
    """An int32 as float32."""
    return a.to(tl.float32)


@triton.jit
def hash_int(i, j, seed):  # type: ignore[no-untyped-def]
    """Multiply–xorshift hash on unsigned 32-bit lanes."""
    h = i.to(tl.uint32, bitcast=True) * 0x8DA6B343
    h = h ^ (j.to(tl.uint32, bitcast=True) * 0xD8163841)
    h = h ^ (seed.to(tl.uint32, bitcast=True) * 0x9E3779B1)
    h = (h ^ (h >> 15)) * 0x2C1B3C6D
    h = (h ^ (h >> 12)) * 0x297A2D39
    return (h ^ (h >> 15)).to(tl.int32, bitcast=True)


@triton.jit
def stir(seed, k):  # type: ignore[no-untyped-def]
    """The int32 `seed + k`."""
    return seed + k


@triton.jit
def unit_float(hashed):  # type: ignore[no-untyped-def]
    """Float in [0, 1) from the upper 24 bits."""
    bits = hashed.to(tl.uint32, bitcast=True) >> 8
    return bits.to(tl.float32) * 5.9604644775390625e-08


@triton.jit
def like(lanes, value):  # type: ignore[no-untyped-def]
    """A block filled with one constant."""
    return tl.zeros_like(lanes).to(tl.float32) + value


@triton.jit
def load(memory, index, live):  # type: ignore[no-untyped-def]
    """Gather one element per live lane."""
    return tl.load(memory + index, mask=live, other=0)


@triton.jit
def load_one(memory, index):  # type: ignore[no-untyped-def]
    """Read one element for the whole block."""
    return tl.load(memory + index)


@triton.jit
def any_true(condition):  # type: ignore[no-untyped-def]
    """Whether any lane holds."""
    return tl.max(condition.to(tl.int32), axis=0) > 0


@triton.jit
def most(count):  # type: ignore[no-untyped-def]
    """The largest count of the block."""
    return tl.max(count, axis=0)
