"""The built-in depth estimator: its file, its inputs, and how well it does on a real photo."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import worldfm_gym
from worldfm_gym.errors import ReconstructionError
from worldfm_gym.reconstruction import DepthEstimator, make_estimator
from worldfm_gym.reconstruction.depth_model import DepthModel, network_size
from worldfm_gym.reconstruction.depth_network import DepthNet, DepthNetConfig
from worldfm_gym.training.depth_evaluation import ConstantPlane, read_photos, score_estimator

TINY = DepthNetConfig(widths=(8, 8, 16, 32), down=(1, 1), attention=1)
GARAGE = Path(worldfm_gym.__file__).parent / "data" / "garage"


@pytest.fixture(scope="module")
def built_in():
    return make_estimator()


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return DepthModel(DepthNet(TINY).eval().requires_grad_(False), {"stage": "depth"})


def image(height=45, width=70):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_file_is_small():
    weights = Path(worldfm_gym.__file__).parent / "reconstruction" / "weights"
    assert (weights / "depth.safetensors").stat().st_size < 12 * 2**20


def test_a_photo_of_a_garage(built_in):
    photos = read_photos(GARAGE)
    score = score_estimator(built_in, photos)
    assert score.absrel <= 0.22
    assert score.delta >= 0.65
    assert score.absrel < score_estimator(ConstantPlane(), photos).absrel
    unknown = score_estimator(built_in, photos, known_lens=False)
    assert unknown.absrel <= 0.24
    assert unknown.fov_error_deg < 15


def test_up_in_a_photo_of_a_garage(built_in):
    photo = read_photos(GARAGE)[0]
    up = built_in.estimate([photo.rgb])[0].up_camera
    assert np.linalg.norm(up) == pytest.approx(1)
    assert up[1] < -0.9  # the camera frame's y points down


def test_a_mirrored_photo_has_mirrored_depth(built_in):
    first = built_in.estimate([image(64, 96)])[0]
    second = built_in.estimate([image(64, 96)[:, ::-1]])[0]
    np.testing.assert_allclose(second.depth_z[:, ::-1], first.depth_z, rtol=1e-3)
    np.testing.assert_allclose(second.up_camera * [-1, 1, 1], first.up_camera, atol=1e-3)


@pytest.mark.parametrize("size", [(45, 70), (1, 1), (300, 20), (16, 16)])
def test_estimates_have_the_image_s_size(tiny, size):
    K = np.array([[50.0, 0, 30], [0, 52, 20], [0, 0, 1]])
    estimate = tiny.estimate([image(*size)], [K])[0]
    assert estimate.depth_z.shape == estimate.confidence.shape == size
    assert estimate.depth_z.dtype == estimate.confidence.dtype == np.float32
    assert (estimate.depth_z > 0).all()
    assert (estimate.confidence >= 0).all()
    assert (estimate.confidence <= 1).all()
    np.testing.assert_array_equal(estimate.K, K)


def test_an_unknown_lens_is_told(tiny):
    estimate = tiny.estimate([image()])[0]
    assert estimate.K[0, 0] == estimate.K[1, 1] > 0
    np.testing.assert_array_equal(estimate.K[:2, 2], [35, 22.5])


def test_a_model_comes_back_from_its_file(tiny, tmp_path):
    assert isinstance(tiny, DepthEstimator)
    tiny.save_pretrained(tmp_path / "m.safetensors", dtype=torch.float32)
    again = make_estimator(tmp_path / "m.safetensors")
    assert again.metadata["stage"] == "depth"
    assert again.network.config == TINY
    first, second = (m.estimate([image()])[0].depth_z for m in (tiny, again))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_files_of_other_kinds_are_refused(tiny, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(ReconstructionError, match="can't be read as a depth model"):
        DepthModel.from_pretrained(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ReconstructionError, match="can't be read as a depth model"):
        DepthModel.from_pretrained(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ReconstructionError, match="not of a depth model"):
        DepthModel.from_pretrained(path)
    metadata = {"format": "worldfm-gym depth model", "version": "1", "config": "{}"}
    save_file({"a": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(ReconstructionError, match="other weights"):
        DepthModel.from_pretrained(path)
    save_file({"a": torch.zeros(1)}, path, metadata=metadata | {"version": "9"})
    with pytest.raises(ReconstructionError, match="update worldfm-gym"):
        DepthModel.from_pretrained(path)
    save_file({"a": torch.zeros(1)}, path, metadata=metadata | {"config": '{"widths": 3}'})
    with pytest.raises(ReconstructionError, match="unreadable"):
        DepthModel.from_pretrained(path)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
     np.zeros((0, 4, 3), np.uint8)],
)  # fmt: skip
def test_other_images_are_refused(tiny, bad):
    with pytest.raises(ReconstructionError, match="images must be rgb"):
        tiny.estimate([bad])


@pytest.mark.parametrize("K", [np.eye(4), np.zeros((3, 3)), np.full((3, 3), np.nan)])
def test_other_intrinsics_are_refused(tiny, K):
    with pytest.raises(ReconstructionError, match="K must be 3×3"):
        tiny.estimate([image()], [K])


def test_as_many_intrinsics_as_images(tiny):
    with pytest.raises(ReconstructionError, match="2 images, but 1 intrinsics"):
        tiny.estimate([image(), image()], [np.eye(3)])


@pytest.mark.parametrize(
    ("size", "seen"),
    [((960, 1280), (192, 256)), ((1280, 960), (256, 192)), ((50, 5000), (112, 448))],
)
def test_the_network_sees_the_same_shape(size, seen):
    assert network_size(*size, pixels=256 * 192) == seen
