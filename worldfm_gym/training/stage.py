"""Stage: what the training loop asks of the image prior, the control stage and distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.conditioned import ConditionedViews
from worldfm_gym.training.learner import Learner


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in the run a step is.

    Attributes:
        step: Steps done before this one.
        progress: Share of the budget spent, 0…1.
        rate: Learning rate relative to the highest.
        generator: Random draws of the training, on the device.
    """

    step: int
    progress: float
    rate: float
    generator: torch.Generator


class BatchSource(Protocol):
    """Where batches come from; `worldfm_gym.training.generator.SampleGenerator` is one."""

    def batch(self, groups: int) -> Batch:
        """The next batch."""
        ...

    def close(self) -> None:
        """Stop workers."""
        ...


class Stage(Protocol):
    """One of the three stages of training."""

    name: ClassVar[str]
    preview_steps: ClassVar[Sequence[int]]

    @property
    def learners(self) -> Mapping[str, Learner[Any]]:
        """Networks in training, by the name they have in a checkpoint."""
        ...

    @property
    def frozen(self) -> Mapping[str, nn.Module]:
        """Networks that are only read."""
        ...

    @property
    def served(self) -> FrameDiT:
        """The averaged network, the one to draw with."""
        ...

    def begin(self, next_batch: Callable[[], Batch]) -> None:
        """Make ready what the first step needs."""
        ...

    def step(self, batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """Train on a batch; gives figures that stay on the device."""
        ...

    def views(self, batch: Batch) -> ConditionedViews:
        """A batch as this stage sees it when it is not training."""
        ...
