"""Compiled CPU kernels of the frame model: what lies between its matrix products.

They run on one thread: each takes a fraction of a millisecond, and torch's own threads still wait
for work then, on the cores that others would need.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from worldfm_gym.float_bits import bits_of, float_of
from worldfm_gym.frame_model.network import SURE, UNSURE

_ONE, _HALF, _EPS = np.float32(1), np.float32(0.5), np.float32(1e-6)
_UNSURE, _PER_DOUBT = np.float32(UNSURE), np.float32(1 / (SURE - UNSURE))
_GELU_CUBE = np.float32(0.044715)
_GELU_SLOPE = np.float32(-1.5957691216057308 * 1.4426950408889634)  # of the exponent of 2
_ROUNDER = np.float32(12582912.0)  # 1.5 · 2²³: adding it rounds to a whole number
_ROUNDER_BITS = np.int32(0x4B400000)
_MOST = np.float32(126.0)
# 2^x on [−½, ½]: Taylor's polynomial in x · ln 2, relative error 2e−7.
_P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(c)
    for c in (
        0.6931471805599453, 0.2402265069591007, 0.05550410866482158, 0.009618129107628477,
        0.0013333558146428443, 0.0001540353039338161,
    )
)  # fmt: skip


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _exp2(x: Any) -> Any:
    """2^x of a float32, x clamped to ±126; without a call, so that loops become vector code."""
    x = min(max(x, -_MOST), _MOST)
    shifted = x + _ROUNDER
    f = x - (shifted - _ROUNDER)
    p = _ONE + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    return float_of(np.int32(bits_of(p) + ((bits_of(shifted) - _ROUNDER_BITS) << np.int32(23))))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def gelu_rows(x: Any) -> None:
    """GELU by tanh, in place, of float32 [rows, columns]."""
    for row in range(x.shape[0]):
        line = x[row]
        for i in range(line.shape[0]):
            u = line[i]
            line[i] = u / (_ONE + _exp2(_GELU_SLOPE * (u + _GELU_CUBE * u * u * u)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _norm_and_turn(source: Any, weight: Any, cos: Any, sin: Any, to: Any) -> None:
    """RMS norm, weight and rotary of one head [head_dim]; see `attention.rotate`."""
    size, quarter = source.shape[0], cos.shape[0]
    total = np.float32(0)
    for i in range(size):
        total += source[i] * source[i]
    scale = _ONE / np.sqrt(total / np.float32(size) + _EPS)
    for i in range(quarter):
        a = source[i] * scale * weight[i]
        b = source[quarter + i] * scale * weight[quarter + i]
        to[i] = a * cos[i] - b * sin[i]
        to[quarter + i] = a * sin[i] + b * cos[i]
    for i in range(2 * quarter, size):
        to[i] = source[i] * scale * weight[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def split_heads(
    qkv: Any, query_weight: Any, key_weight: Any, cos: Any, sin: Any,
    queries: Any, keys: Any, values: Any,
) -> None:  # fmt: skip
    """From [tokens, 3, heads, head_dim] to [heads, tokens, head_dim] each, normed and turned."""
    for head in range(qkv.shape[2]):
        for token in range(qkv.shape[0]):
            of_token = qkv[token]
            c, s = cos[token], sin[token]
            _norm_and_turn(of_token[0, head], query_weight, c, s, queries[head, token])
            _norm_and_turn(of_token[1, head], key_weight, c, s, keys[head, token])
            values[head, token, :] = of_token[2, head]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project_references(stored: Any, slots: Any, relative: Any, to: Any) -> None:
    """References' keys or values, [slots, tokens, heads, head_dim], projected to the target.

    `to` is [heads, R · tokens, head_dim], `relative` [R, 4, 4]; see `attention.project`.
    """
    tokens, heads, size = stored.shape[1], stored.shape[2], stored.shape[3]
    for head in range(heads):
        for r in range(len(slots)):
            p = relative[r]
            p00, p01, p02, p03 = p[0, 0], p[0, 1], p[0, 2], p[0, 3]
            p10, p11, p12, p13 = p[1, 0], p[1, 1], p[1, 2], p[1, 3]
            p20, p21, p22, p23 = p[2, 0], p[2, 1], p[2, 2], p[2, 3]
            p30, p31, p32, p33 = p[3, 0], p[3, 1], p[3, 2], p[3, 3]
            for token in range(tokens):
                source, line = stored[slots[r], token, head], to[head, r * tokens + token]
                for i in range(size // 2):
                    line[i] = source[i]
                for i in range(size // 2, size, 4):
                    a, b, c, d = source[i], source[i + 1], source[i + 2], source[i + 3]
                    line[i] = p00 * a + p01 * b + p02 * c + p03 * d
                    line[i + 1] = p10 * a + p11 * b + p12 * c + p13 * d
                    line[i + 2] = p20 * a + p21 * b + p22 * c + p23 * d
                    line[i + 3] = p30 * a + p31 * b + p32 * c + p33 * d


@numba.njit(cache=True, nogil=True, error_model="numpy")
def unshuffle_rows(image: Any, out: Any, offset: int) -> None:
    """Pixel-unshuffle [C, H, W] to channels from `offset` on of [H / 2, W / 2, …]."""
    for y in range(out.shape[0]):
        for channel in range(image.shape[0]):
            for dy in range(2):
                line, to = image[channel, 2 * y + dy], out[y]
                at = offset + 4 * channel + 2 * dy
                for x in range(out.shape[1]):
                    to[x, at] = line[2 * x]
                    to[x, at + 1] = line[2 * x + 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def finish_rows(change: Any, conditioning: Any, out: Any) -> None:
    """Pixel-shuffle [H / 2, W / 2, 16] to [4, H, W] and change what is known by it."""
    for y in range(out.shape[1]):
        line = change[y // 2]
        covered, confidence = conditioning[4, y], conditioning[8, y]
        for channel in range(4):
            at = 4 * channel + 2 * (y % 2)
            start, to = conditioning[channel, y], out[channel, y]
            warped = conditioning[5 + min(channel, 2), y]
            color = np.float32(0) if channel == 3 else _ONE
            for x in range(out.shape[2]):
                trust = confidence[x]
                sure = min(max((trust - _UNSURE) * _PER_DOUBT, np.float32(0)), _ONE)
                kept = color * sure * (_ONE - covered[x])
                share = color * trust + kept * (_ONE - trust)
                begin = start[x] + share * (warped[x] - start[x])
                to[x] = begin + (_ONE - kept) * line[x // 2, at + x % 2]
