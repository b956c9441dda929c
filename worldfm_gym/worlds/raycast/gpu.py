"""GPU ray caster: the shared source compiled with Triton, a program for each 16×16 tile.

A first kernel culls the primitives of each tile's frustum into a compact list, a second one casts
the rays, shades and encodes. Under TRITON_INTERPRET=1 the same kernels run on CPU tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl

from worldfm_gym.worlds.raycast import geometry
from worldfm_gym.worlds.raycast.packing import PackedScenes
from worldfm_gym.worlds.raycast.pixels import ray_direction, resolve
from worldfm_gym.worlds.raycast.single_source import triton_compiler

_compile = triton_compiler()
_ray_primitive = _compile(geometry.ray_primitive)
_ray_direction = _compile(ray_direction)
_resolve = _compile(resolve)
_FLOATS = tl.constexpr(geometry.FLOATS)
_INTS = tl.constexpr(geometry.INTS)
_MISS = tl.constexpr(geometry.MISS)
_TILE = tl.constexpr(16)
_CHUNK = tl.constexpr(128)
_LIST_BYTES = 1 << 28
_WARPS = 8
_REGISTERS = 64  # a thread: more would halve the warps that hide each other's loads


@triton.jit
def _ahead(prims, base, live, nx, ny, nz, offset):  # type: ignore[no-untyped-def]
    """Whether any part of each lane's primitive is on the inner side of a plane."""
    reach = tl.zeros_like(base).to(tl.float32)
    for a in tl.static_range(3):
        along = (
            nx * tl.load(prims + base + 3 + a, mask=live, other=0.0)
            + ny * tl.load(prims + base + 6 + a, mask=live, other=0.0)
            + nz * tl.load(prims + base + 9 + a, mask=live, other=0.0)
        )
        reach += tl.abs(along) * tl.load(prims + base + 12 + a, mask=live, other=0.0)
    middle = (
        nx * tl.load(prims + base, mask=live, other=0.0)
        + ny * tl.load(prims + base + 1, mask=live, other=0.0)
        + nz * tl.load(prims + base + 2, mask=live, other=0.0)
    )
    return middle + offset >= -reach - 1e-4


@triton.jit
def _plane(pose, a, b, c):  # type: ignore[no-untyped-def]
    """World plane through the camera centre whose normal is (a, b, c) in the camera frame."""
    norm = tl.sqrt(a * a + b * b + c * c)
    nx = (tl.load(pose) * a + tl.load(pose + 1) * b + tl.load(pose + 2) * c) / norm
    ny = (tl.load(pose + 4) * a + tl.load(pose + 5) * b + tl.load(pose + 6) * c) / norm
    nz = (tl.load(pose + 8) * a + tl.load(pose + 9) * b + tl.load(pose + 10) * c) / norm
    offset = nx * tl.load(pose + 3) + ny * tl.load(pose + 7) + nz * tl.load(pose + 11)
    return nx, ny, nz, -offset


# Sizes that differ from call to call must not each get a kernel of their own.
@triton.jit(do_not_specialize=["across", "tiles", "capacity"])
def _cull_kernel(  # type: ignore[no-untyped-def]
    prims, first_prim, scene, poses, lenses, lists, counts, across, tiles, capacity
):  # fmt: skip
    """List the primitives that touch one tile's frustum, in ascending order."""
    program = tl.program_id(0)
    image = program // tiles
    tile = program % tiles
    s = tl.load(scene + image)
    pose = poses + image * 16
    lens = lenses + image * 4
    u0 = ((tile % across) * _TILE).to(tl.float32) - tl.load(lens + 2)
    v0 = ((tile // across) * _TILE).to(tl.float32) - tl.load(lens + 3)
    inverse_fx = tl.load(lens)
    inverse_fy = tl.load(lens + 1)
    zero = inverse_fx * 0.0
    one = zero + 1.0
    ax, ay, az, ad = _plane(pose, one, zero, -u0 * inverse_fx)
    bx, by, bz, bd = _plane(pose, -one, zero, (u0 + _TILE) * inverse_fx)
    cx, cy, cz, cd = _plane(pose, zero, one, -v0 * inverse_fy)
    dx, dy, dz, dd = _plane(pose, zero, -one, (v0 + _TILE) * inverse_fy)
    ex, ey, ez, ed = _plane(pose, zero, zero, one)
    first = tl.load(first_prim + s)
    last = tl.load(first_prim + s + 1)
    out = lists + program.to(tl.int64) * capacity
    kept = 0
    for start in range(first, last, _CHUNK):
        j = start + tl.arange(0, _CHUNK)
        live = j < last
        base = j * _FLOATS
        seen = live & _ahead(prims, base, live, ax, ay, az, ad)
        seen = seen & _ahead(prims, base, live, bx, by, bz, bd)
        seen = seen & _ahead(prims, base, live, cx, cy, cz, cd)
        seen = seen & _ahead(prims, base, live, dx, dy, dz, dd)
        seen = seen & _ahead(prims, base, live, ex, ey, ez, ed)
        rank = tl.cumsum(seen.to(tl.int32), 0)
        tl.store(out + kept + rank - 1, j, mask=seen)
        kept += tl.max(rank, 0)
    tl.store(counts + program, kept)


@triton.jit(do_not_specialize=["across", "tiles", "capacity", "width", "height"])
def _render_kernel(  # type: ignore[no-untyped-def]
    prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
    scene, poses, lenses, lists, counts, rgb, depth, instance,
    across, tiles, capacity, width, height,
):  # fmt: skip
    """Draw one tile of one image."""
    program = tl.program_id(0)
    image = program // tiles
    tile = program % tiles
    s = tl.load(scene + image)
    pose = poses + image * 16
    lens = lenses + image * 4
    lane = tl.arange(0, _TILE * _TILE)
    u = (tile % across) * _TILE + lane % _TILE
    v = (tile // across) * _TILE + lane // _TILE
    ox = tl.load(pose + 3)
    oy = tl.load(pose + 7)
    oz = tl.load(pose + 11)
    pixel = tl.load(lens)
    dx, dy, dz = _ray_direction(
        tl.load(pose), tl.load(pose + 1), tl.load(pose + 2),
        tl.load(pose + 4), tl.load(pose + 5), tl.load(pose + 6),
        tl.load(pose + 8), tl.load(pose + 9), tl.load(pose + 10),
        pixel, tl.load(lens + 1), tl.load(lens + 2), tl.load(lens + 3),
        u.to(tl.float32), v.to(tl.float32),
    )  # fmt: skip
    best = tl.zeros_like(dx) + _MISS
    hit = tl.zeros_like(u) - 1
    visible = lists + program.to(tl.int64) * capacity
    for k in range(tl.load(counts + program)):
        j = tl.load(visible + k)
        t = _ray_primitive(prims, kinds, j, ox, oy, oz, dx, dy, dz)
        nearer = t < best
        best = tl.where(nearer, t, best)
        hit = tl.where(nearer, j, hit)
    live = hit >= 0
    j = tl.where(live, hit, 0)
    t = tl.where(live, best, 0.0)
    r, g, b = _resolve(
        prims, kinds, lights, grid_f, grid_i, near_start, near_items, shadow_start, shadow_items,
        s, j, live, t, ox, oy, oz, dx, dy, dz, pixel,
    )  # fmt: skip
    inside = (u < width) & (v < height)
    at = (image.to(tl.int64) * height + v) * width + u
    tl.store(rgb + at * 3, tl.where(live, r, 0).to(tl.uint8), mask=inside)
    tl.store(rgb + at * 3 + 1, tl.where(live, g, 0).to(tl.uint8), mask=inside)
    tl.store(rgb + at * 3 + 2, tl.where(live, b, 0).to(tl.uint8), mask=inside)
    tl.store(depth + at, t, mask=inside)
    owner = tl.load(kinds + j * _INTS + 3, mask=live, other=0)
    tl.store(instance + at, tl.where(live, owner, -1), mask=inside)


@dataclass(frozen=True, slots=True)
class DeviceScenes:
    """Packed scenes on a device, ready to draw.

    Attributes:
        arrays: What shading reads, in the order of `PackedScenes.arrays`.
        first_prim: int32 [S + 1].
        most_prims: The largest number of primitives in one scene.
    """

    arrays: tuple[torch.Tensor, ...]
    first_prim: torch.Tensor
    most_prims: int

    @classmethod
    def upload(cls, packed: PackedScenes, device: torch.device | str) -> DeviceScenes:
        """Copy packed scenes to a device."""
        # An empty list still needs an address.
        arrays = [torch.from_numpy(a) if len(a) else torch.zeros(1) for a in packed.arrays]
        on_device = tuple(a.to(device, non_blocking=True) for a in arrays)
        most = int((packed.first_prim[1:] - packed.first_prim[:-1]).max())
        return cls(on_device, torch.from_numpy(packed.first_prim).to(device), most)


def render_scenes(
    scenes: DeviceScenes,
    scene: torch.Tensor,
    poses: torch.Tensor,
    lenses: torch.Tensor,
    *,
    width: int,
    height: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw scenes with the Triton kernels; nothing waits for the device.

    Args:
        scenes: S scenes on the device.
        scene: Index of the scene of each camera, int32 [B].
        poses: c2w, float32 [B, 4, 4], contiguous.
        lenses: (1 / fx, 1 / fy, cx, cy), float32 [B, 4], contiguous.
        width: Image width in pixels.
        height: Image height in pixels.

    Returns:
        rgb uint8 [B, H, W, 3], z-depth float32 [B, H, W] (0 = nothing), instance int32 [B, H, W]
        (−1 = nothing), on the same device.
    """
    batch, device = len(scene), scene.device
    across, down = -(-width // _TILE.value), -(-height // _TILE.value)
    tiles = across * down
    rgb = torch.empty((batch, height, width, 3), dtype=torch.uint8, device=device)
    depth = torch.empty((batch, height, width), dtype=torch.float32, device=device)
    instance = torch.empty((batch, height, width), dtype=torch.int32, device=device)
    # A multiple of 16 keeps every part of the images as aligned as the whole.
    at_once = max(16, _LIST_BYTES // (4 * tiles * scenes.most_prims) // 16 * 16)
    lists = torch.empty(
        min(at_once, batch) * tiles * scenes.most_prims, dtype=torch.int32, device=device
    )
    counts = torch.empty(min(at_once, batch) * tiles, dtype=torch.int32, device=device)
    # Contraction to fused multiply-add would round differently from the CPU.
    options: dict[str, Any] = {
        "num_warps": _WARPS,
        "maxnreg": _REGISTERS,
        "enable_fp_fusion": False,
    }
    for start in range(0, batch, at_once):
        part = slice(start, min(start + at_once, batch))
        grid = ((part.stop - part.start) * tiles,)
        _cull_kernel[grid](
            scenes.arrays[0], scenes.first_prim, scene[part], poses[part], lenses[part],
            lists, counts, across, tiles, scenes.most_prims, num_warps=_WARPS,
        )  # fmt: skip
        _render_kernel[grid](
            *scenes.arrays, scene[part], poses[part], lenses[part], lists, counts,
            rgb[part], depth[part], instance[part],
            across, tiles, scenes.most_prims, width, height, **options,
        )  # fmt: skip
    return rgb, depth, instance
