"""The navigation maps of all scenes where one kernel call can read them, without a copy."""

from __future__ import annotations

from operator import is_not
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from worldfm_envs.array_address import pointer_to
from worldfm_gym.navigation import AgentBody, NavMap
from worldfm_gym.navigation.clearance import euclidean_clearance
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

MAP_UNKNOWN, MAP_OBSTACLE, MAP_FREE = 0, 127, 255
_LEAST_FREE_M = 0.1

MAP_FIELDS = np.dtype(
    [
        ("plan", np.int64),
        ("voxels", np.int64),
        ("walls", np.int64),
        ("walled", np.int64),
        ("shape", np.int64, 3),
        ("origin", np.float64, 3),
        ("cell_m", np.float64),
        ("step_height_m", np.float64),
        ("height_m", np.float64),
    ]
)
"""What a kernel is told of a scene's map: addresses of its arrays, the shape of its voxels and
where they lie, and which objects are in a body's way. Without a map, the shape is 0.

``plan`` [ny, nx] is what `plan_of` gives. ``walls`` [nz, ny, nx] is for the kernel to fill in,
layer by layer as it needs them; ``walled`` [nz] says which it has."""


class FloorMaps:
    """One record of `MAP_FIELDS` per scene, renewed where a world has changed."""

    def __init__(self) -> None:
        self._worlds: list[World | None] = []
        self._navs: list[NavMap | None] = []  # whose arrays must live as long as their addresses
        self._records = np.zeros(0, MAP_FIELDS)

    def of(self, simulator: Simulator) -> NDArray[Any]:
        """Records of all scenes [S]; valid as long as the simulator keeps its worlds."""
        worlds = simulator.worlds
        if len(worlds) != len(self._worlds):
            self._worlds, self._navs = [None] * len(worlds), [None] * len(worlds)
            self._records = np.zeros(len(worlds), MAP_FIELDS)
        if any(map(is_not, self._worlds, worlds)):
            for scene, world in enumerate(worlds):
                if self._worlds[scene] is not world:
                    self._records[scene] = _record(world)
                    self._worlds[scene], self._navs[scene] = world, world.nav
        return self._records


def _record(world: World) -> Any:
    """What kernels are told of a world's map."""
    record = np.zeros((), MAP_FIELDS)
    nav = world.nav
    body = AgentBody() if nav is None else nav.body
    record["step_height_m"], record["height_m"] = body.step_height_m, body.height_m
    if nav is not None:
        record["plan"] = plan_of(nav).ctypes.data
        record["voxels"] = nav.voxels.states.ctypes.data
        if nav not in _walls:
            shape = nav.voxels.states.shape
            _walls[nav] = np.zeros(shape, np.uint8), np.zeros(shape[0], np.uint8)
        walls, walled = _walls[nav]
        record["walls"], record["walled"] = walls.ctypes.data, walled.ctypes.data
        record["shape"] = nav.voxels.states.shape
        record["origin"], record["cell_m"] = nav.voxels.origin, nav.cell_m
    return record


_walls: WeakKeyDictionary[NavMap, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = WeakKeyDictionary()


def plan_of(nav: NavMap) -> NDArray[np.uint8]:
    """Floor plan without objects: unknown, obstacle or free, uint8 [ny, nx]; kept with the map.

    Free is what a disc of 20 cm covers that fits between obstacles. What is narrower counts as an
    obstacle: the inside of hollow walls, and cells of a wall that no point happens to lie in.
    """
    if nav not in _plans:
        fits = nav.static_clearance >= _LEAST_FREE_M
        # Half a cell less, or what fits before a hole would reach into it.
        reach_m = _LEAST_FREE_M - 0.5 * nav.cell_m
        free = euclidean_clearance(~fits, cell_m=nav.cell_m) <= reach_m
        plan = np.full(nav.shape, MAP_UNKNOWN, np.uint8)
        plan[nav.known_free] = MAP_OBSTACLE
        plan[nav.known_free & free] = MAP_FREE
        plan[nav.background] = MAP_OBSTACLE
        _plans[nav] = plan
    return _plans[nav]


_plans: WeakKeyDictionary[NavMap, NDArray[np.uint8]] = WeakKeyDictionary()


@njit(cache=True, nogil=True, inline="always")
def grid_at(address: Any, ny: int, nx: int) -> Any:
    """The bytes [ny, nx] at an address."""
    return carray(pointer_to(address), (ny, nx), np.uint8)


@njit(cache=True, nogil=True, inline="always")
def voxels_at(address: Any, nz: int, ny: int, nx: int) -> Any:
    """The bytes [nz, ny, nx] at an address."""
    return carray(pointer_to(address), (nz, ny, nx), np.uint8)
