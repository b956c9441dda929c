"""Scans: posed RGB-D recordings become worlds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.assembly import world_from_frames
from worldfm_gym.worlds.consistency import Agreement
from worldfm_gym.worlds.fusion import fuse, reference_of_frame, spread_out
from worldfm_gym.worlds.reference_choice import best_cover
from worldfm_gym.worlds.scan_formats import (
    ScanFrame,
    read_scan_json,
    read_transforms_json,
    read_tum_folder,
)
from worldfm_gym.worlds.world import World


def is_scan(path: Path) -> bool:
    """Whether a path is a scan: a scan.json or transforms.json, or a folder that holds a scan."""
    if path.is_dir():
        held = ("scan.json", "transforms.json", "groundtruth.txt")
        return any((path / name).is_file() for name in held)
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
) -> World:
    """Fuse a scan into a world, turned upright with its floor at z = 0.

    Args:
        path: A scan.json, a nerfstudio transforms.json, or a folder that holds one of them or a
            TUM recording (rgb.txt, depth.txt, groundtruth.txt).
        body: The agent to walk with.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        references: How many frames to remember: those that together show the surfaces best.
        max_frames: Of longer recordings, so many frames are used, spread over the recording.
        depth_unit_m: Metres per stored unit of depth, for transforms.json.
        scale: Metres per unit of position, for transforms.json.

    Raises:
        SourceError: If the scan can't be read or a frame of it is unusable; the message names it.
    """
    if max_frames < 1 or references < 0:
        raise SourceError(
            f"max_frames must be at least 1 and references at least 0, got {max_frames} "
            f"and {references}"
        )
    source = Path(path)
    kind, frames = read_scan(source, depth_unit_m=depth_unit_m, scale=scale)
    if len(frames) > max_frames:
        chosen = spread_out(np.stack([f.camera.c2w for f in frames]), max_frames)
        frames = [frames[i] for i in sorted(chosen)]
    return world_from_scan_frames(
        frames,
        body=body,
        spacing_m=spacing_m,
        references=references,
        source={
            "kind": "scan",
            "format": kind,
            "name": source.resolve().name if source.is_dir() else source.resolve().parent.name,
        },
    )


def world_from_scan_frames(
    frames: Sequence[ScanFrame],
    *,
    body: AgentBody,
    source: Mapping[str, Any],
    spacing_m: float | None = None,
    references: int = 8,
) -> World:
    """Fuse some frames of a scan into a world, turned upright with its floor at z = 0.

    Args:
        frames: What `read_scan` found, or a part of it, at least one.
        body: The agent to walk with.
        source: Record of where the world comes from.
        spacing_m: Sampling distance of the anchor in metres; None chooses by the pixels' size.
        references: How many frames to remember: those that together show the surfaces best.

    Raises:
        SourceError: If a frame is unusable; the message names it.
    """
    anchor = fuse((frame.load() for frame in frames), spacing_m=spacing_m)
    agreement = Agreement(anchor)
    for frame in frames:  # read again: all pixels of a long recording may not fit into memory
        agreement.add(frame.load())
    remembered = best_cover(agreement.qualities, references)
    return world_from_frames(
        agreement.anchor(),
        [reference_of_frame(frames[i].load()) for i in remembered],
        [f.camera for f in frames],
        body=body,
        source={**source, "frames": len(frames)},
    )


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
