"""Anchored noise: fixed to points and directions, standard normal, whatever the batch."""

from __future__ import annotations

import numpy as np
import torch

from worldfm_gym.camera import heading_c2w
from worldfm_gym.frame_model.noise import anchored_noise

LENS = torch.tensor([[32.0, 32.0, 32.0, 32.0]])


def pose(x: float, yaw: float) -> torch.Tensor:
    return torch.from_numpy(heading_c2w((x, 0, 1.2), yaw).astype(np.float32))[None]


def test_a_point_has_its_noise_wherever_it_is_seen_from() -> None:
    index = torch.arange(64 * 64, dtype=torch.int32).view(1, 64, 64)
    salt = torch.tensor([7])
    here = anchored_noise(index, pose(0, 0), LENS, salt)
    there = anchored_noise(index.flip(2), pose(3, 1), 2 * LENS, salt)
    assert torch.equal(here, there.flip(3))


def test_an_uncovered_direction_keeps_its_noise_when_the_camera_moves() -> None:
    none = torch.full((1, 64, 64), -1, dtype=torch.int32)
    salt = torch.tensor([7])
    here = anchored_noise(none, pose(0, 0.3), LENS, salt)
    assert torch.equal(here, anchored_noise(none, pose(5, 0.3), LENS, salt))
    assert (here == anchored_noise(none, pose(0, 1.9), LENS, salt)).float().mean() < 0.05


def test_worlds_have_different_noise() -> None:
    index = torch.arange(64 * 64, dtype=torch.int32).view(1, 64, 64)
    one, other = (anchored_noise(index, pose(0, 0), LENS, torch.tensor([s])) for s in (1, 2))
    assert abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) < 0.03


def test_it_is_standard_normal_and_channels_are_independent() -> None:
    index = torch.arange(128 * 128, dtype=torch.int32).view(1, 128, 128)
    noise = anchored_noise(index, pose(0, 0), 2 * LENS, torch.tensor([3]))[0].flatten(1)
    assert noise.mean().abs() < 0.02
    assert (noise.std() - 1).abs() < 0.02
    assert (noise.pow(4).mean() - 3).abs() < 0.15
    assert (torch.corrcoef(noise) - torch.eye(4)).abs().max() < 0.03


def test_the_batch_does_not_matter() -> None:
    index = torch.randint(-9, 999, (3, 16, 24), generator=torch.Generator().manual_seed(0))
    index = index.clamp(min=-1).int()
    c2w, lens = torch.cat([pose(0, 0), pose(1, 1), pose(2, 2)]), LENS.repeat(3, 1)
    salt = torch.tensor([1, 2, 3])
    together = anchored_noise(index, c2w, lens, salt)
    for i in range(3):
        part = slice(i, i + 1)
        alone = anchored_noise(index[part], c2w[part], lens[part], salt[part])
        assert torch.equal(together[part], alone)
