"""Ray casting: exact images of a `Scene`, on the CPU (Numba) and on the GPU (Triton)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera
from worldfm_gym.worlds.scene import Scene

__all__ = ["render_scene"]


def render_scene(
    scene: Scene, cameras: Camera
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Draw a scene on the CPU.

    Args:
        scene: The scene.
        cameras: B cameras (any batch shape is flattened).

    Returns:
        rgb uint8 [B, H, W, 3]; z-depth in metres, float32 [B, H, W], 0 where nothing is seen;
        instance ids, int32 [B, H, W], −1 where nothing is seen.
    """
    from worldfm_gym.worlds.raycast.cpu import render_packed
    from worldfm_gym.worlds.raycast.packing import pack_scene

    poses, lenses = camera_arrays(cameras)
    return render_packed(
        pack_scene(scene),
        np.zeros(len(poses), np.int32),
        poses,
        lenses,
        width=cameras.width,
        height=cameras.height,
    )


def camera_arrays(cameras: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """c2w float32 [B, 4, 4] and (1 / fx, 1 / fy, cx, cy) float32 [B, 4] of flattened cameras."""
    flat = cameras.flat()
    lens = flat.intrinsics.copy()
    lens[:, :2] = 1.0 / lens[:, :2]
    return flat.c2w.astype(np.float32), lens.astype(np.float32)
