"""Lidar sensor: a level ring of exact ranges at the camera's height."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sensors.base import SensorInput
from worldfm_envs.sensors.floor_maps import FloorMaps, grid_at, voxels_at
from worldfm_envs.sensors.objects import own_bodies, present_instances
from worldfm_gym.navigation import VoxelState

_OCCUPIED = int(VoxelState.OCCUPIED)


class LidarSensor:
    """Ranges in metres of a level ring of beams at the camera's height, up to `lidar_range_m`.

    Beam 0 looks ahead, the others follow counter-clockwise, evenly over the full circle. Objects
    are met at their boxes, walls at the voxels of the navigation map (5 cm); what is not known to
    be occupied is looked through. Where nothing is met, the reading is `lidar_range_m`.
    """

    def __init__(self, *, lidar_beams: int, lidar_range_m: float) -> None:
        self.space = spaces.Box(0.0, lidar_range_m, (lidar_beams,), np.float32)
        self._range_m = lidar_range_m
        self._maps = FloorMaps()

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        out = np.empty((len(source), *self.space.shape), np.float32)
        objects = source.simulator.objects
        _cast(
            source.c2w,
            source.scene,
            self._maps.of(source.simulator),
            objects.poses,
            objects.sizes,
            present_instances(source.simulator),
            own_bodies(source),
            np.float32(self._range_m),
            out,
        )
        return out


@njit(cache=True, nogil=True)
def _cast(
    c2w: Any,
    scene: Any,
    maps: Any,
    poses: Any,
    sizes: Any,
    instances: Any,
    own: Any,
    range_m: Any,
    out: Any,
) -> None:
    """Ranges [N, beams] from cameras."""
    beams = out.shape[1]
    for i in range(len(c2w)):
        s = scene[i]
        yaw = math.atan2(c2w[i, 0, 0], -c2w[i, 1, 0])
        eye = c2w[i, :3, 3]
        for b in range(beams):
            angle = yaw + 2.0 * math.pi * b / beams
            out[i, b] = _to_wall(maps[s], eye, math.cos(angle), math.sin(angle), range_m)
        for k in range(instances.shape[1]):
            if instances[s, k] != 0 and k != own[i]:
                _meet_box(poses[s, k], sizes[s, k], eye, yaw, range_m, out[i])


@njit(cache=True, nogil=True)
def _to_wall(floor: Any, eye: Any, cos: float, sin: float, range_m: float) -> Any:
    """Way to the first occupied voxel of the layer at a height (Amanatides & Woo, 1987)."""
    nz, ny, nx = floor["shape"]
    if nz == 0:
        return range_m
    cell_m = floor["cell_m"]
    iz = math.floor((eye[2] - floor["origin"][2]) / cell_m)
    if not 1 <= iz < nz - 1:
        return range_m
    walls = _walls_at(floor, iz)
    x, y = (eye[0] - floor["origin"][0]) / cell_m, (eye[1] - floor["origin"][1]) / cell_m
    ix, iy = math.floor(x), math.floor(y)
    step_x, step_y = (1 if cos > 0.0 else -1), (1 if sin > 0.0 else -1)
    across_x, across_y = 1.0 / max(abs(cos), 1e-12), 1.0 / max(abs(sin), 1e-12)
    until_x = abs(ix + (1 if cos > 0.0 else 0) - x) * across_x
    until_y = abs(iy + (1 if sin > 0.0 else 0) - y) * across_y
    way, end = 0.0, range_m / cell_m
    while way < end:
        if 0 <= ix < nx and 0 <= iy < ny and walls[iy, ix]:
            return way * cell_m
        if until_x < until_y:
            way, until_x, ix = until_x, until_x + across_x, ix + step_x
        else:
            way, until_y, iy = until_y, until_y + across_y, iy + step_y
    return range_m


@njit(cache=True, nogil=True)
def _walls_at(floor: Any, iz: int) -> Any:
    """Where a beam of a layer meets something [ny, nx], worked out when a layer is first read.

    Walls are sampled by points, so single voxels of them may lack one: a wall is what is occupied
    in this layer, the one above or the one below, and what lies between two such voxels.
    """
    nz, ny, nx = floor["shape"]
    walls = voxels_at(floor["walls"], nz, ny, nx)[iz]
    walled = grid_at(floor["walled"], 1, nz)[0]
    if walled[iz]:
        return walls
    voxels = voxels_at(floor["voxels"], nz, ny, nx)
    solid = np.zeros((ny, nx), np.bool_)
    for y in range(ny):
        for x in range(nx):
            for z in range(iz - 1, iz + 2):
                solid[y, x] |= voxels[z, y, x] == _OCCUPIED
    for y in range(1, ny - 1):
        for x in range(1, nx - 1):
            walls[y, x] = (
                solid[y, x]
                or (solid[y, x - 1] and solid[y, x + 1])
                or (solid[y - 1, x] and solid[y + 1, x])
                or (solid[y - 1, x - 1] and solid[y + 1, x + 1])
                or (solid[y - 1, x + 1] and solid[y + 1, x - 1])
            )
    walled[iz] = 1
    return walls


@njit(cache=True, nogil=True)
def _meet_box(pose: Any, size: Any, eye: Any, yaw: float, range_m: float, ranges: Any) -> None:
    """Shorten the ranges [beams] of the beams that meet a box."""
    beams = len(ranges)
    radius_m = 0.5 * math.sqrt(size[0] ** 2 + size[1] ** 2 + size[2] ** 2)
    dx, dy, dz = pose[0, 3] - eye[0], pose[1, 3] - eye[1], pose[2, 3] - eye[2]
    away = math.hypot(dx, dy)
    if abs(dz) >= radius_m or away >= range_m + radius_m:
        return
    first, last = 0, beams
    if away > radius_m:  # only the beams that come near enough
        half = math.asin(radius_m / away)
        middle = math.atan2(dy, dx) - yaw
        first = math.ceil((middle - half) / (2.0 * math.pi) * beams)
        last = math.floor((middle + half) / (2.0 * math.pi) * beams) + 1
    for beam in range(first, last):
        angle = yaw + 2.0 * math.pi * beam / beams
        b = beam % beams
        met = _enter(pose, size, dx, dy, dz, math.cos(angle), math.sin(angle))
        ranges[b] = min(ranges[b], met)


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(pose: Any, size: Any, dx: float, dy: float, dz: float, cos: float, sin: float) -> float:
    """Way of a level beam to a box whose center lies at (dx, dy, dz); 0 from within."""
    enter, leave = 0.0, math.inf
    for a in range(3):
        toward = pose[0, a] * cos + pose[1, a] * sin
        center = pose[0, a] * dx + pose[1, a] * dy + pose[2, a] * dz
        half = 0.5 * size[a]
        if abs(toward) < 1e-12:
            if abs(center) > half:
                return math.inf
            continue
        near, far = (center - half) / toward, (center + half) / toward
        enter, leave = max(enter, min(near, far)), min(leave, max(near, far))
    return enter if enter <= leave else math.inf
