"""Loop: runs a stage of training from its options to its last checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from worldfm_gym.errors import CheckpointError
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.threads import num_threads
from worldfm_gym.training.checkpoint import (
    CHECKPOINT_NAME,
    MODEL_NAME,
    Checkpoint,
    Progress,
    load_checkpoint,
    load_network,
    load_weights,
    save_checkpoint,
)
from worldfm_gym.training.conditioned import ConditionedViews
from worldfm_gym.training.contact_sheet import save_sheet
from worldfm_gym.training.learner import Arithmetic
from worldfm_gym.training.options import TrainOptions
from worldfm_gym.training.previews import preview
from worldfm_gym.training.processes import Processes, join_processes
from worldfm_gym.training.reporting import Averages, Reporter
from worldfm_gym.training.schedule import Budget, rate_at
from worldfm_gym.training.stage import BatchSource, Moment, Stage

MakeStage = Callable[[FrameDiT, Arithmetic, Processes], Stage]

_HELD_OUT_BATCHES = 2
_HELD_OUT_SEED = 0


def train(
    options: TrainOptions,
    make_stage: MakeStage,
    *,
    name: str,
    source: BatchSource | None = None,
    held_out: BatchSource | None = None,
) -> Path:
    """Run a stage until its budget is spent, or it is told to stop by SIGTERM or SIGINT.

    Args:
        options: The stage's options.
        make_stage: Builds the stage around its starting network.
        name: Name of the stage.
        source: Where batches come from; by default procedural worlds.
        held_out: Where views for quick scores come from; by default other procedural worlds.

    Returns:
        The folder with checkpoint.safetensors and model.safetensors.

    Raises:
        CheckpointError: If the file to start from can't be used.
        FrameModelError: Likewise, for a file that is no checkpoint.
        ConfigError: If there is no such device.
        MissingExtraError: If TensorBoard is wanted and missing.
    """
    processes = join_processes(options.device)
    try:
        # Not kept: what still holds the process group as it ends takes the process down with it.
        _Run(options, make_stage, processes, name=name).train(source, held_out)
    finally:
        processes.leave()
    return options.out


class _Run:
    """A run of a stage: its state, and what is written of it."""

    def __init__(
        self, options: TrainOptions, make_stage: MakeStage, processes: Processes, *, name: str
    ) -> None:
        path = options.out / CHECKPOINT_NAME
        checkpoint = None
        if options.resume and path.exists():
            checkpoint = load_checkpoint(path, stage=name)
        if checkpoint is not None:
            progress = checkpoint.progress
            self.progress = replace(progress, restarts=progress.restarts + 1)
        else:
            self.progress = Progress(stage=name)
        self.budget = Budget(
            steps=options.steps, minutes=options.minutes, spent_seconds=self.progress.seconds
        )
        self.options, self.processes = options, processes
        options.out.mkdir(parents=True, exist_ok=True)
        self.reporter = Reporter(
            options.out,
            title=name,
            tensorboard=options.tensorboard,
            active=processes.is_main,
        )
        self.arithmetic = _arithmetic(options, processes)
        self.generator = torch.Generator(processes.device)
        draws = (options.seed * 1000 + self.progress.restarts) * 1000 + processes.rank
        self.generator.manual_seed(draws)
        self.stage = make_stage(_starting_network(options, checkpoint), self.arithmetic, processes)
        if checkpoint is not None:
            self._restore(checkpoint)
        self.held_out: list[ConditionedViews] = []

    def train(self, source: BatchSource | None, held_out: BatchSource | None) -> None:
        """Take steps until the budget is spent."""
        options, stopped = self.options, threading.Event()
        if self._ended(stopped):
            self.reporter.line("the budget is spent already: nothing to do")
            self.reporter.close()
            return
        source = source or self._open_source()
        try:
            with set_on_signals(stopped):
                self._hold_out(held_out)
                self.stage.begin(lambda: source.batch(options.groups))
                self._take_steps(source, stopped)
                self._finish()
        finally:
            source.close()
            self.reporter.close()

    def _take_steps(self, source: BatchSource, stopped: threading.Event) -> None:
        options, averages = self.options, Averages()
        last_saved = self.budget.spent_seconds
        self.reporter.started(self.progress.samples)
        while not self._ended(stopped):
            step = self.progress.step
            rate = rate_at(options.optimizer, step=step, progress=self._share)
            batch = source.batch(options.groups)
            averages.add(self.stage.step(batch, Moment(step, self._share, rate, self.generator)))
            samples = self.progress.samples + batch.samples * self.processes.count
            self.progress = replace(self.progress, step=step + 1, samples=samples)
            if (step + 1) % options.log_every == 0 or step == 0:
                figures = averages.take() | {"lr": options.optimizer.learning_rate * rate}
                self.reporter.figures(
                    figures, step=step + 1, samples=samples, progress=self.budget.progress(step + 1)
                )
            if (step + 1) % options.preview_every == 0:
                self._preview()
            due = last_saved + 60 * options.checkpoint_minutes
            if options.checkpoint_minutes and self._now > due:
                self._save()
                last_saved = self._now

    def _ended(self, stopped: threading.Event) -> bool:
        """Whether to stop; all processes agree on it, and on the time."""
        share, now, stop = self.processes.largest(
            self.budget.progress(self.progress.step),
            self.budget.spent_seconds,
            float(stopped.is_set()),
        )
        self._share, self._now = share, now
        return share >= 1 or stop > 0

    def _finish(self) -> None:
        """Write and score the final weights."""
        self._save()
        self._preview()
        minutes = self.budget.spent_seconds / 60
        self.reporter.line(
            f"{self.progress.stage}: {self.progress.step:,} steps, {self.progress.samples:,} views "
            f"in {minutes:.1f} min; weights in {self.options.out / MODEL_NAME}"
        )

    def _save(self) -> None:
        """Write checkpoint.safetensors and model.safetensors."""
        self.progress = replace(self.progress, seconds=self.budget.spent_seconds)
        if not self.processes.is_main:
            return
        served = self.stage.served
        tensors: dict[str, Tensor] = {}
        for name, learner in self.stage.learners.items():
            tensors |= {f"{name}.{k}": v for k, v in learner.state().items()}
        for name, network in self.stage.frozen.items():
            tensors |= {f"{name}.{k}": v for k, v in network.state_dict().items()}
        tensors["random"] = self.generator.get_state()
        save_checkpoint(
            self.options.out / CHECKPOINT_NAME,
            Checkpoint(self.progress, served.config, tensors),
        )
        metadata = {
            "stage": self.progress.stage,
            "steps": str(self.progress.step),
            "views": str(self.progress.samples),
            "minutes": f"{self.progress.seconds / 60:.1f}",
        }
        FrameModel(served, metadata).save_pretrained(self.options.out / MODEL_NAME)

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        for name, learner in self.stage.learners.items():
            learner.restore(checkpoint.part(name))
        for name, network in self.stage.frozen.items():
            load_weights(network, checkpoint.part(name))
        if self.processes.is_main:
            if "random" not in checkpoint.tensors:
                raise CheckpointError("the checkpoint lacks the state of the random draws")
            self.generator.set_state(checkpoint.tensors["random"])

    def _hold_out(self, source: BatchSource | None) -> None:
        """Draw the views for quick scores, the same in every run with the same options."""
        groups = self.options.held_out_groups
        if not groups or not self.processes.is_main:
            return
        opened = source or self._open_held_out()
        try:
            batches = [opened.batch(groups) for _ in range(_HELD_OUT_BATCHES)]
        finally:
            opened.close()
        self.held_out = [self.stage.views(batch) for batch in batches]

    def _preview(self) -> None:
        """Score and picture the held-out views."""
        if not self.held_out:
            return
        step = self.progress.step
        with self.arithmetic.context():
            shown = preview(self.stage.served, self.held_out, steps=self.stage.preview_steps)
        self.reporter.scores(shown.scores, step=step)
        self.reporter.picture("held out", shown.sheet, step=step)
        save_sheet(shown.sheet, self.options.out / f"preview_{step:07d}.png")

    def _open_source(self) -> BatchSource:
        """Procedural worlds; after a restart others than before."""
        from worldfm_gym.training.generator import SampleGenerator

        workers, count = self.options.workers, self.processes.count
        if workers is None and count > 1:
            workers = max(1, (num_threads() - count) // count)
        return SampleGenerator(
            self.options.generator,
            device=self.processes.device,
            seed=self.options.seed + 7919 * self.progress.restarts,
            workers=workers,
            rank=self.processes.rank,
        )

    def _open_held_out(self) -> BatchSource:
        """Procedural worlds that are never trained on: one of each kind, at the main size."""
        from worldfm_gym.training.generator import SampleGenerator

        config = self.options.generator
        most = max(range(len(config.sizes)), key=lambda i: config.size_shares[i])
        few = replace(
            config,
            sizes=(config.sizes[most],),
            size_shares=(1.0,),
            reference_shares=(0.0,) * min(2, len(config.reference_shares) - 1) + (1.0,),
            pool_worlds=len(config.kinds),
            masked_share=0.0,
            neighbors=False,
            held_out=True,
        )
        return SampleGenerator(few, device=self.processes.device, seed=_HELD_OUT_SEED, workers=0)


def _starting_network(options: TrainOptions, checkpoint: Checkpoint | None) -> FrameDiT:
    """The network that a stage starts from; a resumed one gets its weights later."""
    if checkpoint is not None:
        return FrameDiT(checkpoint.model)
    if options.init is not None:
        return load_network(options.init)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return FrameDiT(options.model)


def _arithmetic(options: TrainOptions, processes: Processes) -> Arithmetic:
    """How this run's networks compute."""
    bf16 = options.precision == "bf16"
    if options.precision == "auto":
        bf16 = processes.device.type == "cuda"
    fused = options.fused == "on" or (options.fused == "auto" and processes.device.type == "cuda")
    return Arithmetic(processes.device, bf16=bf16, fused=fused)


@contextmanager
def set_on_signals(stopped: threading.Event) -> Iterator[None]:
    """Set the event on SIGTERM and SIGINT instead of dying, so that a last checkpoint is written.

    A second signal acts as ever. Only a process's main thread can listen to signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        stopped.set()
        restore()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
