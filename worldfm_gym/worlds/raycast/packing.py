"""Packing: scenes as flat arrays, with the lists of neighbors that shading walks.

A packed scene holds, per primitive, 32 floats (centre 0–2, local-to-world rotation 3–11 row by
row, half size 12–14, texture period 15, color 16–18, accent 19–21, texture origin 22–24, gloss 25,
mirror 26, bounding radius 27) and 4 ints (shape, material, seed, instance); and a uniform grid
whose cells list the primitives near enough for ambient occlusion and, per light, those that can
cast a shadow into the cell. Several packed scenes concatenate into one, so that a GPU launch draws
many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.worlds.raycast.geometry import FLOATS
from worldfm_gym.worlds.raycast.grid_lists import near_lists, shadow_lists
from worldfm_gym.worlds.raycast.lighting import GRID_FLOATS, GRID_INTS, LIGHT_FLOATS
from worldfm_gym.worlds.scene import Material, Scene

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

_CELL_M = 1.0
_MAX_CELLS = 1500
_LIGHT_RADIUS_PER_RANGE = 0.025  # a lamp that reaches 5 m glows as a disc of 12 cm radius

# Materials of walls, floors and ceilings continue across the parts that a wall is built from.
_CONTINUOUS = np.zeros(len(Material), bool)
_CONTINUOUS[
    [
        Material.PAINT,
        Material.PLASTER,
        Material.PLANKS,
        Material.BRICK,
        Material.TILE,
        Material.CARPET,
        Material.CONCRETE,
        Material.MARBLE,
        Material.GRATE,
    ]
] = True

# (gloss: strength of highlights, mirror: part of the light that is reflected) per material
_FINISH = np.zeros((len(Material), 2), np.float32)
_FINISH[Material.PAINT] = (0.05, 0.0)
_FINISH[Material.WOOD] = (0.10, 0.0)
_FINISH[Material.PLANKS] = (0.16, 0.01)
_FINISH[Material.TILE] = (0.45, 0.03)
_FINISH[Material.METAL] = (0.90, 0.42)
_FINISH[Material.MARBLE] = (0.45, 0.03)
_FINISH[Material.LEATHER] = (0.28, 0.0)
_FINISH[Material.PICTURE] = (0.15, 0.0)
_FINISH[Material.SCREEN] = (0.50, 0.05)
_FINISH[Material.CONCRETE] = (0.03, 0.0)
_FINISH[Material.BOOKS] = (0.08, 0.0)


@dataclass(frozen=True, slots=True)
class PackedScenes:
    """S scenes in flat arrays; every index in the lists is absolute.

    Attributes:
        prims: float32 [P · 32]; kinds: int32 [P · 4].
        lights: float32 [L · 8]: position, color, range, disc radius.
        grid_f: float32 [S · 8]: grid origin, 1 / cell side, ambient color.
        grid_i: int32 [S · 8]: cells along x, y, z; first cell, pair and light; number of lights.
        first_prim: int32 [S + 1], the primitives of scene s are first_prim[s]…first_prim[s + 1].
        near_start, near_items: int32, occluders of ambient light per cell (CSR).
        shadow_start, shadow_items: int32, occluders per (cell, light) (CSR).
    """

    prims: FloatArray
    kinds: IntArray
    lights: FloatArray
    grid_f: FloatArray
    grid_i: IntArray
    first_prim: IntArray
    near_start: IntArray
    near_items: IntArray
    shadow_start: IntArray
    shadow_items: IntArray

    def __len__(self) -> int:
        return len(self.first_prim) - 1

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """What shading reads, in the order of its parameters."""
        return (
            self.prims, self.kinds, self.lights, self.grid_f, self.grid_i,
            self.near_start, self.near_items, self.shadow_start, self.shadow_items,
        )  # fmt: skip


def pack_scene(scene: Scene) -> PackedScenes:
    """Pack one scene; takes milliseconds for a thousand primitives."""
    prims, kinds = _pack_primitives(scene)
    lights = np.zeros((len(scene.light_range), LIGHT_FLOATS), np.float32)
    lights[:, 0:3], lights[:, 3:6] = scene.light_position, scene.light_color
    lights[:, 6] = scene.light_range
    lights[:, 7] = np.clip(_LIGHT_RADIUS_PER_RANGE * scene.light_range, 0.06, 0.3)
    low, cells, side = _grid_of(scene)
    grid_f = np.zeros(GRID_FLOATS, np.float32)
    grid_f[:3], grid_f[3], grid_f[4:7] = low, 1.0 / side, scene.ambient
    grid_i = np.zeros(GRID_INTS, np.int32)
    grid_i[:3], grid_i[6] = cells, len(lights)
    flat, flat_kinds, flat_lights = prims.ravel(), kinds.ravel(), lights.ravel()
    casts = ~np.isin(scene.material, (Material.EMISSIVE, Material.WINDOW))
    near_start, near_items, occupied = near_lists(flat, flat_kinds, low, side, cells)
    shadow_start, shadow_items = shadow_lists(
        flat, flat_kinds, flat_lights, casts, low, side, cells, occupied
    )
    return PackedScenes(
        flat, flat_kinds, flat_lights, grid_f, grid_i, np.array([0, len(scene)], np.int32),
        near_start, near_items, shadow_start, shadow_items,
    )  # fmt: skip


def concatenate(scenes: Sequence[PackedScenes]) -> PackedScenes:
    """All scenes in one, in order; indices are shifted to stay absolute."""
    prims = _offsets([int(s.first_prim[-1]) for s in scenes])
    cells = _offsets([len(s.near_start) - 1 for s in scenes])
    pairs = _offsets([len(s.shadow_start) - 1 for s in scenes])
    lights = _offsets([len(s.lights) // LIGHT_FLOATS for s in scenes])
    tables = [s.grid_i.reshape(-1, GRID_INTS).copy() for s in scenes]
    for k, table in enumerate(tables):
        table[:, 3:6] += (cells[k], pairs[k], lights[k])
    join = np.concatenate
    return PackedScenes(
        join([s.prims for s in scenes]),
        join([s.kinds for s in scenes]),
        join([s.lights for s in scenes]),
        join([s.grid_f for s in scenes]),
        join(tables).ravel(),
        _join_starts([s.first_prim for s in scenes]),
        _join_starts([s.near_start for s in scenes]),
        join([s.near_items + first for s, first in zip(scenes, prims, strict=True)]),
        _join_starts([s.shadow_start for s in scenes]),
        join([s.shadow_items + first for s, first in zip(scenes, prims, strict=True)]),
    )


def _offsets(counts: list[int]) -> IntArray:
    """Where each of consecutive runs begins."""
    return (np.cumsum(counts) - counts).astype(np.int32)


def _join_starts(starts: list[IntArray]) -> IntArray:
    """Row starts of concatenated CSR lists."""
    first = _offsets([int(s[-1]) for s in starts])
    rows = [s[:-1] + offset for s, offset in zip(starts, first, strict=True)]
    return np.concatenate([*rows, starts[-1][-1:] + first[-1]])


def _pack_primitives(scene: Scene) -> tuple[FloatArray, IntArray]:
    """The float and int rows of all primitives."""
    count = len(scene)
    prims = np.zeros((count, FLOATS), np.float32)
    prims[:, 0:3] = scene.center
    prims[:, 3:12] = scene.rotation.reshape(count, 9)
    prims[:, 12:15] = np.maximum(scene.half_size, 1e-4)
    prims[:, 15], prims[:, 16:19], prims[:, 19:22] = scene.scale, scene.color, scene.accent
    prims[:, 25:27] = _FINISH[scene.material]
    prims[:, 27] = np.linalg.norm(prims[:, 12:15], axis=1)
    seed = scene.seed.copy()
    continuous = _CONTINUOUS[scene.material] & (scene.instance == 0)
    prims[continuous, 22:25] = np.einsum(
        "pij,pi->pj", scene.rotation[continuous], scene.center[continuous]
    )
    tint = (scene.color[continuous] * 255).astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
    seed[continuous] = tint + scene.material[continuous].astype(np.uint32) * np.uint32(0x9E3779B1)
    kinds = np.stack(
        [scene.shape, scene.material, seed.view(np.int32), scene.instance], axis=1
    ).astype(np.int32)
    return prims, kinds


def _grid_of(scene: Scene) -> tuple[FloatArray, IntArray, float]:
    """Lowest corner, cells per axis and cell side of a grid around all primitives."""
    reach = np.einsum("pij,pj->pi", np.abs(scene.rotation), scene.half_size)
    low = (scene.center - reach).min(axis=0) - 0.01
    extent = (scene.center + reach).max(axis=0) + 0.01 - low
    side = max(_CELL_M, float(np.prod(extent) / _MAX_CELLS) ** (1 / 3))
    return low.astype(np.float32), np.maximum(np.ceil(extent / side), 1).astype(np.int32), side
