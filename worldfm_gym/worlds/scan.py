"""Scans: recordings of posed RGB-D frames, or of those that lack poses or depth, become worlds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.estimator import DepthEstimator
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.consistency import Agreement
from worldfm_gym.worlds.fusion import PosedFrame, fuse, reference_of_frame, spread_out
from worldfm_gym.worlds.reference_choice import best_cover
from worldfm_gym.worlds.scan_formats import (
    ScanFrame,
    is_sequence_folder,
    read_json,
    read_scan_json,
    read_sequence_folder,
    read_transforms_json,
)
from worldfm_gym.worlds.scan_tum import read_tum_folder
from worldfm_gym.worlds.world import World


def is_scan(path: Path) -> bool:
    """Whether a path is a scan: a scan.json or transforms.json, or a folder that holds a scan."""
    if path.is_dir():
        held = ("scan.json", "transforms.json", "groundtruth.txt")
        return any((path / name).is_file() for name in held) or is_sequence_folder(path)
    return path.name in ("scan.json", "transforms.json")


def world_from_scan(
    path: str | os.PathLike[str],
    *,
    body: AgentBody,
    spacing_m: float | None = None,
    references: int = 8,
    max_frames: int = 200,
    depth_unit_m: float | None = None,
    scale: float = 1.0,
    objects: bool = True,
    estimator: str | os.PathLike[str] | DepthEstimator = "built-in",
) -> World:
    """Fuse a scan into a world, turned upright with its floor at z = 0.

    Frames without poses are tracked by RGB-D odometry, which needs the extra ``geometry``; posed
    frames without depth get it from a depth estimator.

    Args:
        path: A scan.json, a nerfstudio transforms.json, or a folder that holds one of them, a TUM
            recording (rgb.txt, depth.txt, groundtruth.txt), or color/, depth/ and a meta.json.
        body: The agent to walk with.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        references: How many frames to remember: those that together show the surfaces best.
        max_frames: Of longer recordings, so many frames are used, spread over the recording.
        depth_unit_m: Metres per stored unit of depth, for transforms.json.
        scale: Metres per unit of position, for transforms.json.
        objects: Whether to tell what stands on the floor as objects that can be moved.
        estimator: For frames without depth; see `worldfm_gym.reconstruction.make_estimator`.

    Raises:
        SourceError: If the scan can't be read or a frame of it is unusable; the message names it.
        MissingExtraError: If frames have no poses and Open3D is not installed.
    """
    if max_frames < 1 or references < 0:
        raise SourceError(
            f"max_frames must be at least 1 and references at least 0, got {max_frames} "
            f"and {references}"
        )
    source = Path(path)
    kind, frames = read_scan(source, depth_unit_m=depth_unit_m, scale=scale)
    frames = _fewer(frames, max_frames)
    record: dict[str, Any] = {
        "kind": "scan",
        "format": kind,
        "name": source.resolve().name if source.is_dir() else source.resolve().parent.name,
    }
    usable: Sequence[ScanFrame | PosedFrame] = frames
    if not frames[0].posed:
        usable, tracked = _tracked(frames)
        record |= tracked
    elif frames[0].depth_path is None:
        from worldfm_gym.worlds.posed_photos import estimate_frames

        usable, estimated = estimate_frames(frames, estimator=estimator)
        record |= estimated
    return world_from_scan_frames(
        usable,
        body=body,
        spacing_m=spacing_m,
        references=references,
        objects=objects,
        measured=frames[0].depth_path is not None,
        source=record,
    )


def world_from_scan_frames(
    frames: Sequence[ScanFrame | PosedFrame],
    *,
    body: AgentBody,
    source: Mapping[str, Any],
    spacing_m: float | None = None,
    references: int = 8,
    objects: bool = False,
    measured: bool = True,
) -> World:
    """Fuse some posed RGB-D frames into a world, turned upright with its floor at z = 0.

    Args:
        frames: What `read_scan` found, or a part of it, or frames in memory; at least one.
        body: The agent to walk with.
        source: Record of where the world comes from.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        references: How many frames to remember: those that together show the surfaces best.
        objects: Whether to tell what stands on the floor as objects that can be moved.
        measured: Whether depth is a sensor's, so that what frames contradict can be dropped.

    Raises:
        SourceError: If a frame is unusable; the message names it.
    """
    anchor = fuse((_loaded(frame) for frame in frames), spacing_m=spacing_m)
    if measured:
        agreement = Agreement(anchor)
        for frame in frames:  # read again: all pixels of a long recording may not fit into memory
            agreement.add(_loaded(frame))
        remembered = best_cover(agreement.qualities, references)
        anchor = agreement.anchor()
    else:
        remembered = spread_out(np.stack([f.camera.c2w for f in frames]), references)
    return world_from_frames(
        anchor,
        [reference_of_frame(_loaded(frames[i])) for i in remembered],
        [f.camera for f in frames],
        body=body,
        objects=objects,
        source={**source, "frames": len(frames)},
    )


def _loaded(frame: ScanFrame | PosedFrame) -> PosedFrame:
    """A frame with its pixels."""
    return frame.load() if isinstance(frame, ScanFrame) else frame


def _fewer(frames: list[ScanFrame], count: int) -> list[ScanFrame]:
    """At most so many frames: spread over their poses, or over time where there are none."""
    if len(frames) <= count:
        return frames
    if frames[0].posed:
        chosen = sorted(spread_out(np.stack([f.camera.c2w for f in frames]), count))
    else:
        chosen = np.linspace(0, len(frames) - 1, count).round().astype(int).tolist()
    return [frames[i] for i in chosen]


def _tracked(frames: Sequence[ScanFrame]) -> tuple[list[ScanFrame], dict[str, Any]]:
    """The frames with poses, and how these were found."""
    if frames[0].depth_path is None:
        raise SourceError(
            f"{frames[0].name} has neither pose nor depth: give c2w, or depth, with every frame"
        )
    from worldfm_gym.reconstruction.odometry import track

    trajectory = track([frame.load() for frame in frames])
    posed = [
        replace(frame, camera=replace(frame.camera, c2w=c2w), posed=True)
        for frame, c2w in zip(frames, trajectory.c2w, strict=True)
    ]
    return posed, {"poses": "odometry", "loops": trajectory.loops}


def read_scan(
    source: Path, *, depth_unit_m: float | None = None, scale: float = 1.0
) -> tuple[str, list[ScanFrame]]:
    """The scan's format and frames, whose pixels are not read yet.

    Args:
        source: As for `world_from_scan`.
        depth_unit_m: Metres per stored unit of depth, for transforms.json.
        scale: Metres per unit of position, for transforms.json.

    Raises:
        SourceError: If the scan can't be read.
    """
    path = source
    if source.is_dir():
        files = [source / name for name in ("scan.json", "transforms.json")]
        path = next((file for file in files if file.is_file()), source)
        if path.name != "transforms.json" and _is_plain_sequence(source):
            return "sequence", read_sequence_folder(source)
    if path.name == "transforms.json":
        return "nerfstudio", read_transforms_json(path, depth_unit_m=depth_unit_m, scale=scale)
    if depth_unit_m is not None or scale != 1.0:
        raise SourceError(
            "depth_unit_m and scale are options of transforms.json; scan.json has its own field "
            "depth_unit_m and TUM recordings have 5000 units per metre"
        )
    if path.is_dir():
        return "tum", read_tum_folder(path)
    return "scan.json", read_scan_json(path)


def _is_plain_sequence(folder: Path) -> bool:
    """Whether a folder with color/ and depth/ has no list of frames."""
    listed = folder / "scan.json"
    if (folder / "groundtruth.txt").is_file() or not is_sequence_folder(folder):
        return False
    return not listed.is_file() or "frames" not in read_json(listed)
