"""Adapters of transformers' depth models, on tiny checkpoints with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BeitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    DepthProConfig,
    DepthProForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    GLPNConfig,
    GLPNForDepthEstimation,
    ViTConfig,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
)

from worldfm_gym.errors import ReconstructionError
from worldfm_gym.reconstruction import make_estimator
from worldfm_gym.reconstruction.depth_preparation import Preparation
from worldfm_gym.reconstruction.transformers_depth import depth_of_inverse

_SIZE = {"height": 56, "width": 56}
_K = np.array([[60.0, 0, 40], [0, 60, 30], [0, 0, 1]])


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def dinov2(**values):
    return Dinov2Config(
        image_size=56, patch_size=14, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, reshape_hidden_states=False, **values,
    )  # fmt: skip


def save(model, folder, processor):
    """A folder as the hub has it."""
    import json

    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def depth_anything(kind="relative", **values):
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=dinov2(out_indices=[1, 2]), reassemble_hidden_size=16, patch_size=14,
            reassemble_factors=[4, 2], neck_hidden_sizes=[8, 8], fusion_hidden_size=8,
            head_hidden_size=4, depth_estimation_type=kind, **values,
        )
    )  # fmt: skip
    for parameter in model.parameters():  # as they come, all images look alike to it
        if parameter.ndim > 1:
            torch.nn.init.xavier_normal_(parameter.data.flatten(1))
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)
    return model


_DPT_PROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "size": _SIZE,
    "ensure_multiple_of": 14,
    "keep_aspect_ratio": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@pytest.mark.parametrize(("kind", "metric"), [("relative", False), ("metric", True)])
def test_depth_anything(tmp_path, image, kind, metric):
    model = depth_anything(kind, max_depth=20)
    estimator = make_estimator(save(model, tmp_path / "m", _DPT_PROCESSOR))
    estimate = estimator.estimate([image], [_K])[0]
    assert estimate.depth_z.shape == image.shape[:2]
    assert estimate.depth_z.dtype == np.float32
    assert estimate.metric is metric
    np.testing.assert_array_equal(estimate.K, _K)
    pixels = Preparation.of_values(_DPT_PROCESSOR, "depth_anything").pixels(image)
    with torch.no_grad():
        raw = model.eval()(pixel_values=pixels).predicted_depth
    expected = Image.fromarray(raw[0].numpy()).resize((80, 60), Image.Resampling.BICUBIC)
    known = estimate.depth_z > 0
    assert known.mean() > 0.5
    told = estimate.depth_z if metric else 1 / np.where(known, estimate.depth_z, 1)
    related = np.corrcoef(told[known], np.asarray(expected)[known])[0, 1]
    assert related > 0.98


def test_pixels_are_those_of_the_library(image):
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    values = {k: v for k, v in _DPT_PROCESSOR.items() if k != "image_processor_type"}
    theirs = DPTImageProcessorPil(**values)(image, return_tensors="pt")["pixel_values"]
    mine = Preparation.of_values(_DPT_PROCESSOR, "dpt").pixels(image)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_pixels_of_zoedepth_are_those_of_the_library(image):
    from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil

    values = {"size": {"height": 64, "width": 96}, "ensure_multiple_of": 32}
    values |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    theirs = ZoeDepthImageProcessorPil(**values)(image, return_tensors="pt")["pixel_values"]
    mine = Preparation.of_values(values, "zoedepth").pixels(image)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_padding_of_zoedepth_is_taken_off(image):
    preparation = Preparation.of_values({"size": {"height": 64, "width": 96}}, "zoedepth")
    x = torch.tensor(image.astype(np.float32) / 255).permute(2, 0, 1)[:1, None]
    smooth = torch.nn.functional.avg_pool2d(x, 15, 1, 7)
    gray = (smooth[0, 0] * 255).byte().numpy()
    pixels = preparation.pixels(np.repeat(gray[..., None], 3, axis=2))
    back = preparation.restored(pixels[:, 0] * 0.5 + 0.5, 60, 80)
    assert np.abs(back.numpy() * 255 - gray).mean() < 1.5


def test_dpt_is_relative(tmp_path, image):
    torch.manual_seed(0)
    model = DPTForDepthEstimation(
        DPTConfig(
            image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=4,
            num_attention_heads=2, intermediate_size=32, backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, is_hybrid=False,
        )
    )  # fmt: skip
    processor = {"image_processor_type": "DPTImageProcessor", "size": {"height": 32, "width": 32}}
    estimate = make_estimator(str(save(model, tmp_path / "m", processor))).estimate([image])[0]
    assert estimate.depth_z.shape == (60, 80)
    assert not estimate.metric
    assert estimate.K[0, 2] == 40


def test_zoedepth_tells_metres(tmp_path, image):
    torch.manual_seed(0)
    backbone = BeitConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=32, out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
        use_relative_position_bias=True,
    )  # fmt: skip
    model = ZoeDepthForDepthEstimation(
        ZoeDepthConfig(
            backbone_config=backbone, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
            bottleneck_features=8, num_relative_features=4, num_attractors=[2, 2, 2, 1],
            bin_embedding_dim=8,
            bin_configurations=[{"n_bins": 4, "min_depth": 0.1, "max_depth": 10.0}],
        )
    )  # fmt: skip
    processor = {
        "image_processor_type": "ZoeDepthImageProcessor",
        "size": {"height": 32, "width": 32},
    }
    estimate = make_estimator(save(model, tmp_path / "m", processor)).estimate([image], [_K])[0]
    assert estimate.metric
    assert estimate.depth_z.shape == (60, 80)
    assert 0 < estimate.depth_z.min() <= estimate.depth_z.max() < 20


def test_glpn_tells_metres(tmp_path, image):
    torch.manual_seed(0)
    model = GLPNForDepthEstimation(
        GLPNConfig(hidden_sizes=[4, 8, 8, 8], depths=[1] * 4, num_attention_heads=[1] * 4,
                   decoder_hidden_size=8)
    )  # fmt: skip
    processor = {"image_processor_type": "GLPNImageProcessor", "size_divisor": 32}
    estimate = make_estimator(save(model, tmp_path / "m", processor)).estimate([image])[0]
    assert estimate.metric
    assert estimate.depth_z.shape == (60, 80)


@pytest.mark.parametrize("with_lens", [True, False])
def test_depth_pro_tells_the_lens(tmp_path, image, with_lens):
    torch.manual_seed(0)
    encoder = {"model_type": "dinov2", "image_size": 32, "patch_size": 8, "hidden_size": 16}
    encoder |= {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    model = DepthProForDepthEstimation(
        DepthProConfig(
            patch_size=32, fusion_hidden_size=8, intermediate_hook_ids=[1, 0],
            intermediate_feature_dims=[8, 8], scaled_images_ratios=[0.5, 1.0],
            scaled_images_overlap_ratios=[0.0, 0.25], scaled_images_feature_dims=[8, 8],
            use_fov_model=True, num_fov_head_layers=1, image_model_config=dict(encoder),
            patch_model_config=dict(encoder), fov_model_config=dict(encoder),
        )
    )  # fmt: skip
    processor = {
        "image_processor_type": "DepthProImageProcessor",
        "size": {"height": 64, "width": 64},
    }
    estimator = make_estimator(save(model, tmp_path / "m", processor))
    estimate = estimator.estimate([image], [_K] if with_lens else None)[0]
    assert estimate.metric
    assert estimate.depth_z.shape == (60, 80)
    assert np.isfinite(estimate.depth_z).all()
    assert bool(estimate.K[0, 0] == 60) is with_lens


def test_a_focal_length_twice_as_long_doubles_the_depth_of_depth_pro(tmp_path, image):
    torch.manual_seed(0)
    model = depth_anything()
    estimator = make_estimator(save(model, tmp_path / "m", _DPT_PROCESSOR))
    estimator._output = "inverse depth and field of view"
    longer = _K.copy()
    longer[0, 0] = longer[1, 1] = 120
    near, far = (estimator.estimate([image], [k])[0].depth_z for k in (_K, longer))
    inside = (near > 2e-4) & (far < 9e3)
    np.testing.assert_allclose(far[inside], 2 * near[inside], rtol=1e-5)


def test_inverse_depth_keeps_its_shift_while_plausible():
    depth = depth_of_inverse(torch.linspace(1.0, 10.0, 1000).reshape(20, 50))
    torch.testing.assert_close(depth * torch.linspace(1.0, 10.0, 1000).reshape(20, 50),
                               torch.full((20, 50), float(depth[-1, -1] * 10)))  # fmt: skip


def test_the_far_end_of_inverse_depth_is_limited():
    depth = depth_of_inverse(torch.linspace(1e-3, 10.0, 1000).reshape(20, 50)).flatten()
    assert float(torch.quantile(depth, 0.98) / torch.quantile(depth, 0.02)) == pytest.approx(
        20, 0.02
    )


def test_no_inverse_depth_is_unknown():
    depth = depth_of_inverse(torch.tensor([[0.0, -1.0], [2.0, 1.0]]))
    assert (depth[0] == 0).all()
    assert depth[1, 1] > depth[1, 0] > 0


def test_other_models_are_refused(tmp_path):
    from transformers import ViTModel

    ViTModel(
        ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path / "m")
    with pytest.raises(ReconstructionError, match="kind 'vit'"):
        make_estimator(tmp_path / "m")


def test_a_damaged_folder_says_so(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ReconstructionError, match="can't be loaded"):
        make_estimator(tmp_path)
