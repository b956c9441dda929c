"""Reading photos and depth images of unknown origin without trusting them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.errors import SourceError

MAX_PIXELS = 120_000_000
# Between an insect and a street: a median outside of it means a wrong unit, not a strange place.
MIN_MEDIAN_DEPTH_M = 0.05
MAX_MEDIAN_DEPTH_M = 200.0
DEFAULT_DEPTH_UNIT_M = 0.001

_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_COLOR_MODES = ("RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr", "HSV", "LAB", "RGBX")


def read_color(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a color image as it is stored; orientation tags are not applied.

    Args:
        path: JPEG, PNG or any other format that Pillow reads.

    Returns:
        sRGB, uint8 [H, W, 3].

    Raises:
        SourceError: If the file is missing, no image, cut off, of more than 120 megapixels, or
            holds depth rather than color.
    """
    with opened(Path(path)) as image:
        check_color(image, path)
        return np.array(image.convert("RGB"))


def check_color(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Check that an image holds color.

    Raises:
        SourceError: If it holds one deep value per pixel, as depth images do.
    """
    if image.mode not in _COLOR_MODES:
        raise SourceError(
            f"{path} holds {image.mode} values, which is depth rather than color: are the color "
            "and the depth image swapped? A 16-bit gray photo must be converted to 8 bits first"
        )


def read_depth(path: str | os.PathLike[str], *, unit_m: float | None = None) -> NDArray[np.float32]:
    """Read a depth image and convert it to metres.

    Args:
        path: A 16- or 32-bit integer or float image, or a .npy array, [H, W].
        unit_m: Metres per stored unit. None means 0.001 (millimetres) for integers and 1 for
            floating-point values.

    Returns:
        z-depth in metres, float32 [H, W]; 0 where unknown.

    Raises:
        SourceError: If the file is missing, no depth image, cut off, too large, or its depths make
            no sense in that unit.
    """
    return depth_in_metres(read_depth_units(path), unit_m=unit_m, name=str(path))


def read_depth_units(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a depth image in the units it is stored in, unchecked: integers or floats [H, W].

    Raises:
        SourceError: If the file is missing, no depth image, cut off or too large.
    """
    source = Path(path)
    if source.suffix == ".npy":
        return _read_npy(source)
    with opened(source) as image:
        if image.mode not in _DEPTH_MODES:
            raise SourceError(
                f"{path} is an 8-bit {image.mode} image, which is too coarse for depth: "
                "pass a 16-bit or float image, or a .npy array"
            )
        return np.array(image)


def depth_in_metres(
    depth: NDArray[Any], *, unit_m: float | None = None, name: str = "depth"
) -> NDArray[np.float32]:
    """Convert stored depth to metres and check that it makes sense.

    Args:
        depth: Integers or floats [H, W]; values that are not finite or ≤ 0 mean unknown.
        unit_m: Metres per stored unit. None means 0.001 for integers and 1 for floats.
        name: What to call it in an error.

    Returns:
        z-depth in metres, float32 [H, W]; 0 where unknown.

    Raises:
        SourceError: If it is no image, has no known depth, or its median lies outside 0.05…200 m.
    """
    if depth.ndim != 2 or depth.dtype.kind not in "uif":
        raise SourceError(
            f"{name} must be one number per pixel [H, W], got {depth.dtype} {list(depth.shape)}"
        )
    if unit_m is None:
        unit_m = 1.0 if depth.dtype.kind == "f" else DEFAULT_DEPTH_UNIT_M
    if not (np.isfinite(unit_m) and unit_m > 0):
        raise SourceError(f"depth_unit_m must be a positive number of metres, got {unit_m}")
    depth_z = (depth.astype(np.float64) * unit_m).astype(np.float32)
    depth_z[~np.isfinite(depth_z) | (depth_z < 0)] = 0
    known = depth_z[depth_z > 0]
    if len(known) == 0:
        raise SourceError(f"{name} has no pixel with a known depth: all of it is zero or invalid")
    median = float(np.median(known))
    if not MIN_MEDIAN_DEPTH_M <= median <= MAX_MEDIAN_DEPTH_M:
        raise SourceError(
            f"{name} has a median depth of {median:.3g} m when read with depth_unit_m={unit_m:g}; "
            f"places have {MIN_MEDIAN_DEPTH_M}…{MAX_MEDIAN_DEPTH_M:.0f} m. Pass the metres per "
            "stored unit as depth_unit_m (0.001 for millimetres, 1 for metres)"
        )
    return depth_z


def check_same_size(rgb: NDArray[np.uint8], depth_z: NDArray[np.float32], *, name: str) -> None:
    """Check that depth has the pixels of its color image.

    Raises:
        SourceError: If they differ in size.
    """
    if rgb.shape[:2] != depth_z.shape:
        raise SourceError(
            f"{name}: color is {rgb.shape[1]}×{rgb.shape[0]} pixels and depth "
            f"{depth_z.shape[1]}×{depth_z.shape[0]}: register the depth to the color image first"
        )


@contextmanager
def opened(
    path: Path, *, before_decoding: Callable[[Image.Image], None] | None = None
) -> Iterator[Image.Image]:
    """The decoded image at `path`, its size checked before a pixel is.

    Args:
        path: Any file.
        before_decoding: Called with the image when only its header has been read.

    Raises:
        SourceError: If the file is missing, no image, cut off, or of more than 120 megapixels.
    """
    if not path.is_file():
        raise SourceError(f"there is no image file {path}")
    try:
        with warnings.catch_warnings():
            # Pillow warns below our own limit and raises above it; the header decides here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise SourceError(
            f"{path} is too large: {error}. Resize it below {MAX_PIXELS / 1e6:.0f} megapixels"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise SourceError(f"{path} is not an image that can be read ({error})") from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise SourceError(
                f"{path} declares {image.width}×{image.height} pixels, more than "
                f"{MAX_PIXELS / 1e6:.0f} megapixels: resize it"
            )
        if before_decoding is not None:
            before_decoding(image)
        try:
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise SourceError(f"{path} is damaged or cut off ({error})") from error
        yield image


def _read_npy(path: Path) -> NDArray[Any]:
    """The array in a .npy file, its size checked before it is read."""
    if not path.is_file():
        raise SourceError(f"there is no depth file {path}")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"{path} is not a readable .npy array ({error})") from error
    if array.size > MAX_PIXELS:
        raise SourceError(f"{path} holds {list(array.shape)} values, too many for a depth image")
    return np.array(array)
