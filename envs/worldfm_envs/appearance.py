"""Domain randomization at fixed geometry: every episode of an environment in other colors.

Depth, collision, navigation, goals and rewards read geometry, so an episode is the same with and
without it, and differs in color alone.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.counter_random import APPEARANCE_STREAM
from worldfm_gym.appearance import LUMINANCE, Appearance, material_luminance
from worldfm_gym.errors import ConfigError
from worldfm_gym.worlds.world import World

_MIDDLE_GRAY = 0.18  # linear; contrast turns about it


@dataclass(frozen=True, kw_only=True)
class AppearanceConfig:
    """How far colors may go, drawn anew for every episode; 0 leaves a property alone.

    Attributes:
        exposure_stops: Exposure changes by up to so many stops, brighter or darker.
        tint: Red, green and blue of the light change by up to this share each.
        saturation: Saturation changes by up to this share.
        contrast: Contrast changes by up to this share.
        hue_deg: All hues turn by up to so many degrees.
        repaint_probability: With this probability, each object gets a random color; its texture's
            and shading's light and dark stay.
        repaint_background: With this probability, floor, walls and ceiling get one, too.
    """

    exposure_stops: float = 0.5
    tint: float = 0.15
    saturation: float = 0.3
    contrast: float = 0.15
    hue_deg: float = 10.0
    repaint_probability: float = 0.3
    repaint_background: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            limit = {"exposure_stops": 8.0, "hue_deg": 180.0}.get(item.name, 1.0)
            if not 0.0 <= value <= limit:
                raise ConfigError(f"{item.name} must lie in 0…{limit:g}, got {value!r}")

    def draw(self, episode_seed: int, world: World) -> Appearance:
        """The appearance of an episode, a function of its seed and the world's objects."""
        rng = np.random.default_rng([episode_seed, APPEARANCE_STREAM])
        light = self._draw_light(rng)
        luminance = material_luminance(world)
        chances = [(0, self.repaint_background)]
        chances += [(item.instance, self.repaint_probability) for item in world.objects]
        materials: dict[int, NDArray[np.float32]] = {}
        for instance, chance in chances:
            # Drawn whether used or not, so that other objects keep their colors.
            used, color = rng.random() < chance, _random_color(rng)
            if used:
                here = float(luminance[instance])
                paint = Appearance.repaint(instance, color, luminance=here)
                materials.update(paint.materials)
        return Appearance(light, materials)

    def _draw_light(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """The affine map of the whole image, [3, 4]."""
        stops, tint, saturation, contrast, hue = (
            rng.uniform(-1.0, 1.0, size) for size in (None, 3, None, None, None)
        )
        share = 1.0 + self.saturation * saturation
        matrix = np.diag(1.0 + self.tint * tint)
        matrix *= 2.0 ** (self.exposure_stops * stops)
        matrix = matrix @ (share * np.eye(3) + (1.0 - share) * LUMINANCE)
        matrix = matrix @ _hue_turn(math.radians(self.hue_deg * float(hue)))
        slope = 1.0 + self.contrast * contrast
        added = np.full((3, 1), _MIDDLE_GRAY * (1.0 - slope))
        return np.hstack([slope * matrix, added]).astype(np.float32)


def _hue_turn(angle: float) -> NDArray[np.float64]:
    """A rotation of linear RGB about the axis of grays (Rodrigues' formula), [3, 3]."""
    cos, sin = math.cos(angle), math.sin(angle) / math.sqrt(3.0)
    skew = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    return np.asarray(cos * np.eye(3) + sin * skew + (1.0 - cos) / 3.0)


def _random_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A color that a thing may have: sRGB, 0…255, [3]."""
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.3, 0.9)
    return 255.0 * np.array(colorsys.hsv_to_rgb(hue, saturation, value))
