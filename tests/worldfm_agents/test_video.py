"""Videos and sheets: what was put in comes out, and nothing half-written stays."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from worldfm_agents.video import (
    FrameSampler,
    VideoWriter,
    contact_sheet,
    evenly,
    save_gif,
    save_png,
)
from worldfm_gym.errors import ConfigError


def plain(value: int, *, height: int = 49, width: int = 65) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


def test_video_holds_the_frames_in_order_at_even_size(tmp_path: Path) -> None:
    grays = [0, 60, 120, 180, 240]
    with VideoWriter(tmp_path / "deep" / "er.mp4", fps=5) as video:
        for gray in grays:
            video.add(plain(gray))
        assert not (tmp_path / "deep" / "er.mp4").exists()
    with av.open(str(tmp_path / "deep" / "er.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 5
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert [frame.shape for frame in decoded] == [(48, 64, 3)] * 5
    assert np.abs(np.array([frame.mean() for frame in decoded]) - grays).max() < 4


def test_an_error_or_no_frame_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "a.mp4") as video:
            video.add(plain(1))
            raise RuntimeError("the episode broke")

    with pytest.raises(RuntimeError, match="broke"):
        fail()
    with VideoWriter(tmp_path / "b.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_unusable_videos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.mp4"):
        VideoWriter(tmp_path / "a.avi")
    with pytest.raises(ConfigError, match="fps"):
        VideoWriter(tmp_path / "a.mp4", fps=0)
    with VideoWriter(tmp_path / "a.mp4") as video:
        with pytest.raises(ConfigError, match="uint8 RGB"):
            video.add(np.zeros((8, 8, 3), np.float32))  # type: ignore[arg-type]
        video.add(plain(1))
        with pytest.raises(ConfigError, match="one size"):
            video.add(plain(1, height=50))


@given(st.integers(1, 9), st.integers(1, 400))
def test_sampler_spreads_over_any_stream(count: int, length: int) -> None:
    sampler = FrameSampler(count)
    for i in range(length):
        sampler.add(np.full((1, 1, 3), [i % 256, i // 256, 0], np.uint8))
    kept = [int(f[0, 0, 0]) + 256 * int(f[0, 0, 1]) for f in sampler.frames()]
    assert len(kept) == min(count, length)
    assert kept[0] == 0
    assert all(a < b for a, b in pairwise(kept))
    if count > 1:
        assert kept[-1] >= 0.5 * (length - 1)
        assert max(np.diff([*kept, length])) <= 2 * length / count + 1


def test_evenly_keeps_both_ends() -> None:
    frames = [plain(i) for i in range(10)]
    assert [int(f[0, 0, 0]) for f in evenly(frames, 4)] == [0, 3, 6, 9]
    assert len(evenly(frames, 40)) == 10


def test_sheet_places_frames_row_by_row() -> None:
    sheet = contact_sheet([plain(v) for v in (10, 20, 30)], columns=2)
    assert sheet.shape == (2 * 49 + 3 * 4, 2 * 65 + 3 * 4, 3)
    assert [sheet[20, 20, 0], sheet[20, 100, 0], sheet[70, 20, 0]] == [10, 20, 30]
    with pytest.raises(ConfigError, match="one size"):
        contact_sheet([plain(1), plain(1, width=9)], columns=2)
    with pytest.raises(ConfigError, match="one or more"):
        contact_sheet([], columns=2)


def test_pictures_are_written_whole(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    save_png(image, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), image)
    save_gif([plain(v) for v in (0, 90, 180)], tmp_path / "a.gif", fps=10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["duration"], gif.size) == (3, 100, (65, 49))  # type: ignore[attr-defined]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.png"]
