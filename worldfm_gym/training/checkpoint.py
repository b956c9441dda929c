"""Checkpoints: all that a training run needs to go on, in one safetensors file.

Written to a temporary name and renamed, so that an interrupted run leaves the last whole one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from worldfm_gym.errors import CheckpointError
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel

CHECKPOINT_NAME, MODEL_NAME = "checkpoint.safetensors", "model.safetensors"
NETWORK = "network"
"""Prefix of the network that a stage makes; other stages and the model file get its average."""

_FORMAT, _VERSION = "worldfm-gym checkpoint", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: Name of the stage: prior, control or distill.
        step: Steps done.
        samples: Views trained on, over all processes.
        seconds: Time spent.
        restarts: How often the run was resumed; each time the worlds are others.
    """

    stage: str
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        progress: How far the run was.
        model: Shape of the networks.
        tensors: Weights, averages, optimizer and random state by dotted name.
    """

    progress: Progress
    model: FrameModelConfig
    tensors: Mapping[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under ``prefix.``, without it.

        Raises:
            CheckpointError: If there are none.
        """
        start = f"{prefix}."
        found = {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }
        if not found:
            raise CheckpointError(f"the checkpoint holds nothing of {prefix!r}")
        return found


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint in place of an older one, whole or not at all."""
    target = Path(path)
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "progress": json.dumps(asdict(checkpoint.progress)),
        "model": json.dumps(asdict(checkpoint.model)),
    }
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(save(tensors, metadata))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str], *, stage: str | None = None) -> Checkpoint:
    """Read a checkpoint; its tensors are on the CPU.

    Args:
        path: A file that `save_checkpoint` wrote.
        stage: The stage that wants to go on; None takes any.

    Raises:
        CheckpointError: If there is no such file, it is not a checkpoint, was written by a newer
            version, is damaged, or is another stage's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            if metadata.get("format") != _FORMAT:
                raise CheckpointError(
                    f"{path} is a safetensors file, but not a training checkpoint: its metadata "
                    f"lack format={_FORMAT!r}"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} can't be read as a training checkpoint: {error}") from error
    progress, model = _read_metadata(path, metadata)
    if stage is not None and progress.stage != stage:
        raise CheckpointError(
            f"{path} is a checkpoint of the stage {progress.stage!r}, not {stage!r}: choose "
            f"another --out folder, or start from its weights with --init {path}"
        )
    return Checkpoint(progress, model, tensors)


def load_network(path: str | os.PathLike[str]) -> FrameDiT:
    """The network to start a stage from: a saved model's, or a checkpoint's averaged weights.

    Args:
        path: A file of either kind, or the name of a model that comes with the package.

    Raises:
        CheckpointError: If it is a checkpoint, but damaged.
        FrameModelError: If it is neither, or a model's weights don't fit its configuration.
    """
    if _format_of(path) != _FORMAT:
        return FrameModel.from_pretrained(path).network.requires_grad_(True).train()
    checkpoint = load_checkpoint(path)
    network = FrameDiT(checkpoint.model)
    load_weights(network, checkpoint.part(f"{NETWORK}.average"))
    return network


def load_weights(network: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a network of the same shape.

    Raises:
        CheckpointError: If names or shapes differ.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint's weights don't fit its network: {error}") from error


def _format_of(path: str | os.PathLike[str]) -> str | None:
    """What kind of file the metadata say it is; None if it is no safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format")
    except (SafetensorError, OSError):
        return None


def _read_metadata(
    path: str | os.PathLike[str], metadata: Mapping[str, str]
) -> tuple[Progress, FrameModelConfig]:
    """Progress and network shape of a checkpoint's metadata."""
    try:
        version = int(metadata["version"])
        if version <= _VERSION:
            values: dict[str, Any] = json.loads(metadata["progress"])
            return Progress(**values), FrameModelConfig(**json.loads(metadata["model"]))
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} has unreadable metadata: {error!r}") from error
    raise CheckpointError(
        f"{path} has version {version} of the format and this package reads up to {_VERSION}: "
        "update worldfm-gym"
    )
