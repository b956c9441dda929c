"""Finding which way is up and where the floor is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.cloud import Anchor

MIN_FLOOR_AREA_M2 = 0.5

_MAX_SAMPLES = 200_000
_BIN_M = 0.02
_SEEDS = 12  # directions that the search for the floor's normal starts from
_MODE_COS = np.cos(np.deg2rad(12.0))
_LEVEL_COS = np.cos(np.deg2rad(20.0))
_INLIER_M = 0.03
_MIN_SHARE = 0.3  # of the largest level's area: a lower level that small is no floor
_MAX_BELOW = 0.08  # share of surface that may lie below a floor: patios, noise, reflections
_BELOW_M = 0.15


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor plane in the source's own coordinates: ``up · p = height`` for its points p.

    Attributes:
        up: Unit vector, float64 [3].
        height: Offset of the floor along `up`, metres.
        area_m2: Visible area of the floor; 0 where none was found.
        problem: Why there is no usable floor, in words; None when there is one. `up` is then the
            prior and `height` the height of the lowest surfaces.
    """

    up: NDArray[np.float64]
    height: float
    area_m2: float
    problem: str | None


def find_floor(
    anchor: Anchor,
    *,
    up: ArrayLike,
    max_tilt_deg: float = 50.0,
    normals_are_signed: bool = True,
    below: NDArray[np.float64] | None = None,
) -> Floor:
    """Fit the floor: the lowest large level surface that nearly everything stands above.

    The normals within `max_tilt_deg` of `up` are searched for modes; along each mode, heights are
    histogrammed by surface area, and the mode with the largest floor is refined by least squares.

    Args:
        anchor: Surface points with normals, in any pose.
        up: Prior of the up direction (3,), such as the mean up of the cameras.
        max_tilt_deg: How far the floor's normal may lie from the prior.
        normals_are_signed: Whether normals point out of the surface, so that ceilings differ from
            floors. If not, the lower of two equal levels is the floor.
        below: Positions [N, 3] that must lie above the floor, such as camera centers.
    """
    prior = np.asarray(up, np.float64)
    prior = prior / np.linalg.norm(prior)
    step = -(-len(anchor) // _MAX_SAMPLES)  # a stride, not a random draw: the same every time
    points = anchor.points[::step].astype(np.float64)
    normals = anchor.normals[::step].astype(np.float64)
    area = 4.0 * step * anchor.radius[::step].astype(np.float64) ** 2
    cosine = normals @ prior
    if not normals_are_signed:
        normals = np.where(cosine[:, None] < 0, -normals, normals)
        cosine = np.abs(cosine)
    upward = cosine > np.cos(np.deg2rad(max_tilt_deg))
    best: Floor | None = None
    for direction in _modes(normals[upward], area[upward]):
        level = upward & (normals @ direction > _LEVEL_COS)
        candidate = _floor_along(direction, points, area, level, below)
        if candidate is not None and (best is None or candidate.area_m2 > best.area_m2):
            best = candidate
    if best is not None:
        best = _refined(best, points[upward], normals[upward], area[upward])
    if best is not None and best.area_m2 >= MIN_FLOOR_AREA_M2:
        return best
    found = 0.0 if best is None else best.area_m2
    return Floor(
        up=prior,
        height=float(np.quantile(points @ prior, 0.01)),
        area_m2=0.0,
        problem=f"no usable floor was found (the largest low, level surface has {found:.2f} m², "
        f"a floor needs {MIN_FLOOR_AREA_M2} m²)",
    )


def _modes(normals: NDArray[np.float64], area: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Directions where normals gather, each found by mean shift from a well-filled bin."""
    if len(normals) == 0:
        return []
    cell = np.round(normals * 6).astype(np.int64)
    bins, which = np.unique(cell, axis=0, return_inverse=True)
    mass = np.bincount(which.reshape(-1), weights=area)
    modes: list[NDArray[np.float64]] = []
    for seed in np.argsort(-mass, kind="stable")[:_SEEDS]:
        direction = bins[seed] / np.linalg.norm(bins[seed])
        for _ in range(8):
            near = normals @ direction > _MODE_COS
            if not near.any():
                break
            direction = (normals[near] * area[near, None]).sum(axis=0)
            direction /= np.linalg.norm(direction)
        if all(direction @ other < np.cos(np.deg2rad(4.0)) for other in modes):
            modes.append(direction)
    return modes


def _floor_along(
    up: NDArray[np.float64],
    points: NDArray[np.float64],
    area: NDArray[np.float64],
    level: NDArray[np.bool_],
    below: NDArray[np.float64] | None,
) -> Floor | None:
    """The lowest large level surface for one up direction, None if too much lies below each."""
    if not level.any():
        return None
    height = points @ up
    low = height[level].min()
    level_area = np.bincount(((height[level] - low) / _BIN_M).astype(np.int64), weights=area[level])
    band = np.convolve(level_area, np.ones(3), mode="same")
    ceiling = np.inf if below is None else float((below @ up).min())
    total = area.sum()
    for index in np.flatnonzero(band >= _MIN_SHARE * band.max()):
        if band[index] < band[max(0, index - 2) : index + 3].max():
            continue  # the flank of a level, not its middle
        middle = low + (index + 0.5) * _BIN_M
        sunk = area[height < middle - _BELOW_M].sum()
        if middle < ceiling and sunk <= _MAX_BELOW * total:
            return Floor(up, float(middle), float(band[index]), None)
    return None


def _refined(
    floor: Floor,
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    area: NDArray[np.float64],
) -> Floor:
    """Least-squares plane through the inliers of `floor`, refitted until they settle."""
    up, height, inlier_m = floor.up, floor.height, 3 * _INLIER_M
    covered = floor.area_m2
    for _ in range(5):
        inlier = (np.abs(points @ up - height) < inlier_m) & (normals @ up > _LEVEL_COS)
        if inlier.sum() < 3:
            break
        weight = area[inlier] / area[inlier].sum()
        middle = weight @ points[inlier]
        spread = (points[inlier] - middle) * np.sqrt(weight)[:, None]
        normal = np.linalg.svd(spread, full_matrices=False)[2][2]
        up = normal if normal @ up > 0 else -normal
        height = float(up @ middle)
        covered = float(area[inlier].sum())
        inlier_m = max(_INLIER_M, inlier_m / 1.5)
    return Floor(up, height, covered, None)


def upright_pose(
    floor: Floor, *, origin: ArrayLike | None = None, forward: ArrayLike | None = None
) -> NDArray[np.float64]:
    """The rigid transform from the source's coordinates to world coordinates.

    Args:
        floor: Up and height of the floor in source coordinates.
        origin: Source point (3,) that goes above the world origin; None keeps the origin's place.
        forward: Source direction (3,) whose level part becomes world +x; None turns as little as
            possible.

    Returns:
        world-from-source, float64 [4, 4].
    """
    up = floor.up
    rotation = _shortest_rotation(up, np.array([0.0, 0.0, 1.0]))
    if forward is not None:
        heading = rotation @ np.asarray(forward, np.float64)
        length = np.hypot(heading[0], heading[1])
        if length > 1e-6:
            c, s = heading[:2] / length
            rotation = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ rotation
    anchor_point = np.zeros(3) if origin is None else np.asarray(origin, np.float64)
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:2, 3] = -(rotation @ anchor_point)[:2]
    pose[2, 3] = -floor.height
    return pose


def _shortest_rotation(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrix [3, 3] that takes one unit vector to another."""
    cosine = float(start @ end)
    if cosine < -1 + 1e-9:
        axis = np.cross(start, np.eye(3)[np.abs(start).argmin()])
        axis /= np.linalg.norm(axis)
        return np.asarray(2 * np.outer(axis, axis) - np.eye(3))
    x, y, z = np.cross(start, end)
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))
