"""Shown objects: which pixels of references show which object, so that what moved leaves no ghost.

References keep showing objects where they were when the pictures were taken. Where such an object
is elsewhere now, or not there, its pixels must not be carried over into views.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera
from worldfm_gym.frame_model.memory import References
from worldfm_gym.scene_objects import PARKED_BELOW_M
from worldfm_gym.worlds.world import World


class ShownObjects:
    """Pixels of the references of some worlds, by what they show.

    Attributes:
        table: Per row of the references' table, k + 1 where it shows object k of its world and 0
            elsewhere, int64 [rows, h, w]. Objects reach a pixel farther than their points.
    """

    def __init__(self) -> None:
        self.table = torch.zeros(0, 0, 0, dtype=torch.int64)
        self._known: dict[tuple[int, ...], World] = {}

    def follow(self, worlds: Sequence[World], references: References) -> None:
        """Bring the table up to date with the references of these worlds, one per slot."""
        images, members = references.table
        shape = images.depth_z.shape
        if self.table.shape != shape:
            self.table = torch.zeros(shape, dtype=torch.int64, device=images.depth_z.device)
            self._known.clear()
        rows_of_slot = members.tolist()
        wanted: dict[tuple[int, ...], World] = {}
        for slot, world in enumerate(worlds):
            rows = tuple(row for row in rows_of_slot[slot] if row >= 0)
            if rows:
                wanted[rows] = world
        for rows, world in wanted.items():
            if self._known.get(rows) is not world:
                at = torch.tensor(rows)
                cameras = Camera.unchecked(
                    images.c2w[at].cpu().numpy().astype(np.float64),
                    images.intrinsics[at].cpu().numpy().astype(np.float64),
                    width=shape[2],
                    height=shape[1],
                )
                shown = objects_shown(world, cameras)
                self.table[at.to(self.table.device)] = shown.to(self.table.device)
        self._known = wanted


def objects_shown(world: World, cameras: Camera) -> Tensor:
    """Where cameras that took pictures of a world saw object k: k + 1, int64 [B, H, W]; else 0."""
    count = len(cameras.c2w)
    if not world.objects:
        return torch.zeros(count, cameras.height, cameras.width, dtype=torch.int64)
    poses = np.array([[item.rest_pose for item in world.objects]])
    parked = [_parked(item) for item in world.objects]
    poses[0, parked] = np.nan
    images = AnchorRaster([world.pyramid]).render(
        cameras, np.zeros(count, np.int64), object_poses=poses
    )
    ids = np.array([item.instance for item in world.objects])
    place = np.zeros(max(int(ids.max()), int(images.instance.max())) + 1, np.int64)
    place[ids] = np.arange(len(ids)) + 1
    shown = torch.from_numpy(place[np.maximum(images.instance, 0)])
    # A picture's edge of an object lies up to a pixel beside that of its points.
    around = F.max_pool2d(shown[:, None].float(), 3, stride=1, padding=1)[:, 0].long()
    return torch.where(shown > 0, shown, around)


def rest_poses(worlds: Sequence[World]) -> NDArray[np.float64]:
    """Where pictures of worlds show their objects, NaN where none does, float64 [U, K, 4, 4]."""
    poses = np.full((len(worlds), max(len(w.objects) for w in worlds), 4, 4), np.nan)
    for slot, world in enumerate(worlds):
        for k, item in enumerate(world.objects):
            if not _parked(item):
                poses[slot, k] = item.rest_pose
    return poses


def _parked(item: WorldObject) -> bool:
    """Whether an object was not there when pictures were taken."""
    return bool(item.pose[2, 3] < PARKED_BELOW_M)


@njit(cache=True, nogil=True)
def displaced(object_poses: Any, scene: Any, slot: Any, rest: Any) -> Any:
    """Objects that are not where pictures show them.

    Args:
        object_poses: Poses now, NaN of what is not there, float64 [S, K, 4, 4].
        scene: Scenes of views, int64 [B].
        slot: Their worlds, int64 [B].
        rest: From `rest_poses`, float64 [U, K', 4, 4].

    Returns:
        bool [B, K' + 1], the first column False, and whether any is.
    """
    out = np.zeros((len(scene), rest.shape[1] + 1), np.bool_)
    some = False
    for b in range(len(scene)):
        for k in range(min(rest.shape[1], object_poses.shape[1])):
            if np.isnan(rest[slot[b], k, 0, 0]):
                continue
            same = True
            for i in range(3):
                for j in range(4):
                    same &= object_poses[scene[b], k, i, j] == rest[slot[b], k, i, j]
            if not same:
                out[b, k + 1] = some = True
    return out, some
