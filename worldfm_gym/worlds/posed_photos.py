"""Posed photos: several pictures whose cameras are known fuse into one world."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import Camera
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.depth_edges import sharpened
from worldfm_gym.reconstruction.estimator import DepthEstimator, make_estimator
from worldfm_gym.reconstruction.multi_view import consistent_scales
from worldfm_gym.reconstruction.picture_checks import check_picture
from worldfm_gym.worlds.estimated import usable_depth
from worldfm_gym.worlds.fusion import PosedFrame
from worldfm_gym.worlds.images import read_color
from worldfm_gym.worlds.photo import WORKING_SIDE
from worldfm_gym.worlds.scan_formats import camera_of
from worldfm_gym.worlds.world import World


class PosedPicture(Protocol):
    """A picture file and the camera that took it, such as a `ScanFrame`."""

    @property
    def color_path(self) -> Path:
        """The picture."""
        ...

    @property
    def camera(self) -> Camera:
        """Its camera, batch shape ()."""
        ...

    @property
    def name(self) -> str:
        """What to call it in an error."""
        ...


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture file with its camera."""

    color_path: Path
    camera: Camera
    name: str


def world_from_photos(
    paths: Sequence[str | os.PathLike[str]],
    *,
    c2w: ArrayLike,
    K: ArrayLike,
    body: AgentBody | None = None,
    estimator: str | os.PathLike[str] | DepthEstimator = "built-in",
    device: str = "cpu",
    spacing_m: float | None = None,
    references: int = 8,
    objects: bool = True,
    name: str = "photos",
) -> World:
    """Fuse several photos with known cameras into one world.

    Args:
        paths: The photos, read as stored.
        c2w: Camera-to-world transforms [N, 4, 4] in metres, OpenCV cameras.
        K: Intrinsics in pixels [3, 3] of all, or [N, 3, 3] of each.
        body: The agent to walk with; None takes `AgentBody()`.
        estimator: As for `worldfm_gym.reconstruction.make_estimator`.
        device: Torch device that the estimator computes on.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        references: How many photos to remember.
        objects: Whether to tell what stands on the floor as objects that can be moved.
        name: Recorded as the source's name.

    Raises:
        SourceError: If the numbers of photos, poses and intrinsics differ, or one is unusable.
    """
    from worldfm_gym.worlds.scan import world_from_scan_frames

    poses, matrices = np.asarray(c2w, np.float64), np.asarray(K, np.float64)
    if len(paths) == 0 or poses.shape != (len(paths), 4, 4):
        raise SourceError(
            f"{len(paths)} photos need c2w of shape ({len(paths)}, 4, 4), got {poses.shape}"
        )
    if matrices.shape not in ((3, 3), (len(paths), 3, 3)):
        raise SourceError(
            f"K must have the shape (3, 3) or ({len(paths)}, 3, 3), got {matrices.shape}"
        )
    matrices = np.broadcast_to(matrices, (len(paths), 3, 3))
    pictures = []
    for path, pose, matrix in zip(paths, poses, matrices, strict=True):
        height, width = read_color(path).shape[:2]
        camera = camera_of(str(path), pose, matrix, width, height)
        pictures.append(_Picture(Path(path), camera, Path(path).name))
    frames, record = estimate_frames(pictures, estimator=estimator, device=device)
    return world_from_scan_frames(
        frames,
        body=body or AgentBody(),
        spacing_m=spacing_m,
        references=references,
        objects=objects,
        measured=False,
        source={"kind": "photos", "name": name, **record},
    )


def estimate_frames(
    pictures: Sequence[PosedPicture],
    *,
    estimator: str | os.PathLike[str] | DepthEstimator = "built-in",
    device: str = "cpu",
) -> tuple[list[PosedFrame], dict[str, Any]]:
    """Estimate the depth of posed pictures, at the scales at which they agree with each other.

    Args:
        pictures: At least one; each is read, and shrunk to 640 pixels a side.
        estimator: As for `worldfm_gym.reconstruction.make_estimator`.
        device: Torch device that it computes on.

    Returns:
        The RGB-D frames in metres, and what `World.source` is to say about them.

    Raises:
        SourceError: If a picture can't be read, is of another size than its camera, or its depth
            can't be told.
    """
    used = make_estimator(estimator, device=device)
    images: list[NDArray[np.uint8]] = []
    depths: list[NDArray[np.float32]] = []
    cameras: list[Camera] = []
    for picture in pictures:
        rgb, camera = _shrunk(picture)
        check_picture(rgb, name=picture.name)
        estimate = used.estimate([rgb], [camera.K])[0]
        images.append(rgb)
        cameras.append(camera)
        depths.append(sharpened(usable_depth(estimate, rgb, name=picture.name), rgb))
    factors = consistent_scales(depths, images, cameras)
    frames = [
        PosedFrame(rgb, (depth * factor).astype(np.float32), camera, picture.name)
        for rgb, depth, factor, camera, picture in zip(
            images, depths, factors, cameras, pictures, strict=True
        )
    ]
    return frames, {
        "depth": f"estimated by {used.name}",
        "scale": [round(float(factor), 4) for factor in factors],
        "scale_from": "the cameras' positions and surfaces seen by several",
    }


def _shrunk(picture: PosedPicture) -> tuple[NDArray[np.uint8], Camera]:
    """A picture and its camera at no more than 640 pixels a side."""
    from PIL import Image

    rgb, camera = read_color(picture.color_path), picture.camera
    if rgb.shape[:2] != (camera.height, camera.width):
        raise SourceError(
            f"{picture.name}: the image is {rgb.shape[1]}×{rgb.shape[0]} pixels, its intrinsics "
            f"are for {camera.width}×{camera.height}: correct width and height"
        )
    scale = WORKING_SIDE / max(rgb.shape[:2])
    if scale >= 1:
        return rgb, camera
    size = (round(camera.width * scale), round(camera.height * scale))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX)), camera.resized(
        *size
    )
