"""Batches are cut and moved whole."""

from __future__ import annotations

import torch

from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.batch import Batch


def make_batch(groups: int = 3, targets: int = 2, references: int = 1) -> Batch:
    def posed(count: int) -> PosedImages:
        shape = (groups, count)
        return PosedImages(
            torch.randint(256, (*shape, 8, 16, 3), dtype=torch.uint8),
            torch.rand(*shape, 8, 16),
            torch.eye(4).repeat(*shape, 1, 1),
            torch.rand(*shape, 4),
        )

    shape = (groups, targets, 8, 16)
    return Batch(
        target=posed(targets),
        anchor_rgb=torch.zeros(*shape, 3, dtype=torch.uint8),
        anchor_depth_z=torch.zeros(shape),
        anchor_index=torch.arange(groups * targets * 128, dtype=torch.int32).view(shape),
        references=posed(references),
        salt=torch.arange(groups),
    )


def test_samples_are_targets() -> None:
    assert make_batch().samples == 6


def test_a_slice_keeps_groups_together() -> None:
    batch = make_batch()
    part = batch[1:3]
    assert part.salt.tolist() == [1, 2]
    assert part.samples == 4
    assert torch.equal(part.target.rgb, batch.target.rgb[1:3])
    assert torch.equal(part.references.c2w, batch.references.c2w[1:3])
    assert torch.equal(part.anchor_index, batch.anchor_index[1:3])


def test_to_moves_every_tensor() -> None:
    moved = make_batch().to("meta")
    for images in (moved.target, moved.references):
        assert {images.rgb.device.type, images.depth_z.device.type} == {"meta"}
        assert {images.c2w.device.type, images.intrinsics.device.type} == {"meta"}
    own = (moved.anchor_rgb, moved.anchor_depth_z, moved.anchor_index, moved.salt)
    assert {tensor.device.type for tensor in own} == {"meta"}
