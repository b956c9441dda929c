"""Merging: what a round of drawings adds to a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import RasterImages
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.camera import Camera
from worldfm_gym.growth.agreement import agreement_share, cross_check, draws_agree
from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.growth.path import joined
from worldfm_gym.growth.place import Place
from worldfm_gym.growth.seen_space import FREE, SeenSpace
from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame, surface_pixels

_SMOOTH_PX = 1  # drawings change the scaffold's color in strokes that wide to each side
_LEAST_PATCH_PX = 24  # smaller surfaces stay out: they would be a fog of points
_LEAST_SHARE = 0.6  # of the known surfaces in a view that it must show to add others,
_LEAST_KNOWN = 0.03  # where they fill so much of it
_REPLACED = 0.03


@dataclass(frozen=True, slots=True)
class Drawings:
    """D drawings of B views.

    Attributes:
        rgb: uint8 [D, B, H, W, 3].
        depth_z: float32 [D, B, H, W], metres; 0 where unknown.
        cameras: Of the views.
    """

    rgb: NDArray[np.uint8]
    depth_z: NDArray[np.float32]
    cameras: Camera


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a round.

    Attributes:
        reliable_z: Depth where drawings agree, 0 elsewhere, float32 [B, H, W].
        agreement: Share of the pixels that show the place as it is now, float64 [B].
        added: New surface points, before they were thinned.
    """

    reliable_z: NDArray[np.float32]
    agreement: NDArray[np.float64]
    added: int


def merge_round(
    place: Place,
    drawings: Drawings,
    expected: RasterImages,
    *,
    earlier_z: NDArray[np.float32],
    earlier_cameras: Camera,
    seen: SeenSpace,
    config: GrowthConfig,
) -> Merged:
    """Put a round of drawings into a place.

    Where a drawing shows the scaffold, it changes its color. Where two drawings with different
    noise agree on another surface, another view confirms it and none contradicts, the surface
    becomes part of the place and the scaffold gives way.

    Args:
        place: Changed in place.
        drawings: Of views of the place with parts of the scaffold hidden.
        expected: The whole place in these views.
        earlier_z: Reliable depth of the V views of earlier rounds, float32 [V, H, W].
        earlier_cameras: Of those views.
        seen: Free space and pixels that are not to be touched.
        config: Tolerances.
    """
    cameras, depth_z = drawings.cameras, drawings.depth_z[0]
    agree = draws_agree(
        drawings.rgb,
        drawings.depth_z,
        color_tolerance=config.color_tolerance,
        depth_tolerance=config.depth_tolerance,
    )
    covered = expected.index >= 0
    scaffold = expected.index >= place.fixed
    near = np.abs(depth_z - expected.depth) <= config.snap * expected.depth
    trust = scaffold & near & (depth_z > 0)
    change = drawings.rgb[0].astype(np.float32) - expected.rgb
    place.confirm(_smoothed(change, trust), expected.depth, trust, cameras)

    # A view that draws known surfaces elsewhere than they are closes no loop: it adds nothing.
    known_z = np.where(covered & ~scaffold, expected.depth, np.float32(0))
    closes = agreement_share(depth_z, known_z, tolerance=config.snap) >= _LEAST_SHARE
    closes |= (known_z > 0).mean(axis=(1, 2)) < _LEAST_KNOWN
    open_to = agree & ~(covered & ~scaffold) & closes[:, None, None]
    exact = np.abs(depth_z - expected.depth) <= 0.5 * config.depth_tolerance * expected.depth
    reliable_z = np.where(agree, depth_z, np.float32(0))
    found = _new_surfaces(
        drawings,
        open_to & ~(covered & exact),
        open_to & ~(covered & near),
        np.concatenate([reliable_z, earlier_z]),
        joined(cameras, earlier_cameras),
        seen=seen,
        config=config,
    )
    explained, added = near & (depth_z > 0), 0
    if found is not None:
        surface_z, points = found
        explained |= surface_z > 0
        added = len(points)
        place.refute(surface_z, cameras, margin=_REPLACED)
        spacing = 2 * float(np.median(place.scaffold.radius))
        parts = [points] if place.drawn is None else [place.drawn, points]
        place.drawn = voxel_thin(Anchor.concatenate(parts), spacing)
    return Merged(reliable_z, explained.mean(axis=(1, 2)), added)


def _new_surfaces(
    drawings: Drawings,
    wanted: NDArray[np.bool_],
    certain: NDArray[np.bool_],
    all_z: NDArray[np.float32],
    all_cameras: Camera,
    *,
    seen: SeenSpace,
    config: GrowthConfig,
) -> tuple[NDArray[np.float32], Anchor] | None:
    """Depth [B, H, W] and points of the surfaces that other views confirm; None without any.

    Surfaces are connected pixels that are `wanted`, of which enough are `certain` to be elsewhere
    than expected (hysteresis): where a wall meets the floor, they are close to each other.
    """
    cameras = drawings.cameras
    surface_z = np.zeros_like(drawings.depth_z[0])
    points: list[Anchor] = []
    for b in range(len(wanted)):
        depth_z = drawings.depth_z[0, b]
        mask = _large_patches(wanted[b] & surface_pixels(depth_z), certain[b], _LEAST_PATCH_PX)
        if not mask.any():
            continue
        places = cameras[b].unproject(depth_z.astype(np.float64))[mask]
        agreeing, through = cross_check(
            places,
            np.full(len(places), b),
            all_z,
            all_cameras,
            tolerance=config.depth_tolerance,
        )
        radius = 0.5 * depth_z[mask] / float(cameras.intrinsics[b, 0])
        good = (agreeing >= 1) & (2 * through <= agreeing) & (seen.judge(places, radius) == FREE)
        mask[mask] = good
        mask = _large_patches(mask, certain[b], _LEAST_PATCH_PX)
        if not mask.any():
            continue
        surface_z[b] = np.where(mask, depth_z, 0)
        frame = PosedFrame(drawings.rgb[0, b], surface_z[b], cameras[b], f"view {b}")
        made = points_of_frame(frame)
        if made is not None:
            points.append(_generated(made))
    return (surface_z, Anchor.concatenate(points)) if points else None


def _generated(anchor: Anchor) -> Anchor:
    """The same points, marked as generated."""
    return Anchor(
        anchor.points,
        anchor.colors,
        anchor.normals,
        anchor.instance,
        anchor.radius,
        np.ones(len(anchor), np.bool_),
    )


def _smoothed(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Means [B, H, W, 3] over the masked ones of (2·_SMOOTH_PX + 1)² pixels; 0 without any."""
    total = np.concatenate([values * mask[..., None], mask[..., None]], axis=-1)
    for axis in (1, 2):
        pad = [(0, 0)] * 4
        pad[axis] = (_SMOOTH_PX + 1, _SMOOTH_PX)
        sums = np.cumsum(np.pad(total, pad), axis=axis, dtype=np.float64)
        size, reach = total.shape[axis], 2 * _SMOOTH_PX + 1
        total = sums.take(range(reach, reach + size), axis) - sums.take(range(size), axis)
    return np.asarray(total[..., :3] / np.maximum(total[..., 3:], 0.5), np.float32)


def _large_patches(
    mask: NDArray[np.bool_], certain: NDArray[np.bool_], least_px: int
) -> NDArray[np.bool_]:
    """The 4-connected parts of a mask [H, W] that have so many certain pixels."""
    return np.asarray(_grow_patches(mask, certain, least_px))


@njit(cache=True, nogil=True)
def _grow_patches(mask: Any, certain: Any, least_px: int) -> Any:
    """Flood fill each part of the mask once; keep it if it is large."""
    height, width = mask.shape
    kept = np.zeros((height, width), np.bool_)
    visited = np.zeros((height, width), np.bool_)
    stack = np.empty(height * width, np.int64)
    for start in range(height * width):
        if not mask[start // width, start % width] or visited[start // width, start % width]:
            continue
        stack[0], first, end, sure = start, 0, 1, 0
        visited[start // width, start % width] = True
        while first < end:
            v, u = stack[first] // width, stack[first] % width
            sure += certain[v, u]
            first += 1
            for dv, du in ((0, 1), (0, -1), (1, 0), (-1, 0)):
                y, x = v + dv, u + du
                if 0 <= y < height and 0 <= x < width and mask[y, x] and not visited[y, x]:
                    visited[y, x] = True
                    stack[end] = y * width + x
                    end += 1
        if sure >= least_px:
            for i in range(end):
                kept[stack[i] // width, stack[i] % width] = True
    return kept
