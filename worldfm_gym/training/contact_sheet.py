"""Contact sheet of an evaluation: the same views drawn in every way, one below the other."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldfm_gym.training.evaluation import (
    ANCHOR,
    NAVIER_STOKES,
    REFERENCE_POINTS,
    STUDENT_1,
    STUDENT_2,
    TEACHER,
    TELEA,
    TRUTH,
    Evaluation,
)

_GAP_PX, _LEFT_PX, _HEAD_PX, _FONT_PX = 3, 92, 30, 11
_LEAST_TILE_PX = 128
_PAPER, _INK, _DIM = (24, 25, 28), (235, 235, 235), (150, 152, 158)
_OBSERVED, _GENERATED = (64, 110, 200), (240, 150, 40)


def pick_views(evaluation: Evaluation, count: int = 10) -> dict[str, NDArray[np.int64]]:
    """Views to look at, by sheet: where one step does best and worst, and some of every coverage.

    Good and bad are by PSNR of the whole view above that of the better inpainting, from at most one
    view of each world.

    Args:
        evaluation: What was drawn.
        count: Views of a sheet.

    Returns:
        Indices under ``"good"``, ``"bad"`` and ``"spread"``; fewer than `count` if there are not as
        many worlds.
    """
    rows = evaluation.rows
    painted = np.maximum(rows[TELEA].values["psnr"], rows[NAVIER_STOKES].values["psnr"])
    order = np.argsort(rows[STUDENT_1].values["psnr"] - painted, kind="stable")
    by_coverage = np.argsort(evaluation.coverage, kind="stable")
    even = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    return {
        "good": _of_different_worlds(order[::-1], evaluation.views.scene, count),
        "bad": _of_different_worlds(order, evaluation.views.scene, count),
        "spread": by_coverage[even],
    }


def contact_sheet(
    evaluation: Evaluation, views: NDArray[np.int64], references: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Draw a sheet with a column for each view.

    Args:
        evaluation: What was drawn.
        views: Indices of the views, int64 [K].
        references: The R references that each view drew on, uint8 [K, R, h, w, 3]; black where
            there are fewer.

    Returns:
        uint8 [height, width, 3]: anchor, inpainted, reference points, references, student, teacher,
        truth, provenance.
    """
    drawn, covered = evaluation.drawings, evaluation.covered[views]
    rows: list[tuple[str, NDArray[np.uint8]]] = [
        ("anchor", drawn[ANCHOR][views]),
        ("inpainted", drawn[NAVIER_STOKES][views]),
        ("anchor +\nref. points", drawn[REFERENCE_POINTS][views]),
        *((f"reference {i + 1}", references[:, i]) for i in range(references.shape[1])),
        ("1 step", drawn[STUDENT_1][views]),
        ("2 steps", drawn[STUDENT_2][views]),
    ]
    if TEACHER in drawn:
        rows.append((f"teacher,\n{evaluation.teacher_steps} steps", drawn[TEACHER][views]))
    palette = np.array([_GENERATED, _OBSERVED], np.uint8)
    rows += [("truth", drawn[TRUTH][views]), ("observed\ngenerated", palette[covered.astype(int)])]
    return _laid_out(rows, [_caption(evaluation, view) for view in views])


def save_sheet(sheet: NDArray[np.uint8], path: str | os.PathLike[str]) -> None:
    """Write a PNG whole or not at all."""
    target = Path(path)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.part.png")
    try:
        Image.fromarray(sheet).save(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _of_different_worlds(
    order: NDArray[np.int64], scene: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """The first `count` views in order, no two of one world."""
    _, first = np.unique(scene[order], return_index=True)
    return np.asarray(order[np.sort(first)[:count]])


def _caption(evaluation: Evaluation, view: int) -> str:
    """Which view it is and how it went."""
    source = evaluation.views.worlds[evaluation.views.scene[view]].source
    name = str(source.get("kind", ""))
    if "seed" in source:
        name += f" #{int(source['seed']) % 1_000_000}"
    score = evaluation.rows[STUDENT_1].values["psnr"][view]
    return f"{name}\n{evaluation.coverage[view]:.0%} covered, {score:.1f} dB"


def _laid_out(rows: list[tuple[str, NDArray[np.uint8]]], captions: list[str]) -> NDArray[np.uint8]:
    """Rows of tiles with captions on the left and above."""
    height, width = rows[0][1].shape[1:3]
    scale = max(1, -(-_LEAST_TILE_PX // max(height, width)))
    size = (width * scale, height * scale)
    across, down = size[0] + _GAP_PX, size[1] + _GAP_PX
    shape = (_LEFT_PX + across * len(captions), _HEAD_PX + down * len(rows))
    sheet = Image.new("RGB", shape, _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    for column, caption in enumerate(captions):
        pen.text((_LEFT_PX + column * across, 2), caption, fill=_DIM, font=font, spacing=2)
    for row, (name, tiles) in enumerate(rows):
        y = _HEAD_PX + row * down
        pen.text((6, y + size[1] // 2 - _FONT_PX), name, fill=_INK, font=font, spacing=2)
        for column, tile in enumerate(tiles):
            image = Image.fromarray(tile).resize(_fit(tile, size), Image.Resampling.NEAREST)
            sheet.paste(image, (_LEFT_PX + column * across, y))
    # The last caption is its own legend.
    y = _HEAD_PX + (len(rows) - 1) * down + size[1] // 2 - _FONT_PX
    lines = rows[-1][0].split("\n")
    pen.rectangle((0, y - 2, _LEFT_PX - 1, y + 3 * _FONT_PX), fill=_PAPER)
    for line, (text, color) in enumerate(zip(lines, (_OBSERVED, _GENERATED), strict=True)):
        pen.text((6, y + line * (_FONT_PX + 3)), text, fill=color, font=font)
    return np.asarray(sheet)


def _fit(tile: NDArray[np.uint8], size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a tile shrunk or grown into a size, its proportions kept."""
    height, width = tile.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))
