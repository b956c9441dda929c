"""Inspection of objects: when a camera sees one whole, near enough, and from which side.

A camera inspects an object when all eight corners of its box are in the image, the camera is near
enough to the box, and the box is in sight (`worldfm_envs.sight`). The side is the one of the four
upright faces of the box that the camera is turned to most.
"""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sight import sees_object, sees_resting_object
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import look_at
from worldfm_gym.navigation import NavMap
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

SIDES = 4
_GRID_M = 0.2
_POSES_TRIED = 8


class Inspection:
    """Judges what the cameras of a simulator inspect."""

    def __init__(self, simulator: Simulator, *, distance_m: float) -> None:
        """Set up for cameras that must be within `distance_m` of a box."""
        config = simulator.config
        half_x = math.tan(0.5 * math.radians(config.fov_x_deg))
        self._half_fov = half_x, half_x * config.height / config.width
        self._simulator = simulator
        self._distance_m = distance_m
        self._known: WeakKeyDictionary[NavMap, dict[int, NDArray[np.float64]]] = WeakKeyDictionary()

    def sides_seen(self, targets: NDArray[np.int64], open_: NDArray[np.bool_]) -> Any:
        """The side that each agent inspects each of its targets from.

        Args:
            targets: Places of the targets in the lists of the agents' worlds, int64 [N, K].
            open_: Which of them to judge, bool [N, K].

        Returns:
            Side 0…3, or −1 where it is not inspected, int64 [N, K].
        """
        simulator = self._simulator
        objects = simulator.objects
        scene = simulator.scene
        poses = objects.poses[scene[:, None], targets]
        sizes = objects.sizes[scene[:, None], targets]
        sides = np.full(targets.shape, -1)
        _in_view(simulator.c2w, poses, sizes, *self._half_fov, self._distance_m, open_, sides)
        for agent, i in np.argwhere(sides >= 0):
            eye = simulator.c2w[agent, :3, 3]
            if not sees_object(simulator, int(scene[agent]), int(targets[agent, i]), eye):
                sides[agent, i] = -1
        return sides

    def poses_of(self, scene: int, k: int) -> NDArray[np.float64]:
        """A camera pose for each side that an object can be inspected from.

        Cameras stand where a body fits, on a grid of 20 cm, at camera height, and look at the
        middle of the box. The answer is worked out once, with objects where the world holds them.

        Returns:
            Poses float64 [4, 4, 4], NaN for sides that can't be seen.
        """
        world = self._simulator.worlds[scene]
        known = self._known.setdefault(world.require_nav(), {})
        if k not in known:
            known[k] = self._find_poses(world, k)
        return known[k]

    def _find_poses(self, world: World, k: int) -> NDArray[np.float64]:
        """See `poses_of`; from as far away as can be."""
        item = world.objects[k]
        found = np.full((SIDES, 4, 4), np.nan)
        eyes = self._standing_points(world.require_nav(), item)
        away = np.linalg.norm(eyes - item.pose[:3, 3], axis=1)
        order = np.argsort(-away, kind="stable")
        order = order[away[order] > 0.01]
        if not len(order):
            return found
        c2w = look_at(eyes[order], item.pose[:3, 3])
        shape = (len(c2w), 1)
        sides = np.full(shape, -1)
        _in_view(
            c2w,
            np.broadcast_to(item.pose, (*shape, 4, 4)),
            np.broadcast_to(item.size, (*shape, 3)),
            *self._half_fov,
            self._distance_m,
            np.ones(shape, np.bool_),
            sides,
        )
        for side in range(SIDES):
            for n in np.flatnonzero(sides[:, 0] == side)[:_POSES_TRIED]:
                if sees_resting_object(world, k, c2w[n, :3, 3]):
                    found[side] = c2w[n]
                    break
        return found

    def _standing_points(self, nav: NavMap, item: WorldObject) -> NDArray[np.float64]:
        """Where cameras can stand around an object, world points float64 [P, 3]."""
        reach_m = self._distance_m + 0.5 * float(np.hypot(*item.size[:2]))
        corner = (item.pose[:2, 3] - reach_m - nav.origin_xy) / nav.cell_m
        x0, y0 = np.maximum(corner.astype(np.int64), 0)
        span = int(2 * reach_m / nav.cell_m) + 1
        stride = max(round(_GRID_M / nav.cell_m), 1)
        iy, ix = np.nonzero(nav.navigable[y0 : y0 + span : stride, x0 : x0 + span : stride])
        cells = np.stack([x0 + stride * ix, y0 + stride * iy], axis=-1)
        eyes = np.full((len(ix), 3), self._simulator.config.camera_height_m)
        eyes[:, :2] = nav.origin_xy + (cells + 0.5) * nav.cell_m
        return eyes


@njit(cache=True, nogil=True)
def _in_view(
    c2w: Any,
    poses: Any,
    sizes: Any,
    half_x: float,
    half_y: float,
    distance_m: float,
    wanted: Any,
    sides: Any,
) -> None:
    """Sides [N, K] of boxes that are in the image as a whole and near enough; others stay."""
    local = np.empty(3)
    for n in range(len(c2w)):
        camera = c2w[n]
        for k in range(poses.shape[1]):
            if not wanted[n, k]:
                continue
            pose, size = poses[n, k], sizes[n, k]
            outside = 0.0
            for axis in range(3):
                local[axis] = 0.0
                for i in range(3):
                    local[axis] += pose[i, axis] * (camera[i, 3] - pose[i, 3])
                outside += max(abs(local[axis]) - 0.5 * size[axis], 0.0) ** 2
            if outside > distance_m * distance_m:
                continue
            if _whole_in_image(camera, pose, size, half_x, half_y):
                along, across = local[0] / size[0], local[1] / size[1]
                if abs(along) >= abs(across):
                    sides[n, k] = 0 if along > 0.0 else 2
                else:
                    sides[n, k] = 1 if across > 0.0 else 3


@njit(cache=True, nogil=True)
def _whole_in_image(camera: Any, pose: Any, size: Any, half_x: float, half_y: float) -> bool:
    """Whether all eight corners of a box are in the image of a camera."""
    for corner in range(8):
        right, down, ahead = 0.0, 0.0, 0.0
        for i in range(3):
            way = pose[i, 3] - camera[i, 3]
            for axis in range(3):
                sign = 0.5 if (corner >> axis) & 1 else -0.5
                way += pose[i, axis] * sign * size[axis]
            right += camera[i, 0] * way
            down += camera[i, 1] * way
            ahead += camera[i, 2] * way
        if not (ahead > 0.0 and abs(right) <= half_x * ahead and abs(down) <= half_y * ahead):
            return False
    return True
