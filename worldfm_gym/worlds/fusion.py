"""Fusion: posed RGB-D frames become one anchor."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.normals import normals_from_depth
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.camera import Camera
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.world import Reference

MIN_SPACING_M = 0.006
MAX_SPACING_M = 0.05
MAX_POINTS = 400_000
MAX_REFERENCE_SIDE = 640

_BUFFER_POINTS = 6_000_000
_MAX_SLANT = 4.0  # a surface seen flatter than 1/4 has its footprint widened no further
_JUMP = 0.04  # relative step of 1/z between neighbors, beyond 1.5 times the slope: an edge
_STEEPEST = 0.15  # such a step is an edge whatever the slope


@dataclass(frozen=True, slots=True)
class PosedFrame:
    """One RGB-D image and the camera that took it.

    Attributes:
        rgb: uint8 [H, W, 3].
        depth: z-depth in metres, float32 [H, W]; 0 where unknown.
        camera: The single camera (batch shape ()).
        name: What to call the frame in an error.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Camera
    name: str


def fuse(frames: Iterable[PosedFrame], *, spacing_m: float | None = None) -> Anchor:
    """Merge the surfaces seen in posed RGB-D frames.

    Pixels on depth edges, where foreground and background mix, are left out; the rest are thinned
    on a voxel grid, and points without a neighbor are dropped.

    Args:
        frames: The frames, read one at a time.
        spacing_m: Side of the voxels in metres. None takes the median size of a pixel on the
            surfaces seen, within 6…50 mm, and coarser where that leaves more than 400,000 points.

    Raises:
        SourceError: If `spacing_m` is not positive, or no frame has a usable depth pixel.
    """
    if spacing_m is not None and not (np.isfinite(spacing_m) and spacing_m > 0):
        raise SourceError(f"spacing_m must be a positive number of metres, got {spacing_m}")
    merged: list[Anchor] = []
    held = 0
    voxel = spacing_m
    for frame in frames:
        seen = points_of_frame(frame)
        if seen is None:
            continue
        if voxel is None:
            footprint = 2 * float(np.median(seen.radius))
            voxel = float(np.clip(footprint, MIN_SPACING_M, MAX_SPACING_M))
        merged.append(seen)
        held += len(seen)
        if held > _BUFFER_POINTS:
            merged = [voxel_thin(Anchor.concatenate(merged), voxel)]
            held = len(merged[0])
    if voxel is None or not merged:
        raise SourceError("no frame has a usable depth pixel: is all of the depth noise?")
    anchor = drop_outliers(voxel_thin(Anchor.concatenate(merged), voxel), reach_m=3 * voxel)
    while spacing_m is None and len(anchor) > MAX_POINTS:
        voxel *= max(1.05, (len(anchor) / MAX_POINTS) ** 0.5)
        anchor = voxel_thin(anchor, voxel)
    return anchor


def points_of_frame(frame: PosedFrame) -> Anchor | None:
    """Unproject one frame: a surface point per pixel that is not on a depth edge, None if none.

    The radius is half a pixel's footprint, widened for surfaces seen at a slant.
    """
    normals = normals_from_depth(frame.depth, frame.camera)
    keep = surface_pixels(frame.depth)
    if not keep.any():
        return None
    points_world = frame.camera.unproject(frame.depth.astype(np.float64))[keep]
    toward_camera = frame.camera.position_world - points_world
    toward_camera /= np.linalg.norm(toward_camera, axis=-1, keepdims=True)
    cosine = np.einsum("ni,ni->n", normals[keep], toward_camera)
    slant = np.where(cosine > 0, 1 / np.clip(cosine, 1 / _MAX_SLANT, 1), 1.0)
    focal = float(frame.camera.intrinsics[:2].mean())
    return Anchor.from_points(
        points_world,
        frame.rgb[keep],
        normals=normals[keep],
        # The square of surface behind a pixel is stretched along one direction only.
        radius=0.5 * frame.depth[keep] / focal * np.sqrt(slant),
    )


def surface_pixels(depth_z: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Pixels that show one surface: no flying pixels, nor background blended with an edge.

    Args:
        depth_z: z-depth in metres [H, W]; 0 where unknown.

    Returns:
        Mask [H, W], False where depth is unknown or on the far side of a depth edge.
    """
    return np.asarray(_surface_pixels(np.asarray(depth_z, np.float32)))


@numba.njit(cache=True, nogil=True)
def _surface_pixels(depth_z: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask of pixels without a neighbor that is nearer than the slope of a surface explains."""
    height, width = depth_z.shape
    keep = np.zeros((height, width), np.bool_)
    for v in range(height):
        for u in range(width):
            if depth_z[v, u] <= 0:
                continue
            on_surface = True
            for dv in range(-1, 2):
                for du in range(-1, 2):
                    # Along a plane 1/z is linear, so a step toward a nearer neighbor is matched by
                    # the step before it, on this side, or by the one after it, on the other.
                    step = _inverse_step(depth_z, v, u, v + dv, u + du)
                    if step <= _JUMP:
                        continue
                    slope = max(
                        _inverse_step(depth_z, v - dv, u - du, v, u),
                        _inverse_step(depth_z, v + dv, u + du, v + 2 * dv, u + 2 * du),
                    )
                    # Where neither is known, such as in a corner, the slope is anyone's guess.
                    known = slope > -1.0
                    if step > _STEEPEST or (known and step > _JUMP + 1.5 * slope):
                        on_surface = False
            keep[v, u] = on_surface
    return keep


@numba.njit(cache=True, nogil=True)
def _inverse_step(depth_z: NDArray[np.float32], v: int, u: int, to_v: int, to_u: int) -> float:
    """How much 1/z grows from one pixel to another, relative to the first; −1 if unknown."""
    height, width = depth_z.shape
    if not (0 <= v < height and 0 <= u < width and 0 <= to_v < height and 0 <= to_u < width):
        return -1.0
    start, end = depth_z[v, u], depth_z[to_v, to_u]
    return start / end - 1.0 if start > 0 and end > 0 else -1.0


def drop_outliers(anchor: Anchor, *, reach_m: float, neighbors: int = 4) -> Anchor:
    """Drop points with fewer than `neighbors` others within `reach_m` (all are kept if none has).

    Args:
        anchor: A thinned cloud.
        reach_m: Search radius in metres, a few voxels.
        neighbors: How many other points must lie within it.
    """
    if len(anchor) <= neighbors:
        return anchor
    # A point may be sampled more sparsely than the voxels: its own radius widens the search.
    reach = np.maximum(np.float32(reach_m), 4 * anchor.radius)
    low = np.floor(anchor.points.min(axis=0) / reach_m)
    cell = np.floor(anchor.points / np.float32(reach_m)).astype(np.int64) - low.astype(np.int64)
    shape = cell.max(axis=0) + 1
    key = (cell[:, 0] * shape[1] + cell[:, 1]) * shape[2] + cell[:, 2]
    order = np.argsort(key, kind="stable")
    keep = _has_neighbors(
        anchor.points[order], reach[order], cell[order], key[order], shape, reach_m, neighbors
    )
    if not keep.any():
        return anchor
    mask = np.zeros(len(anchor), np.bool_)
    mask[order] = keep
    return anchor[mask]


@numba.njit(cache=True, nogil=True)
def _has_neighbors(
    points: Any, reach: Any, cell: Any, key: Any, shape: Any, cell_m: float, neighbors: int
) -> Any:
    """Whether each of the points [N, 3], sorted by cell, has so many others within reach."""
    keep = np.zeros(len(points), np.bool_)
    for n in range(len(points)):
        around = math.ceil(reach[n] / cell_m)
        square = reach[n] * reach[n]
        found = -1  # not counting the point itself
        for x in range(max(cell[n, 0] - around, 0), min(cell[n, 0] + around + 1, shape[0])):
            for y in range(max(cell[n, 1] - around, 0), min(cell[n, 1] + around + 1, shape[1])):
                row = (x * shape[1] + y) * shape[2]
                start = row + max(cell[n, 2] - around, 0)
                end = row + min(cell[n, 2] + around, shape[2] - 1)
                m = np.searchsorted(key, start)
                while m < len(key) and key[m] <= end and found < neighbors:
                    a, b = points[m, 0] - points[n, 0], points[m, 1] - points[n, 1]
                    c = points[m, 2] - points[n, 2]
                    if a * a + b * b + c * c <= square:
                        found += 1
                    m += 1
                if found >= neighbors:
                    break
            if found >= neighbors:
                break
        keep[n] = found >= neighbors
    return keep


def spread_out(c2w: NDArray[np.float64], count: int) -> list[int]:
    """Indices of at most `count` poses that differ most, the first pose first.

    Each next one is the farthest from all chosen so far, in metres plus viewing direction
    (1 rad counts as 1 m).

    Args:
        c2w: Camera poses [N, 4, 4].
        count: How many to choose.
    """
    if len(c2w) == 0 or count <= 0:
        return []
    feature = np.concatenate([c2w[:, :3, 3], c2w[:, :3, 2]], axis=-1)
    chosen = [0]
    distance = np.linalg.norm(feature - feature[0], axis=-1)
    while len(chosen) < count and distance.max() > 1e-6:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(feature - feature[chosen[-1]], axis=-1))
    return chosen


def reference_of_frame(frame: PosedFrame) -> Reference:
    """The frame as a reference, shrunk to at most 640 pixels a side (depth by nearest pixel)."""
    from PIL import Image

    height, width = frame.depth.shape
    scale = MAX_REFERENCE_SIDE / max(height, width)
    if scale >= 1:
        return Reference(frame.rgb, frame.depth, frame.camera)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rgb = np.asarray(Image.fromarray(frame.rgb).resize(size, Image.Resampling.BOX))
    depth_z = np.asarray(Image.fromarray(frame.depth).resize(size, Image.Resampling.NEAREST))
    return Reference(rgb, depth_z, frame.camera.resized(*size))
