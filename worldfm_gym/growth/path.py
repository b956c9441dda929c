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


def turning_cameras(start_c2w: FloatArray, layout: RoomLayout, config: GrowthConfig) -> Camera:
    """Cameras that turn where the world starts, from the direction known outward.

    They look level first, then down and up.

    Args:
        start_c2w: Where the world starts.
        layout: The room.
        config: How many views, their size and field of view.

    Returns:
        Cameras, batch shape [T].
    """
    count = min(config.views, max(_HEADINGS, round(_TURNING * config.views)))
    return _cameras(_around(*_eye_and_yaw(start_c2w, layout), count), config)


def moving_cameras(
    start_c2w: FloatArray, nav: NavMap | None, layout: RoomLayout, config: GrowthConfig
) -> Camera | None:
    """Cameras that move through the floor and come back.

    They look around at places spread over the floor that can be reached from the start, the
    nearest first; then, from far to near, they look between the directions of before.

    Args:
        start_c2w: Where the world starts.
        nav: Map of the place as it is expected now; None stays at the start.
        layout: The room.
        config: How many views, their size and field of view.

    Returns:
        Cameras, batch shape [views − T]; None if that is zero.
    """
    eye, yaw = _eye_and_yaw(start_c2w, layout)
    rest = config.views - min(config.views, max(_HEADINGS, round(_TURNING * config.views)))
    if rest == 0:
        return None
    moving = min(round(_MOVING * config.views), rest)
    rng = np.random.default_rng([config.seed, 1])
    places = _places(nav, eye, rng, count=max(1, moving // _HEADINGS))
    back = np.concatenate([places[::-1], eye[None]])
    between = yaw + np.pi / _HEADINGS
    poses = [p for place in _shared(places, moving) for p in _look_around(*place, yaw)]
    poses += [p for place in _shared(back, rest - moving) for p in _look_around(*place, between)]
    return _cameras(poses, config)


def joined(a: Camera, b: Camera) -> Camera:
    """The cameras of two batches with one image size."""
    return Camera.unchecked(
        np.concatenate([a.c2w, b.c2w]),
        np.concatenate([a.intrinsics, b.intrinsics]),
        width=a.width,
        height=a.height,
    )


def _eye_and_yaw(start_c2w: FloatArray, layout: RoomLayout) -> tuple[FloatArray, float]:
    """Where and which way to look first."""
    eye = start_c2w[:3, 3].copy()
    eye[2] = float(np.clip(eye[2], 0.3, layout.height - 0.3))
    return eye, float(np.arctan2(start_c2w[1, 2], start_c2w[0, 2]))


def _cameras(poses: list[FloatArray], config: GrowthConfig) -> Camera:
    """The poses with the lens and the image size of the options."""
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
    candidates = _reachable(nav, eye)
    candidates = candidates[rng.permutation(len(candidates))[:_CANDIDATES]]
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


def _reachable(nav: NavMap, eye: FloatArray) -> FloatArray:
    """Centers [N, 2] of the cells of the start's region, well off the walls where possible."""
    from scipy.ndimage import label

    region, _ = label(nav.navigable)
    row, column = np.nonzero(region)
    xy = nav.origin_xy + (np.stack([column, row], axis=1) + 0.5) * nav.cell_m
    own = (
        region[row, column]
        == region[row, column][int(np.linalg.norm(xy - eye[:2], axis=1).argmin())]
    )
    clearance = nav.clearance[row, column]
    roomy = clearance >= min(_ROOM_M, float(np.median(clearance[own])))
    return np.asarray(xy[own & roomy])
