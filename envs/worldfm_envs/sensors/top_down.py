"""Map sensor: what stands around the agent, from above, turned so that ahead is up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sensors.base import SensorInput
from worldfm_envs.sensors.floor_maps import (
    MAP_OBSTACLE,
    MAP_UNKNOWN,
    FloorMaps,
    grid_at,
)
from worldfm_envs.sensors.objects import own_bodies, present_instances


class TopDownSensor:
    """Egocentric map, uint8: 0 unknown, 127 obstacle, 255 free floor; ahead is up.

    The agent is in the middle. Walls come from the navigation map, objects from where their boxes
    are now, as collision has them: what is lower than a step or hangs above the body is free. Gaps
    of less than 20 cm count as wall. All unknown in a world without a navigation map.
    """

    def __init__(self, *, map_size: int, map_resolution_m: float) -> None:
        self.space = spaces.Box(0, 255, (map_size, map_size, 1), np.uint8)
        self._resolution_m = map_resolution_m
        self._maps = FloorMaps()

    def read(self, source: SensorInput) -> NDArray[Any]:
        """See `Sensor.read`."""
        out = np.empty((len(source), *self.space.shape[:2]), np.uint8)
        objects = source.simulator.objects
        _crop(
            source.c2w,
            source.scene,
            self._maps.of(source.simulator),
            objects.poses,
            objects.sizes,
            present_instances(source.simulator),
            own_bodies(source),
            self._resolution_m,
            out,
        )
        return out[..., None]


@njit(cache=True, nogil=True)
def _crop(
    c2w: Any,
    scene: Any,
    maps: Any,
    poses: Any,
    sizes: Any,
    instances: Any,
    own: Any,
    resolution_m: float,
    out: Any,
) -> None:
    """Crops [N, size, size] of the maps of scenes around cameras."""
    size = out.shape[1]
    reach_m = 0.5 * math.sqrt(2.0) * size * resolution_m
    for i in range(len(c2w)):
        s = scene[i]
        if maps[s]["shape"][0] == 0:
            out[i] = MAP_UNKNOWN
            continue
        yaw = math.atan2(c2w[i, 0, 0], -c2w[i, 1, 0])
        x, y = c2w[i, 0, 3], c2w[i, 1, 3]
        _copy_floor(maps[s], x, y, yaw, resolution_m, out[i])
        _mark_walls(maps[s], x, y, yaw, resolution_m, out[i])
        for k in range(instances.shape[1]):
            if instances[s, k] == 0 or k == own[i]:
                continue
            away = math.hypot(poses[s, k, 0, 3] - x, poses[s, k, 1, 3] - y)
            half_m = 0.5 * math.sqrt(
                sizes[s, k, 0] ** 2 + sizes[s, k, 1] ** 2 + sizes[s, k, 2] ** 2
            )
            if away < reach_m + half_m and _in_the_way(maps[s], poses[s, k], sizes[s, k]):
                _stamp(poses[s, k], sizes[s, k], x, y, yaw, resolution_m, out[i])


@njit(cache=True, nogil=True)
def _copy_floor(floor: Any, x: float, y: float, yaw: float, resolution_m: float, out: Any) -> None:
    """The static map at the middles of the pixels [size, size] of a crop."""
    _, ny, nx = floor["shape"]
    plan = grid_at(floor["plan"], ny, nx)
    per_cell = resolution_m / floor["cell_m"]
    cos, sin = math.cos(yaw) * per_cell, math.sin(yaw) * per_cell
    at_x = (x - floor["origin"][0]) / floor["cell_m"]
    at_y = (y - floor["origin"][1]) / floor["cell_m"]
    size = len(out)
    for v in range(size):
        ahead = 0.5 * size - (v + 0.5)
        for u in range(size):
            right = u + 0.5 - 0.5 * size
            ix = math.floor(at_x + cos * ahead + sin * right)
            iy = math.floor(at_y + sin * ahead - cos * right)
            inside = 0 <= ix < nx and 0 <= iy < ny
            out[v, u] = plan[iy, ix] if inside else MAP_UNKNOWN


@njit(cache=True, nogil=True)
def _mark_walls(floor: Any, x: float, y: float, yaw: float, resolution_m: float, out: Any) -> None:
    """Mark the pixels that hold the middle of an obstacle's cell.

    Walls may be a single cell thick and lie between the middles of larger pixels.
    """
    _, ny, nx = floor["shape"]
    plan = grid_at(floor["plan"], ny, nx)
    cell_m, size = floor["cell_m"], len(out)
    at_x, at_y = (x - floor["origin"][0]) / cell_m, (y - floor["origin"][1]) / cell_m
    reach = math.sqrt(0.5) * size * resolution_m / cell_m + 1.0
    per_pixel = cell_m / resolution_m
    cos, sin = math.cos(yaw) * per_pixel, math.sin(yaw) * per_pixel
    for iy in range(max(int(at_y - reach), 0), min(int(at_y + reach) + 1, ny)):
        for ix in range(max(int(at_x - reach), 0), min(int(at_x + reach) + 1, nx)):
            if plan[iy, ix] == MAP_OBSTACLE:
                dx, dy = ix + 0.5 - at_x, iy + 0.5 - at_y
                v = math.floor(0.5 * size - (cos * dx + sin * dy))
                u = math.floor(0.5 * size + (sin * dx - cos * dy))
                if 0 <= v < size and 0 <= u < size:
                    out[v, u] = MAP_OBSTACLE


@njit(cache=True, nogil=True)
def _in_the_way(floor: Any, pose: Any, size: Any) -> Any:
    """Whether a box reaches between step height and the top of the body."""
    half_m = 0.0
    for a in range(3):
        half_m += 0.5 * abs(pose[2, a]) * size[a]
    low, high = pose[2, 3] - half_m, pose[2, 3] + half_m
    return low < floor["height_m"] and high > floor["step_height_m"]


@njit(cache=True, nogil=True)
def _stamp(
    pose: Any, size: Any, x: float, y: float, yaw: float, resolution_m: float, out: Any
) -> None:
    """Mark the pixels whose middle lies on a box's shadow, which counts as a pixel wide at least.

    The shadow is taken as the rectangle along the box's most level axis, as collision does.
    """
    level, norm = 0, -1.0
    for a in range(3):
        length = math.hypot(pose[0, a], pose[1, a])
        if length > norm + 1e-9:
            level, norm = a, length
    axis_x, axis_y = pose[0, level] / norm, pose[1, level] / norm
    along, across = 0.0, 0.0
    for a in range(3):
        along += 0.5 * abs(axis_x * pose[0, a] + axis_y * pose[1, a]) * size[a]
        across += 0.5 * abs(axis_x * pose[1, a] - axis_y * pose[0, a]) * size[a]
    along, across = max(along, 0.5 * resolution_m), max(across, 0.5 * resolution_m)
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = pose[0, 3] - x, pose[1, 3] - y
    half = 0.5 * len(out)
    row, column = (
        half - (cos * dx + sin * dy) / resolution_m,
        half + (sin * dx - cos * dy) / resolution_m,
    )
    ahead_axis, right_axis = cos * axis_x + sin * axis_y, sin * axis_x - cos * axis_y
    reach_v = (abs(ahead_axis) * along + abs(right_axis) * across) / resolution_m
    reach_u = (abs(right_axis) * along + abs(ahead_axis) * across) / resolution_m
    for v in range(max(int(row - reach_v), 0), min(int(row + reach_v) + 1, len(out))):
        for u in range(max(int(column - reach_u), 0), min(int(column + reach_u) + 1, len(out))):
            ahead, right = (row - v - 0.5) * resolution_m, (u + 0.5 - column) * resolution_m
            if (
                abs(ahead * ahead_axis + right * right_axis) <= along
                and abs(right * ahead_axis - ahead * right_axis) <= across
            ):
                out[v, u] = MAP_OBSTACLE
