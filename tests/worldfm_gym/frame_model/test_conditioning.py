"""Conditioning: codes go back and forth, and references land where geometry says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.frame_model.conditioning import (
    PosedImages,
    complete_depth,
    conditioning_channels,
    decode_depth,
    decode_rgb,
    encode_depth,
    encode_rgb,
    relative_projection,
    shown_anchor,
    warp_references,
)


@given(st.floats(0.06, 105.0))
def test_depth_codes_go_back_and_forth(depth_m: float) -> None:
    depth = torch.full((1, 1, 1), depth_m)
    torch.testing.assert_close(decode_depth(encode_depth(depth)), depth, rtol=1e-5, atol=0)


def test_unknown_depth_has_code_zero() -> None:
    assert encode_depth(torch.zeros(1, 2, 2)).abs().sum() == 0


def test_colors_go_back_and_forth() -> None:
    rgb = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    assert torch.equal(decode_rgb(encode_rgb(rgb)), rgb)


def plane(shift_m: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, PosedImages]:
    """A wall 2 m before two cameras side by side, which looks like a ramp along x."""
    size, focal, depth = 32, 32.0, 2.0
    lens = torch.tensor([[focal, focal, size / 2, size / 2]])
    ramp = (torch.arange(size) * 6).to(torch.uint8)[None, :, None].expand(size, -1, 3)
    ref_c2w = torch.eye(4)
    ref_c2w[0, 3] = shift_m
    wall = torch.full((1, size, size), depth)
    references = PosedImages(ramp[None, None], wall[None], ref_c2w[None, None], lens[None])
    return wall, torch.eye(4)[None], lens, references


def test_a_wall_is_carried_over_by_its_parallax() -> None:
    wall, c2w, lens, references = plane(0.25)  # 0.25 m · 32 px / 2 m = 4 px
    rgb, confidence = warp_references(wall, c2w, lens, references)
    expected = (torch.arange(32) - 4) * 6 / 127.5 - 1
    torch.testing.assert_close(rgb[0, 0, 16, 5:], expected[5:], rtol=0, atol=2e-3)
    assert (confidence[0, 0, :, :4] == 0).all()  # beyond the reference's border
    assert (confidence[0, 0, :, 5:] > 0.8).all()


def test_another_surface_is_not_carried_over() -> None:
    wall, c2w, lens, references = plane(0.0)
    hidden = PosedImages(
        references.rgb, references.depth_z * 0.8, references.c2w, references.intrinsics
    )
    assert warp_references(wall, c2w, lens, hidden)[1].abs().max() == 0
    assert warp_references(0 * wall, c2w, lens, references)[1].abs().max() == 0


def blank(depth_z: torch.Tensor, c2w: torch.Tensor, lens: torch.Tensor) -> PosedImages:
    """Black references with these depths, cameras and lenses."""
    rgb = torch.zeros(*depth_z.shape, 3, dtype=torch.uint8)
    return PosedImages(rgb, depth_z, c2w, lens)


def test_an_uncovered_wall_is_completed_to_its_depth() -> None:
    wall, c2w, lens, references = plane(0.25)
    completed = complete_depth(0 * wall, c2w, lens, references)
    # Its column 0 is column 4 here. A point covers the two columns that it lies between.
    assert (completed[..., 4:] == 2).all()
    assert (completed[..., :3] == 0).all()


def test_what_the_anchor_knows_counts_unless_a_reference_saw_something_before_it() -> None:
    wall, c2w, lens, references = plane(0.25)
    anchor = 0 * wall
    # About as far as the wall, clearly behind it, before it.
    anchor[:, 4:8, 8:24], anchor[:, 8:16, 8:24], anchor[:, 16:24, 8:24] = 2.2, 5, 1
    completed = complete_depth(anchor, c2w, lens, references)
    expected = torch.where((anchor == 2.2) | (anchor == 1), anchor, 2)
    assert torch.equal(completed[..., 4:], expected[..., 4:])
    assert torch.equal(shown_anchor(anchor, completed), (anchor == 2.2) | (anchor == 1))
    moving = complete_depth(anchor, c2w, lens, references, still=torch.tensor([False]))
    assert torch.equal(moving[anchor > 0], anchor[anchor > 0])


def test_the_rim_that_splats_add_to_a_thing_hides_nothing() -> None:
    _, c2w, lens, _ = plane(0.0)
    board = torch.zeros(1, 1, 32, 32)
    board[..., 10:20] = 1  # as splats, columns 10 to 20
    references = blank(board, c2w[:, None], lens[:, None])
    known = torch.where(board[0] > 0, 1.0, 3.0)
    assert torch.equal(complete_depth(known, c2w, lens, references), known)
    unknown = torch.full_like(known, 3.0)
    assert (complete_depth(unknown, c2w, lens, references)[..., 10:20] == 1).all()


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearest_of_parallel_planes_completes_the_view(order: list[int]) -> None:
    # From 0.5 m to the right: a board 2 m away before a wall at 4 m. From here: a board at 3 m.
    depth = torch.zeros(2, 32, 32)
    depth[0, :, :12], depth[0, :, 12:], depth[1, :, 10:30] = 2, 4, 3
    cameras = torch.eye(4).repeat(2, 1, 1)
    cameras[0, 0, 3] = 0.5
    lens = torch.tensor([[32.0, 32.0, 16.0, 16.0]])
    references = blank(depth[None, order], cameras[None, order], lens.expand(1, 2, 4))
    completed = complete_depth(torch.zeros(1, 32, 32), torch.eye(4)[None], lens, references)
    # 0.5 m are 8 px at 2 m, 4 px at 4 m.
    row = completed[0, 16]
    assert (row[:7] == 0).all()
    assert (row[8:20] == 2).all()
    assert (row[21:30] == 3).all()
    assert (row[31:] == 4).all()
    assert torch.equal(completed[0], row.expand(32, 32))


def test_references_without_depth_complete_nothing() -> None:
    wall, c2w, lens, references = plane(0.25)
    padded = blank(
        torch.cat([references.depth_z, 0 * references.depth_z], dim=1),
        references.c2w.expand(1, 2, 4, 4),
        references.intrinsics.expand(1, 2, 4),
    )
    one = complete_depth(0 * wall, c2w, lens, references)
    assert torch.equal(complete_depth(0 * wall, c2w, lens, padded), one)
    none = blank(torch.zeros(1, 0, 32, 32), torch.zeros(1, 0, 4, 4), torch.zeros(1, 0, 4))
    assert torch.equal(complete_depth(0 * wall, c2w, lens, none), 0 * wall)


def test_a_completed_view_does_not_depend_on_its_batch() -> None:
    alone = [plane(shift_m) for shift_m in (0.1, 0.25, 0.4)]
    wall, c2w, lens, _ = alone[0]
    joined = blank(
        torch.cat([references.depth_z for *_, references in alone]),
        torch.cat([references.c2w for *_, references in alone]),
        torch.cat([references.intrinsics for *_, references in alone]),
    )
    together = complete_depth(
        torch.zeros(3, 32, 32), c2w.expand(3, 4, 4), lens.expand(3, 4), joined
    )
    for (*_, references), completed in zip(alone, together, strict=True):
        assert torch.equal(complete_depth(0 * wall, c2w, lens, references)[0], completed)


def test_uncovered_pixels_of_the_anchor_are_blank() -> None:
    depth = torch.tensor([[[0.0, 2.5]]])
    rgb = torch.full((1, 1, 2, 3), 255, dtype=torch.uint8)
    channels = conditioning_channels(
        rgb,
        depth,
        completed_depth_z=depth,
        warped_rgb=torch.zeros(1, 3, 1, 2),
        confidence=torch.zeros(1, 1, 1, 2),
    )
    assert channels[0, :5, 0].T.tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 0, 1]]


def test_the_projection_of_a_camera_to_itself_is_the_identity() -> None:
    _, c2w, lens, references = plane(0.0)
    relative = relative_projection(
        c2w, lens, (32, 32), references.c2w, references.intrinsics, (32, 32)
    )
    torch.testing.assert_close(relative, torch.eye(4)[None, None], rtol=0, atol=1e-6)


@pytest.mark.parametrize("far_m", [0.0, 1e4])
def test_projections_far_from_the_origin_lose_nothing(far_m: float) -> None:
    _, c2w, lens, references = plane(0.25)
    away = torch.zeros(4, 4)
    away[0, 3] = far_m
    relative = relative_projection(
        c2w + away, lens, (32, 32), references.c2w + away, references.intrinsics, (32, 32)
    )
    # 0.25 m · (2 · 32 / 32) in normalized image coordinates, a third a metre.
    torch.testing.assert_close(relative[0, 0, 0, 3], torch.tensor(0.5 / 3), rtol=0, atol=1e-3)
