"""CpuFrameDiT: `FrameDiT` for inference on a CPU, one view at a time, in few operations.

Matrix products and convolutions are torch's; what lies between them is compiled. Views are drawn
one by one, so that a view depends on nothing else in its batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.frame_model import cpu_kernels as kernels
from worldfm_gym.frame_model.attention import rotary_of_rays
from worldfm_gym.frame_model.conditioning import pixel_rays
from worldfm_gym.frame_model.folded import FoldedBlock, fold_blocks
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.sampler import SECOND_STEP_TIME, check_steps, mix
from worldfm_gym.frame_model.targets import Targets

_Array = NDArray[Any]


class CpuFrameDiT:
    """The network's weights, folded and laid out for the kernels; see the module's text."""

    def __init__(self, network: FrameDiT) -> None:
        """Copy the weights of a float32 network on the CPU."""
        self.config = network.config
        self._cells = network.config.patch // 2
        with torch.no_grad():
            self._stem, self._ref_stem, self._head, self._to_pixels = (
                (
                    layer.weight.detach().clone(memory_format=torch.channels_last),
                    _bias(layer).detach().clone(),
                )
                for layer in (network.stem, network.ref_stem, network.head, network.to_pixels)
            )
            self._embed, self._ref_embed = (
                # [out, in, dy, dx] to [(dy, dx, in), out]
                (
                    layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2).contiguous(),
                    _bias(layer).detach().clone(),
                )
                for layer in (network.embed, network.ref_embed)
            )
            self._spread = _spreading(network)
            self._blocks = {
                time: fold_blocks(network, time) for time in (1.0, SECOND_STEP_TIME, None)
            }

    def encode_references(self, images: Tensor, intrinsics: Tensor) -> KeysValues:
        """Keys and values of references, as `FrameDiT.encode_references` has them.

        Args:
            images: From `reference_channels`, float32 [M, 5, h, w].
            intrinsics: (fx, fy, cx, cy), float32 [M, 4].

        Returns:
            [L, M, tokens, heads, head_dim], float32.
        """
        encoded = [
            self._encode(image, lens) for image, lens in zip(images, intrinsics, strict=True)
        ]
        keys, values = zip(*encoded, strict=True)
        return KeysValues(torch.stack(keys, dim=1), torch.stack(values, dim=1))

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
        out = torch.empty_like(targets.noise)
        with torch.inference_mode():
            for i in range(len(out)):
                self._predict(targets.noise[i], 1.0, targets, i, memory, out[i])
                if steps == 2:
                    noisy = mix(out[i], targets.noise[i], SECOND_STEP_TIME)
                    self._predict(noisy, SECOND_STEP_TIME, targets, i, memory, out[i])
        return out

    def _predict(
        self, noisy: Tensor, time: float, targets: Targets, i: int, memory: KeysValues | None,
        out: Tensor,
    ) -> None:  # fmt: skip
        """The network's forward pass for target i."""
        c, (_, height, width) = self.config, noisy.shape
        conditioning = targets.conditioning[i].numpy()
        features = self._features(self._stem, noisy.numpy(), conditioning)
        grid = (height // c.patch, width // c.patch)
        x = self._tokens(self._embed, features)
        rotary = self._rotary(targets.intrinsics[i], grid)
        references = _References(targets, i, memory, own_tokens=len(x))
        for layer, block in enumerate(self._blocks[time]):
            self._run_block(x, block, rotary, references, layer)
        half = (height // 2, width // 2)
        joined = torch.empty(1, *half, c.stem + c.detail)
        joined[0, ..., : c.stem] = features
        weight, bias = self._spread
        cells = torch.addmm(bias, F.layer_norm(x, (c.width,), eps=1e-6), weight)
        joined.view(grid[0], self._cells, grid[1], self._cells, -1)[..., c.stem :] = cells.view(
            *grid, self._cells, self._cells, c.detail
        ).transpose(1, 2)
        changed = _convolve(joined.permute(0, 3, 1, 2), self._head)
        _gelu(changed)
        change = _convolve(changed, self._to_pixels)[0].permute(1, 2, 0).numpy()
        kernels.finish_rows(change, conditioning, out.numpy())

    def _encode(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of one reference, each [L, tokens, heads, head_dim]."""
        c = self.config
        grid = (image.shape[1] // c.patch, image.shape[2] // c.patch)
        x = self._tokens(self._ref_embed, self._features(self._ref_stem, image.numpy()))
        rotary = self._rotary(intrinsics, grid)
        kept = [self._run_block(x, block, rotary) for block in self._blocks[None]]
        keys, values = zip(*kept, strict=True)
        return torch.stack(keys).transpose(1, 2), torch.stack(values).transpose(1, 2)

    def _features(self, weights: tuple[Tensor, Tensor], *images: _Array) -> Tensor:
        """The convolution before the blocks, [H / 2, W / 2, stem]."""
        _, height, width = images[0].shape
        packed = np.empty((height // 2, width // 2, 4 * sum(map(len, images))), np.float32)
        offset = 0
        for image in images:
            kernels.unshuffle_rows(image, packed, offset)
            offset += 4 * len(image)
        features = _convolve(torch.from_numpy(packed)[None].permute(0, 3, 1, 2), weights)
        _gelu(features)
        return features[0].permute(1, 2, 0)

    def _tokens(self, weights: tuple[Tensor, Tensor], features: Tensor) -> Tensor:
        """Patches of features to tokens, [tokens, width]."""
        height, width, channels = features.shape
        cells = features.view(height // self._cells, self._cells, width // self._cells, -1)
        patches = cells.transpose(1, 2).reshape(-1, self._cells**2 * channels)
        return torch.addmm(weights[1], patches, weights[0])

    def _rotary(self, intrinsics: Tensor, grid: tuple[int, int]) -> tuple[_Array, _Array]:
        """Cosines and sines of the patches' central rays, [tokens, head_dim / 4]."""
        rays = pixel_rays(intrinsics[None] / self.config.patch, *grid).flatten(2).transpose(1, 2)
        cos, sin = rotary_of_rays(rays, self.config.head_dim)
        return cos[0, :, 0].numpy(), sin[0, :, 0].numpy()

    def _run_block(
        self,
        x: Tensor,
        block: FoldedBlock,
        rotary: tuple[_Array, _Array],
        references: _References | None = None,
        layer: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Update the tokens x in place; the stream's own keys and values [heads, tokens, d]."""
        c, tokens = self.config, len(x)
        more = 0 if references is None else references.tokens
        qkv = torch.addmm(block.qkv_bias, F.rms_norm(x, (c.width,), eps=1e-6), block.qkv)
        queries = torch.empty(c.heads, tokens, c.head_dim)
        keys = torch.empty(c.heads, tokens + more, c.head_dim)
        values = torch.empty_like(keys)
        kernels.split_heads(
            qkv.view(tokens, 3, c.heads, c.head_dim).numpy(),
            block.query_weight.numpy(), block.key_weight.numpy(), *rotary, queries.numpy(),
            keys.numpy(), values.numpy(),
        )  # fmt: skip
        bias = None
        if references is not None and more:
            bias = references.write(layer, keys[:, tokens:], values[:, tokens:])
        mixed = F.scaled_dot_product_attention(
            queries[None], keys[None], values[None], attn_mask=bias, scale=1.0
        )
        x.addmm_(mixed[0].transpose(0, 1).reshape(tokens, c.width), block.out).add_(block.out_bias)
        hidden = torch.addmm(block.up_bias, F.rms_norm(x, (c.width,), eps=1e-6), block.up)
        kernels.gelu_rows(hidden.numpy())
        x.addmm_(hidden, block.down).add_(block.down_bias)
        return keys[:, :tokens], values[:, :tokens]


class _References:
    """The references of one target that count, and their projections."""

    def __init__(
        self, targets: Targets, i: int, memory: KeysValues | None, *, own_tokens: int
    ) -> None:
        self._memory = memory
        weights = targets.log_weight[i]
        counted = torch.isfinite(weights)
        self._slots = targets.index[i][counted].numpy()
        self._relative = targets.relative[i][counted].numpy()
        self._each = 0 if memory is None else memory.keys.shape[2]
        self.tokens = self._each * len(self._slots)
        self._bias: Tensor | None = None
        if bool((weights[counted] != 0).any()):
            of_tokens = weights[counted].repeat_interleave(self._each)
            self._bias = torch.cat([torch.zeros(own_tokens), of_tokens])[None, None, None]

    def write(self, layer: int, keys: Tensor, values: Tensor) -> Tensor | None:
        """Write projected keys and values [heads, tokens, d]; the bias of the logits, if any."""
        assert self._memory is not None
        for stored, to in ((self._memory.keys, keys), (self._memory.values, values)):
            kernels.project_references(
                stored[layer].numpy(), self._slots,
                self._relative, to.numpy(),
            )  # fmt: skip
        return self._bias


def _convolve(image: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
    """A 3 × 3 convolution in channels-last order."""
    return F.conv2d(image, *weights, padding=1)


def _gelu(image: Tensor) -> None:
    """GELU in place, of channels-last [1, C, H, W]."""
    rows = image[0].permute(1, 2, 0).flatten(0, 1).numpy()
    kernels.gelu_rows(rows)


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _spreading(network: FrameDiT) -> tuple[Tensor, Tensor]:
    """`to_cells` with the final norm's weights in it, [width, (dy, dx, channel)], and bias."""
    layer, norm = network.to_cells, network.final_norm
    weight = (layer.weight * norm.weight).t()
    both = torch.cat([weight, (layer.bias + layer.weight @ norm.bias)[None]])
    both = both.unflatten(1, (network.config.detail, -1)).transpose(1, 2).flatten(1)
    return both[:-1].contiguous(), both[-1].contiguous()
