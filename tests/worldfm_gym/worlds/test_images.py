from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds import images


@pytest.fixture
def gradient() -> np.ndarray:
    return np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)


def test_color_round_trip(tmp_path: Path, gradient):
    Image.fromarray(gradient).save(tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_color(tmp_path / "a.png"), gradient)


def test_gray_and_alpha_become_rgb(tmp_path: Path, gradient):
    Image.fromarray(gradient[..., 0]).save(tmp_path / "gray.png")
    Image.fromarray(gradient).convert("RGBA").save(tmp_path / "alpha.png")
    gray = images.read_color(tmp_path / "gray.png")
    assert gray.shape == (20, 30, 3)
    assert (gray == gradient[..., :1]).all()
    np.testing.assert_array_equal(images.read_color(tmp_path / "alpha.png"), gradient)


def test_missing_image(tmp_path: Path):
    with pytest.raises(SourceError, match="no image file"):
        images.read_color(tmp_path / "none.png")


def test_not_an_image(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"PK\x03\x04 this is a zip" * 10)
    with pytest.raises(SourceError, match="not an image"):
        images.read_color(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_image(tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(SourceError, match="damaged or cut off"):
        images.read_color(path)


@pytest.mark.parametrize("size", [(40_000, 40_000), (13_000, 10_000), (2**31 - 1, 2**31 - 1)])
def test_huge_header_is_refused_before_decoding(tmp_path: Path, png_header, monkeypatch, size):
    def load(self):
        raise AssertionError("pixels were decoded")

    (tmp_path / "a.png").write_bytes(png_header(*size))
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(SourceError, match=r"too large|more than 120 megapixels"):
        images.read_color(tmp_path / "a.png")


def test_image_of_100_megapixels_is_allowed_by_its_header(tmp_path: Path, png_header):
    (tmp_path / "a.png").write_bytes(png_header(10_000, 10_000))
    with pytest.raises(SourceError, match="damaged or cut off"):  # it holds no pixels, in time
        images.read_color(tmp_path / "a.png")


def test_depth_units(tmp_path: Path):
    units = np.arange(600).reshape(20, 30).astype(np.uint16) + 1000
    Image.fromarray(units).save(tmp_path / "mm.png")
    np.save(tmp_path / "metres.npy", units / 1000)
    expected = (units / 1000).astype(np.float32)
    np.testing.assert_array_equal(images.read_depth(tmp_path / "mm.png"), expected)
    np.testing.assert_array_equal(images.read_depth(tmp_path / "metres.npy"), expected)
    np.testing.assert_allclose(
        images.read_depth(tmp_path / "mm.png", unit_m=0.0002), expected / 5, rtol=1e-6
    )


def test_invalid_depth_becomes_unknown():
    depth = images.depth_in_metres(np.array([[1.0, np.nan, np.inf, -2.0, 0.0]]))
    np.testing.assert_array_equal(depth, np.array([[1, 0, 0, 0, 0]], np.float32))


@pytest.mark.parametrize(
    ("depth", "unit_m", "message"),
    [
        (np.zeros((4, 4), np.uint16), None, "no pixel with a known depth"),
        (np.full((4, 4), 2, np.uint16), None, "depth_unit_m"),  # metres read as millimetres
        (np.full((4, 4), 2000.0), None, "depth_unit_m"),  # millimetres read as metres
        (np.ones((4, 4, 3)), None, "one number per pixel"),
        (np.ones((4, 4)), 0.0, "positive"),
        (np.ones((4, 4)), np.nan, "positive"),
        (np.ones((4, 4), complex), None, "one number per pixel"),
    ],
)
def test_senseless_depth_is_refused(depth, unit_m, message):
    with pytest.raises(SourceError, match=message):
        images.depth_in_metres(depth, unit_m=unit_m)


def test_color_and_depth_swapped(tmp_path: Path, gradient):
    Image.fromarray(gradient).save(tmp_path / "color.png")
    Image.fromarray(np.full((20, 30), 1000, np.uint16)).save(tmp_path / "depth.png")
    with pytest.raises(SourceError, match="swapped"):
        images.read_color(tmp_path / "depth.png")
    with pytest.raises(SourceError, match="8-bit"):
        images.read_depth(tmp_path / "color.png")


def test_pickled_depth_is_never_loaded(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(SourceError, match="not a readable"):
        images.read_depth(tmp_path / "a.npy")


def test_npy_that_declares_more_than_it_holds(tmp_path: Path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((10, 10)))
    path.write_bytes(
        path.read_bytes().replace(b"(10, 10)", b"(99999, 99999)").replace(b" \n", b"\n")
    )
    with pytest.raises(SourceError, match="not a readable"):
        images.read_depth(path)


def test_sizes_must_agree():
    with pytest.raises(SourceError, match=r"frame 3: color is 6×4 pixels and depth 5×4"):
        images.check_same_size(
            np.zeros((4, 6, 3), np.uint8), np.zeros((4, 5), np.float32), name="frame 3"
        )
