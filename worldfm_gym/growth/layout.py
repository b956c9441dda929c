"""RoomLayout: the closed room that is assumed around what has been seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import FloatArray
from worldfm_gym.navigation.floor import FLOOR_TOLERANCE_M
from worldfm_gym.worlds.world import World

_MAX_SAMPLES = 200_000
_UPRIGHT = 0.3  # largest |z| of the normal of a wall
_ALIGNED = 0.3  # least share of upright surface in the walls' directions; by chance it is 0.18
_FACING = 0.8  # least cosine between a wall's normal and the way to the room's middle
_TRIM = 0.004  # share of surface that may lie outside of each side
_BIN_M = 0.05
_WALL_M2 = 0.4  # least area of a wall that counts as seen
_WALL_SHARE = 0.4  # of the largest wall on its side
_ROOM_M = 0.6  # least distance from the start to a wall
_LEAST_FLOOR_M2 = 8.0
_CEILING_M = 2.5, 2.75  # of rooms whose ceiling is out of view
_LOWEST_CEILING_M = 2.0


@dataclass(frozen=True, slots=True)
class RoomLayout:
    """A box room, upright, its floor at z = 0.

    Its walls stand at the sides of the rectangle low…high of a frame that is turned by `yaw` about
    the world's z axis.

    Attributes:
        yaw: Heading of the frame's x axis, radians in (−π/4, π/4].
        low: Lowest corner (x, y) in that frame, metres, float64 [2].
        high: Highest corner.
        height: Height of the ceiling, metres.
        seen: Whether a wall was seen on the sides low x, low y, high x and high y.
    """

    yaw: float
    low: FloatArray
    high: FloatArray
    height: float
    seen: tuple[bool, bool, bool, bool]

    @property
    def area_m2(self) -> float:
        """Area of the floor."""
        return float((self.high - self.low).prod())

    @property
    def rotation(self) -> FloatArray:
        """World-from-layout rotation about z, float64 [2, 2]."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cos, -sin], [sin, cos]])

    def to_world(self, points: FloatArray) -> FloatArray:
        """World coordinates of points or directions [N, 3] of the layout's frame."""
        return np.concatenate([points[:, :2] @ self.rotation.T, points[:, 2:]], axis=1)

    def to_layout(self, points_world: NDArray[np.floating]) -> FloatArray:
        """Layout coordinates of points or directions [N, 3] of the world."""
        points = np.asarray(points_world, np.float64)
        return np.concatenate([points[:, :2] @ self.rotation, points[:, 2:]], axis=1)


def find_layout(
    world: World, *, floor_factor: float, reach_m: float, rng: np.random.Generator
) -> RoomLayout:
    """The room around a world's start that agrees with what has been seen.

    Its directions are those of the walls in view (or the start's, if none is), its sides contain
    what has been seen; where no wall has been seen they lie farther out, as far as it takes to have
    the wanted floor.

    Args:
        world: A world whose floor lies at z = 0.
        floor_factor: Wanted area of the floor over the free floor known so far.
        reach_m: How far beyond what has been seen a wall may stand, at most.
        rng: Varies the room within these limits.
    """
    seen = np.flatnonzero(~world.anchor.generated)
    seen = seen[:: -(-len(seen) // _MAX_SAMPLES)] if len(seen) else np.arange(len(world.anchor))
    points = world.anchor.points[seen].astype(np.float64)
    normals = world.anchor.normals[seen].astype(np.float64)
    area = 4.0 * world.anchor.radius[seen].astype(np.float64) ** 2 * (len(world.anchor) / len(seen))
    yaw = _dominant_yaw(normals, area, world.start_c2w)
    start = RoomLayout(yaw, np.zeros(2), np.zeros(2), 1.0, (False,) * 4)
    in_layout, facing = start.to_layout(points), start.to_layout(normals)
    eye = start.to_layout(world.start_c2w[None, :3, 3])[0]
    sides = [_side(in_layout, facing, area, eye, axis, sign) for sign in (-1, 1) for axis in (0, 1)]
    low, high = np.array([s[0] for s in sides[:2]]), np.array([s[0] for s in sides[2:]])
    found = (sides[0][1], sides[1][1], sides[2][1], sides[3][1])
    free_m2, blocked_m2 = _floor_areas(world, points, normals, area)
    low, high = _enlarged(
        low,
        high,
        found,
        area_m2=max(floor_factor * free_m2 + blocked_m2, _LEAST_FLOOR_M2),
        reach_m=reach_m,
        rng=rng,
    )
    height = _ceiling(in_layout, facing, area, rng)
    return RoomLayout(yaw, low, high, height, found)


def _floor_areas(
    world: World, points: FloatArray, normals: FloatArray, area: FloatArray
) -> tuple[float, float]:
    """Free and blocked floor in square metres; without a map, what floor is in view is free."""
    if world.nav is None:
        floor = (np.abs(points[:, 2]) < FLOOR_TOLERANCE_M) & (normals[:, 2] > _FACING)
        return float(area[floor].sum()), 0.0
    cell_m2 = world.nav.cell_m**2
    return float(world.nav.known_free.sum()) * cell_m2, float(world.nav.occupied.sum()) * cell_m2


def _dominant_yaw(normals: FloatArray, area: FloatArray, start_c2w: FloatArray) -> float:
    """Heading of the walls modulo 90°, by a histogram of upright surfaces' normals.

    The start's where they have no common one.
    """
    ahead = _quarter(float(np.arctan2(start_c2w[1, 2], start_c2w[0, 2])))
    upright = (np.abs(normals[:, 2]) < _UPRIGHT) & (np.abs(normals[:, :2]).max(axis=1) > 0)
    if area[upright].sum() < _WALL_M2:
        return ahead
    angle_deg = np.rad2deg(np.arctan2(normals[upright, 1], normals[upright, 0])) % 90.0
    votes = np.bincount(angle_deg.astype(np.int64) % 90, weights=area[upright], minlength=90)
    smooth = np.zeros(90)
    for shift in range(-6, 7):
        smooth += np.roll(votes, shift) * (7 - abs(shift))
    best = int(smooth.argmax())
    off = (angle_deg - best + 45.0) % 90.0 - 45.0
    near = np.abs(off) < 8.0
    if area[upright][near].sum() < _ALIGNED * area[upright].sum():
        return ahead
    return _quarter(float(np.deg2rad(best + np.average(off[near], weights=area[upright][near]))))


def _quarter(yaw: float) -> float:
    """The same directions as `yaw` modulo 90°, in (−45°, 45°]."""
    turned = yaw % (np.pi / 2)
    return float(turned - np.pi / 2 if turned > np.pi / 4 else turned)


def _side(
    points: FloatArray, normals: FloatArray, area: FloatArray, eye: FloatArray, axis: int, sign: int
) -> tuple[float, bool]:
    """Coordinate of the room's side along ±axis, and whether a wall was seen there."""
    away = sign * (points[:, axis] - eye[axis])
    order = np.argsort(away)
    mass = np.cumsum(area[order])
    extent = float(away[order[np.searchsorted(mass, (1 - _TRIM) * mass[-1])]])
    extent = max(extent, _ROOM_M)
    wall = (-sign * normals[:, axis] > _FACING) & (away > _ROOM_M) & (points[:, 2] > 0.1)
    if area[wall].sum() >= _WALL_M2:
        bins = np.bincount((away[wall] / _BIN_M).astype(np.int64), weights=area[wall])
        support = np.convolve(bins, np.ones(5), "same")
        good = np.flatnonzero(support >= max(_WALL_SHARE * support.max(), _WALL_M2))
        if len(good):
            at = (good[-1] + 0.5) * _BIN_M
            beyond = area[away > at + 0.15].sum() / area.sum()
            if beyond < 0.03:
                near = wall & (np.abs(away - at) < 2 * _BIN_M)
                at = float(np.average(away[near], weights=area[near]))
                return float(eye[axis] + sign * at), True
    return float(eye[axis] + sign * (extent + 0.02)), False


def _enlarged(
    low: FloatArray,
    high: FloatArray,
    seen: tuple[bool, bool, bool, bool],
    *,
    area_m2: float,
    reach_m: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Move the sides without a wall outward, alike, until the rectangle has the wanted area."""
    move = np.where(seen, 0.0, rng.uniform(0.85, 1.15, 4))
    most = reach_m / 1.15
    steps = np.linspace(0.4, max(most, 0.4), 200)
    areas = [float((high - low + (move[:2] + move[2:]) * step).prod()) for step in steps]
    enough = np.flatnonzero(np.array(areas) >= area_m2)
    step = steps[enough[0]] if len(enough) else steps[-1]
    return low - move[:2] * step, high + move[2:] * step


def _ceiling(
    points: FloatArray, normals: FloatArray, area: FloatArray, rng: np.random.Generator
) -> float:
    """Height of the ceiling in view, or of a usual one above all that was seen."""
    usual = float(rng.uniform(*_CEILING_M))
    order = np.argsort(points[:, 2])
    mass = np.cumsum(area[order])
    top = float(points[order[np.searchsorted(mass, (1 - _TRIM) * mass[-1])], 2])
    ceiling = (normals[:, 2] < -_FACING) & (points[:, 2] > _LOWEST_CEILING_M)
    if area[ceiling].sum() >= _WALL_M2:
        bins = np.bincount((points[ceiling, 2] / _BIN_M).astype(np.int64), weights=area[ceiling])
        at = (int(bins.argmax()) + 0.5) * _BIN_M
        if area[points[:, 2] > at + 0.15].sum() / area.sum() < 0.03:
            near = ceiling & (np.abs(points[:, 2] - at) < 2 * _BIN_M)
            return float(np.average(points[near, 2], weights=area[near]))
    return max(usual, top + 0.1)
