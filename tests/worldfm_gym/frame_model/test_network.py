"""FrameDiT: only relations between cameras matter, any size works, references can be kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.worldfm_gym.frame_model import drawing
from worldfm_gym.camera import heading_c2w
from worldfm_gym.frame_model.attention import project, rotary_of_rays, rotate
from worldfm_gym.frame_model.conditioning import relative_projection
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.pretrained import FrameModel


def pose(x: float, y: float, yaw: float) -> torch.Tensor:
    return torch.from_numpy(heading_c2w((x, y, 1.2), yaw, 0.1).astype(np.float32))


def test_moving_the_whole_world_changes_nothing() -> None:
    network = drawing.lively_network()
    images, lenses = drawing.make_references(height=24, width=16)
    memory = network.encode_references(images[:2], lenses[:2])
    gathered = KeysValues(*(kept.flatten(1, 2)[:, None] for kept in (memory.keys, memory.values)))
    targets = drawing.make_targets(1)
    moved = pose(40.0, -25.0, 2.0)
    drawn = []
    for world in (torch.eye(4), moved):
        c2w = (world @ pose(0.3, 0.2, 0.4))[None]
        refs = torch.stack([world @ pose(0, 0, 0), world @ pose(0.5, 0.4, 0.7)])[None]
        relative = relative_projection(
            c2w, targets.intrinsics, (24, 16), refs, lenses[None, :2], (24, 16)
        )
        drawn.append(
            network(
                targets.noise, torch.ones(1), targets.conditioning, targets.intrinsics,
                gathered, relative,
            )
        )  # fmt: skip
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=1e-3)


def test_a_reference_has_the_same_keys_alone_and_in_company() -> None:
    network = drawing.lively_network()
    images, lenses = drawing.make_references()
    together = network.encode_references(images, lenses)
    alone = network.encode_references(images[1:2], lenses[1:2])
    torch.testing.assert_close(together.keys[:, 1:2], alone.keys, rtol=0, atol=1e-5)
    torch.testing.assert_close(together.values[:, 1:2], alone.values, rtol=0, atol=1e-5)


def test_a_reference_of_weight_zero_is_as_if_it_were_not_there() -> None:
    network = drawing.lively_network()
    targets = drawing.make_targets(1)
    memory = network.encode_references(*drawing.make_references())
    one = drawing.make_targets(1, references=1)
    fewer = KeysValues(
        *(k[:, targets.index[:, :1]].flatten(2, 3) for k in (memory.keys, memory.values))
    )
    expected = network(
        targets.noise, torch.ones(1), targets.conditioning, targets.intrinsics, fewer,
        targets.relative[:, :1], torch.zeros_like(one.log_weight),
    )  # fmt: skip
    drawn = drawing.draw_plainly(network, targets, memory)
    torch.testing.assert_close(drawn, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 72), (80, 128), (104, 96)])
def test_any_multiple_of_eight_is_drawn(width: int, height: int) -> None:
    network = drawing.lively_network()
    targets = drawing.make_targets(1, height=height, width=width, references=0)
    assert drawing.draw_plainly(network, targets, None).shape == (1, 4, height, width)


def test_an_untrained_network_passes_its_conditioning_on() -> None:
    torch.manual_seed(0)
    network = FrameDiT(drawing.SMALL).requires_grad_(False)
    targets = drawing.make_targets(1, references=0)
    anchor, depth, _, warped, share = targets.conditioning.split([3, 1, 1, 3, 1], dim=1)
    start = torch.cat([anchor + share * (warped - anchor), depth], dim=1)
    assert (drawing.draw_plainly(network, targets, None) - start).abs().mean() < 0.1


def test_the_default_model_is_small_enough_to_ship(tmp_path) -> None:
    network = FrameDiT(FrameModelConfig())
    assert sum(weight.numel() for weight in network.parameters()) <= 8_000_000
    FrameModel(network).save_pretrained(tmp_path / "nano.safetensors")
    assert (tmp_path / "nano.safetensors").stat().st_size < 16 * 2**20


def test_rotary_attention_depends_on_differences_of_rays_only() -> None:
    q, k = torch.randn(2, 1, 1, 1, 64, generator=torch.Generator().manual_seed(0))
    here, there, shift = torch.tensor([[[0.1, -0.3]]]), torch.tensor([[[0.4, 0.2]]]), 0.37
    logits = [
        (rotate(q, rotary_of_rays(here + by, 64)) * rotate(k, rotary_of_rays(there + by, 64))).sum()
        for by in (0.0, shift)
    ]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-4)


def test_projections_of_keys_compose_and_spare_the_rotary_half() -> None:
    random = torch.Generator().manual_seed(0)
    keys = torch.randn(1, 6, 2, 32, generator=random)
    first, second = torch.randn(2, 1, 2, 4, 4, generator=random)
    once = project(project(keys, first), second)
    torch.testing.assert_close(once, project(keys, second @ first), rtol=1e-4, atol=1e-4)
    assert torch.equal(once[..., :16], keys[..., :16])
