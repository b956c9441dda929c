"""OccupancyGrid: 3D voxels that are free, occupied or unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.errors import NavigationError

if TYPE_CHECKING:
    from worldfm_gym.anchor.cloud import Anchor
    from worldfm_gym.worlds.world import Reference

_REACH_VOXELS = 12  # the 3D distance field saturates here
_MAX_VOXELS = 200_000_000


class VoxelState(IntEnum):
    """What is known of a voxel."""

    UNKNOWN = 0
    FREE = 1
    OCCUPIED = 2


@dataclass(eq=False, slots=True)
class OccupancyGrid:
    """Voxel states of the static background.

    Attributes:
        states: `VoxelState` values, uint8 [nz, ny, nx]; the outermost layer is unknown.
        origin: World position of the lowest corner of voxel [0, 0, 0], float64 [3].
        cell_m: Side of a voxel in metres.
    """

    states: NDArray[np.uint8]
    origin: NDArray[np.float64]
    cell_m: float
    _distance: dict[bool, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @classmethod
    def covering(
        cls, low: NDArray[np.float64], high: NDArray[np.float64], *, cell_m: float, fill: VoxelState
    ) -> OccupancyGrid:
        """A grid around the box `low`…`high` [3] with an unknown border, filled with one state.

        The plane z = 0 runs through voxel centres, so that a floor's noise stays in one layer.

        Raises:
            NavigationError: If the grid would be too large to hold.
        """
        first = np.floor(low / cell_m) - 2.0
        first[2] = math.floor(min(low[2], 0.0) / cell_m) - 1.5
        last = np.ceil(high / cell_m) + 2.0
        count = np.ceil(last - first).astype(np.int64)
        if count.prod() > _MAX_VOXELS:
            extent = ", ".join(f"{v:.1f}" for v in high - low)
            raise NavigationError(
                f"the world spans ({extent}) m, too much for {cell_m} m voxels: "
                "pass a larger cell_m, or crop the points"
            )
        states = np.full(count[::-1], VoxelState.UNKNOWN, np.uint8)
        states[1:-1, 1:-1, 1:-1] = fill
        return cls(states, first * cell_m, cell_m)

    def carve(self, references: Sequence[Reference], *, body_radius_m: float) -> None:
        """Mark free what posed depth images have looked through (and where their cameras were).

        Pixels are thinned so that neighboring rays stay within a voxel of each other.
        """
        for reference in references:
            camera = reference.camera
            seen = reference.depth[reference.depth > 0]
            if seen.size == 0:
                continue
            far = float(np.percentile(seen[:: max(1, seen.size // 4096)], 95))
            focal = float(camera.intrinsics[:2].min())
            stride = max(1, int(0.8 * self.cell_m * focal / far))
            _carve_rays(
                self.states,
                self.origin,
                self.cell_m,
                np.ascontiguousarray(reference.depth[stride // 2 :: stride, stride // 2 :: stride]),
                camera.c2w,
                camera.intrinsics,
                stride,
            )
            _carve_ball(
                self.states,
                self.origin,
                self.cell_m,
                camera.c2w[:3, 3],
                body_radius_m + self.cell_m,
            )

    def stamp_background(self, anchor: Anchor) -> None:
        """Mark occupied the voxels that background points (instance 0) lie in."""
        _stamp_points(
            self.states,
            self.origin,
            self.cell_m,
            anchor.points,
            anchor.normals,
            anchor.radius,
            anchor.instance,
        )

    def free_columns(
        self, known_free: NDArray[np.bool_], headroom: NDArray[np.float32], *, height_m: float
    ) -> None:
        """Mark free what stands over known floor, up to the lowest point above or `height_m`.

        Args:
            known_free: Floor cells that are known and free, bool [ny, nx].
            headroom: z of the lowest point above each cell, infinite without one, [ny, nx].
            height_m: How far up to go where nothing hangs above, metres.
        """
        top = np.where(np.isfinite(headroom), headroom, height_m)
        z = self.origin[2] + (np.arange(self.states.shape[0]) + 0.5) * self.cell_m
        above_floor = (z > 0)[:, None, None] & (z[:, None, None] < top)
        above_floor[[0, -1]] = False
        self.states[above_floor & known_free] = VoxelState.FREE

    def state_at(self, points_world: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """`VoxelState` values of points [..., 3], uint8 [...]; unknown outside the grid."""
        cells = np.floor((np.asarray(points_world) - self.origin) / self.cell_m).astype(np.int64)
        inside = np.all((cells >= 0) & (cells < self.states.shape[::-1]), axis=-1)
        x, y, z = np.moveaxis(np.where(np.expand_dims(inside, -1), cells, 0), -1, 0)
        return np.where(inside, self.states[z, y, x], np.uint8(VoxelState.UNKNOWN))

    @property
    def reach_m(self) -> float:
        """Largest distance in metres that `distance_field` tells apart."""
        return _REACH_VOXELS * self.cell_m

    def distance_field(self, *, unknown_is_solid: bool = True) -> NDArray[np.float32]:
        """Metres from voxel centres to the nearest solid voxel's centre, float32 [nz, ny, nx].

        Exact up to `reach_m`, constant beyond. Computed once, at the first call.
        """
        if unknown_is_solid not in self._distance:
            solid = self.states == VoxelState.OCCUPIED
            if unknown_is_solid:
                solid = self.states != VoxelState.FREE
            squares = _truncated_squares(solid)
            table = (np.sqrt(np.arange(_REACH_VOXELS**2 + 1)) * self.cell_m).astype(np.float32)
            self._distance[unknown_is_solid] = table[squares]
        return self._distance[unknown_is_solid]


@njit(cache=True, nogil=True)
def _carve_rays(
    states: Any, origin: Any, cell_m: float, depth: Any, c2w: Any, intrinsics: Any, stride: int
) -> None:
    """Mark free the voxels on each pixel's ray, short of its surface (Amanatides & Woo, 1987)."""
    nz, ny, nx = states.shape
    fx, fy, cx, cy = intrinsics
    position = (c2w[:3, 3] - origin) / cell_m  # in voxels
    size = np.array([nx, ny, nz])
    voxel, step = np.empty(3, np.int64), np.empty(3, np.int64)
    ray, until, across = np.empty(3), np.empty(3), np.empty(3)
    for v in range(depth.shape[0]):
        y_cam = (v * stride + stride // 2 + 0.5 - cy) / fy
        for u in range(depth.shape[1]):
            if not depth[v, u] > 0.0:
                continue
            x_cam = (u * stride + stride // 2 + 0.5 - cx) / fx
            length = math.sqrt(x_cam * x_cam + y_cam * y_cam + 1.0)
            end = depth[v, u] * length / cell_m - 1.0  # voxels along the ray
            for i in range(3):
                ray[i] = (c2w[i, 0] * x_cam + c2w[i, 1] * y_cam + c2w[i, 2]) / length
                voxel[i] = math.floor(position[i])
                step[i] = 1 if ray[i] > 0.0 else -1
                across[i] = 1.0 / max(abs(ray[i]), 1e-12)
                edge = voxel[i] + (1 if ray[i] > 0.0 else 0)
                until[i] = abs(edge - position[i]) * across[i]
            travelled = 0.0
            while travelled < end:
                inside = True
                for i in range(3):
                    inside = inside and 1 <= voxel[i] < size[i] - 1
                if inside:
                    states[voxel[2], voxel[1], voxel[0]] = VoxelState.FREE
                axis = 0
                if until[1] < until[axis]:
                    axis = 1
                if until[2] < until[axis]:
                    axis = 2
                travelled = until[axis]
                until[axis] += across[axis]
                voxel[axis] += step[axis]


@njit(cache=True, nogil=True)
def _carve_ball(states: Any, origin: Any, cell_m: float, center: Any, radius: float) -> None:
    """Mark free the voxels whose centres lie in a ball."""
    nz, ny, nx = states.shape
    low = ((center - radius - origin) / cell_m).astype(np.int64)
    high = ((center + radius - origin) / cell_m).astype(np.int64) + 1
    for z in range(max(low[2], 1), min(high[2], nz - 1)):
        for y in range(max(low[1], 1), min(high[1], ny - 1)):
            for x in range(max(low[0], 1), min(high[0], nx - 1)):
                dx = origin[0] + (x + 0.5) * cell_m - center[0]
                dy = origin[1] + (y + 0.5) * cell_m - center[1]
                dz = origin[2] + (z + 0.5) * cell_m - center[2]
                if dx * dx + dy * dy + dz * dz <= radius * radius:
                    states[z, y, x] = VoxelState.FREE


@njit(cache=True, nogil=True)
def tangents(normal: Any) -> Any:
    """Two unit vectors that span the plane of a unit normal (zeros of an unknown normal)."""
    x, y, z = normal[0], normal[1], normal[2]
    if x * x + y * y + z * z < 0.25:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    if abs(z) < 0.9:
        norm = math.sqrt(x * x + y * y)
        a = (-y / norm, x / norm, 0.0)
    else:
        norm = math.sqrt(x * x + z * z)
        a = (z / norm, 0.0, -x / norm)
    b = (y * a[2] - z * a[1], z * a[0] - x * a[2], x * a[1] - y * a[0])
    return a, b


@njit(cache=True, nogil=True)
def _stamp_points(
    states: Any, origin: Any, cell_m: float, points: Any, normals: Any, radius: Any, instance: Any
) -> None:
    """Mark voxels of points; a point wider than a voxel marks its whole square of surface."""
    nz, ny, nx = states.shape
    for n in range(len(points)):
        if instance[n] != 0:
            continue
        copies = min(int(radius[n] / cell_m + 0.4), 5)
        a, b = tangents(normals[n]) if copies > 0 else ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
        spacing = radius[n] / max(copies, 1)
        for i in range(-copies, copies + 1):
            for j in range(-copies, copies + 1):
                p, q = i * spacing, j * spacing
                x = math.floor((points[n, 0] + p * a[0] + q * b[0] - origin[0]) / cell_m)
                y = math.floor((points[n, 1] + p * a[1] + q * b[1] - origin[1]) / cell_m)
                z = math.floor((points[n, 2] + p * a[2] + q * b[2] - origin[2]) / cell_m)
                if 0 <= x < nx and 0 <= y < ny and 0 <= z < nz:
                    states[z, y, x] = VoxelState.OCCUPIED


@njit(cache=True, nogil=True)
def _truncated_squares(solid: Any) -> Any:
    """Squared distance in voxels to the nearest solid voxel, at most reach², one axis at a time."""
    nz, ny, nx = solid.shape
    reach = _REACH_VOXELS
    limit = np.int16(reach * reach)
    rows = np.empty((nz, ny, nx), np.int16)
    for z in range(nz):
        for y in range(ny):
            steps = reach
            for x in range(nx):
                steps = 0 if solid[z, y, x] else min(steps + 1, reach)
                rows[z, y, x] = steps
            steps = reach
            for x in range(nx - 1, -1, -1):
                steps = 0 if solid[z, y, x] else min(steps + 1, reach)
                best = min(steps, rows[z, y, x])
                rows[z, y, x] = best * best
    planes = np.full((nz, ny, nx), limit, np.int16)
    for z in range(nz):
        for y in range(ny):
            for other in range(max(y - reach, 0), min(y + reach + 1, ny)):
                _lower(planes[z, y], rows[z, other], np.int16((other - y) * (other - y)))
    out = np.full((nz, ny, nx), limit, np.int16)
    for z in range(nz):
        for other in range(max(z - reach, 0), min(z + reach + 1, nz)):
            for y in range(ny):
                _lower(out[z, y], planes[other, y], np.int16((other - z) * (other - z)))
    return out


@njit(cache=True, nogil=True)
def _lower(best: Any, values: Any, offset: Any) -> None:
    """Lower `best` to values + offset along a row."""
    for x in range(len(best)):
        value = np.int16(values[x] + offset)
        best[x] = value if value < best[x] else best[x]
