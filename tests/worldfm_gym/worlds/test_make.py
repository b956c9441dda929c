from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.worldfm_gym.worlds.told_depth import ToldDepth
from worldfm_gym import make_world
from worldfm_gym.errors import SourceError, WorldFormatError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds import World
from worldfm_gym.worlds.procedural import KINDS

COARSE = 0.12


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_a_world_to_walk_in(kind):
    world = make_world(kind, seed=5, spacing_m=COARSE)
    assert world.source["kind"] == "procedural"
    assert world.source["name"] == kind
    assert world.source["seed"] == 5
    assert world.scene is not None
    nav = world.require_nav()
    assert nav.is_navigable(world.start_c2w[:2, 3])
    assert world.start_c2w[2, 3] == pytest.approx(AgentBody().height_m - 0.1)
    ahead = world.start_c2w[:2, 3] + 0.4 * world.start_c2w[:2, 2]
    assert nav.is_navigable(ahead)  # it starts with a view, not with its nose to a wall


def test_a_seed_makes_the_same_world_and_another_one_another():
    one, same, other = (make_world("maze", seed=s, spacing_m=COARSE) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.anchor.points, same.anchor.points)
    np.testing.assert_array_equal(one.anchor.colors, same.anchor.colors)
    assert not np.array_equal(one.anchor.points, other.anchor.points)


def test_no_seed_draws_one_and_records_it():
    world = make_world("maze", spacing_m=COARSE)
    again = make_world("maze", seed=world.source["seed"], spacing_m=COARSE)
    np.testing.assert_array_equal(world.anchor.points, again.anchor.points)


def test_moving_an_object_leaves_the_scene_at_rest():
    world = make_world("rooms", seed=0, spacing_m=COARSE)
    item = world.objects[0]
    pose = item.pose.copy()
    pose[2, 3] += 1.0
    world.set_object_pose(item.instance, pose)
    assert world.scene.objects[0].pose[2, 3] == pytest.approx(pose[2, 3] - 1.0)


def test_references_of_procedural_worlds_are_exact_views():
    world = make_world("maze", seed=3, spacing_m=COARSE, references=2)
    assert len(world.references) == 2
    np.testing.assert_array_equal(world.references[0].camera.c2w, world.start_c2w)
    for reference in world.references:
        assert reference.rgb.shape == (256, 256, 3)
        assert (reference.depth > 0).all()


def test_a_world_is_returned_as_it_is(box_room):
    assert make_world(box_room) is box_room
    narrow = make_world(box_room, body=AgentBody(radius_m=0.1))
    assert narrow.require_nav().body.radius_m == 0.1
    assert narrow.anchor is box_room.anchor
    assert box_room.nav.body == AgentBody()


def test_a_saved_world_keeps_its_body_unless_told(box_room, tmp_path):
    make_world(box_room, body=AgentBody(radius_m=0.1)).save(tmp_path / "w")
    assert make_world(tmp_path / "w").nav.body.radius_m == 0.1
    assert make_world(str(tmp_path / "w/world.json")).nav.body.radius_m == 0.1
    assert make_world(tmp_path / "w", body=AgentBody(0.25)).nav.body.radius_m == 0.25


def test_no_floor_stays_no_floor_for_another_body(roofless_room):
    roofless_room.source = {"has_floor": False}
    assert make_world(roofless_room, body=AgentBody(0.05)).nav is None


def test_scan_photo_and_geometry_are_recognized(write_scan, room_frames, tmp_path):
    folder = write_scan(room_frames)
    assert make_world(folder, spacing_m=0.05).source["kind"] == "scan"
    assert make_world(str(folder / "scan.json"), spacing_m=0.05).source["kind"] == "scan"
    photo = make_world(folder / "0.png", depth=folder / "0_depth.png", fov_x_deg=80.0)
    assert photo.source["kind"] == "photo"
    cloud = make_world(photo, body=AgentBody(0.1))
    cloud.save(tmp_path / "w")
    geometry = make_world(tmp_path / "w/anchor.ply", up="z")
    assert geometry.source["kind"] == "geometry"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("room", r"did you mean 'rooms'\?.*Sources are 'rooms'"),
        ("warehous", "did you mean 'warehouse'"),
        ("nothing-like-it", "neither a kind"),
        (3, "a name, a path or a World, got int"),
        (None, "got NoneType"),
    ],
)
def test_unknown_sources(source, message):
    with pytest.raises(SourceError, match=message):
        make_world(source)


def test_a_path_nearly_right_is_suggested(tmp_path):
    (tmp_path / "garage.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"did you mean 'garage\.png'"):
        make_world(tmp_path / "garag.png")


@pytest.mark.parametrize("name", ["world.zip", "world.pkl", "notes.txt", "noext"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(SourceError, match="not a file that a world can be made of"):
        make_world(tmp_path / name)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(SourceError, match="not a folder that a world can be made of"):
        make_world(tmp_path)


def test_a_damaged_world_folder_is_no_other_source(tmp_path):
    (tmp_path / "world.json").write_text("{}")
    (tmp_path / "scan.json").write_text("{}")
    with pytest.raises(WorldFormatError, match="not the record"):
        make_world(tmp_path)


def test_a_photo_alone_becomes_a_world(room_frames, tmp_path):
    frame = room_frames[0]
    Image.fromarray(frame.rgb).save(tmp_path / "room.png")
    world = make_world(tmp_path / "room.png", estimator=ToldDepth([frame.depth], frame.camera.K))
    assert world.source["depth"] == "estimated by told"


def test_a_seed_of_a_photo_is_that_of_its_expansion(room_frames, tmp_path, monkeypatch):
    frame = room_frames[0]
    Image.fromarray(frame.rgb).save(tmp_path / "room.png")
    seeds = []

    def expand(self, *, seed):
        seeds.append(seed)
        return self

    monkeypatch.setattr(World, "expand", expand)
    for seed in (7, None):
        estimator = ToldDepth([frame.depth], frame.camera.K)
        make_world(tmp_path / "room.png", estimator=estimator, expand=True, seed=seed)
    assert seeds[0] == 7
    assert isinstance(seeds[1], int)


@pytest.mark.parametrize("options", [{"depht": 1}, {"up": "z"}, {"path": "x"}])
def test_options_of_other_sources_are_refused(tmp_path, options):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=f"no option '{next(iter(options))}'.*it takes .*depth"):
        make_world(tmp_path / "a.png", **options)


def test_misspelled_option_is_suggested(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"did you mean depth\?"):
        make_world(tmp_path / "a.png", depht=1)


@pytest.mark.parametrize(
    "options", [{"wings": 2}, {"spacing_m": -1.0}, {"seed": -1}, {"references": -1}]
)
def test_senseless_options_of_procedural_worlds(options):
    with pytest.raises(SourceError):
        make_world("maze", **{"seed": 0, **options})


def test_a_seed_without_effect_is_refused(box_room: World, tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for source in (box_room, tmp_path / "a.png"):
        with pytest.raises(SourceError, match="seed=3 has no effect"):
            make_world(source, seed=3)


def test_options_of_a_world_are_refused(box_room: World):
    with pytest.raises(SourceError, match="takes no options, got spacing_m"):
        make_world(box_room, spacing_m=0.1)
