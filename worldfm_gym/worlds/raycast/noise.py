"""Noise and band-limited patterns on a surface, in units of their own period (shared source).

`width` is the footprint of the sample on the surface in the same units as the coordinates: every
pattern is averaged over it, or fades out before it could alias.
"""

from __future__ import annotations

from worldfm_gym.worlds.raycast.vocabulary import (
    Lanes,
    absolute,
    any_true,
    div,
    floor,
    hash_int,
    like,
    maximum,
    minimum,
    stir,
    to_int,
    unit_float,
)


def clamp01(x: Lanes) -> Lanes:
    """`x` limited to [0, 1]."""
    return minimum(maximum(x, like(x, 0.0)), like(x, 1.0))


def mix(a: Lanes, b: Lanes, t: Lanes) -> Lanes:
    """Linear interpolation from `a` to `b`."""
    return a + (b - a) * t


def smooth(t: Lanes) -> Lanes:
    """Cubic step of t in [0, 1]."""
    return t * t * (3.0 - 2.0 * t)


def ramp(low: Lanes, high: Lanes, x: Lanes) -> Lanes:
    """Smooth step from 0 at `low` to 1 at `high`."""
    return smooth(clamp01(div(x - low, like(x, 0.0) + (high - low))))


def fade(width: Lanes) -> Lanes:
    """Contrast left of detail of period 1 seen with a footprint of `width`."""
    return clamp01(1.6 - 2.0 * width)


def fraction(x: Lanes) -> Lanes:
    """Fractional part in [0, 1)."""
    return x - floor(x)


def cell_noise(u: Lanes, v: Lanes, seed: Lanes) -> Lanes:
    """One random number in [0, 1) for each unit cell."""
    return unit_float(hash_int(to_int(floor(u)), to_int(floor(v)), seed))


def value_noise(u: Lanes, v: Lanes, seed: Lanes) -> Lanes:
    """Smooth noise in [−1, 1] of period 1."""
    fu = floor(u)
    fv = floor(v)
    i = to_int(fu)
    j = to_int(fv)
    i1 = to_int(fu + 1.0)
    j1 = to_int(fv + 1.0)
    x = smooth(u - fu)
    y = smooth(v - fv)
    low = mix(unit_float(hash_int(i, j, seed)), unit_float(hash_int(i1, j, seed)), x)
    high = mix(unit_float(hash_int(i, j1, seed)), unit_float(hash_int(i1, j1, seed)), x)
    return mix(low, high, y) * 2.0 - 1.0


def fading_noise(u: Lanes, v: Lanes, width: Lanes, seed: Lanes) -> Lanes:
    """Smooth noise in [−1, 1] of period 1, skipped where the footprint averages it out."""
    contrast = fade(width)
    noise = like(u, 0.0)
    if any_true(contrast > 0.0):
        noise = value_noise(u, v, seed) * contrast
    return noise


def mottle(u: Lanes, v: Lanes, width: Lanes, seed: Lanes) -> Lanes:
    """Two octaves of noise in about [−1, 1]; the coarsest period is 1."""
    coarse = fading_noise(u, v, width, seed)
    fine = fading_noise(u * 2.7 + 11.3, v * 2.7 - 7.9, width * 2.7, stir(seed, 1))
    return 0.65 * coarse + 0.35 * fine


def pulse(x: Lanes, duty: Lanes, width: Lanes) -> Lanes:
    """Coverage by a pulse train of period 1, on over [0, duty), averaged over `width`."""
    w = maximum(width, like(x, 1.0e-3))
    a = fraction(x) - 0.5 * w
    b = a + w
    fa = floor(a)
    fb = floor(b)
    low = fa * duty + minimum(a - fa, duty)
    high = fb * duty + minimum(b - fb, duty)
    return clamp01(div(high - low, w))


def joint(x: Lanes, half: Lanes, width: Lanes) -> Lanes:
    """Coverage by lines of half thickness `half` around whole numbers."""
    return pulse(x + half, 2.0 * half + like(x, 0.0), width)


def band(x: Lanes, low: Lanes, high: Lanes, width: Lanes) -> Lanes:
    """Coverage by the single interval [low, high], averaged over `width`."""
    w = maximum(width, like(x, 1.0e-4))
    top = minimum(x + 0.5 * w, like(x, 0.0) + high)
    bottom = maximum(x - 0.5 * w, like(x, 0.0) + low)
    return clamp01(div(top - bottom, w))


def wave(x: Lanes) -> Lanes:
    """A smooth wave of period 1 in [0, 1], 1 at whole numbers."""
    return smooth(absolute(fraction(x) * 2.0 - 1.0))
