"""FrameDiT: the diffusion transformer that draws a view from noise, its anchor and references.

Two streams run through the same blocks. The *target stream* holds the patches of [noisy image ‖
conditioning], stacked on channels. The *reference stream* holds the patches of one reference,
without noise or time, and sees only itself, so its keys and values depend on nothing but the
reference: they are computed once and read by every later frame. Convolutions at half resolution
before and after the blocks see the anchor's and the warped references' every pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldfm_gym.frame_model.attention import Rotary, attend, project, rotary_of_rays, rotate
from worldfm_gym.frame_model.conditioning import (
    CONDITIONING_CHANNELS,
    NOISE_CHANNELS,
    REFERENCE_CHANNELS,
    pixel_rays,
)
from worldfm_gym.frame_model.config import FrameModelConfig

UNSURE, SURE = 0.1, 0.5
"""Confidences of a warped color: up to the first the network may change it as it likes, from the
second on not at all, unless the anchor covers the pixel."""

_TIME_CHANNELS = 128


@dataclass(frozen=True, slots=True)
class KeysValues:
    """What the target stream reads of references, for each of the L blocks.

    Attributes:
        keys: [L, B, N, heads, head_dim], rotated, not yet projected.
        values: [L, B, N, heads, head_dim], not yet projected.
    """

    keys: Tensor
    values: Tensor


class Block(nn.Module):
    """Attention and MLP, each with its input scaled and shifted and its output gated (adaLN)."""

    def __init__(self, config: FrameModelConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.width * config.mlp_ratio
        self.heads = config.heads
        self.fused = False
        self.qkv = nn.Linear(width, 3 * width)
        self.query_norm = nn.RMSNorm(config.head_dim, eps=1e-6)
        self.key_norm = nn.RMSNorm(config.head_dim, eps=1e-6)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.table = nn.Parameter(torch.tensor([0.0, 0.0, 0.1] * 2)[:, None].repeat(1, width))

    def forward(
        self,
        x: Tensor,  # [B, N, width]
        modulation: Tensor,  # [B or 1, 6, width]
        rotary: Rotary,
        ref_keys: Tensor | None = None,  # [B, M, heads, head_dim]
        ref_values: Tensor | None = None,
        relative: Tensor | None = None,  # [B, R, 4, 4]
        bias: Tensor | None = None,  # [B, 1, 1, N + M]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next x, and the stream's own keys and values [B, N, heads, head_dim]."""
        parts = (modulation + self.table).to(x.dtype).unsqueeze(-2).unbind(1)
        shift1, scale1, gate1, shift2, scale2, gate2 = parts
        normed, heads = modulated_norm, queries_keys_values
        if self.fused:
            from worldfm_gym.frame_model import training_kernels as kernels

            normed, heads = kernels.modulated_norm, kernels.queries_keys_values
        qkv = self.qkv(normed(x, shift1, scale1)).unflatten(-1, (3, self.heads, -1))
        norms = self.query_norm.weight, self.key_norm.weight
        q, keys, values = heads(qkv, norms, rotary, ref_keys, ref_values, relative)
        x = torch.addcmul(x, gate1, self.out(attend(q, keys, values, bias)))
        hidden = F.gelu(self.up(normed(x, shift2, scale2)), approximate="tanh")
        own = x.shape[1]
        return torch.addcmul(x, gate2, self.down(hidden)), keys[:, :own], values[:, :own]


class FrameDiT(nn.Module):
    """The network; see the module's text. Works at any width and height that `patch` divides."""

    def __init__(self, config: FrameModelConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or FrameModelConfig()
        cells = c.patch // 2
        inputs = NOISE_CHANNELS + CONDITIONING_CHANNELS
        self.stem = nn.Conv2d(4 * inputs, c.stem, 3, padding=1)
        self.ref_stem = nn.Conv2d(4 * REFERENCE_CHANNELS, c.stem, 3, padding=1)
        self.embed = nn.Conv2d(c.stem, c.width, cells, stride=cells)
        self.ref_embed = nn.Conv2d(c.stem, c.width, cells, stride=cells)
        self.time = nn.Sequential(
            nn.Linear(_TIME_CHANNELS, c.width), nn.SiLU(), nn.Linear(c.width, 6 * c.width)
        )
        self.ref_modulation = nn.Parameter(torch.zeros(6, c.width))
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.depth))
        self.final_norm = nn.LayerNorm(c.width, eps=1e-6)
        self.to_cells = nn.Linear(c.width, cells * cells * c.detail)
        self.head = nn.Conv2d(c.stem + c.detail, c.stem, 3, padding=1)
        self.to_pixels = nn.Conv2d(c.stem, 4 * NOISE_CHANNELS, 3, padding=1)
        self._initialize()

    def _initialize(self) -> None:
        """Small changes at first: an untrained network passes its conditioning on."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight.flatten(1))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.to_pixels.weight, std=0.01)

    def fuse(self) -> None:
        """From now on, run the blocks' token-wise parts as Triton kernels, gradients included."""
        for block in self.blocks:
            assert isinstance(block, Block)
            block.fused = True

    def encode_references(self, images: Tensor, intrinsics: Tensor) -> KeysValues:
        """Keys and values of references, each on its own, to be computed once and kept.

        Args:
            images: From `reference_channels`, [M, 5, h, w].
            intrinsics: (fx, fy, cx, cy), [M, 4].

        Returns:
            Leading dimensions [L, M], h · w / patch² tokens.
        """
        features = F.gelu(self.ref_stem(_cells(images)), approximate="tanh")
        x = self.ref_embed(features).flatten(2).transpose(1, 2)
        rotary = self._rotary(intrinsics, images)
        modulation = self.ref_modulation[None]
        kept = []
        for block in self.blocks:
            x, k, v = block(x, modulation, rotary)
            kept.append((k, v))
        keys, values = zip(*kept, strict=True)
        return KeysValues(torch.stack(keys), torch.stack(values))

    def forward(
        self,
        noisy: Tensor,
        time: Tensor,
        conditioning: Tensor,
        intrinsics: Tensor,
        memory: KeysValues | None = None,
        relative: Tensor | None = None,
        log_weight: Tensor | None = None,
    ) -> Tensor:
        """Predict the clean image.

        Args:
            noisy: (1 − t) · clean + t · noise, [B, 4, H, W]: rgb and depth code.
            time: t in (0, 1], [B].
            conditioning: From `conditioning_channels`, [B, 9, H, W].
            intrinsics: (fx, fy, cx, cy), [B, 4].
            memory: Keys and values of R references for each target, [L, B, R · n, …]; None for 0.
            relative: From `relative_projection`, [B, R, 4, 4].
            log_weight: What is added to the attention logits of each reference, [B, R]; −inf leaves
                it out. None is 0 for all.

        Returns:
            Clean rgb in [−1, 1] and depth code, float32 [B, 4, H, W].
        """
        inputs = _cells(torch.cat([noisy, conditioning], dim=1))
        features = F.gelu(self.stem(inputs), approximate="tanh")  # [B, stem, H/2, W/2]
        grid = self.embed(features)
        x = grid.flatten(2).transpose(1, 2)  # [B, N, width]
        rotary = self._rotary(intrinsics, noisy)
        modulation = self.time(time_features(time).to(x.dtype)).unflatten(-1, (6, -1))
        bias = None
        if memory is not None and log_weight is not None:
            bias = _attention_bias(log_weight, x, memory.keys.shape[2])
        for i, block in enumerate(self.blocks):
            if memory is None:
                x, _, _ = block(x, modulation, rotary)
            else:
                x, _, _ = block(
                    x, modulation, rotary, memory.keys[i], memory.values[i], relative, bias
                )
        cells = self.to_cells(self.final_norm(x)).transpose(1, 2).unflatten(2, grid.shape[2:])
        detail = F.pixel_shuffle(cells, self.config.patch // 2)
        features = F.gelu(self.head(torch.cat([features, detail], dim=1)), approximate="tanh")
        change = F.pixel_shuffle(self.to_pixels(features), 2)
        return self._changed(change.float(), conditioning.float())

    def _rotary(self, intrinsics: Tensor, images: Tensor) -> Rotary:
        """Rotary of the patches' central rays."""
        patch = self.config.patch
        rays = pixel_rays(intrinsics / patch, images.shape[2] // patch, images.shape[3] // patch)
        return rotary_of_rays(rays.flatten(2).transpose(1, 2), self.config.head_dim)

    @staticmethod
    def _changed(change: Tensor, conditioning: Tensor) -> Tensor:
        """What is known of the view, changed, [B, 4, H, W].

        Known are the warped references over the anchor, and the completed depth's code. Colors that
        a reference surely shows and the anchor does not stay as they are.
        """
        anchor, depth_code, covered, warped, confidence = conditioning.split([3, 1, 1, 3, 1], dim=1)
        sure = ((confidence - UNSURE) / (SURE - UNSURE)).clamp(0, 1)
        kept = sure * (1 - covered)
        share = confidence + kept * (1 - confidence)
        rgb = anchor + share * (warped - anchor) + (1 - kept) * change[:, :3]
        return torch.cat([rgb, depth_code + change[:, 3:]], dim=1)


def _cells(images: Tensor) -> Tensor:
    """Each 2×2 pixels as the channels of one, laid out for convolution on tensor cores."""
    return F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """RMS norm of tokens [B, N, W], then scale and shift, each [B or 1, 1, W]."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def queries_keys_values(
    qkv: Tensor,  # [B, N, 3, heads, head_dim]
    norms: tuple[Tensor, Tensor],
    rotary: Rotary,
    ref_keys: Tensor | None,
    ref_values: Tensor | None,
    relative: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Normed and rotated queries and keys, and values; with those of references, projected."""
    q, k, v = qkv.unbind(2)
    q, k = (
        rotate(F.rms_norm(x, x.shape[-1:], weight.to(x.dtype), eps=1e-6), rotary)
        for x, weight in zip((q, k), norms, strict=True)
    )
    if ref_keys is None or ref_values is None or relative is None:
        return q, k, v
    keys = torch.cat([k, project(ref_keys, relative)], dim=1)
    values = torch.cat([v, project(ref_values, relative)], dim=1)
    return q, keys, values


def _attention_bias(log_weight: Tensor, x: Tensor, ref_tokens: int) -> Tensor:
    """Bias of the logits: 0 for the target's own tokens, then the references', [B, 1, 1, N + M]."""
    of_tokens = log_weight.repeat_interleave(ref_tokens // log_weight.shape[1], dim=1)
    bias = torch.cat([of_tokens.new_zeros(x.shape[:2]), of_tokens], dim=1)
    return bias[:, None, None].to(x.dtype)


def time_features(time: Tensor) -> Tensor:
    """Sines and cosines of t, [B] to [B, _TIME_CHANNELS]."""
    half = _TIME_CHANNELS // 2
    steps = torch.arange(half, device=time.device, dtype=torch.float32) / half
    angles = time.float()[:, None] * 1000.0 * torch.exp(-steps * 9.21)  # periods up to 10,000
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
