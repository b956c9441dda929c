import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.camera import look_at, rotation_to_quaternion
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds import scan_formats, scan_tum

POSE = look_at([1.0, 2.0, 1.5], [3.0, 1.0, 0.5])


def write_images(folder: Path, name: str, *, size: tuple[int, int] = (640, 480), unit: int = 1000):
    (folder / "rgb").mkdir(parents=True, exist_ok=True)
    (folder / "depth").mkdir(exist_ok=True)
    Image.new("RGB", size, (10, 20, 30)).save(folder / f"rgb/{name}.png")
    Image.fromarray(np.full(size[::-1], 2 * unit, np.uint16)).save(folder / f"depth/{name}.png")


class TestScanJson:
    def test_frames_are_read(self, write_scan, room_frames):
        frames = scan_formats.read_scan_json(write_scan(room_frames[:2]) / "scan.json")
        assert len(frames) == 2
        np.testing.assert_allclose(frames[1].camera.c2w, room_frames[1].camera.c2w)
        loaded = frames[1].load()
        np.testing.assert_array_equal(loaded.rgb, room_frames[1].rgb)
        np.testing.assert_allclose(loaded.depth, room_frames[1].depth, atol=6e-4)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d["frames"][1]["c2w"][0].__setitem__(0, float("nan")), "frame 1 .*NaN"),
            (lambda d: d["frames"][1]["c2w"][0].__setitem__(0, 3.0), "frame 1 .*not rigid"),
            (lambda d: d["frames"][1].__setitem__("c2w", [[1, 0], [0, 1]]), "frame 1 .*shape"),
            (lambda d: d["frames"][1].__setitem__("c2w", "x"), "frame 1 .*array of numbers"),
            (lambda d: d["frames"][1].pop("c2w"), "frame 1 .*has no c2w"),
            (lambda d: d["K"][0].__setitem__(0, 0.0), "frame 0 .*positive focal"),
            (lambda d: d.pop("K"), "frame 0 .*has no K"),
            (lambda d: d.pop("width"), "a number 'width'"),
            (lambda d: d.__setitem__("width", 160.5), "whole number"),
            (lambda d: d.__setitem__("depth_unit_m", "mm"), "a number 'depth_unit_m'"),
            (lambda d: d.__setitem__("frames", []), "non-empty list"),
            (lambda d: d.__setitem__("frames", [3]), "frame 0 must be an object"),
            (lambda d: d["frames"][0].pop("color"), "file name 'color'"),
        ],
    )
    def test_bad_records_name_the_frame(self, write_scan, room_frames, edit_json, change, message):
        path = write_scan(room_frames[:2]) / "scan.json"
        edit_json(path, change)
        with pytest.raises(SourceError, match=message):
            scan_formats.read_scan_json(path)

    def test_poses_or_depth_may_be_missing_everywhere(self, write_scan, room_frames, edit_json):
        path = write_scan(room_frames[:2]) / "scan.json"
        edit_json(path, lambda d: [frame.pop("c2w") for frame in d["frames"]])
        frames = scan_formats.read_scan_json(path)
        assert not any(frame.posed for frame in frames)
        np.testing.assert_array_equal(frames[1].camera.c2w, np.eye(4))
        edit_json(path, lambda d: [frame.pop("depth") for frame in d["frames"]])
        assert [f.depth_path for f in scan_formats.read_scan_json(path)] == [None, None]

    @pytest.mark.parametrize("content", [b"", b"{", b"\x80\x04K\x01.", b"[1]", b"[" * 100_000])
    def test_no_json_object(self, tmp_path, content):
        (tmp_path / "scan.json").write_bytes(content)
        with pytest.raises(SourceError, match="JSON"):
            scan_formats.read_scan_json(tmp_path / "scan.json")

    def test_depth_of_another_size(self, write_scan, room_frames):
        folder = write_scan(room_frames[:1])
        Image.fromarray(np.full((60, 80), 1500, np.uint16)).save(folder / "0_depth.png")
        with pytest.raises(SourceError, match=r"frame 0 .*160×120 pixels and depth 80×60"):
            scan_formats.read_scan_json(folder / "scan.json")[0].load()

    def test_intrinsics_of_another_size(self, write_scan, room_frames, edit_json):
        path = write_scan(room_frames[:1]) / "scan.json"
        edit_json(path, lambda d: d.update(width=320, height=240))
        with pytest.raises(SourceError, match=r"160×120 pixels, its intrinsics are for 320×240"):
            scan_formats.read_scan_json(path)[0].load()


class TestTransformsJson:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        write_images(tmp_path, "a", size=(64, 48))
        opengl = POSE @ np.diag([1, -1, -1, 1])
        data = {
            "w": 64,
            "h": 48,
            "fl_x": 50.0,
            "fl_y": 51.0,
            "cx": 30.0,
            "cy": 25.0,
            "frames": [
                {
                    "file_path": "rgb/a.png",
                    "depth_file_path": "depth/a.png",
                    "transform_matrix": opengl.tolist(),
                }
            ],
        }
        (tmp_path / "transforms.json").write_text(json.dumps(data))
        return tmp_path / "transforms.json"

    def test_opengl_cameras_become_opencv(self, path):
        (frame,) = scan_formats.read_transforms_json(path)
        np.testing.assert_allclose(frame.camera.c2w, POSE, atol=1e-12)
        np.testing.assert_allclose(frame.camera.intrinsics, [50, 51, 30, 25])
        assert (frame.load().depth == 2.0).all()

    def test_frames_override_shared_intrinsics(self, path, edit_json):
        edit_json(path, lambda d: d["frames"][0].update(fl_x=70.0))
        (frame,) = scan_formats.read_transforms_json(path)
        np.testing.assert_allclose(frame.camera.intrinsics, [70, 51, 30, 25])

    def test_field_of_view_instead_of_focal_lengths(self, path, edit_json):
        def change(data):
            for key in ("fl_x", "fl_y", "cx", "cy"):
                del data[key]
            data["camera_angle_x"] = np.pi / 2

        edit_json(path, change)
        (frame,) = scan_formats.read_transforms_json(path)
        np.testing.assert_allclose(frame.camera.intrinsics, [32, 32, 32, 24])

    def test_scale_and_depth_unit(self, path, edit_json):
        edit_json(path, lambda d: d.update(depth_unit_scale_factor=0.002))
        (frame,) = scan_formats.read_transforms_json(path, scale=3.0)
        np.testing.assert_allclose(frame.camera.position_world, 3 * POSE[:3, 3])
        np.testing.assert_allclose(frame.load().depth, 4.0)
        (frame,) = scan_formats.read_transforms_json(path, depth_unit_m=0.0005)
        np.testing.assert_allclose(frame.load().depth, 1.0)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.update(k1=0.1), "lens distortion"),
            (lambda d: d.pop("fl_x"), "neither fl_x nor camera_angle_x"),
            (lambda d: d.update(fl_x=0.0), "positive focal"),
            (lambda d: d["frames"][0].update(transform_matrix=[1, 2]), "4×4"),
            (lambda d: d["frames"][0]["transform_matrix"][0].__setitem__(3, None), "frame 0"),
        ],
    )
    def test_bad_records(self, path, edit_json, change, message):
        edit_json(path, change)
        with pytest.raises(SourceError, match=message):
            scan_formats.read_transforms_json(path)

    def test_images_alone_have_poses_and_no_depth(self, path, edit_json):
        edit_json(path, lambda d: d["frames"][0].pop("depth_file_path"))
        (frame,) = scan_formats.read_transforms_json(path)
        assert frame.depth_path is None
        assert frame.posed
        with pytest.raises(SourceError, match="has no depth"):
            frame.load()

    def test_depth_of_some_images_only(self, path, edit_json):
        def change(data):
            data["frames"].append({**data["frames"][0]})
            del data["frames"][1]["depth_file_path"]

        edit_json(path, change)
        with pytest.raises(SourceError, match=r"frame 1 .*'depth_file_path'"):
            scan_formats.read_transforms_json(path)

    def test_bad_scale(self, path):
        with pytest.raises(SourceError, match="scale"):
            scan_formats.read_transforms_json(path, scale=0.0)


class TestTumFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "rgbd_dataset_freiburg3_desk"
        w, x, y, z = rotation_to_quaternion(POSE[:3, :3])
        for name in ("a", "b", "c"):
            write_images(folder, name, unit=5000)
        (folder / "rgb.txt").write_text(
            "# time file\n10.000 rgb/a.png\n10.100 rgb/b.png\n10.500 rgb/c.png\n"
        )
        (folder / "depth.txt").write_text("10.015 depth/a.png\n10.109 depth/b.png\n")
        pose = f"{x} {y} {z} {w}"
        (folder / "groundtruth.txt").write_text(
            "# time tx ty tz qx qy qz qw\n"
            f"9.995 1 2 1.5 {pose}\n10.090 1.1 2 1.5 {pose}\n10.119 9 9 9 {pose}\n"
        )
        return folder

    def test_nearest_in_time_within_20_ms(self, folder):
        frames = scan_tum.read_tum_folder(folder)
        assert [f.color_path.name for f in frames] == ["a.png", "b.png"]  # c has no depth near
        np.testing.assert_allclose(frames[0].camera.c2w, POSE, atol=1e-9)
        np.testing.assert_allclose(frames[1].camera.position_world, [1.1, 2, 1.5])
        assert (frames[0].load().depth == 2.0).all()

    def test_intrinsics_by_name_of_the_folder(self, folder):
        frames = scan_tum.read_tum_folder(folder)
        np.testing.assert_allclose(frames[0].camera.intrinsics, [535.4, 539.2, 320.1, 247.6])
        other = folder.rename(folder.with_name("mine"))
        frames = scan_tum.read_tum_folder(other)
        np.testing.assert_allclose(frames[0].camera.intrinsics, [525, 525, 319.5, 239.5])

    def test_intrinsics_from_a_file(self, folder):
        (folder / "intrinsics.json").write_text('{"fx": 1, "fy": 2, "cx": 3, "cy": 4}')
        frames = scan_tum.read_tum_folder(folder)
        np.testing.assert_allclose(frames[0].camera.intrinsics, [1, 2, 3, 4])

    def test_other_sizes_need_intrinsics(self, folder):
        write_images(folder, "a", size=(320, 240), unit=5000)
        with pytest.raises(SourceError, match=r"320×240 pixels and no intrinsics\.json"):
            scan_tum.read_tum_folder(folder)

    @pytest.mark.parametrize(
        ("file", "content", "message"),
        [
            ("groundtruth.txt", "9.995 nan 2 1.5 0 0 0 1\n", r"rgb/a\.png: .*NaN"),
            ("groundtruth.txt", "9.995 1 2 1.5 0 0 0 0\n", r"rgb/a\.png: .*no rotation"),
            ("groundtruth.txt", "9.995 1 2 1.5 x 0 0 1\n", "not made of numbers"),
            ("groundtruth.txt", "9.995 1 2\n", "line 1 needs a time stamp and 7 more"),
            ("groundtruth.txt", "soon 1 2 1.5 0 0 0 1\n", "line 1 needs"),
            ("depth.txt", "", "no color image has both"),
            ("rgb.txt", "\x00\n", "line 1 needs"),
        ],
    )
    def test_bad_lists(self, folder, file, content, message):
        (folder / file).write_text(content)
        with pytest.raises(SourceError, match=message):
            scan_tum.read_tum_folder(folder)

    def test_missing_list(self, folder):
        (folder / "depth.txt").unlink()
        with pytest.raises(SourceError, match=r"depth\.txt is missing"):
            scan_tum.read_tum_folder(folder)


class TestSequenceFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("000", "001", "010"):
            write_images(tmp_path, name, size=(64, 48))
        (tmp_path / "rgb").rename(tmp_path / "color")
        (tmp_path / "meta.json").write_text(json.dumps({"fov_x_deg": 90.0}))
        return tmp_path

    def test_images_are_paired_in_order_without_poses(self, folder):
        assert scan_formats.is_sequence_folder(folder)
        frames = scan_formats.read_sequence_folder(folder)
        assert [f.color_path.name for f in frames] == ["000.png", "001.png", "010.png"]
        assert not any(f.posed for f in frames)
        np.testing.assert_allclose(frames[0].camera.intrinsics, [32, 32, 32, 24])
        assert (frames[2].load().depth == 2.0).all()

    @pytest.mark.parametrize(
        ("lens", "wanted"),
        [
            ({"K": [[50, 0, 30], [0, 51, 25], [0, 0, 1]]}, [50, 51, 30, 25]),
            ({"fx": 50, "fy": 51, "cx": 30, "cy": 25, "depth_unit_m": 0.0005}, [50, 51, 30, 25]),
        ],
    )
    def test_other_ways_to_tell_the_lens(self, folder, lens, wanted):
        (folder / "meta.json").unlink()
        (folder / "scan.json").write_text(json.dumps(lens))
        frame = scan_formats.read_sequence_folder(folder)[0]
        np.testing.assert_allclose(frame.camera.intrinsics, wanted)
        assert (frame.load().depth == (1.0 if "depth_unit_m" in lens else 2.0)).all()

    @pytest.mark.parametrize(
        ("meta", "message"),
        [(None, "meta.json with K"), ({}, "a number 'fx'"), ({"fov_x_deg": 0}, "field of view")],
    )
    def test_no_lens(self, folder, meta, message):
        (folder / "meta.json").unlink()
        if meta is not None:
            (folder / "meta.json").write_text(json.dumps(meta))
        with pytest.raises(SourceError, match=message):
            scan_formats.read_sequence_folder(folder)

    def test_depths_are_missing(self, folder):
        (folder / "depth" / "010.png").unlink()
        with pytest.raises(SourceError, match="3 files in color/ and 2 in depth/"):
            scan_formats.read_sequence_folder(folder)
