"""AnchorRaster: draws anchors by z-buffered splatting, on one contract with three backends.

The contract:

* A splat is a disc; it covers the pixel box of its projection and at least the pixel that holds its
  center. Splats that face away are not drawn; splats without a normal are seen from every side.
* Each cell of the pyramid is drawn at one level, chosen by its distance and the focal length.
* The nearest center wins a pixel; ties go to the lower splat. The result does not depend on the
  order of drawing and is the same bit for bit from run to run.
* Depth is where the pixel's ray meets the winner's tangent plane.

Backends: ``"torch"`` is the oracle, ``"numba"`` the compiled CPU version, ``"triton"`` the GPU one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.pyramid import ABSENT_Z_M, LEVEL_PIXELS, LEVELS, SplatPyramid
from worldfm_gym.camera import Camera
from worldfm_gym.shared_slots import SharedSlots, SlotChange
from worldfm_gym.threads import num_threads, run_striped

Backend = Literal["torch", "numba", "triton"]
TABLE_COLUMNS = 12  # of `raster_cpu.address_table`


@dataclass(frozen=True, slots=True)
class RasterImages:
    """What the raster draws: numpy arrays, or torch tensors on the device for ``"triton"``.

    Attributes:
        rgb: uint8 [B, H, W, 3]; black where nothing is seen.
        depth: z-depth in metres, float32 [B, H, W]; 0 where nothing is seen.
        instance: Object ids, int32 [B, H, W]; −1 where nothing is seen.
        provenance: `Provenance` values, uint8 [B, H, W].
        index: Anchor point seen, int32 [B, H, W]; −1 where nothing is seen.
    """

    rgb: Any
    depth: Any
    instance: Any
    provenance: Any
    index: Any

    @property
    def coverage(self) -> Any:
        """Whether a point is seen, bool [B, H, W]."""
        return self.index >= 0


class AnchorRaster:
    """Draws cameras in any mix of scenes in one call."""

    def __init__(
        self, pyramids: Sequence[SplatPyramid], backend: Backend = "numba", *, device: str = "cuda"
    ) -> None:
        """Prepare pyramids for drawing.

        Args:
            pyramids: One per scene; scenes of the same world share one.
            backend: Which implementation draws.
            device: Where ``"triton"`` draws; ignored by the others.
        """
        self.backend = backend
        self._scenes = SharedSlots([id(p) for p in pyramids])
        self._distinct = [pyramids[first] for first in self._scenes.first_scenes()]
        most = max(len(p.inverse_rest) for p in self._distinct)
        slots = len(self._distinct)
        self._objects = np.zeros(slots, np.int64)
        self._inverse_rest = np.tile(np.eye(4), (slots, most, 1, 1))
        self._level1_m = np.zeros(slots)
        self._tables = np.zeros((slots, TABLE_COLUMNS), np.int64)
        if backend not in ("torch", "numba", "triton"):
            raise ValueError(f"backend must be 'torch', 'numba' or 'triton', got {backend!r}")
        for slot, pyramid in enumerate(self._distinct):
            self._note(slot, pyramid)
        if backend == "triton":
            from worldfm_gym.anchor.raster_triton import TritonScenes

            self._triton = TritonScenes(self._distinct, self._inverse_rest, device=device)

    @property
    def pyramids(self) -> list[SplatPyramid]:
        """One per scene."""
        return [self._distinct[slot] for slot in self._scenes.of_scene]

    @property
    def geometry(self) -> Any:
        """Splats of the only scene as `SplatPyramid.geometry`, a tensor where they are drawn."""
        (pyramid,) = self.pyramids
        if self.backend == "triton":
            return self._triton.geometry
        import torch

        return torch.from_numpy(pyramid.geometry)

    def with_geometry(self, geometry: Any) -> AnchorRaster:
        """A raster of V variants of the only scene, which share everything but their splats.

        Args:
            geometry: Splats of each variant, a float32 tensor like `geometry` with a leading
                dimension, [V, ⌈M / BLOCK⌉, 8, BLOCK]. Those at NaN positions are not drawn; others
                must stay within the bounding spheres of their cells.
        """
        (pyramid,) = self.pyramids
        if self.backend != "triton":
            variants = [replace(pyramid, geometry=g) for g in geometry.numpy()]
            return AnchorRaster(variants, self.backend)
        raster, count = copy.copy(self), len(geometry)
        raster._scenes = SharedSlots(range(count))
        raster._distinct = self._distinct * count
        raster._objects = self._objects.repeat(count)
        raster._level1_m = self._level1_m.repeat(count)
        raster._inverse_rest = self._inverse_rest.repeat(count, axis=0)
        raster._triton = self._triton.with_geometry(geometry)
        return raster

    def replace_pyramid(self, scene: int, pyramid: SplatPyramid) -> None:
        """Draw another pyramid in a scene; one that other scenes show already costs nothing."""
        change = self._scenes.replace(scene, id(pyramid))
        if change.filled is not None:
            if change.filled == len(self._distinct):
                self._distinct.append(pyramid)
            self._distinct[change.filled] = pyramid
            self._note(change.filled, pyramid)
        if change.freed is not None:
            self._distinct[change.freed] = pyramid  # lets go of the old one
        if self.backend == "triton" and change != SlotChange(None, None):
            used = list(self._scenes.used())
            self._triton.update(self._distinct, used, change.filled, self._inverse_rest)

    def _note(self, slot: int, pyramid: SplatPyramid) -> None:
        """Keep what drawing needs to know of a pyramid beside its arrays."""
        count = len(pyramid.inverse_rest)
        slots, most = self._inverse_rest.shape[:2]
        if slot >= slots or count > most:
            grown = max(slots, slot + 1), max(most, count)
            inverse_rest = np.tile(np.eye(4), (*grown, 1, 1))
            inverse_rest[:slots, :most] = self._inverse_rest
            self._inverse_rest = inverse_rest
            more = (0, grown[0] - slots)
            self._objects = np.pad(self._objects, more)
            self._level1_m = np.pad(self._level1_m, more)
            self._tables = np.pad(self._tables, (more, (0, 0)))
        self._inverse_rest[slot] = np.eye(4)
        self._inverse_rest[slot, :count] = pyramid.inverse_rest
        self._objects[slot] = count
        self._level1_m[slot] = 2 * pyramid.spacing_m / LEVEL_PIXELS
        if self.backend == "numba":
            from worldfm_gym.anchor.raster_cpu import address_table

            self._tables[slot] = address_table(pyramid)

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> RasterImages:
        """Draw one image per camera.

        Args:
            cameras: B cameras, c2w [B, 4, 4].
            scene: Index of each camera's pyramid, int64 [B].
            object_poses: Object-to-world transforms per scene, float64 [S, K, 4, 4], padding beyond
                a scene's objects ignored; an object whose pose is NaN is not drawn. None draws
                every object at rest.
        """
        slot = self._scenes.of_scene[scene]
        if self.backend == "triton":
            bodies = self._triton.body_transforms(cameras.c2w, scene, slot, object_poses)
        else:
            bodies = body_transforms(
                np.ascontiguousarray(cameras.c2w),
                np.ascontiguousarray(scene, np.int64),
                slot,
                np.empty((0, 0, 4, 4)) if object_poses is None else object_poses,
                self._inverse_rest,
                self._objects,
            )
        level1_m = self._level1_m[slot] * cameras.intrinsics[:, :2].max(axis=1)
        task = RasterTask(
            bodies=bodies,
            scene=slot,
            intrinsics=cameras.intrinsics.astype(np.float32),
            levels=(level1_m[:, None] * _LEVEL_STEPS).astype(np.float32),
            width=cameras.width,
            height=cameras.height,
        )
        if self.backend == "numba":
            return _render_numba(self._tables, task)
        if self.backend == "triton":
            return self._triton.render(task)
        return _render_torch(self._distinct, task)


@dataclass(frozen=True, slots=True)
class RasterTask:
    """What every backend gets, so that all start from the same float32 numbers.

    Attributes:
        bodies: Rest-to-camera transforms of the background and the K objects of each camera's
            scene, padded, float32 [B, K + 1, 3, 4]; on the device for ``"triton"``.
        scene: Pyramid of each camera, among the distinct ones, int64 [B].
        intrinsics: (fx, fy, cx, cy), float32 [B, 4].
        levels: Distances from which coarser levels are drawn, metres, float32 [B, LEVELS − 1].
        width: Image width.
        height: Image height.
    """

    bodies: Any
    scene: NDArray[np.int64]
    intrinsics: NDArray[np.float32]
    levels: NDArray[np.float32]
    width: int
    height: int


_PIXELS_PER_THREAD = 32_768
_LEVEL_STEPS = 2.0 ** np.arange(LEVELS - 1)


@numba.njit(cache=True, nogil=True)
def body_transforms(
    c2w: Any, scene: Any, slot: Any, object_poses: Any, inverse_rest: Any, objects: Any
) -> Any:
    """Rest-to-camera transforms, float32 [B, K + 1, 3, 4], computed in float64.

    An object that is not there is put where no camera sees anything, far behind it.
    """
    bodies = np.empty((len(scene), inverse_rest.shape[1] + 1, 3, 4), np.float32)
    w2c, moved = np.empty((3, 4)), np.empty((3, 4))
    for b in range(len(scene)):
        for i in range(3):
            w2c[i, 3] = 0.0
            for j in range(3):
                w2c[i, j] = c2w[b, j, i]
                w2c[i, 3] -= c2w[b, j, i] * c2w[b, j, 3]
        _copy(w2c, bodies[b, 0])
        for k in range(objects[slot[b]]):
            if len(object_poses) == 0:
                _copy(w2c, bodies[b, k + 1])
                continue
            if np.isnan(object_poses[scene[b], k, 0, 3]):
                bodies[b, k + 1] = np.float32(0)
                bodies[b, k + 1, 2, 3] = ABSENT_Z_M
                continue
            _compose(w2c, object_poses[scene[b], k], moved)
            _compose(moved, inverse_rest[slot[b], k], bodies[b, k + 1])
    return bodies


@numba.njit(cache=True, nogil=True, inline="always")
def _copy(a: Any, out: Any) -> None:
    """Copy [3, 4]; assigning a slice takes Numba seconds to compile."""
    for i in range(3):
        for j in range(4):
            out[i, j] = a[i, j]


@numba.njit(cache=True, nogil=True, inline="always")
def _compose(a: Any, b: Any, out: Any) -> None:
    """First three rows of the product of two rigid transforms."""
    for i in range(3):
        for j in range(4):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
        out[i, 3] += a[i, 3]


def _render_numba(tables: NDArray[np.int64], task: RasterTask) -> RasterImages:
    from worldfm_gym.anchor import raster_cpu

    shape = (len(task.scene), task.height, task.width)
    images = RasterImages(
        rgb=np.empty((*shape, 3), np.uint8),
        depth=np.empty(shape, np.float32),
        instance=np.empty(shape, np.int32),
        provenance=np.empty(shape, np.uint8),
        index=np.empty(shape, np.int32),
    )
    # A small lone image stays on one thread: another one costs more to wait for than it draws,
    # above all on a busy machine. Large ones are cut into bands, batches go camera by camera.
    spare = num_threads() // max(len(task.scene), 1)
    bands = max(1, min(spare, task.width * task.height // _PIXELS_PER_THREAD))
    run_striped(
        raster_cpu.draw,
        len(task.scene) * bands,
        tables,
        task.scene,
        task.bodies,
        task.intrinsics,
        task.levels,
        _bands(task.width, task.height, bands),
        (images.rgb, images.depth, images.instance, images.provenance, images.index),
    )
    return images


@lru_cache(maxsize=16)
def _bands(width: int, height: int, count: int) -> NDArray[np.int64]:
    """(first column, end column, height) of bands of about one width, int64 [count, 3]."""
    edges = np.linspace(0, width, count + 1).astype(np.int64)
    return np.stack([edges[:-1], edges[1:], np.full(count, height)], axis=1)


def _render_torch(pyramids: Sequence[SplatPyramid], task: RasterTask) -> RasterImages:
    import torch

    from worldfm_gym.anchor.raster_torch import rasterize_one

    winners, depths = [], []
    for b, scene in enumerate(task.scene):
        winner, depth = rasterize_one(
            pyramids[scene],
            torch.from_numpy(task.bodies[b]),
            intrinsics=torch.from_numpy(task.intrinsics[b]),
            levels=torch.from_numpy(task.levels[b]),
            width=task.width,
            height=task.height,
        )
        winners.append(winner.numpy())
        depths.append(depth.numpy())
    won = np.stack(winners)
    drawn = won >= 0

    def pick(values: Any, nothing: Any) -> Any:
        per_scene = [values(pyramids[s])[w] for s, w in zip(task.scene, won, strict=True)]
        mask = drawn[..., None] if per_scene[0].ndim == 3 else drawn
        return np.where(mask, np.stack(per_scene), np.array(nothing, per_scene[0].dtype))

    return RasterImages(
        rgb=pick(lambda p: _color_bytes(p)[:, :3], 0),
        depth=np.stack(depths),
        instance=pick(lambda p: p.attributes[:, 1], -1),
        provenance=pick(lambda p: _color_bytes(p)[:, 3] + np.uint8(1), 0),
        index=pick(lambda p: p.attributes[:, 2], -1),
    )


def _color_bytes(pyramid: SplatPyramid) -> NDArray[np.uint8]:
    """(red, green, blue, generated) of each splat, uint8 [M, 4]."""
    return np.ascontiguousarray(pyramid.attributes[:, :1]).view(np.uint8)
