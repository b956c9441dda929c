"""Camera path of growth: turning at the start, moving through new floor, closing loops."""

from __future__ import annotations

import numpy as np

from worldfm_gym.camera import Camera, FloatArray, heading_c2w
from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.growth.layout import RoomLayout
from worldfm_gym.navigation import NavMap

_TURNING, _MOVING = 0.25, 0.5  # shares of all views; the rest closes loops
_HEADINGS = 8
_PITCHES = 0.0, -0.6, 0.6
_MOVING_PITCH = -0.2
_MIN_GAP_M = 0.7  # between two places to look from
_ROOM_M = 0.5  # to the nearest wall, where there is so much
_CANDIDATES = 4096


def plan_cameras(
    start_c2w: FloatArray, nav: NavMap | None, layout: RoomLayout, config: GrowthConfig
) -> Camera:
    """The cameras to draw from, in the order of drawing.

    First the camera turns where the world starts, from the direction known outward, level, then
    down and up. Then it moves to places spread over the floor, the nearest first, and looks around
    at each. Last it comes back to these places, from far to near, looking between the directions
    of before.

    Args:
        start_c2w: Where the world starts.
        nav: Map of the floor expected; None stays at the start.
        layout: The room.
        config: How many views, their size and field of view.

    Returns:
        Cameras, batch shape [views].
    """
    eye = start_c2w[:3, 3].copy()
    eye[2] = float(np.clip(eye[2], 0.3, layout.height - 0.3))
    yaw = float(np.arctan2(start_c2w[1, 2], start_c2w[0, 2]))
    turning = max(_HEADINGS, round(_TURNING * config.views))
    moving = min(round(_MOVING * config.views), config.views - turning)
    closing = config.views - turning - moving
    rng = np.random.default_rng([config.seed, 1])
    places = _places(nav, eye, rng, count=max(1, moving // _HEADINGS))
    poses = _around(eye, yaw, turning)
    if moving:
        poses += [p for place in _shared(places, moving) for p in _look_around(*place, yaw)]
    if closing:
        back = np.concatenate([places[::-1], eye[None]])
        poses += [
            p
            for place in _shared(back, closing)
            for p in _look_around(*place, yaw + np.pi / _HEADINGS)
        ]
    return Camera.from_fov(
        np.stack(poses), config.fov_deg, width=config.size_px, height=config.size_px
    )


def _around(eye: FloatArray, yaw: float, count: int) -> list[FloatArray]:
    """Poses that turn at one place, from `yaw` outward to both sides, one pitch after another."""
    steps = sorted(range(_HEADINGS), key=lambda k: (min(k, _HEADINGS - k), k))
    rounds = -(-count // (_HEADINGS * len(_PITCHES)))
    fine = 2 * np.pi / _HEADINGS / rounds
    poses = [
        heading_c2w(eye, yaw + 2 * np.pi * k / _HEADINGS + fine * lap, pitch)
        for lap in range(rounds)
        for pitch in _PITCHES
        for k in steps
    ]
    return poses[:count]


def _look_around(place: FloatArray, count: int, yaw: float) -> list[FloatArray]:
    """Poses at one place, evenly turned, slightly down."""
    return [heading_c2w(place, yaw + 2 * np.pi * k / count, _MOVING_PITCH) for k in range(count)]


def _shared(places: FloatArray, count: int) -> list[tuple[FloatArray, int]]:
    """Places [P, 3] with how many of `count` views each gets; none is left without."""
    places = places[: max(1, count)]
    share = np.diff(np.linspace(0, count, len(places) + 1).astype(np.int64))
    return [(place, int(n)) for place, n in zip(places, share, strict=True) if n]


def _places(
    nav: NavMap | None, eye: FloatArray, rng: np.random.Generator, *, count: int
) -> FloatArray:
    """Up to `count` places [P, 3] at eye height, spread over the floor, the nearest first."""
    if nav is None or not nav.navigable.any():
        return eye[None].copy()
    candidates = nav.random_point(rng, count=_CANDIDATES)
    cell = np.floor((candidates - nav.origin_xy) / nav.cell_m).astype(np.int64)
    clearance = nav.clearance[cell[:, 1], cell[:, 0]]
    candidates = candidates[clearance >= min(_ROOM_M, float(np.median(clearance)))]
    distance = np.linalg.norm(candidates - eye[:2], axis=1)
    chosen: list[int] = []
    for _ in range(count):
        at = int(distance.argmax())
        if distance[at] < _MIN_GAP_M:
            break
        chosen.append(at)
        distance = np.minimum(distance, np.linalg.norm(candidates - candidates[at], axis=1))
    xy = candidates[chosen] if chosen else eye[None, :2]
    xy = xy[np.argsort(np.linalg.norm(xy - eye[:2], axis=1), kind="stable")]
    return np.concatenate([xy, np.full((len(xy), 1), eye[2])], axis=1)
