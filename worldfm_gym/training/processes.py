"""Processes: one training run on one or several devices, started by torchrun or alone."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from worldfm_gym.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: Number of this process; 0 writes files and logs.
        count: Processes of the run.
        device: Where this one computes.
        control_group: Process group of decisions, on the CPU so that no device is waited for.
    """

    rank: int
    count: int
    device: torch.device
    control_group: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over processes; itself if there is one process."""
        if self.count == 1:
            return module
        # Batches without references leave the reference stream's first layers without gradient.
        return DistributedDataParallel(
            module,
            broadcast_buffers=False,
            find_unused_parameters=True,
            gradient_as_bucket_view=True,
        )

    def largest(self, *numbers: float) -> tuple[float, ...]:
        """Each number's largest value over all processes, so that all decide alike."""
        if self.count == 1:
            return numbers
        agreed = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(agreed, distributed.ReduceOp.MAX, group=self.control_group)
        return tuple(agreed.tolist())

    def leave(self) -> None:
        """End the process group, if there is one."""
        if self.count > 1:
            gc.collect()  # wrapped modules hold the group, and are in reference cycles
            distributed.barrier(group=self.control_group)  # nobody goes while others still talk
            distributed.destroy_process_group()


def join_processes(device: str) -> Processes:
    """Become part of the run that torchrun started, or be a run of one process.

    Args:
        device: A torch device, or "auto" for a GPU if there is one; under torchrun each process
            takes the GPU of its local rank.

    Raises:
        ConfigError: If the device can't be had.
    """
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        place = torch.device(chosen)
    except RuntimeError as error:
        raise ConfigError(f"device must be auto, cpu or cuda, got {device!r}") from error
    if place.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(f"device={device!r}, but torch finds no GPU: use --device cpu")
        if place.index is None:
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    if count == 1:
        return Processes(0, 1, place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Processes(rank, count, place, distributed.new_group(backend="gloo"))
