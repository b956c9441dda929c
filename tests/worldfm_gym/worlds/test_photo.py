import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldfm_gym import make_world
from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.photo import is_photo_folder, world_from_photo, world_from_photo_folder

BODY = AgentBody(radius_m=0.1, height_m=0.4, step_height_m=0.05)


@pytest.fixture
def photo(tmp_path: Path, room_frames) -> Path:
    """View 0 of the room: photo.png, depth_mm.png and meta.json."""
    frame = room_frames[0]
    Image.fromarray(frame.rgb).save(tmp_path / "photo.png")
    depth_mm = np.rint(frame.depth * 1000).astype(np.uint16)
    Image.fromarray(depth_mm).save(tmp_path / "depth_mm.png")
    (tmp_path / "meta.json").write_text(json.dumps({"K": frame.camera.K.tolist()}))
    return tmp_path


def test_photo_stands_on_its_floor(photo, room_frames):
    world = world_from_photo(
        photo / "photo.png", body=BODY, depth=photo / "depth_mm.png", K=room_frames[0].camera.K
    )
    np.testing.assert_allclose(world.start_c2w[:3, 3], [0, 0, 1.4], atol=0.01)
    assert world.anchor.bounds[0][2] == pytest.approx(0, abs=0.02)
    (reference,) = world.references
    np.testing.assert_array_equal(reference.rgb, room_frames[0].rgb)
    np.testing.assert_allclose(reference.camera.c2w, world.start_c2w)
    assert world.require_nav().is_navigable(np.array([1.2, 0.6]))


def test_array_file_and_field_of_view_agree(photo, room_frames):
    depth = room_frames[0].depth
    np.save(photo / "depth.npy", depth)
    made = [
        world_from_photo(photo / "photo.png", body=BODY, depth=depth, fov_x_deg=80.0),
        world_from_photo(
            photo / "photo.png", body=BODY, depth=photo / "depth.npy", K=room_frames[0].camera.K
        ),
    ]
    np.testing.assert_array_equal(made[0].anchor.colors, made[1].anchor.colors)
    np.testing.assert_allclose(made[0].anchor.points, made[1].anchor.points, atol=1e-4)


def test_folder_with_a_field_of_view(photo):
    (photo / "meta.json").write_text('{"fov_x_deg": 80, "depth_unit_m": 0.001}')
    assert is_photo_folder(photo)
    assert world_from_photo_folder(photo, body=BODY).source["name"] == photo.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": "depth_mm.png"}, "either K= .* or fov_x_deg="),
        ({"depth": "depth_mm.png", "fov_x_deg": 80, "K": np.eye(3)}, "either K="),
        ({"depth": "depth_mm.png", "K": np.diag([0.0, 0.0, 1.0])}, "positive focal"),
        ({"depth": "depth_mm.png", "K": np.full((3, 3), np.nan)}, "positive focal"),
        ({"depth": "depth_mm.png", "K": np.eye(4)}, "shape"),
        ({"depth": "depth_mm.png", "K": "wide"}, "array of numbers"),
        ({"depth": "depth_mm.png", "fov_x_deg": 200}, r"1…170"),
        ({"depth": "depth_mm.png", "fov_x_deg": [80, 60]}, "fov_x_deg"),
        ({"depth": "depth_mm.png", "fov_x_deg": 80, "depth_unit_m": 1.0}, "depth_unit_m"),
        ({"depth": "none.png", "fov_x_deg": 80}, "no image file"),
        ({"depth": np.ones((5, 5)), "fov_x_deg": 80}, r"160×120 pixels and depth 5×5"),
        ({"depth": np.zeros((120, 160)), "fov_x_deg": 80}, "no pixel with a known depth"),
    ],
)
def test_unusable_input(photo, options, message):
    depth = options.get("depth")
    if isinstance(depth, str):
        options = {**options, "depth": photo / depth}
    with pytest.raises(SourceError, match=message):
        world_from_photo(photo / "photo.png", body=BODY, **options)


@pytest.mark.parametrize("missing", ["photo.png", "depth_mm.png"])
def test_incomplete_folder(photo, missing):
    (photo / missing).unlink()
    with pytest.raises(SourceError, match="a photo folder holds"):
        world_from_photo_folder(photo, body=BODY)


def test_no_floor_in_view_is_told(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "wall.png")
    world = world_from_photo(
        tmp_path / "wall.png", body=BODY, depth=np.full((48, 64), 2.0), fov_x_deg=60
    )
    assert world.nav is None
    assert "no usable floor" in world.nav_problem


def test_garage(shared_data, tmp_path):
    """The real photo: its floor, its shape, its pixels, and room to walk up to the motorcycle."""
    folder = shutil.copytree(shared_data / "motorcycle", tmp_path / "garage")
    world = world_from_photo_folder(folder, body=BODY)
    assert world.source == {
        "kind": "photo",
        "name": "garage",
        "depth": "given",
        "has_floor": True,
    }
    motorcycle = max(world.objects, key=lambda item: item.size.prod())
    np.testing.assert_allclose(motorcycle.pose[:2, 3], [2.3, -0.15], atol=0.15)
    np.testing.assert_allclose(motorcycle.size, [0.3, 1.4, 0.8], atol=0.15)
    assert world.start_c2w[2, 3] == pytest.approx(1.08, abs=0.03)
    low, high = world.anchor.bounds
    assert -0.03 < low[2] < 0.01
    floor = world.anchor.points[np.abs(world.anchor.points[:, 2]) < 0.02]
    assert len(floor) > 20_000
    assert high[0] == pytest.approx(5.0, abs=0.1)
    assert 0 < world.anchor.generated.mean() < 0.05
    nav = world.require_nav()
    assert nav.navigable.sum() * 0.05**2 > 2.5
    foot, motorcycle = np.array([0.0, 0.0]), np.array([1.8, 0.0])
    assert nav.geodesic_field(motorcycle).distance(foot) == pytest.approx(1.8, rel=0.03)
    person = make_world(world, body=AgentBody()).require_nav()
    assert person.geodesic_field(motorcycle - [0.2, 0]).distance(foot) < 2.0


def test_what_the_garage_photo_shows_alone(shared_data):
    folder = shared_data / "motorcycle"
    world = world_from_photo_folder(folder, body=BODY, extend_floor=False, objects=False)
    assert not world.anchor.generated.any()
    assert 2.2 < world.require_nav().known_free.sum() * 0.05**2 < 3.2
    assert world.require_nav().navigable.sum() * 0.05**2 > 1.2
    (reference,) = world.references
    frame = AnchorRenderer([world]).render(reference.camera[None], np.zeros(1, np.int64))
    covered = frame.depth[0] > 0
    error = frame.rgb[0][covered].astype(float) - reference.rgb[covered]
    assert covered.mean() > 0.95
    assert 10 * np.log10(255**2 / (error**2).mean()) > 22
