"""WorldFM-XL against the released implementation, and its checkpoints against bad files.

The outputs of the released implementation for a small seeded network lie beside the checkout; where
they are missing, what needs them is skipped, and properties of the same network are still checked.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.worldfm_xl import (
    WorldFMXL,
    WorldFMXLConfig,
    alphas_cumprod,
    wide_positions,
)
from worldfm_gym.frame_model.xl_checkpoint import network_from
from worldfm_gym.frame_model.xl_sampler import sample_latents

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "worldfm_small.safetensors"
SMALL = WorldFMXLConfig(latent_side=8, width=32, depth=2, heads=2)


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_file():
        pytest.skip("no golden data beside the checkout")
    return load_file(GOLDEN)


@pytest.fixture(scope="module")
def golden_network(golden):
    state = {k.removeprefix("sd."): v for k, v in golden.items() if k.startswith("sd.")}
    return network_from(state, where="golden", heads=4).eval()


def context_of(network, golden):
    images = (golden["in.render_latent"], golden["in.reference_latent"])
    return torch.cat([network.embed(z, k) for k, z in enumerate(images, start=1)], dim=1)


@pytest.mark.parametrize("time", [999, 200])
def test_the_network_is_the_released_one(golden, golden_network, time):
    with torch.no_grad():
        context = context_of(golden_network, golden)
        drawn = golden_network(golden["in.z"], context, torch.full((2,), time))
    torch.testing.assert_close(drawn, golden[f"out.net_t{time}"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("steps", [1, 2])
def test_samples_are_the_released_ones(golden, golden_network, steps):
    noise = torch.stack([golden["in.z"], golden["in.renoise"]])
    with torch.no_grad():
        context = context_of(golden_network, golden)
        drawn = sample_latents(golden_network, noise, context, steps=steps)
    torch.testing.assert_close(drawn, golden[f"out.sample_{steps}step"], atol=1e-4, rtol=0)


def test_the_schedule_is_the_released_one(golden):
    torch.testing.assert_close(alphas_cumprod(), golden["alphas_cumprod"], atol=1e-6, rtol=0)


def test_the_released_size_has_456_million_parameters():
    with torch.device("meta"):
        network = WorldFMXL()
    assert sum(p.numel() for p in network.parameters()) == 456_043_424


def test_the_wide_picture_spans_one_range_along_both_axes():
    places = wide_positions(6, 16)
    # Column 9 of 18 stands at 3 of 6: halfway, as row 3 does.
    halfway_across = places[1, 3, :8]  # image 1 begins at column 6
    halfway_down = places[0, 3 * 6, 8:]
    torch.testing.assert_close(halfway_across, halfway_down)


def test_context_matters_and_so_does_which_image_it_is():
    torch.manual_seed(0)
    network = seeded(SMALL)
    z, a, b = torch.randn(3, 1, 4, 8, 8)
    time = torch.tensor([999])
    with torch.no_grad():
        one = network(z, torch.cat([network.embed(a, 1), network.embed(b, 2)], 1), time)
        other = network(z, torch.cat([network.embed(b, 1), network.embed(a, 2)], 1), time)
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("blocks.1.attn.qkv.bias"), "blocks.1.attn.qkv.bias is missing"),
        (lambda s: s.update({"extra.weight": torch.zeros(1)}), "extra.weight is unknown"),
        (
            lambda s: s.update({"final_layer.linear.bias": torch.zeros(5)}),
            r"final_layer.linear.bias has shape \[5\], expected \[32\]",
        ),
        (lambda s: s.clear(), "no x_embedder.proj.weight"),
    ],
)
def test_other_tensors_are_refused_by_name(spoil, message):
    state = released_state(seeded(SMALL))
    spoil(state)
    with pytest.raises(FrameModelError, match=message):
        network_from(state, where="the file", heads=2)


def test_what_is_idle_is_read_past():
    network = seeded(SMALL)
    loaded = network_from(released_state(network), where="the file", heads=2)
    assert loaded.config == SMALL
    assert loaded.state_dict().keys() == network.state_dict().keys()


def seeded(config):
    """A network with weights of ordinary size, so that every part of it has an effect."""
    torch.manual_seed(1)
    network = WorldFMXL(config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def released_state(network):
    """The network's tensors, with some that the released files hold besides."""
    width, tokens = network.config.width, (network.config.latent_side // 2) ** 2
    return {
        **network.state_dict(),
        "pos_embed": torch.zeros(1, tokens, width),
        "y_embedder.y_embedding": torch.zeros(8, 32),
        "blocks.0.cross_attn.proj.bias": torch.zeros(width),
        "plucker_proj.0.weight": torch.zeros(width, 6),
    }
