"""Depth model: the built-in depth estimator, its weights in one safetensors file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.errors import ReconstructionError
from worldfm_gym.reconstruction.depth_network import (
    STRIDE,
    DepthNet,
    DepthNetConfig,
    Prediction,
)
from worldfm_gym.reconstruction.estimator import BUILT_IN, DepthEstimate

_FORMAT, _VERSION = "worldfm-gym depth model", 1
_SHIPPED = Path(__file__).parent / "weights" / "depth.safetensors"
_PIXELS = 320 * 240  # the largest that training saw; smaller images blur what is thin
_MOST_ASPECT = 4.0
_TOLERANCE = 0.1


@dataclass(slots=True)
class DepthModel:
    """The network of the built-in estimator and what is known about it.

    Attributes:
        network: In evaluation mode.
        metadata: How it was made; strings by name.
        device: Where it computes.
        pixels: About how many pixels the network gets to see of an image.
    """

    network: DepthNet
    metadata: Mapping[str, str] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    pixels: int = _PIXELS

    @property
    def name(self) -> str:
        """What worlds record as the origin of their depth."""
        return BUILT_IN

    @staticmethod
    def from_pretrained(
        path: str | os.PathLike[str] | None = None, *, device: str | torch.device = "cpu"
    ) -> DepthModel:
        """Load the estimator.

        Args:
            path: A .safetensors file that `save_pretrained` wrote; None for the one that comes with
                the package.
            device: Where the network goes; weights become float32.

        Raises:
            ReconstructionError: If there is no such file, or it is not a depth model's.
        """
        source = _SHIPPED if path is None else Path(path)
        try:
            with safe_open(source, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ReconstructionError(
                f"{source} can't be read as a depth model: {error}"
            ) from error
        network = DepthNet(_config_of(source, metadata))
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ReconstructionError(
                f"{source} holds other weights than its configuration asks for: {error}"
            ) from error
        place = torch.device(device)
        network = network.eval().requires_grad_(False).to(place)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return DepthModel(network, metadata, place)

    def save_pretrained(
        self, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        """Write weights and configuration to one .safetensors file, in place of an older one."""
        target = Path(path)
        metadata = {
            **self.metadata,
            "format": _FORMAT,
            "version": str(_VERSION),
            "config": json.dumps(asdict(self.network.config)),
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

    def estimate(
        self,
        images: Sequence[NDArray[np.uint8]],
        K: Sequence[ArrayLike] | None = None,
    ) -> list[DepthEstimate]:
        """Estimate the depth of each image on its own; see `DepthEstimator.estimate`.

        Depth is metric as far as things have their usual sizes.

        Args:
            images: rgb, uint8 [H, W, 3] each; sizes may differ.
            K: Intrinsics of each image in pixels, [3, 3]; None where the lens is unknown.

        Raises:
            ReconstructionError: On an image of another shape or type, or a K that does not fit.
        """
        if K is not None and len(K) != len(images):
            raise ReconstructionError(f"got {len(images)} images, but {len(K)} intrinsics")
        return [
            self._estimate(image, None if K is None else K[number])
            for number, image in enumerate(images)
        ]

    def _estimate(self, image: NDArray[np.uint8], K: ArrayLike | None) -> DepthEstimate:
        """Estimate one image's depth."""
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ReconstructionError(
                f"images must be rgb, uint8 [H, W, 3], got {image.dtype} {list(image.shape)}"
            )
        height, width = image.shape[:2]
        rows, columns = network_size(height, width, self.pixels)
        lens = None
        if K is not None:
            lens = _lens_of(K)
            scale = np.array([columns / width, rows / height] * 2)
            lens = lens * scale
        predicted = self._predict(image, lens, rows, columns)
        with torch.inference_mode():
            fields = torch.stack([predicted.log_depth, predicted.log_error], dim=1)
            log_depth, log_error = F.interpolate(
                fields, size=(height, width), mode="bilinear", align_corners=False
            )[0]
            confidence = 1 - (-_TOLERANCE * (-log_error).exp()).exp()
            depth_z = log_depth.exp()
        if K is None:
            focal = float(predicted.log_focal.exp()) * max(height, width)
            matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        else:
            matrix = np.asarray(K, np.float64)
        return DepthEstimate(
            depth_z=depth_z.float().cpu().numpy(),
            confidence=confidence.float().cpu().numpy(),
            K=matrix,
            metric=True,
            up_camera=predicted.up_camera[0].double().cpu().numpy(),
        )

    @torch.inference_mode()
    def _predict(
        self, image: NDArray[np.uint8], lens: NDArray[np.float64] | None, rows: int, columns: int
    ) -> Prediction:
        """What the network says on average about an image and its mirror image."""
        rgb = (
            torch.tensor(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1)[None].float()
            / 127.5
            - 1
        )
        small = F.interpolate(
            rgb, size=(rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        both = torch.cat([small, small.flip(-1)]).contiguous(memory_format=torch.channels_last)
        told = np.ones(4) if lens is None else lens
        lenses = torch.tensor(np.stack([told, told]), dtype=torch.float32, device=self.device)
        lenses[1, 2] = columns - lenses[1, 2]
        known = torch.full((2,), lens is not None, device=self.device)
        seen: Prediction = self.network(both, lenses[:, :2], lenses[:, 2:], known)
        mirror = torch.tensor([-1.0, 1.0, 1.0], device=self.device)
        up = seen.up_camera[:1] + mirror * seen.up_camera[1:]
        return Prediction(
            log_depth=_unmirrored(seen.log_depth),
            log_error=_unmirrored(seen.log_error),
            log_focal=seen.log_focal.mean(0, keepdim=True),
            log_focal_error=seen.log_focal_error.mean(0, keepdim=True),
            up_camera=F.normalize(up, dim=-1),
        )


def _unmirrored(images: Tensor) -> Tensor:
    """The mean of an image and its mirrored twin, [2, H, W] to [1, H, W]."""
    return (images[:1] + images[1:].flip(-1)) / 2


def network_size(height: int, width: int, pixels: int = _PIXELS) -> tuple[int, int]:
    """Rows and columns that the network sees of an image: about `pixels`, of the same shape."""
    aspect = min(max(width / height, 1 / _MOST_ASPECT), _MOST_ASPECT)
    rows = max(1, round(math.sqrt(pixels / aspect) / STRIDE)) * STRIDE
    columns = max(1, round(math.sqrt(pixels * aspect) / STRIDE)) * STRIDE
    return rows, columns


def _lens_of(K: ArrayLike) -> NDArray[np.float64]:
    """(fx, fy, cx, cy) of an intrinsic matrix."""
    matrix = np.asarray(K, np.float64)
    if (
        matrix.shape != (3, 3)
        or not np.isfinite(matrix).all()
        or min(matrix[0, 0], matrix[1, 1]) <= 0
    ):
        raise ReconstructionError(
            f"K must be 3×3 with positive focal lengths in pixels, got {matrix.tolist()}"
        )
    return matrix[[0, 1, 0, 1], [0, 1, 2, 2]]


def _config_of(path: Path, metadata: Mapping[str, str]) -> DepthNetConfig:
    """The configuration that a file's metadata hold."""
    if metadata.get("format") != _FORMAT:
        raise ReconstructionError(
            f"{path} is a safetensors file, but not of a depth model: its metadata lack "
            f"format={_FORMAT!r}"
        )
    try:
        version, values = int(metadata["version"]), json.loads(metadata["config"])
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        if version <= _VERSION:
            return DepthNetConfig(**values)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ReconstructionError(
            f"{path} has unreadable depth model metadata: {error!r}"
        ) from error
    raise ReconstructionError(
        f"{path} has version {version} of the format and this package reads up to {_VERSION}: "
        "update worldfm-gym"
    )
