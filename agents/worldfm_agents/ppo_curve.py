"""Learning curves, drawn with Pillow, because plotting libraries are not among the dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_SIZE = (720, 400)
_LEFT, _TOP, _RIGHT, _BOTTOM = 60, 44, 700, 352
_FINE = 3  # drawn larger and shrunk, because Pillow's lines are jagged
_PAPER, _INK, _GRID = (255, 255, 255), (60, 60, 66), (226, 226, 230)
_COLORS = {"success": (196, 78, 38), "spl": (38, 110, 168)}
_LABELS = {"success": "success", "spl": "SPL"}


def draw_curve(report: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of success and SPL over steps: curves of training, dots of the suite.

    Args:
        report: What `worldfm_agents.train_ppo` writes to ``curve.json``.
        path: File to write.
    """
    steps = max(report["steps"], 1)
    big = Image.new("RGB", (_SIZE[0] * _FINE, _SIZE[1] * _FINE), _PAPER)
    draw = ImageDraw.Draw(big)
    font = ImageFont.load_default(size=13 * _FINE)

    def at(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + (_RIGHT - _LEFT) * step / steps
        return x * _FINE, (_BOTTOM - (_BOTTOM - _TOP) * value) * _FINE

    for tick in range(6):
        value = tick / 5
        draw.line([at(0, value), at(steps, value)], fill=_GRID, width=_FINE)
        x, y = at(0, value)
        draw.text((x - 8 * _FINE, y), f"{value:.1f}", fill=_INK, font=font, anchor="rm")
        x, y = at(steps * value, 0)
        label = f"{steps * value / 1000:.0f} k"
        draw.text((x, y + 8 * _FINE), label, fill=_INK, font=font, anchor="mt")
    for row, (name, color) in enumerate(_COLORS.items()):
        line = [at(point["steps"], point[name]) for point in report["training"]]
        if len(line) > 1:
            draw.line(line, fill=color, width=2 * _FINE, joint="curve")
        value = report["suite"][name]
        (x, y), r = at(steps, value), 5 * _FINE
        draw.ellipse([x - r, y - r, x + r, y + r], fill=color, outline=_PAPER, width=_FINE)
        text = f"{_LABELS[name]}: last 200 training episodes; {report['suite']['name']} {value:.2f}"
        anchor = (_LEFT * _FINE + row * 320 * _FINE, 22 * _FINE)
        draw.text(anchor, text, fill=color, font=font, anchor="lm")
    draw.text(
        ((_LEFT + _RIGHT) / 2 * _FINE, 386 * _FINE), "environment steps", fill=_INK, font=font,
        anchor="mm",
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    big.resize(_SIZE, Image.Resampling.LANCZOS).save(path)
