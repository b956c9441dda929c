"""Options that all stages of training share, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from worldfm_gym.errors import ConfigError
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.training.generator_config import GeneratorConfig


@dataclass(kw_only=True)
class OptimizerOptions:
    """AdamW, its schedule and the moving average of the weights."""

    learning_rate: float = 1e-3
    """Highest learning rate."""
    floor: float = 0.02
    """Learning rate at the end of the budget, relative to the highest."""
    decay: Literal["cosine", "linear"] = "cosine"
    """How the learning rate falls."""
    hold: float = 0.0
    """Share of the budget at the highest rate, before it falls."""
    warmup_steps: int = 200
    """Steps over which the rate rises from zero."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay of the gradient's running mean and mean square."""
    weight_decay: float = 0.01
    """Decoupled decay, of matrices only."""
    clip_norm: float = 1.0
    """Largest norm of a gradient."""
    ema_decay: float = 0.999
    """Decay of the moving average of the weights, a step; it starts lower."""


@dataclass(kw_only=True)
class TrainOptions:
    """What every stage needs; give `minutes` or `steps` as the budget that the schedule fills."""

    out: Path
    """Folder for checkpoint.safetensors, model.safetensors, pictures and logs."""
    minutes: float | None = None
    """Budget in minutes, from the start of the command to the last step."""
    steps: int | None = None
    """Budget in steps; with both, the one that ends first."""
    init: Path | None = None
    """Start from these weights: a model or a checkpoint, of which the averaged weights are used."""
    resume: bool = False
    """Go on from the checkpoint in the folder, if there is one."""
    groups: int = 64
    """Groups of views in a batch, for each process."""
    device: str = "auto"
    """Torch device; auto takes a GPU if there is one."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Arithmetic of the networks; weights are always kept in fp32. Auto is bf16 on a GPU."""
    fused: Literal["auto", "on", "off"] = "auto"
    """Run the token-wise parts of the networks as Triton kernels. Auto does on a GPU."""
    seed: int = 0
    """Seed of the weights, of the worlds and of the training's draws."""
    workers: int | None = None
    """Processes that build worlds; as many as fit by default, 0 builds them in this one."""
    log_every: int = 50
    """Steps between lines of figures."""
    preview_every: int = 1000
    """Steps between quick scores and pictures of views that are not trained on."""
    held_out_groups: int = 16
    """Groups of such views; 0 leaves scores and pictures out."""
    checkpoint_minutes: float = 2.0
    """Minutes between checkpoints; one is always written at the end."""
    tensorboard: bool = True
    """Write TensorBoard logs to the folder."""
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    model: FrameModelConfig = field(default_factory=FrameModelConfig)
    """Shape of a network that starts from nothing; otherwise the file says it."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)

    def __post_init__(self) -> None:
        if self.minutes is None and self.steps is None:
            raise ConfigError("training needs a budget: give --minutes or --steps")
        for name in ("minutes", "steps", "groups", "log_every", "preview_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be greater than 0, got {value}")
        for name in ("checkpoint_minutes", "held_out_groups"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.generator.held_out:
            raise ConfigError("generator.held_out is for scoring: those worlds are not trained on")
        if self.init is not None and self.resume:
            raise ConfigError("--init starts anew and --resume goes on: give one of them")
