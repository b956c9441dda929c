"""Scan formats: scan.json, transforms.json and plain folders, read into one list of frames."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, intrinsics_from_fov
from worldfm_gym.errors import CameraError, SourceError
from worldfm_gym.worlds.fusion import PosedFrame
from worldfm_gym.worlds.images import check_same_size, read_color, read_depth

_OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


@dataclass(frozen=True, slots=True)
class ScanFrame:
    """Where one image of a scan lies; its pixels are read on `load`.

    Attributes:
        color_path: Color image.
        depth_path: Depth image, registered to it; None where there is none.
        depth_unit_m: Metres per stored unit of depth; None for the default of the file's type.
        camera: The single camera (batch shape ()), in the scan's own coordinates, metres.
        name: What to call the frame in an error.
        posed: Whether the camera's pose is known; if not, it is the identity.
    """

    color_path: Path
    depth_path: Path | None
    depth_unit_m: float | None
    camera: Camera
    name: str
    posed: bool = True

    def load(self) -> PosedFrame:
        """Read the pixels.

        Raises:
            SourceError: If there is no depth, an image can't be read, or the sizes of color, depth
                and camera differ.
        """
        rgb = read_color(self.color_path)
        if self.depth_path is None:
            raise SourceError(f"{self.name} has no depth")
        depth = read_depth(self.depth_path, unit_m=self.depth_unit_m)
        check_same_size(rgb, depth, name=self.name)
        if (rgb.shape[1], rgb.shape[0]) != (self.camera.width, self.camera.height):
            raise SourceError(
                f"{self.name}: the image is {rgb.shape[1]}×{rgb.shape[0]} pixels, its intrinsics "
                f"are for {self.camera.width}×{self.camera.height}: correct width and height"
            )
        return PosedFrame(rgb, depth, self.camera, self.name)


def read_scan_json(path: str | os.PathLike[str]) -> list[ScanFrame]:
    """Read a scan.json: `width`, `height`, `K`, `depth_unit_m` and `frames`.

    Each frame has `color` and `depth` (paths relative to the file) and `c2w` (4×4, OpenCV camera,
    metres); it may have its own `K`. Either all frames have a pose or none, and likewise depth.

    Raises:
        SourceError: If the file is unreadable, lacks a field, or a frame's camera is unusable.
    """
    source = Path(path)
    data = read_json(source)
    width, height = (_integer(data, key, source) for key in ("width", "height"))
    unit_m = number_of(data, "depth_unit_m", source, default=0.001)
    records = _frames(data, source)
    posed = any("c2w" in record for record in records)
    measured = any("depth" in record for record in records)
    frames = []
    for index, record in enumerate(records):
        name = f"{source.name} frame {index} ({record.get('color', '?')})"
        frames.append(
            ScanFrame(
                color_path=_path(source, record, "color", name),
                depth_path=_path(source, record, "depth", name) if measured else None,
                depth_unit_m=unit_m,
                camera=camera_of(
                    name,
                    record.get("c2w") if posed else np.eye(4),
                    record.get("K", data.get("K")),
                    width,
                    height,
                ),
                name=name,
                posed=posed,
            )
        )
    return frames


def read_transforms_json(
    path: str | os.PathLike[str], *, depth_unit_m: float | None = None, scale: float = 1.0
) -> list[ScanFrame]:
    """Read a nerfstudio transforms.json, whose frames may have `depth_file_path`: all or none.

    `transform_matrix` maps an OpenGL camera (+y up, −z forward) to the scan; intrinsics `fl_x`,
    `fl_y`, `cx`, `cy`, `w`, `h` (or `camera_angle_x`) are shared or per frame.
    See https://docs.nerf.studio/quickstart/data_conventions.html.

    Args:
        path: The file.
        depth_unit_m: Metres per stored unit of depth; None takes the file's
            `depth_unit_scale_factor`, or nerfstudio's default of 0.001 for integer images.
        scale: Metres per unit of the camera positions.

    Raises:
        SourceError: If the file is unreadable, lacks a field, its images are distorted, or a
            frame's camera is unusable.
    """
    source = Path(path)
    data = read_json(source)
    if not (math.isfinite(scale) and scale > 0):
        raise SourceError(f"scale must be a positive number of metres per unit, got {scale}")
    if depth_unit_m is None and "depth_unit_scale_factor" in data:
        depth_unit_m = number_of(data, "depth_unit_scale_factor", source)
    frames = []
    records = _frames(data, source)
    measured = any("depth_file_path" in record for record in records)
    for index, record in enumerate(records):
        name = f"{source.name} frame {index} ({record.get('file_path', '?')})"
        shared = {**data, **record}
        bent = [k for k in _DISTORTION if abs(number_of(shared, k, source, default=0.0)) > 1e-6]
        if bent:
            raise SourceError(
                f"{name} has lens distortion ({', '.join(bent)}): undistort the images and depth "
                "first (ns-process-data and colmap image_undistorter do), then remove these keys"
            )
        width, height = (_integer(shared, key, source) for key in ("w", "h"))
        c2w_gl = as_array(record.get("transform_matrix"), name, "transform_matrix")
        if c2w_gl.shape != (4, 4):
            raise SourceError(f"{name}: transform_matrix must be 4×4, got {list(c2w_gl.shape)}")
        c2w = c2w_gl @ _OPENCV_FROM_OPENGL
        c2w[:3, 3] *= scale
        frames.append(
            ScanFrame(
                color_path=_path(source, record, "file_path", name),
                depth_path=_path(source, record, "depth_file_path", name) if measured else None,
                depth_unit_m=depth_unit_m,
                camera=camera_of(name, c2w, _nerfstudio_K(shared, source), width, height),
                name=name,
            )
        )
    return frames


def is_sequence_folder(folder: Path) -> bool:
    """Whether a folder holds color/ and depth/, as RGB-D cameras record them."""
    return (folder / "color").is_dir() and (folder / "depth").is_dir()


def read_sequence_folder(path: str | os.PathLike[str]) -> list[ScanFrame]:
    """Read a folder with color/ and depth/: a sequence in the order of its file names, no poses.

    Color and depth images are paired by their place in that order. A file scan.json, meta.json or
    intrinsics.json beside them tells the lens: `K` (3×3, pixels), or `fx`, `fy`, `cx`, `cy`, or
    `fov_x_deg`; and may tell `depth_unit_m`.

    Raises:
        SourceError: If there are no images, not as many depths as colors, or no lens.
    """
    folder = Path(path)
    color, depth = (
        sorted(p for p in (folder / kind).iterdir() if not p.name.startswith("."))
        for kind in ("color", "depth")
    )
    if not color or len(color) != len(depth):
        raise SourceError(
            f"{folder} has {len(color)} files in color/ and {len(depth)} in depth/: each color "
            "image needs its depth, in the same order by name"
        )
    found = (folder / name for name in ("scan.json", "meta.json", "intrinsics.json"))
    source = next((file for file in found if file.is_file()), None)
    if source is None:
        raise SourceError(
            f"{folder} does not tell its lens: write a meta.json with K (3×3, pixels) or fov_x_deg"
        )
    data = read_json(source)
    width, height = image_size(color[0])
    unit_m = number_of(data, "depth_unit_m", source) if "depth_unit_m" in data else None
    camera = camera_of(source.name, np.eye(4), _lens(data, source, width, height), width, height)
    return [
        ScanFrame(
            color_path=rgb_file,
            depth_path=depth_file,
            depth_unit_m=unit_m,
            camera=camera,
            name=f"{folder.name}/color/{rgb_file.name}",
            posed=False,
        )
        for rgb_file, depth_file in zip(color, depth, strict=True)
    ]


def _lens(data: Mapping[str, Any], source: Path, width: int, height: int) -> NDArray[np.float64]:
    """Intrinsic matrix [3, 3] as a sequence's record gives it."""
    if "K" in data:
        return as_array(data["K"], source.name, "K")
    if "fov_x_deg" in data:
        try:
            fx, fy, cx, cy = intrinsics_from_fov(
                number_of(data, "fov_x_deg", source), width=width, height=height
            )
        except CameraError as error:
            raise SourceError(f"{source}: {error}") from error
    else:
        fx, fy, cx, cy = (number_of(data, key, source) for key in ("fx", "fy", "cx", "cy"))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def camera_of(name: str, c2w: Any, K: Any, width: int, height: int) -> Camera:
    """A camera from untrusted values; errors name the frame.

    Raises:
        SourceError: If `c2w` or `K` is missing, malformed, not finite, or no camera's.
    """
    try:
        return Camera.from_matrix(
            as_array(c2w, name, "c2w"), as_array(K, name, "K"), width=width, height=height
        )
    except CameraError as error:
        raise SourceError(f"{name}: {error}") from error


def as_array(values: Any, name: str, field: str) -> NDArray[np.float64]:
    """Numbers of a JSON record as float64.

    Raises:
        SourceError: If they are missing or not numbers of a rectangular array.
    """
    if values is None:
        raise SourceError(f"{name} has no {field}")
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise SourceError(f"{name}: {field} is not an array of numbers ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        SourceError: If the file is missing or holds no JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"there is no file {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not a readable JSON file ({error})") from error
    if not isinstance(data, dict):
        raise SourceError(f"{path} must hold a JSON object, got a {type(data).__name__}")
    return data


def _frames(data: Mapping[str, Any], source: Path) -> list[dict[str, Any]]:
    """The list of frame records."""
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise SourceError(f"{source} needs a non-empty list 'frames'")
    for index, record in enumerate(frames):
        if not isinstance(record, dict):
            raise SourceError(f"{source}: frame {index} must be an object, got {record!r:.60}")
    return frames


def _path(source: Path, record: Mapping[str, Any], key: str, name: str) -> Path:
    """A file named in a record, relative to the file that names it."""
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise SourceError(f"{name} needs a file name '{key}', got {value!r}")
    return source.parent / value


def number_of(
    data: Mapping[str, Any], key: str, source: Path, *, default: float | None = None
) -> float:
    """A finite number of a record.

    Raises:
        SourceError: If it is missing, no number, or not finite.
    """
    value = data.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SourceError(f"{source} needs a number '{key}', got {value!r}")
    return float(value)


def _integer(data: Mapping[str, Any], key: str, source: Path) -> int:
    """A whole number of a record."""
    value = number_of(data, key, source)
    if value != int(value):
        raise SourceError(f"{source} needs a whole number '{key}', got {value}")
    return int(value)


def _nerfstudio_K(shared: Mapping[str, Any], source: Path) -> NDArray[np.float64]:
    """Intrinsic matrix [3, 3] of a frame's own and shared fields."""
    width, height = number_of(shared, "w", source), number_of(shared, "h", source)
    if "fl_x" in shared:
        fx = number_of(shared, "fl_x", source)
    elif "camera_angle_x" in shared:
        fx = 0.5 * width / math.tan(number_of(shared, "camera_angle_x", source) / 2)
    else:
        raise SourceError(f"{source} has neither fl_x nor camera_angle_x")
    fy = number_of(shared, "fl_y", source, default=fx)
    cx = number_of(shared, "cx", source, default=width / 2)
    cy = number_of(shared, "cy", source, default=height / 2)
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of the first image of a recording."""
    height, width = read_color(path).shape[:2]
    return width, height
