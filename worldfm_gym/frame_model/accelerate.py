"""Accelerate: the fastest way to draw with a network on a device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.sampler import bind, sample
from worldfm_gym.frame_model.targets import Targets


class Encoder(Protocol):
    """What computes keys and values of references."""

    def encode_references(self, images: Tensor, intrinsics: Tensor) -> KeysValues:
        """Keys and values [L, M, tokens, heads, head_dim] of references.

        Args:
            images: From `reference_channels`, float32 [M, 5, h, w].
            intrinsics: (fx, fy, cx, cy), float32 [M, 4].
        """
        ...


class Drawer(Encoder, Protocol):
    """A network for inference only. Its references' keys are read by itself alone."""

    def sample(self, targets: Targets, memory: KeysValues | None, *, steps: int = 1) -> Tensor:
        """Clean rgb in [−1, 1] and depth code of B targets, float32 [B, 4, H, W].

        Args:
            targets: B views.
            memory: From `encode_references`; None if targets have R = 0 references.
            steps: Passes of the network.
        """
        ...


class PlainDrawer:
    """A network as it is, for more than two steps or shapes that the kernels are not made for.

    On a GPU its arithmetic is bfloat16.
    """

    def __init__(self, network: FrameDiT) -> None:
        self._network = network

    def encode_references(self, images: Tensor, intrinsics: Tensor) -> KeysValues:
        """See `Drawer`."""
        with torch.no_grad(), self._precision(images):
            return self._network.encode_references(images, intrinsics)

    def sample(self, targets: Targets, memory: KeysValues | None, *, steps: int = 1) -> Tensor:
        """See `Drawer`."""
        gathered = relative = log_weight = None
        if memory is not None:
            relative, log_weight = targets.relative, targets.log_weight
            keys, values = (
                store.index_select(1, targets.index.flatten())
                .unflatten(1, targets.index.shape)
                .flatten(2, 3)
                for store in (memory.keys, memory.values)
            )
            gathered = KeysValues(keys, values)
        network = bind(
            self._network, targets.conditioning, targets.intrinsics, gathered, relative, log_weight
        )
        with torch.no_grad(), self._precision(targets.noise):
            return sample(network, targets.noise, steps=steps)

    @staticmethod
    def _precision(tensor: Tensor) -> AbstractContextManager[object]:
        if tensor.device.type == "cpu":
            return nullcontext()
        return torch.autocast(tensor.device.type, torch.bfloat16)


def accelerate(network: FrameDiT, device: torch.device | str, *, steps: int = 1) -> Drawer:
    """The fastest way there is to draw with a network.

    Args:
        network: In evaluation mode, on the device, float32.
        device: Where to draw.
        steps: Passes of the network per frame; kernels are specialized to 1 and 2.
    """
    if steps > 2:
        return PlainDrawer(network)
    if torch.device(device).type == "cpu":
        from worldfm_gym.frame_model.cpu_path import CpuFrameDiT

        return CpuFrameDiT(network)
    from worldfm_gym.frame_model.fused import FusedFrameDiT, can_fuse

    if can_fuse(network.config):
        return FusedFrameDiT(network, device=device)
    return PlainDrawer(network)
