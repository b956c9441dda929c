"""Coverage: how closed a world is, seen from one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.anchor_renderer import current_object_poses
from worldfm_gym.camera import Camera, FloatArray, heading_c2w
from worldfm_gym.worlds.world import World

_SIZE_PX = 128


def heading_coverage(
    world: World,
    *,
    headings: int = 24,
    fov_deg: float = 90.0,
    pitch: float = 0.0,
    eye: FloatArray | None = None,
) -> NDArray[np.float64]:
    """Share of pixels that show an anchor point, all around.

    Args:
        world: The world.
        headings: Evenly spaced directions, the first that of the world's start.
        fov_deg: Field of view of the square images.
        pitch: Radians, positive looking up.
        eye: Where to look from, float64 [3]; None takes the world's start.

    Returns:
        float64 [headings].
    """
    start = world.start_c2w
    yaw = np.arctan2(start[1, 2], start[0, 2]) + np.arange(headings) * (2 * np.pi / headings)
    poses = heading_c2w(start[:3, 3] if eye is None else eye, yaw, pitch)
    images = AnchorRaster([world.pyramid]).render(
        Camera.from_fov(poses, fov_deg, width=_SIZE_PX, height=_SIZE_PX),
        np.zeros(headings, np.int64),
        object_poses=current_object_poses([world]),
    )
    return np.asarray(images.coverage.mean(axis=(1, 2)))
