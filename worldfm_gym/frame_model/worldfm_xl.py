"""WorldFM-XL: the network of the released InSpatio-WorldFM weights, as far as inference uses it.

A PixArt-Σ XL/2 trunk (Chen et al., "PixArt-Σ: Weak-to-Strong Training of Diffusion Transformer for
4K Text-to-Image Generation", 2024) on the latents of an image autoencoder. Three images stand side
by side in one wide picture: the target (noise), what the anchor shows, and one reference; they are
told apart by their position alone. Text, its cross-attention and the ray projection that the
checkpoints also hold take no part and are left out.

Schedule: 1,000 steps, betas linear from 1e-4 to 0.02; with α = √ᾱ and σ = √(1 − ᾱ) the network's
output v gives the clean latent as α · z − σ · v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 1000
FIRST_TIME, SECOND_TIME = 999, 200
_FREQUENCIES = 256  # channels of the sinusoidal embedding of time


@dataclass(frozen=True, slots=True)
class WorldFMXLConfig:
    """Shape of the network; the defaults are those of the released weights.

    Attributes:
        latent_side: Side of a square latent image; the autoencoder shrinks pixels by 8.
        patch: Side of a patch of latents.
        width: Channels of a token.
        depth: Number of blocks.
        heads: Heads of each attention.
        latent_channels: Channels of a latent.
        mlp_ratio: Hidden channels of the MLP over `width`.
    """

    latent_side: int = 64
    patch: int = 2
    width: int = 1152
    depth: int = 28
    heads: int = 16
    latent_channels: int = 4
    mlp_ratio: int = 4


class Attention(nn.Module):
    """Self-attention over all tokens of the three images."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, queries: int | None = None) -> Tensor:
        """Tokens [B, N, C] to [B, Q, C]; only the first `queries` tokens ask, if given."""
        batch, count, width = x.shape
        q, k, v = (
            part.view(batch, count, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        if queries is not None:
            q = q[:, :, :queries]
        drawn = F.scaled_dot_product_attention(q, k, v)
        mixed: Tensor = self.proj(drawn.transpose(1, 2).reshape(batch, -1, width))
        return mixed


class Mlp(nn.Module):
    """Two layers with a tanh-approximated GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [B, N, C] to [B, N, C]."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by time (adaLN-single)."""

    def __init__(self, config: WorldFMXLConfig) -> None:
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.zeros(6, config.width))
        self.attn = Attention(config.width, config.heads)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)

    def forward(self, x: Tensor, time: Tensor, queries: int | None = None) -> Tensor:
        """Tokens [B, N, C] and the shared modulation [B, 6, C] to tokens [B, Q or N, C]."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (
            (self.scale_shift_table + time).unsqueeze(2).unbind(1)
        )  # [B, 1, C] each
        asked = self.attn(modulate(x, shift_a, scale_a), queries)
        x = x[:, : asked.shape[1]] + gate_a * asked
        out: Tensor = x + gate_m * self.mlp(modulate(x, shift_m, scale_m))
        return out


class PatchEmbedding(nn.Module):
    """Patches of latents to tokens."""

    def __init__(self, config: WorldFMXLConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(
            config.latent_channels, config.width, config.patch, stride=config.patch
        )

    def forward(self, z: Tensor) -> Tensor:
        """Latents [B, C, H, W] to tokens [B, H/p · W/p, D]."""
        tokens: Tensor = self.proj(z).flatten(2).transpose(1, 2)
        return tokens


class TimeEmbedding(nn.Module):
    """Sinusoids of the time step through two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """Time steps [B] to [B, D]."""
        half = _FREQUENCIES // 2
        rates = torch.exp(
            torch.arange(half, device=time.device, dtype=torch.float32) * (-math.log(1e4) / half)
        )
        angle = time.float()[:, None] * rates
        waves = torch.cat([angle.cos(), angle.sin()], dim=-1)
        out: Tensor = self.mlp(waves.to(next(self.parameters()).dtype))
        return out


class FinalLayer(nn.Module):
    """Tokens to patches of output."""

    def __init__(self, config: WorldFMXLConfig) -> None:
        super().__init__()
        self.scale_shift_table = nn.Parameter(torch.zeros(2, config.width))
        outputs = 2 * config.latent_channels  # the second half, a variance, is not used
        self.linear = nn.Linear(config.width, config.patch**2 * outputs)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Tokens [B, N, D] and embedded time [B, D] to [B, N, p · p · 2C]."""
        shift, scale = (self.scale_shift_table + time[:, None]).chunk(2, dim=1)
        out: Tensor = self.linear(modulate(x, shift, scale))
        return out


class WorldFMXL(nn.Module):
    """Predicts v for a target latent, next to the latents of the anchor's view and a reference."""

    def __init__(self, config: WorldFMXLConfig = WorldFMXLConfig()) -> None:
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbedding(config)
        self.t_embedder = TimeEmbedding(config.width)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(config.width, 6 * config.width))
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.depth)])
        self.final_layer = FinalLayer(config)
        self.register_buffer("places", self.positions_of(config), persistent=False)  # [3, side², D]
        self.places: Tensor

    @staticmethod
    def positions_of(config: WorldFMXLConfig) -> Tensor:
        """Positions of the tokens of each of the three images [3, N, D]."""
        with torch.device("cpu"):
            return wide_positions(config.latent_side // config.patch, config.width)

    def embed(self, z: Tensor, image: int) -> Tensor:
        """Tokens [B, N, D] of latents [B, 4, S, S] as picture 0 target, 1 anchor or 2 reference."""
        tokens: Tensor = self.x_embedder(z) + self.places[image].to(z.dtype)
        return tokens

    def forward(self, z: Tensor, context: Tensor, time: Tensor) -> Tensor:
        """Predict v.

        Args:
            z: Noised target latents [B, 4, S, S].
            context: Embedded anchor and reference tokens [B, 2N, D], from `embed`.
            time: Time steps [B], 0 clean … 999 noise.

        Returns:
            v [B, 4, S, S].
        """
        target = self.embed(z, 0)
        asked = target.shape[1]
        x = torch.cat([target, context], dim=1)
        embedded = self.t_embedder(time)
        modulation = self.t_block(embedded).view(len(z), 6, -1)
        last = len(self.blocks) - 1
        for k, block in enumerate(self.blocks):
            # Nothing reads what context tokens become in the last block.
            x = block(x, modulation, asked if k == last else None)
        return self._unpatch(self.final_layer(x, embedded))

    def _unpatch(self, x: Tensor) -> Tensor:
        """Patches [B, N, p · p · 2C] to v [B, C, S, S]."""
        p, channels = self.config.patch, self.config.latent_channels
        side = self.config.latent_side // p
        x = x.view(len(x), side, side, p, p, 2 * channels)[..., :channels]
        return x.permute(0, 5, 1, 3, 2, 4).reshape(len(x), channels, side * p, side * p)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without weights of its own, then an affine map given by time."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def wide_positions(side: int, width: int) -> Tensor:
    """Sinusoidal positions [3, side², width] of three square grids next to each other.

    The whole picture, three times as wide as high, spans the same range along both axes.
    """
    rows = torch.arange(side, dtype=torch.float64)
    columns = torch.arange(3 * side, dtype=torch.float64) / 3
    half = width // 2
    rates = 1e4 ** (-torch.arange(half // 2, dtype=torch.float64) / (half // 2))
    across, down = (
        torch.cat([(axis[:, None] * rates).sin(), (axis[:, None] * rates).cos()], dim=-1)
        for axis in (columns, rows)
    )
    grid = torch.cat(
        [
            across[None].expand(side, -1, -1),
            down[:, None].expand(-1, 3 * side, -1),
        ],
        dim=-1,
    )  # [side, 3 · side, width]
    of_image = grid.view(side, 3, side, width).transpose(0, 1)
    return of_image.reshape(3, side * side, width).float()


def alphas_cumprod() -> Tensor:
    """ᾱ of every time step, float32 [1000]."""
    betas = torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0).float()
