"""Photos: one picture, with its depth or without, becomes a world."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import intrinsics_from_fov
from worldfm_gym.errors import CameraError, SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.estimator import DepthEstimator
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.fusion import PosedFrame, fuse, reference_of_frame
from worldfm_gym.worlds.images import check_same_size, depth_in_metres, read_color, read_depth
from worldfm_gym.worlds.scan_formats import as_array, camera_of, read_json
from worldfm_gym.worlds.world import World

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
WORKING_SIDE = 640
"""Longer side in pixels that photos without depth are shrunk to: finer than depth is estimated."""

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
    objects: bool = True,
) -> World:
    """Make a world of a folder with photo.*, depth_mm.png (or depth.png, depth.npy) and meta.json.

    meta.json holds `K` (3×3, pixels) or `fov_x_deg`, and may hold `depth_unit_m`.

    Args:
        path: The folder.
        body: The agent to walk with.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        extend_floor: Whether to continue the floor below the picture to the camera's foot, so that
            one can walk where the photo was taken from. Its points are marked as generated.
        objects: Whether to tell what stands on the floor as objects that can be moved.

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
        objects=objects,
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
    estimator: str | os.PathLike[str] | DepthEstimator = "built-in",
    device: str = "cpu",
    camera_height_m: float | None = None,
    panorama: bool | None = None,
    spacing_m: float | None = None,
    extend_floor: bool = True,
    objects: bool = True,
    expand: bool = False,
    seed: int = 0,
    name: str | None = None,
) -> World:
    """Make a world of one photo; it starts where the photo was taken.

    Without `depth`, a depth estimator tells it. The field of view is the one given, else the one
    that EXIF tags tell, else the estimator's. Up and floor are found in the depth, and the scale by
    the camera's height above the floor (see `worldfm_gym.reconstruction.scale`). What was found,
    and how, is in `World.source`; what is doubtful is also warned of.

    Args:
        path: The photo. Without `depth` its orientation tag is applied, and `K` and `fov_x_deg`
            are those of the upright picture. With `depth` it is read as stored: `depth` and `K`
            belong to the stored pixels.
        body: The agent to walk with.
        depth: z-depth of every pixel: an image or .npy file, or an array [H, W]. None estimates it.
        K: Intrinsic matrix (3, 3) in pixels of the full-size picture; or give `fov_x_deg`.
        fov_x_deg: Horizontal field of view, for square pixels and a centered principal point.
        depth_unit_m: Metres per unit of `depth`; None means 0.001 for integers and 1 for floats.
        estimator: As for `worldfm_gym.reconstruction.make_estimator`.
        device: Torch device that the estimator computes on.
        camera_height_m: Height of the camera above the floor, which sets the scale of estimated
            depth; None trusts estimators in metres and takes 1.5 m for others.
        panorama: Whether the photo is an equirectangular panorama, 360° across and 180° high; None
            takes pictures that are twice as wide as high for one.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        extend_floor: Whether to continue the floor below the picture to the camera's foot, so that
            one can walk where the photo was taken from. Its points are marked as generated.
        objects: Whether to tell what stands on the floor as objects that can be moved.
        expand: Whether to let the frame model continue the place all around; see `World.expand`.
        seed: Of the expansion.
        name: Recorded as the source's name; None takes the file's.

    Raises:
        SourceError: If the picture shows no place, or depth or intrinsics are unusable.
        ReconstructionError: If there is no such estimator.
        MissingExtraError: If the estimator's package is not installed.
    """
    photo = Path(path)
    name = name or photo.name
    if depth is not None:
        if camera_height_m is not None or panorama:
            raise SourceError(
                "camera_height_m and panorama belong to photos without depth: with depth= the "
                "scale is depth_unit_m's and the picture is an ordinary one"
            )
        world = _with_depth(
            photo,
            depth,
            K=K,
            fov_x_deg=fov_x_deg,
            depth_unit_m=depth_unit_m,
            body=body,
            spacing_m=spacing_m,
            extend_floor=extend_floor,
            objects=objects,
            name=name,
        )
    else:
        if depth_unit_m is not None:
            raise SourceError("depth_unit_m is the unit of depth=, which is not given")
        from worldfm_gym.worlds.photo_estimation import world_without_depth

        world = world_without_depth(
            photo,
            K=K,
            fov_x_deg=fov_x_deg,
            estimator=estimator,
            device=device,
            camera_height_m=camera_height_m,
            panorama=panorama,
            body=body,
            spacing_m=spacing_m,
            extend_floor=extend_floor,
            objects=objects,
            name=name,
        )
    return world.expand(seed=seed) if expand else world


def _with_depth(
    photo: Path,
    depth: str | os.PathLike[str] | NDArray[Any],
    *,
    K: ArrayLike | None,
    fov_x_deg: float | None,
    depth_unit_m: float | None,
    body: AgentBody,
    spacing_m: float | None,
    extend_floor: bool,
    objects: bool,
    name: str,
) -> World:
    """A world of a photo whose depth is known."""
    rgb = read_color(photo)
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
        K = K_from_fov(fov_x_deg, width=width, height=height)
    camera = camera_of(photo.name, np.eye(4), K, width, height)
    frame = PosedFrame(rgb, depth_z, camera, photo.name)
    return world_from_frames(
        fuse([frame], spacing_m=spacing_m),
        [reference_of_frame(frame)],
        [camera],
        body=body,
        source={"kind": "photo", "name": name, "depth": "given"},
        extend_floor=extend_floor,
        objects=objects,
    )


def K_from_fov(fov_x_deg: Any, *, width: int, height: int) -> NDArray[np.float64]:
    """Intrinsic matrix [3, 3] of an untrusted field of view.

    Raises:
        SourceError: If it is not a number within 1…170 degrees.
    """
    value = as_array(fov_x_deg, "the photo", "fov_x_deg")
    try:
        fx, fy, cx, cy = intrinsics_from_fov(float(value), width=width, height=height)
    except (CameraError, TypeError) as error:
        raise SourceError(f"fov_x_deg is not usable: {error}") from error
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
