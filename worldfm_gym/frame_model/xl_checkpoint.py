"""Checkpoints of WorldFM-XL: the released files, and one safetensors file made of them."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from worldfm_gym.errors import FrameModelError, MissingExtraError
from worldfm_gym.frame_model.worldfm_xl import WorldFMXL, WorldFMXLConfig

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

_FORMAT, _VERSION = "worldfm-gym worldfm-xl", 1
_NETWORK, _AUTOENCODER = "network.", "vae."
_IDLE = re.compile(r"pos_embed$|y_embedder\.|plucker_proj\.|blocks\.\d+\.cross_attn\.")
"""What the released checkpoints hold besides, and no frame needs."""
_RELEASED = WorldFMXLConfig()
_LISTED = 8  # names in an error message, at most


@dataclass(slots=True)
class XLModel:
    """WorldFM-XL and the autoencoder of its latents.

    Attributes:
        network: In evaluation mode.
        autoencoder: Pixels to latents and back; in evaluation mode.
        steps: Passes that the weights were distilled to, 1 or 2.
    """

    network: WorldFMXL
    autoencoder: AutoencoderKL
    steps: int

    @staticmethod
    def from_pretrained(
        path: str | os.PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> XLModel:
        """Load the released files or a converted one.

        Args:
            path: A folder with ``worldfm_1-step.pth`` or ``worldfm_2-step.pth`` (the 1-step one is
                taken where both are) and ``vae/``; one of these ``.pth`` files with ``vae/`` beside
                it; or a ``.safetensors`` file that `save_pretrained` wrote.
            device: Where the networks go.
            dtype: What their weights become.

        Raises:
            FrameModelError: If files are missing, or tensors are missing, unknown or misshapen.
        """
        given = Path(path)
        model = _read_converted(given) if given.suffix == ".safetensors" else _read_released(given)
        for part in (model.network, model.autoencoder):
            part.eval().requires_grad_(False)
            # Module.to, because diffusers' own logs a warning of layers to keep that it lacks.
            torch.nn.Module.to(part, device=device, dtype=dtype)
        return model

    def save_pretrained(
        self, path: str | os.PathLike[str], *, dtype: torch.dtype | None = None
    ) -> None:
        """Write both networks to one .safetensors file, in place of an older one.

        Args:
            path: The file.
            dtype: What weights are kept as; None keeps them as they are.
        """
        target = Path(path)
        tensors = {
            prefix + name: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
            for prefix, part in ((_NETWORK, self.network), (_AUTOENCODER, self.autoencoder))
            for name, tensor in part.state_dict().items()
        }
        shape = {k: v for k, v in dict(self.autoencoder.config).items() if not k.startswith("_")}
        metadata = {
            "format": _FORMAT,
            "version": str(_VERSION),
            "steps": str(self.steps),
            "config": json.dumps(asdict(self.network.config)),
            "vae": json.dumps(shape),
        }
        temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            save_file(tensors, temporary, metadata=metadata)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def is_xl(path: str | os.PathLike[str]) -> bool:
    """Whether a path looks like one of WorldFM-XL: released files or a converted one."""
    given = Path(path)
    if given.is_dir():
        return any((given / name).is_file() for name in _released_names())
    if given.suffix == ".pth":
        return given.is_file()
    if given.suffix != ".safetensors" or not given.is_file():
        return False
    try:
        with safe_open(given, framework="pt") as file:
            return (file.metadata() or {}).get("format") == _FORMAT
    except (SafetensorError, OSError):
        return False


def network_from(
    state: Mapping[str, Tensor], *, where: str, heads: int = _RELEASED.heads
) -> WorldFMXL:
    """The network of a released state dictionary; its shape is read off the tensors.

    Args:
        state: Tensors by their released names.
        where: What to call the source in messages.
        heads: Heads of each attention, which no tensor tells.

    Raises:
        FrameModelError: If tensors are missing, unknown or misshapen; the message lists them.
    """
    used = {name: tensor for name, tensor in state.items() if not _IDLE.match(name)}
    with torch.device("meta"):
        network = WorldFMXL(_shape_of(state, where, heads))
    wanted = network.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in used]
    problems += [f"{name} is unknown" for name in used if name not in wanted]
    problems += [
        f"{name} has shape {list(used[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in used and used[name].shape != tensor.shape
    ]
    if problems:
        more = f", and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise FrameModelError(
            f"{where} does not hold WorldFM-XL's weights: {'; '.join(problems[:_LISTED])}{more}"
        )
    network.load_state_dict({name: used[name] for name in wanted}, assign=True)
    network.places = WorldFMXL.positions_of(network.config)
    return network


def _shape_of(state: Mapping[str, Tensor], where: str, heads: int) -> WorldFMXLConfig:
    """The configuration that tensors tell; `pos_embed`, though replaced, tells the image size."""
    patches, places = state.get("x_embedder.proj.weight"), state.get("pos_embed")
    if patches is None or patches.dim() != 4 or (places is not None and places.dim() != 3):
        raise FrameModelError(
            f"{where} does not hold WorldFM-XL's weights: no x_embedder.proj.weight of 4 dimensions"
        )
    width, latents, patch = (int(size) for size in patches.shape[:3])
    tokens = None if places is None else places.shape[1]
    return WorldFMXLConfig(
        latent_side=64 if tokens is None else math.isqrt(tokens) * patch,
        patch=patch,
        width=width,
        depth=len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        heads=heads,
        latent_channels=latents,
    )


def _read_released(given: Path) -> XLModel:
    """From a folder or a .pth file."""
    if given.is_dir():
        found = [given / name for name in _released_names() if (given / name).is_file()]
        if not found:
            raise FrameModelError(
                f"{given} holds neither {' nor '.join(_released_names())}: give the folder that "
                "the released files were downloaded to"
            )
        given = found[0]
    if not given.is_file():
        raise FrameModelError(f"there is no file {given}")
    autoencoder = _autoencoder_class()
    try:
        held: Any = torch.load(given, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise FrameModelError(f"{given} can't be read as a checkpoint: {error}") from error
    state = held.get("state_dict", held) if isinstance(held, Mapping) else None
    if state is None or not all(isinstance(value, Tensor) for value in state.values()):
        raise FrameModelError(f"{given} does not hold a dictionary of tensors")
    network = network_from(state, where=str(given))
    folder = given.parent / "vae"
    if not (folder / "config.json").is_file():
        raise FrameModelError(
            f"{folder} holds no autoencoder: put the released vae/ folder beside {given.name}"
        )
    try:
        vae, told = autoencoder.from_pretrained(
            folder, local_files_only=True, low_cpu_mem_usage=False, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise FrameModelError(f"{folder} can't be read as an autoencoder: {error}") from error
    if told["missing_keys"]:  # diffusers would go on with random numbers
        missing = ", ".join(list(told["missing_keys"])[:_LISTED])
        raise FrameModelError(f"{folder} lacks tensors of the autoencoder: {missing}")
    return XLModel(network, vae, 2 if "2-step" in given.name else 1)


def _read_converted(path: Path) -> XLModel:
    """From a file that `XLModel.save_pretrained` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise FrameModelError(f"{path} is not a safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT or metadata.get("version") != str(_VERSION):
        raise FrameModelError(f"{path} was not written by this version's `worldfm-gym convert`")
    try:
        steps = int(metadata["steps"])
        shape, vae_shape = json.loads(metadata["config"]), json.loads(metadata["vae"])
        with torch.device("meta"):
            network = WorldFMXL(WorldFMXLConfig(**shape))
            autoencoder = _autoencoder_class().from_config(vae_shape)
    except (KeyError, ValueError, TypeError) as error:
        raise FrameModelError(f"{path} has unreadable WorldFM-XL metadata: {error!r}") from error
    for prefix, part in ((_NETWORK, network), (_AUTOENCODER, autoencoder)):
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            part.load_state_dict(own, assign=True)
        except RuntimeError as error:
            raise FrameModelError(f"{path} holds other weights than it says: {error}") from error
    network.places = WorldFMXL.positions_of(network.config)
    return XLModel(network, autoencoder, steps)


def _released_names() -> list[str]:
    return ["worldfm_1-step.pth", "worldfm_2-step.pth"]


def _autoencoder_class() -> type[AutoencoderKL]:
    """Diffusers' autoencoder; importing it takes seconds, so only here."""
    try:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    except ImportError:
        raise MissingExtraError("diffusers", "xl", "the autoencoder of WorldFM-XL") from None
    found: type[AutoencoderKL] = AutoencoderKL
    return found
