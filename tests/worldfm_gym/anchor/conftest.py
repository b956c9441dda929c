"""Rooms of points with normals, for the raster's tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from worldfm_gym.anchor import Anchor, WorldObject
from worldfm_gym.anchor.pyramid import SplatPyramid, build_pyramid

FACES = [(axis, side) for axis in range(3) for side in (0, 1)]


def box_faces(
    low: Sequence[float], high: Sequence[float], *, spacing: float, inward: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Grid points and unit normals of an axis-aligned box."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    points, normals = [], []
    for axis, side in FACES:
        others = [a for a in range(3) if a != axis]
        counts = np.ceil((high - low)[others] / spacing).astype(int)
        grids = [
            low[a] + (np.arange(n) + 0.5) / n * (high - low)[a]
            for a, n in zip(others, counts, strict=True)
        ]
        face = np.empty((counts.prod(), 3))
        face[:, others] = np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, 2)
        face[:, axis] = (low, high)[side][axis]
        normal = np.zeros((len(face), 3))
        normal[:, axis] = (1 if side else -1) * (-1 if inward else 1)
        points.append(face)
        normals.append(normal)
    return np.concatenate(points), np.concatenate(normals)


def make_room(
    *, spacing: float = 0.1, origin: Sequence[float] = (0, 0, 0)
) -> tuple[Anchor, list[WorldObject]]:
    """A closed 4 × 3 × 2.4 m room with a 0.6 × 0.5 × 0.7 m crate, object 1."""
    offset = np.asarray(origin, float)
    walls, wall_normals = box_faces(
        offset, np.add(offset, (4, 3, 2.4)), spacing=spacing, inward=True
    )
    pose = np.eye(4)
    pose[:3, 3] = np.add(offset, (2.0, 1.5, 0.35))
    crate = WorldObject.at_rest(1, "crate", pose=pose, size=(0.6, 0.5, 0.7))
    half = crate.size / 2
    sides, side_normals = box_faces(
        pose[:3, 3] - half, pose[:3, 3] + half, spacing=spacing, inward=False
    )
    points = np.concatenate([walls, sides])
    checks = np.floor(points * 4).astype(int).sum(axis=1) % 2
    colors = np.stack(
        [80 + 120 * checks, 60 + (points[:, 2] * 60).astype(int), 200 - 90 * checks], -1
    )
    anchor = Anchor.from_points(
        points,
        colors.astype(np.uint8),
        normals=np.concatenate([wall_normals, side_normals]),
        instance=np.repeat([0, 1], [len(walls), len(sides)]),
        radius=spacing / 2,
        generated=points[:, 0] > 3.5 + offset[0],
    )
    return anchor, [crate]


@pytest.fixture(scope="session")
def room() -> tuple[Anchor, list[WorldObject]]:
    return make_room()


@pytest.fixture(scope="session")
def pyramid(room: tuple[Anchor, list[WorldObject]]) -> SplatPyramid:
    return build_pyramid(*room)


@pytest.fixture(scope="session")
def other_pyramid() -> SplatPyramid:
    """A finer room elsewhere, without an object."""
    anchor, _ = make_room(spacing=0.06, origin=(10, -5, 0))
    return build_pyramid(anchor)
