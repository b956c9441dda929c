"""Stage 1, the image prior: the network alone as an image diffusion model.

No anchor and no references: the network learns what rooms look like, in color and depth, and the
noise is that of the rays' directions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.checkpoint import NETWORK
from worldfm_gym.training.conditioned import (
    ConditionedViews,
    Denoiser,
    at_time,
    prepare_unconditioned,
    salted,
)
from worldfm_gym.training.learner import Arithmetic, Learner
from worldfm_gym.training.loop import train
from worldfm_gym.training.losses import LossOptions, reconstruction_loss
from worldfm_gym.training.options import TrainOptions
from worldfm_gym.training.processes import Processes
from worldfm_gym.training.stage import BatchSource, Moment
from worldfm_gym.training.timesteps import TimeOptions, draw_times


@dataclass(kw_only=True)
class PriorOptions(TrainOptions):
    """Train the image prior.

    Example: worldfm-gym train prior --minutes 5 --out out/prior
    """

    loss: LossOptions = field(default_factory=LossOptions)
    times: TimeOptions = field(
        default_factory=lambda: TimeOptions(pure_noise=0.05, second_step=0.05)
    )


class DiffusionStage:
    """What the prior and the control stage share: one network and the diffusion loss."""

    name: ClassVar[str]
    preview_steps: ClassVar[Sequence[int]]

    def __init__(
        self,
        network: FrameDiT,
        options: TrainOptions,
        *,
        loss: LossOptions,
        times: TimeOptions,
        arithmetic: Arithmetic,
        processes: Processes,
    ) -> None:
        self._learner = Learner(
            network,
            Denoiser,
            options=options.optimizer,
            arithmetic=arithmetic,
            processes=processes,
        )
        self._loss, self._times, self._arithmetic = loss, times, arithmetic

    @property
    def learners(self) -> Mapping[str, Learner[FrameDiT]]:
        """The one network in training."""
        return {NETWORK: self._learner}

    @property
    def frozen(self) -> Mapping[str, nn.Module]:
        """None."""
        return {}

    @property
    def served(self) -> FrameDiT:
        """The averaged network."""
        assert self._learner.average is not None
        return self._learner.average

    def begin(self, next_batch: Callable[[], Batch]) -> None:
        """Nothing to make ready."""

    def learn(self, views: ConditionedViews, moment: Moment) -> dict[str, Tensor]:
        """One step of diffusion training on views."""
        time = draw_times(
            self._times, len(views), generator=moment.generator, device=views.truth.device
        )
        with self._arithmetic.context():
            predicted = self._learner.shared(views, at_time(views.truth, views.noise, time), time)
        loss, parts = reconstruction_loss(
            predicted,
            views.truth,
            known=views.known,
            covered=views.covered,
            time=time,
            options=self._loss,
        )
        norm = self._learner.update(loss, rate=moment.rate)
        return {"loss": loss.detach(), **parts, "gradient_norm": norm}


class PriorStage(DiffusionStage):
    """The image prior."""

    name: ClassVar[str] = "prior"
    preview_steps: ClassVar[Sequence[int]] = (1, 24)

    def step(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Train on the batch's targets as plain images."""
        figures = self.learn(prepare_unconditioned(salted(batch, moment.generator)), moment)
        return {name: value for name, value in figures.items() if "/covered" not in name}

    def views(self, batch: Batch) -> ConditionedViews:
        """The batch's targets as plain images."""
        return prepare_unconditioned(batch)


def train_prior(
    options: PriorOptions,
    *,
    source: BatchSource | None = None,
    held_out: BatchSource | None = None,
) -> Path:
    """Run the stage; arguments and errors are those of `worldfm_gym.training.loop.train`."""

    def make(network: FrameDiT, arithmetic: Arithmetic, processes: Processes) -> PriorStage:
        return PriorStage(
            network,
            options,
            loss=options.loss,
            times=options.times,
            arithmetic=arithmetic,
            processes=processes,
        )

    return train(options, make, name=PriorStage.name, source=source, held_out=held_out)
