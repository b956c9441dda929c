"""Evaluation views of a scan: frames left out of a world's build are what should be seen there.

The frames are dealt into groups in turn, and each group is left out of one world, whose anchor then
covers most of what it shows. Other worlds are built from one frame alone, as from a photo: what the
rest of the frames shows beside it is left to invention. Or one world is built from every nth frame,
and all others are its views.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from worldfm_gym.camera import Camera, invert_rigid
from worldfm_gym.errors import ConfigError, SourceError
from worldfm_gym.frame_model.reference_images import load_references
from worldfm_gym.navigation import AgentBody
from worldfm_gym.training.evaluation_views import EvaluationViews
from worldfm_gym.worlds.scan import read_scan, world_from_scan_frames
from worldfm_gym.worlds.scan_formats import ScanFrame
from worldfm_gym.worlds.world import Reference

GROUPS = 4


def scan_views(
    path: str | os.PathLike[str],
    *,
    size: int = 128,
    max_frames: int = 60,
    every: int | None = None,
) -> EvaluationViews:
    """Views of worlds made of parts of a scan, without neighbors: its depth is a sensor's.

    Args:
        path: As for `worldfm_gym.make_world`: a scan.json, a transforms.json or their folder.
        size: Longer side of the views in pixels; the shorter becomes the nearest multiple of 8.
        max_frames: Of longer scans so many frames are used, evenly spread.
        every: Build one world from every so manieth frame, 2 or more, and draw the others; None
            deals the frames into groups and single frames.

    Raises:
        SourceError: If the scan can't be read, has too few frames, or frames of several sizes.
        ConfigError: If `every` is below 2.
    """
    if every is not None and every < 2:
        raise ConfigError(f"every must be 2 or more, to leave frames out, got {every}")
    source = Path(path)
    _, frames = read_scan(source)
    if not frames[0].posed or frames[0].depth_path is None:
        raise SourceError(
            f"{source} lacks poses or depth: what is compared with must have been measured"
        )
    if len(frames) < 2 * GROUPS:
        raise SourceError(
            f"{source} has {len(frames)} frames: an evaluation needs {2 * GROUPS} or more, to "
            "build worlds of some and to compare with the others"
        )
    even = np.linspace(0, len(frames) - 1, min(max_frames, len(frames))).round().astype(int)
    frames = [frames[i] for i in even]
    if len({(f.camera.width, f.camera.height) for f in frames}) > 1:
        raise SourceError(f"{source} has frames of several sizes: evaluate one size at a time")
    name = source.resolve().name if source.is_dir() else source.resolve().parent.name
    parts = [
        _left_out_views(built, left_out, f"{name}, {what}", size)
        for built, left_out, what in (_dealt(frames) if every is None else _thinned(frames, every))
    ]
    return EvaluationViews(
        name=f"scan {name}",
        worlds=[part.worlds[0] for part in parts],
        scene=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        cameras=Camera(
            np.concatenate([part.cameras.c2w for part in parts]),
            np.concatenate([part.cameras.intrinsics for part in parts]),
            parts[0].cameras.width,
            parts[0].cameras.height,
        ),
        rgb=np.concatenate([part.rgb for part in parts]),
        depth_z=np.concatenate([part.depth_z for part in parts]),
    )


_Deal = tuple[list[ScanFrame], list[ScanFrame], str]
"""Frames to build a world from, frames to draw, and what to call the world."""


def _dealt(frames: Sequence[ScanFrame]) -> Iterator[_Deal]:
    """Worlds without one group of frames, and worlds of one frame."""
    for group in range(GROUPS):
        built = [f for i, f in enumerate(frames) if i % GROUPS != group]
        yield built, list(frames[group::GROUPS]), "most"
    for alone in np.linspace(0, len(frames) - 1, GROUPS).round().astype(int):
        yield [frames[alone]], [*frames[:alone], *frames[alone + 1 :]], "one frame"


def _thinned(frames: Sequence[ScanFrame], every: int) -> Iterator[_Deal]:
    """One world of every so manieth frame."""
    left_out = [frame for i, frame in enumerate(frames) if i % every]
    yield list(frames[::every]), left_out, f"every {every}"


def _left_out_views(
    built: Sequence[ScanFrame], left_out: Sequence[ScanFrame], kind: str, size: int
) -> EvaluationViews:
    """A world of some frames, and others in its coordinates and at the size to draw."""
    world = world_from_scan_frames(built, body=AgentBody(), source={"kind": kind})
    # A world starts at its first camera: that tells how it was turned upright.
    upright = world.start_c2w @ invert_rigid(built[0].camera.c2w)
    frames = []
    for scan_frame in left_out:
        frame = scan_frame.load()
        camera = Camera(
            upright @ frame.camera.c2w,
            frame.camera.intrinsics,
            frame.camera.width,
            frame.camera.height,
        )
        frames.append(Reference(frame.rgb, frame.depth, camera))
    images = load_references(frames, size_long_px=size)
    height, width = images[0].depth_z.shape
    cameras = [frame.camera.resized(width, height) for frame in frames]
    return EvaluationViews(
        name="",
        worlds=[world],
        scene=np.zeros(len(frames), np.int64),
        cameras=Camera(
            np.stack([c.c2w for c in cameras]),
            np.stack([c.intrinsics for c in cameras]),
            width,
            height,
        ),
        rgb=np.stack([image.rgb.numpy() for image in images]),
        depth_z=np.stack([image.depth_z.numpy() for image in images]),
    )
