import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from worldfm_gym.frame_model.conditioning import PosedImages, pixel_rays
from worldfm_gym.training import metrics

SIZE = 32


@pytest.fixture
def textures():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def blurred(rgb, taps=5):
    x = rgb.movedim(-1, 1).float()
    x = torch.nn.functional.avg_pool2d(x, taps, stride=1, padding=taps // 2)
    return x.round().to(torch.uint8).movedim(1, -1)


def full_mask(value=True):
    return torch.full((3, SIZE, SIZE), value)


def test_psnr_of_a_constant_difference():
    rgb = torch.full((1, SIZE, SIZE, 3), 100, dtype=torch.uint8)
    assert float(metrics.psnr(rgb, rgb + 10)) == pytest.approx(20 * np.log10(255 / 10), abs=1e-4)
    assert float(metrics.psnr(rgb, rgb)) == 60.0


def test_psnr_and_ssim_agree_with_torchmetrics(textures):
    a, b = textures[0], blurred(textures[0])
    images = [x.movedim(-1, 1).double() / 255 for x in (a, b)]
    expected = peak_signal_noise_ratio(*images, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(metrics.psnr(a, b).double(), expected, atol=1e-3, rtol=0)
    expected = structural_similarity_index_measure(*images, data_range=1.0, reduction="none")
    whole = metrics.masked_mean(metrics.ssim_map(a, b))
    torch.testing.assert_close(whole.double(), expected, atol=1e-5, rtol=0)


def test_masked_values_ignore_the_rest(textures):
    rgb, truth = textures[0], textures[0].clone()
    truth[:, :, :16] = 255 - truth[:, :, :16]
    left = full_mask(False)
    left[:, :, :16] = True
    assert metrics.psnr(rgb, truth, mask=~left).tolist() == [60.0] * 3
    other = textures[1].clone()
    other[:, :, :16] = truth[:, :, :16]
    torch.testing.assert_close(
        metrics.psnr(rgb, truth, mask=left), metrics.psnr(rgb, other, mask=left)
    )


def test_too_few_pixels_are_no_value(textures):
    mask = full_mask(False)
    mask[0, 0, :10] = True  # 10 of 1024, under 1 %
    mask[1, 0, :11] = True
    known = ~metrics.psnr(textures[0], textures[1], mask=mask).isnan()
    assert known.tolist() == [False, True, False]


def test_gradient_energy_of_a_step():
    rgb = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    rgb[:, :, 8:] = 51  # 0.2 of white
    everywhere = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    expected = SIZE * 3 * 0.2**2
    assert float(metrics.gradient_energy(rgb, everywhere)) == pytest.approx(expected)
    right = everywhere.clone()
    right[:, :, :8] = False  # the step is between a masked pixel and one that isn't
    assert float(metrics.gradient_energy(rgb, right)) == 0.0


def test_a_blurred_copy_is_less_sharp(textures):
    truth, mask = textures[0], full_mask()
    energy = metrics.gradient_energy(truth, mask)
    assert (metrics.gradient_energy(blurred(truth, 3), mask) < 0.85 * energy).all()
    noisy = (truth.float() + 40 * torch.randn(truth.shape, generator=torch.Generator())).clamp(
        0, 255
    )
    assert (metrics.gradient_energy(noisy.to(torch.uint8), mask) > energy).all()


def test_depth_errors_by_hand():
    truth = torch.full((1, SIZE, SIZE), 2.0)
    truth[:, :4] = 0.0  # unknown: does not count
    mask = torch.ones_like(truth, dtype=torch.bool)
    depth_z = torch.full_like(truth, 2.5)
    assert float(metrics.absolute_relative_error(depth_z, truth, mask)) == pytest.approx(0.25)
    assert float(metrics.inverse_depth_error(depth_z, truth, mask)) == pytest.approx(0.1)
    assert float(metrics.inverse_depth_error(0 * depth_z, truth, mask)) == pytest.approx(0.5)


def wall_views(offset_x, depth_z=None):
    """A camera that looks along +z at a wall 2 m away, from `offset_x` metres to the right."""
    c2w = torch.eye(4)[None].clone()
    c2w[0, 0, 3] = offset_x
    intrinsics = torch.tensor([[30.0, 28.0, 16.0, 15.0]])
    depth_z = torch.full((1, SIZE, SIZE), 2.0) if depth_z is None else depth_z
    x = offset_x + pixel_rays(intrinsics, SIZE, SIZE)[:, 0] * depth_z
    shade = (128 + 60 * x)[..., None].round().to(torch.uint8)  # the wall's paint, linear in x
    return PosedImages(shade.expand(-1, -1, -1, 3), depth_z, c2w, intrinsics)


def test_warp_carries_the_wall_where_both_see_it():
    near, view = wall_views(0.4), wall_views(0.0)
    x = 0.4 + pixel_rays(near.intrinsics, SIZE, SIZE)[:, :1] * 2.0
    carried, visible = metrics.warp_view(near, view, x)
    wanted = pixel_rays(view.intrinsics, SIZE, SIZE)[:, :1] * 2.0
    assert (carried - wanted)[visible[:, None]].abs().max() < 1e-4
    # Moving by 0.4 m at 2 m shifts the image by 6 pixels: those on the left leave it.
    assert visible[0, :, 6:].all()
    assert not visible[0, :, :6].any()


def test_warp_leaves_out_what_is_hidden():
    depth_z = torch.full((1, SIZE, SIZE), 2.0)
    depth_z[:, 10:20, 10:20] = 1.0
    _, visible = metrics.warp_view(
        wall_views(0.0, depth_z), wall_views(0.0), torch.zeros(1, 1, SIZE, SIZE)
    )
    assert not visible[0, 10:20, 10:20].any()
    assert visible[0, :9].all()


def test_consistency_of_the_truth_and_of_noise(textures):
    view, near = wall_views(0.0), wall_views(0.1)
    masks = torch.ones(2, 1, SIZE, SIZE, dtype=torch.bool)
    same = metrics.consistency(view, near, rgb=view.rgb, neighbor_rgb=near.rgb, masks=masks)
    assert float(same) > 50
    noise = textures[:, :1]
    other = metrics.consistency(view, near, rgb=noise[0], neighbor_rgb=noise[1], masks=masks)
    assert float(other) < 12
    # Pixels that were not invented in both views don't count.
    masks[1] = False
    nothing = metrics.consistency(view, near, rgb=noise[0], neighbor_rgb=noise[1], masks=masks)
    assert nothing.isnan().all()
