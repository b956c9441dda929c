"""Photos with depth: one RGB-D image becomes a world."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import intrinsics_from_fov
from worldfm_gym.errors import CameraError, SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.fusion import PosedFrame, fuse, reference_of_frame
from worldfm_gym.worlds.images import (
    check_same_size,
    depth_in_metres,
    read_color,
    read_depth,
)
from worldfm_gym.worlds.scan_formats import as_array, camera_of, read_json
from worldfm_gym.worlds.world import World

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_FOLDER_DEPTHS = ("depth_mm.png", "depth.png", "depth.npy")


def is_photo_folder(path: Path) -> bool:
    """Whether a folder holds a photo with its depth and meta.json."""
    return path.is_dir() and (path / "meta.json").is_file()


def world_from_photo_folder(
    path: str | os.PathLike[str],
    *,
    body: AgentBody,
    spacing_m: float | None = None,
    extend_floor: bool = True,
) -> World:
    """Make a world of a folder with photo.*, depth_mm.png (or depth.png, depth.npy) and meta.json.

    meta.json holds `K` (3×3, pixels) or `fov_x_deg`, and may hold `depth_unit_m`.

    Args:
        path: The folder.
        body: The agent to walk with.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        extend_floor: Whether to continue the floor below the picture to the camera's foot, so that
            one can walk where the photo was taken from. Its points are marked as generated.

    Raises:
        SourceError: If a file is missing or unusable.
    """
    folder = Path(path)
    meta = read_json(folder / "meta.json")
    photos = [folder / f"photo{suffix}" for suffix in PHOTO_SUFFIXES]
    photo = next((p for p in photos if p.is_file()), None)
    depth = next((folder / n for n in _FOLDER_DEPTHS if (folder / n).is_file()), None)
    if photo is None or depth is None:
        raise SourceError(
            f"{folder} has a meta.json but no {'photo.jpg' if photo is None else 'depth_mm.png'}: "
            "a photo folder holds photo.jpg, depth_mm.png and meta.json"
        )
    return world_from_photo(
        photo,
        body=body,
        depth=depth,
        K=meta.get("K"),
        fov_x_deg=meta.get("fov_x_deg"),
        depth_unit_m=meta.get("depth_unit_m"),
        spacing_m=spacing_m,
        extend_floor=extend_floor,
        name=folder.resolve().name,
    )


def world_from_photo(
    path: str | os.PathLike[str],
    *,
    body: AgentBody,
    depth: str | os.PathLike[str] | NDArray[Any] | None = None,
    K: ArrayLike | None = None,
    fov_x_deg: float | None = None,
    depth_unit_m: float | None = None,
    spacing_m: float | None = None,
    extend_floor: bool = True,
    name: str | None = None,
) -> World:
    """Make a world of one photo with depth; it starts where the photo was taken.

    Args:
        path: The photo, read as stored (orientation tags are not applied: `depth` and `K` belong
            to the stored pixels).
        body: The agent to walk with.
        depth: z-depth of every pixel: an image or .npy file, or an array [H, W].
        K: Intrinsic matrix (3, 3) in pixels; or give `fov_x_deg`.
        fov_x_deg: Horizontal field of view, for square pixels and a centered principal point.
        depth_unit_m: Metres per unit of depth; None means 0.001 for integers and 1 for floats.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        extend_floor: Whether to continue the floor below the picture to the camera's foot, so that
            one can walk where the photo was taken from. Its points are marked as generated.
        name: Recorded as the source's name; None takes the file's.

    Raises:
        SourceError: If depth or intrinsics are missing or unusable.
    """
    photo = Path(path)
    rgb = read_color(photo)
    if depth is None:
        raise SourceError(
            f"{photo} is a photo without depth, and RGB-only photos are not supported yet: pass "
            "depth= (a 16-bit millimetre image, a .npy file or an array in metres) and the "
            "intrinsics as K= or fov_x_deg="
        )
    if (K is None) == (fov_x_deg is None):
        raise SourceError(
            f"{photo} needs its intrinsics: pass either K= (3×3, pixels) or fov_x_deg="
        )
    if isinstance(depth, np.ndarray):
        depth_z = depth_in_metres(depth, unit_m=depth_unit_m)
    else:
        depth_z = read_depth(depth, unit_m=depth_unit_m)
    check_same_size(rgb, depth_z, name=photo.name)
    height, width = depth_z.shape
    if K is None:
        K = _K_from_fov(fov_x_deg, width=width, height=height)
    camera = camera_of(photo.name, np.eye(4), K, width, height)
    frame = PosedFrame(rgb, depth_z, camera, photo.name)
    return world_from_frames(
        fuse([frame], spacing_m=spacing_m),
        [reference_of_frame(frame)],
        [camera],
        body=body,
        source={"kind": "photo", "name": name or photo.name},
        extend_floor=extend_floor,
    )


def _K_from_fov(fov_x_deg: Any, *, width: int, height: int) -> NDArray[np.float64]:
    """Intrinsic matrix [3, 3] of an untrusted field of view."""
    value = as_array(fov_x_deg, "the photo", "fov_x_deg")
    try:
        fx, fy, cx, cy = intrinsics_from_fov(float(value), width=width, height=height)
    except (CameraError, TypeError) as error:
        raise SourceError(f"fov_x_deg is not usable: {error}") from error
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
