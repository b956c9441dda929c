"""Stage 2: the frame model learns to use its anchor, at the noise levels it is to train on."""

from pathlib import Path

import pytest
import torch

from tests.worldfm_gym.training.toy_training import logged, toy_options, toy_source
from worldfm_gym.training.control import AnchorOptions, ControlOptions, train_control
from worldfm_gym.training.losses import LossOptions, reconstruction_loss
from worldfm_gym.training.timesteps import TimeOptions, draw_times


def test_loss_falls_most_where_the_anchor_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = toy_options(tmp_path, steps=30, groups=4)
    train_control(ControlOptions(**options), source=toy_source())
    told = capsys.readouterr().out
    losses = logged(told, "loss")
    assert losses[-1] < 0.6 * losses[0]
    assert logged(told, "rgb/covered")[-1] < 0.3 * logged(told, "rgb/uncovered")[-1]


def test_the_anchor_is_phased_in() -> None:
    options = AnchorOptions(first=0.2, last=1.0, ramp=0.5)
    assert options.probability(0) == pytest.approx(0.2)
    assert options.probability(0.25) == pytest.approx(0.6)
    assert options.probability(0.5) == options.probability(1.0) == 1.0
    assert AnchorOptions(ramp=0).probability(0) == AnchorOptions().last


def test_times_are_those_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    options = TimeOptions(pure_noise=0.25, second_step=0.1, shift=3)
    times = draw_times(options, 40_000, generator=generator, device=torch.device("cpu"))
    assert (times == 1).float().mean() == pytest.approx(0.25, abs=0.01)
    near = ((times > 0.16) & (times < 0.24)).float().mean()
    # t = 3u / (1 + 2u) lies there for u in 0.06…0.0952.
    assert near == pytest.approx(0.1 + 0.65 * 0.0352, abs=0.01)
    others = times[(times < 1) & ~((times > 0.16) & (times < 0.24))]
    assert others.median() > 0.7
    assert others.min() > 0


def test_loss_weighs_its_parts_as_told() -> None:
    generator = torch.Generator().manual_seed(1)
    predicted, truth = torch.randn(2, 3, 4, 8, 6, generator=generator)
    known = (torch.rand(3, 1, 8, 6, generator=generator) > 0.3).float()
    covered = (torch.rand(3, 1, 8, 6, generator=generator) > 0.5).float()
    pixels = torch.rand(3, 1, 8, 6, generator=generator)
    time = torch.tensor([1.0, 0.8, 0.1])
    loss, parts = reconstruction_loss(
        predicted,
        truth,
        known=known,
        covered=covered,
        time=time,
        options=LossOptions(rgb=2, depth=3, gradient=0, time_cap=4),
        pixels=pixels,
    )
    squared = (predicted - truth) ** 2
    each = pixels * (2 * squared[:, :3].mean(1, keepdim=True) + 3 * squared[:, 3:] * known)
    weight = torch.tensor([1.0, 1 / 0.64, 4.0])
    assert loss == pytest.approx(float((weight * each.mean((1, 2, 3))).mean()), rel=1e-5)
    rgb = squared[:, :3].mean(1)
    inside = covered[:, 0] > 0
    assert parts["rgb/covered"] == pytest.approx(float(rgb[inside].mean()), rel=1e-4)
    assert parts["rgb/uncovered"] == pytest.approx(float(rgb[~inside].mean()), rel=1e-4)


def test_gradient_loss_sees_edges_only_and_huber_grows_linearly() -> None:
    truth = torch.zeros(1, 4, 8, 8)
    mask = torch.ones(1, 1, 8, 8)

    def loss(predicted: torch.Tensor, options: LossOptions) -> float:
        value, _ = reconstruction_loss(
            predicted, truth, known=mask, covered=mask, time=None, options=options
        )
        return float(value)

    edges = LossOptions(rgb=0, depth=0, gradient=1)
    assert loss(truth + 0.5, edges) == 0
    step = truth.clone()
    step[..., 4:] = 0.5
    assert loss(step, edges) == pytest.approx(0.25 / 7)
    huber = LossOptions(depth=0, gradient=0, huber=0.1)
    assert loss(truth + 0.05, huber) == pytest.approx(0.0025, rel=1e-4)
    slope = (loss(truth + 1.0, huber) - loss(truth + 0.8, huber)) / 0.2
    assert slope == pytest.approx(0.2, rel=1e-3)
