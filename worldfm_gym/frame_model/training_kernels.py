"""Triton kernels with gradients: the token-wise parts of a block, for training on a GPU.

Written out in torch, these parts are some fifty passes over memory and most of the time of a
training step. Each function here is one launch forward and one or two backward, and computes what
the plain lines of `Block.forward` do, which are its oracle.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_EPS = tl.constexpr(1e-6)
_ROWS = 16


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """RMS norm of tokens [B, N, W], then scale and shift, each [B or 1, 1, W]."""
    normed: Tensor = _ModulatedNorm.apply(x, shift, scale)
    return normed


def queries_keys_values(
    qkv: Tensor,
    norms: tuple[Tensor, Tensor],
    rotary: tuple[Tensor, Tensor],
    ref_keys: Tensor | None,
    ref_values: Tensor | None,
    relative: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normed and rotated queries and keys, with the references' projected ones appended.

    Args:
        qkv: [B, N, 3, heads, d], contiguous.
        norms: Weights of the queries' and the keys' RMS norm, each [d].
        rotary: Cosines and sines [B, N, 1, d / 4].
        ref_keys: [B, M, heads, d], or None.
        ref_values: Likewise.
        relative: [B, R, 4, 4], or None.

    Returns:
        Queries [B, N, heads, d]; keys and values [B, N + M, heads, d].
    """
    cos, sin = (part.float().contiguous() for part in rotary)
    out: tuple[Tensor, Tensor, Tensor] = _QueriesKeysValues.apply(
        qkv, *norms, cos, sin, ref_keys, ref_values, relative
    )
    return out


@triton.jit(do_not_specialize=["tokens", "per_sample"])
def _norm_forward(  # type: ignore[no-untyped-def]
    x, shift, scale, out, tokens, per_sample,
    WIDTH: tl.constexpr, LANES: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """ROWS tokens of one sample."""
    b = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    lane = tl.arange(0, LANES)
    at = (b * tokens + row)[:, None] * WIDTH + lane[None, :]
    inside = (row < tokens)[:, None] & (lane < WIDTH)[None, :]
    value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    rate = tl.rsqrt(tl.sum(value * value, 1) / WIDTH + _EPS)
    of_sample = b * per_sample * WIDTH + lane
    a = tl.load(scale + of_sample, mask=lane < WIDTH, other=0.0).to(tl.float32)
    c = tl.load(shift + of_sample, mask=lane < WIDTH, other=0.0).to(tl.float32)
    result = value * rate[:, None] * (1.0 + a)[None, :] + c[None, :]
    tl.store(out + at, result.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["tokens", "per_sample"])
def _norm_backward(  # type: ignore[no-untyped-def]
    x, scale, upstream, of_x, of_shift, of_scale, tokens, per_sample,
    WIDTH: tl.constexpr, LANES: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """All tokens of one sample, in turns of ROWS, with the sums that its modulation gets."""
    b = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, LANES)
    a = tl.load(scale + b * per_sample * WIDTH + lane, mask=lane < WIDTH, other=0.0)
    factor = (1.0 + a.to(tl.float32))[None, :]
    shift_sum = tl.zeros((LANES,), tl.float32)
    scale_sum = tl.zeros((LANES,), tl.float32)
    for start in range(0, tokens, ROWS):
        row = start + tl.arange(0, ROWS)
        at = (b * tokens + row)[:, None] * WIDTH + lane[None, :]
        inside = (row < tokens)[:, None] & (lane < WIDTH)[None, :]
        value = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        gradient = tl.load(upstream + at, mask=inside, other=0.0).to(tl.float32)
        rate = tl.rsqrt(tl.sum(value * value, 1) / WIDTH + _EPS)[:, None]
        normed = value * rate
        shift_sum += tl.sum(gradient, 0)
        scale_sum += tl.sum(gradient * normed, 0)
        gradient = gradient * factor
        mean = tl.sum(gradient * normed, 1) / WIDTH
        result = rate * (gradient - normed * mean[:, None])
        tl.store(of_x + at, result.to(of_x.dtype.element_ty), mask=inside)
    tl.store(of_shift + b * WIDTH + lane, shift_sum, mask=lane < WIDTH)
    tl.store(of_scale + b * WIDTH + lane, scale_sum, mask=lane < WIDTH)


class _ModulatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        x, shift, scale = x.contiguous(), shift.contiguous(), scale.contiguous()
        batch, tokens, width = x.shape
        out = torch.empty_like(x)
        lanes = triton.next_power_of_2(width)
        _norm_forward[(batch, triton.cdiv(tokens, _ROWS))](
            x, shift, scale, out, tokens, int(len(scale) > 1), width, lanes, _ROWS
        )
        ctx.save_for_backward(x, scale)
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        batch, tokens, width = x.shape
        of_x = torch.empty_like(x)
        of_shift, of_scale = torch.empty(2, batch, 1, width, device=x.device).unbind()
        lanes = triton.next_power_of_2(width)
        _norm_backward[(batch,)](
            x, scale, upstream[0].contiguous(), of_x, of_shift, of_scale, tokens,
            int(len(scale) > 1), width, lanes, _ROWS, num_warps=8,
        )  # fmt: skip
        if len(scale) == 1:
            of_shift, of_scale = of_shift.sum(0, keepdim=True), of_scale.sum(0, keepdim=True)
        return of_x, of_shift.to(scale.dtype), of_scale.to(scale.dtype)


@triton.jit(do_not_specialize=["rows", "tokens", "others"])
def _heads_forward(  # type: ignore[no-untyped-def]
    qkv, q_weight, k_weight, cos, sin, queries, keys, values, rows, tokens, others,
    HEADS: tl.constexpr, QUARTER: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Queries (part 0), keys (1) or values (2) of ROWS heads of the stream's own tokens."""
    D: tl.constexpr = 4 * QUARTER
    part = tl.program_id(1)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = (row < rows)[:, None]
    token, head = row // HEADS, row % HEADS
    lane = tl.arange(0, QUARTER)
    source = ((token.to(tl.int64) * 3 + part) * HEADS + head)[:, None] * D + lane[None, :]
    a = tl.load(qkv + source, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(qkv + source + QUARTER, mask=inside, other=0.0).to(tl.float32)
    c = tl.load(qkv + source + 2 * QUARTER, mask=inside, other=0.0).to(tl.float32)
    d = tl.load(qkv + source + 3 * QUARTER, mask=inside, other=0.0).to(tl.float32)
    if part < 2:
        rate = tl.rsqrt(tl.sum(a * a + b * b + c * c + d * d, 1) / D + _EPS)[:, None]
        weight = q_weight if part == 0 else k_weight
        a *= rate * tl.load(weight + lane)[None, :]
        b *= rate * tl.load(weight + QUARTER + lane)[None, :]
        c *= rate * tl.load(weight + 2 * QUARTER + lane)[None, :]
        d *= rate * tl.load(weight + 3 * QUARTER + lane)[None, :]
        angle = token[:, None] * QUARTER + lane[None, :]
        x = tl.load(cos + angle, mask=inside, other=0.0)
        y = tl.load(sin + angle, mask=inside, other=0.0)
        turned = a * x - b * y
        b = a * y + b * x
        a = turned
    # Keys and values leave room for the references' after those of each sample.
    room = token.to(tl.int64) + token // tokens * others * (part > 0).to(tl.int32)
    to = (room * HEADS + head)[:, None] * D + lane[None, :]
    out = queries if part == 0 else (keys if part == 1 else values)
    tl.store(out + to, a.to(out.dtype.element_ty), mask=inside)
    tl.store(out + to + QUARTER, b.to(out.dtype.element_ty), mask=inside)
    tl.store(out + to + 2 * QUARTER, c.to(out.dtype.element_ty), mask=inside)
    tl.store(out + to + 3 * QUARTER, d.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["rows", "tokens", "others"])
def _heads_backward(  # type: ignore[no-untyped-def]
    qkv, q_weight, k_weight, cos, sin, of_queries, of_keys, of_values, of_qkv, of_weights,
    rows, tokens, others,
    HEADS: tl.constexpr, QUARTER: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """What `_heads_forward` hands back, and each program's share of the norms' weights."""
    D: tl.constexpr = 4 * QUARTER
    part = tl.program_id(1)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = (row < rows)[:, None]
    token, head = row // HEADS, row % HEADS
    lane = tl.arange(0, QUARTER)
    room = token.to(tl.int64) + token // tokens * others * (part > 0).to(tl.int32)
    to = (room * HEADS + head)[:, None] * D + lane[None, :]
    upstream = of_queries if part == 0 else (of_keys if part == 1 else of_values)
    a = tl.load(upstream + to, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(upstream + to + QUARTER, mask=inside, other=0.0).to(tl.float32)
    c = tl.load(upstream + to + 2 * QUARTER, mask=inside, other=0.0).to(tl.float32)
    d = tl.load(upstream + to + 3 * QUARTER, mask=inside, other=0.0).to(tl.float32)
    source = ((token.to(tl.int64) * 3 + part) * HEADS + head)[:, None] * D + lane[None, :]
    if part < 2:
        angle = token[:, None] * QUARTER + lane[None, :]
        x = tl.load(cos + angle, mask=inside, other=0.0)
        y = tl.load(sin + angle, mask=inside, other=0.0)
        turned = a * x + b * y
        b = b * x - a * y
        a = turned
        na = tl.load(qkv + source, mask=inside, other=0.0).to(tl.float32)
        nb = tl.load(qkv + source + QUARTER, mask=inside, other=0.0).to(tl.float32)
        nc = tl.load(qkv + source + 2 * QUARTER, mask=inside, other=0.0).to(tl.float32)
        nd = tl.load(qkv + source + 3 * QUARTER, mask=inside, other=0.0).to(tl.float32)
        rate = tl.rsqrt(tl.sum(na * na + nb * nb + nc * nc + nd * nd, 1) / D + _EPS)[:, None]
        na, nb, nc, nd = na * rate, nb * rate, nc * rate, nd * rate
        share = of_weights + (tl.program_id(0) * 2 + part) * D + lane
        tl.store(share, tl.sum(a * na, 0))
        tl.store(share + QUARTER, tl.sum(b * nb, 0))
        tl.store(share + 2 * QUARTER, tl.sum(c * nc, 0))
        tl.store(share + 3 * QUARTER, tl.sum(d * nd, 0))
        weight = q_weight if part == 0 else k_weight
        a *= tl.load(weight + lane)[None, :]
        b *= tl.load(weight + QUARTER + lane)[None, :]
        c *= tl.load(weight + 2 * QUARTER + lane)[None, :]
        d *= tl.load(weight + 3 * QUARTER + lane)[None, :]
        mean = (tl.sum(a * na + b * nb + c * nc + d * nd, 1) / D)[:, None]
        a = rate * (a - na * mean)
        b = rate * (b - nb * mean)
        c = rate * (c - nc * mean)
        d = rate * (d - nd * mean)
    out = of_qkv.dtype.element_ty
    tl.store(of_qkv + source, a.to(out), mask=inside)
    tl.store(of_qkv + source + QUARTER, b.to(out), mask=inside)
    tl.store(of_qkv + source + 2 * QUARTER, c.to(out), mask=inside)
    tl.store(of_qkv + source + 3 * QUARTER, d.to(out), mask=inside)


@triton.jit(do_not_specialize=["rows", "others", "references", "source_own", "out_own"])
def _project(  # type: ignore[no-untyped-def]
    source, relative, out, rows, others, references, source_own, out_own,
    HEADS: tl.constexpr, QUARTER: tl.constexpr, ROWS: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    """Multiply the second half of references' heads by the 4×4 projection, or BACK by it turned.

    `source` and `out` have `source_own` and `out_own` tokens of each sample before the references'.
    """
    D: tl.constexpr = 4 * QUARTER
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = (row < rows)[:, None]
    token, head = row // HEADS, row % HEADS
    sample, place = token // others, token % others
    matrix = relative + (sample * references + place // (others // references))[:, None] * 16
    lane, vector = tl.arange(0, 2 * QUARTER), 2 * QUARTER + 4 * tl.arange(0, QUARTER // 2)
    start = token.to(tl.int64) + (sample + 1) * source_own
    load = source + ((start * HEADS + head) * D)[:, None]
    start = token.to(tl.int64) + (sample + 1) * out_own
    store = out + ((start * HEADS + head) * D)[:, None]
    first = tl.load(load + lane[None, :], mask=inside, other=0.0)
    tl.store(store + lane[None, :], first.to(out.dtype.element_ty), mask=inside)
    x = tl.load(load + vector[None, :], mask=inside, other=0.0).to(tl.float32)
    y = tl.load(load + vector[None, :] + 1, mask=inside, other=0.0).to(tl.float32)
    z = tl.load(load + vector[None, :] + 2, mask=inside, other=0.0).to(tl.float32)
    w = tl.load(load + vector[None, :] + 3, mask=inside, other=0.0).to(tl.float32)
    step: tl.constexpr = 4 if BACK else 1
    for i in tl.static_range(4):
        line = matrix + (i if BACK else 4 * i)
        total = x * tl.load(line, mask=inside, other=0.0)
        total += y * tl.load(line + step, mask=inside, other=0.0)
        total += z * tl.load(line + 2 * step, mask=inside, other=0.0)
        total += w * tl.load(line + 3 * step, mask=inside, other=0.0)
        tl.store(store + vector[None, :] + i, total.to(out.dtype.element_ty), mask=inside)


_HEAD_ROWS = 64


def _run_project(
    source: Tensor, relative: Tensor, out: Tensor, *, tokens: int, source_own: int, back: bool
) -> None:
    """Project the `tokens` reference tokens of each sample from one buffer into another."""
    batch, _, heads, d = source.shape
    rows = batch * tokens * heads
    out_own = out.shape[1] - tokens
    _project[(triton.cdiv(rows, _HEAD_ROWS),)](
        source, relative, out, rows, tokens, relative.shape[1], source_own, out_own,
        heads, d // 4, _HEAD_ROWS, back,
    )  # fmt: skip


class _QueriesKeysValues(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: Tensor,
        q_weight: Tensor,
        k_weight: Tensor,
        cos: Tensor,
        sin: Tensor,
        ref_keys: Tensor | None,
        ref_values: Tensor | None,
        relative: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        qkv = qkv.contiguous()
        batch, tokens, _, heads, d = qkv.shape
        others = 0 if ref_keys is None else ref_keys.shape[1]
        queries = qkv.new_empty(batch, tokens, heads, d)
        keys, values = qkv.new_empty(2, batch, tokens + others, heads, d).unbind()
        rows = batch * tokens * heads
        cos, sin = (part.expand(batch, *part.shape[1:]).contiguous() for part in (cos, sin))
        _heads_forward[(triton.cdiv(rows, _HEAD_ROWS), 3)](
            qkv, q_weight, k_weight, cos, sin, queries, keys, values, rows, tokens, others,
            heads, d // 4, _HEAD_ROWS,
        )  # fmt: skip
        if ref_keys is not None and ref_values is not None and relative is not None:
            relative = relative.float().contiguous()
            for source, out in ((ref_keys, keys), (ref_values, values)):
                _run_project(
                    source.contiguous(), relative, out, tokens=others, source_own=0, back=False
                )
        ctx.save_for_backward(qkv, q_weight, k_weight, cos, sin, relative)
        ctx.others = others
        return queries, keys, values

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        qkv, q_weight, k_weight, cos, sin, relative = ctx.saved_tensors
        batch, tokens, _, heads, d = qkv.shape
        of_queries, of_keys, of_values = (gradient.contiguous() for gradient in upstream)
        of_qkv = torch.empty_like(qkv)
        rows = batch * tokens * heads
        programs = triton.cdiv(rows, _HEAD_ROWS)
        of_weights = torch.empty(programs, 2, d, device=qkv.device)
        _heads_backward[(programs, 3)](
            qkv, q_weight, k_weight, cos, sin, of_queries, of_keys, of_values, of_qkv, of_weights,
            rows, tokens, ctx.others, heads, d // 4, _HEAD_ROWS,
        )  # fmt: skip
        of_q_weight, of_k_weight = of_weights.sum(0).unbind()
        of_references: list[Tensor | None] = [None, None]
        if relative is not None:
            for i, gradient in enumerate((of_keys, of_values)):
                out = qkv.new_empty(batch, ctx.others, heads, d)
                _run_project(
                    gradient, relative, out, tokens=ctx.others, source_own=tokens, back=True
                )
                of_references[i] = out
        return of_qkv, of_q_weight, of_k_weight, None, None, *of_references, None
