"""Learner: a network that is being trained, with its optimizer and moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from worldfm_gym.errors import CheckpointError
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.checkpoint import load_weights
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.processes import Processes

_STATE = ("step", "exp_avg", "exp_avg_sq")

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How networks compute.

    Attributes:
        device: Where.
        bf16: Whether matrices are multiplied in bfloat16; weights stay float32.
        fused: Whether the token-wise parts run as Triton kernels.
    """

    device: torch.device
    bf16: bool = False
    fused: bool = False

    def context(self) -> torch.autocast:
        """Around every forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def place(self, network: Network) -> Network:
        """The network on the device; a frame model's fused, if asked for."""
        network = network.to(self.device)
        if self.fused and isinstance(network, FrameDiT):
            network.fuse()
        return network


class Learner(Generic[Network]):
    """A network, the module that runs it, AdamW and an exponential moving average.

    Nothing here waits for the device: clipping and the decision to skip a step whose gradient is
    not finite are made there.
    """

    def __init__(
        self,
        network: Network,
        run: Callable[[Network], nn.Module],
        *,
        options: OptimizerOptions,
        arithmetic: Arithmetic,
        processes: Processes,
        averaged: bool = True,
    ) -> None:
        self.average = None
        if averaged:
            self.average = copy.deepcopy(network).to(arithmetic.device).requires_grad_(False).eval()
        self.network = arithmetic.place(network).requires_grad_(True).train()
        self.plain = run(self.network)
        self.shared = processes.wrap(self.plain)
        self._options = options
        self._names = [name for name, _ in self.network.named_parameters()]
        self._parameters: list[Tensor] = list(self.network.parameters())
        self._updates = 0
        matrices: dict[str, Any] = {"params": [p for p in self._parameters if p.ndim > 1]}
        vectors = {"params": [p for p in self._parameters if p.ndim <= 1], "weight_decay": 0.0}
        self._optimizer = torch.optim.AdamW(
            [matrices, vectors],
            lr=options.learning_rate,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=True,
        )

    def update(self, loss: Tensor, *, rate: float) -> Tensor:
        """One step down the loss's gradient.

        Args:
            loss: A scalar that came through `shared`.
            rate: Learning rate relative to the highest.

        Returns:
            The gradient's norm before clipping, on the device.
        """
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters, self._options.clip_norm, foreach=True)
        for group in self._optimizer.param_groups:
            group["lr"] = self._options.learning_rate * rate
        # The fused kernel leaves weights and state alone where this is 1, as for loss scaling.
        self._optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._follow()
        return norm.detach()

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average toward the weights."""
        self._updates += 1
        if self.average is None:
            return
        decay = min(self._options.ema_decay, (1 + self._updates) / (10 + self._updates))
        averages: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(averages, self._parameters, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """Weights, average and optimizer state by dotted name."""
        tensors = {f"weights.{k}": v for k, v in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for name, parameter in zip(self._names, self._parameters, strict=True):
            kept = self._optimizer.state.get(parameter, {})
            tensors |= {f"{key}.{name}": kept[key] for key in _STATE if key in kept}
        return tensors | {"updates": torch.tensor(self._updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            CheckpointError: If it is not of this network.
        """
        load_weights(self.network, _under("weights", tensors))
        if self.average is not None:
            load_weights(self.average, _under("average", tensors))
        if "updates" not in tensors:
            raise CheckpointError("the checkpoint lacks the number of updates")
        self._updates = int(tensors["updates"])
        for name, parameter in zip(self._names, self._parameters, strict=True):
            if f"step.{name}" not in tensors:
                continue  # this parameter had no gradient yet
            try:
                kept = {key: tensors[f"{key}.{name}"] for key in _STATE}
            except KeyError as error:
                raise CheckpointError(f"the checkpoint lacks the optimizer's {error}") from error
            self._optimizer.state[parameter] = {
                key: tensor.to(parameter.device, torch.float32, copy=True)
                for key, tensor in kept.items()
            }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix.``, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
