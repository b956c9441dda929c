"""Anchored noise: fixed to points and surfaces, standard normal, whatever the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldfm_gym.camera import heading_c2w
from worldfm_gym.frame_model.noise import anchored_noise, filled_depth, noise_in_torch

REPOSITORY = Path(__file__).parents[3]
UNKNOWN = torch.zeros(1, 64, 64)
LENS = torch.tensor([[32.0, 32.0, 32.0, 32.0]])


def pose(x: float, yaw: float) -> torch.Tensor:
    return torch.from_numpy(heading_c2w((x, 0, 1.2), yaw).astype(np.float32))[None]


def test_a_point_has_its_noise_wherever_it_is_seen_from() -> None:
    index = torch.arange(64 * 64, dtype=torch.int32).view(1, 64, 64)
    salt = torch.tensor([7])
    here = anchored_noise(index, pose(0, 0), LENS, salt, depth_z=UNKNOWN)
    there = anchored_noise(index.flip(2), pose(3, 1), 2 * LENS, salt, depth_z=UNKNOWN + 1)
    assert torch.equal(here, there.flip(3))


def noise_before_a_wall(x: float, y: float, yaw: float, depth_m: float) -> torch.Tensor:
    """Noise of a view without anchor that is everywhere so deep."""
    none = torch.full((1, 64, 64), -1, dtype=torch.int32)
    c2w = torch.from_numpy(heading_c2w((x, y, 1.2), yaw).astype(np.float32))[None]
    depth_z = torch.full((1, 64, 64), depth_m)
    return anchored_noise(none, c2w, 2 * LENS, torch.tensor([7]), depth_z=depth_z)


def agreement(one: torch.Tensor, other: torch.Tensor) -> float:
    """Correlation of two noises."""
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_invented_noise_moves_with_the_surface_as_the_camera_does() -> None:
    # 10 cm to the side are 6 px on a wall 64 px · 0.1 m / 6 px away. The camera looks along x.
    depth_m = 64 * 0.1 / 6
    here = noise_before_a_wall(0.3, 0.55, 0.0, depth_m)
    there = noise_before_a_wall(0.3, 0.45, 0.0, depth_m)
    moved = max(
        agreement(here[..., 6:], there[..., :-6]), agreement(here[..., :-6], there[..., 6:])
    )
    assert moved > 0.55
    assert abs(agreement(here, there)) < 0.1
    # As it does when the depth is only roughly known, and not if it is another.
    rough = noise_before_a_wall(0.3, 0.45, 0.0, 1.04 * depth_m)
    assert (
        agreement(here[..., :-6], rough[..., 6:]) + agreement(here[..., 6:], rough[..., :-6]) > 0.3
    )


def test_invented_noise_fades_over_metres_and_differs_by_direction() -> None:
    here = noise_before_a_wall(0.3, 0.5, 0.0, 3.0)
    assert agreement(here, noise_before_a_wall(0.3001, 0.5, 0.0, 3.0)) > 0.95
    assert abs(agreement(here, noise_before_a_wall(3.3, 0.5, 0.0, 3.0))) < 0.12
    assert abs(agreement(here, noise_before_a_wall(0.3, 0.5, 1.6, 3.0))) < 0.12
    nearly, past = (noise_before_a_wall(x, 0.5, 0.0, 3.0) for x in (0.99999, 1.00001))
    assert agreement(nearly, past) > 0.9  # nothing jumps at the lattice


@pytest.mark.parametrize("size", [(64, 64), (72, 104), (8, 16)])
def test_depth_is_filled_in_from_around(size: tuple[int, int]) -> None:
    depth_z = torch.zeros(3, *size)
    assert (filled_depth(depth_z) == 2.5).all()
    depth_z[1, 3, 5] = 4
    assert torch.allclose(filled_depth(depth_z)[1], torch.tensor(4.0))
    depth_z[2, :, 0], depth_z[2, :, -1] = 1, 3
    filled = filled_depth(depth_z)[2]
    assert (filled[:, 0] == 1).all()
    assert (filled[:, -1] == 3).all()
    assert (filled >= 1).all()
    assert (filled <= 3).all()
    assert (filled[:, : size[1] // 4] < filled[:, -(size[1] // 4) :]).float().mean() == 1


def test_worlds_have_different_noise() -> None:
    index = torch.arange(64 * 64, dtype=torch.int32).view(1, 64, 64)
    one, other = (
        anchored_noise(index, pose(0, 0), LENS, torch.tensor([s]), depth_z=UNKNOWN) for s in (1, 2)
    )
    assert abs(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) < 0.03


@pytest.mark.parametrize("covered", [True, False])
def test_it_is_standard_normal_and_channels_are_independent(covered: bool) -> None:
    worlds = 24  # where nothing is known, noise is drawn for cells of about 4×4 pixels
    index = torch.arange(128 * 128, dtype=torch.int32).view(1, 128, 128).repeat(worlds, 1, 1)
    index = index if covered else torch.full_like(index, -1)
    depth_z = torch.full(index.shape, 2.0)
    views = pose(0.4, 0).repeat(worlds, 1, 1), 4 * LENS.repeat(worlds, 1)
    noise = anchored_noise(index, *views, torch.arange(worlds), depth_z=depth_z)
    noise = noise.movedim(1, 0).flatten(1)
    assert noise.mean().abs() < 0.03
    assert (noise.std() - 1).abs() < 0.03
    assert (noise.pow(4).mean() - 3).abs() < 0.2
    assert (torch.corrcoef(noise) - torch.eye(4)).abs().max() < 0.04


def test_the_batch_does_not_matter() -> None:
    index = torch.randint(-9, 999, (3, 16, 24), generator=torch.Generator().manual_seed(0))
    index = index.clamp(min=-1).int()
    c2w, lens = torch.cat([pose(0, 0), pose(1, 1), pose(2, 2)]), LENS.repeat(3, 1)
    salt = torch.tensor([1, 2, 3])
    depth_z = torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(1)).sub(0.5).clamp(0)
    together = anchored_noise(index, c2w, lens, salt, depth_z=depth_z)
    for i in range(3):
        part = slice(i, i + 1)
        alone = anchored_noise(
            index[part], c2w[part], lens[part], salt[part], depth_z=depth_z[part]
        )
        assert torch.equal(together[part], alone)


def compare(device: str) -> None:
    """Raise unless the kernel draws the noise that torch draws."""
    from worldfm_gym.frame_model.noise_triton import draw_noise

    random = torch.Generator().manual_seed(0)
    index = torch.randint(-300, 300, (2, 24, 40), generator=random).clamp(min=-1).int()
    depth_z = torch.rand(2, 24, 40, generator=random).sub(0.6).clamp(min=0) * 10
    c2w, lens = torch.cat([pose(-0.3, 0), pose(1.2, 1)]), 0.6 * LENS.repeat(2, 1)
    views = [t.to(device) for t in (index, c2w, lens, torch.tensor([1 << 55, -3]), depth_z)]
    ours, theirs = draw_noise(*views), noise_in_torch(*views)
    seen = (views[0] >= 0)[:, None].expand_as(ours)
    assert torch.equal(ours[seen], theirs[seen])
    # Directions on the border between two cells may fall to either side.
    assert ((ours - theirs).abs() > 1e-5).float().mean() < 0.01


def test_the_kernel_draws_the_very_noise() -> None:
    subprocess.run(
        [sys.executable, "-c", f"from {__name__} import compare; compare('cpu')"],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        check=True,
        timeout=300,
    )


@pytest.mark.gpu
def test_the_kernel_draws_the_very_noise_on_a_gpu() -> None:
    compare("cuda")
