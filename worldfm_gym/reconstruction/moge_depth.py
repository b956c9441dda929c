"""MoGe as a depth estimator, where it is installed.

MoGe (Wang et al. 2025, https://github.com/microsoft/MoGe) tells points, depth and the lens of one
image; its second version in metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import ReconstructionError
from worldfm_gym.reconstruction.estimator import DepthEstimate

_USUAL = {"v2": "Ruicheng/moge-2-vitl-normal", "v1": "Ruicheng/moge-vitl"}


class MoGeDepth:
    """A model of the package ``moge``: version 2, which is metric, or version 1, which is not."""

    def __init__(self, source: str | None = None, *, device: str = "cpu") -> None:
        """Load a model.

        Args:
            source: A file or a name on the hub; None for the usual one of the installed version.
            device: Torch device.

        Raises:
            ReconstructionError: If MoGe is not installed, or has no such model.
        """
        model_class, version = _installed()
        self._metric = version == "v2" and "moge-vit" not in (source or "")
        if version == "v2" and not self._metric:
            model_class = _version_1()
        self.name = f"moge:{source or _USUAL[version]}"
        try:
            model = model_class.from_pretrained(source or _USUAL[version])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ReconstructionError(f"{self.name} can't be loaded: {error}") from error
        self._device = torch.device(device)
        self._model = model.to(self._device).eval()

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
        rgb = (
            torch.tensor(np.ascontiguousarray(image), device=self._device).permute(2, 0, 1).float()
            / 255
        )
        told: dict[str, Any] = {}
        if K is not None:
            told["fov_x"] = float(np.rad2deg(2 * np.arctan(0.5 * width / K[0, 0])))
        output = self._model.infer(rgb, **told)
        depth = output["depth"].float().cpu().numpy()
        known = np.isfinite(depth) & (depth > 0) & output["mask"].cpu().numpy().astype(bool)
        if K is None:  # MoGe's intrinsics count in image widths and heights
            K = output["intrinsics"].double().cpu().numpy() * np.array([[width], [height], [1.0]])
        return DepthEstimate(
            depth_z=np.where(known, depth, 0).astype(np.float32),
            confidence=known.astype(np.float32),
            K=np.asarray(K, np.float64),
            metric=self._metric,
        )


def _installed() -> tuple[Any, str]:
    """The newest model class of the installed package, and its version."""
    try:
        from moge.model.v2 import MoGeModel

        return MoGeModel, "v2"
    except ImportError:
        return _version_1(), "v1"


def _version_1() -> Any:
    """The model class of MoGe 1."""
    try:
        from moge.model.v1 import MoGeModel
    except ImportError as error:
        raise ReconstructionError(
            "MoGe is not installed. Install it with: pip install "
            "git+https://github.com/microsoft/MoGe.git"
        ) from error
    return MoGeModel
