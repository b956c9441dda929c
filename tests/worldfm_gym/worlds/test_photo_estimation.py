"""Photos without depth, their depth told by a stand-in estimator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.worldfm_gym.worlds.told_depth import ToldDepth
from worldfm_gym import make_world
from worldfm_gym.errors import ReconstructionError, SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.world import World

BODY = AgentBody(radius_m=0.15, height_m=1.2)
"""The room's camera is at 1.4 m, pitched 25° down, and 80° wide."""


@pytest.fixture
def photo(tmp_path: Path, room_frames) -> Path:
    Image.fromarray(room_frames[0].rgb).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def told(room_frames):
    """Builds an estimator that knows view 0 of the room."""

    def build(**options) -> ToldDepth:
        frame = room_frames[0]
        return ToldDepth([frame.depth], frame.camera.K, **options)

    return build


def made(photo: Path, estimator: ToldDepth, **options) -> World:
    return make_world(photo, estimator=estimator, body=BODY, **options)


def test_the_world_of_a_photo_is_the_room(photo, told, room_frames):
    world = made(photo, told(), objects=False)
    source = world.source
    assert source["kind"] == "photo"
    assert source["depth"] == "estimated by told"
    assert source["fov_from"] == "estimated by told"
    assert source["fov_x_deg"] == pytest.approx(80, abs=0.1)
    assert source["scale_from"] == "the estimator's metres"
    assert source["warnings"] == []
    json.dumps(dict(source))
    np.testing.assert_allclose(world.start_c2w[:3, 3], [0, 0, 1.4], atol=0.02)
    np.testing.assert_array_equal(world.references[0].rgb, room_frames[0].rgb)
    # Relative to the camera at (1.5, 2.0), the wall is at x = 3.5 and the crate at 1.5…2.1.
    points = world.anchor.points[~world.anchor.generated]
    assert points[:, 0].max() == pytest.approx(3.5, abs=0.05)
    assert np.percentile(points[:, 2], 1) > -0.03
    nav = world.require_nav()
    assert nav.is_navigable(world.start_c2w[:2, 3])
    assert not nav.is_navigable(np.array([1.8, -0.1]))


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_relative_depth_is_scaled_by_the_camera_height(photo, told, factor):
    world = made(photo, told(metric=False, factors=[factor]), camera_height_m=1.4)
    assert world.start_c2w[2, 3] == pytest.approx(1.4, abs=0.01)
    assert world.anchor.points[:, 0].max() == pytest.approx(3.5, abs=0.1)
    assert world.source["scale_from"].startswith("camera height given")
    assert world.source["scale"] == pytest.approx(1 / factor, rel=0.02)


def test_relative_depth_without_a_height_takes_the_usual_one(photo, told):
    world = made(photo, told(metric=False, factors=[0.2]))
    assert world.start_c2w[2, 3] == pytest.approx(1.5, abs=0.01)
    assert world.source["camera_height_m"] == pytest.approx(1.5, abs=0.001)


def test_a_given_field_of_view_is_told_to_the_estimator(photo, told, room_frames):
    estimator = told()
    world = made(photo, estimator, fov_x_deg=80.0)
    assert world.source["fov_from"] == "given"
    np.testing.assert_allclose(estimator.told_K[0], room_frames[0].camera.K, atol=1e-6)
    same = made(photo, told(), K=room_frames[0].camera.K)
    np.testing.assert_allclose(same.anchor.points, world.anchor.points, atol=1e-5)


def test_the_lens_of_exif_tags(tmp_path, room_frames, told):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 24
    Image.fromarray(room_frames[0].rgb).save(tmp_path / "a.jpg", exif=exif, quality=95)
    world = made(tmp_path / "a.jpg", told())
    assert world.source["fov_from"] == "EXIF, 35 mm equivalent"
    focal_px = 24 / np.hypot(36, 24) * np.hypot(160, 120)
    assert world.source["K"][0][0] == pytest.approx(focal_px, abs=0.01)


def test_a_photo_on_its_side_is_turned_by_its_tag(tmp_path, room_frames, told):
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = np.ascontiguousarray(room_frames[0].rgb.swapaxes(0, 1)[::-1])
    Image.fromarray(sideways).save(tmp_path / "a.png", exif=exif)
    world = made(tmp_path / "a.png", told())
    np.testing.assert_array_equal(world.references[0].rgb, room_frames[0].rgb)
    assert world.source["photo_size"] == [160, 120]


def test_an_estimator_without_a_lens_gets_an_ordinary_one(photo, room_frames):
    estimator = ToldDepth([room_frames[0].depth], np.zeros((3, 3)))
    with pytest.warns(UserWarning, match="field of view is unknown"):
        world = made(photo, estimator)
    assert world.source["fov_from"] == "assumed"
    assert world.source["fov_x_deg"] == pytest.approx(60, abs=0.1)


def test_no_floor_in_view_is_assumed_and_told(photo, room_frames):
    wall = np.full(room_frames[0].depth.shape, 2.0, np.float32)
    with pytest.warns(UserWarning, match=r"no floor was found.*level and 1\.50 m above"):
        world = made(photo, ToldDepth([wall], room_frames[0].camera.K))
    assert world.source["floor_from"] == "assumed"
    assert world.anchor.generated.any()
    nav = world.require_nav()
    assert nav.is_navigable(world.start_c2w[:2, 3])
    assert not nav.is_navigable(np.array([1.95, 0.0]))
    assert world.source["warnings"]


def test_upside_down(tmp_path, room_frames):
    frame = room_frames[0]
    Image.fromarray(frame.rgb[::-1, ::-1]).save(tmp_path / "a.png")
    turned = np.ascontiguousarray(frame.depth[::-1, ::-1])
    with pytest.warns(UserWarning, match="may be upside down"):
        world = made(tmp_path / "a.png", ToldDepth([turned], frame.camera.K))
    assert any("upside down" in note for note in world.source["warnings"])


def test_upside_down_as_the_estimator_sees_it(photo, room_frames):
    """A wall without a floor, of which the estimator is surer when it is turned over."""

    class Doubtful(ToldDepth):
        def estimate(self, images, K=None):
            (answer,) = super().estimate(images, K)
            sure = 0.4 if len(self.told_K) == 1 else 0.8
            return [replace(answer, confidence=np.full_like(answer.confidence, sure))]

    wall = np.full(room_frames[0].depth.shape, 2.0, np.float32)
    with pytest.warns(UserWarning, match=r"2\.0 times as sure of it turned over"):
        world = made(photo, Doubtful([wall], room_frames[0].camera.K))
    assert world.source["floor_from"] == "assumed"


def test_what_is_far_away_is_in_the_reference_only(photo, room_frames):
    depth = room_frames[0].depth.copy()
    depth[:30] = 60.0
    world = made(photo, ToldDepth([depth], room_frames[0].camera.K))
    assert np.linalg.norm(world.anchor.points, axis=-1).max() < 30
    assert world.references[0].depth.max() == pytest.approx(60)


def test_transparent_pixels_have_no_depth(tmp_path, room_frames, told):
    alpha = np.full((120, 160), 255, np.uint8)
    alpha[:, :40] = 0
    Image.fromarray(np.dstack([room_frames[0].rgb, alpha])).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="transparent in part"):
        world = made(tmp_path / "a.png", told())
    assert not world.references[0].depth[:, :40].any()


def test_objects_can_be_moved(tmp_path, room_frames):
    """The crate stands free in view 0; its points move with it and the floor it leaves is free."""
    frame = room_frames[0]
    Image.fromarray(frame.rgb).resize((480, 360)).save(tmp_path / "a.png")
    world = made(tmp_path / "a.png", ToldDepth([frame.depth], frame.camera.K))
    (crate,) = world.objects
    assert crate.pose[0, 3] == pytest.approx(1.8, abs=0.25)
    assert (world.anchor.instance == 1).sum() > 200
    nav = world.require_nav()
    here = crate.pose[:2, 3].copy()
    assert not nav.is_navigable(here)
    pose = crate.pose.copy()
    pose[:2, 3] = [40.0, 40.0]
    world.set_object_pose(1, pose)
    assert nav.clearance.max() > 0


def test_point_navigation_in_a_photo(photo, told):
    world = made(photo, told())
    env = gymnasium.make(
        "WorldFM/PointNav-v0", world=world, renderer="anchor", goal_distance_m=(0.4, 30.0)
    )
    observation, _ = env.reset(seed=0)
    for action in (1, 2, 3, 1):
        observation, _, _, _, _ = env.step(action)
    assert np.isfinite(observation["pointgoal"]).all()
    env.close()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"K": np.eye(3), "fov_x_deg": 80}, SourceError, "both K= and fov_x_deg="),
        ({"K": np.eye(4)}, SourceError, r"shape \(3, 3\)"),
        ({"K": np.diag([100.0, 100.0, 1.0])}, SourceError, "principal point"),
        ({"K": np.full((3, 3), np.nan)}, SourceError, "finite"),
        ({"fov_x_deg": 400}, SourceError, "1…170"),
        ({"camera_height_m": -1.0}, SourceError, "camera_height_m must lie"),
        ({"panorama": True}, SourceError, "twice as wide as high"),
        ({"depth_unit_m": 0.001}, SourceError, "unit of depth="),
        ({"estimator": "no-such-thing"}, ReconstructionError, "there is no depth estimator"),
        (
            {"depth": np.ones((120, 160)), "fov_x_deg": 80, "camera_height_m": 1.0},
            SourceError,
            "belong to photos without depth",
        ),
    ],
)
def test_unusable_options(photo, told, options, error, message):
    with pytest.raises(error, match=message):
        make_world(photo, **{"estimator": told(), **options})


@pytest.mark.parametrize(("confidence", "factor"), [(0.0, 1.0), (1.0, 0.0), (1.0, np.nan)])
def test_depth_that_is_not_known(photo, told, confidence, factor):
    estimator = told(confidence=confidence, factors=[factor])
    with pytest.raises(SourceError, match="can tell the depth of 0% of the pixels"):
        made(photo, estimator)


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_depth_that_is_no_places(photo, room_frames, factor):
    wall = np.full(room_frames[0].depth.shape, 2.0 * factor, np.float32)
    with pytest.raises(SourceError, match=r"m deep on average.*camera_height_m="):
        made(photo, ToldDepth([wall], room_frames[0].camera.K))


def test_an_estimate_of_another_size(photo, told):
    estimator = told()
    answer = estimator.estimate

    def wrong(images, K=None):
        return answer([images[0][:50]], K)

    estimator.estimate = wrong
    with pytest.raises(SourceError, match="has shape"):
        made(photo, estimator)


def gray_card() -> Image.Image:
    return Image.new("RGB", (320, 240), (128, 128, 128))


def night_sky() -> Image.Image:
    rng = np.random.default_rng(0)
    sky = np.clip(rng.normal(8, 3, (240, 320, 3)), 0, 255)
    sky[rng.random((240, 320)) < 0.002] = 255
    return Image.fromarray(sky.astype(np.uint8))


def text_page() -> Image.Image:
    page = Image.new("RGB", (600, 800), "white")
    draw = ImageDraw.Draw(page)
    for y in range(30, 770, 20):
        draw.text((40, y), "the quick brown fox jumps over the lazy dog " * 2, fill="black")
    return page


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (gray_card, "same color everywhere"),
        (night_sky, "like a night sky"),
        (text_page, "page of text"),
        (lambda: Image.new("RGB", (16, 16), "red"), "too few to see a place in"),
        (lambda: Image.effect_noise((1200, 300), 90).convert("RGB"), "a strip"),
    ],
)
def test_pictures_of_no_place(tmp_path, picture, message, told):
    picture().save(tmp_path / "a.png")
    with pytest.raises(SourceError, match=message):
        made(tmp_path / "a.png", told())


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_unusual_color_modes_warn_and_work(tmp_path, room_frames, told, mode):
    Image.fromarray(room_frames[0].rgb).convert(mode).save(tmp_path / "a.jpg")
    with pytest.warns(UserWarning, match="CMYK" if mode == "CMYK" else "no color"):
        world = made(tmp_path / "a.jpg", told())
    assert world.nav is not None


def test_an_animation_warns_and_works(tmp_path, room_frames, told):
    frames = [Image.fromarray(frame.rgb) for frame in room_frames[:2]]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="holds 2 pictures"):
        assert made(tmp_path / "a.gif", told()).nav is not None


def test_a_twice_as_wide_photo_is_no_panorama_if_its_sides_differ(tmp_path, room_frames):
    frame = room_frames[0]
    wide = Image.fromarray(frame.rgb[20:100]).resize((640, 320))
    wide.save(tmp_path / "a.png")
    K = frame.camera.K.copy()
    K[1, 2] -= 20
    with pytest.warns(UserWarning, match="sides don't join"):
        world = made(tmp_path / "a.png", ToldDepth([frame.depth[20:100]], K))
    assert world.source["kind"] == "photo"


def test_the_same_photo_gives_the_same_world(photo, told):
    one, other = made(photo, told()), made(photo, told())
    np.testing.assert_array_equal(one.anchor.points, other.anchor.points)
    np.testing.assert_array_equal(one.anchor.instance, other.anchor.instance)
