"""Triton kernels of the frame model: `FrameDiT`'s arithmetic in few launches, for inference.

Images are NHWC, tokens are rows of `WIDTH` numbers. A block is three launches, so that one frame
is not bound by launches and many frames are not bound by memory: hidden channels, normed rows and
projected keys never leave the chip.
"""

from __future__ import annotations

import triton
import triton.language as tl

from worldfm_gym.frame_model.network import SURE, UNSURE

_EPS = tl.constexpr(1e-6)
_UNSURE, _PER_DOUBT = tl.constexpr(UNSURE), tl.constexpr(1 / (SURE - UNSURE))
_LOG2_E = tl.constexpr(1.4426950408889634)
_SIZES = ["rows", "tokens", "ref_tokens", "height", "width", "references", "batch"]
# Such sizes change with the batch, and no kernel should be compiled for each value.


@triton.jit
def _gelu(x):  # type: ignore[no-untyped-def]
    """GELU by tanh, written as x · sigmoid."""
    doubled = 1.5957691216057308 * (x + 0.044715 * x * x * x)
    return x / (1.0 + tl.exp2(doubled * -1.4426950408889634))


@triton.jit(do_not_specialize=_SIZES)
def pack_pixels(  # type: ignore[no-untyped-def]
    noisy, given, out, height, width,
    NOISY: tl.constexpr, GIVEN: tl.constexpr, CHANNELS: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Pixel-unshuffle [B, C, H, W] of two images to [B, H/2, W/2, (2, CHANNELS, 2)]; a row each."""
    b, y = tl.program_id(0) // height, tl.program_id(0) % height
    channel = tl.arange(0, CHANNELS)
    x = tl.program_id(1) * 2 * PIXELS + tl.arange(0, 2 * PIXELS)
    area, inside = height * width, x < width
    at = (y * width + x)[None, :]
    of_given = (b * GIVEN + channel - NOISY)[:, None] * area + at
    known = (channel >= NOISY) & (channel < NOISY + GIVEN)
    value = tl.load(given + of_given, mask=known[:, None] & inside[None, :], other=0.0)
    if NOISY > 0:
        of_noisy = (b * NOISY + channel)[:, None] * area + at
        first = tl.load(
            noisy + of_noisy, mask=(channel < NOISY)[:, None] & inside[None, :], other=0.0
        )
        value += first
    pairs = tl.permute(tl.reshape(value, (CHANNELS, PIXELS, 2)), (1, 0, 2))
    cells = tl.reshape(pairs, (PIXELS, 2 * CHANNELS))
    column = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    row = ((b * (height // 2) + y // 2) * (width // 2) + column) * (4 * CHANNELS)
    to = out + (row + (y % 2) * (2 * CHANNELS))[:, None] + tl.arange(0, 2 * CHANNELS)[None, :]
    tl.store(to, cells.to(out.dtype.element_ty), mask=(column < width // 2)[:, None])


@triton.jit
def _convolve(  # type: ignore[no-untyped-def]
    image, weight, first_row, first_column, rows, height, width,
    CHANNELS: tl.constexpr, STRIDE: tl.constexpr, OUT: tl.constexpr, SIDE: tl.constexpr,
    STEP: tl.constexpr, PAD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    CHUNK: tl.constexpr,
):  # fmt: skip
    """Sums of a SIDE × SIDE convolution, float32 [ROWS, COLUMNS]; see `convolve`."""
    row = first_row + tl.arange(0, ROWS)
    out_width = width // STEP
    column, line = row % out_width, row // out_width
    out_height = height // STEP
    b, line = line // out_height, line % out_height
    y, x = line * STEP - PAD, column * STEP - PAD
    lane, out_channel = tl.arange(0, CHUNK), first_column + tl.arange(0, COLUMNS)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    chunks: tl.constexpr = CHANNELS // CHUNK
    for i in range(SIDE * SIDE * chunks):
        tap, channel = i // chunks, (i % chunks) * CHUNK
        at_y, at_x = y + tap // SIDE, x + tap % SIDE
        inside = (row < rows) & (at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width)
        pixel = (b * height + at_y) * width + at_x
        a = tl.load(
            image + (pixel * STRIDE + channel)[:, None] + lane[None, :],
            mask=inside[:, None], other=0.0,
        )  # fmt: skip
        w = tl.load(weight + ((i * CHUNK + lane) * OUT)[:, None] + out_channel[None, :])
        total = tl.dot(a, w, total, input_precision="ieee")
    return total


@triton.jit(do_not_specialize=_SIZES)
def convolve(  # type: ignore[no-untyped-def]
    image, weight, bias, out, rows, height, width,
    CHANNELS: tl.constexpr, STRIDE: tl.constexpr, OUT: tl.constexpr, OUT_STRIDE: tl.constexpr,
    SIDE: tl.constexpr, STEP: tl.constexpr, PAD: tl.constexpr, GELU: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Convolution of [B, height, width, CHANNELS of STRIDE], bias and perhaps GELU.

    `weight` is [SIDE, SIDE, CHANNELS, OUT]; output pixels are rows of OUT_STRIDE numbers.
    """
    first_row, first_column = tl.program_id(0) * ROWS, tl.program_id(1) * COLUMNS
    total = _convolve(
        image, weight, first_row, first_column, rows, height, width,
        CHANNELS, STRIDE, OUT, SIDE, STEP, PAD, ROWS, COLUMNS, CHUNK,
    )  # fmt: skip
    column = first_column + tl.arange(0, COLUMNS)
    total += tl.load(bias + column)[None, :]
    if GELU:
        total = _gelu(total)
    row = first_row + tl.arange(0, ROWS)
    to = out + (row * OUT_STRIDE)[:, None] + column[None, :]
    tl.store(to, total.to(out.dtype.element_ty), mask=(row < rows)[:, None])


@triton.jit(do_not_specialize=_SIZES)
def convolve_to_pixels(  # type: ignore[no-untyped-def]
    image, weight, bias, conditioning, out, rows, height, width,
    CHANNELS: tl.constexpr, STRIDE: tl.constexpr, GIVEN: tl.constexpr,
    ROWS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """The last convolution, pixel-shuffled to [B, 4, 2 · height, 2 · width], changes what is known.

    See `FrameDiT._changed`.
    """
    first_row = tl.program_id(0) * ROWS
    change = _convolve(
        image, weight, first_row, 0, rows, height, width, CHANNELS, STRIDE, 16, 3, 1, 1, ROWS, 16,
        CHUNK,
    )  # fmt: skip
    j = tl.arange(0, 16)
    change += tl.load(bias + j)[None, :]
    row = first_row + tl.arange(0, ROWS)
    b, pixel = row // (height * width), row % (height * width)
    y, x = 2 * (pixel // width), 2 * (pixel % width)
    channel, area = j // 4, 4 * height * width
    at = (y * (2 * width) + x)[:, None] + ((j % 4 // 2) * (2 * width) + j % 2)[None, :]
    real = (row < rows)[:, None]
    given = conditioning + (b * GIVEN)[:, None] * area + at
    start = tl.load(given + channel[None, :] * area, mask=real, other=0.0)
    color = real & (channel < 3)[None, :]
    warped = tl.load(given + (5 + channel)[None, :] * area, mask=color, other=0.0)
    trust = tl.load(given + 8 * area, mask=color, other=0.0)
    covered = tl.load(given + 4 * area, mask=color, other=1.0)
    sure = tl.minimum(tl.maximum((trust - _UNSURE) * _PER_DOUBT, 0.0), 1.0)
    kept = sure * (1.0 - covered)
    start += (trust + kept * (1.0 - trust)) * (warped - start)
    tl.store(
        out + (b * 4)[:, None] * area + channel[None, :] * area + at,
        start + (1.0 - kept) * change, mask=real,
    )  # fmt: skip


@triton.jit(do_not_specialize=_SIZES)
def rotary_table(  # type: ignore[no-untyped-def]
    intrinsics, frequencies, cos, sin, rows, height, width,
    PAIRS: tl.constexpr, PATCH: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Cosines and sines by which pairs of channels turn, [rows, 2 · PAIRS]; no turn in the rest.

    The first half of PAIRS turns by x / z of the token's ray, the other by y / z.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    real = row < rows
    token, lens = row % (height * width), intrinsics + row // (height * width) * 4
    u, v = (token % width).to(tl.float32) + 0.5, (token // width).to(tl.float32) + 0.5
    fx, fy = tl.load(lens, mask=real, other=1.0), tl.load(lens + 1, mask=real, other=1.0)
    cx, cy = tl.load(lens + 2, mask=real, other=0.0), tl.load(lens + 3, mask=real, other=0.0)
    x, y = (u * PATCH - cx) / fx, (v * PATCH - cy) / fy
    pair = tl.arange(0, 2 * PAIRS)
    frequency = tl.load(frequencies + pair)[None, :]  # 0 in the rest
    angle = tl.where((pair < PAIRS // 2)[None, :], x[:, None], y[:, None]) * frequency
    to = (row * (2 * PAIRS))[:, None] + pair[None, :]
    tl.store(cos + to, tl.cos(angle), mask=real[:, None])
    tl.store(sin + to, tl.sin(angle), mask=real[:, None])


@triton.jit(do_not_specialize=_SIZES)
def project_heads(  # type: ignore[no-untyped-def]
    x, weight, bias, head_weight, cos, sin, out, rows,
    WIDTH: tl.constexpr, HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, PARTS: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """RMS norm and linear map to queries, keys and values [3, rows, HEADS, HEAD_DIM].

    Queries and keys are normed by head, weighted (`head_weight` [2, HEAD_DIM]) and turned; pairs
    of channels that turn together lie side by side. A program makes PARTS of the 3 · HEADS heads.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    lane, column = tl.arange(0, WIDTH), tl.arange(0, HEAD_DIM)
    pair = tl.arange(0, HEAD_DIM // 2)
    real = (row < rows)[:, None]
    a = tl.load(x + (row * WIDTH)[:, None] + lane[None, :], mask=real, other=0.0)
    wide = a.to(tl.float32)
    size = tl.rsqrt(tl.sum(wide * wide, axis=1) / WIDTH + _EPS)
    for i in range(PARTS):
        part = tl.program_id(1) * PARTS + i
        at = part * HEAD_DIM + column
        w = tl.load(weight + (lane * (3 * WIDTH))[:, None] + at[None, :])
        head = tl.dot(a, w, input_precision="ieee") * size[:, None] + tl.load(bias + at)[None, :]
        kind = part // HEADS
        if kind < 2:
            norm = tl.rsqrt(tl.sum(head * head, axis=1) / HEAD_DIM + _EPS)
            head = head * norm[:, None] * tl.load(head_weight + kind * HEAD_DIM + column)[None, :]
            turn = (row * (HEAD_DIM // 2))[:, None] + pair[None, :]
            c, s = (
                tl.load(cos + turn, mask=real, other=1.0),
                tl.load(sin + turn, mask=real, other=0.0),
            )
            first, second = tl.split(tl.reshape(head, (ROWS, HEAD_DIM // 2, 2)))
            turned = tl.join(first * c - second * s, first * s + second * c)
            head = tl.reshape(turned, (ROWS, HEAD_DIM))
        to = out + kind.to(tl.int64) * rows * WIDTH + (part % HEADS) * HEAD_DIM
        tl.store(
            to + (row * WIDTH)[:, None] + column[None, :], head.to(out.dtype.element_ty), mask=real
        )


@triton.jit
def _read(  # type: ignore[no-untyped-def]
    q, keys, values, count, bias, most, weight, mixed,
    WIDTH: tl.constexpr, HEAD_DIM: tl.constexpr, KEYS: tl.constexpr, EVEN: tl.constexpr,
):  # fmt: skip
    """Online softmax of `q` over `count` keys; most, weight and mixed are carried along."""
    column = tl.arange(0, HEAD_DIM)
    for start in range(0, count, KEYS):
        at = start + tl.arange(0, KEYS)
        if EVEN:
            k = tl.load(keys + (at * WIDTH)[None, :] + column[:, None])
            v = tl.load(values + (at * WIDTH)[:, None] + column[None, :])
            logits = tl.dot(q, k, input_precision="ieee") + bias
        else:
            there = at < count
            k = tl.load(
                keys + (at * WIDTH)[None, :] + column[:, None], mask=there[None, :], other=0.0
            )
            v = tl.load(
                values + (at * WIDTH)[:, None] + column[None, :], mask=there[:, None], other=0.0
            )
            logits = tl.dot(q, k, input_precision="ieee") + bias
            logits = tl.where(there[None, :], logits, float("-inf"))
        higher = tl.maximum(most, tl.max(logits, axis=1))
        share = tl.exp2(logits - higher[:, None])
        fade = tl.exp2(most - higher)
        weight = weight * fade + tl.sum(share, axis=1)
        mixed = tl.dot(share.to(v.dtype), v, mixed * fade[:, None], input_precision="ieee")
        most = higher
    return most, weight, mixed


@triton.jit(do_not_specialize=_SIZES)
def attend(  # type: ignore[no-untyped-def]
    qkv, keys, values, index, relative, log_weight, out, rows, tokens, ref_tokens, references,
    WIDTH: tl.constexpr, HEAD_DIM: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    EVEN: tl.constexpr, REF_EVEN: tl.constexpr,
):  # fmt: skip
    """Attention of a target's tokens over themselves and over chosen references' cached keys.

    Queries are multiplied by the transposed relative projection P, and what they gather by P: the
    same as projecting all keys and values, q · (P k) = (Pᵀ q) · k, but read in place.
    """
    b, head = tl.program_id(2), tl.program_id(1)
    token, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, HEAD_DIM)
    real = (token < tokens)[:, None]
    own = qkv + b.to(tl.int64) * tokens * WIDTH + head * HEAD_DIM
    plane = rows.to(tl.int64) * WIDTH
    at = (token * WIDTH)[:, None] + column[None, :]
    q = tl.load(own + at, mask=real, other=0.0)
    most = tl.full((ROWS,), float("-inf"), tl.float32)
    weight = tl.zeros((ROWS,), tl.float32)
    mixed = tl.zeros((ROWS, HEAD_DIM), tl.float32)
    most, weight, mixed = _read(
        q, own + plane, own + 2 * plane, tokens, 0.0, most, weight, mixed,
        WIDTH, HEAD_DIM, KEYS, EVEN,
    )  # fmt: skip
    # P on each 4-vector of the projective half of a head, nothing on the rotary half.
    i, j = column[:, None], column[None, :]
    projective = (i // 4 == j // 4) & (i >= HEAD_DIM // 2)
    for r in range(references):
        slot = b * references + r
        bias = tl.load(log_weight + slot) * _LOG2_E
        if bias > float("-inf"):
            p = tl.load(relative + slot * 16 + (i % 4) * 4 + j % 4, mask=projective, other=0.0)
            p = tl.where((i == j) & (i < HEAD_DIM // 2), 1.0, p).to(q.dtype)
            start = tl.load(index + slot).to(tl.int64) * ref_tokens * WIDTH + head * HEAD_DIM
            before = most
            turned = tl.dot(q, p, input_precision="ieee").to(q.dtype)
            most, weight, gathered = _read(
                turned, keys + start, values + start, ref_tokens, bias, most, weight,
                tl.zeros((ROWS, HEAD_DIM), tl.float32), WIDTH, HEAD_DIM, KEYS, REF_EVEN,
            )  # fmt: skip
            mixed = tl.dot(
                gathered.to(q.dtype), tl.trans(p), mixed * tl.exp2(before - most)[:, None],
                input_precision="ieee",
            )  # fmt: skip
    to = out + b.to(tl.int64) * tokens * WIDTH + head * HEAD_DIM + at
    tl.store(to, (mixed / weight[:, None]).to(out.dtype.element_ty), mask=real)


@triton.jit(do_not_specialize=_SIZES)
def finish_block(  # type: ignore[no-untyped-def]
    x, mixed, out_weight, out_bias, up, up_bias, down, down_bias, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, ROWS: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Add out(mixed) to x, then down(gelu(up(norm(x)))), with one accumulator on the chip."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column, lane = tl.arange(0, WIDTH), tl.arange(0, CHUNK)
    real = (row < rows)[:, None]
    at = (row * WIDTH)[:, None] + column[None, :]
    total = (
        tl.load(x + at, mask=real, other=0.0).to(tl.float32) + tl.load(out_bias + column)[None, :]
    )
    for start in range(0, WIDTH, CHUNK):
        inner = start + lane
        a = tl.load(mixed + (row * WIDTH)[:, None] + inner[None, :], mask=real, other=0.0)
        w = tl.load(out_weight + (inner * WIDTH)[:, None] + column[None, :])
        total = tl.dot(a, w, total, input_precision="ieee")
    size = tl.rsqrt(tl.sum(total * total, axis=1) / WIDTH + _EPS)
    normed = (total * size[:, None]).to(x.dtype.element_ty)
    total += tl.load(down_bias + column)[None, :]
    for start in range(0, HIDDEN, CHUNK):
        inner = start + lane
        w = tl.load(up + (column * HIDDEN)[:, None] + inner[None, :])
        hidden = tl.dot(normed, w, input_precision="ieee") + tl.load(up_bias + inner)[None, :]
        hidden = _gelu(hidden).to(x.dtype.element_ty)
        w = tl.load(down + (inner * WIDTH)[:, None] + column[None, :])
        total = tl.dot(hidden, w, total, input_precision="ieee")
    tl.store(x + at, total.to(x.dtype.element_ty), mask=real)


@triton.jit(do_not_specialize=_SIZES)
def spread_cells(  # type: ignore[no-untyped-def]
    x, weight, bias, out, rows, height, width,
    WIDTH: tl.constexpr, DETAIL: tl.constexpr, SIDE: tl.constexpr, OUT_STRIDE: tl.constexpr,
    PARTS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Layer norm (its weights are folded) and linear map to SIDE × SIDE pixels of DETAIL channels.

    `out` is [B, SIDE · height, SIDE · width, OUT_STRIDE]; a program makes PARTS pixels of a token.
    """
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    lane, channel = tl.arange(0, WIDTH), tl.arange(0, DETAIL)
    real = (row < rows)[:, None]
    a = tl.load(x + (row * WIDTH)[:, None] + lane[None, :], mask=real, other=0.0).to(tl.float32)
    a -= (tl.sum(a, axis=1) / WIDTH)[:, None]
    a *= tl.rsqrt(tl.sum(a * a, axis=1) / WIDTH + _EPS)[:, None]
    a = a.to(x.dtype.element_ty)
    columns = width * SIDE
    corner = (row // width) * SIDE * columns + (row % width) * SIDE
    outputs: tl.constexpr = SIDE * SIDE * DETAIL
    for i in range(PARTS):
        cell = tl.program_id(1) * PARTS + i
        at = cell * DETAIL + channel
        w = tl.load(weight + (lane * outputs)[:, None] + at[None, :])
        detail = tl.dot(a, w, input_precision="ieee") + tl.load(bias + at)[None, :]
        pixel = corner + (cell // SIDE) * columns + cell % SIDE
        tl.store(
            out + (pixel * OUT_STRIDE)[:, None] + channel[None, :],
            detail.to(out.dtype.element_ty), mask=real,
        )  # fmt: skip
