"""What the depth losses punish, and what they leave free."""

import math
from dataclasses import replace

import pytest
import torch

from worldfm_gym.reconstruction.depth_network import Prediction
from worldfm_gym.training.depth_augmentation import DepthBatch
from worldfm_gym.training.depth_losses import DepthLossOptions, depth_loss

NONE = DepthLossOptions(
    scaled=0, absolute=0, likelihood=0, gradient=0, affine=0, focal=0, up=0
)  # fmt: skip


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    depth = 1 + 3 * torch.rand(2, 32, 48, generator=generator)
    depth[:, :4] = 0  # unknown
    return DepthBatch(
        rgb=torch.zeros(2, 3, 32, 48),
        depth_z=depth,
        intrinsics=torch.tensor([[40.0, 40.0, 24.0, 16.0]] * 2),
        up_camera=torch.tensor([[0.0, -1.0, 0.0]] * 2),
        known_lens=torch.tensor([True, False]),
    )


def exact(batch, log_error=-3.0):
    known = batch.depth_z.clamp(min=0.5)
    return Prediction(
        log_depth=known.log(),
        log_error=torch.full_like(known, log_error),
        log_focal=torch.full((2,), math.log(40 / 48)),
        log_focal_error=torch.full((2,), -3.0),
        up_camera=batch.up_camera.clone(),
    )


def only(**weights):
    return replace(NONE, **weights)


@pytest.mark.parametrize("part", ["scaled", "absolute", "gradient", "affine"])
def test_the_truth_costs_nothing(batch, part):
    loss, parts = depth_loss(exact(batch), batch, only(**{part: 1.0}))
    assert float(loss) == pytest.approx(0, abs=1e-6)
    assert float(parts["absrel"]) == pytest.approx(0, abs=1e-6)
    assert float(parts["delta"]) == 1


@pytest.mark.parametrize("part", ["scaled", "gradient", "affine"])
def test_scale_is_free(batch, part):
    truth = exact(batch)
    scaled = replace(truth, log_depth=truth.log_depth + 0.7)
    loss, _ = depth_loss(scaled, batch, only(**{part: 1.0}))
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_metres_are_not_free(batch):
    truth = exact(batch)
    scaled = replace(truth, log_depth=truth.log_depth + 0.7)
    loss, _ = depth_loss(scaled, batch, only(absolute=1.0))
    assert float(loss) == pytest.approx(0.7, abs=1e-5)


def test_a_shift_of_inverse_depth_is_free_for_the_affine_loss_alone(batch):
    truth = exact(batch)
    shifted = replace(truth, log_depth=-((-truth.log_depth).exp() + 0.3).log())
    assert float(depth_loss(shifted, batch, only(affine=1.0))[0]) == pytest.approx(0, abs=1e-5)
    assert float(depth_loss(shifted, batch, only(scaled=1.0))[0]) > 0.05


def test_unknown_depth_does_not_count(batch):
    truth = exact(batch)
    log_depth = truth.log_depth.clone()
    log_depth[:, :4] += 5
    for part in ("scaled", "absolute", "likelihood", "gradient", "affine"):
        same = [depth_loss(p, batch, only(**{part: 1.0}))[0]
                for p in (truth, replace(truth, log_depth=log_depth))]  # fmt: skip
        torch.testing.assert_close(*same)


def test_the_best_expected_error_is_the_error(batch):
    truth = exact(batch)
    wrong = torch.where(torch.arange(48) % 2 == 0, 0.2, -0.2)
    losses = []
    for log_error in (0.1, 0.2, 0.4):
        told = replace(
            truth,
            log_depth=truth.log_depth + wrong,
            log_error=torch.full_like(truth.log_depth, math.log(log_error)),
        )
        losses.append(float(depth_loss(told, batch, only(likelihood=1.0))[0]))
    assert losses[1] == min(losses)


def test_a_told_lens_is_not_asked_for(batch):
    truth = exact(batch)
    wrong_first = replace(truth, log_focal=truth.log_focal + torch.tensor([1.0, 0.0]))
    wrong_second = replace(truth, log_focal=truth.log_focal + torch.tensor([0.0, 1.0]))
    base, first, second = (
        float(depth_loss(p, batch, only(focal=1.0))[0]) for p in (truth, wrong_first, wrong_second)
    )
    assert first == pytest.approx(base)
    assert second > base + 1


def test_gradients_are_finite_even_at_the_truth(batch):
    truth = exact(batch)
    log_depth = truth.log_depth.clone().requires_grad_(True)
    up = truth.up_camera.clone().requires_grad_(True)
    loss, _ = depth_loss(
        replace(truth, log_depth=log_depth, up_camera=up), batch, DepthLossOptions()
    )
    loss.backward()
    assert log_depth.grad.isfinite().all()
    assert up.grad.isfinite().all()


def test_a_batch_without_known_depth_costs_no_depth(batch):
    nothing = replace(batch, depth_z=torch.zeros_like(batch.depth_z))
    loss, _ = depth_loss(exact(batch), nothing, only(scaled=1, gradient=1, affine=1, likelihood=1))
    assert float(loss) == 0
