"""Reporting: what a training run tells while it runs, on the terminal and to TensorBoard."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from worldfm_gym.errors import MissingExtraError


class Averages:
    """Means of figures that stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Count one step's figures; not every step needs to have all of them."""
        for name, value in figures.items():
            value = value.detach().float()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since the last time; waits for the device once."""
        if not self._sums:
            return {}
        counts = torch.tensor(list(self._counts.values()), dtype=torch.float32)
        means = torch.stack(list(self._sums.values())).cpu() / counts
        figures = dict(zip(self._sums, means.tolist(), strict=True))
        self._sums, self._counts = {}, {}
        return figures


class Reporter:
    """A progress bar on a terminal, plain lines elsewhere, and TensorBoard's files.

    Args:
        out: Folder of the run.
        title: What is being trained.
        tensorboard: Whether to write TensorBoard logs to ``out/logs``.
        active: Whether to report at all; only one process of a run does.
        write: Where plain lines go.

    Raises:
        MissingExtraError: If TensorBoard is asked for and missing.
    """

    def __init__(
        self,
        out: Path,
        *,
        title: str,
        tensorboard: bool,
        active: bool = True,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._title, self._active = title, active
        self._write = write or (lambda line: print(line, flush=True))
        self._logs = _open_tensorboard(out / "logs") if active and tensorboard else None
        self._bar = _Bar(title) if active and write is None and sys.stdout.isatty() else None
        self._since, self._samples = time.monotonic(), 0

    def figures(
        self, figures: Mapping[str, float], *, step: int, samples: int, progress: float
    ) -> None:
        """Show the means of the last steps.

        Args:
            figures: By name.
            step: Steps done.
            samples: Views trained on so far.
            progress: Share of the budget spent.
        """
        now = time.monotonic()
        speed = (samples - self._samples) / max(1e-9, now - self._since)
        self._since, self._samples = now, samples
        text = f"{speed:,.0f} samples/s  " + _listed(figures)
        if self._bar is not None:
            self._bar.show(f"step {step:,}  {text}", progress)
        else:
            self.line(f"{self._title} {progress:6.1%} step {step:,}  {text}")
        self.log({**figures, "samples_per_s": speed}, step=step)

    def started(self, samples: int) -> None:
        """Count speed from here."""
        self._since, self._samples = time.monotonic(), samples

    def scores(self, scores: Mapping[str, float], *, step: int) -> None:
        """Show scores on views that are not trained on."""
        self.line(f"{self._title} scores at step {step:,}  " + _listed(scores))
        self.log({f"scores/{name}": value for name, value in scores.items()}, step=step)

    def picture(self, name: str, rgb: Any, *, step: int) -> None:
        """Log a picture, uint8 [H, W, 3]."""
        if self._logs is not None:
            self._logs.add_image(name, rgb, step, dataformats="HWC")

    def line(self, text: str) -> None:
        """Say something."""
        if not self._active:
            return
        if self._bar is not None:
            self._bar.line(text)
        else:
            self._write(text)

    def log(self, figures: Mapping[str, float], *, step: int) -> None:
        """Send figures to TensorBoard."""
        if self._logs is not None:
            for name, value in figures.items():
                self._logs.add_scalar(name, value, step)

    def close(self) -> None:
        """Leave the terminal as it was and finish the logs."""
        if self._bar is not None:
            self._bar.close()
        if self._logs is not None:
            self._logs.close()


class _Bar:
    """A progress bar of rich, with the latest figures."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._progress = Progress(
            TextColumn(title),
            BarColumn(),
            TaskProgressColumn(),
            Remaining(),
            TextColumn("{task.description}"),
        )
        self._task = self._progress.add_task("", total=1.0)
        self._progress.start()

    def show(self, text: str, progress: float) -> None:
        self._progress.update(self._task, description=text, completed=progress)

    def line(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        self._progress.stop()


def _listed(figures: Mapping[str, float]) -> str:
    """Names and values on one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _open_tensorboard(folder: Path) -> Any:
    """A TensorBoard writer."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "tensorboard", "train", "Logging to TensorBoard (--no-tensorboard leaves it out)"
        ) from error
    return SummaryWriter(str(folder))
