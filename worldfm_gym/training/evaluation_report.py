"""Evaluation report: tables by coverage, the quality bars, and everything as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.training.evaluation import (
    ANCHOR,
    COLUMNS,
    NAVIER_STOKES,
    REFERENCE_POINTS,
    SHARPNESS,
    STUDENT_1,
    STUDENT_2,
    TEACHER,
    TELEA,
    Evaluation,
)

Figures = Mapping[str, Mapping[str, float]]  # by row, by column

ALL, BAR_BIN = "all", "60–80 %"
BINS: Mapping[str, tuple[float, float]] = {
    BAR_BIN: (0.60, 0.80),
    ALL: (0.0, 1.01),
    "under 60 %": (0.0, 0.60),
    "over 80 %": (0.80, 1.01),
}
_HEADINGS = {
    "psnr": "PSNR",
    "psnr_covered": "cov.",
    "psnr_uncovered": "unc.",
    "ssim": "SSIM",
    "ssim_covered": "cov.",
    "ssim_uncovered": "unc.",
    SHARPNESS: "sharpness unc.",
    "absrel_covered": "AbsRel cov.",
    "absrel_uncovered": "unc.",
    "inverse_covered": "1/z error cov.",
    "inverse_uncovered": "unc.",
    "consistency": "consistency",
    "consistency_fresh": "fresh noise",
}
_LONG = {
    "psnr": "PSNR",
    "psnr_covered": "  covered",
    "psnr_uncovered": "  uncovered",
    "ssim": "SSIM",
    "ssim_covered": "  covered",
    "ssim_uncovered": "  uncovered",
    SHARPNESS: "sharpness",
    "absrel_covered": "AbsRel cov.",
    "absrel_uncovered": "  uncovered",
    "inverse_covered": "1/z cov.",
    "inverse_uncovered": "  uncovered",
    "consistency": "consistency",
    "consistency_fresh": "  fresh noise",
}
_BRIEF = {
    ANCHOR: "anchor",
    TELEA: "Telea",
    NAVIER_STOKES: "N–S",
    REFERENCE_POINTS: "points",
    STUDENT_1: "1 step",
    STUDENT_2: "2 steps",
}
_HOW = """\
PSNR in dB and SSIM (torchmetrics, Gaussian window): mean over views of what each view scores, over
the whole view and over the pixels that the anchor covers (cov.) and does not (unc.), where they are
1 % of the view or more; SSIM there is the mean of the SSIM map. Sharpness: gradient energy between
neighboring uncovered pixels, as drawn over true, summed over all views. AbsRel and 1/z error (in
1/m): means over views of each view's mean error. Consistency: PSNR in dB between uncovered pixels
of a view and of one 10 cm and 3° away, carried over by true depth; with anchored noise, and with
noise that the two views do not share; the truth's own is what resampling costs. The anchor alone is
mid grey where it has no points; "anchor + reference points" adds every pixel of all references as a
point and is inpainted where there still is none."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One quality bar.

    Attributes:
        what: What is asked of which figure.
        wanted: The bar in words.
        value: The figure.
        passed: Whether it meets the bar; None if it can't be told.
        text: The figure in words.
    """

    what: str
    wanted: str
    value: float
    passed: bool | None
    text: str


def figures_by_bin(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Every row's figures for each bin of coverage; bins without views are left out."""
    return {
        name: {row: scores.summary(chosen) for row, scores in evaluation.rows.items()}
        for name in BINS
        if (chosen := _chosen(evaluation, name)).any()
    }


def quality_bars(by_bin: Mapping[str, Figures]) -> list[Bar]:
    """The bars that figures by bin are held against.

    Those of color are for one step on views with 60…80 % coverage, the baseline being the better of
    the two inpaintings; the others are for all views.
    """
    middle, everything = by_bin.get(BAR_BIN, {}), by_bin[ALL]
    bars: list[Bar] = []
    if middle:
        student, inpaintings = middle[STUDENT_1], (TELEA, NAVIER_STOKES)
        for part, column, bases, least in (
            ("whole view", "psnr", inpaintings, 3.0),
            ("covered", "psnr_covered", (ANCHOR,), 2.0),
            ("uncovered", "psnr_uncovered", inpaintings, 3.0),
        ):
            base = max(bases, key=_figure_of(middle, column))
            gain = student[column] - middle[base][column]
            bars.append(_at_least(f"1 step, {BAR_BIN}: PSNR, {part}, above {base}", gain, least))
        for part, column in (
            ("whole view", "ssim"),
            ("covered", "ssim_covered"),
            ("uncovered", "ssim_uncovered"),
        ):
            gain = student[column] - max(middle[row][column] for row in (ANCHOR, *inpaintings))
            what = f"1 step, {BAR_BIN}: SSIM, {part}, above anchor and inpainting"
            bars.append(_at_least(what, gain, 0.0, digits=4))
    bars += _bars_of_all(everything)
    return bars


def _figure_of(figures: Figures, column: str) -> Callable[[str], float]:
    """A row's figure in a column."""
    return lambda row: figures[row][column]


def _bars_of_all(figures: Figures) -> list[Bar]:
    """The bars for all views."""
    one, two = figures[STUDENT_1], figures[STUDENT_2]
    bars = []
    for name, row in (("1 step", one), ("2 steps", two)):
        bars.append(
            _bar(
                f"{name}: sharpness of uncovered pixels, of the truth's",
                "0.85–1.15",
                row[SHARPNESS],
                lambda value: 0.85 <= value <= 1.15,
            )
        )
    if TEACHER in figures:
        teacher = figures[TEACHER]
        gap = two["psnr"] - teacher["psnr"]
        bars.append(_at_least("2 steps: PSNR above the teacher's", gap, -0.5))
        if not math.isnan(two["consistency"]):
            gap = two["consistency"] - teacher["consistency"]
            bars.append(_at_least("2 steps: consistency above the teacher's", gap, 0.0))
    for name, row in (("1 step", one), ("2 steps", two)):
        if not math.isnan(row["consistency"]):
            gain = row["consistency"] - row["consistency_fresh"]
            bars.append(_at_least(f"{name}: consistency, anchored above fresh noise", gain, 3.0))
    bars.append(_at_most("1 step: AbsRel, covered", one["absrel_covered"], 0.02))
    bars.append(_at_most("1 step: AbsRel, uncovered", one["absrel_uncovered"], 0.12))
    return bars


def markdown(evaluation: Evaluation, *, title: str = "") -> str:
    """The report as Markdown: bars, then a table for each bin of coverage."""
    by_bin = figures_by_bin(evaluation)
    lines = [f"## {title or evaluation.views.name}", ""]
    lines += ["| bar | asked | measured | |", "| --- | --- | --- | --- |"]
    verdicts = {True: "pass", False: "**fail**", None: "–"}
    for bar in quality_bars(by_bin):
        lines.append(f"| {bar.what} | {bar.wanted} | {bar.text} | {verdicts[bar.passed]} |")
    for name, figures in by_bin.items():
        chosen = _chosen(evaluation, name)
        coverage = evaluation.coverage[chosen]
        views = "all views" if name == ALL else f"coverage {name}"
        lines += [
            "",
            f"### {views}: {chosen.sum()} views, {coverage.mean():.0%} covered on average "
            f"({coverage.min():.0%}…{coverage.max():.0%})",
            "",
            *_table(figures, evaluation.teacher_steps),
        ]
    return "\n".join([*lines, "", _HOW, ""])


def as_json(evaluation: Evaluation, settings: Mapping[str, Any]) -> str:
    """Settings, bars, figures by bin and every view's scores, as JSON; null where there is none."""
    by_bin = figures_by_bin(evaluation)
    record = {
        "views": evaluation.views.name,
        "settings": dict(settings),
        "bars": [
            {"what": b.what, "wanted": b.wanted, "value": b.value, "passed": b.passed}
            for b in quality_bars(by_bin)
        ],
        "figures": by_bin,
        "coverage": evaluation.coverage.tolist(),
        "per_view": {
            row: {name: values.tolist() for name, values in scores.values.items()}
            for row, scores in evaluation.rows.items()
        },
    }
    return json.dumps(_finite(record), indent=1, ensure_ascii=False) + "\n"


def brief_cells(figures: Figures) -> list[list[str]]:
    """Header and rows of a narrow table of figures: a column for each way of drawing."""
    cells = [["", *(_BRIEF.get(name, name) for name in figures)]]
    for column in _columns(figures):
        cells.append([_LONG[column], *(_cell(column, row[column]) for row in figures.values())])
    return cells


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file whole or not at all."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _chosen(evaluation: Evaluation, name: str) -> NDArray[np.bool_]:
    """Views of a bin, bool [V]."""
    low, high = BINS[name]
    return (evaluation.coverage >= low) & (evaluation.coverage < high)


def _table(figures: Figures, teacher_steps: int) -> list[str]:
    """A Markdown table: a row for each way of drawing."""
    columns = _columns(figures)
    cells = [["", *(_HEADINGS[c] for c in columns)], ["---", *["---:"] * len(columns)]]
    for name, row in figures.items():
        label = f"{name}, {teacher_steps} steps" if name == TEACHER else name
        cells.append([label, *(_cell(c, row[c]) for c in columns)])
    return ["| " + " | ".join(row) + " |" for row in cells]


def _columns(figures: Figures) -> list[str]:
    """Columns that hold anything."""
    return [c for c in COLUMNS if any(not math.isnan(row[c]) for row in figures.values())]


def _cell(column: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    if column.startswith(("psnr", "consistency")):
        return f"{value:.2f}"
    return (
        f"{value:.4f}" if column.endswith("_covered") and "ssim" not in column else f"{value:.3f}"
    )


def _at_least(what: str, value: float, least: float, *, digits: int = 2) -> Bar:
    """A bar on a difference."""
    signed = f"+.{digits}f"
    return _bar(what, f"≥ {least:{signed}}", value, lambda x: x >= least, signed)


def _at_most(what: str, value: float, most: float) -> Bar:
    return _bar(what, f"≤ {most:g}", value, lambda x: x <= most, ".4f")


def _bar(
    what: str, wanted: str, value: float, test: Callable[[float], bool], form: str = ".3f"
) -> Bar:
    if math.isnan(value):
        return Bar(what, wanted, value, None, "–")
    return Bar(what, wanted, value, test(value), f"{value:{form}}")


def _finite(record: Any) -> Any:
    """The record with None for NaN, which JSON has no word for."""
    if isinstance(record, dict):
        return {key: _finite(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_finite(value) for value in record]
    return None if isinstance(record, float) and math.isnan(record) else record
