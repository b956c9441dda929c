"""Pretrained frame models: weights and configuration in one safetensors file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT

_FORMAT, _VERSION = "worldfm-gym frame model", 1
_SHIPPED = Path(__file__).parent / "weights"


@dataclass(slots=True)
class FrameModel:
    """A frame model's network and what is known about it.

    Attributes:
        network: In evaluation mode.
        metadata: How it was made: recipe, data, figures; strings by name.
    """

    network: FrameDiT
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> FrameModelConfig:
        """Shape of the network."""
        return self.network.config

    @staticmethod
    def from_pretrained(
        name_or_path: str | os.PathLike[str] = "nano", *, device: str | torch.device = "cpu"
    ) -> FrameModel:
        """Load a frame model.

        Args:
            name_or_path: ``"nano"``, which comes with the package, or a .safetensors file that
                `save_pretrained` wrote.
            device: Where the network goes; weights become float32.

        Raises:
            FrameModelError: If there is no such file, or it is not a frame model's.
        """
        path = _path_of(name_or_path)
        try:
            with safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise FrameModelError(f"{path} is not a safetensors file: {error}") from error
        network = FrameDiT(_config_of(path, metadata))
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise FrameModelError(
                f"{path} holds other weights than its configuration asks for: {error}"
            ) from error
        return FrameModel(network.eval().requires_grad_(False).to(device), metadata)

    def save_pretrained(
        self, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        """Write weights and configuration to one .safetensors file, in place of an older one."""
        target = Path(path)
        metadata = {
            **self.metadata,
            "format": _FORMAT,
            "version": str(_VERSION),
            "config": json.dumps(asdict(self.config)),
        }
        weights = {
            name: tensor.detach().to("cpu", dtype).contiguous()
            for name, tensor in self.network.state_dict().items()
        }
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            save_file(weights, temporary, metadata=metadata)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def _path_of(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that a name or a path means."""
    shipped = sorted(file.stem for file in _SHIPPED.glob("*.safetensors"))
    if str(name_or_path) in shipped:
        return _SHIPPED / f"{name_or_path}.safetensors"
    path = Path(name_or_path)
    if path.is_file():
        return path
    known = ", ".join(repr(name) for name in shipped) or "none"
    raise FrameModelError(
        f"no frame model {str(name_or_path)!r}: give the path of a .safetensors file that "
        f"`worldfm-gym train` wrote, or one of the models that come with the package ({known})"
    )


def _config_of(path: Path, metadata: Mapping[str, str]) -> FrameModelConfig:
    """The configuration that a file's metadata hold."""
    if metadata.get("format") != _FORMAT:
        raise FrameModelError(
            f"{path} is a safetensors file, but not of a frame model: its metadata lack "
            f"format={_FORMAT!r}"
        )
    try:
        version, values = int(metadata["version"]), json.loads(metadata["config"])
        if version > _VERSION:
            raise FrameModelError(
                f"{path} has version {version} of the format and this package reads up to "
                f"{_VERSION}: update worldfm-gym"
            )
        return FrameModelConfig(**values)
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, FrameModelError):
            raise
        raise FrameModelError(f"{path} has unreadable frame model metadata: {error!r}") from error
