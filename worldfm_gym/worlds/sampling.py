"""Sampling: a scene's visible surfaces as an anchor of evenly spaced, shaded points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import SourceError
from worldfm_gym.threads import run_striped
from worldfm_gym.worlds.scene import Scene, Shape

_MIN_SPACING_M, _MAX_SPACING_M = 0.004, 0.5


def anchor_from_scene(scene: Scene, *, spacing_m: float = 0.04) -> Anchor:
    """Sample the surfaces of a scene.

    Each face carries a regular grid of samples up to its edges, at most `spacing_m` apart and
    closer on faces narrower than that. Left out are samples that nothing could ever see: inside
    static parts, inside other parts of their own object, on contact faces, below the floor and
    outside of the building. Surfaces that only a movable object hides stay.

    Args:
        scene: The scene.
        spacing_m: Sampling distance in metres, 0.004…0.5.

    Returns:
        An anchor whose colors carry texture, light, shadow and ambient occlusion, averaged over
        the area of each sample.

    Raises:
        SourceError: If `spacing_m` is out of range or no surface of the scene can be seen.
    """
    if not _MIN_SPACING_M <= spacing_m <= _MAX_SPACING_M:
        raise SourceError(
            f"spacing_m must be {_MIN_SPACING_M}…{_MAX_SPACING_M} metres, got {spacing_m}"
        )
    if not len(scene):
        raise SourceError("the scene has no primitives: add boxes to the SceneBuilder first")
    from worldfm_gym.worlds.raycast.packing import pack_scene
    from worldfm_gym.worlds.raycast.surface_points import close_ranks, sample_patches

    room = _room(scene)
    prim, kind, grid, pitch = _faces(scene, spacing_m, room)
    face, corner, sizes = _patches(grid)
    start = np.cumsum(sizes) - sizes
    slots, kept = _empty_points(int(sizes.sum())), np.zeros(len(face), np.int64)
    arrays = pack_scene(scene).arrays
    faces = (prim, kind, grid, pitch, face, corner)
    run_striped(sample_patches, len(face), *arrays, *faces, start, room, *slots, kept)
    if not kept.any():
        raise SourceError("no surface of the scene can be seen: is everything below the floor?")
    points, colors, normals = _empty_points(int(kept.sum()))
    shared = (start, kept, np.cumsum(kept) - kept, *slots, points, colors, normals)
    run_striped(close_ranks, len(face), *shared)
    return Anchor.from_points(
        points,
        colors,
        normals=normals,
        instance=np.repeat(scene.instance[prim[face]], kept),
        radius=np.repeat(0.5 * pitch[face], kept),
    )


def _empty_points(
    count: int,
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Room for points, colors and normals."""
    return (
        np.empty((count, 3), np.float32),
        np.empty((count, 3), np.uint8),
        np.empty((count, 3), np.float32),
    )


def _patches(
    grid: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Face, first (column, row) and number of samples of every patch."""
    from worldfm_gym.worlds.raycast.surface_points import PATCH

    blocks = -(-grid // PATCH)
    count = blocks.prod(axis=1)
    face = np.repeat(np.arange(len(grid)), count)
    within = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(within, blocks[face, 0])
    corner = np.stack([column, row], axis=1) * PATCH
    return face, corner, np.minimum(grid[face] - corner, PATCH).prod(axis=1)


def _faces(
    scene: Scene, spacing_m: float, room: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Primitive, kind, samples along (u, v) and sampling distance of every face in view."""
    x, y, z = 2.0 * scene.half_size.T.astype(np.float64)
    shapes = {
        Shape.BOX: [(y, z), (y, z), (x, z), (x, z), (x, y), (x, y)],
        Shape.CYLINDER: [(np.pi * np.maximum(x, y), z), (x, y), (x, y)],
        Shape.ELLIPSOID: [
            (_quarter_arc(u, w), _quarter_arc(v, w))
            for u, v, w in ((y, z, x), (y, z, x), (x, z, y), (x, z, y), (x, y, z), (x, y, z))
        ],
    }
    first_kind = {Shape.BOX: 0, Shape.CYLINDER: 6, Shape.ELLIPSOID: 9}
    prim, kind, lengths = [], [], []
    for shape, sides in shapes.items():
        for i, side in enumerate(sides):
            rows = np.flatnonzero(scene.shape == shape)
            if shape == Shape.BOX:
                rows = rows[~_faces_outside(scene, rows, i, room)]
            prim.append(rows)
            kind.append(np.full(len(rows), first_kind[shape] + i))
            lengths.append(np.stack(side, axis=1)[rows])
    length = np.concatenate(lengths)
    # Narrow faces get samples no longer than they are wide, down to half the sampling distance.
    step = np.clip(length.min(axis=1, keepdims=True), 0.5 * spacing_m, spacing_m)
    grid = np.maximum(np.ceil(length / step - 1e-6), 1)
    pitch = (length / grid).max(axis=1)
    order = np.argsort(np.concatenate(prim), kind="stable")
    return (
        np.concatenate(prim)[order].astype(np.int32),
        np.concatenate(kind)[order].astype(np.int32),
        grid[order].astype(np.int32),
        pitch[order].astype(np.float32),
    )


def _quarter_arc(along: NDArray[np.float64], out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of a cube's face blown up to an ellipsoid, where its samples are farthest apart."""
    return np.pi / 4 * np.maximum(along, np.sqrt((along**2 + out**2) / 2))


def _faces_outside(
    scene: Scene, rows: NDArray[np.intp], side: int, room: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Whether faces −x, +x, −y, … (`side` 0…5) of static boxes look out of the building or down."""
    sign = 1.0 if side % 2 else -1.0
    normal = sign * scene.rotation[rows, :, side // 2]
    middle = scene.center[rows] + normal * scene.half_size[rows, side // 2, None]
    out = (middle[:, :2] < room[:2] + 0.01) & (normal[:, :2] < -0.999)
    out |= (middle[:, :2] > room[2:4] - 0.01) & (normal[:, :2] > 0.999)
    up = (middle[:, 2] > room[4] - 0.01) & (normal[:, 2] > 0.999)
    down = (middle[:, 2] < 0.001) & (normal[:, 2] < -0.999)
    return np.asarray((out.any(axis=1) | up | down) & (scene.instance[rows] == 0))


def _room(scene: Scene) -> NDArray[np.float32]:
    """(x0, y0, x1, y1, height) around all floor rectangles; unbounded where there is no floor."""
    if not len(scene.floor_rects):
        return np.array([-np.inf, -np.inf, np.inf, np.inf, np.inf], np.float32)
    low, high = scene.floor_rects[:, :2].min(axis=0), scene.floor_rects[:, 2:].max(axis=0)
    return np.array([*low, *high, scene.height], np.float32)
