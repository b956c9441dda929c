"""Scaffold: provisional points on the surfaces of a room, colored after what has been seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import FloatArray
from worldfm_gym.growth.layout import RoomLayout
from worldfm_gym.growth.texture import extend_texture
from worldfm_gym.navigation.floor import FLOOR_TOLERANCE_M

MIN_SPACING_M = 0.02
_LEVEL = 0.7  # least |z| of the normal of a floor or ceiling
_WALL_BAND_M = 1.2  # what stands so near to a wall lends it its color
_CEILING_WHITE = 235.0
_OVERLAP = 1.15  # of neighbors: merged for far views, they leave no gaps
_SHADE, _SHADE_M = 0.22, 0.3  # how much darker edges of a room are, and how far that reaches


@dataclass(frozen=True, slots=True)
class _Surface:
    """A rectangle of grid cells on one plane, or on the four walls unrolled.

    Attributes:
        points: Centers in the layout's frame, float64 [H, W, 3].
        normals: Into the room, float64 [H, W, 3].
        edge_m: Distance to the nearest edge of the room, float64 [H, W].
        wrap: Whether the right border continues at the left one.
    """

    points: FloatArray
    normals: FloatArray
    edge_m: FloatArray
    wrap: bool


def build_scaffold(
    layout: RoomLayout, known: Anchor, *, max_points: int, rng: np.random.Generator
) -> Anchor:
    """Points all over the room's floor, ceiling and walls.

    Args:
        layout: The room.
        known: What has been seen; its colors are continued, each surface by its own.
        max_points: How many points to make at most; they are no denser than 2 cm.
        rng: Varies the detail.

    Returns:
        Points marked as generated, normals into the room.
    """
    spacing = max(MIN_SPACING_M, (_surface_m2(layout) / max_points) ** 0.5)
    points, normals = layout.to_layout(known.points), layout.to_layout(known.normals)
    colors = known.colors.astype(np.float64)
    level = np.abs(normals[:, 2]) > _LEVEL
    on_floor = level & (np.abs(points[:, 2]) < FLOOR_TOLERANCE_M)
    on_ceiling = level & (np.abs(points[:, 2] - layout.height) < 2 * FLOOR_TOLERANCE_M)
    floor, ceiling = (_level_surface(layout, z, spacing) for z in (0.0, layout.height))
    walls = _wall_surface(layout, spacing)
    upright = ~on_floor & ~on_ceiling & (points[:, 2] < layout.height)
    s, depth = _along_walls(layout, points)
    beside = upright & (np.abs(depth) < _WALL_BAND_M)
    xy = points[:, :2] - layout.low
    wall_field = _field(walls, s, points[:, 2], colors, beside, spacing, rng, fallback=None)
    white = 0.5 * wall_field.reshape(-1, 3).mean(axis=0) + 0.5 * _CEILING_WHITE
    fields = [
        _field(floor, xy[:, 0], xy[:, 1], colors, on_floor, spacing, rng, fallback=None),
        _field(ceiling, xy[:, 0], xy[:, 1], colors, on_ceiling, spacing, rng, fallback=white),
        wall_field,
    ]
    surfaces = [floor, ceiling, walls]
    return Anchor.from_points(
        layout.to_world(np.concatenate([s.points.reshape(-1, 3) for s in surfaces])),
        np.rint(np.concatenate([f.reshape(-1, 3) for f in fields])).astype(np.uint8),
        normals=layout.to_world(np.concatenate([s.normals.reshape(-1, 3) for s in surfaces])),
        radius=_OVERLAP * spacing / 2,
        generated=np.ones(sum(s.edge_m.size for s in surfaces), np.bool_),
    )


def _surface_m2(layout: RoomLayout) -> float:
    """Area of floor, ceiling and walls."""
    return 2 * layout.area_m2 + 2 * float((layout.high - layout.low).sum()) * layout.height


def _level_surface(layout: RoomLayout, z: float, spacing: float) -> _Surface:
    """Floor or ceiling: rows along y, columns along x."""
    sides = layout.high - layout.low
    count = np.maximum(1, np.ceil(sides / spacing).astype(np.int64))
    x, y = ((np.arange(n) + 0.5) / n * side for n, side in zip(count, sides, strict=True))
    gx, gy = np.meshgrid(x, y)
    points = np.stack([gx + layout.low[0], gy + layout.low[1], np.full_like(gx, z)], axis=-1)
    edge = np.minimum(np.minimum(gx, sides[0] - gx), np.minimum(gy, sides[1] - gy))
    up = 1.0 if z == 0 else -1.0
    return _Surface(points, np.broadcast_to([0.0, 0.0, up], points.shape), edge, wrap=False)


def _wall_surface(layout: RoomLayout, spacing: float) -> _Surface:
    """The four walls, unrolled counter-clockwise from the corner low; rows go up."""
    corners = np.array(
        [layout.low, [layout.high[0], layout.low[1]], layout.high, [layout.low[0], layout.high[1]]]
    )
    rows = max(1, int(np.ceil(layout.height / spacing)))
    z = (np.arange(rows) + 0.5) / rows * layout.height
    points, normals, edges = [], [], []
    for i in range(4):
        way = corners[(i + 1) % 4] - corners[i]
        length = float(np.linalg.norm(way))
        columns = max(1, int(np.ceil(length / spacing)))
        share = (np.arange(columns) + 0.5) / columns
        xy = corners[i] + share[:, None] * way
        points.append(
            np.concatenate(
                [
                    np.broadcast_to(xy, (rows, columns, 2)),
                    np.broadcast_to(z[:, None, None], (rows, columns, 1)),
                ],
                axis=-1,
            )
        )
        inward = np.array([-way[1], way[0], 0.0]) / length
        normals.append(np.broadcast_to(inward, (rows, columns, 3)))
        along = np.minimum(share, 1 - share) * length
        edges.append(np.minimum(along, np.minimum(z, layout.height - z)[:, None]))
    return _Surface(
        np.concatenate(points, 1), np.concatenate(normals, 1), np.concatenate(edges, 1), wrap=True
    )


def _along_walls(layout: RoomLayout, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where points [N, 3] are along the unrolled walls, and how far from the nearest, metres."""
    x, y = (points[:, :2] - layout.low).T
    w, h = layout.high - layout.low
    place = np.stack([x, w + y, w + h + (w - x), 2 * w + h + (h - y)], axis=1)
    depth = np.stack([y, w - x, h - y, x], axis=1)
    nearest = np.abs(depth).argmin(axis=1)[:, None]
    along = np.take_along_axis(place, nearest, 1)[:, 0]
    return np.clip(along, 0, 2 * (w + h) - 1e-6), np.take_along_axis(depth, nearest, 1)[:, 0]


def _field(
    surface: _Surface,
    u_m: FloatArray,
    v_m: FloatArray,
    colors: FloatArray,
    member: NDArray[np.bool_],
    spacing: float,
    rng: np.random.Generator,
    *,
    fallback: Any,
) -> FloatArray:
    """Colors of a surface's cells [H, W, 3], continued from the points that lie in them."""
    rows, columns = surface.edge_m.shape
    column = np.floor(u_m[member] / spacing).astype(np.int64)
    row = np.floor(v_m[member] / spacing).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    flat = row[inside] * columns + column[inside]
    count = np.bincount(flat, minlength=rows * columns)
    total = [
        np.bincount(flat, weights=colors[member][inside, c], minlength=rows * columns)
        for c in range(3)
    ]
    image = np.stack(total, axis=-1) / np.maximum(count, 1)[:, None]
    image, known = image.reshape(rows, columns, 3), (count > 0).reshape(rows, columns)
    shade = 1 - _SHADE * np.exp(-surface.edge_m / _SHADE_M)[..., None]
    if not known.any():
        tint = colors.mean(axis=0) if fallback is None else fallback
        return np.asarray(shade * tint)
    filled = extend_texture(image, known, cell_m=spacing, wrap=surface.wrap, rng=rng)
    return np.where(known[..., None], filled, filled * shade)
