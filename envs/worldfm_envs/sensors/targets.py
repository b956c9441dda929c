"""Target sensor: where the objects are that a task asks to be looked at."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numba import njit

from worldfm_envs.sensors.base import SensorInput
from worldfm_envs.sensors.objects import (
    OBJECT_COLUMNS,
    ROW_BOUNDS,
    fill_row,
    ids_in,
    present_instances,
    with_visible,
)
from worldfm_envs.sensors.tensors import is_tensor

TARGET_COLUMNS = OBJECT_COLUMNS + 1


class TargetSensor:
    """The task's target objects in the camera frame, 15 numbers each, flattened.

    Of each, in an order that stays: the 14 columns of `object_poses`, then 1 if it has been
    inspected. Rows without a target, or whose target is gone, are zero.
    """

    requires: ClassVar = ("goal_objects", "goal_inspected")

    def __init__(self, *, num_targets: int) -> None:
        self._num_targets = num_targets
        bounds = np.concatenate([ROW_BOUNDS, [[0.0], [1.0]]], axis=1, dtype=np.float32)
        low, high = np.tile(bounds, num_targets)
        self.space = spaces.Box(low, high, dtype=np.float32)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        objects = source.simulator.objects
        image = source.frame.instance
        rows = np.zeros((len(source), self._num_targets, TARGET_COLUMNS), np.float32)
        on_device = is_tensor(image)
        _fill_targets(
            source.c2w,
            source.scene,
            objects.poses,
            objects.sizes,
            present_instances(source.simulator),
            np.ascontiguousarray(source.goals["goal_objects"], np.int64),
            np.ascontiguousarray(source.goals["goal_inspected"], np.bool_),
            np.zeros((len(rows), 0, 0), np.int32) if on_device else image,
            rows,
        )
        return with_visible(rows, image) if on_device else rows.reshape(len(rows), -1)


@njit(cache=True, nogil=True)
def _fill_targets(
    c2w: Any,
    scene: Any,
    poses: Any,
    sizes: Any,
    instances: Any,
    wanted: Any,
    inspected: Any,
    image: Any,
    rows: Any,
) -> None:
    """Rows [N, K, 15] of the objects whose ids are wanted [N, K]."""
    for i in range(len(c2w)):
        s = scene[i]
        if instances.shape[1] == 0:
            continue
        seen = ids_in(image[i], instances[s].max())
        for j in range(wanted.shape[1]):
            for k in range(instances.shape[1]):
                if wanted[i, j] > 0 and instances[s, k] == wanted[i, j]:
                    fill_row(c2w[i], poses[s, k], sizes[s, k], rows[i, j])
                    rows[i, j, 12] = seen[instances[s, k]]
                    rows[i, j, 13] = instances[s, k]
                    rows[i, j, 14] = inspected[i, j]
