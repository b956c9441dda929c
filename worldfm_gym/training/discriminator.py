"""Discriminator: tells drawn views from true ones, so that what is invented gets as sharp as those.

Yin et al. 2024b, "Improved Distribution Matching Distillation for Fast Image Synthesis", add such a
loss to distribution matching. Here views are judged patch by patch at two scales (Isola et al.
2017), given all that the frame model was told of them, and a drawn patch against the true one of
the same view (Huang et al. 2024, "The GAN is dead; long live the GAN!"). Its slope at true and at
drawn images is kept small, measured by finite differences (Lin et al. 2025, "Diffusion Adversarial
Post-Training for One-Step Video Generation").
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldfm_gym.errors import ConfigError
from worldfm_gym.frame_model.conditioning import CONDITIONING_CHANNELS, NOISE_CHANNELS
from worldfm_gym.training.conditioned import ConditionedViews
from worldfm_gym.training.learner import Arithmetic, Learner
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.processes import Processes
from worldfm_gym.training.stage import Moment

_SLOPE = 0.2  # of the leaky rectifiers


@dataclass(kw_only=True)
class AdversarialOptions:
    """The discriminator and what it counts."""

    weight: float = 0.5
    """Root mean square of its direction, where distribution matching has about 1; 0: without it."""
    told: float = 0.4
    """What it counts on pixels that the anchor or a warped reference shows."""
    ramp: float = 0.1
    """Share of the budget over which the weight rises from 0, for the discriminator to learn."""
    width: int = 64
    """Channels of its first layer."""
    learning_rate: float = 2.0
    """Its learning rate, relative to the student's."""
    smoothness: float = 50.0
    """Weight of the squared change of its judgment under a little noise."""
    smoothness_noise: float = 0.05
    """Standard deviation of that noise; images are in [−1, 1]."""

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0 <= self.told <= 1 or self.width < 1:
            raise ConfigError(
                f"adversarial weight must not be negative, told be in 0…1 and width at least 1, "
                f"got {self.weight}, {self.told} and {self.width}"
            )


class PatchDiscriminator(nn.Module):
    """Convolutions that judge 8×8 and 16×16-pixel cells of images by what is around them."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = NOISE_CHANNELS + CONDITIONING_CHANNELS + 1
        self.scales = nn.ModuleList(_judge_of(channels, width) for _ in range(2))

    def forward(self, images: Tensor, given: Tensor) -> list[Tensor]:
        """Judgments of images, high where they look true.

        Args:
            images: rgb and depth code, [B, 4, H, W].
            given: What the frame model was told, from `_given`, [B, 10, H, W].

        Returns:
            For each scale [B, 1, h, w].
        """
        x = torch.cat([images, given], dim=1).contiguous(memory_format=torch.channels_last)
        judgments = []
        for scale in self.scales:
            judgments.append(scale(x).float())
            x = F.avg_pool2d(x, 2)
        return judgments


def _judge_of(channels: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (stride, wider) in enumerate([(2, 1), (2, 2), (2, 4), (1, 4)]):
        size = 4 if stride == 2 else 3
        layers += [
            nn.Conv2d(channels, wider * width, size, stride=stride, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=i > 0),
        ]
        channels = wider * width
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1))


class Adversary:
    """A discriminator in training, and the direction in which it sends the student."""

    def __init__(
        self,
        options: AdversarialOptions,
        *,
        optimizer: OptimizerOptions,
        arithmetic: Arithmetic,
        processes: Processes,
        seed: int,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = PatchDiscriminator(options.width)
        rate = options.learning_rate * optimizer.learning_rate
        self._options, self._arithmetic = options, arithmetic
        self.learner = Learner(
            network,
            lambda discriminator: discriminator,
            options=replace(optimizer, learning_rate=rate),
            arithmetic=arithmetic,
            processes=processes,
            averaged=False,
        )

    def loss(self, views: ConditionedViews, drawn: Tensor, moment: Moment) -> Tensor:
        """A loss whose gradient leads drawn images to where they are judged truer.

        Its root mean square over the pixels that count is the option's weight, whatever the
        discriminator's scale.
        """
        options = self._options
        leaf = drawn.detach().requires_grad_()
        with self._arithmetic.context():
            of_drawn = self.learner.plain(_visible(views, leaf), _given(views))
            with torch.no_grad():
                of_truth = self.learner.plain(_visible(views, views.truth), _given(views))
        judged = _relative(of_drawn, of_truth, self._cells(views))
        (direction,) = torch.autograd.grad(judged, leaf)
        counted = self._pixels(views)
        direction = torch.nan_to_num(direction * counted)
        size = (direction.square().sum() / (4 * counted.sum() + 1e-6)).sqrt().clamp(min=1e-12)
        risen = 1.0 if options.ramp <= 0 else min(1.0, moment.progress / options.ramp)
        goal = drawn.detach() - direction * (options.weight * risen / size)
        return 0.5 * F.mse_loss(drawn, goal)

    def train(self, views: ConditionedViews, drawn: Tensor, moment: Moment) -> dict[str, Tensor]:
        """One step of telling true from drawn images."""
        options = self._options
        both = torch.cat([_visible(views, views.truth), _visible(views, drawn)])
        noise = torch.randn(
            both.shape, generator=moment.generator, device=both.device, dtype=both.dtype
        )
        near = both + options.smoothness_noise * noise
        given = _given(views).repeat(4, 1, 1, 1)
        with self._arithmetic.context():
            judged = self.learner.shared(torch.cat([both, near]), given)
        parts = [scale.chunk(4) for scale in judged]
        told_apart = _relative(
            [part[0] for part in parts], [part[1] for part in parts], self._cells(views)
        )
        changes = [scale[: 2 * len(views)] - scale[2 * len(views) :] for scale in judged]
        roughness = torch.stack([change.square().mean() for change in changes]).mean()
        norm = self.learner.update(told_apart + options.smoothness * roughness, rate=moment.rate)
        return {
            "adversary": told_apart.detach(),
            "adversary_roughness": roughness.detach(),
            "adversary_norm": norm,
        }

    def _pixels(self, views: ConditionedViews) -> Tensor:
        """What each pixel counts, [B, 1, H, W]."""
        return 1 + (self._options.told - 1) * views.told

    def _cells(self, views: ConditionedViews) -> list[Tensor]:
        """What each judged cell counts, by scale."""
        pixels = self._pixels(views)
        return [F.avg_pool2d(pixels, side) for side in (8, 16)]


def _relative(higher: list[Tensor], lower: list[Tensor], counted: list[Tensor]) -> Tensor:
    """Softplus of how little each cell of one kind of images is judged above the other's."""
    losses = [
        (weight * F.softplus(other - one)).sum() / (weight.sum() + 1e-6)
        for one, other, weight in zip(higher, lower, counted, strict=True)
    ]
    return torch.stack(losses).mean()


def _visible(views: ConditionedViews, images: Tensor) -> Tensor:
    """Images without depth where the truth has none, so that nothing is told by its absence."""
    return torch.cat([images[:, :3], images[:, 3:] * views.known], dim=1)


def _given(views: ConditionedViews) -> Tensor:
    """What the frame model was told, [B, 10, H, W]."""
    return torch.cat([views.conditioning, views.told], dim=1)
