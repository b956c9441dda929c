"""TUM RGB-D recordings: three lists of time stamps become a list of frames."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import quaternion_to_rotation
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.scan_formats import (
    ScanFrame,
    camera_of,
    image_size,
    number_of,
    read_json,
)

TUM_MAX_OFFSET_S = 0.02
TUM_DEPTH_UNIT_M = 1 / 5000
# (fx, fy, cx, cy) at 640×480 after https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats;
# recordings are told apart by their folder's name, others get the benchmark's default.
_TUM_INTRINSICS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
    "": (525.0, 525.0, 319.5, 239.5),
}
_TUM_SIZE = (640, 480)


def read_tum_folder(path: str | os.PathLike[str]) -> list[ScanFrame]:
    """Read a TUM RGB-D recording: rgb.txt, depth.txt and groundtruth.txt.

    Each color image gets the depth image and the pose nearest in time; those without either within
    20 ms are left out. Intrinsics come from a file intrinsics.json beside the lists
    (`fx`, `fy`, `cx`, `cy`), else from "freiburg1…3" in the folder's name, else the benchmark's
    default 525, 525, 319.5, 239.5; all but the file are for 640×480 images only. Depth is 5000
    units per metre. See https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats.

    Raises:
        SourceError: If a list is missing or malformed, no image has both depth and pose, or a
            pose or the intrinsics are unusable.
    """
    folder = Path(path)
    color, depth = (_tum_list(folder / name, 2) for name in ("rgb.txt", "depth.txt"))
    poses = _tum_list(folder / "groundtruth.txt", 8)
    frames: list[ScanFrame] = []
    size, K = None, None
    depth_times = np.array([row[0] for row in depth], np.float64)
    pose_times = np.array([row[0] for row in poses], np.float64)
    for time, file_name in color:
        d, p = _nearest(depth_times, float(time)), _nearest(pose_times, float(time))
        if d is None or p is None:
            continue
        name = f"{folder.name}/{file_name}"
        color_path = folder / file_name
        if size is None or K is None:
            size = image_size(color_path)
            K = _tum_K(folder, size)
        frames.append(
            ScanFrame(
                color_path=color_path,
                depth_path=folder / depth[d][1],
                depth_unit_m=TUM_DEPTH_UNIT_M,
                camera=camera_of(name, _tum_c2w(poses[p][1:], name), K, *size),
                name=name,
            )
        )
    if not frames:
        raise SourceError(
            f"{folder}: no color image has both a depth image and a pose within "
            f"{TUM_MAX_OFFSET_S * 1000:.0f} ms: do the three lists belong together?"
        )
    return frames


def _tum_list(path: Path, columns: int) -> list[tuple[str, ...]]:
    """Rows of a TUM list, sorted by time, comments left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError(
            f"{path} is missing: a TUM recording has rgb.txt, depth.txt and groundtruth.txt"
        ) from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} is not a readable text file ({error})") from error
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        row = tuple(line.replace(",", " ").split())
        try:
            finite = math.isfinite(float(row[0]))
        except ValueError:
            finite = False
        if len(row) < columns or not finite:
            raise SourceError(
                f"{path} line {number} needs a time stamp and {columns - 1} more columns, "
                f"got {line[:80]!r}"
            )
        rows.append(row[:columns])
    return sorted(rows, key=lambda row: float(row[0]))


def _nearest(times: NDArray[np.float64], time: float) -> int | None:
    """Index of the time nearest to `time`, None beyond 20 ms."""
    if len(times) == 0:
        return None
    right = int(np.searchsorted(times, time))
    best = min(
        (i for i in (right - 1, right) if 0 <= i < len(times)), key=lambda i: abs(times[i] - time)
    )
    return best if abs(times[best] - time) <= TUM_MAX_OFFSET_S else None


def _tum_c2w(columns: Sequence[str], name: str) -> NDArray[np.float64]:
    """c2w [4, 4] of the columns tx ty tz qx qy qz qw."""
    try:
        tx, ty, tz, qx, qy, qz, qw = (float(value) for value in columns)
    except ValueError as error:
        raise SourceError(f"{name}: its pose is not made of numbers ({error})") from error
    length = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw)
    if not 0.5 < length < 2:
        raise SourceError(f"{name}: its pose is not finite or no rotation (|q| = {length:.3g})")
    c2w = np.eye(4)
    c2w[:3, :3] = quaternion_to_rotation([qw, qx, qy, qz])
    c2w[:3, 3] = tx, ty, tz
    return c2w


def _tum_K(folder: Path, size: tuple[int, int]) -> NDArray[np.float64]:
    """Intrinsic matrix [3, 3] by the rule of `read_tum_folder`."""
    own = folder / "intrinsics.json"
    if own.is_file():
        data = read_json(own)
        fx, fy, cx, cy = (number_of(data, key, own) for key in ("fx", "fy", "cx", "cy"))
    elif size == _TUM_SIZE:
        fx, fy, cx, cy = next(v for k, v in _TUM_INTRINSICS.items() if k in folder.name)
    else:
        raise SourceError(
            f"{folder} has images of {size[0]}×{size[1]} pixels and no intrinsics.json: write one "
            "with fx, fy, cx, cy in pixels"
        )
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
