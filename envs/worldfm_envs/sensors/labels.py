"""Label sensors: which object, and what kind of thing, each pixel shows."""

from __future__ import annotations

from operator import is_not
from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.categories import category_index
from worldfm_envs.sensors.base import SensorInput
from worldfm_envs.sensors.tensors import is_tensor, tensor_on
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World


class InstanceSensor:
    """Instance id of the object that each pixel shows, uint8; 0 is background or nothing.

    The id is the key of `World.object`. Ids above 255 are shown as 255, because policies take uint8
    images; `Frame.instance` holds them in full.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 1), np.uint8)

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        instance = source.frame.instance
        if is_tensor(instance):
            import torch

            return instance.clamp(0, 255).to(torch.uint8)[..., None]
        out = np.empty((*instance.shape, 1), np.uint8)
        _clip_ids(instance.reshape(-1), out.reshape(-1))
        return out


class SemanticSensor:
    """Category of the thing that each pixel shows, uint8: an index of `categories.CATEGORIES`.

    0 is background or nothing, 1 an object of no known category; the numbers are the same in every
    world.
    """

    def __init__(self, *, width: int, height: int) -> None:
        self.space = spaces.Box(0, 255, (height, width, 1), np.uint8)
        self._table = CategoryTable()

    def read(self, source: SensorInput) -> Any:
        """See `Sensor.read`."""
        instance = source.frame.instance
        table = self._table.of(source.simulator)
        if is_tensor(instance):
            on_device = self._table.on(instance.device)
            scene = tensor_on(instance.device, source.scene)[:, None, None]
            column = (instance + 1).clamp(max=on_device.shape[1] - 1)
            return on_device[scene, column.long()][..., None]
        out = np.empty(instance.shape, np.uint8)
        _look_up(table, source.scene, instance, out)
        return out[..., None]


class CategoryTable:
    """Categories by scene and instance id, kept for as long as the worlds stay the same."""

    def __init__(self) -> None:
        self._worlds: list[World] = []
        self._rows = np.zeros((0, 2), np.uint8)
        self._tensor: Any = None

    def of(self, simulator: Simulator) -> NDArray[np.uint8]:
        """Categories, uint8 [S, largest id + 3].

        The column of an id is the one after it, so that −1 has one too; the last one is for ids
        that no object has.
        """
        worlds = simulator.worlds
        if len(worlds) != len(self._worlds) or any(map(is_not, self._worlds, worlds)):
            largest = max((o.instance for world in worlds for o in world.objects), default=0)
            rows = {id(world): _row(world, largest + 3) for world in worlds}
            self._rows = np.stack([rows[id(world)] for world in worlds])
            self._worlds, self._tensor = list(worlds), None
        return self._rows

    def on(self, device: Any) -> Any:
        """The table of the last call of `of`, as a tensor."""
        if self._tensor is None or self._tensor.device != device:
            self._tensor = tensor_on(device, self._rows)
        return self._tensor


def _row(world: World, length: int) -> NDArray[np.uint8]:
    """Categories of one world by instance id + 1."""
    row = np.zeros(length, np.uint8)
    for item in world.objects:
        row[item.instance + 1] = category_index(item.category)
    return row


@njit(cache=True, nogil=True)
def _clip_ids(instance: Any, out: Any) -> None:
    """Ids [P] to uint8 [P]."""
    for i in range(len(instance)):
        out[i] = min(max(instance[i], 0), 255)


@njit(cache=True, nogil=True)
def _look_up(table: Any, scene: Any, instance: Any, out: Any) -> None:
    """Entries of a table [S, K] for images of ids [N, H, W], as `CategoryTable` has them."""
    for i in range(len(instance)):
        row = table[scene[i]]
        last = len(row) - 1
        for v in range(instance.shape[1]):
            for u in range(instance.shape[2]):
                out[i, v, u] = row[min(instance[i, v, u] + 1, last)]
