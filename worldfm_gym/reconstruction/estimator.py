"""Depth estimator: the interface of everything that tells the depth of a photo from the photo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import ReconstructionError

PathLike: TypeAlias = str | os.PathLike[str]
BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class DepthEstimate:
    """What an estimator says about one image.

    Attributes:
        depth_z: z-depth float32 [H, W]; metres if `metric`, otherwise metres up to one unknown
            factor. 0 where unknown, as in the sky.
        confidence: How much to trust each pixel, 0…1, float32 [H, W].
        K: Intrinsics in pixels, float64 [3, 3]: those given, or the estimator's own.
        metric: Whether the depth's unit is the metre.
        up_camera: Unit vector against gravity in the camera frame, float64 [3]; None where the
            estimator does not tell.
    """

    depth_z: NDArray[np.float32]
    confidence: NDArray[np.float32]
    K: NDArray[np.float64]
    metric: bool
    up_camera: NDArray[np.float64] | None = None


@runtime_checkable
class DepthEstimator(Protocol):
    """Anything that estimates depth."""

    @property
    def name(self) -> str:
        """What worlds record as the origin of their depth."""
        ...

    def estimate(
        self,
        images: Sequence[NDArray[np.uint8]],
        K: Sequence[ArrayLike] | None = None,
    ) -> list[DepthEstimate]:
        """Estimate the depth of each image on its own.

        Args:
            images: rgb, uint8 [H, W, 3] each; sizes may differ.
            K: Intrinsics of each image in pixels, [3, 3]; None where the lens is unknown.

        Returns:
            An estimate for each image, at the image's own size.
        """
        ...


def make_estimator(
    estimator: PathLike | DepthEstimator = BUILT_IN, *, device: str = "cpu"
) -> DepthEstimator:
    """Make a depth estimator.

    Args:
        estimator: ``"built-in"``; a model of Hugging Face transformers for depth, as a local folder
            or a name on the hub such as ``"org/name"``; ``"moge"`` or ``"moge:<folder or name>"``;
            or an estimator, which is returned as it is.
        device: Torch device that it computes on.

    Raises:
        ReconstructionError: If there is no such estimator.
        MissingExtraError: If its package is not installed.
    """
    if not isinstance(estimator, str | os.PathLike):
        return _checked(estimator)
    name = os.fspath(estimator)
    if name == BUILT_IN:
        from worldfm_gym.reconstruction.depth_model import DepthModel

        return DepthModel.from_pretrained(device=device)
    if name.endswith(".safetensors"):
        from worldfm_gym.reconstruction.depth_model import DepthModel

        return DepthModel.from_pretrained(name, device=device)
    kind, _, source = name.partition(":")
    if kind == "moge":
        from worldfm_gym.reconstruction.moge_depth import MoGeDepth

        return MoGeDepth(source or None, device=device)
    if (Path(name) / "config.json").is_file() or _is_hub_name(name):
        from worldfm_gym.reconstruction.transformers_depth import TransformersDepth

        return TransformersDepth(name, device=device)
    raise ReconstructionError(
        f"there is no depth estimator {name!r}: give 'built-in', 'moge', a folder with a "
        "config.json of transformers, or a model's name on the Hugging Face hub such as "
        "'depth-anything/Depth-Anything-V2-Small-hf'"
    )


def _checked(estimator: Any) -> DepthEstimator:
    """An estimator that was made elsewhere."""
    if not isinstance(estimator, DepthEstimator):
        raise ReconstructionError(
            f"an estimator needs a 'name' and a method 'estimate', which {type(estimator).__name__}"
            " lacks: see worldfm_gym.reconstruction.DepthEstimator"
        )
    return estimator


def _is_hub_name(name: str) -> bool:
    """Whether a name could be ``org/name`` on the hub, and is nothing on this machine."""
    parts = name.split("/")
    good = all(
        part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts
    )
    return len(parts) == 2 and good and not Path(name).exists()
