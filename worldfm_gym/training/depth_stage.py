"""Depth stage: trains the built-in depth estimator on procedural worlds."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from worldfm_gym.errors import CheckpointError, ConfigError
from worldfm_gym.reconstruction.depth_model import DepthModel
from worldfm_gym.reconstruction.depth_network import DepthNet, DepthNetConfig
from worldfm_gym.training.checkpoint import CHECKPOINT_NAME, MODEL_NAME, Progress
from worldfm_gym.training.contact_sheet import save_sheet
from worldfm_gym.training.depth_augmentation import DepthBatch
from worldfm_gym.training.depth_data import DepthSource
from worldfm_gym.training.depth_evaluation import read_photos, score_estimator
from worldfm_gym.training.depth_losses import DepthLossOptions, depth_loss
from worldfm_gym.training.depth_scenes import DepthDataConfig
from worldfm_gym.training.depth_sheet import batch_sheet, photo_sheet
from worldfm_gym.training.learner import Arithmetic, Learner
from worldfm_gym.training.loop import set_on_signals
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.processes import Processes, join_processes
from worldfm_gym.training.reporting import Averages, Reporter
from worldfm_gym.training.schedule import Budget, rate_at

_FORMAT, _VERSION = "worldfm-gym depth checkpoint", 1
_HELD_OUT_SEED = 0


def _optimizer() -> OptimizerOptions:
    return OptimizerOptions(
        learning_rate=1e-3, hold=0.35, floor=0.01, warmup_steps=300, weight_decay=0.02
    )


@dataclass(kw_only=True)
class DepthOptions:
    """Options of the stage; give `minutes` or `steps` as the budget that the schedule fills."""

    out: Path
    """Folder for checkpoint.safetensors, model.safetensors, pictures and logs."""
    minutes: float | None = None
    """Budget in minutes, from the start of the command to the last step."""
    steps: int | None = None
    """Budget in steps; with both, the one that ends first."""
    init: Path | None = None
    """Start from this depth model."""
    resume: bool = False
    """Go on from the checkpoint in the folder, if there is one."""
    batch: int = 128
    """Photos in a batch."""
    device: str = "auto"
    """Torch device; auto takes a GPU if there is one."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the network; weights are always kept in fp32. Auto is bf16 on a GPU."""
    seed: int = 0
    """Seed of the weights, of the worlds and of the training's draws."""
    workers: int | None = None
    """Processes that build worlds; as many as fit by default, 0 builds them in this one."""
    log_every: int = 200
    """Steps between lines of figures."""
    score_minutes: float = 1.0
    """Minutes between scores of photos, and between checkpoints."""
    held_out: int = 32
    """Photos of procedural worlds that are not trained on, to score with; 0 for none."""
    photos: tuple[Path, ...] = ()
    """Folders of photos with true depth, to score with."""
    tensorboard: bool = False
    """Write TensorBoard logs to the folder."""
    loss: DepthLossOptions = field(default_factory=DepthLossOptions)
    optimizer: OptimizerOptions = field(default_factory=_optimizer)
    model: DepthNetConfig = field(default_factory=DepthNetConfig)
    """Shape of a network that starts from nothing; otherwise the file says it."""
    data: DepthDataConfig = field(default_factory=DepthDataConfig)

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ConfigError("training needs a budget: give --minutes or --steps")
        for name in ("minutes", "steps", "batch", "log_every", "score_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be greater than 0, got {value}")
        if self.held_out < 0:
            raise ConfigError(f"held_out must not be negative, got {self.held_out}")
        if self.data.held_out:
            raise ConfigError("data.held_out is for scoring: those worlds are not trained on")
        if self.init is not None and self.resume:
            raise ConfigError("--init starts anew and --resume goes on: give one of them")


def train_depth(options: DepthOptions) -> Path:
    """Train until the budget is spent, or until SIGTERM or SIGINT.

    Returns:
        The folder with checkpoint.safetensors and model.safetensors.

    Raises:
        CheckpointError: If the checkpoint to go on from can't be used.
        ReconstructionError: If the model to start from can't be used.
        ConfigError: If there is no such device, or several processes are started.
        SourceError: If a folder of photos can't be read.
    """
    processes = join_processes(options.device)
    try:
        if processes.count > 1:
            raise ConfigError("the depth stage trains on one device: start it without torchrun")
        _Run(options, processes).train()
    finally:
        processes.leave()
    return options.out


class _Run:
    """A run of the stage: its state, and what is written of it."""

    def __init__(self, options: DepthOptions, processes: Processes) -> None:
        self.options, self.device = options, processes.device
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / CHECKPOINT_NAME
        self.progress, config, tensors = Progress(stage="depth"), options.model, None
        if options.resume and path.exists():
            progress, config, tensors = _load(path)
            self.progress = replace(progress, restarts=progress.restarts + 1)
        self.budget = Budget(
            steps=options.steps, minutes=options.minutes, spent_seconds=self.progress.seconds
        )
        self.reporter = Reporter(options.out, title="depth", tensorboard=options.tensorboard)
        bf16 = options.precision == "bf16"
        if options.precision == "auto":
            bf16 = self.device.type == "cuda"
        self.arithmetic = Arithmetic(self.device, bf16=bf16)
        self.learner = Learner(
            _starting_network(options, config),
            lambda network: network,
            options=options.optimizer,
            arithmetic=self.arithmetic,
            processes=processes,
        )
        for network in (self.learner.network, self.learner.average):
            assert network is not None
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if tensors is not None:
            self.learner.restore(tensors)
        self.photos = {folder.name: read_photos(folder) for folder in options.photos}

    def train(self) -> None:
        """Take steps until the budget is spent."""
        options = self.options
        data_seed = options.seed + 7919 * self.progress.restarts
        source = DepthSource(
            options.data, device=self.device, seed=data_seed, workers=options.workers
        )
        try:
            held_out = self._hold_out()  # while the workers start
            stopped = threading.Event()
            with set_on_signals(stopped):
                first = source.batch(options.batch)
                save_sheet(batch_sheet(first), options.out / "augmented.png")
                self.reporter.line(f"first batch after {self.budget.spent_seconds:.0f} s")
                self._take_steps(source, stopped, held_out)
                self._save()
                self._score(held_out)
        finally:
            source.close()
            self.reporter.close()

    def _take_steps(
        self, source: DepthSource, stopped: threading.Event, held_out: DepthBatch | None
    ) -> None:
        options, averages = self.options, Averages()
        due = self.budget.spent_seconds + 60 * options.score_minutes
        self.reporter.started(self.progress.samples)
        while not stopped.is_set():
            step = self.progress.step
            share = self.budget.progress(step)
            if share >= 1:
                return
            rate = rate_at(options.optimizer, step=step, progress=share)
            averages.add(self._step(source.batch(options.batch), rate))
            samples = self.progress.samples + options.batch
            self.progress = replace(self.progress, step=step + 1, samples=samples)
            if (step + 1) % options.log_every == 0 or step == 0:
                self.reporter.figures(
                    averages.take() | {"rate": rate}, step=step + 1, samples=samples, progress=share
                )
            if self.budget.spent_seconds > due:
                self._save()
                self._score(held_out)
                due = self.budget.spent_seconds + 60 * options.score_minutes

    def _step(self, batch: DepthBatch, rate: float) -> dict[str, Tensor]:
        """Train on a batch."""
        with self.arithmetic.context():
            predicted = self.learner.shared(*_inputs(batch))
        loss, parts = depth_loss(predicted, batch, self.options.loss)
        return {"loss": loss.detach(), **parts, "norm": self.learner.update(loss, rate=rate)}

    def _score(self, held_out: DepthBatch | None) -> None:
        """Score and picture photos that are not trained on."""
        step, scores = self.progress.step, {}
        if held_out is not None:
            with self.arithmetic.context(), torch.inference_mode():
                predicted = self._average()(*_inputs(held_out))
                _, parts = depth_loss(predicted, held_out, self.options.loss)
            scores = {f"worlds/{n}": float(parts[n]) for n in ("absrel", "delta", "focal", "up")}
            save_sheet(
                batch_sheet(held_out, predicted.log_depth.exp()), self.options.out / "held_out.png"
            )
        model = DepthModel(self._average().eval(), device=self.device)
        for name, photos in self.photos.items():
            for known in (True, False):
                score = score_estimator(model, photos, known_lens=known)
                of = name if known else f"{name}/lens unknown"
                scores |= {f"{of}/absrel": score.absrel, f"{of}/delta": score.delta}
            scores[f"{name}/fov error"] = score.fov_error_deg
        if self.photos:
            every = [photo for photos in self.photos.values() for photo in photos]
            save_sheet(photo_sheet(model, every), self.options.out / "photos.png")
        self.reporter.scores(scores, step=step)

    def _hold_out(self) -> DepthBatch | None:
        """Photos of procedural worlds to score with, the same in every run."""
        if not self.options.held_out:
            return None
        data = self.options.data
        few = replace(
            data,
            sizes=data.sizes[:1],
            size_shares=(1.0,),
            views=math.ceil(self.options.held_out / len(data.kinds) / data.kept),
            pool_worlds=len(data.kinds),
            held_out=True,
        )
        with DepthSource(
            few, device=self.device, seed=_HELD_OUT_SEED, workers=0, augmented=False
        ) as source:
            return source.batch(self.options.held_out)

    def _average(self) -> DepthNet:
        """The averaged network, the one to serve."""
        network = self.learner.average
        assert isinstance(network, DepthNet)
        return network

    def _save(self) -> None:
        """Write checkpoint.safetensors and model.safetensors."""
        self.progress = replace(self.progress, seconds=self.budget.spent_seconds)
        network = self._average()
        _write(
            self.options.out / CHECKPOINT_NAME, self.progress, network.config, self.learner.state()
        )
        metadata = {
            "stage": "depth",
            "steps": str(self.progress.step),
            "photos": str(self.progress.samples),
            "minutes": f"{self.progress.seconds / 60:.1f}",
        }
        DepthModel(network, metadata).save_pretrained(self.options.out / MODEL_NAME)


def _inputs(batch: DepthBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the network is given of a batch."""
    lens = batch.intrinsics
    return batch.rgb * 2 - 1, lens[:, :2], lens[:, 2:], batch.known_lens


def _starting_network(options: DepthOptions, config: DepthNetConfig) -> DepthNet:
    """The network that the run starts from; a resumed one gets its weights later."""
    if options.init is not None:
        return DepthModel.from_pretrained(options.init).network.requires_grad_(True).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return DepthNet(config)


def _write(
    path: Path, progress: Progress, config: DepthNetConfig, tensors: Mapping[str, Tensor]
) -> None:
    """Write a checkpoint in place of an older one, whole or not at all."""
    metadata = {
        "format": _FORMAT,
        "version": str(_VERSION),
        "progress": json.dumps(asdict(progress)),
        "model": json.dumps(asdict(config)),
    }
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(save(held, metadata))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _load(path: Path) -> tuple[Progress, DepthNetConfig, dict[str, Tensor]]:
    """Read a checkpoint; its tensors are on the CPU.

    Raises:
        CheckpointError: If it is damaged, or not one of this stage.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            if metadata.get("format") != _FORMAT or int(metadata["version"]) > _VERSION:
                raise CheckpointError(f"{path} is not a checkpoint of this depth stage")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        shape: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(metadata["model"]).items()
        }
        return Progress(**json.loads(metadata["progress"])), DepthNetConfig(**shape), tensors
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} can't be read as a checkpoint: {error!r}") from error
