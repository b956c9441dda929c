import numpy as np
import pytest
from PIL import Image, ImageDraw

from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.picture_checks import check_picture


def test_gray_card_with_noise():
    card = np.clip(128 + np.random.default_rng(0).normal(0, 6, (300, 400, 3)), 0, 255)
    with pytest.raises(SourceError, match="same color everywhere"):
        check_picture(card.astype(np.uint8), name="card.jpg")


def test_night_sky_with_stars_and_a_glow():
    rng = np.random.default_rng(0)
    sky = rng.normal(8, 3, (300, 400, 3)) + np.linspace(0, 25, 300)[:, None, None]
    sky[rng.random((300, 400)) < 0.001] = 255
    with pytest.raises(SourceError, match="like a night sky"):
        check_picture(np.clip(sky, 0, 255).astype(np.uint8), name="night.jpg")


@pytest.mark.parametrize("width", [480, 1240])
@pytest.mark.parametrize("inverted", [False, True])
def test_page_of_text(width, inverted):
    rng = np.random.default_rng(0)
    page = Image.new("RGB", (1240, 1754), (250, 250, 246))
    draw = ImageDraw.Draw(page)
    for y in range(100, 1650, 28):
        words = ["".join(chr(97 + c) for c in rng.integers(0, 26, 6)) for _ in range(16)]
        draw.text((100, y), " ".join(words), fill=(25, 25, 25), font_size=20)
    page = page.resize((width, width * 1754 // 1240))
    pixels = np.asarray(page)
    with pytest.raises(SourceError, match="page of text"):
        check_picture(255 - pixels if inverted else pixels, name="page.png")


def test_real_places_pass(shared_data):
    photos = sorted((shared_data / "livingroom/color").glob("*.jpg"))
    photos += [shared_data / "photos/office.jpg", shared_data / "motorcycle/photo.jpg"]
    for path in photos:
        check_picture(np.asarray(Image.open(path)), name=path.name)


def test_a_white_room_with_little_in_it_passes():
    room = np.full((480, 640, 3), 235, np.uint8)
    room[300:] = (190, 180, 170)
    room[200:380, 400:520] = (90, 70, 60)
    check_picture(room, name="room.jpg")
