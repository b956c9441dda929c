import json
import os
import pickle
import shutil
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.camera import Camera, heading_c2w, look_at
from worldfm_gym.errors import WorldFormatError
from worldfm_gym.worlds import World, store
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder
from worldfm_gym.worlds.world import Reference


def small_scene() -> Scene:
    builder = SceneBuilder(np.random.default_rng(0))
    builder.box((3, 2, -0.05), (6, 4, 0.1), material=Material.PLANKS, color=(0.5, 0.4, 0.3))
    with builder.object("crate", (3.0, 2.0, 0.0), 0.3):
        builder.box((0, 0, 0.4), (0.8, 0.8, 0.8), material=Material.WOOD, color=(0.6, 0.3, 0.1))
    builder.light((3, 2, 2.4), (1, 0.9, 0.8), range_m=5.0)
    return builder.build(ambient=(0.2, 0.2, 0.25), floor_rects=[(0, 0, 6, 4)], height=2.6)


@pytest.fixture
def world(box_room: World) -> World:
    """The box room with references, a scene, an object moved, and points that were invented."""
    rng = np.random.default_rng(5)
    count = len(box_room.anchor)
    anchor = replace(
        box_room.anchor,
        points=box_room.anchor.points + rng.normal(scale=1e-3, size=(count, 3)).astype(np.float32),
        generated=rng.random(count) < 0.5,
    )
    references = [
        Reference(
            rng.integers(0, 256, (30, 40, 3)).astype(np.uint8),
            np.where(rng.random((30, 40)) < 0.2, 0, rng.uniform(0.3, 6, (30, 40))).astype("f4"),
            Camera.from_fov(heading_c2w([1.0, 1, 1.2], yaw), 70, width=40, height=30),
        )
        for yaw in (0.1, 2.0)
    ]
    made = replace(
        box_room,
        anchor=anchor,
        references=references,
        source={"kind": "test", "seed": 7, "name": "box"},
        scene=small_scene(),
    )
    pose = made.objects[0].pose.copy()
    pose[0, 3] += 0.7
    made.set_object_pose(1, pose)
    return made


@pytest.fixture
def saved(world: World, tmp_path: Path) -> Path:
    world.save(tmp_path / "world")
    return tmp_path / "world"


def assert_same(a: World, b: World) -> None:
    for item in fields(a.anchor):
        np.testing.assert_array_equal(getattr(a.anchor, item.name), getattr(b.anchor, item.name))
    for one, other in zip(a.objects, b.objects, strict=True):
        for item in fields(one):
            np.testing.assert_array_equal(getattr(one, item.name), getattr(other, item.name))
    np.testing.assert_array_equal(a.start_c2w, b.start_c2w)
    assert dict(a.source) == dict(b.source)
    assert a.nav_problem == b.nav_problem


def test_round_trip(world, saved):
    loaded = World.load(saved)
    assert_same(world, loaded)
    for one, other in zip(world.references, loaded.references, strict=True):
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.depth > 0, other.depth > 0)
        assert np.abs(one.depth - other.depth).max() <= 0.0005 + 1e-6
        np.testing.assert_array_equal(one.camera.c2w, other.camera.c2w)
        np.testing.assert_array_equal(one.camera.intrinsics, other.camera.intrinsics)


def test_scene_is_kept_exactly(world, saved):
    loaded = World.load(saved).scene
    for item in fields(Scene):
        if item.name != "objects":
            one, other = getattr(world.scene, item.name), getattr(loaded, item.name)
            assert np.asarray(one).dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(loaded.objects[0].pose, world.scene.objects[0].pose)


def test_navigation_answers_alike(world, saved):
    loaded = World.load(saved)
    for name in ("navigable", "clearance", "occupied"):
        np.testing.assert_array_equal(getattr(world.nav, name), getattr(loaded.nav, name))
    assert loaded.nav.body == world.nav.body
    ends = np.array([1.0, 1.0]), np.array([5.2, 1.2])
    np.testing.assert_array_equal(world.nav.shortest_path(*ends), loaded.nav.shortest_path(*ends))


def test_loaded_world_renders_bit_identically(world, saved):
    cameras = Camera.from_fov(
        look_at([[0.5, 0.5, 1.5], [5.0, 1.0, 1.0]], [3.7, 2.0, 0.4]), 80, width=96, height=64
    )
    frames = [
        AnchorRenderer([w]).render(cameras, np.zeros(2, np.int64))
        for w in (world, World.load(saved))
    ]
    for name in ("rgb", "depth", "instance", "provenance"):
        np.testing.assert_array_equal(getattr(frames[0], name), getattr(frames[1], name))


def test_a_second_round_trip_changes_nothing(saved, tmp_path):
    World.load(saved).save(tmp_path / "again")
    for path in saved.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(saved)).read_bytes()


def test_other_tools_read_the_references(world, saved):
    depth = np.asarray(Image.open(saved / "references/001_depth.png"))
    assert depth.dtype == np.uint16
    assert np.abs(depth / 1000 - world.references[1].depth).max() <= 0.0005 + 1e-6
    rgb = np.asarray(Image.open(saved / "references/001.png"))
    np.testing.assert_array_equal(rgb, world.references[1].rgb)


def test_depth_beyond_65_metres_keeps_its_range(world, tmp_path):
    far = world.references[0].depth * 50
    world.references = [replace(world.references[0], depth=far)]
    world.save(tmp_path / "far")
    (reference,) = World.load(tmp_path / "far").references
    np.testing.assert_allclose(reference.depth, far, atol=far.max() / 65535)


def test_world_without_floor_references_or_scene(roofless_room, tmp_path):
    roofless_room.save(tmp_path / "w")
    loaded = World.load(tmp_path / "w")
    assert loaded.nav is None
    assert loaded.nav_problem == roofless_room.nav_problem
    assert not (tmp_path / "w/nav.safetensors").exists()


class TestSavingTo:
    def test_an_existing_world_needs_overwrite(self, world, saved):
        with pytest.raises(WorldFormatError, match="overwrite=True"):
            world.save(saved)
        world.source = {"kind": "other"}
        world.save(saved, overwrite=True)
        assert World.load(saved).source == {"kind": "other"}
        assert [p.name for p in saved.parent.iterdir()] == ["world"]

    def test_a_folder_of_other_files_is_never_replaced(self, world, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis/chapter.tex").write_text("x")
        with pytest.raises(WorldFormatError, match="never overwritten"):
            world.save(tmp_path / "thesis", overwrite=True)
        assert (tmp_path / "thesis/chapter.tex").read_text() == "x"

    def test_a_file_or_a_link_is_never_replaced(self, world, saved):
        (saved.parent / "file").write_text("x")
        (saved.parent / "link").symlink_to(saved)
        for name in ("file", "link"):
            with pytest.raises(WorldFormatError, match="not a folder"):
                world.save(saved.parent / name, overwrite=True)

    def test_an_empty_folder_is_filled(self, world, tmp_path):
        (tmp_path / "empty").mkdir()
        world.save(tmp_path / "empty")
        assert_same(world, World.load(tmp_path / "empty"))

    def test_a_missing_parent_is_told(self, world, tmp_path):
        with pytest.raises(WorldFormatError, match="no folder"):
            world.save(tmp_path / "a/b")

    @pytest.mark.parametrize("step", ["save_ply", "_write_reference", "_write_arrays"])
    def test_a_failure_half_way_leaves_nothing(self, world, tmp_path, monkeypatch, step):
        def fail(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(store, step, fail)
        with pytest.raises(KeyboardInterrupt):
            world.save(tmp_path / "world")
        assert list(tmp_path.iterdir()) == []

    def test_a_failed_overwrite_keeps_the_old_world(self, world, saved, monkeypatch):
        moves = []
        real_replace = os.replace

        def fail_second(source, target):
            if str(target) == str(saved) and ".partial" in str(source):
                moves.append(source)
                raise OSError("disk gone")
            real_replace(source, target)

        monkeypatch.setattr(os, "replace", fail_second)
        with pytest.raises(OSError, match="disk gone"):
            world.save(saved, overwrite=True)
        assert moves
        assert [p.name for p in saved.parent.iterdir()] == ["world"]
        assert_same(world, World.load(saved))

    def test_source_records_that_are_no_json_are_refused(self, world, tmp_path):
        world.source = {"seed": np.int64(3)}
        with pytest.raises(TypeError, match="JSON"):
            world.save(tmp_path / "world")
        assert list(tmp_path.iterdir()) == []


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


class TestLoading:
    def test_zip_pickle_and_torn_files_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with zipfile.ZipFile("world.zip", "w") as archive:
            archive.writestr("world.json", "{}")
        Path("world.pkl").write_bytes(pickle.dumps(Evil()))
        Path("world.bin").write_bytes(os.urandom(100))
        for name in ("world.zip", "world.pkl", "world.bin"):
            with pytest.raises(WorldFormatError, match="a file, not a world"):
                store.load_world(name)
        Path("w").mkdir()
        for name in ("world.zip", "world.pkl", "world.bin"):
            shutil.copy(name, "w/world.json")
            with pytest.raises(WorldFormatError, match="not a readable JSON"):
                store.load_world("w")
        assert not Path("executed").exists()

    def test_missing_or_other_folder(self, tmp_path):
        for folder in (tmp_path, tmp_path / "none"):
            with pytest.raises(WorldFormatError, match=r"has no world\.json"):
                store.load_world(folder)
        (tmp_path / "world.json").write_text('{"format": "something else"}')
        with pytest.raises(WorldFormatError, match="not the record of a world"):
            store.load_world(tmp_path)

    def test_by_its_record(self, world, saved):
        assert_same(world, store.load_world(saved / "world.json"))

    def test_future_version(self, world, saved, edit_json):
        edit_json(saved / "world.json", lambda d: d.update(version=2, objects="new"))
        with pytest.raises(WorldFormatError, match=r"version 2.*up to 1.*pip install -U"):
            store.load_world(saved)
        world.save(saved, overwrite=True)  # it is still known to be a world
        assert_same(world, store.load_world(saved))

    @pytest.mark.parametrize("version", [0, "1", None, True, 1.5])
    def test_senseless_version(self, saved, edit_json, version):
        edit_json(saved / "world.json", lambda d: d.update(version=version))
        with pytest.raises(WorldFormatError, match="no valid version"):
            store.load_world(saved)

    @pytest.mark.parametrize(
        "name",
        ["anchor.ply", "nav.safetensors", "scene.safetensors", "references/000.png"]
        + ["references/001_depth.png"],
    )
    @pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "pickle"])
    def test_damaged_files(self, saved, name, damage):
        path = saved / name
        if damage == "missing":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        else:
            path.write_bytes(pickle.dumps(Evil()) if damage == "pickle" else b"")
        with pytest.raises(WorldFormatError, match=r"[rR]estore it"):
            store.load_world(saved)
        assert not (saved / "executed").exists()

    @pytest.mark.parametrize(
        "name",
        ["../secret.png", "/etc/passwd", "references/../../secret.png", "..\\secret.png", "", 3]
        + ["references/link.png"],
    )
    def test_names_outside_of_the_folder(self, saved, edit_json, name):
        Image.new("RGB", (40, 30)).save(saved.parent / "secret.png")
        (saved / "references/link.png").symlink_to(saved.parent / "secret.png")
        edit_json(saved / "world.json", lambda d: d["references"][0].update(rgb=name))
        with pytest.raises(WorldFormatError, match="outside of its folder"):
            store.load_world(saved)

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.pop("objects"),
            lambda d: d["objects"][0].pop("pose"),
            lambda d: d["objects"][0].update(size=[1, -1, 1]),
            lambda d: d["objects"][0]["pose"][0].__setitem__(0, 5.0),
            lambda d: d["nav"]["body"].update(wings=2),
            lambda d: d["nav"].update(file="scene.safetensors"),
            lambda d: d["scene"].update(file="nav.safetensors"),
            lambda d: d["references"][0].update(width=41),
            lambda d: d["references"][0].update(intrinsics=[0, 0, 1, 1]),
            lambda d: d.update(start_c2w=[[1]]),
            lambda d: d.update(files=None),
            lambda d: d.update(references={"a": 1}),
        ],
    )
    def test_damaged_records(self, saved, edit_json, change):
        edit_json(saved / "world.json", change)
        with pytest.raises(WorldFormatError):
            store.load_world(saved)

    def test_record_is_plain_json(self, saved):
        record = json.loads((saved / "world.json").read_text())
        assert record["format"] == "worldfm-gym world"
        assert record["version"] == 1
        assert all((saved / name).is_file() for name in record["files"])
