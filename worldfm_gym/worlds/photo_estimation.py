"""Photos without depth: read, estimate, check, and put together with a record of all guesses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.estimator import DepthEstimator, make_estimator
from worldfm_gym.reconstruction.panorama import has_panorama_shape, sides_join
from worldfm_gym.reconstruction.picture_checks import check_picture
from worldfm_gym.reconstruction.scale import check_camera_height
from worldfm_gym.user_warnings import warn_user
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.estimated import estimate_frame, solid
from worldfm_gym.worlds.fusion import fuse, reference_of_frame
from worldfm_gym.worlds.panorama_world import PANORAMA_SIDE, world_from_panorama
from worldfm_gym.worlds.photo import WORKING_SIDE, K_from_fov
from worldfm_gym.worlds.photo_file import PhotoFile, read_photo
from worldfm_gym.worlds.scan_formats import as_array
from worldfm_gym.worlds.world import World

_MIN_POINTS = 500
_SMALL_M2 = 0.3
_MAX_ASPECT = 3.0


def world_without_depth(
    photo: Path,
    *,
    K: ArrayLike | None,
    fov_x_deg: float | None,
    estimator: str | os.PathLike[str] | DepthEstimator,
    device: str,
    camera_height_m: float | None,
    panorama: bool | None,
    body: AgentBody,
    spacing_m: float | None,
    extend_floor: bool,
    objects: bool,
    name: str,
) -> World:
    """Make a world of one photo by estimating its depth; see `world_from_photo`."""
    if camera_height_m is not None:
        check_camera_height(camera_height_m)
    file = read_photo(photo, max_side=WORKING_SIDE)
    check_picture(file.rgb, name=str(photo))
    notes = list(file.notes)
    surround = _is_panorama(file, panorama, notes, photo)
    matrix, fov_from = _lens(file, K, fov_x_deg, photo)
    if surround:
        if K is not None or fov_x_deg is not None:
            raise SourceError(
                f"{photo} is a panorama, which has no K and no fov_x_deg: leave them out, or pass "
                "panorama=False if it is an ordinary picture"
            )
        world, more = world_from_panorama(
            read_photo(photo, max_side=PANORAMA_SIDE).rgb,
            photo,
            estimator=make_estimator(estimator, device=device),
            camera_height_m=camera_height_m,
            body=body,
            spacing_m=spacing_m,
            extend_floor=extend_floor,
            objects=objects,
            name=name,
        )
        return finished(world, notes + more, photo)
    _check_aspect(file, photo)
    used = make_estimator(estimator, device=device)
    made = estimate_frame(
        file.rgb,
        estimator=used,
        name=photo.name,
        K=matrix,
        fov_from=fov_from,
        camera_height_m=camera_height_m,
        opaque=file.opaque,
    )
    world = world_from_frames(
        fuse([solid(made.frame, made.floor)], spacing_m=spacing_m),
        [reference_of_frame(made.frame)],
        [made.frame.camera],
        body=body,
        source={
            "kind": "photo",
            "name": name,
            "depth": f"estimated by {used.name}",
            "photo_size": list(file.full_size),
            **made.record(),
        },
        extend_floor=extend_floor,
        objects=objects,
        floor=made.floor,
    )
    return finished(world, notes + made.notes, photo)


def finished(world: World, notes: Sequence[str], photo: Path) -> World:
    """The world with its record completed, once it is known to be sound; warns of all notes.

    Raises:
        SourceError: If too little surface was found to stand in front of.
    """
    if len(world.anchor) < _MIN_POINTS:
        raise SourceError(
            f"only {len(world.anchor)} points of surface were found in {photo}, at least "
            f"{_MIN_POINTS} make a world: pass a photo of a place with something to stand on"
        )
    said = list(notes)
    if world.nav is None:
        said.append(f"the world of {photo.name} can't be walked: {world.nav_problem}")
    elif not world.nav.is_navigable(world.start_c2w[:2, 3]):
        said.append(
            f"the agent does not fit where {photo.name} was taken: episodes start elsewhere on its "
            "floor"
        )
    elif (area := float(world.nav.navigable.sum()) * world.nav.cell_m**2) < _SMALL_M2:
        said.append(
            f"the agent's center has only {area:.2f} m² of free floor in {photo.name}: pass "
            "expand=True to continue the place, or take a smaller body"
        )
    for note in said:
        warn_user(note)
    return replace(world, source={**world.source, "warnings": said})


def _is_panorama(file: PhotoFile, panorama: bool | None, notes: list[str], photo: Path) -> bool:
    """Whether to take a picture for an equirectangular panorama."""
    shaped = has_panorama_shape(file.full_size)
    if panorama and not shaped:
        raise SourceError(
            f"{photo} has {file.full_size[0]}×{file.full_size[1]} pixels; an equirectangular "
            "panorama is twice as wide as high, and at least 512 pixels wide"
        )
    if panorama is None and shaped and not sides_join(file.rgb):
        notes.append(
            f"{photo.name} is twice as wide as high, but its sides don't join: taken as an "
            "ordinary photo. Pass panorama=True if it is a panorama"
        )
        return False
    return shaped if panorama is None else panorama


def _lens(
    file: PhotoFile, K: ArrayLike | None, fov_x_deg: float | None, photo: Path
) -> tuple[NDArray[np.float64] | None, str | None]:
    """Intrinsics in pixels of the picture as read and where they are from; None if unknown."""
    height, width = file.rgb.shape[:2]
    if K is not None and fov_x_deg is not None:
        raise SourceError(f"{photo} got both K= and fov_x_deg=: pass only one")
    if fov_x_deg is not None:
        return K_from_fov(fov_x_deg, width=width, height=height), "given"
    if K is not None:
        matrix = as_array(K, photo.name, "K")
        if matrix.shape != (3, 3):
            raise SourceError(f"{photo}: K must have the shape (3, 3), got {matrix.shape}")
        _check_center(matrix, file.full_size, photo)
        return _scaled(matrix, width / file.full_size[0], height / file.full_size[1]), "given"
    if file.focal_px is not None:
        focal = file.focal_px
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), str(
            file.focal_from
        )
    return None, None


def _scaled(K: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Intrinsics of a resized picture."""
    return np.asarray(np.diag([x, y, 1.0]) @ K)


def _check_center(K: NDArray[np.float64], size: tuple[int, int], photo: Path) -> None:
    """Raise if the principal point lies outside the picture: then K is another picture's."""
    if not (np.isfinite(K).all() and min(K[0, 0], K[1, 1]) > 0):
        raise SourceError(
            f"{photo}: K needs finite values and positive focal lengths, got {K.tolist()}"
        )
    if not (0 < K[0, 2] < size[0] and 0 < K[1, 2] < size[1]):
        raise SourceError(
            f"{photo}: K has its principal point at ({K[0, 2]:g}, {K[1, 2]:g}), outside the "
            f"upright picture of {size[0]}×{size[1]} pixels: is it for another size or orientation?"
        )


def _check_aspect(file: PhotoFile, photo: Path) -> None:
    """Raise for strips that no ordinary lens sees."""
    width, height = file.full_size
    if max(width, height) > _MAX_ASPECT * min(width, height):
        raise SourceError(
            f"{photo} has {width}×{height} pixels, a strip that no ordinary lens sees: crop it, or "
            "pass panorama=True for an equirectangular panorama"
        )
