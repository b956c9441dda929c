"""Synthetic RGB-D frames of a known room, and the real data beside the checkout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.worlds.fusion import PosedFrame

ROOM_LOW, ROOM_HIGH = np.array([0.0, 0.0, 0.0]), np.array([5.0, 4.0, 2.5])
CRATE_LOW, CRATE_HIGH = np.array([3.0, 1.5, 0.0]), np.array([3.6, 2.3, 0.7])


def room_depth(camera: Camera) -> NDArray[np.float32]:
    """Exact z-depth of the room with the crate, [H, W]."""
    rays, eye = camera.rays_world(), camera.position_world
    with np.errstate(divide="ignore", invalid="ignore"):
        walls = np.fmax((ROOM_LOW - eye) / rays, (ROOM_HIGH - eye) / rays).min(axis=-1)
        a, b = (CRATE_LOW - eye) / rays, (CRATE_HIGH - eye) / rays
    enter, leave = np.fmin(a, b).max(axis=-1), np.fmax(a, b).min(axis=-1)
    return np.where((enter < leave) & (enter > 0), enter, walls).astype(np.float32)


def room_rgb(camera: Camera, depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colors that vary slowly with world position, uint8 [H, W, 3]."""
    points = camera.unproject(depth.astype(np.float64))
    return np.rint(60 + 30 * points).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def room_frames() -> list[PosedFrame]:
    """Eight views from the middle of the room, 160×120, pitched 25° down."""
    poses = heading_c2w(
        np.array([1.5, 2.0, 1.4]) + np.zeros((8, 3)), np.arange(8) * np.pi / 4, -np.deg2rad(25)
    )
    frames = []
    for index, c2w in enumerate(poses):
        camera = Camera.from_fov(c2w, 80.0, width=160, height=120)
        depth = room_depth(camera)
        frames.append(PosedFrame(room_rgb(camera, depth), depth, camera, f"view {index}"))
    return frames


@pytest.fixture
def write_scan(tmp_path: Path) -> Callable[..., Path]:
    """Writes frames as a scan.json folder, their poses turned by `pose`."""

    def write(frames: list[PosedFrame], *, pose: NDArray[np.float64] | None = None) -> Path:
        folder = tmp_path / "scan"
        folder.mkdir()
        records = []
        for index, frame in enumerate(frames):
            Image.fromarray(frame.rgb).save(folder / f"{index}.png")
            Image.fromarray(np.rint(frame.depth * 1000).astype(np.uint16)).save(
                folder / f"{index}_depth.png"
            )
            c2w = frame.camera.c2w if pose is None else pose @ frame.camera.c2w
            records.append(
                {"color": f"{index}.png", "depth": f"{index}_depth.png", "c2w": c2w.tolist()}
            )
        camera = frames[0].camera
        data = {
            "width": camera.width,
            "height": camera.height,
            "K": camera.K.tolist(),
            "depth_unit_m": 0.001,
            "frames": records,
        }
        (folder / "scan.json").write_text(json.dumps(data))
        return folder

    return write


@pytest.fixture
def edit_json() -> Callable[[Path, Callable[[dict], None]], None]:
    """Changes a JSON file in place."""

    def edit(path: Path, change: Callable[[dict], None]) -> None:
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return edit


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "data"
    assert folder.is_dir(), f"tests need the data folder {folder}"
    return folder


@pytest.fixture(scope="session")
def png_header() -> Callable[[int, int], bytes]:
    """A PNG file that declares a size and holds next to no pixels."""

    def build(width: int, height: int) -> bytes:
        import struct
        import zlib

        def chunk(kind: bytes, data: bytes) -> bytes:
            crc = zlib.crc32(kind + data)
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")

    return build
