"""Pictures that show no place: gray cards, night skies, pages of text."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import SourceError

_SIDE = 512  # longer side that pictures are judged at
_FLAT_LEVELS = 4.0  # a picture without content spans no more gray levels, noise averaged out
_DARK_LEVEL = 24.0
_DARK_SHARE = 0.97
_DIM_LEVEL, _DIM_RANGE = 45.0, 35.0
_PAPER_LEVELS = 18.0
_PAPER_SHARE = 0.6
_INK_SHARE = 0.9
_GRAY_CHROMA = 14.0


def check_picture(rgb: NDArray[np.uint8], *, name: str) -> None:
    """Refuse pictures that certainly show no place that one could stand in.

    Args:
        rgb: The picture, uint8 [H, W, 3].
        name: What to call it in an error.

    Raises:
        SourceError: If all of it has one color, it is dark but for a few spots, or it is a page of
            text or a line drawing.
    """
    small = _small(rgb)
    gray = small @ np.array([0.299, 0.587, 0.114])
    blurred = _blurred(gray)
    low, high = np.percentile(blurred, [2, 98])
    dim = (gray < _DARK_LEVEL).mean() > _DARK_SHARE
    if dim or (np.percentile(gray, 75) < _DIM_LEVEL and high - low < _DIM_RANGE):
        raise SourceError(
            f"{name} is nearly black (half of it is darker than {np.median(gray):.0f} of 255), "
            "like a night sky: there is no place to be seen in it. Pass a photo with more light"
        )
    if high - low < _FLAT_LEVELS:
        raise SourceError(
            f"{name} has the same color everywhere: there is no place to be seen in it. Pass a "
            "photo of a room or of a street"
        )
    if _is_page(small, gray):
        raise SourceError(
            f"{name} looks like a page of text or a drawing: thin strokes on paper of one color. "
            "Pass a photo of a place"
        )


def _is_page(small: NDArray[np.float64], gray: NDArray[np.float64]) -> bool:
    """Whether a picture is paper of one color with strokes of ink, and next to nothing else."""
    histogram = np.histogram(gray, bins=64, range=(0, 256))[0]
    paper_level = (np.argmax(histogram) + 0.5) * 4.0
    paper = np.abs(gray - paper_level) < _PAPER_LEVELS
    chroma = small.max(axis=-1) - small.min(axis=-1)
    if paper.mean() < _PAPER_SHARE or np.median(chroma[paper]) > 4 * _GRAY_CHROMA:
        return False
    ink = ~paper
    if ink.mean() < 0.005:
        return False
    # Ink is thin: nearly all of it lies beside paper. Things in a room have an inside.
    inside = ink.copy()
    for axis in (0, 1):
        for shift in (-3, 3):
            inside &= np.roll(ink, shift, axis=axis)
    return bool(inside.sum() < (1 - _INK_SHARE) * ink.sum())


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The picture at no more than 512 pixels a side, float64 [h, w, 3]."""
    step = max(1, -(-max(rgb.shape[:2]) // _SIDE))
    height, width = (side // step * step for side in rgb.shape[:2])
    cut = rgb[:height, :width].reshape(height // step, step, width // step, step, 3)
    return np.asarray(cut.mean(axis=(1, 3), dtype=np.float64))


def _blurred(gray: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 8×8 pixels, in which noise is gone."""
    height, width = (side // 8 * 8 for side in gray.shape)
    cut = gray[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return np.asarray(cut.mean(axis=(1, 3)))
