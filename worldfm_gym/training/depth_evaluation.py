"""Depth evaluation: estimated depth of photos against their true depth, scale aside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.estimator import DepthEstimate, DepthEstimator

_FARTHEST_FLOOR = 4.0  # camera heights: where the floor-plane baseline has its wall


@dataclass(frozen=True, slots=True)
class TruePhoto:
    """A photo whose depth is known.

    Attributes:
        rgb: uint8 [H, W, 3].
        depth_z: Metres, 0 where unknown, float32 [H, W].
        K: float64 [3, 3].
    """

    rgb: NDArray[np.uint8]
    depth_z: NDArray[np.float32]
    K: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DepthScores:
    """Scores of one estimate, or means of several.

    Attributes:
        absrel: Mean of |estimate − truth| / truth, the estimate scaled so that its median is the
            truth's.
        delta: Share of the pixels within a factor of 1.25.
        fov_error_deg: Error of the horizontal field of view; NaN if it was told.
    """

    absrel: float
    delta: float
    fov_error_deg: float = float("nan")


@dataclass(frozen=True, slots=True)
class ConstantPlane:
    """Baseline: all of the image is equally far."""

    name: str = "constant plane"

    def estimate(
        self, images: Sequence[NDArray[np.uint8]], K: Sequence[ArrayLike] | None = None
    ) -> list[DepthEstimate]:
        """A depth of one everywhere."""
        return [_plain(np.ones(image.shape[:2]), np.eye(3)) for image in images]


@dataclass(frozen=True, slots=True)
class FloorPlane:
    """Baseline: a level camera over a floor that ends at a wall."""

    name: str = "floor plane"

    def estimate(
        self, images: Sequence[NDArray[np.uint8]], K: Sequence[ArrayLike] | None = None
    ) -> list[DepthEstimate]:
        """Depth in camera heights."""
        estimates = []
        for number, image in enumerate(images):
            height, width = image.shape[:2]
            matrix = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
            if K is not None:
                matrix = np.asarray(K[number], np.float64)
            below = (np.arange(height) + 0.5 - matrix[1, 2]) / matrix[1, 1]
            floor = 1 / np.maximum(below, 1 / _FARTHEST_FLOOR)
            estimates.append(_plain(np.repeat(floor[:, None], width, axis=1), matrix))
        return estimates


def read_photos(folder: str | os.PathLike[str]) -> list[TruePhoto]:
    """Read a folder with photo.jpg, depth_mm.png and meta.json, or with scan.json.

    Raises:
        SourceError: If it is neither.
    """
    root = Path(folder)
    try:
        if (root / "scan.json").is_file():
            scan = json.loads((root / "scan.json").read_text())
            frames = [(frame["color"], frame["depth"]) for frame in scan["frames"]]
        else:
            scan = json.loads((root / "meta.json").read_text())
            frames = [("photo.jpg", "depth_mm.png")]
        unit, K = float(scan["depth_unit_m"]), np.array(scan["K"], np.float64)
        return [
            TruePhoto(
                np.asarray(Image.open(root / color).convert("RGB")),
                np.asarray(Image.open(root / depth), np.float32) * np.float32(unit),
                K,
            )
            for color, depth in frames
        ]
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(
            f"{root} holds no photos with depth: expected photo.jpg, depth_mm.png and meta.json, "
            f"or scan.json with frames ({error!r})"
        ) from error


def score_depth(estimate: DepthEstimate, photo: TruePhoto) -> DepthScores:
    """Compare one estimate with the truth, median aligned."""
    known = (photo.depth_z > 0) & (estimate.depth_z > 0)
    truth = photo.depth_z[known].astype(np.float64)
    guess = estimate.depth_z[known].astype(np.float64)
    guess *= np.median(truth) / np.median(guess)
    ratio = np.maximum(guess / truth, truth / guess)
    return DepthScores(
        absrel=float(np.mean(np.abs(guess - truth) / truth)),
        delta=float(np.mean(ratio < 1.25)),
        fov_error_deg=_fov_deg(estimate.K, photo) - _fov_deg(photo.K, photo),
    )


def score_estimator(
    estimator: DepthEstimator, photos: Sequence[TruePhoto], *, known_lens: bool = True
) -> DepthScores:
    """Mean scores of an estimator over photos.

    Args:
        estimator: What to score.
        photos: With true depth.
        known_lens: Whether it is told the intrinsics.
    """
    estimates = estimator.estimate(
        [photo.rgb for photo in photos], [photo.K for photo in photos] if known_lens else None
    )
    scores = [score_depth(e, p) for e, p in zip(estimates, photos, strict=True)]
    return DepthScores(
        absrel=float(np.mean([s.absrel for s in scores])),
        delta=float(np.mean([s.delta for s in scores])),
        fov_error_deg=float(np.mean([abs(s.fov_error_deg) for s in scores])),
    )


def table_of(scores: Mapping[str, Mapping[str, DepthScores]]) -> str:
    """A Markdown table of scores by estimator and set."""
    sets = list(next(iter(scores.values())))
    lines = [
        "| estimator | " + " | ".join(f"{name}: AbsRel | δ < 1.25" for name in sets) + " |",
        "| --- |" + " --- |" * (2 * len(sets)),
    ]
    for estimator, row in scores.items():
        cells = (f"{row[name].absrel:.3f} | {row[name].delta:.3f}" for name in sets)
        lines.append(f"| {estimator} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plain(depth_z: NDArray[np.float64], K: NDArray[np.float64]) -> DepthEstimate:
    """An estimate that trusts all pixels alike."""
    depth = depth_z.astype(np.float32)
    return DepthEstimate(depth, np.ones_like(depth), K, metric=False)


def _fov_deg(K: NDArray[np.float64], photo: TruePhoto) -> float:
    """Horizontal field of view."""
    return float(np.rad2deg(2 * np.arctan(0.5 * photo.rgb.shape[1] / K[0, 0])))
