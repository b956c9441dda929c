from dataclasses import fields
from pathlib import Path

import numpy as np
import open3d
import plyfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worldfm_gym.anchor import Anchor, ply
from worldfm_gym.errors import WorldFormatError

FINITE = st.floats(-1e6, 1e6, width=32)


def random_anchor(count: int = 500) -> Anchor:
    rng = np.random.default_rng(3)
    return Anchor.from_points(
        rng.normal(size=(count, 3)),
        rng.integers(0, 256, (count, 3)),
        normals=rng.normal(size=(count, 3)),
        instance=rng.integers(0, 5, count),
        radius=rng.uniform(0.001, 0.1, count),
        generated=rng.random(count) < 0.3,
    )


def assert_equal(a: Anchor, b: Anchor) -> None:
    for item in fields(Anchor):
        np.testing.assert_array_equal(getattr(a, item.name), getattr(b, item.name))


@settings(max_examples=25, deadline=None)
@given(
    points=hnp.arrays(np.float32, (4, 3), elements=FINITE),
    colors=hnp.arrays(np.uint8, (4, 3)),
    normals=hnp.arrays(np.float32, (4, 3), elements=FINITE),
    instance=hnp.arrays(np.int32, 4),
    radius=hnp.arrays(np.float32, 4, elements=st.floats(2**-20, 1e6, width=32)),
    generated=hnp.arrays(np.bool_, 4),
)
def test_round_trip_is_exact(tmp_path_factory, **arrays):
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    anchor = Anchor(**arrays)
    ply.save_ply(anchor, path)
    assert_equal(ply.load_ply(path), anchor)


def test_open3d_reads_points_colors_and_normals(tmp_path: Path):
    anchor = random_anchor()
    ply.save_ply(anchor, tmp_path / "a.ply")
    cloud = open3d.io.read_point_cloud(str(tmp_path / "a.ply"))
    np.testing.assert_array_equal(np.asarray(cloud.points, np.float32), anchor.points)
    np.testing.assert_array_equal(np.asarray(cloud.normals, np.float32), anchor.normals)
    np.testing.assert_array_equal(np.rint(np.asarray(cloud.colors) * 255), anchor.colors)


@pytest.mark.parametrize("kept", [0, 20, 300, 0.5, 0.999])
def test_truncated_file_is_refused(tmp_path: Path, kept: float):
    path = tmp_path / "a.ply"
    ply.save_ply(random_anchor(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 or kept == 0 else kept * len(content))])
    with pytest.raises(WorldFormatError, match=r"not a readable \.ply"):
        ply.load_ply(path)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
@pytest.mark.parametrize("count", [10**12, 10**30, -5])
def test_header_that_lies_about_the_count_is_refused(tmp_path: Path, kind: str, count: int):
    header = f"ply\nformat {kind} 1.0\nelement vertex {count}\nproperty float x\nend_header\n"
    (tmp_path / "a.ply").write_bytes(header.encode() + b"1\n" * 50)
    with pytest.raises(WorldFormatError):
        ply.load_ply(tmp_path / "a.ply")


def test_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(WorldFormatError, match="missing"):
        ply.load_ply(tmp_path / "none.ply")


def test_foreign_cloud_is_refused_with_advice(tmp_path: Path):
    vertices = np.zeros(3, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write(tmp_path / "b.ply")
    with pytest.raises(WorldFormatError, match="make_world"):
        ply.load_ply(tmp_path / "b.ply")


def test_values_no_anchor_can_have_are_refused(tmp_path: Path):
    path = tmp_path / "a.ply"
    ply.save_ply(random_anchor(), path)
    data = plyfile.PlyData.read(path, mmap=False)
    data["vertex"].data["x"][3] = np.nan
    data.write(path)
    with pytest.raises(WorldFormatError, match="NaN"):
        ply.load_ply(path)


def test_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.ply"
    old = random_anchor(10)
    ply.save_ply(old, path)

    def cut_off(self, stream):
        Path(stream).write_bytes(b"ply\n")
        raise OSError("disk full")

    monkeypatch.setattr(plyfile.PlyData, "write", cut_off)
    with pytest.raises(OSError, match="disk full"):
        ply.save_ply(random_anchor(20), path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]
    assert_equal(ply.load_ply(path), old)
