"""The CPU path draws what the network draws, and its kernels compute what torch computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.worldfm_gym.frame_model import drawing
from worldfm_gym.camera import heading_c2w
from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model import (
    conditioning,
    cpu_conditioning,
    cpu_kernels,
    cpu_noise,
    noise,
)
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.frame_model.cpu_path import CpuFrameDiT
from worldfm_gym.frame_model.targets import Targets


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("references", [0, 1, 2])
def test_draws_what_the_network_draws(steps: int, references: int) -> None:
    network = drawing.lively_network()
    targets = drawing.make_targets(references=references)
    images, lenses = drawing.make_references()
    fast = CpuFrameDiT(network)
    theirs = network.encode_references(images, lenses) if references else None
    ours = fast.encode_references(images, lenses) if references else None
    torch.testing.assert_close(
        fast.sample(targets, ours, steps=steps),
        drawing.draw_plainly(network, targets, theirs, steps=steps),
        rtol=0,
        atol=1e-3,
    )


def test_encodes_references_as_the_network_does() -> None:
    network = drawing.lively_network()
    images, lenses = drawing.make_references()
    expected = network.encode_references(images, lenses)
    encoded = CpuFrameDiT(network).encode_references(images, lenses)
    torch.testing.assert_close(encoded.keys, expected.keys, rtol=0, atol=1e-4)
    torch.testing.assert_close(encoded.values, expected.values, rtol=0, atol=1e-4)


def test_a_view_does_not_depend_on_its_batch() -> None:
    fast = CpuFrameDiT(drawing.lively_network())
    memory = fast.encode_references(*drawing.make_references())
    targets = drawing.make_targets(3)
    alone = Targets(
        targets.noise[1:2], targets.conditioning[1:2], targets.intrinsics[1:2],
        targets.index[1:2], targets.relative[1:2], targets.log_weight[1:2],
    )  # fmt: skip
    assert torch.equal(fast.sample(targets, memory)[1], fast.sample(alone, memory)[0])


def test_more_steps_than_two_are_refused() -> None:
    with pytest.raises(FrameModelError, match="1 or 2 steps"):
        CpuFrameDiT(drawing.lively_network()).sample(drawing.make_targets(), None, steps=3)


def test_gelu_equals_torchs() -> None:
    x = torch.cat([torch.linspace(-30, 30, 9000), torch.tensor([-1e6, 1e6, 0.0])])[None]
    ours = x.clone()
    cpu_kernels.gelu_rows(ours.numpy())
    theirs = torch.nn.functional.gelu(x.double(), approximate="tanh").float()
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=1e-6)


def two_views(size: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, PosedImages]:
    """Depths, cameras and lenses of two views of a wavy wall, with two references each."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    depth = (2 + 0.3 * torch.sin(x / 9) + 0.3 * torch.cos(y / 7))[None].repeat(2, 1, 1)
    depth[:, :5] = 0
    lens = torch.tensor([[size / 2 + 0.3, size / 2, size / 2, size / 2 + 1]]).repeat(2, 1)
    places = [(0.0, 0.1), (0.1, -0.05), (0.05, 0.0), (-0.1, 0.15)]
    poses = [heading_c2w((x, 0.1, 0), yaw, 0.05).astype(np.float32) for x, yaw in places]
    c2w = torch.from_numpy(np.stack(poses))
    rgb = torch.randint(
        0, 256, (2, 2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    references = PosedImages(
        rgb,
        (depth + 0.02)[:, None].repeat(1, 2, 1, 1),
        c2w[2:][None].repeat(2, 1, 1, 1),
        lens[:, None].repeat(1, 2, 1),
    )
    return depth, c2w[:2], lens, references


def test_warps_as_torch_does() -> None:
    views = two_views(48)
    ours, theirs = cpu_conditioning.warp_references(*views), conditioning.warp_references(*views)
    assert theirs[1].mean() > 0.2
    for mine, expected in zip(ours, theirs, strict=True):
        # A pixel on the border between two pixels of a reference may fall to either side.
        assert ((mine - expected).abs() > 1e-3).float().mean() < 0.002


@pytest.mark.parametrize("uncovered", [0.1, 0.5, 1.0])
def test_completes_depth_as_torch_does(uncovered: float) -> None:
    depth_z, c2w, lens, references = two_views(64)
    depth_z = depth_z.clone()
    depth_z[:, :, : int(64 * uncovered)] = 0
    references.depth_z[1, 0, 20:40] = 0
    references.c2w[1, 1, :3, :3] *= -1  # looks the other way: all of it is behind the target
    views = (depth_z, c2w, lens, references)
    moving = torch.zeros(2, dtype=torch.bool)
    ours = cpu_conditioning.complete_depth(*views, still=moving)
    theirs = conditioning.complete_depth(*views, still=moving)
    assert (theirs > 0).sum() > (depth_z > 0).sum() + 100
    # A point on the border between two pixels may fall to either side.
    assert ((ours - theirs).abs() > 1e-3).float().mean() < 0.002
    assert torch.equal(ours[depth_z > 0], depth_z[depth_z > 0])


def test_sees_through_the_anchor_as_torch_does() -> None:
    depth_z, c2w, lens, references = two_views(64)
    depth_z = depth_z.clone()
    depth_z[:, 20:50, 10:40] *= 1.5
    depth_z[:, ::9, ::7] *= 1.3  # single pixels stay
    still = torch.tensor([True, False])
    views = (depth_z, c2w, lens, references)
    ours = cpu_conditioning.complete_depth(*views, still=still)
    theirs = conditioning.complete_depth(*views, still=still)
    shown = conditioning.shown_anchor(depth_z, theirs)
    covered = depth_z > 0
    assert 500 < (covered & ~shown)[0].sum() < 1100
    assert torch.equal(shown[1], covered[1])
    assert ((ours - theirs).abs() > 1e-3).float().mean() < 0.004


def test_completed_depth_without_references_is_the_anchors() -> None:
    depth_z, c2w, lens, references = two_views(16)
    none = PosedImages(
        references.rgb[:, :0], references.depth_z[:, :0], references.c2w[:, :0],
        references.intrinsics[:, :0],
    )  # fmt: skip
    assert torch.equal(cpu_conditioning.complete_depth(depth_z, c2w, lens, none), depth_z)


@pytest.mark.parametrize("size", [48, 56])
def test_draws_the_very_noise_that_torch_draws(size: int) -> None:
    depth_z, c2w, lens, _ = two_views(size)
    depth_z = depth_z.clone()
    depth_z[1, 7:, 9:] = 0
    random = torch.Generator().manual_seed(0)
    index = torch.randint(-500, 500, (2, size, size), dtype=torch.int32, generator=random)
    index = index.clamp(min=-1)
    salt = torch.tensor([1 << 55, -3])
    ours = cpu_noise.anchored_noise(index, c2w, lens, salt, depth_z=depth_z)
    theirs = noise.anchored_noise(index, c2w, lens, salt, depth_z=depth_z)
    seen = (index >= 0)[:, None].expand_as(ours)
    assert torch.equal(ours[seen], theirs[seen])
    # Directions on the border between two cells may fall to either side.
    assert ((ours - theirs).abs() > 1e-5).float().mean() < 0.004
