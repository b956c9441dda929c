"""Object sensor: where the nearest objects are, as seen from the camera.

Each row describes one object that is there; an agent's own body is left out. Rows come nearest
first, by the distance of the box center from the camera, and rows beyond the number of objects are
zero:

======= ====================================================================================
columns meaning
======= ====================================================================================
0–2     box center in the camera frame (x right, y down, z forward), metres
3–8     first two columns of the object's rotation in the camera frame (the 6D representation of
        Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019)
9–11    full side lengths of the box, metres
12      1 if at least one pixel of the image shows the object, else 0
13      instance id, the key of `World.object`; 0 in an empty row
======= ====================================================================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.sensors.base import POSITION_LIMIT_M, SensorInput
from worldfm_envs.sensors.tensors import is_tensor, tensor_on
from worldfm_gym.simulator import Simulator

OBJECT_COLUMNS = 14
_MAX_INSTANCE = 2.0**24  # what float32 still holds exactly
ROW_BOUNDS = np.array(
    [
        [-POSITION_LIMIT_M] * 3 + [-1.0] * 6 + [0.0] * 5,
        [POSITION_LIMIT_M] * 3 + [1.0] * 6 + [POSITION_LIMIT_M] * 3 + [1.0, _MAX_INSTANCE],
    ],
    np.float32,
)
"""Smallest and largest values of a row, float32 [2, 14]."""


class ObjectPoseSensor:
    """The nearest objects in the camera frame, 14 numbers each, flattened to [14 · num_objects].

    Of each: position 3, rotation 6, size 3, visible, instance id; see the columns of
    `worldfm_envs.sensors.objects`.
    """

    def __init__(self, *, num_objects: int) -> None:
        self._num_objects = num_objects
        low, high = np.tile(ROW_BOUNDS, num_objects)
        self.space = spaces.Box(low, high, dtype=np.float32)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        objects = source.simulator.objects
        image = source.frame.instance
        rows = np.zeros((len(source), self._num_objects, OBJECT_COLUMNS), np.float32)
        on_device = is_tensor(image)
        _fill_rows(
            source.c2w,
            source.scene,
            objects.poses,
            objects.sizes,
            present_instances(source.simulator),
            own_bodies(source),
            np.zeros((len(rows), 0, 0), np.int32) if on_device else image,
            rows,
        )
        if on_device:
            return with_visible(rows, image)
        return rows.reshape(len(rows), -1)


def present_instances(simulator: Simulator) -> NDArray[np.int64]:
    """Instance ids of the objects that are there, int64 [S, K]; 0 in place of the others."""
    objects = simulator.objects
    return objects.instances * objects.present


def own_bodies(source: SensorInput) -> NDArray[np.int64]:
    """Index of the object that each agent carries along as its body, int64 [M]; −1 for none."""
    return source.simulator.bodies[source.agents]


def with_visible(rows: NDArray[np.float32], image: Any) -> Any:
    """Rows [M, K, ≥ 14] as a flat tensor [M, …], with what the images [M, H, W] on it show."""
    import torch

    ids = rows[..., 13].astype(np.int64)
    out, wanted = tensor_on(image.device, rows), tensor_on(image.device, ids)
    shown = image.flatten(1).long().clamp(0, int(ids.max()) + 1)  # what is in no row goes last
    seen = torch.zeros((len(rows), int(ids.max()) + 2), device=image.device)
    seen.scatter_(1, shown, 1.0)
    out[..., 12] = seen.gather(1, wanted) * (wanted > 0)
    return out.flatten(1)


@njit(cache=True, nogil=True)
def _fill_rows(
    c2w: Any, scene: Any, poses: Any, sizes: Any, instances: Any, own: Any, image: Any, rows: Any
) -> None:
    """Rows [N, K, 14] from poses [S, M, 4, 4], sizes [S, M, 3], ids [S, M], images [N, H, W].

    `own` [N] are objects to leave out, −1 for none.
    """
    wanted = rows.shape[1]
    nearest = np.empty(wanted, np.int64)
    distance = np.empty(wanted)
    for i in range(len(c2w)):
        s = scene[i]
        kept = _nearest(c2w[i], poses[s], instances[s], own[i], nearest, distance)
        if kept == 0:
            continue
        seen = ids_in(image[i], instances[s].max())
        for j in range(kept):
            k = nearest[j]
            fill_row(c2w[i], poses[s, k], sizes[s, k], rows[i, j])
            rows[i, j, 12] = seen[instances[s, k]]
            rows[i, j, 13] = instances[s, k]


@njit(cache=True, nogil=True)
def fill_row(c2w: Any, pose: Any, size: Any, row: Any) -> None:
    """The first 12 columns: pose and size of an object as seen from a camera."""
    for a in range(3):
        for b in range(4):
            value = 0.0
            for c in range(3):
                offset = c2w[c, 3] if b == 3 else 0.0
                value += c2w[c, a] * (pose[c, b] - offset)
            if b == 3:
                row[a] = min(max(value, -POSITION_LIMIT_M), POSITION_LIMIT_M)
            elif b < 2:
                row[3 + 3 * b + a] = min(max(value, -1.0), 1.0)
        row[9 + a] = min(size[a], POSITION_LIMIT_M)


@njit(cache=True, nogil=True)
def _nearest(c2w: Any, poses: Any, instances: Any, own: int, nearest: Any, distance: Any) -> int:
    """Indices of the nearest objects, in order, ties to the lower index; returns how many."""
    kept = 0
    for k in range(len(instances)):
        if instances[k] == 0 or k == own:
            continue
        dx = poses[k, 0, 3] - c2w[0, 3]
        dy = poses[k, 1, 3] - c2w[1, 3]
        dz = poses[k, 2, 3] - c2w[2, 3]
        d = math.sqrt(dx * dx + dy * dy + dz * dz)
        if kept == len(nearest) and d >= distance[kept - 1]:
            continue
        place = min(kept, len(nearest) - 1)
        while place > 0 and distance[place - 1] > d:
            nearest[place], distance[place] = nearest[place - 1], distance[place - 1]
            place -= 1
        nearest[place], distance[place] = k, d
        kept = min(kept + 1, len(nearest))
    return kept


@njit(cache=True, nogil=True)
def ids_in(image: Any, largest: int) -> Any:
    """Which ids 0…largest an instance image [H, W] shows, bool [largest + 1]."""
    seen = np.zeros(largest + 1, np.bool_)
    last = np.int64(-1)
    for v in range(image.shape[0]):
        for u in range(image.shape[1]):
            value = image[v, u]
            if value != last:  # neighbors mostly show the same
                last = np.int64(value)
                if 0 <= last <= largest:
                    seen[last] = True
    return seen
