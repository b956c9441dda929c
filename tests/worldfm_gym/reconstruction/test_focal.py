import math

import pytest

from worldfm_gym.reconstruction.focal import focal_from_exif

F35, FOCAL, WIDTH, HEIGHT, RESOLUTION, UNIT = 0xA405, 0x920A, 0xA002, 0xA003, 0xA20E, 0xA210


def test_a_full_frame_picture_has_the_focal_length_of_its_lens():
    focal_px, origin = focal_from_exif({F35: 50}, width=6000, height=4000)
    assert focal_px == pytest.approx(50 / 36 * 6000)
    assert "35 mm" in origin


def test_a_phone_picture_of_four_by_three_by_diagonals():
    focal_px, _ = focal_from_exif({F35: 26}, width=4000, height=3000)
    fov_diagonal = 2 * math.atan(2500 / focal_px)
    assert fov_diagonal == pytest.approx(2 * math.atan(math.hypot(36, 24) / 2 / 26))


@pytest.mark.parametrize(("unit", "per_mm"), [(2, 1 / 25.4), (3, 0.1), (4, 1.0)])
def test_sensor_resolution(unit, per_mm):
    # A 7.2 mm lens, pixels of 1.5 µm, picture half the size of what the sensor has.
    exif = {FOCAL: 7.2, RESOLUTION: 1 / 0.0015 / per_mm, UNIT: unit, WIDTH: 6000, HEIGHT: 4000}
    focal_px, origin = focal_from_exif(exif, width=3000, height=2000)
    assert focal_px == pytest.approx(7.2 / 0.0015 / 2)
    assert "sensor" in origin


@pytest.mark.parametrize(
    "exif",
    [
        {},
        {F35: 0},
        {F35: "wide"},
        {F35: float("nan")},
        {F35: 2},  # 170°
        {F35: 2000},
        {FOCAL: 7.2},
        {F35: 26, WIDTH: 4000, HEIGHT: 3000},  # of another shape: cut
    ],
)
def test_tags_that_tell_nothing(exif):
    assert focal_from_exif(exif, width=4000, height=2000) is None


def test_turned_pictures_have_the_same_shape():
    exif = {F35: 26, WIDTH: 4000, HEIGHT: 3000}
    assert focal_from_exif(exif, width=1500, height=2000) is not None
