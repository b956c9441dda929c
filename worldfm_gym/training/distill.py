"""Stage 3, distillation to one and two steps by distribution matching.

Yin et al. 2024, "One-step Diffusion with Distribution Matching Distillation". The student's images
are noised and denoised by two networks: the frozen teacher, which knows how real views look, and a
fake score network, which keeps learning how the student's views look. The student moves along their
difference. A regression on images that the teacher draws of the same noise keeps the student from
forgetting some of them, and the truth counts where the anchor leaves little to invent. As in Yin et
al. 2024b a discriminator tells the student's images from true ones: the teacher of a few minutes is
less sharp than the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from worldfm_gym.errors import ConfigError
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.checkpoint import NETWORK
from worldfm_gym.training.conditioned import (
    ConditionedViews,
    Denoiser,
    FewStepSampler,
    at_time,
    draw,
    prepare,
    salted,
)
from worldfm_gym.training.discriminator import AdversarialOptions, Adversary
from worldfm_gym.training.learner import Arithmetic, Learner
from worldfm_gym.training.loop import train
from worldfm_gym.training.losses import (
    LossOptions,
    energy_score,
    matching_loss,
    reconstruction_loss,
)
from worldfm_gym.training.neighbors import disagreement
from worldfm_gym.training.options import OptimizerOptions, TrainOptions
from worldfm_gym.training.processes import Processes
from worldfm_gym.training.stage import BatchSource, Moment
from worldfm_gym.training.timesteps import TimeOptions, draw_times


@dataclass(kw_only=True)
class MatchingOptions:
    """Weights and sizes of the distillation's parts."""

    matching: float = 1.0
    """Weight of distribution matching; 0 saves the fake score network."""
    matching_told: float = 0.3
    """What matching counts on pixels that the anchor or a warped reference shows."""
    matching_depth: float = 0.25
    """What matching counts on the depth code, relative to rgb."""
    regression: float = 1.0
    """Weight of the regression on the teacher's images."""
    truth_told: float = 1.0
    """Weight of the reconstruction of pixels that the anchor or a warped reference shows."""
    truth_invented: float = 0.1
    """Weight of the reconstruction of all other pixels; much of it blurs them."""
    energy: float = 0.0
    """Weight of the energy score of pixels that nothing shows; its draws cost a second forward
    pass."""
    consistency: float = 0.0
    """Weight of the squared difference between neighboring views in pixels that the anchor shows in
    neither; needs `--generator.neighbors`."""
    fake_updates: int = 1
    """Updates of the fake score network for each of the student."""
    fake_learning_rate: float = 2.0
    """Learning rate of the fake score network, relative to the student's."""
    two_steps: float = 0.4
    """Share of the batches that the student draws in two steps."""
    teacher_steps: int = 8
    """Sampling steps of the teacher for the regression."""
    pairs: int = 24
    """Batches kept with the teacher's images."""
    pair_share: float = 0.5
    """Share of the batches that are taken from those."""
    pair_refresh: int = 8
    """Steps after which the oldest of those is replaced."""
    times: TimeOptions = field(
        default_factory=lambda: TimeOptions(pure_noise=0.0, second_step=0.0, shift=1.5)
    )
    """Noise levels at which distributions are compared."""
    adversarial: AdversarialOptions = field(default_factory=AdversarialOptions)

    def __post_init__(self) -> None:
        for name in ("fake_updates", "teacher_steps", "pairs", "pair_refresh"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("two_steps", "pair_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be a share in 0…1, got {getattr(self, name)}")


def _gentle() -> OptimizerOptions:
    """The student starts from trained weights."""
    return OptimizerOptions(learning_rate=1e-4, warmup_steps=100, betas=(0.5, 0.98))


@dataclass(kw_only=True)
class DistillOptions(TrainOptions):
    """Distill the frame model to one and two steps.

    Example: worldfm-gym train distill --init out/control/model.safetensors --minutes 8
    --out out/distill
    """

    optimizer: OptimizerOptions = field(default_factory=_gentle)
    loss: LossOptions = field(default_factory=LossOptions)
    distill: MatchingOptions = field(default_factory=MatchingOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init is None and not self.resume:
            raise ConfigError(
                "distillation needs a teacher: give --init with what `worldfm-gym train control` "
                "wrote"
            )
        if self.distill.consistency > 0 and not self.generator.neighbors:
            raise ConfigError(
                "consistency is learned from neighboring views: add --generator.neighbors"
            )


@dataclass(frozen=True, slots=True)
class _Pair:
    """Views with their noise, and what the teacher draws of them."""

    views: ConditionedViews
    drawn: Tensor


class DistillStage:
    """Student, teacher, and what judges the student's images: fake score network, discriminator."""

    name: ClassVar[str] = "distill"
    preview_steps: ClassVar[Sequence[int]] = (1, 2)

    def __init__(
        self,
        teacher: FrameDiT,
        options: DistillOptions,
        *,
        arithmetic: Arithmetic,
        processes: Processes,
    ) -> None:
        def copy_of_teacher() -> FrameDiT:
            network = FrameDiT(teacher.config)
            network.load_state_dict(teacher.state_dict())
            return network

        self._options, self._parts, self._arithmetic = options, options.distill, arithmetic
        self._student = Learner(
            copy_of_teacher(),
            FewStepSampler,
            options=options.optimizer,
            arithmetic=arithmetic,
            processes=processes,
        )
        faster = options.distill.fake_learning_rate * options.optimizer.learning_rate
        self._fake, self._adversary = None, None
        if options.distill.matching > 0:
            self._fake = Learner(
                copy_of_teacher(),
                Denoiser,
                options=replace(options.optimizer, learning_rate=faster),
                arithmetic=arithmetic,
                processes=processes,
                averaged=False,
            )
        if options.distill.adversarial.weight > 0:
            self._adversary = Adversary(
                options.distill.adversarial,
                optimizer=options.optimizer,
                arithmetic=arithmetic,
                processes=processes,
                seed=options.seed,
            )
        self._teacher = arithmetic.place(teacher).requires_grad_(False).eval()
        self._teacher_denoiser = Denoiser(self._teacher)
        self._pairs: list[_Pair] = []

    @property
    def learners(self) -> Mapping[str, Learner[Any]]:
        """The student and, where they count, fake score network and discriminator."""
        learners: dict[str, Learner[Any]] = {NETWORK: self._student}
        if self._fake is not None:
            learners["fake"] = self._fake
        if self._adversary is not None:
            learners["adversary"] = self._adversary.learner
        return learners

    @property
    def frozen(self) -> Mapping[str, nn.Module]:
        """The teacher."""
        return {"teacher": self._teacher}

    @property
    def served(self) -> FrameDiT:
        """The averaged student."""
        assert self._student.average is not None
        return self._student.average

    def views(self, batch: Batch) -> ConditionedViews:
        """The batch with all its anchors."""
        return prepare(batch)

    def begin(self, next_batch: Callable[[], Batch]) -> None:
        """Let the teacher draw the first pairs."""
        if self._parts.regression > 0:
            self._pairs = [self._pair(prepare(next_batch())) for _ in range(self._parts.pairs)]

    def step(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Train the student, then what judges it on what the student drew."""
        views, goal = self._choose(batch, moment)
        steps = 2 if _takes_turn(moment.step, self._parts.two_steps) else 1
        other_noise = views.fresh_noise(moment.generator) if self._parts.energy > 0 else None
        with self._arithmetic.context():
            drawn = self._student.shared(views, steps, other_noise)
        scattered = None
        if other_noise is not None:
            scattered, drawn = drawn, drawn[0]
        loss, figures = self._student_loss(views, drawn, goal, moment)
        if scattered is not None:
            energy = self._energy(views, scattered)
            loss = loss + self._parts.energy * energy
            figures["energy"] = energy.detach()
        figures["student_norm"] = self._student.update(loss, rate=moment.rate)
        if self._fake is not None:
            for _ in range(self._parts.fake_updates):
                figures |= self._train_fake(self._fake, views, drawn.detach(), moment)
        if self._adversary is not None:
            figures |= self._adversary.train(views, drawn.detach(), moment)
        return figures

    def _choose(self, batch: Batch, moment: Moment) -> tuple[ConditionedViews, Tensor | None]:
        """This step's views, with the teacher's images if they are kept ones."""
        # Turns of pairs and of two steps have to mix: this one follows the golden ratio.
        turn = (moment.step * 0.6180339887) % 1 < self._parts.pair_share
        views = prepare(salted(batch, moment.generator))
        if not self._pairs:
            return views, None
        if moment.step % self._parts.pair_refresh == 0:
            self._pairs = [*self._pairs[1:], self._pair(views)]
        if not turn:
            return views, None
        pair = self._pairs[moment.step * 7919 % len(self._pairs)]
        return pair.views, pair.drawn

    def _pair(self, views: ConditionedViews) -> _Pair:
        """Views with what the teacher draws of them."""
        with self._arithmetic.context():
            return _Pair(views, draw(self._teacher, views, steps=self._parts.teacher_steps))

    def _student_loss(
        self, views: ConditionedViews, drawn: Tensor, goal: Tensor | None, moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction, matching, the discriminator's judgment and regression."""
        parts = self._parts
        told = views.told
        counted = parts.truth_told * told + parts.truth_invented * (1 - told)
        loss, figures = self._distance(views, drawn, views.truth, counted)
        figures["truth"] = loss.detach()
        if self._fake is not None:
            matching = self._matching(self._fake, views, drawn, moment)
            loss = loss + parts.matching * matching
            figures["matching"] = matching.detach()
        if self._adversary is not None:
            loss = loss + self._adversary.loss(views, drawn, moment)
        if parts.consistency > 0:
            apart = disagreement(views, drawn)
            loss = loss + parts.consistency * apart
            figures["apart"] = apart.detach()
        if goal is not None:
            regression, _ = self._distance(views, drawn, goal, torch.ones_like(counted))
            # Only some batches have a goal; the weight is that of all.
            loss = loss + parts.regression / max(parts.pair_share, 1e-6) * regression
            figures["regression"] = regression.detach()
        return loss, figures

    def _energy(self, views: ConditionedViews, drawn: Tensor) -> Tensor:
        """Energy score of two drawings of the views, [2, B, 4, H, W]."""
        seen = torch.ones_like(views.truth)
        seen[:, 3:] = views.known
        one, other = drawn * seen
        return energy_score(one, other, views.truth * seen, pixels=1 - views.told)

    def _matching(
        self, fakes: Learner[FrameDiT], views: ConditionedViews, drawn: Tensor, moment: Moment
    ) -> Tensor:
        """Distribution matching of the student's images."""
        parts = self._parts
        with torch.no_grad(), self._arithmetic.context():
            noised, time = self._noised(views, drawn, moment)
            real = self._teacher_denoiser(views, noised, time)
            fake = fakes.plain(views, noised, time)
            pixels = 1 + (parts.matching_told - 1) * views.told
            weight = torch.cat(
                [pixels.expand(-1, 3, -1, -1), parts.matching_depth * pixels * views.known], dim=1
            )
        return matching_loss(drawn, real, fake, weight=weight)

    def _train_fake(
        self, fakes: Learner[FrameDiT], views: ConditionedViews, drawn: Tensor, moment: Moment
    ) -> dict[str, Tensor]:
        """One step of diffusion training of the fake score network on the student's images."""
        noised, time = self._noised(views, drawn, moment)
        with self._arithmetic.context():
            predicted = fakes.shared(views, noised, time)
        loss, _ = reconstruction_loss(
            predicted,
            drawn,
            known=views.known,
            covered=views.covered,
            time=time,
            options=self._options.loss,
        )
        norm = fakes.update(loss, rate=moment.rate)
        return {"fake": loss.detach(), "fake_norm": norm}

    def _noised(
        self, views: ConditionedViews, clean: Tensor, moment: Moment
    ) -> tuple[Tensor, Tensor]:
        """Clean images under other noise at random times, and the times."""
        time = draw_times(
            self._parts.times, len(views), generator=moment.generator, device=clean.device
        )
        return at_time(clean, views.fresh_noise(moment.generator), time), time

    def _distance(
        self, views: ConditionedViews, drawn: Tensor, goal: Tensor, pixels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction loss where `pixels` counts."""
        return reconstruction_loss(
            drawn,
            goal,
            known=views.known,
            covered=views.covered,
            time=None,
            options=self._options.loss,
            pixels=pixels,
        )


def _takes_turn(step: int, share: float) -> bool:
    """Whether this step is one of a share of all, evenly spread."""
    return math.floor((step + 1) * share) > math.floor(step * share)


def train_distill(
    options: DistillOptions,
    *,
    source: BatchSource | None = None,
    held_out: BatchSource | None = None,
) -> Path:
    """Run the stage; arguments and errors are those of `worldfm_gym.training.loop.train`."""

    def make(network: FrameDiT, arithmetic: Arithmetic, processes: Processes) -> DistillStage:
        return DistillStage(network, options, arithmetic=arithmetic, processes=processes)

    return train(options, make, name=DistillStage.name, source=source, held_out=held_out)
