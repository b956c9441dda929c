"""Folded weights: a `FrameDiT` for one time, with all that follows from the time multiplied in.

A model that draws in one or two steps sees only t = 1 and t = 0.2, and references have no time,
so scale, shift and gate of every block are constants:
(n · (1 + scale) + shift) W = n ((1 + scale) W) + shift W. What is left of a block is two bare RMS
norms, four linear maps and the attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from worldfm_gym.frame_model.network import Block, FrameDiT, time_features


@dataclass(frozen=True, slots=True)
class FoldedBlock:
    """A block without modulation; weights are [in, out] and float32.

    Attributes:
        qkv, qkv_bias: [width, 3 · width]; of the bare RMS norm of x.
        query_weight: Of the queries' RMS norm, [head_dim]; softmax's 1 / √head_dim is in it.
        key_weight: Of the keys' RMS norm, [head_dim].
        out, out_bias: [width, width]; added to x as they are.
        up, up_bias: [width, hidden]; of the bare RMS norm of x.
        down, down_bias: [hidden, width]; added to x as they are.
    """

    qkv: Tensor
    qkv_bias: Tensor
    query_weight: Tensor
    key_weight: Tensor
    out: Tensor
    out_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor


def fold_blocks(network: FrameDiT, time: float | None) -> list[FoldedBlock]:
    """The blocks of the target stream at a time, or of the reference stream (None)."""
    with torch.no_grad():
        if time is None:
            modulation = network.ref_modulation.float()
        else:
            device = network.ref_modulation.device
            at = time_features(torch.tensor([time], device=device))
            modulation = network.time(at.to(network.ref_modulation.dtype)).view(6, -1).float()
        return [_fold(block, modulation) for block in network.blocks]  # type: ignore[arg-type]


def _fold(block: Block, modulation: Tensor) -> FoldedBlock:
    shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + block.table.float()).unbind()
    qkv, out, up, down = (
        layer.weight.float().t() for layer in (block.qkv, block.out, block.up, block.down)
    )
    head_dim = len(block.query_norm.weight)
    return FoldedBlock(
        qkv=((1 + scale1)[:, None] * qkv).contiguous(),
        qkv_bias=block.qkv.bias.float() + shift1 @ qkv,
        query_weight=block.query_norm.weight.float() / math.sqrt(head_dim),
        key_weight=block.key_norm.weight.detach().float().clone(),
        out=(out * gate1).contiguous(),
        out_bias=block.out.bias.float() * gate1,
        up=((1 + scale2)[:, None] * up).contiguous(),
        up_bias=block.up.bias.float() + shift2 @ up,
        down=(down * gate2).contiguous(),
        down_bias=block.down.bias.float() * gate2,
    )
