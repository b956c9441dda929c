"""Files of moving pictures: H.264 and GIF writers, contact sheets; whole files or none."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.errors import ConfigError

_GAP = 4
_SHEET_PAPER = (24, 25, 28)


class VideoWriter:
    """Writes frames to an .mp4 (H.264, yuv420p) that appears when the writer is left.

    Frames are uint8 RGB [H, W, 3], all of one size; odd sides lose a pixel, as yuv420p needs even
    ones. Leaving the ``with`` block by an error, or without a frame, leaves no file.

    Example:
        >>> with VideoWriter("walk.mp4", fps=15) as video:  # doctest: +SKIP
        ...     video.add(frame)
    """

    def __init__(self, path: str | os.PathLike[str], *, fps: int = 15) -> None:
        """Name the file; nothing is opened before the first frame.

        Raises:
            ConfigError: If the name does not end in .mp4, or the rate is not positive.
        """
        self._path = Path(path)
        if self._path.suffix.lower() != ".mp4":
            raise ConfigError(f"a video's name must end in .mp4, got {str(path)!r}")
        if fps < 1:
            raise ConfigError(f"fps must be 1 or more, got {fps}")
        self._fps = fps
        self._partial = _beside(self._path)
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._container is None:
            return
        try:
            if kind is None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if kind is None:
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append one frame.

        Raises:
            ConfigError: If it is not a uint8 RGB image of the first frame's size.
        """
        import av

        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ConfigError(
                f"a frame is uint8 RGB [H, W, 3], got {frame.dtype} of shape {frame.shape}"
            )
        if self._container is None:
            self._open(frame.shape[1], frame.shape[0])
        if frame.shape[1::-1] != self._size:
            raise ConfigError(
                f"all frames of a video have one size: got {frame.shape[1::-1]} (width, height) "
                f"after {self._size}"
            )
        even = frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def _open(self, width: int, height: int) -> None:
        """Start the file at the first frame, whose size is that of all."""
        import av

        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._partial), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=self._fps)
        self._stream.width, self._stream.height = width // 2 * 2, height // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "20", "preset": "veryfast", "movflags": "+faststart"}
        self._size = (width, height)


class FrameSampler:
    """Keeps about `count` frames, evenly spread over a stream whose length nobody knows."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stride = 1
        self._seen = 0
        self._kept: list[NDArray[np.uint8]] = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Offer the next frame."""
        if self._seen % self._stride == 0:
            if len(self._kept) == 2 * self._count:
                self._kept = self._kept[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self._kept.append(frame)
        self._seen += 1

    def frames(self) -> list[NDArray[np.uint8]]:
        """At most `count` frames in order, the first included."""
        return evenly(self._kept, self._count)


def evenly(frames: Sequence[NDArray[np.uint8]], count: int) -> list[NDArray[np.uint8]]:
    """At most `count` of the frames, evenly spread, the first and the last included."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    return [frames[i] for i in np.round(chosen).astype(int)]


def contact_sheet(frames: Sequence[NDArray[np.uint8]], *, columns: int) -> NDArray[np.uint8]:
    """Frames of one size [H, W, 3] on a grid, row by row.

    Raises:
        ConfigError: If there are no frames, or they differ in size.
    """
    if not frames or len({frame.shape for frame in frames}) > 1:
        raise ConfigError("a contact sheet needs one or more frames, all of one size")
    height, width = frames[0].shape[:2]
    rows = -(-len(frames) // columns)
    sheet = np.empty((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), np.uint8)
    sheet[:] = _SHEET_PAPER
    for i, frame in enumerate(frames):
        y, x = (_GAP + (i // columns) * (height + _GAP), _GAP + (i % columns) * (width + _GAP))
        sheet[y : y + height, x : x + width] = frame
    return sheet


def save_png(image: NDArray[np.uint8], path: str | os.PathLike[str]) -> None:
    """Write an image [H, W, 3]."""
    _save(Image.fromarray(image), Path(path), format="PNG")


def save_gif(
    frames: Sequence[NDArray[np.uint8]], path: str | os.PathLike[str], *, fps: int
) -> None:
    """Write frames [H, W, 3] as an endless GIF of at most 128 colors."""
    palette = Image.fromarray(np.concatenate(evenly(frames, 8))).quantize(128)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    _save(
        pictures[0],
        Path(path),
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / fps),
        loop=0,
        optimize=True,
    )


def _save(picture: Image.Image, path: Path, **options: Any) -> None:
    """Write beside the target, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        picture.save(partial, **options)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder, so that renaming stays on one file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
