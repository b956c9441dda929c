"""Photo files: any picture from a camera, upright, in sRGB and at a size to work with."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.focal import focal_from_exif
from worldfm_gym.worlds.images import check_color, opened

MIN_PHOTO_SIDE = 64
_EXIF_IFD, _ORIENTATION = 0x8769, 0x0112
_OPAQUE = 128
_WAYS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A decoded photo.

    Attributes:
        rgb: sRGB, upright, uint8 [H, W, 3].
        opaque: False where the picture is transparent, bool [H, W].
        full_size: Width and height of the upright picture before it was shrunk.
        focal_px: Focal length in pixels of `rgb` that the camera wrote down; None if it did not.
        focal_from: Which tags `focal_px` is from.
        notes: What a user should know of, in words.
    """

    rgb: NDArray[np.uint8]
    opaque: NDArray[np.bool_]
    full_size: tuple[int, int]
    focal_px: float | None
    focal_from: str | None
    notes: tuple[str, ...]


def read_photo(path: str | os.PathLike[str], *, max_side: int) -> PhotoFile:
    """Read a photo of unknown origin.

    Orientation tags are applied, transparency is cut off, of moving pictures the first is taken,
    and large ones are shrunk while they are decoded where the format allows it.

    Args:
        path: JPEG, PNG or any other format that Pillow reads.
        max_side: Longer side in pixels beyond which the picture is shrunk.

    Raises:
        SourceError: If the file is missing, no image, cut off, of more than 120 megapixels, smaller
            than 64 pixels a side, mostly transparent, or holds depth rather than color.
    """
    source = Path(path)
    header: dict[str, tuple[int, int]] = {}

    def at_header(image: Image.Image) -> None:
        header["size"] = image.size
        check_size(image.size, source)
        check_color(image, source)
        image.draft(None, (max_side, max_side))

    with opened(source, before_decoding=at_header) as image:
        width, height = header["size"]
        notes = _notes(image, source.name)
        orientation, tags = _tags(image)
        focal = focal_from_exif(tags, width=width, height=height)
        picture = _shrunk(image, max_side)
        alpha = picture.convert("RGBA").getchannel("A") if _has_alpha(picture) else None
        upright = _turned(picture.convert("RGB"), orientation)
        opaque = np.ones((upright.height, upright.width), np.bool_)
        if alpha is not None:
            opaque = np.asarray(_turned(alpha, orientation)) >= _OPAQUE
    full_size = (width, height) if orientation not in (5, 6, 7, 8) else (height, width)
    if not opaque.all():
        notes.append(f"{source.name} is transparent in part: nothing is known there")
    if opaque.mean() < 0.5:
        raise SourceError(
            f"{source} is transparent in {1 - opaque.mean():.0%} of its pixels: pass a picture "
            "without an alpha channel"
        )
    scale = max(upright.size) / max(full_size)
    return PhotoFile(
        rgb=np.array(upright),
        opaque=opaque,
        full_size=full_size,
        focal_px=None if focal is None else focal[0] * scale,
        focal_from=None if focal is None else focal[1],
        notes=tuple(notes),
    )


def check_size(size: tuple[int, int], path: Path) -> None:
    """Check the sides of a picture.

    Raises:
        SourceError: If a side is shorter than 64 pixels.
    """
    if min(size) < MIN_PHOTO_SIDE:
        raise SourceError(
            f"{path} has {size[0]}×{size[1]} pixels, too few to see a place in: pass a photo of at "
            f"least {MIN_PHOTO_SIDE} pixels a side, better 640×480"
        )


def _tags(image: Image.Image) -> tuple[int, Mapping[int, Any]]:
    """Orientation and camera tags; 1 and none where they are missing or damaged."""
    try:
        exif = image.getexif()
        return int(exif.get(_ORIENTATION, 1)), exif.get_ifd(_EXIF_IFD)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return 1, {}


def _notes(image: Image.Image, name: str) -> list[str]:
    """What is unusual about an image file."""
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"{name} holds {image.n_frames} pictures: only the first is used")  # type: ignore[attr-defined]
    if image.mode == "CMYK":
        notes.append(f"{name} is a CMYK picture for printing: its colors are approximate")
    if image.mode in ("L", "LA", "1"):
        notes.append(f"{name} has no color: depth is told less well from gray pictures")
    return notes


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    """The image with at most `max_side` pixels a side."""
    factor = max(image.size) // max_side
    if image.mode in ("P", "PA", "1"):
        image = image.convert("RGBA" if _has_alpha(image) else "RGB")
    if factor >= 2:
        image = image.reduce(factor)
    if max(image.size) > max_side:
        scale = max_side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BOX)
    return image


def _has_alpha(image: Image.Image) -> bool:
    """Whether an image may be transparent somewhere."""
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image as its EXIF orientation says that it is to be seen."""
    way = _WAYS.get(orientation)
    return image if way is None else image.transpose(way)
