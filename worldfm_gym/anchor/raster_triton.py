"""The GPU raster: the arithmetic of `raster_torch` in three Triton kernels.

1. `_select_cells`: one lane a cell culls by frustum and facing, chooses the level and appends the
   cell's splat range to its camera's work list.
2. `_splat`: programs of a camera share its work list and lower (depth ‖ splat) keys with atomic
   minima, whose result does not depend on their order.
3. `_resolve`: one lane a pixel turns the winner into color, instance, provenance, index and depth.

Kernels run without fused multiply-adds and with correctly rounded division and square root, so that
winners equal the oracle's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import triton
import triton.language as tl

from worldfm_gym.anchor.pyramid import (
    ABSENT_Z_M,
    BLOCK,
    LEVELS,
    MAX_FOOTPRINT_PX,
    NEAR_M,
    SplatPyramid,
)

if TYPE_CHECKING:
    from worldfm_gym.anchor.raster import RasterImages, RasterTask

_NEAR = tl.constexpr(NEAR_M)
_MAX_HALF = tl.constexpr(MAX_FOOTPRINT_PX)
_BLOCK = tl.constexpr(BLOCK)
_STARTS = tl.constexpr(LEVELS + 1)
_EMPTY = tl.constexpr((1 << 63) - 1)
_SKIN = tl.constexpr(1e-3)
_CELLS = 256  # cells a program of `_select_cells` looks at
_LANES = 64  # splats a program of `_splat` draws at once
_SHARES = 32  # programs that share the work list of a camera
_PIXELS = 256  # pixels a program of `_resolve` writes
# Of a pyramid, on the device; the first two have a length of their own, the others one a cell.
_ARRAYS = ("geometry", "attributes", "cell_sphere", "cell_cone", "cell_body", "cell_start")


@triton.jit
def _camera_point(m, x, y, z):  # type: ignore[no-untyped-def]
    """Transform points by the 3×4 matrices at pointers `m`, in the oracle's order."""
    return (
        ((tl.load(m) * x + tl.load(m + 1) * y) + tl.load(m + 2) * z) + tl.load(m + 3),
        ((tl.load(m + 4) * x + tl.load(m + 5) * y) + tl.load(m + 6) * z) + tl.load(m + 7),
        ((tl.load(m + 8) * x + tl.load(m + 9) * y) + tl.load(m + 10) * z) + tl.load(m + 11),
    )


@triton.jit
def _camera_direction(m, x, y, z):  # type: ignore[no-untyped-def]
    """Rotate directions by the 3×4 matrices at pointers `m`."""
    return (
        (tl.load(m) * x + tl.load(m + 1) * y) + tl.load(m + 2) * z,
        (tl.load(m + 4) * x + tl.load(m + 5) * y) + tl.load(m + 6) * z,
        (tl.load(m + 8) * x + tl.load(m + 9) * y) + tl.load(m + 10) * z,
    )


_SIZES = ["bodies_per_camera", "width", "height", "work_size"]  # no kernel for each value


@triton.jit(do_not_specialize=_SIZES)
def _select_cells(  # type: ignore[no-untyped-def]
    sphere, cone, cell_body, cell_start, cell_range, scene, bodies, bodies_per_camera,
    intrinsics, levels, width, height, work, work_count, work_size,
    CELLS: tl.constexpr,
):  # fmt: skip
    """Append (first splat, end splat, body) of the visible cells of camera b to its work list."""
    b = tl.program_id(0)
    world = tl.load(scene + b)
    begin = tl.load(cell_range + world * 2)
    lane = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    real = lane < tl.load(cell_range + world * 2 + 1) - begin
    c = begin + tl.where(real, lane, 0)
    fx, fy = tl.load(intrinsics + b * 4), tl.load(intrinsics + b * 4 + 1)
    cx, cy = tl.load(intrinsics + b * 4 + 2), tl.load(intrinsics + b * 4 + 3)
    body = tl.load(cell_body + c)
    m = bodies + (b * bodies_per_camera + body) * 12
    x, y, z = _camera_point(
        m, tl.load(sphere + c * 4), tl.load(sphere + c * 4 + 1), tl.load(sphere + c * 4 + 2)
    )
    reach = tl.load(sphere + c * 4 + 3) + _SKIN
    side = -(reach + (z + reach) / tl.minimum(fx, fy))
    right, bottom = width - cx, height - cy
    seen = real & (z + reach >= _NEAR)
    seen = seen & ((fx * x + cx * z) / tl.sqrt(fx * fx + cx * cx) >= side)
    seen = seen & ((right * z - fx * x) / tl.sqrt(fx * fx + right * right) >= side)
    seen = seen & ((fy * y + cy * z) / tl.sqrt(fy * fy + cy * cy) >= side)
    seen = seen & ((bottom * z - fy * y) / tl.sqrt(fy * fy + bottom * bottom) >= side)
    ax, ay, az = _camera_direction(
        m, tl.load(cone + c * 6), tl.load(cone + c * 6 + 1), tl.load(cone + c * 6 + 2)
    )
    squared = (x * x + y * y) + z * z
    along = (ax * x + ay * y) + az * z
    across = tl.sqrt(tl.maximum(squared - along * along, 0.0))
    away = along * tl.load(cone + c * 6 + 3) - across * tl.load(cone + c * 6 + 4)
    seen = seen & (away <= tl.load(cone + c * 6 + 5) + _SKIN)
    distance = tl.sqrt_rn(squared)
    level = tl.zeros_like(c)
    for i in tl.static_range(_STARTS - 2):
        level += (distance >= tl.load(levels + b * (_STARTS - 2) + i)).to(level.dtype)
    first = tl.load(cell_start + c * _STARTS + level)
    end = tl.load(cell_start + c * _STARTS + level + 1)
    seen = seen & (end > first)
    taken = seen.to(tl.int32)
    slot = tl.cumsum(taken, axis=0) - taken
    base = tl.atomic_add(work_count + b, tl.sum(taken, axis=0))
    item = work + (b.to(tl.int64) * work_size + base + slot) * 3
    tl.store(item, first, mask=seen)
    tl.store(item + 1, end, mask=seen)
    tl.store(item + 2, body, mask=seen)


@triton.jit
def _side(a, na, nz, inverse_z, focal, center, radius):  # type: ignore[no-untyped-def]
    """First and last pixel (float) that discs cover along one image axis."""
    tangent = a * inverse_z
    along = na - tangent * nz
    extent = tl.sqrt_rn(tl.maximum((1.0 + tangent * tangent) - along * along, 0.0))
    half = tl.minimum(tl.maximum(((focal * radius) * inverse_z) * extent, 0.5), _MAX_HALF)
    middle = (focal * tangent + center) - 0.5
    return tl.ceil(middle - half), tl.floor(middle + half)


@triton.jit(do_not_specialize=_SIZES)
def _splat(  # type: ignore[no-untyped-def]
    geometry, first_block, scene, bodies, bodies_per_camera, intrinsics, width, height,
    work, work_count, work_size, keys,
    LANES: tl.constexpr, SHARES: tl.constexpr,
):  # fmt: skip
    """Lower the keys of the pixels that this program's share of the work covers."""
    b = tl.program_id(0)
    world = tl.load(scene + b)
    blocks = geometry + tl.load(first_block + world) * (8 * _BLOCK)
    fx, fy = tl.load(intrinsics + b * 4), tl.load(intrinsics + b * 4 + 1)
    cx, cy = tl.load(intrinsics + b * 4 + 2), tl.load(intrinsics + b * 4 + 3)
    image = keys + b.to(tl.int64) * width * height
    for index in range(tl.program_id(1), tl.load(work_count + b), SHARES):
        item = work + (b.to(tl.int64) * work_size + index) * 3
        begin, end = tl.load(item), tl.load(item + 1)
        m = bodies + (b * bodies_per_camera + tl.load(item + 2)) * 12
        for chunk in range(begin, end, LANES):
            s = chunk + tl.arange(0, LANES)
            real = s < end
            p = blocks + (s // _BLOCK).to(tl.int64) * (8 * _BLOCK) + s % _BLOCK
            x, y, z = _camera_point(
                m,
                tl.load(p, mask=real, other=0.0),
                tl.load(p + _BLOCK, mask=real, other=0.0),
                tl.load(p + 2 * _BLOCK, mask=real, other=0.0),
            )
            radius = tl.load(p + 3 * _BLOCK, mask=real, other=0.0)
            nx, ny, nz = _camera_direction(
                m,
                tl.load(p + 4 * _BLOCK, mask=real, other=0.0),
                tl.load(p + 5 * _BLOCK, mask=real, other=0.0),
                tl.load(p + 6 * _BLOCK, mask=real, other=0.0),
            )
            drawn = real & (z > _NEAR) & ((nx * x + ny * y) + nz * z <= 0.0)
            inverse_z = tl.div_rn(1.0, tl.where(drawn, z, 1.0))
            u0, u1 = _side(x, nx, nz, inverse_z, fx, cx, radius)
            v0, v1 = _side(y, ny, nz, inverse_z, fy, cy, radius)
            u0 = tl.maximum(u0, 0.0).to(tl.int32)
            v0 = tl.maximum(v0, 0.0).to(tl.int32)
            u1 = tl.minimum(u1, width - 1.0).to(tl.int32)
            v1 = tl.minimum(v1, height - 1.0).to(tl.int32)
            drawn = drawn & (u0 <= u1) & (v0 <= v1)
            columns = tl.where(drawn, u1 - u0 + 1, 0)
            rows = tl.where(drawn, v1 - v0 + 1, 0)
            key = (z.to(tl.int32, bitcast=True).to(tl.int64) << 32) | s.to(tl.int64)
            pixel = image + v0 * width + u0
            most_columns = tl.max(columns, axis=0)
            for dv in range(tl.max(rows, axis=0)):
                for du in range(most_columns):
                    target = pixel + dv * width + du
                    inside = (dv < rows) & (du < columns)
                    # A plain read first: most splats lose, and a lost atomic costs as much.
                    current = tl.load(target, mask=inside, other=0)
                    tl.atomic_min(target, key, mask=inside & (key < current))


@triton.jit(do_not_specialize=_SIZES[:3])
def _resolve(  # type: ignore[no-untyped-def]
    geometry, attributes, first_block, first_splat, scene, bodies, bodies_per_camera, intrinsics,
    width, height, keys, rgb, depth, instance, provenance, index,
    PIXELS: tl.constexpr,
):  # fmt: skip
    """Write what the winner of each pixel shows."""
    b = tl.program_id(0)
    world = tl.load(scene + b)
    pixel = tl.program_id(1) * PIXELS + tl.arange(0, PIXELS)
    real = pixel < width * height
    at = b.to(tl.int64) * width * height + pixel
    key = tl.load(keys + at, mask=real, other=_EMPTY)
    hit = key != _EMPTY
    s = tl.where(hit, key & 0xFFFFFFFF, 0)
    row = attributes + (tl.load(first_splat + world) + s) * 4
    color = tl.load(row)
    shown = tl.where(hit, color, 0)
    tl.store(rgb + at * 3, (shown & 255).to(tl.uint8), mask=real)
    tl.store(rgb + at * 3 + 1, ((shown >> 8) & 255).to(tl.uint8), mask=real)
    tl.store(rgb + at * 3 + 2, ((shown >> 16) & 255).to(tl.uint8), mask=real)
    tl.store(provenance + at, tl.where(hit, 1 + (color >> 24), 0).to(tl.uint8), mask=real)
    tl.store(instance + at, tl.where(hit, tl.load(row + 1), -1), mask=real)
    tl.store(index + at, tl.where(hit, tl.load(row + 2), -1), mask=real)
    m = bodies + (b * bodies_per_camera + tl.load(row + 3)) * 12
    p = geometry + (tl.load(first_block + world) + s // _BLOCK) * (8 * _BLOCK) + s % _BLOCK
    x, y, z = _camera_point(m, tl.load(p), tl.load(p + _BLOCK), tl.load(p + 2 * _BLOCK))
    nx, ny, nz = _camera_direction(
        m, tl.load(p + 4 * _BLOCK), tl.load(p + 5 * _BLOCK), tl.load(p + 6 * _BLOCK)
    )
    z = (key >> 32).to(tl.int32).to(tl.float32, bitcast=True)
    fx, fy = tl.load(intrinsics + b * 4), tl.load(intrinsics + b * 4 + 1)
    cx, cy = tl.load(intrinsics + b * 4 + 2), tl.load(intrinsics + b * 4 + 3)
    ray_x = tl.div_rn(((pixel % width).to(tl.float32) + 0.5) - cx, fx)
    ray_y = tl.div_rn(((pixel // width).to(tl.float32) + 0.5) - cy, fy)
    offset = (nx * x + ny * y) + nz * z
    slope = (nx * ray_x + ny * ray_y) + nz
    tilted = slope < -1e-3
    on_plane = tl.where(tilted, tl.div_rn(offset, tl.where(tilted, slope, 1.0)), z)
    reach = 2.0 * tl.load(p + 3 * _BLOCK)
    on_plane = tl.minimum(tl.maximum(on_plane, tl.maximum(z - reach, _NEAR)), z + reach)
    tl.store(depth + at, tl.where(hit, on_plane, 0.0), mask=real)


class TritonScenes:
    """Pyramids on the device, and the three launches that draw them."""

    def __init__(
        self, pyramids: Sequence[SplatPyramid], inverse_rest: np.ndarray, *, device: str
    ) -> None:
        """Copy pyramids to the device; `inverse_rest` [P, K, 4, 4] are those of their objects."""
        self.device = torch.device(device)
        self._absent = torch.zeros(3, 4, dtype=torch.float64, device=self.device)
        self._absent[2, 3] = float(ABSENT_Z_M)
        self._poses: tuple[np.ndarray, torch.Tensor] | None = None  # drawn last, here and there
        self._parts = [self._upload_arrays(p) for p in pyramids]
        self._join(inverse_rest)

    def update(
        self,
        pyramids: Sequence[SplatPyramid],
        used: Sequence[int],
        filled: int | None,
        inverse_rest: np.ndarray,
    ) -> None:
        """Take another pyramid at `filled`, and let go of those that are not `used`."""
        nothing = tuple(array[:0] for array in self._parts[0])
        kept = {slot: self._parts[slot] for slot in used if slot != filled}
        if filled is not None:
            kept[filled] = self._upload_arrays(pyramids[filled])
        self._parts = [kept.get(slot, nothing) for slot in range(len(pyramids))]
        self._join(inverse_rest)

    def _upload_arrays(self, pyramid: SplatPyramid) -> tuple[torch.Tensor, ...]:
        return tuple(torch.from_numpy(getattr(pyramid, name)).to(self.device) for name in _ARRAYS)

    def _join(self, inverse_rest: np.ndarray) -> None:
        """Put the parts one after the other; from then on they are views of the whole."""
        whole = [torch.cat(arrays).contiguous() for arrays in zip(*self._parts, strict=True)]
        lengths = [[len(array) for array in part] for part in self._parts]
        splits = [
            array.split(sizes)
            for array, sizes in zip(whole, zip(*lengths, strict=True), strict=True)
        ]
        self._parts = [tuple(views) for views in zip(*splits, strict=True)]
        self.geometry, self._attributes, self._sphere, self._cone = whole[:4]
        self._cell_body, self._cell_start = whole[4:]
        blocks, splats, *_, cells = (list(sizes) for sizes in zip(*lengths, strict=True))
        self._first_block, self._first_splat = self._offsets(blocks), self._offsets(splats)
        first_cell = self._offsets(cells)
        self._cell_range = torch.stack([first_cell[:-1], first_cell[1:]], dim=1)
        self._inverse_rest = torch.from_numpy(inverse_rest).to(self.device)
        self._most_cells = max(cells)

    def with_geometry(self, geometry: torch.Tensor) -> TritonScenes:
        """V variants [V, blocks, 8, BLOCK] of the only scene, sharing all but their splats."""
        variants = len(geometry)
        scenes = copy.copy(self)
        scenes.geometry = geometry
        scenes._first_block = torch.arange(variants, device=self.device) * geometry.shape[1]
        scenes._first_splat = self._first_splat[:1].repeat(variants)
        scenes._cell_range = self._cell_range.repeat(variants, 1)
        scenes._inverse_rest = self._inverse_rest.expand(variants, -1, -1, -1)
        return scenes

    def body_transforms(
        self,
        c2w: np.ndarray,
        scene: np.ndarray,
        slot: np.ndarray,
        object_poses: np.ndarray | None,
    ) -> torch.Tensor:
        """Rest-to-camera transforms on the device, float32 [B, K + 1, 3, 4], by way of float64.

        `scene` and `slot` [B] are the cameras' scenes and pyramids, `object_poses` [S, K, 4, 4].
        """
        pose = self._upload(c2w)
        w2c = pose[:, :3, :3].mT  # [B, 3, 3]
        w2c = torch.cat([w2c, -(w2c * pose[:, None, :3, 3]).sum(-1, keepdim=True)], dim=-1)
        if object_poses is None:
            moved = w2c[:, None].expand(-1, self._inverse_rest.shape[1], -1, -1)
        else:
            poses = self._poses_on_device(object_poses)[self._upload(scene)]  # [B, K, 4, 4]
            most = min(poses.shape[1], self._inverse_rest.shape[1])
            motion = poses[:, :most] @ self._inverse_rest[self._upload(slot), :most]
            moved = (w2c[:, None, :, :, None] * motion[:, :, None]).sum(-2)  # [B, K, 3, 4]
            absent = moved[..., :1, 3:].isnan()
            moved = moved.where(~absent, self._absent)
        return torch.cat([w2c[:, None], moved], dim=1).float().contiguous()

    def _poses_on_device(self, object_poses: np.ndarray) -> torch.Tensor:
        """Poses [S, K, 4, 4] on the device, of which only scenes that differ are copied there."""
        kept, object_poses = self._poses, np.ascontiguousarray(object_poses, np.float64)
        if kept is None or kept[0].shape != object_poses.shape:
            self._poses = object_poses.copy(), self._upload(object_poses)
            return self._poses[1]
        before, on_device = kept
        # Bits, because NaN stands for what is not there.
        same = object_poses.view(np.int64) == before.view(np.int64)
        changed = np.flatnonzero(~same.all(axis=(1, 2, 3)))
        if len(changed):
            before[changed] = object_poses[changed]
            rows, values = self._upload(changed), self._upload(object_poses[changed])
            on_device = on_device.index_copy(0, rows, values)
            self._poses = before, on_device
        return on_device

    def render(self, task: RasterTask) -> RasterImages:
        """Draw the task's cameras into tensors on the device."""
        from worldfm_gym.anchor.raster import RasterImages

        batch, height, width = len(task.scene), task.height, task.width
        scene = self._upload(task.scene.astype(np.int32))
        bodies, per_camera = task.bodies, task.bodies.shape[1]
        intrinsics, levels = self._upload(task.intrinsics), self._upload(task.levels)
        keys = torch.full(
            (batch, height, width), _EMPTY.value, dtype=torch.int64, device=self.device
        )
        work = torch.empty((batch, self._most_cells, 3), dtype=torch.int32, device=self.device)
        count = torch.zeros(batch, dtype=torch.int32, device=self.device)
        images = RasterImages(
            *(
                torch.empty((batch, height, width, *tail), dtype=dtype, device=self.device)
                for dtype, tail in (
                    (torch.uint8, (3,)),
                    (torch.float32, ()),
                    (torch.int32, ()),
                    (torch.uint8, ()),
                    (torch.int32, ()),
                )
            )
        )
        exact: dict[str, Any] = {"enable_fp_fusion": False}
        _select_cells[(batch, triton.cdiv(self._most_cells, _CELLS))](
            self._sphere, self._cone, self._cell_body, self._cell_start, self._cell_range, scene,
            bodies, per_camera, intrinsics, levels, width, height, work, count, self._most_cells,
            CELLS=_CELLS, num_warps=4, **exact,
        )  # fmt: skip
        _splat[(batch, _SHARES)](
            self.geometry, self._first_block, scene, bodies, per_camera, intrinsics, width, height,
            work, count, self._most_cells, keys,
            LANES=_LANES, SHARES=_SHARES, num_warps=_LANES // 32, **exact,
        )  # fmt: skip
        _resolve[(batch, triton.cdiv(height * width, _PIXELS))](
            self.geometry, self._attributes, self._first_block, self._first_splat, scene, bodies,
            per_camera, intrinsics, width, height, keys, images.rgb, images.depth, images.instance,
            images.provenance, images.index,
            PIXELS=_PIXELS, num_warps=4, **exact,
        )  # fmt: skip
        return images

    def _offsets(self, lengths: Sequence[int]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])).to(self.device)

    def _upload(self, array: np.ndarray) -> torch.Tensor:
        # Broadcast views, which can't be written to, are not what torch takes.
        whole = torch.from_numpy(np.require(array, requirements=["C", "W"]))
        if self.device.type == "cuda":  # a copy from other memory would wait for the device
            whole = whole.pin_memory()
        return whole.to(self.device, non_blocking=True)
