"""Orbit film: a camera turns where a world starts; what the frame model draws beside the points."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from worldfm_agents.pictures import panel, provenance_picture
from worldfm_agents.video import VideoWriter
from worldfm_gym.camera import Camera, FloatArray, heading_c2w, look_at
from worldfm_gym.renderer import Renderer, make_renderer
from worldfm_gym.worlds.world import World

FPS = 12

_WIDTH, _HEIGHT = 288, 216  # of a panel
_MODEL_WIDTH, _MODEL_HEIGHT = 128, 96
_FOV_X_DEG = 80.0
_AT_ONCE = 8
_HEADINGS = 12
_SURROUNDED = 0.6  # share of every direction that must be covered for a whole turn
_CIRCLE_M = 0.25  # radius of the circle that a turning camera moves on
_SWAY_RAD, _LIFT_RAD = 0.35, 0.12


def film_orbit(
    world: World,
    path: str | os.PathLike[str],
    *,
    frames: int = 96,
    progress: Callable[[int], None] = lambda count: None,
) -> str:
    """Write an .mp4 with three panels: frame model, points, provenance.

    Where the world goes on all around, the camera turns once on a small circle; where it ends, as
    behind the photographer, it sways around what is in front of it. Either way it ends where it
    began, so that the film can be played in a loop.

    Args:
        world: The world.
        path: The .mp4 to write.
        frames: How many frames, at 12 a second.
        progress: Told how many frames were added, each time some are.

    Returns:
        What the camera does, in words.
    """
    anchor, model = make_renderer("anchor", [world]), make_renderer("frame", [world])
    whole = _is_surrounded(world, anchor)
    c2w = _turning(world, frames) if whole else _swaying(world, frames)
    with VideoWriter(path, fps=FPS) as video:
        for start in range(0, frames, _AT_ONCE):
            poses = c2w[start : start + _AT_ONCE]
            for picture in _panels(anchor, model, poses):
                video.add(picture)
            progress(len(poses))
    return "turns once around" if whole else "sways in front of what was seen"


def _is_surrounded(world: World, anchor: Renderer) -> bool:
    """Whether points cover most of the view in every level direction from the start."""
    yaw = np.linspace(0, 2 * np.pi, _HEADINGS, endpoint=False)
    c2w = heading_c2w(np.tile(world.start_c2w[:3, 3], (_HEADINGS, 1)), yaw)
    cameras = Camera.from_fov(c2w, 60.0, width=48, height=36)
    depth_z = np.asarray(anchor.render(cameras, np.zeros(_HEADINGS, np.int64)).depth)
    return bool((depth_z > 0).mean(axis=(1, 2)).min() >= _SURROUNDED)


def _turning(world: World, count: int) -> FloatArray:
    """A whole turn on a circle through the start, as wide as there is room, [count, 4, 4]."""
    start = world.start_c2w
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    yaw = np.arctan2(start[1, 2], start[0, 2]) + turn
    radius = _CIRCLE_M
    if world.nav is not None:
        column, row = ((start[:2, 3] - world.nav.origin_xy) / world.nav.cell_m).astype(int)
        inside = 0 <= row < world.nav.shape[0] and 0 <= column < world.nav.shape[1]
        room_m = float(world.nav.clearance[row, column]) if inside else 0.0
        radius = min(radius, max(0.0, room_m - 0.1) / 2)
    ahead, beside = start[:3, 2].copy(), -start[:3, 0]
    ahead[2] = 0.0
    ahead /= max(float(np.linalg.norm(ahead)), 1e-6)
    offset = radius * (np.sin(turn)[:, None] * ahead + (1 - np.cos(turn))[:, None] * beside)
    return heading_c2w(start[:3, 3] + offset, yaw)


def _swaying(world: World, count: int) -> FloatArray:
    """An ellipse around what is in view from the start, looking at its middle, [count, 4, 4]."""
    start = world.start_c2w
    ahead = (world.anchor.points - start[:3, 3]) @ start[:3, 2]
    distance = float(np.median(ahead[ahead > 0.1])) if (ahead > 0.1).any() else 2.0
    target = start[:3, 3] + distance * start[:3, 2]
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    right, up = _SWAY_RAD * np.sin(turn), _LIFT_RAD * (1 - np.cos(turn))
    eyes = (
        start[:3, 3]
        + distance * np.sin(right)[:, None] * start[:3, 0]
        + distance * ((1 - np.cos(right)) * np.cos(up))[:, None] * start[:3, 2]
        - distance * np.sin(up)[:, None] * start[:3, 1]
    )
    return look_at(eyes, np.tile(target, (count, 1)))


def _panels(anchor: Renderer, model: Renderer, c2w: FloatArray) -> list[NDArray[np.uint8]]:
    """Three panels side by side for each pose."""
    scene = np.zeros(len(c2w), np.int64)
    drawn = model.render(
        Camera.from_fov(c2w, _FOV_X_DEG, width=_MODEL_WIDTH, height=_MODEL_HEIGHT), scene
    )
    points = anchor.render(Camera.from_fov(c2w, _FOV_X_DEG, width=_WIDTH, height=_HEIGHT), scene)
    rows = []
    for i in range(len(c2w)):
        origin = provenance_picture(drawn.rgb[i], drawn.provenance[i])
        pictures = [
            (drawn.rgb[i], "frame model"),
            (points.rgb[i], "points"),
            (origin, "green: seen   orange: generated"),
        ]
        rows.append(
            np.concatenate(
                [panel(p, words, width=_WIDTH, height=_HEIGHT) for p, words in pictures], axis=1
            )
        )
    return rows
