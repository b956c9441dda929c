"""Previews: quick scores and pictures of views that are not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldfm_gym.frame_model.conditioning import decode_depth, decode_rgb
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.conditioned import ConditionedViews, draw
from worldfm_gym.training.metrics import gradient_energy, psnr

_SHEET_VIEWS, _GAP_PX = 12, 2
_FARTHEST_M = 8.0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a network draws of held-out views.

    Attributes:
        scores: ``psnr``, ``psnr_covered``, ``psnr_uncovered`` in dB and ``sharpness_uncovered``
            relative to the truth, each under the number of steps, as in ``1-step/psnr``.
        sheet: A picture with a row for each view: anchor, carried-over references, truth, what was
            drawn with each number of steps, true and drawn depth. uint8 [H, W, 3].
    """

    scores: dict[str, float]
    sheet: NDArray[np.uint8]


def preview(
    network: FrameDiT, held_out: Sequence[ConditionedViews], *, steps: Sequence[int]
) -> Preview:
    """Draw the views in each of the numbers of steps, score and picture them.

    Args:
        network: In evaluation mode.
        held_out: Views, one size each; the first are pictured.
        steps: Numbers of sampling steps.
    """
    scores: dict[str, float] = {}
    drawn_first: list[Tensor] = []
    for count in steps:
        drawn = [draw(network, views, steps=count).float() for views in held_out]
        drawn_first.append(drawn[0])
        parts = [_scores(views, images) for views, images in zip(held_out, drawn, strict=True)]
        means = torch.cat(parts, dim=1).nanmean(1)
        energy = torch.stack([_energies(v, d) for v, d in zip(held_out, drawn, strict=True)]).sum(0)
        figures = [*means.tolist(), float(energy[0] / energy[1].clamp(min=1e-9))]
        names = ("psnr", "psnr_covered", "psnr_uncovered", "sharpness_uncovered")
        scores |= {
            f"{count}-step/{name}": figure
            for name, figure in zip(names, figures, strict=True)
            if np.isfinite(figure)
        }
    return Preview(scores, _sheet(held_out[0], drawn_first))


def _scores(views: ConditionedViews, drawn: Tensor) -> Tensor:
    """PSNR whole, covered and uncovered of each view, [3, B]."""
    rgb, truth = decode_rgb(drawn[:, :3]), decode_rgb(views.truth[:, :3])
    covered = views.covered[:, 0] > 0
    return torch.stack([psnr(rgb, truth, mask=mask) for mask in (None, covered, ~covered)])


def _energies(views: ConditionedViews, drawn: Tensor) -> Tensor:
    """Gradient energy of uncovered pixels, drawn and true, [2]."""
    uncovered = views.covered[:, 0] == 0
    images = (decode_rgb(image[:, :3]) for image in (drawn, views.truth))
    return torch.stack([gradient_energy(image, uncovered).sum() for image in images])


def _sheet(views: ConditionedViews, drawn: Sequence[Tensor]) -> NDArray[np.uint8]:
    """Rows of images side by side."""
    spread = torch.linspace(0, len(views) - 1, min(_SHEET_VIEWS, len(views))).long()
    conditioning = views.conditioning[spread]
    columns = [conditioning[:, :3] - (1 - views.covered[spread]), conditioning[:, 5:8]]
    columns += [views.truth[spread, :3], *(image[spread, :3] for image in drawn)]
    columns += [_gray(image[spread, 3:]) for image in (views.truth, drawn[0])]
    tiles = torch.nn.functional.pad(
        torch.stack(columns, 1).cpu(), (0, _GAP_PX, 0, _GAP_PX), value=1
    )
    rows, count = tiles.shape[:2]
    sheet = tiles.permute(0, 3, 1, 4, 2).reshape(rows * tiles.shape[3], count * tiles.shape[4], 3)
    return decode_rgb(sheet.movedim(-1, 0)).numpy()


def _gray(depth_code: Tensor) -> Tensor:
    """Depth codes as gray images in [−1, 1], near is bright, [B, 1, H, W] to [B, 3, H, W]."""
    depth_z = decode_depth(depth_code)[:, None]
    return (1 - 2 * (depth_z / _FARTHEST_M).clamp(0, 1)).expand(-1, 3, -1, -1)
