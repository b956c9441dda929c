"""Palette: finishes that go together; albedos of real materials in linear RGB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TypedDict

from worldfm_gym.worlds.scene import Material

Color = tuple[float, float, float]


class Finish(TypedDict):
    """What a surface is made of; unpacks into the keywords of `SceneBuilder.box`."""

    material: Material
    color: Color
    accent: Color
    scale: float


@cache
def srgb(code: str) -> Color:
    """Linear RGB of an sRGB hex code such as "c8a27a"."""
    red, green, blue = (_linear(int(code[i : i + 2], 16) / 255) for i in (0, 2, 4))
    return red, green, blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def finish(
    material: Material, color: str | Color, accent: str | Color | None = None, scale: float = 1.0
) -> Finish:
    """A finish from hex codes or linear colors; the accent defaults to a darker tone."""
    main = srgb(color) if isinstance(color, str) else color
    if accent is None:
        accent = shade(main, 0.6)
    second = srgb(accent) if isinstance(accent, str) else accent
    return Finish(material=material, color=main, accent=second, scale=scale)


def shade(color: Color, factor: float) -> Color:
    """The color, darker (factor < 1) or lighter, at most white paint."""
    red, green, blue = color
    return min(red * factor, 0.85), min(green * factor, 0.85), min(blue * factor, 0.85)


def tinted(base: Finish, factor: float) -> Finish:
    """The same finish, darker or lighter."""
    return Finish(
        material=base["material"],
        color=shade(base["color"], factor),
        accent=shade(base["accent"], factor),
        scale=base["scale"],
    )


def wood(color: str, accent: str) -> Finish:
    """Furniture wood with grain of about 6 cm."""
    return finish(Material.WOOD, color, accent, 0.06)


OAK = wood("c39a6b", "a77f52")
LIGHT_OAK = wood("d8bb90", "c2a274")
BEECH = wood("cfa677", "bb9062")
PINE = wood("dcb982", "c79c60")
WALNUT = wood("6f4a30", "543522")
TEAK = wood("9a6840", "7d5230")
MAHOGANY = wood("6a3322", "4e2418")
ASH_GREY = wood("a89a88", "8f8171")
BLACK_STAIN = wood("38322d", "272320")
WHITE_LACQUER = finish(Material.PAINT, "ebe9e3", "d9d6ce")
GREY_LACQUER = finish(Material.PAINT, "a5a8a8", "8f9292")
SAGE_LACQUER = finish(Material.PAINT, "9aa68c", "84917a")
NAVY_LACQUER = finish(Material.PAINT, "33475e", "283a4e")
CREAM_LACQUER = finish(Material.PAINT, "e6dcc4", "d4c8ac")

CERAMIC = finish(Material.PAINT, "f0f0ee", "dedfdd")
STEEL = finish(Material.METAL, "b8bbbd", "95989a", 0.3)
DARK_STEEL = finish(Material.METAL, "4a4d50", "36383a", 0.3)
BRASS = finish(Material.METAL, "b8955a", "94753f", 0.3)
BLACK_METAL = finish(Material.METAL, "2a2b2d", "1e1f20", 0.3)
BLACK_PLASTIC = finish(Material.PAINT, "1d1e20", "141516")
MIRROR = finish(Material.METAL, "d5dcde", "c3cbce", 3.0)
SCREEN_OFF = finish(Material.SCREEN, "1a2430", "3c5a78", 0.3)
LEAVES = finish(Material.FOLIAGE, "4b7a3a", "2f5527", 0.12)
DARK_LEAVES = finish(Material.FOLIAGE, "3a6340", "244429", 0.1)
TERRACOTTA = finish(Material.PLASTER, "b5714e", "9a5c3d", 0.3)
CARDBOARD = finish(Material.CARDBOARD, "b88f61", "9a7448", 0.4)
WHITE_TRIM = finish(Material.PAINT, "ecebe6", "dcdad4")
CEILING_WHITE = finish(Material.PLASTER, "efeeea", "e3e1dc", 0.6)
DAYLIGHT = finish(Material.WINDOW, "a9cdf0", "8fa67a", 1.0)
CONCRETE = finish(Material.CONCRETE, "9d9b96", "85837e", 1.2)
SAFETY_YELLOW = finish(Material.PAINT, "e2b21c", "c99a10")
HAZARD = finish(Material.HAZARD, "e2b21c", "1f1f1f", 0.24)


def lamp(warmth: float) -> Finish:
    """Glowing lamp glass; warmth 0 is neutral daylight white, 1 a warm bulb."""
    color = (1.0, 1.0 - 0.14 * warmth, 1.0 - 0.42 * warmth)
    return finish(Material.EMISSIVE, color, color)


def light_color(warmth: float, intensity: float) -> Color:
    """Linear RGB intensity of a lamp's light."""
    return intensity, intensity * (1 - 0.12 * warmth), intensity * (1 - 0.34 * warmth)


@dataclass(frozen=True, slots=True)
class Style:
    """The materials that one apartment is furnished with.

    `wood` is for cabinets and tables, `second` for what sets itself off against it, `front` for
    kitchen and wardrobe doors, `fabrics` from quiet to loud.
    """

    wood: Finish
    second: Finish
    front: Finish
    counter: Finish
    metal: Finish
    trim: Finish
    wall: Finish
    accent_wall: Finish
    floor: Finish
    soft_floor: Finish
    tile_wall: Finish
    tile_floor: Finish
    seat: Finish
    fabrics: tuple[Finish, ...]
    warmth: float


def _fabric(color: str, accent: str | None = None) -> Finish:
    return finish(Material.FABRIC, color, accent, 0.05)


def _wall(color: str) -> Finish:
    return finish(Material.PAINT, color, None, 1.0)


def _planks(color: str, accent: str) -> Finish:
    return finish(Material.PLANKS, color, accent, 0.16)


def _carpet(color: str) -> Finish:
    return finish(Material.CARPET, color, None, 0.1)


def _tile(color: str, accent: str, scale: float) -> Finish:
    return finish(Material.TILE, color, accent, scale)


_MARBLE_TOP = finish(Material.MARBLE, "dedbd4", "9d978c", 0.7)
_DARK_TOP = finish(Material.MARBLE, "4b4a49", "75726e", 0.5)
_CONCRETE_TOP = finish(Material.CONCRETE, "a8a5a0", "928f8a", 0.5)

_STYLES = (
    Style(  # scandinavian
        LIGHT_OAK, WHITE_LACQUER, WHITE_LACQUER, OAK, BLACK_METAL, WHITE_TRIM,
        _wall("e6e3dc"), _wall("8ea3a6"), _planks("c9a878", "b08f60"), _carpet("b9b4aa"),
        _tile("e8e8e4", "c4c4be", 0.15), _tile("b7bbba", "8d918f", 0.3),
        _fabric("8c979c", "7d888d"),
        (_fabric("d8d2c4"), _fabric("56707c"), _fabric("d3a343")), 0.5,
    ),
    Style(  # mid-century
        WALNUT, TEAK, TEAK, _MARBLE_TOP, BRASS, WHITE_TRIM,
        _wall("e4dccb"), _wall("3f6f6d"), _planks("a87648", "8a5d36"), _carpet("a48f70"),
        _tile("d7e0da", "a9b8b0", 0.12), _tile("3b5854", "2b4340", 0.2),
        _fabric("2f6b68", "285c59"),
        (_fabric("dccbaa"), _fabric("c46a2d"), _fabric("d6a13a")), 0.8,
    ),
    Style(  # loft
        BLACK_STAIN, TEAK, DARK_STEEL, _CONCRETE_TOP, BLACK_METAL,
        finish(Material.PAINT, "46484a"), _wall("cfcac2"),
        finish(Material.BRICK, "9a5b45", "b9ada0", 0.22),
        finish(Material.CONCRETE, "9b9893", "85827d", 1.6), _planks("7c5a40", "64472f"),
        _tile("ecece8", "5b5b59", 0.14), _tile("55585a", "3c3f41", 0.4),
        finish(Material.LEATHER, "7a4a2c", "5e371f", 0.2),
        (_fabric("77736c"), _fabric("33373b"), _fabric("a8552f")), 0.9,
    ),
    Style(  # mediterranean
        OAK, PINE, CREAM_LACQUER, _tile("d9e2e6", "4b7fa3", 0.12), BLACK_METAL, OAK,
        finish(Material.PLASTER, "ece2cd", "ded2b8", 0.5),
        finish(Material.PLASTER, "d59a6a", "c48858", 0.5), _tile("b5694a", "c9b59c", 0.3),
        _tile("c07d58", "d2bfa5", 0.25), _tile("f0ede2", "4f86a8", 0.18),
        _tile("4f86a8", "e5e2d6", 0.2), _fabric("ddd3bb", "cfc4a8"),
        (_fabric("e6dcc6"), _fabric("3c709a"), _fabric("c7623a")), 0.7,
    ),
    Style(  # japandi
        ASH_GREY, LIGHT_OAK, ASH_GREY, _DARK_TOP, BLACK_METAL, LIGHT_OAK,
        finish(Material.PLASTER, "ddd6c9", "d0c8b9", 0.6), _wall("7d8470"),
        _planks("d2b88e", "bfa377"), finish(Material.CARPET, "c4b48f", "ae9d78", 0.25),
        _tile("cfc9bd", "b0a99b", 0.3), _tile("77746d", "605d57", 0.45),
        _fabric("bdb4a2", "aba28f"),
        (_fabric("e0d8c8"), _fabric("6f7a63"), _fabric("4d4a46")), 0.6,
    ),
    Style(  # classic
        MAHOGANY, WALNUT, CREAM_LACQUER, _MARBLE_TOP, BRASS, CREAM_LACQUER,
        _wall("e9dfc6"), finish(Material.FABRIC, "8a3a3c", "a5605a", 0.25),
        finish(Material.PLANKS, "8e5a34", "714426", 0.1), _carpet("7c3a38"),
        _tile("efe9dc", "cbbfa8", 0.2), _tile("ddd6c8", "3c3a38", 0.3),
        _fabric("6d2d32", "5c2529"),
        (_fabric("e3d3ad"), _fabric("4c5b3f"), _fabric("a4803c")), 0.9,
    ),
    Style(  # modern grey
        WHITE_LACQUER, BLACK_STAIN, GREY_LACQUER, _DARK_TOP, STEEL, WHITE_TRIM,
        _wall("dcdddd"), _wall("4d555c"), _tile("b3b3b0", "94948f", 0.6), _carpet("8b8d90"),
        _tile("e4e6e7", "bfc3c5", 0.3), _tile("4a4e52", "34383b", 0.45),
        _fabric("5a6067", "4e545a"),
        (_fabric("cfd1d2"), _fabric("2f343a"), _fabric("b8322c")), 0.25,
    ),
    Style(  # country
        PINE, WHITE_LACQUER, SAGE_LACQUER, BEECH, BRASS, WHITE_TRIM,
        _wall("ece6d6"), _wall("a3b095"), _planks("bf935c", "a67a45"), _carpet("b5ab8f"),
        _tile("f0eee6", "c3c0b2", 0.12), _tile("d5cdb9", "7d8f76", 0.22),
        _fabric("a8a78d", "97967c"),
        (_fabric("efe8d6"), _fabric("a7504a"), _fabric("6c8193")), 0.75,
    ),
    Style(  # coastal
        wood("bfae96", "a89780"), WHITE_LACQUER, NAVY_LACQUER, _MARBLE_TOP, STEEL, WHITE_TRIM,
        _wall("e8ecec"), _wall("7fa3b5"), _planks("cdbfa6", "b8a98e"), _carpet("b7bdb8"),
        _tile("e6efef", "a9c3c9", 0.1), _tile("8fb0b8", "dfe6e6", 0.25),
        _fabric("dfe0da", "cfd1cb"),
        (_fabric("f0efe9"), _fabric("2f5877"), _fabric("d98a6a")), 0.4,
    ),
    Style(  # student flat
        BEECH, finish(Material.PAINT, "d8d5cc"), WHITE_LACQUER, BEECH, STEEL, WHITE_TRIM,
        _wall("e9e4d3"), _wall("d9b25c"), _planks("b88a57", "a07444"), _carpet("5d6b7c"),
        _tile("eceae2", "b9b6ab", 0.15), _tile("a9a598", "878377", 0.3),
        _fabric("3f5f8a", "365377"),
        (_fabric("d6cfbf"), _fabric("4f8a63"), _fabric("c24b3d")), 0.55,
    ),
)  # fmt: skip


def draw_style(draw: Random) -> Style:
    """Pick a style and vary what a tenant would vary: the wall's tone and the accent wall."""
    style = draw.choice(_STYLES)
    other = draw.choice(_STYLES)
    if draw.random() < 0.3:
        style = replace(style, floor=other.floor)
    if draw.random() < 0.3:
        style = replace(style, front=other.front, counter=other.counter)
    if draw.random() < 0.35:
        style = replace(style, tile_wall=other.tile_wall, tile_floor=other.tile_floor)
    return replace(
        style,
        wall=tinted(style.wall, draw.uniform(0.88, 1.04)),
        accent_wall=tinted(style.accent_wall, draw.uniform(0.85, 1.15)),
        seat=tinted(style.seat, draw.uniform(0.85, 1.2)),
        warmth=min(1.0, max(0.0, style.warmth + draw.uniform(-0.2, 0.2))),
    )
