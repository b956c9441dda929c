"""Panoramas: one equirectangular picture becomes a world all around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, FloatArray
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.depth_edges import sharpened
from worldfm_gym.reconstruction.estimator import DepthEstimator
from worldfm_gym.reconstruction.ground import Ground, find_ground, flattened
from worldfm_gym.reconstruction.panorama import (
    align_views,
    cut_view,
    merge_views,
    panorama_cameras,
)
from worldfm_gym.reconstruction.scale import USUAL_CAMERA_HEIGHT_M, Scale, metric_scale
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.estimated import ANCHOR_REACH_M, solid, usable_depth
from worldfm_gym.worlds.floor import Floor
from worldfm_gym.worlds.fusion import PosedFrame, fuse, reference_of_frame
from worldfm_gym.worlds.world import World

PANORAMA_SIDE = 1536
"""Width in pixels that panoramas are shrunk to."""

_VIEW_SIDE = 384
_UP = np.array([0.0, 0.0, 1.0])
_MAX_TILT_DEG = 10.0  # panoramas are taken upright


@dataclass(frozen=True, slots=True)
class _Surround:
    """Views of a panorama with merged depth in metres, and the floor in the panorama's frame."""

    frames: list[PosedFrame]
    owned: list[NDArray[np.bool_]]
    floor: Floor
    floor_is_seen: bool
    scale: Scale


def world_from_panorama(
    rgb: NDArray[np.uint8],
    photo: Path,
    *,
    estimator: DepthEstimator,
    camera_height_m: float | None,
    body: AgentBody,
    spacing_m: float | None,
    extend_floor: bool,
    objects: bool,
    name: str,
) -> tuple[World, list[str]]:
    """Make a world of an equirectangular panorama; see `world_from_photo`.

    Twelve overlapping views are cut from it, their depths estimated, aligned by the logarithms of
    their scales and merged into one distance for each direction. All views are remembered.

    Args:
        rgb: The panorama, uint8 [H, W, 3], 360° across and 180° high.
        photo: Its file, for messages.
        estimator: What estimates.
        camera_height_m: Height of the camera above the floor, if it is known.
        body: The agent to walk with.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        extend_floor: Whether to continue the floor to the camera's foot.
        objects: Whether to tell what stands on the floor as objects.
        name: Recorded as the source's name.

    Returns:
        The world and what a user should know of, in words.

    Raises:
        SourceError: If the depth of a view can't be told.
    """
    notes: list[str] = []
    surround = _surround(rgb, photo, estimator, camera_height_m, notes)
    shown = [
        _without(solid(frame, surround.floor), ~owned)
        for frame, owned in zip(surround.frames, surround.owned, strict=True)
    ]
    world = world_from_frames(
        fuse([frame for frame in shown if (frame.depth > 0).any()], spacing_m=spacing_m),
        [reference_of_frame(frame) for frame in surround.frames],
        [frame.camera for frame in surround.frames],
        body=body,
        source={
            "kind": "panorama",
            "name": name,
            "depth": f"estimated by {estimator.name}",
            "views": len(surround.frames),
            "fov_x_deg": 360.0,
            "fov_from": "equirectangular",
            "camera_height_m": round(-surround.floor.height, 3),
            "scale": round(surround.scale.factor, 4),
            "scale_from": surround.scale.rule,
            "floor_from": "seen" if surround.floor_is_seen else "assumed",
        },
        extend_floor=extend_floor,
        objects=objects,
        floor=surround.floor,
    )
    return world, notes


def _surround(
    rgb: NDArray[np.uint8],
    photo: Path,
    estimator: DepthEstimator,
    camera_height_m: float | None,
    notes: list[str],
) -> _Surround:
    """Estimate, align and merge the views of a panorama."""
    cameras = panorama_cameras(_VIEW_SIDE)
    views = [cut_view(rgb, cameras[i]) for i in range(len(cameras.c2w))]
    depths, metric = _estimated(views, cameras, estimator, photo)
    factors = align_views(depths, cameras)
    aligned = [(d * f).astype(np.float32) for d, f in zip(depths, factors, strict=True)]
    merged, owned = merge_views(aligned, cameras)
    merged = [sharpened(d, view) for d, view in zip(merged, views, strict=True)]
    ground = _common_ground(merged, cameras)
    scale = metric_scale(
        metric=metric,
        camera_height=None if ground is None else ground.height,
        median_depth=float(np.median(np.concatenate([d[d > 0] for d in merged]))),
        camera_height_m=camera_height_m,
    )
    if scale.note:
        notes.append(scale.note)
    if ground is None:
        height = camera_height_m or USUAL_CAMERA_HEIGHT_M
        floor = Floor(_UP, -height, 0.0, None)
        notes.append(f"no floor was found in {photo.name}: one is assumed {height:.2f} m below")
    else:
        merged = [
            flattened(d, cameras[i].K, _seen_from(ground, cameras[i])) for i, d in enumerate(merged)
        ]
        area = ground.share * 4 * np.pi * (ground.height * scale.factor) ** 2
        floor = Floor(ground.up, -ground.height * scale.factor, float(area), None)
    frames = [
        PosedFrame(view, (d * scale.factor).astype(np.float32), cameras[i], f"view {i}")
        for i, (view, d) in enumerate(zip(views, merged, strict=True))
    ]
    return _Surround(frames, owned, floor, ground is not None, scale)


def _estimated(
    views: Sequence[NDArray[np.uint8]], cameras: Camera, estimator: DepthEstimator, photo: Path
) -> tuple[list[NDArray[np.float32]], bool]:
    """Depth of each view, and whether it is metric; views without depth stay empty."""
    depths = []
    metric = True
    for i, view in enumerate(views):
        estimate = estimator.estimate([view], [cameras[i].K])[0]
        metric &= estimate.metric
        try:
            depths.append(usable_depth(estimate, view, name=f"{photo.name}, view {i}"))
        except SourceError:
            depths.append(np.zeros(view.shape[:2], np.float32))
    if sum(bool(d.any()) for d in depths) < len(views) / 2:
        raise SourceError(
            f"the estimator can't tell the depth of most of {photo}: pass a panorama of a place "
            f"with surfaces within {ANCHOR_REACH_M:g} m"
        )
    return depths, metric


def _common_ground(depths: Sequence[NDArray[np.float32]], cameras: Camera) -> Ground | None:
    """The floor that the views see together, in the panorama's frame."""
    found: list[tuple[FloatArray, float, float]] = []
    for i, depth_z in enumerate(depths):
        rotation = cameras.c2w[i, :3, :3]
        if not depth_z.any() or rotation[2, 2] > 0.5:  # the views that look up
            continue
        ground = find_ground(depth_z, cameras[i].K, up_camera=rotation.T @ _UP)
        if ground is not None and (up := rotation @ ground.up)[2] > np.cos(
            np.deg2rad(_MAX_TILT_DEG)
        ):
            found.append((up, ground.height, ground.share))
    if not found:
        return None
    ups, heights, shares = (np.array(column) for column in zip(*found, strict=True))
    order = np.argsort(heights, kind="stable")
    middle = np.searchsorted(np.cumsum(shares[order]), shares.sum() / 2)
    near = np.abs(heights / heights[order[middle]] - 1) < 0.15
    up = (ups[near] * shares[near, None]).sum(axis=0)
    height = float(np.average(heights[near], weights=shares[near]))
    return Ground(up / np.linalg.norm(up), height, float(shares.sum() / len(depths)))


def _seen_from(ground: Ground, camera: Camera) -> Ground:
    """A ground in the panorama's frame as a camera at its center has it."""
    return replace(ground, up=camera.c2w[:3, :3].T @ ground.up)


def _without(frame: PosedFrame, masked: NDArray[np.bool_]) -> PosedFrame:
    """The frame with unknown depth where `masked`."""
    return replace(frame, depth=np.where(masked, np.float32(0.0), frame.depth))
