"""Baselines: what an anchor shows without a network, its holes left grey, inpainted or reprojected.

Each gives a depth for every pixel too, so that it stands in every column of the evaluation.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import MissingExtraError
from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame
from worldfm_gym.worlds.world import World

Inpainting = Literal["telea", "navier-stokes"]

GREY = 128
_RADIUS_PX = 3.0  # neighborhood that an inpainted pixel is made of, OpenCV's usual choice


def grey_holes(rgb: NDArray[np.uint8], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The anchor alone, mid grey where it has no points: [V, H, W, 3] and [V, H, W]."""
    return np.where(covered[..., None], rgb, np.uint8(GREY))


def inpaint(
    rgb: NDArray[np.uint8],
    depth_z: NDArray[np.float32],
    covered: NDArray[np.bool_],
    *,
    method: Inpainting,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Fill uncovered pixels from the covered ones around them, by OpenCV.

    Args:
        rgb: uint8 [V, H, W, 3].
        depth_z: Metres, float32 [V, H, W]; its inverse is what gets filled in.
        covered: Pixels to keep, bool [V, H, W].
        method: ``"telea"`` marches inward (Telea 2004); ``"navier-stokes"`` continues isophotes
            (Bertalmio et al. 2001).

    Returns:
        rgb uint8 [V, H, W, 3] and depth in metres, float32 [V, H, W].

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("opencv-python-headless", "train", "evaluation") from error
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    out_rgb, out_depth = rgb.copy(), depth_z.copy()

    def fill(view: int) -> None:
        keep = covered[view]
        if keep.all():
            return
        if not keep.any():
            out_rgb[view] = GREY
            return
        holes = (~keep).astype(np.uint8)
        color = np.ascontiguousarray(rgb[view])
        out_rgb[view] = np.where(
            keep[..., None], color, cv2.inpaint(color, holes, _RADIUS_PX, flag)
        )
        inverse = np.zeros(keep.shape, np.float32)
        np.divide(1, depth_z[view], out=inverse, where=keep & (depth_z[view] > 0))
        filled = cv2.inpaint(inverse, holes, _RADIUS_PX, flag)
        low, high = inverse[keep].min(), inverse[keep].max()
        depth = 1 / np.clip(filled, max(low, 1e-3), max(high, 1e-3))
        out_depth[view] = np.where(keep, depth_z[view], depth)

    _for_each(fill, len(rgb))
    return out_rgb, out_depth


def with_reference_points(world: World) -> World:
    """The world with every pixel of its references as further points of its anchor.

    Rasterised, it shows what can be had by moving known pixels to where they belong: the anchor,
    and what the references remember beside it.
    """
    frames = (PosedFrame(r.rgb, r.depth, r.camera, "reference") for r in world.references)
    seen = [points for points in map(points_of_frame, frames) if points is not None]
    return replace(world, anchor=Anchor.concatenate([world.anchor, *seen]))


def _for_each(work: Callable[[int], None], count: int) -> None:
    """Do work 0 … count − 1 on all cores; OpenCV lets other threads run."""
    numbers: Sequence[int] = range(count)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, numbers))
