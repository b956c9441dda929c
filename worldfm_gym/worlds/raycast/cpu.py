"""CPU ray caster: tiles of 16×16 pixels, each with its own culled list of primitives (Numba)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.threads import run_striped
from worldfm_gym.worlds.raycast import geometry
from worldfm_gym.worlds.raycast.packing import PackedScenes
from worldfm_gym.worlds.raycast.pixels import ray_direction, resolve
from worldfm_gym.worlds.raycast.single_source import numba_compiler

_compile = numba_compiler()
_ray_primitive = _compile(geometry.ray_primitive)
_resolve = _compile(resolve)
_ray_direction = _compile(ray_direction)
_FLOATS, _INTS = geometry.FLOATS, geometry.INTS
_MISS = np.float32(geometry.MISS)
TILE = 16


@njit(nogil=True, error_model="numpy")
def _cull(prims, first, last, planes, out):  # type: ignore[no-untyped-def]
    """Keep the primitives that touch a tile's frustum of four planes and a near plane."""
    kept = 0
    for j in range(first, last):
        b = j * _FLOATS
        inside = True
        for i in range(5):
            nx, ny, nz, offset = planes[i]
            reach = np.float32(0.0)
            for a in range(3):
                along = nx * prims[b + 3 + a] + ny * prims[b + 6 + a] + nz * prims[b + 9 + a]
                reach += abs(along) * prims[b + 12 + a]
            if nx * prims[b] + ny * prims[b + 1] + nz * prims[b + 2] + offset < -reach:
                inside = False
                break
        if inside:
            out[kept] = j
            kept += 1
    return kept


@njit(nogil=True, error_model="numpy")
def _tile_planes(pose, lens, u0, v0, u1, v1, planes):  # type: ignore[no-untyped-def]
    """Inward planes (nx, ny, nz, offset) of a tile's frustum in world axes."""
    x0, x1 = (u0 - lens[2]) * lens[0], (u1 - lens[2]) * lens[0]
    y0, y1 = (v0 - lens[3]) * lens[1], (v1 - lens[3]) * lens[1]
    local = (
        (1.0, 0.0, -x0), (-1.0, 0.0, x1), (0.0, 1.0, -y0), (0.0, -1.0, y1), (0.0, 0.0, 1.0),
    )  # fmt: skip
    for i in range(5):
        a, b, c = local[i]
        norm = np.sqrt(a * a + b * b + c * c)
        for k in range(3):
            planes[i, k] = (pose[k, 0] * a + pose[k, 1] * b + pose[k, 2] * c) / norm
        planes[i, 3] = -(
            planes[i, 0] * pose[0, 3] + planes[i, 1] * pose[1, 3] + planes[i, 2] * pose[2, 3]
        )
        planes[i, 3] += np.float32(1e-4)


@njit(cache=True, nogil=True, error_model="numpy")
def _render(  # type: ignore[no-untyped-def]
    first, step,
    prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
    first_prim, scene, poses, lenses, rgb, depth, instance,
):  # fmt: skip
    """Draw tiles first, first + step, … of all cameras."""
    batch, height, width = depth.shape
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for job in range(first, batch * across * down, step):
        image, tile = job // (across * down), job % (across * down)
        s, pose, lens = scene[image], poses[image], lenses[image]
        u0, v0 = tile % across * TILE, tile // across * TILE
        u1, v1 = min(u0 + TILE, width), min(v0 + TILE, height)
        planes = np.empty((5, 4), np.float32)
        _tile_planes(pose, lens, u0, v0, u1, v1, planes)
        visible = np.empty(first_prim[s + 1] - first_prim[s], np.int32)
        kept = _cull(prims, first_prim[s], first_prim[s + 1], planes, visible)
        ox, oy, oz = pose[0, 3], pose[1, 3], pose[2, 3]
        for v in range(v0, v1):
            for u in range(u0, u1):
                dx, dy, dz = _ray_direction(
                    pose[0, 0], pose[0, 1], pose[0, 2], pose[1, 0], pose[1, 1], pose[1, 2],
                    pose[2, 0], pose[2, 1], pose[2, 2], lens[0], lens[1], lens[2], lens[3],
                    np.float32(u), np.float32(v),
                )  # fmt: skip
                best, hit = _MISS, np.int32(-1)
                for i in range(kept):
                    t = _ray_primitive(prims, kinds, visible[i], ox, oy, oz, dx, dy, dz)
                    if t < best:
                        best, hit = t, visible[i]
                if hit < 0:
                    instance[image, v, u], depth[image, v, u] = -1, 0.0
                    rgb[image, v, u] = 0
                    continue
                r, g, b = _resolve(
                    prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start,
                    shadow_items, s, hit, True, best, ox, oy, oz, dx, dy, dz, lens[0],
                )  # fmt: skip
                rgb[image, v, u, 0], rgb[image, v, u, 1], rgb[image, v, u, 2] = r, g, b
                depth[image, v, u] = best
                instance[image, v, u] = kinds[hit * _INTS + 3]


def render_packed(
    packed: PackedScenes,
    scene: NDArray[np.int32],
    poses: NDArray[np.float32],
    lenses: NDArray[np.float32],
    *,
    width: int,
    height: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
    """Draw packed scenes.

    Args:
        packed: S scenes.
        scene: Index of the scene of each camera, int32 [B].
        poses: c2w, float32 [B, 4, 4].
        lenses: (1 / fx, 1 / fy, cx, cy), float32 [B, 4].
        width: Image width in pixels.
        height: Image height in pixels.

    Returns:
        rgb uint8 [B, H, W, 3], z-depth float32 [B, H, W] (0 = nothing), instance int32 [B, H, W]
        (−1 = nothing).
    """
    batch = len(scene)
    rgb = np.empty((batch, height, width, 3), np.uint8)
    depth = np.empty((batch, height, width), np.float32)
    instance = np.empty((batch, height, width), np.int32)
    tiles = batch * -(-width // TILE) * -(-height // TILE)
    images = (rgb, depth, instance)
    run_striped(_render, tiles, *packed.arrays, packed.first_prim, scene, poses, lenses, *images)
    return rgb, depth, instance
