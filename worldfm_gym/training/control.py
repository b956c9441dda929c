"""Stage 2, the controllable frame model: references first, then the anchor phased in.

If the anchor were there from the start, the network would copy it and hardly look at references;
so at first each view rarely sees its anchor, later nearly always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.conditioned import ConditionedViews, prepare, salted
from worldfm_gym.training.learner import Arithmetic
from worldfm_gym.training.loop import train
from worldfm_gym.training.losses import LossOptions
from worldfm_gym.training.options import TrainOptions
from worldfm_gym.training.prior import DiffusionStage
from worldfm_gym.training.processes import Processes
from worldfm_gym.training.stage import BatchSource, Moment
from worldfm_gym.training.timesteps import TimeOptions


@dataclass(kw_only=True)
class AnchorOptions:
    """How the anchor is phased in."""

    first: float = 0.25
    """Probability that a view sees its anchor, at the start."""
    last: float = 0.98
    """That probability once the anchor is phased in."""
    ramp: float = 0.15
    """Share of the budget over which it rises."""

    def probability(self, progress: float) -> float:
        """That probability at a share of the budget."""
        risen = 1.0 if self.ramp <= 0 else min(1.0, progress / self.ramp)
        return self.first + (self.last - self.first) * risen


@dataclass(kw_only=True)
class ControlOptions(TrainOptions):
    """Train the frame model.

    Example: worldfm-gym train control --init out/prior/model.safetensors --minutes 15
    --out out/control
    """

    loss: LossOptions = field(default_factory=LossOptions)
    times: TimeOptions = field(default_factory=TimeOptions)
    anchor: AnchorOptions = field(default_factory=AnchorOptions)


class ControlStage(DiffusionStage):
    """The frame model of many steps, teacher of the last stage."""

    name: ClassVar[str] = "control"
    preview_steps: ClassVar[Sequence[int]] = (1, 2, 8)

    def __init__(
        self,
        network: FrameDiT,
        options: ControlOptions,
        *,
        arithmetic: Arithmetic,
        processes: Processes,
    ) -> None:
        super().__init__(
            network,
            options,
            loss=options.loss,
            times=options.times,
            arithmetic=arithmetic,
            processes=processes,
        )
        self._anchor = options.anchor

    def step(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Train on the batch, with the anchors that this moment gives."""
        chance = torch.rand(
            batch.anchor_index.shape[:2],
            generator=moment.generator,
            device=batch.anchor_index.device,
        )
        kept = chance < self._anchor.probability(moment.progress)
        views = prepare(salted(batch, moment.generator), anchor_kept=kept)
        return self.learn(views, moment)

    def views(self, batch: Batch) -> ConditionedViews:
        """The batch with all its anchors."""
        return prepare(batch)


def train_control(
    options: ControlOptions,
    *,
    source: BatchSource | None = None,
    held_out: BatchSource | None = None,
) -> Path:
    """Run the stage; arguments and errors are those of `worldfm_gym.training.loop.train`."""

    def make(network: FrameDiT, arithmetic: Arithmetic, processes: Processes) -> ControlStage:
        return ControlStage(network, options, arithmetic=arithmetic, processes=processes)

    return train(options, make, name=ControlStage.name, source=source, held_out=held_out)
