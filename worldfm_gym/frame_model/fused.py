"""FusedFrameDiT: `FrameDiT` for inference on a GPU, in Triton kernels.

It draws what the network draws, up to the rounding of bfloat16, at the two times of the sampler.
References are read by index from where they are kept, without a copy for each target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor

from worldfm_gym.frame_model import fused_kernels as kernels
from worldfm_gym.frame_model.attention import rotary_frequencies
from worldfm_gym.frame_model.conditioning import (
    CONDITIONING_CHANNELS,
    NOISE_CHANNELS,
    REFERENCE_CHANNELS,
)
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.folded import FoldedBlock, fold_blocks
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.sampler import SECOND_STEP_TIME, check_steps, mix
from worldfm_gym.frame_model.targets import Targets


@dataclass(frozen=True, slots=True)
class Launch:
    """How a kernel is cut into programs, by what it does to one program.

    Attributes:
        rows: Pixels, tokens or queries of a program.
        inner: What it loops over at a time: channels, keys, or heads it makes in turn.
        warps: Warps of a program.
        stages: Depth of the software pipeline.
    """

    rows: int
    inner: int
    warps: int
    stages: int


@dataclass(frozen=True, slots=True)
class Launches:
    """One `Launch` for each kernel; which is fastest depends on how many tokens there are."""

    convolve: Launch
    embed: Launch
    heads: Launch
    attend: Launch
    finish: Launch
    spread: Launch


FEW_TOKENS = Launches(
    convolve=Launch(rows=32, inner=64, warps=4, stages=4),
    embed=Launch(rows=16, inner=64, warps=4, stages=4),
    heads=Launch(rows=32, inner=1, warps=4, stages=2),
    attend=Launch(rows=32, inner=64, warps=4, stages=3),
    finish=Launch(rows=16, inner=64, warps=4, stages=3),
    spread=Launch(rows=32, inner=1, warps=4, stages=2),
)
MANY_TOKENS = Launches(
    convolve=Launch(rows=128, inner=64, warps=4, stages=4),
    embed=Launch(rows=128, inner=64, warps=8, stages=3),
    heads=Launch(rows=128, inner=6, warps=8, stages=3),
    attend=Launch(rows=128, inner=64, warps=8, stages=3),
    finish=Launch(rows=128, inner=64, warps=8, stages=2),
    spread=Launch(rows=128, inner=8, warps=8, stages=3),
)
_MANY = 8192  # tokens from which on the larger programs fill a GPU


def can_fuse(config: FrameModelConfig) -> bool:
    """Whether the kernels are made for this shape of network: they need powers of two."""
    sides = (
        config.width,
        config.head_dim,
        config.stem,
        config.patch,
        config.width * config.mlp_ratio,
    )
    return config.head_dim >= 16 and config.stem >= 16 and all(n & (n - 1) == 0 for n in sides)


class FusedFrameDiT:
    """The network's weights, folded and laid out for the kernels; see the module's text."""

    def __init__(
        self,
        network: FrameDiT,
        *,
        device: torch.device | str = "cuda",
        dtype: torch.dtype = torch.bfloat16,
        launches: Launches | None = None,
    ) -> None:
        """Copy weights.

        Args:
            network: What to draw like; `can_fuse` must hold for its configuration.
            device: A CUDA device, or any under Triton's interpreter.
            dtype: Of weights and of what passes from kernel to kernel; sums are float32.
            launches: Instead of those chosen by the number of tokens.
        """
        self.config = c = network.config
        self.device, self.dtype, self._launches = torch.device(device), dtype, launches
        self._cells = c.patch // 2
        self._detail = max(16, triton.next_power_of_2(c.detail))
        self._joined = c.stem + self._detail
        with torch.no_grad():
            self._stem = self._unshuffled(network.stem, 4)
            self._ref_stem = self._unshuffled(network.ref_stem, 4)
            self._embed = self._convolution(network.embed.weight, network.embed.bias)
            self._ref_embed = self._convolution(network.ref_embed.weight, network.ref_embed.bias)
            self._spread = self._spreading(network)
            joined = network.head.weight.new_zeros(c.stem, self._joined, 3, 3)
            joined[:, : c.stem + c.detail] = network.head.weight
            self._head = self._convolution(joined, network.head.bias)
            self._to_pixels = self._convolution(network.to_pixels.weight, network.to_pixels.bias)
            self._blocks = {
                time: [self._block(block) for block in fold_blocks(network, time)]
                for time in (1.0, SECOND_STEP_TIME, None)
            }
        pairs = c.head_dim // 8
        self._frequencies = torch.zeros(4 * pairs, device=self.device)
        self._frequencies[: 2 * pairs] = rotary_frequencies(c.head_dim, self.device).repeat(2)

    def encode_references(self, images: Tensor, intrinsics: Tensor) -> KeysValues:
        """Keys and values of references, to be read by `sample` of this object only.

        Args:
            images: From `reference_channels`, float32 [M, 5, h, w].
            intrinsics: (fx, fy, cx, cy), float32 [M, 4].

        Returns:
            [L, M, tokens, heads, head_dim] in this object's `dtype`.
        """
        c, (count, _, height, width) = self.config, images.shape
        grid = (count, height // c.patch, width // c.patch)
        tokens = grid[1] * grid[2]
        launches = self._launches_for(count * tokens)
        packed = self._pack(None, images.contiguous(), REFERENCE_CHANNELS)
        features = self._empty(count, height // 2, width // 2, c.stem)
        self._convolve(packed, self._ref_stem, features, launches.convolve, gelu=True)
        x = self._empty(count * tokens, c.width)
        self._embed_tokens(features, self._ref_embed, x, launches.embed)
        rotary = self._rotary(intrinsics, grid)
        qkv = self._empty(c.depth, 3, count * tokens, c.width)
        nothing = torch.zeros(1, device=self.device)
        for i, block in enumerate(self._blocks[None]):
            self._run_block(x, block, rotary, qkv[i], grid, launches, None, nothing.long(), nothing)
        kept = qkv[:, 1:].reshape(c.depth, 2, count, tokens, c.heads, c.head_dim)
        return KeysValues(kept[:, 0].contiguous(), kept[:, 1].contiguous())

    def sample(self, targets: Targets, memory: KeysValues | None, *, steps: int = 1) -> Tensor:
        """Draw images, as `worldfm_gym.frame_model.sampler.sample` does.

        Args:
            targets: B views.
            memory: From `encode_references`; None if targets have R = 0 references.
            steps: 1 or 2.

        Returns:
            Clean rgb in [−1, 1] and depth code, float32 [B, 4, H, W].

        Raises:
            FrameModelError: If `steps` is neither 1 nor 2.
        """
        check_steps(steps)
        clean = self._predict(targets.noise, 1.0, targets, memory)
        if steps == 2:
            noisy = mix(clean, targets.noise, SECOND_STEP_TIME)
            clean = self._predict(noisy, SECOND_STEP_TIME, targets, memory)
        return clean

    def _predict(
        self, noisy: Tensor, time: float, targets: Targets, memory: KeysValues | None
    ) -> Tensor:
        """The network's forward pass at a known time."""
        c, (count, _, height, width) = self.config, noisy.shape
        grid = (count, height // c.patch, width // c.patch)
        rows = count * grid[1] * grid[2]
        launches = self._launches_for(rows)
        conditioning = targets.conditioning.contiguous()
        packed = self._pack(noisy.contiguous(), conditioning, CONDITIONING_CHANNELS)
        features = self._empty(count, height // 2, width // 2, self._joined)
        self._convolve(packed, self._stem, features, launches.convolve, gelu=True)
        x = self._empty(rows, c.width)
        self._embed_tokens(features, self._embed, x, launches.embed)
        rotary = self._rotary(targets.intrinsics, grid)
        qkv = self._empty(3, rows, c.width)
        index, relative = targets.index.contiguous(), targets.relative.contiguous()
        log_weight = targets.log_weight.contiguous()
        for i, block in enumerate(self._blocks[time]):
            layer = None if memory is None else KeysValues(memory.keys[i], memory.values[i])
            self._run_block(
                x, block, rotary, qkv, grid, launches, layer, index, relative, log_weight
            )
        self._spread_cells(x, features, grid, launches.spread)
        changed = self._empty(count, height // 2, width // 2, c.stem)
        self._convolve(features, self._head, changed, launches.convolve, gelu=True)
        out = torch.empty_like(noisy)
        pixels = count * (height // 2) * (width // 2)
        way = launches.convolve
        kernels.convolve_to_pixels[(triton.cdiv(pixels, way.rows),)](
            changed, *self._to_pixels, conditioning, out, pixels, height // 2, width // 2,
            CHANNELS=c.stem, STRIDE=c.stem, GIVEN=CONDITIONING_CHANNELS, ROWS=way.rows,
            CHUNK=min(way.inner, c.stem), num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip
        return out

    def _launches_for(self, tokens: int) -> Launches:
        if self._launches is not None:
            return self._launches
        return MANY_TOKENS if tokens >= _MANY else FEW_TOKENS

    def _pack(self, noisy: Tensor | None, given: Tensor, channels: int) -> Tensor:
        """Images to half resolution, NHWC, channels padded to a power of two."""
        count, _, height, width = given.shape
        of_noisy = 0 if noisy is None else NOISE_CHANNELS
        padded = triton.next_power_of_2(of_noisy + channels)
        out = self._empty(count, height // 2, width // 2, 4 * padded)
        pixels = 64
        kernels.pack_pixels[(count * height, triton.cdiv(width, 2 * pixels))](
            given if noisy is None else noisy, given, out, height, width,
            NOISY=of_noisy, GIVEN=channels, CHANNELS=padded, PIXELS=pixels, num_warps=4,
        )  # fmt: skip
        return out

    def _convolve(
        self, image: Tensor, weights: tuple[Tensor, Tensor], out: Tensor, way: Launch, *, gelu: bool
    ) -> None:
        """A 3 × 3 convolution of NHWC images into the first channels of `out`."""
        weight, bias = weights
        count, height, width, stride = image.shape
        channels, outputs = weight.shape[2:]
        rows = count * height * width
        kernels.convolve[(triton.cdiv(rows, way.rows), 1)](
            image, weight, bias, out, rows, height, width,
            CHANNELS=channels, STRIDE=stride, OUT=outputs, OUT_STRIDE=out.shape[3], SIDE=3, STEP=1,
            PAD=1, GELU=gelu, ROWS=way.rows, COLUMNS=outputs, CHUNK=min(way.inner, channels),
            num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip

    def _embed_tokens(
        self, features: Tensor, weights: tuple[Tensor, Tensor], x: Tensor, way: Launch
    ) -> None:
        """Patches of features to tokens."""
        weight, bias = weights
        _, height, width, stride = features.shape
        channels, outputs = weight.shape[2:]
        columns = min(outputs, 128 if way.rows >= 64 else 64)
        kernels.convolve[(triton.cdiv(len(x), way.rows), outputs // columns)](
            features, weight, bias, x, len(x), height, width,
            CHANNELS=channels, STRIDE=stride, OUT=outputs, OUT_STRIDE=outputs, SIDE=self._cells,
            STEP=self._cells, PAD=0, GELU=False, ROWS=way.rows, COLUMNS=columns,
            CHUNK=min(way.inner, channels), num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip

    def _rotary(self, intrinsics: Tensor, grid: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """Cosines and sines of every token's pairs of channels."""
        count, height, width = grid
        pairs = self.config.head_dim // 4
        cos = torch.empty(count * height * width, 2 * pairs, device=self.device)
        sin = torch.empty_like(cos)
        kernels.rotary_table[(triton.cdiv(len(cos), 32),)](
            intrinsics.contiguous(), self._frequencies, cos, sin, len(cos), height, width,
            PAIRS=pairs, PATCH=self.config.patch, ROWS=32, num_warps=4,
        )  # fmt: skip
        return cos, sin

    def _run_block(
        self,
        x: Tensor,
        block: tuple[Tensor, ...],
        rotary: tuple[Tensor, Tensor],
        qkv: Tensor,
        grid: tuple[int, int, int],
        launches: Launches,
        memory: KeysValues | None,
        index: Tensor,
        relative: Tensor,
        log_weight: Tensor | None = None,
    ) -> None:
        """Update the tokens `x` in place; `qkv` [3, rows, width] receives queries, keys, values."""
        qkv_weight, qkv_bias, head_weight, *finish = block
        c, rows, tokens = self.config, len(x), grid[1] * grid[2]
        way, parts = launches.heads, _divisor(3 * c.heads, launches.heads.inner)
        kernels.project_heads[(triton.cdiv(rows, way.rows), 3 * c.heads // parts)](
            x, qkv_weight, qkv_bias, head_weight, *rotary, qkv, rows,
            WIDTH=c.width, HEADS=c.heads, HEAD_DIM=c.head_dim, PARTS=parts, ROWS=way.rows,
            num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip
        way, mixed = launches.attend, torch.empty_like(x)
        keys, values = (qkv, qkv) if memory is None else (memory.keys, memory.values)
        ref_tokens = 0 if memory is None else keys.shape[1]
        kernels.attend[(triton.cdiv(tokens, way.rows), c.heads, grid[0])](
            qkv, keys, values, index, relative, relative if log_weight is None else log_weight,
            mixed, rows, tokens, ref_tokens, 0 if memory is None else index.shape[1],
            WIDTH=c.width, HEAD_DIM=c.head_dim, ROWS=way.rows, KEYS=way.inner,
            EVEN=tokens % way.inner == 0, REF_EVEN=ref_tokens % way.inner == 0,
            num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip
        way, hidden = launches.finish, c.width * c.mlp_ratio
        kernels.finish_block[(triton.cdiv(rows, way.rows),)](
            x, mixed, *finish, rows,
            WIDTH=c.width, HIDDEN=hidden, ROWS=way.rows, CHUNK=min(way.inner, c.width),
            num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip

    def _spread_cells(
        self, x: Tensor, features: Tensor, grid: tuple[int, int, int], way: Launch
    ) -> None:
        """Tokens to the last channels of `features`."""
        parts = _divisor(self._cells**2, way.inner)
        kernels.spread_cells[(triton.cdiv(len(x), way.rows), self._cells**2 // parts)](
            x, *self._spread, features[..., self.config.stem :], len(x), grid[1], grid[2],
            WIDTH=self.config.width, DETAIL=self._detail, SIDE=self._cells,
            OUT_STRIDE=self._joined, PARTS=parts, ROWS=way.rows,
            num_warps=way.warps, num_stages=way.stages,
        )  # fmt: skip

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def _weight(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(self.device, self.dtype).contiguous()

    def _bias(self, tensor: Tensor) -> Tensor:
        return tensor.detach().to(self.device, torch.float32).contiguous()

    def _convolution(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """[out, in, side, side] to [side, side, in, out]."""
        assert bias is not None
        return self._weight(weight.permute(2, 3, 1, 0)), self._bias(bias)

    def _unshuffled(self, layer: torch.nn.Conv2d, cell: int) -> tuple[Tensor, Tensor]:
        """A convolution of pixel-unshuffled channels, in the order and padding of `pack_pixels`."""
        weight = layer.weight.unflatten(1, (-1, 2, 2))  # [out, channel, dy, dx, 3, 3]
        channels = weight.shape[1]
        padded = weight.new_zeros(len(weight), 2, triton.next_power_of_2(channels), 2, 3, 3)
        padded[:, :, :channels] = weight.transpose(1, 2)
        return self._convolution(padded.flatten(1, 3), layer.bias)

    def _spreading(self, network: FrameDiT) -> tuple[Tensor, Tensor]:
        """`to_cells` with the layer norm's weights in it, [width, (dy, dx, channel)]."""
        layer, norm = network.to_cells, network.final_norm
        weight = (layer.weight * norm.weight).t()
        bias = layer.bias + layer.weight @ norm.bias
        both = torch.cat([weight, bias[None]]).unflatten(1, (self.config.detail, -1))
        padded = both.new_zeros(len(both), both.shape[2], self._detail)
        padded[..., : self.config.detail] = both.transpose(1, 2)
        padded = padded.flatten(1)
        return self._weight(padded[:-1]), self._bias(padded[-1])

    def _block(self, block: FoldedBlock) -> tuple[Any, ...]:
        """Weights in the order in which the kernels take them."""
        c = self.config
        order = _paired(c.head_dim)
        by_head = torch.cat([block.qkv, block.qkv_bias[None]]).unflatten(1, (3, c.heads, -1))
        by_head = torch.cat([by_head[:, :2][..., order], by_head[:, 2:]], dim=1).flatten(1)
        # exp2 instead of exp: its logarithm goes into the queries.
        log2_e = 1.4426950408889634
        head_weight = torch.stack([block.query_weight * log2_e, block.key_weight])[:, order]
        return (
            self._weight(by_head[:-1]), self._bias(by_head[-1]), self._bias(head_weight),
            self._weight(block.out), self._bias(block.out_bias),
            self._weight(block.up), self._bias(block.up_bias),
            self._weight(block.down), self._bias(block.down_bias),
        )  # fmt: skip


def _paired(head_dim: int) -> Tensor:
    """Channels of a head in an order in which those that turn together are neighbors."""
    quarter = head_dim // 4
    turning = torch.arange(2 * quarter).view(2, quarter).t().flatten()
    return torch.cat([turning, torch.arange(2 * quarter, head_dim)])


def _divisor(count: int, most: int) -> int:
    """The greatest divisor of `count` up to `most`."""
    return next(n for n in range(min(most, count), 0, -1) if count % n == 0)
