import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.photo_file import read_photo

TRANSPOSED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 200)
    rgb = np.zeros((120, 200, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = ramp, np.linspace(0, 255, 120)[:, None]
    rgb[:40, :60] = (0, 0, 255)
    return rgb


def test_a_plain_picture_is_read_as_it_is(tmp_path: Path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png", max_side=640)
    np.testing.assert_array_equal(photo.rgb, picture)
    assert photo.opaque.all()
    assert (photo.full_size, photo.focal_px, photo.notes) == ((200, 120), None, ())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags_turn_the_picture_upright(tmp_path: Path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png", max_side=640)
    expected = TRANSPOSED[orientation](picture)
    np.testing.assert_array_equal(photo.rgb, expected)
    assert photo.full_size == (expected.shape[1], expected.shape[0])


def test_the_focal_length_is_that_of_the_shrunk_picture(tmp_path: Path, picture):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 36
    Image.fromarray(picture).resize((2000, 1200)).save(tmp_path / "a.jpg", exif=exif)
    photo = read_photo(tmp_path / "a.jpg", max_side=500)
    assert photo.rgb.shape == (300, 500, 3)
    assert photo.full_size == (2000, 1200)
    assert photo.focal_px == pytest.approx(36 / np.hypot(36, 24) * np.hypot(500, 300))
    assert "35 mm" in photo.focal_from


def test_damaged_exif_is_no_exif(tmp_path: Path, picture):
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffjunk")
    assert read_photo(tmp_path / "a.jpg", max_side=640).focal_px is None


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_unusual_colors_are_noted(tmp_path: Path, picture, mode):
    Image.fromarray(picture).convert(mode).save(tmp_path / "a.jpg")
    photo = read_photo(tmp_path / "a.jpg", max_side=640)
    assert photo.rgb.shape == picture.shape
    assert len(photo.notes) == 1


def test_cmyk_colors_stay_about_the_same(tmp_path: Path, picture):
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    photo = read_photo(tmp_path / "a.jpg", max_side=640)
    assert np.abs(photo.rgb.astype(int) - picture).mean() < 10


@pytest.mark.parametrize("palette", [False, True])
def test_transparent_pixels_are_not_opaque(tmp_path: Path, picture, palette):
    alpha = np.full((120, 200), 255, np.uint8)
    alpha[:, :50] = 0
    image = Image.fromarray(np.dstack([picture, alpha]))
    (image.quantize(64) if palette else image).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png", max_side=640)
    assert not photo.opaque[:, :50].any()
    assert photo.opaque[:, 50:].all()
    assert "transparent in part" in photo.notes[0]


def test_a_mostly_transparent_picture_is_refused(tmp_path: Path, picture):
    alpha = np.zeros((120, 200), np.uint8)
    Image.fromarray(np.dstack([picture, alpha])).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match="transparent in 100%"):
        read_photo(tmp_path / "a.png", max_side=640)


def test_the_first_picture_of_an_animation(tmp_path: Path, picture):
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    photo = read_photo(tmp_path / "a.gif", max_side=640)
    assert "holds 2 pictures" in photo.notes[0]
    assert np.abs(photo.rgb.astype(int) - picture).mean() < 20


def test_sixteen_bits(tmp_path: Path, picture):
    Image.fromarray(picture[..., 0].astype(np.uint16) * 257).save(tmp_path / "gray.png")
    with pytest.raises(SourceError, match=r"depth rather than color.*16-bit gray photo"):
        read_photo(tmp_path / "gray.png", max_side=640)


def test_sixteen_bit_colors_are_rounded(tmp_path: Path, picture):
    """Pillow can't write 16-bit RGB, so the file is put together by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    deep = (picture.astype(">u2") * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 200, 120, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    photo = read_photo(tmp_path / "a.png", max_side=640)
    assert np.abs(photo.rgb.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("size", [(16, 16), (63, 400)])
def test_too_small(tmp_path: Path, size):
    Image.new("RGB", size).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"too few to see a place.*64 pixels a side"):
        read_photo(tmp_path / "a.png", max_side=640)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_100_megapixels_in_little_memory(tmp_path: Path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture).resize((12_000, 8_300), Image.Resampling.NEAREST).save(
        path, compress_level=1
    )
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from worldfm_gym.worlds.photo_file import read_photo\n"
        "photo = read_photo(sys.argv[1], max_side=640)\n"
        "assert max(photo.rgb.shape) == 640 and photo.full_size == (12000, 8300)\n"
        # Unlike ru_maxrss, this peak does not include what the parent held when it forked.
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(status.split('VmHWM:')[1].split()[0]) / 1e6)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1.0
