"""Depth models of Hugging Face transformers as depth estimators.

Any model of `AutoModelForDepthEstimation` whose output is understood: Depth Anything, DPT (MiDaS),
ZoeDepth, DepthPro, GLPN. Weights are read from safetensors files only. Images are prepared as each
model's preprocessor_config.json asks, but not by the library's processors: some need torchvision.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from worldfm_gym.errors import MissingExtraError, ReconstructionError
from worldfm_gym.reconstruction.depth_network import USUAL_FOCAL
from worldfm_gym.reconstruction.depth_preparation import Preparation
from worldfm_gym.reconstruction.estimator import DepthEstimate

_INVERSE, _METRES, _FIELD_OF_VIEW = "inverse depth", "metres", "inverse depth and field of view"
_MODELS = ("depth_anything", "dpt", "zoedepth", "depth_pro", "glpn")
_MOST_RATIO = 20.0
"""How many times as far as the near end the far end of a relative estimate may be."""


class TransformersDepth:
    """A depth model of transformers.

    Models that tell depth in metres (ZoeDepth, DepthPro, GLPN, the metric Depth Anything, DPT on
    DINOv2) give metric estimates. The others tell inverse depth up to a factor and a shift. The
    factor is left open (`DepthEstimate.metric` is False); the shift is zero, which is what these
    models give the sky, unless the far end of the image (2nd percentile) would be more than 20
    times as far as the near end (98th percentile): then it is such that it is 20 times as far.
    """

    def __init__(self, source: str | os.PathLike[str], *, device: str = "cpu") -> None:
        """Load a model.

        Args:
            source: A folder that `save_pretrained` wrote, or a name on the hub; a folder is read
                without network.
            device: Torch device.

        Raises:
            ReconstructionError: If there is no such model, or none that is understood.
            MissingExtraError: If transformers is not installed.
        """
        try:
            from transformers import AutoConfig, AutoModelForDepthEstimation
        except ImportError as error:
            raise MissingExtraError(
                "transformers", "depth", "A depth model of Hugging Face"
            ) from error
        self.name = os.fspath(source)
        local = Path(source).is_dir()
        try:
            config = AutoConfig.from_pretrained(self.name, local_files_only=local)
            if config.model_type not in _MODELS:
                raise ReconstructionError(
                    f"{self.name} is a model of the kind {config.model_type!r}: depth is taken "
                    f"from models of the kinds {', '.join(_MODELS)}"
                )
            model = AutoModelForDepthEstimation.from_pretrained(
                self.name, config=config, local_files_only=local, use_safetensors=True
            )
            self._prepare = Preparation.of(self.name, config.model_type, local=local)
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, ReconstructionError):
                raise
            raise ReconstructionError(
                f"{self.name} can't be loaded as a depth model of transformers: {error}"
            ) from error
        self._output = _output_of(config)
        self._device = torch.device(device)
        self._model = model.eval().requires_grad_(False).to(self._device)

    def estimate(
        self,
        images: Sequence[NDArray[np.uint8]],
        K: Sequence[ArrayLike] | None = None,
    ) -> list[DepthEstimate]:
        """Estimate the depth of each image on its own; see `DepthEstimator.estimate`."""
        if K is not None and len(K) != len(images):
            raise ReconstructionError(f"got {len(images)} images, but {len(K)} intrinsics")
        return [
            self._estimate(image, None if K is None else np.asarray(K[number], np.float64))
            for number, image in enumerate(images)
        ]

    @torch.inference_mode()
    def _estimate(self, image: NDArray[np.uint8], K: NDArray[np.float64] | None) -> DepthEstimate:
        """Estimate one image's depth."""
        height, width = image.shape[:2]
        output = self._model(pixel_values=self._prepare.pixels(image).to(self._device))
        values = self._prepare.restored(output.predicted_depth, height, width).float().cpu()
        fov_deg = getattr(output, "field_of_view", None)
        lens = K if K is not None else _lens(height, width, fov_deg)
        if self._output == _FIELD_OF_VIEW:
            depth = 1 / (values * (width / lens[0, 0])).clamp(1e-4, 1e4)
        elif self._output == _INVERSE:
            depth = depth_of_inverse(values)
        else:
            depth = values.clamp(min=0)
        depth_z = np.where(np.isfinite(depth.numpy()), depth.numpy(), 0).astype(np.float32)
        return DepthEstimate(
            depth_z=depth_z,
            confidence=(depth_z > 0).astype(np.float32),
            K=lens,
            metric=self._output != _INVERSE,
        )


def depth_of_inverse(inverse: Tensor) -> Tensor:
    """Depth, up to a factor, of inverse depth that is known up to a factor and a shift.

    See `TransformersDepth` for the shift. What has no inverse depth at all, the sky, gets 0.

    Args:
        inverse: [H, W].
    """
    known = inverse > 0
    if not known.any():
        return torch.zeros_like(inverse)
    far, near = (float(torch.quantile(_few(inverse[known]), q)) for q in (0.02, 0.98))
    shift = max(0.0, (near - _MOST_RATIO * far) / (_MOST_RATIO - 1))
    return torch.where(known, near / (inverse + shift).clamp(min=1e-6 * near), 0.0)


def _few(values: Tensor) -> Tensor:
    """At most some hundred thousand of the values: quantiles take no more."""
    return values[:: max(1, len(values) // 200_000)]


def _output_of(config: Any) -> str:
    """What a model's numbers mean."""
    if config.model_type == "depth_pro":
        return _FIELD_OF_VIEW
    if config.model_type in ("zoedepth", "glpn"):
        return _METRES
    if config.model_type == "depth_anything":
        return _METRES if config.depth_estimation_type == "metric" else _INVERSE
    # DPT on DINOv2 was trained on metres, all others on inverse depth as MiDaS.
    backbone = getattr(config, "backbone_config", None)
    return _METRES if getattr(backbone, "model_type", "") == "dinov2" else _INVERSE


def _lens(height: int, width: int, fov_deg: Tensor | None) -> NDArray[np.float64]:
    """Intrinsics of a model's own field of view, or of an ordinary lens."""
    focal = USUAL_FOCAL * max(height, width)
    if fov_deg is not None:
        across = float(np.clip(float(fov_deg.reshape(-1)[0]), 5.0, 150.0))
        focal = 0.5 * width / np.tan(0.5 * np.deg2rad(across))
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
