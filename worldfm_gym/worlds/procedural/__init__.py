"""Procedural scenes: seeded, endless apartments, factories, warehouses and mazes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural.factory import FactoryConfig, build_factory
from worldfm_gym.worlds.procedural.maze import MazeConfig, build_maze
from worldfm_gym.worlds.procedural.rooms import RoomsConfig, build_rooms
from worldfm_gym.worlds.procedural.warehouse import WarehouseConfig, build_warehouse
from worldfm_gym.worlds.scene import Scene

__all__ = [
    "KINDS",
    "FactoryConfig",
    "MazeConfig",
    "RoomsConfig",
    "WarehouseConfig",
    "build_scene",
]

# The place of a kind in this tuple is part of its seeds: append, never reorder.
KINDS = ("rooms", "factory", "warehouse", "maze")

_BUILDERS: dict[str, tuple[type[Any], Callable[[np.random.Generator, Any], Scene]]] = {
    "rooms": (RoomsConfig, build_rooms),
    "factory": (FactoryConfig, build_factory),
    "warehouse": (WarehouseConfig, build_warehouse),
    "maze": (MazeConfig, build_maze),
}


def build_scene(kind: str, *, seed: int, **options: Any) -> Scene:
    """Draw a procedural scene; the same arguments give the same scene bit for bit.

    Args:
        kind: One of `KINDS`.
        seed: Any integer ≥ 0.
        **options: Fields of the kind's configuration: `RoomsConfig`, `FactoryConfig`,
            `WarehouseConfig` or `MazeConfig`.

    Returns:
        A closed scene: no camera inside it sees beyond its outer walls, floor and ceiling.

    Raises:
        SourceError: On an unknown kind or option, or a value outside its range.
    """
    if kind not in _BUILDERS:
        raise SourceError(f"unknown kind of procedural world {kind!r}: choose from {list(KINDS)}")
    config_class, build = _BUILDERS[kind]
    known = [field.name for field in fields(config_class)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise SourceError(f"{kind} has no option {', '.join(unknown)}: choose from {known}")
    try:
        number = operator.index(seed)
    except TypeError:
        raise SourceError(f"seed must be an integer ≥ 0, got {seed!r}") from None
    if number < 0:
        raise SourceError(f"seed must be an integer ≥ 0, got {seed}")
    return build(np.random.default_rng([number, KINDS.index(kind)]), config_class(**options))
