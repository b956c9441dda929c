"""Focal length: what a camera wrote into a photo about its lens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_FOCAL_MM = 0x920A
_FOCAL_35_MM = 0xA405
_STORED_WIDTH, _STORED_HEIGHT = 0xA002, 0xA003
_PLANE_X_RESOLUTION, _PLANE_UNIT = 0xA20E, 0xA210
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_DIAGONAL_35_MM = math.hypot(36.0, 24.0)
_SHORTEST, _LONGEST = 0.2, 6.0  # of the longer side: 136° and 10° across
_SAME_SHAPE = 0.03


def focal_from_exif(
    exif: Mapping[int, Any], *, width: int, height: int
) -> tuple[float, str] | None:
    """The focal length that EXIF tags tell.

    The 35 mm equivalent is taken by diagonals (CIPA DCG-001); where it is missing, focal length and
    sensor resolution are. A picture whose shape differs from what the camera stored has been cut,
    and tags are of no use.

    Args:
        exif: Tags of the Exif IFD by number.
        width: Width of the stored picture in pixels, of any orientation.
        height: Its height in pixels.

    Returns:
        Focal length in pixels of such a picture and which tags it is from; None if they don't tell.
    """
    stored = (_number(exif, _STORED_WIDTH), _number(exif, _STORED_HEIGHT))
    if stored[0] and stored[1] and not _same_shape(stored[0], stored[1], width, height):
        return None
    for focal_px, origin in (
        (_by_35_mm(exif, width, height), "EXIF, 35 mm equivalent"),
        (_by_sensor(exif, max(width, height)), "EXIF, focal length and sensor resolution"),
    ):
        if focal_px and _SHORTEST < focal_px / max(width, height) < _LONGEST:
            return focal_px, origin
    return None


def _by_35_mm(exif: Mapping[int, Any], width: int, height: int) -> float | None:
    """Focal length in pixels by the 35 mm equivalent."""
    equivalent_mm = _number(exif, _FOCAL_35_MM)
    return (
        None if not equivalent_mm else equivalent_mm / _DIAGONAL_35_MM * math.hypot(width, height)
    )


def _by_sensor(exif: Mapping[int, Any], longer: int) -> float | None:
    """Focal length in pixels by the lens's millimetres and the sensor's pixels per millimetre."""
    focal_mm, resolution = _number(exif, _FOCAL_MM), _number(exif, _PLANE_X_RESOLUTION)
    stored = max(_number(exif, _STORED_WIDTH) or 0.0, _number(exif, _STORED_HEIGHT) or 0.0)
    unit_mm = _UNIT_MM.get(int(_number(exif, _PLANE_UNIT) or 2))
    if not focal_mm or not resolution or unit_mm is None:
        return None
    return focal_mm * resolution / unit_mm * (longer / stored if stored else 1.0)


def _same_shape(width: float, height: float, other_width: float, other_height: float) -> bool:
    """Whether two pictures have the same aspect ratio, turned or not."""
    ratio = max(width, height) / min(width, height)
    other = max(other_width, other_height) / min(other_width, other_height)
    return abs(ratio / other - 1.0) < _SAME_SHAPE


def _number(exif: Mapping[int, Any], tag: int) -> float | None:
    """A finite, positive number of a tag; None if it holds anything else."""
    try:
        value = float(exif[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) and value > 0 else None
