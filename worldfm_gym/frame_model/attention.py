"""PRoPE: how attention knows which camera and which ray each token belongs to.

Li et al. 2025, "Cameras as Relative Positional Encoding". Half of each head holds rotary pairs,
turned by the token's ray; the other half holds 4-vectors, multiplied by the camera's projection.
Only relations between cameras matter, so everything is expressed in the target's frame: tokens of
the target itself need no projection, those of a reference get P_target · P_reference⁻¹. That is
what lets a reference's keys and values be cached before any target is known.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOWEST, _HIGHEST = 1.0, 24.0  # rotary frequencies, radians per unit of x / z
Rotary = tuple[Tensor, Tensor]


def rotary_frequencies(head_dim: int, device: torch.device) -> Tensor:
    """By how many radians each pair of channels turns per unit of x / z, [head_dim / 8]."""
    pairs = head_dim // 8
    steps = torch.arange(pairs, device=device, dtype=torch.float32) / max(pairs - 1, 1)
    return _LOWEST * torch.exp(steps * math.log(_HIGHEST / _LOWEST))


def rotary_of_rays(rays: Tensor, head_dim: int) -> Rotary:
    """Cosines and sines of the rotary half of a head.

    Args:
        rays: (x / z, y / z) of each token's center, [B, N, 2]: angles, not pixels, so that lenses
            and image sizes agree.
        head_dim: Channels of a head; its first half is rotary.

    Returns:
        Two tensors [B, N, 1, head_dim / 4], half for x and half for y.
    """
    frequencies = rotary_frequencies(head_dim, rays.device)
    angles = (rays[..., None] * frequencies).flatten(-2)[:, :, None]  # [B, N, 1, head_dim / 4]
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Turn the rotary half of queries or keys [B, N, heads, head_dim]; the rest passes through."""
    cos, sin = (part.to(x.dtype) for part in rotary)
    a, b, rest = x.split([cos.shape[-1], cos.shape[-1], x.shape[-1] - 2 * cos.shape[-1]], dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)


def project(x: Tensor, relative: Tensor) -> Tensor:
    """Multiply the projective half of references' keys or values by their relative projection.

    Args:
        x: [B, R·n, heads, head_dim], the n tokens of each of R references in turn.
        relative: [B, R, 4, 4], from `worldfm_gym.frame_model.conditioning.relative_projection`.
    """
    half = x.shape[-1] // 2
    vectors = x[..., half:].unflatten(1, (relative.shape[1], -1)).unflatten(-1, (-1, 4))
    columns = relative.to(x.dtype)[:, :, None, None, None].unbind(-1)  # each [B, R, 1, 1, 1, 4]
    turned = sum(vectors[..., j, None] * columns[j] for j in range(4))
    assert isinstance(turned, Tensor)
    return torch.cat([x[..., :half], turned.flatten(-2).flatten(1, 2)], dim=-1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None = None) -> Tensor:
    """Softmax attention, [B, N, heads, d] over [B, M, heads, d], to [B, N, heads · d].

    A `bias` [B, 1, 1, M] is added to the logits.
    """
    mixed = torch.nn.functional.scaled_dot_product_attention(
        queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), attn_mask=bias
    )
    return mixed.transpose(1, 2).flatten(2)
