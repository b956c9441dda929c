"""What `worldfm-gym evaluate` does; its arguments are in `worldfm_agents.cli`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_agents.cli import Evaluate
    from worldfm_gym.frame_model.pretrained import FrameModel
    from worldfm_gym.training.evaluation import Evaluation
    from worldfm_gym.training.evaluation_views import EvaluationViews

_SIZES = range(64, 129, 8)


def run_evaluate_command(command: Evaluate) -> None:
    """`worldfm-gym evaluate`."""
    from worldfm_gym.frame_model.pretrained import FrameModel
    from worldfm_gym.training.evaluation import evaluate

    if command.size not in _SIZES:
        raise ConfigError(f"--size must be a multiple of 8 from 64 to 128, got {command.size}")
    if command.teacher_steps < 1 or command.references < 0:
        raise ConfigError("--teacher-steps must be 1 or more, --references 0 or more")
    console = Console()
    device = _device(command.device)
    student = FrameModel.from_pretrained(command.student)
    teacher = None if command.teacher is None else FrameModel.from_pretrained(command.teacher)
    start = perf_counter()
    with console.status("building worlds"):
        views = _views(command)
    built = perf_counter()
    with console.status("drawing") as status:
        evaluation = evaluate(
            views,
            student=student,
            teacher=teacher,
            teacher_steps=command.teacher_steps,
            references=command.references,
            device=device,
            progress=lambda name: status.update(f"drawing: {name}"),
        )
    drawn = perf_counter()
    _print(evaluation, console)
    _write(command, evaluation, student, {"device": device})
    console.print(
        f"{len(views)} views of {len(views.worlds)} worlds: built in {built - start:.0f} s, "
        f"drawn and scored in {drawn - built:.0f} s on {device}. Tables, figures and contact "
        f"sheets are in {command.out}.",
        highlight=False,
        soft_wrap=True,
    )


def _views(command: Evaluate) -> EvaluationViews:
    """What to draw."""
    if command.scan is not None:
        from worldfm_gym.training.evaluation_scan import scan_views

        return scan_views(command.scan, size=command.size, every=command.every)
    if command.every is not None:
        raise ConfigError("--every is about the frames of a scan: give it with --scan")
    from worldfm_gym.training.evaluation_views import procedural_views

    return procedural_views(
        command.views, size=command.size, seed=command.seed, workers=command.workers
    )


def _device(name: str) -> str:
    """A device by name; auto takes a GPU if there is one."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _write(
    command: Evaluate, evaluation: Evaluation, student: FrameModel, settings: Mapping[str, Any]
) -> None:
    """Tables, figures and contact sheets."""
    from worldfm_gym.training.contact_sheet import contact_sheet, pick_views, save_sheet
    from worldfm_gym.training.evaluation import references_drawn_on
    from worldfm_gym.training.evaluation_report import as_json, markdown, write_text

    command.out.mkdir(parents=True, exist_ok=True)
    options = {name: value for name, value in asdict(command).items() if name != "out"}
    given = {
        name: value if isinstance(value, int | None) else str(value)
        for name, value in options.items()
    }
    write_text(command.out / "evaluation.md", markdown(evaluation))
    write_text(command.out / "evaluation.json", as_json(evaluation, {**given, **settings}))
    for name, chosen in pick_views(evaluation).items():
        references = references_drawn_on(
            evaluation, chosen, model=student, count=max(1, command.references)
        )
        save_sheet(contact_sheet(evaluation, chosen, references), command.out / f"{name}.png")


def _print(evaluation: Evaluation, console: Console) -> None:
    """The bars, and the tables in which they are measured."""
    from worldfm_gym.training.evaluation_report import (
        ALL,
        BAR_BIN,
        brief_cells,
        figures_by_bin,
        quality_bars,
    )

    by_bin = figures_by_bin(evaluation)
    for name in (BAR_BIN, ALL):
        if name not in by_bin:
            continue
        views = "all views" if name == ALL else f"{name} covered"
        header, *rows = brief_cells(by_bin[name])
        table = Table(*header, title=f"{evaluation.views.name}, {views}", box=SIMPLE_HEAD)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    table = Table("bar", "asked", "measured", "", title="quality bars", box=SIMPLE_HEAD)
    verdicts = {True: "[green]pass[/]", False: "[red]fail[/]", None: "–"}
    for bar in quality_bars(by_bin):
        table.add_row(bar.what, bar.wanted, bar.text, verdicts[bar.passed])
    console.print(table)
