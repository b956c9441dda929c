"""The fixed vocabulary of object categories: what indices in semantic images and goals stand for.

One numbering everywhere: the semantic image holds it, `goal_category` holds it, and policies that
are trained in one world read another with the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

CATEGORIES_VERSION = 1
"""Rises when a category is appended; what the numbers meant before never changes."""

BACKGROUND = 0
"""Walls, floor, and where nothing is seen."""

OBJECT = 1
"""A thing of no known category, as reconstruction finds them."""

# fmt: off
CATEGORIES: tuple[str, ...] = (
    "background", "object", "armchair", "backsplash", "ball", "barrel", "basket", "bathtub", "bed",
    "bin", "book", "bookshelf", "bottle", "bowl", "box", "cabinet", "ceiling_lamp", "chair",
    "clock", "coat_rack", "coffee_table", "column", "control_cabinet", "conveyor", "counter",
    "crate", "cupboard", "curtain", "desk", "door", "dresser", "extinguisher", "fence",
    "floor_lamp", "forklift", "fridge", "hood", "kettle", "laptop", "machine", "mirror", "monitor",
    "mug", "nightstand", "office_chair", "packing_table", "pallet", "pallet_jack", "pallet_rack",
    "picture", "plant", "press", "radiator", "railing", "robot", "roller_door", "rug", "shelf",
    "shoe_cabinet", "shower", "sideboard", "sign", "sink", "sofa", "stool", "stove", "table",
    "table_lamp", "tank", "toilet", "tote", "towel_rail", "tv", "tv_stand", "vase", "wall_lamp",
    "wall_shelf", "wardrobe", "washbasin", "washing_machine", "window", "workbench",
)
"""Names by index: background, any object, then what the procedural generators make, sorted.

Only ever appended to."""
# fmt: on

_INDEX = {name: index for index, name in enumerate(CATEGORIES)}


def category_index(name: str) -> int:
    """The index of a category; that of ``"object"`` for one outside the vocabulary."""
    return _INDEX.get(name, OBJECT)


def category_indices(names: Iterable[str]) -> NDArray[np.int64]:
    """Indices of several categories, int64 [K]; see `category_index`."""
    return np.fromiter(map(category_index, names), np.int64)
