"""DepthNet: the small feed-forward network that tells depth from one photo.

Convolutions carry the image down to patches of 16×16 pixels, transformer blocks compare all patches
with one another there, and convolutions carry the result up to every pixel, helped by what the way
down has seen at each resolution. The viewing rays are an input, so that a known lens helps; for an
unknown one, the rays of an ordinary lens stand in. The lens itself and the direction of up are told
from the average patch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldfm_gym.errors import ReconstructionError

STRIDE = 16
"""Both sides of an image must be multiples of this."""
USUAL_FOCAL = 0.87
"""Focal length over the longer side that stands in for an unknown one: 60° across."""

_INPUTS = 6  # rgb, two slopes of the ray, whether they are known
_FREQUENCIES = 8
_CAMERA_CHANNELS = 128


@dataclass(frozen=True, slots=True)
class DepthNetConfig:
    """Shape of the network.

    Attributes:
        widths: Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
        down: Residual blocks at 1/4 and 1/8, on the way down.
        attention: Transformer blocks at 1/16.
        head_dim: Channels of each attention head.
    """

    widths: tuple[int, int, int, int] = (40, 80, 144, 224)
    down: tuple[int, int] = (2, 3)
    attention: int = 5
    head_dim: int = 32

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or len(self.down) != 2 or min(self.widths) < 1:
            raise ReconstructionError(f"widths need four numbers and down two, got {self}")
        if self.widths[3] % self.head_dim:
            raise ReconstructionError(
                f"the last of widths must be a multiple of head_dim, got {self.widths[3]} and "
                f"{self.head_dim}"
            )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says about B images.

    Attributes:
        log_depth: Logarithm of z-depth, roughly in metres, float32 [B, H, W].
        log_error: Logarithm of the expected absolute error of `log_depth`, up to one shift of it
            per image, float32 [B, H, W].
        log_focal: Logarithm of focal length over the longer side, float32 [B].
        log_focal_error: Logarithm of its expected absolute error, float32 [B].
        up_camera: Unit vectors against gravity in the camera frame, float32 [B, 3].
    """

    log_depth: Tensor
    log_error: Tensor
    log_focal: Tensor
    log_focal_error: Tensor
    up_camera: Tensor


class ResidualBlock(nn.Module):
    """Two convolutions on normalized features, added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.ones(width))
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.1 / (3 * math.sqrt(width)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, width, h, w] to the same."""
        change: Tensor = self.second(F.gelu(self.first(normed(x, self.norm)), approximate="tanh"))
        return x + change


class AttentionBlock(nn.Module):
    """Attention of all patches to one another, and an MLP."""

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        self.heads = width // head_dim
        self.norms = nn.ParameterList([torch.ones(width), torch.ones(width)])
        self.query_norm = nn.Parameter(torch.ones(head_dim))
        self.key_norm = nn.Parameter(torch.ones(head_dim))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        for last in (self.out, self.down):
            nn.init.normal_(last.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """[B, N, width] to the same."""
        qkv = self.qkv(rms(x, self.norms[0])).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.transpose(1, 3).unbind(2)  # [B, heads, N, head_dim] each
        query, key = rms(query, self.query_norm), rms(key, self.key_norm)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        change: Tensor = self.down(F.gelu(self.up(rms(x, self.norms[1])), approximate="tanh"))
        return x + change


class DepthNet(nn.Module):
    """The network; see the module's text. Works at all sizes that are multiples of `STRIDE`."""

    def __init__(self, config: DepthNetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or DepthNetConfig()
        half, quarter, eighth, patch = c.widths
        self.stem = nn.Conv2d(4 * _INPUTS, half, 3, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 3, stride=2, padding=1)
        self.quarter = nn.Sequential(*(ResidualBlock(quarter) for _ in range(c.down[0])))
        self.to_eighth = nn.Conv2d(quarter, eighth, 3, stride=2, padding=1)
        self.eighth = nn.Sequential(*(ResidualBlock(eighth) for _ in range(c.down[1])))
        self.to_patch = nn.Conv2d(eighth, patch, 3, stride=2, padding=1)
        self.place = nn.Linear(4 * _FREQUENCIES, patch)
        self.attention = nn.Sequential(
            *(AttentionBlock(patch, c.head_dim) for _ in range(c.attention))
        )
        self.up_eighth = nn.Conv2d(patch, 4 * eighth, 1)
        self.join_eighth = ResidualBlock(eighth)
        self.up_quarter = nn.Conv2d(eighth, 4 * quarter, 1)
        self.join_quarter = ResidualBlock(quarter)
        self.up_half = nn.Conv2d(quarter, 4 * half, 1)
        self.join_half = ResidualBlock(half)
        self.to_pixels = nn.Conv2d(half, 4 * 2, 3, padding=1)
        to_camera = nn.Linear(_CAMERA_CHANNELS, 5)
        self.camera = nn.Sequential(nn.Linear(patch, _CAMERA_CHANNELS), nn.GELU(), to_camera)
        nn.init.normal_(self.to_pixels.weight, std=0.01)
        nn.init.zeros_(to_camera.weight)

    def forward(self, rgb: Tensor, focal: Tensor, center: Tensor, known: Tensor) -> Prediction:
        """Predict depth, lens and gravity.

        Args:
            rgb: In −1…1, [B, 3, H, W].
            focal: (fx, fy) in pixels, [B, 2]; read where `known`.
            center: Principal point (cx, cy) in pixels, [B, 2]; read where `known`.
            known: Whether the lens is known, bool [B].
        """
        height, width = rgb.shape[2:]
        if height % STRIDE or width % STRIDE:
            raise ReconstructionError(
                f"sides must be multiples of {STRIDE} pixels, got {width}×{height}"
            )
        rays = _slopes(focal, center, known, height, width)
        flag = known.to(rgb.dtype)[:, None, None, None].expand(-1, 1, height, width)
        cells = F.pixel_unshuffle(torch.cat([rgb, rays, flag], dim=1), 2)
        half = F.gelu(
            self.stem(cells.contiguous(memory_format=torch.channels_last)), approximate="tanh"
        )
        quarter = self.quarter(self.to_quarter(half))
        eighth = self.eighth(self.to_eighth(quarter))
        grid = self.to_patch(eighth)
        tokens = grid.flatten(2).transpose(1, 2) + self.place(_places(grid)).to(grid.dtype)
        tokens = self.attention(tokens)
        grid = tokens.transpose(1, 2).unflatten(2, grid.shape[2:])
        x = self.join_eighth(eighth + F.pixel_shuffle(self.up_eighth(grid), 2))
        x = self.join_quarter(quarter + F.pixel_shuffle(self.up_quarter(x), 2))
        x = self.join_half(half + F.pixel_shuffle(self.up_half(x), 2))
        pixels = F.pixel_shuffle(self.to_pixels(x), 2).float()
        camera = self.camera(tokens.mean(1)).float()
        up = torch.cat([camera[:, 2:3], camera[:, 3:4] - 1, camera[:, 4:]], dim=1)
        return Prediction(
            log_depth=pixels[:, 0] + math.log(2.0),
            log_error=pixels[:, 1].clamp(-6.0, 3.0) - 1.5,
            log_focal=camera[:, 0] + math.log(USUAL_FOCAL),
            log_focal_error=camera[:, 1].clamp(-6.0, 3.0) - 1.5,
            up_camera=F.normalize(up, dim=-1),
        )


def rms(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm of the last dimension."""
    return F.rms_norm(x, x.shape[-1:], weight.to(x.dtype), eps=1e-6)


def normed(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm of each pixel's channels, [B, C, h, w]."""
    return rms(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)


def _slopes(focal: Tensor, center: Tensor, known: Tensor, height: int, width: int) -> Tensor:
    """Slopes x / z, y / z of the pixels' rays, [B, 2, H, W]; an ordinary lens's where unknown."""
    usual = USUAL_FOCAL * max(height, width)
    focal = torch.where(known[:, None], focal, usual)
    center_x = torch.where(known, center[:, 0], 0.5 * width)[:, None]
    center_y = torch.where(known, center[:, 1], 0.5 * height)[:, None]
    u = torch.arange(width, device=focal.device, dtype=focal.dtype) + 0.5
    v = torch.arange(height, device=focal.device, dtype=focal.dtype) + 0.5
    x = (u - center_x) / focal[:, :1]  # [B, W]
    y = (v - center_y) / focal[:, 1:]
    shape = (len(focal), height, width)
    return torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=1)


def _places(grid: Tensor) -> Tensor:
    """Sines and cosines of each patch's place in the image, [h · w, 4 · frequencies]."""
    height, width = grid.shape[2:]
    longer = max(height, width)
    y = (torch.arange(height, device=grid.device) + 0.5 - height / 2) / longer
    x = (torch.arange(width, device=grid.device) + 0.5 - width / 2) / longer
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).flatten(0, 1)  # [N, 2]
    frequency = math.pi * 2.0 ** (torch.arange(_FREQUENCIES, device=grid.device) / 2)
    angles = (place[:, :, None] * frequency).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
