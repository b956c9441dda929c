"""The depth network's shapes, inputs and size."""

import pytest
import torch

from worldfm_gym.errors import ReconstructionError
from worldfm_gym.reconstruction.depth_network import DepthNet, DepthNetConfig

TINY = DepthNetConfig(widths=(8, 8, 16, 32), down=(1, 1), attention=1)


def inputs(batch=2, height=32, width=48, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rgb = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    focal, center = torch.full((batch, 2), 40.0), torch.tensor([[24.0, 16.0]] * batch)
    return rgb, focal, center, torch.ones(batch, dtype=torch.bool)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = DepthNet(TINY).eval()
    for parameter in network.parameters():  # not as small as at the start of training
        torch.nn.init.normal_(parameter.data, std=0.2)
    return network


def test_the_default_network_is_small():
    parameters = sum(p.numel() for p in DepthNet().parameters())
    assert parameters <= 6_000_000
    assert 2 * parameters < 12 * 2**20


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (48, 16)])
def test_every_pixel_gets_depth(network, size):
    predicted = network(*inputs(3, *size))
    assert predicted.log_depth.shape == predicted.log_error.shape == (3, *size)
    assert predicted.log_focal.shape == (3,)
    torch.testing.assert_close(predicted.up_camera.norm(dim=1), torch.ones(3))


def test_an_unknown_lens_is_not_read(network):
    rgb, focal, center, _ = inputs()
    unknown = torch.zeros(2, dtype=torch.bool)
    first = network(rgb, focal, center, unknown).log_depth
    second = network(rgb, focal * 3, center + 5, unknown).log_depth
    torch.testing.assert_close(first, second)


def test_a_known_lens_counts(network):
    rgb, focal, center, known = inputs()
    first = network(rgb, focal, center, known).log_depth
    second = network(rgb, focal * 3, center, known).log_depth
    assert (first - second).abs().max() > 1e-3


def test_images_of_a_batch_do_not_mix(network):
    rgb, focal, center, known = inputs()
    together = network(rgb, focal, center, known).log_depth
    alone = network(rgb[1:], focal[1:], center[1:], known[1:]).log_depth
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


def test_far_patches_see_one_another(network):
    rgb, *rest = inputs()
    changed = rgb.clone()
    changed[..., :16, :16] = 0.9
    difference = network(rgb, *rest).log_depth - network(changed, *rest).log_depth
    assert difference[:, 20:, 40:].abs().max() > 1e-5


def test_other_sizes_are_refused(network):
    with pytest.raises(ReconstructionError, match="multiples of 16 pixels, got 40×30"):
        network(*inputs(1, 30, 40))


@pytest.mark.parametrize("values", [{"widths": (8, 8, 8)}, {"head_dim": 30}, {"down": (1,)}])
def test_bad_shapes_are_refused(values):
    with pytest.raises(ReconstructionError):
        DepthNetConfig(**values)
