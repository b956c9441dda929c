"""Backs: the far sides of things that were seen from one side only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.camera import Camera
from worldfm_gym.growth.layout import RoomLayout
from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame
from worldfm_gym.worlds.world import World

_ABOVE_FLOOR_M = 0.06
_OFF_WALL_M = 0.25
_EDGE = 0.05  # relative step in depth at which a thing ends
_THIN_M, _THICK_M = 0.03, 0.35
_ROUNDNESS = 1.2  # depth of a thing behind a point, over the point's distance from its outline
_SHADE = 0.8
_LONGER_PX = 480
_MOST_REFERENCES = 8


def far_sides(world: World, layout: RoomLayout, *, spacing_m: float) -> Anchor | None:
    """Close things that stand in the room: each is as deep as it is wide, rounded to its outline.

    A shell that was seen from one side would vanish from the other. Its far side lies behind it on
    the same lines of sight, so no reference can tell, and takes the near side's color and object.

    Args:
        world: The world, objects at rest.
        layout: Walls, floor and ceiling, which have no far side.
        spacing_m: Sampling distance of the new points.

    Returns:
        Points marked as generated; None if nothing stands in the room.
    """
    observed = [r for r in world.references if not r.generated][:_MOST_REFERENCES]
    parts: list[Anchor] = []
    for reference in observed:
        camera = _shrunk(reference.camera)
        images = AnchorRaster([world.pyramid]).render(
            Camera.unchecked(
                camera.c2w[None], camera.intrinsics[None], width=camera.width, height=camera.height
            ),
            np.zeros(1, np.int64),
        )
        things = _things(images.depth[0], camera, layout)
        for instance in np.unique(images.instance[0][things]):
            mask = things & (images.instance[0] == instance)
            back = _back(images.rgb[0], images.depth[0], mask, camera, int(instance))
            if back is not None:
                parts.append(back)
    if not parts:
        return None
    points = Anchor.concatenate(parts)
    inside = layout.to_layout(points.points)
    keep = (inside[:, 2] > 0.01) & (inside[:, 2] < layout.height)
    keep &= ((inside[:, :2] > layout.low) & (inside[:, :2] < layout.high)).all(axis=1)
    return voxel_thin(points[keep], spacing_m) if keep.any() else None


def _shrunk(camera: Camera) -> Camera:
    """The camera with an image of 480 pixels a side at most."""
    scale = min(1.0, _LONGER_PX / max(camera.width, camera.height))
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))


def _things(depth_z: NDArray[np.float32], camera: Camera, layout: RoomLayout) -> NDArray[np.bool_]:
    """Pixels [H, W] that show something that stands free in the room."""
    world = camera.unproject(depth_z.astype(np.float64)).reshape(-1, 3)
    points = layout.to_layout(world)
    free = (points[:, 2] > _ABOVE_FLOOR_M) & (points[:, 2] < layout.height - _OFF_WALL_M)
    free &= (points[:, :2] > layout.low + _OFF_WALL_M).all(axis=1)
    free &= (points[:, :2] < layout.high - _OFF_WALL_M).all(axis=1)
    return np.asarray(free.reshape(depth_z.shape) & (depth_z > 0))


def _back(
    rgb: NDArray[np.uint8],
    depth_z: NDArray[np.float32],
    mask: NDArray[np.bool_],
    camera: Camera,
    instance: int,
) -> Anchor | None:
    """Points behind the pixels of one thing, facing away from the camera."""
    from scipy.ndimage import distance_transform_edt

    inner = mask.copy()
    for ahead, behind in _neighbors():
        step = depth_z[ahead] - depth_z[behind]
        edge = np.abs(step) > _EDGE * np.minimum(depth_z[ahead], depth_z[behind])
        inner[ahead] &= ~edge & mask[behind]
        inner[behind] &= ~edge & mask[ahead]
    width_m = distance_transform_edt(inner) * depth_z / float(camera.intrinsics[:2].mean())
    deep = np.clip(_THIN_M + _ROUNDNESS * width_m, _THIN_M, _THICK_M)
    frame = PosedFrame(
        (rgb * _SHADE).astype(np.uint8),
        np.where(mask, depth_z + deep, 0).astype(np.float32),
        camera,
        "far side",
    )
    back = points_of_frame(frame)
    if back is None:
        return None
    return Anchor(
        back.points,
        back.colors,
        -back.normals,
        np.full(len(back), max(instance, 0), np.int32),
        back.radius,
        np.ones(len(back), np.bool_),
    )


def _neighbors() -> Sequence[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Pairs of views of an image that are one pixel apart, across and down."""
    whole, first, last = slice(None), slice(None, -1), slice(1, None)
    return [((whole, first), (whole, last)), ((first, whole), (last, whole))]
