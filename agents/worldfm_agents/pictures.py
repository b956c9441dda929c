"""Pictures for people: depth and provenance as colors, panels of one size with a caption."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldfm_gym.frame import Provenance

PAPER, INK = (24, 25, 28), (232, 232, 232)
SEEN, INVENTED = (70, 185, 120), (245, 150, 50)

_CAPTION_FONT_PX = 13

# Turbo (A. Mikhailov, "Turbo, An Improved Rainbow Colormap", 2019) at nine places, near to far.
_TURBO = np.array(
    [
        (122, 4, 3),
        (209, 46, 4),
        (251, 126, 33),
        (237, 208, 58),
        (164, 252, 60),
        (50, 241, 152),
        (40, 188, 235),
        (70, 107, 227),
        (48, 18, 59),
    ]
)


_DEPTH_COLORS = np.stack(
    [np.interp(np.linspace(0, 8, 256), np.arange(9), channel) for channel in _TURBO.T], axis=-1
).astype(np.uint8)


def depth_picture(depth_z: NDArray[np.float32], *, max_depth_m: float) -> NDArray[np.uint8]:
    """Depth in metres as colors [..., 3]: near is red, `max_depth_m` and farther blue, none black.

    Args:
        depth_z: Any shape; 0 where nothing is seen.
        max_depth_m: Where the colors end.
    """
    step = np.minimum(depth_z * np.float32(255 / max_depth_m), np.float32(255)).astype(np.uint8)
    picture: NDArray[np.uint8] = _DEPTH_COLORS.take(step, axis=0)
    picture[depth_z <= 0] = 0
    return picture


def provenance_picture(rgb: NDArray[np.uint8], provenance: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A drawn view tinted by where its pixels come from: green seen, orange invented, black none.

    Args:
        rgb: uint8 [..., 3].
        provenance: `Provenance` values, uint8 [...].
    """
    light = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    colors = np.zeros((256, 3), np.float32)
    colors[Provenance.OBSERVED], colors[Provenance.GENERATED] = SEEN, INVENTED
    tint = colors[provenance] * (0.35 + 0.65 * light[..., None] / 255)
    return np.asarray(tint.astype(np.uint8))


def panel(
    picture: NDArray[np.uint8], caption: str, *, width: int, height: int
) -> NDArray[np.uint8]:
    """A picture [H, W, 3] fitted into width × height, with a line of text on its lower edge."""
    image = Image.fromarray(picture)
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    way = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    paper = Image.new("RGB", (width, height), PAPER)
    paper.paste(image.resize(size, way), ((width - size[0]) // 2, (height - size[1]) // 2))
    if caption:
        font = ImageFont.load_default(size=_CAPTION_FONT_PX)
        pen = ImageDraw.Draw(paper, "RGBA")
        left, _, right, bottom = pen.textbbox((0, 0), caption, font=font)
        top = height - int(bottom) - 7
        pen.rectangle((0, top, int(right - left) + 12, height), fill=(*PAPER, 190))
        pen.text((6, top + 2), caption, fill=INK, font=font)
    return np.asarray(paper)
