"""Rooms of points for the navigation tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import rotation_exp
from worldfm_gym.navigation import NavMap

SPACING_M = 0.04


def _grid(low: Any, high: Any) -> np.ndarray:
    """Points on an axis-aligned box face (one axis of no extent), both edges included."""
    axes = [
        np.linspace(a, b, max(2, round((b - a) / SPACING_M) + 1)) if b > a else np.array([a])
        for a, b in zip(low, high, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _room(width: float, depth: float, height: float, walls: Any) -> Anchor:
    """A box room from (0, 0, 0), with further walls (x0, y0, x1, y1) from floor to ceiling."""
    faces = [
        _grid((0, 0, 0), (width, depth, 0)),
        _grid((0, 0, height), (width, depth, height)),
        _grid((0, 0, 0), (0, depth, height)),
        _grid((width, 0, 0), (width, depth, height)),
        _grid((0, 0, 0), (width, 0, height)),
        _grid((0, depth, 0), (width, depth, height)),
    ]
    faces += [_grid((x0, y0, 0), (x1, y1, height)) for x0, y0, x1, y1 in walls]
    points = np.concatenate(faces)
    return Anchor.from_points(points, np.full((len(points), 3), 128), radius=SPACING_M / 2)


@pytest.fixture(scope="session")
def make_room() -> Callable[..., Anchor]:
    """`make_room(width, depth, height=2.4, walls=[(x0, y0, x1, y1), …])`."""

    def make(width: float, depth: float, *, height: float = 2.4, walls: Any = ()) -> Anchor:
        return _room(width, depth, height, walls)

    return make


@pytest.fixture(scope="session")
def make_object() -> Callable[..., WorldObject]:
    """`make_object(instance, (x, y, z), size, yaw=0, movable=True)`, z of the box's middle."""

    def make(
        instance: int, position: Any, size: Any, *, yaw: float = 0.0, movable: bool = True
    ) -> WorldObject:
        pose = np.eye(4)
        pose[:3, :3] = rotation_exp([0, 0, yaw])
        pose[:3, 3] = position
        return WorldObject.at_rest(instance, "crate", pose=pose, size=size, movable=movable)

    return make


@pytest.fixture(scope="session")
def two_rooms(make_room: Callable[..., Anchor]) -> NavMap:
    """Two rooms of 3 × 4 m, joined by a door 1 m wide at y = 2.5…3.5."""
    walls = [(3, 0, 3, 2.5), (3, 3.5, 3, 4)]
    return NavMap.build(make_room(6, 4, walls=walls), closed=True)
