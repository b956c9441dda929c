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
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.pyramid import LEVEL_PIXELS, LEVELS, SplatPyramid
from worldfm_gym.camera import Camera
from worldfm_gym.threads import num_threads, run_striped

Backend = Literal["torch", "numba", "triton"]


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
        self.pyramids = list(pyramids)
        self.backend = backend
        self._objects = np.array([len(p.inverse_rest) for p in self.pyramids], np.int64)
        self._inverse_rest = np.tile(np.eye(4), (len(self.pyramids), self._objects.max(), 1, 1))
        for row, pyramid in zip(self._inverse_rest, self.pyramids, strict=True):
            row[: len(pyramid.inverse_rest)] = pyramid.inverse_rest
        self._level1_m = np.array([2 * p.spacing_m / LEVEL_PIXELS for p in self.pyramids])
        if backend == "triton":
            from worldfm_gym.anchor.raster_triton import TritonScenes

            self._triton = TritonScenes(self.pyramids, self._inverse_rest, device=device)
        elif backend == "numba":
            from worldfm_gym.anchor.raster_cpu import address_table

            self._tables = np.stack([address_table(p) for p in self.pyramids])
        elif backend != "torch":
            raise ValueError(f"backend must be 'torch', 'numba' or 'triton', got {backend!r}")

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
        raster = copy.copy(self)
        raster.pyramids = self.pyramids * len(geometry)
        raster._objects = self._objects.repeat(len(geometry))
        raster._level1_m = self._level1_m.repeat(len(geometry))
        raster._triton = self._triton.with_geometry(geometry)
        return raster

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
                a scene's objects ignored. None draws every object at rest.
        """
        scene = np.ascontiguousarray(scene, np.int64)
        if self.backend == "triton":
            bodies = self._triton.body_transforms(cameras.c2w, scene, object_poses)
        else:
            bodies = body_transforms(
                np.ascontiguousarray(cameras.c2w),
                scene,
                np.empty((0, 0, 4, 4)) if object_poses is None else object_poses,
                self._inverse_rest,
                self._objects,
            )
        level1_m = self._level1_m[scene] * cameras.intrinsics[:, :2].max(axis=1)
        task = RasterTask(
            bodies=bodies,
            scene=scene,
            intrinsics=cameras.intrinsics.astype(np.float32),
            levels=(level1_m[:, None] * _LEVEL_STEPS).astype(np.float32),
            width=cameras.width,
            height=cameras.height,
        )
        if self.backend == "numba":
            return _render_numba(self._tables, task)
        if self.backend == "triton":
            return self._triton.render(task)
        return _render_torch(self.pyramids, task)


@dataclass(frozen=True, slots=True)
class RasterTask:
    """What every backend gets, so that all start from the same float32 numbers.

    Attributes:
        bodies: Rest-to-camera transforms of the background and the K objects of each camera's
            scene, padded, float32 [B, K + 1, 3, 4]; on the device for ``"triton"``.
        scene: Scene of each camera, int64 [B].
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
    c2w: Any, scene: Any, object_poses: Any, inverse_rest: Any, objects: Any
) -> Any:
    """Rest-to-camera transforms, float32 [B, K + 1, 3, 4], computed in float64."""
    bodies = np.empty((len(scene), inverse_rest.shape[1] + 1, 3, 4), np.float32)
    w2c, moved = np.empty((3, 4)), np.empty((3, 4))
    for b in range(len(scene)):
        for i in range(3):
            w2c[i, 3] = 0.0
            for j in range(3):
                w2c[i, j] = c2w[b, j, i]
                w2c[i, 3] -= c2w[b, j, i] * c2w[b, j, 3]
        _copy(w2c, bodies[b, 0])
        for k in range(objects[scene[b]]):
            if len(object_poses) == 0:
                _copy(w2c, bodies[b, k + 1])
                continue
            _compose(w2c, object_poses[scene[b], k], moved)
            _compose(moved, inverse_rest[scene[b], k], bodies[b, k + 1])
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
    edges = np.linspace(0, task.width, bands + 1).astype(np.int64)
    run_striped(
        raster_cpu.draw,
        len(task.scene) * bands,
        tables,
        task.scene,
        task.bodies,
        task.intrinsics,
        task.levels,
        np.stack([edges[:-1], edges[1:], np.full(bands, task.height)], axis=1),
        (images.rgb, images.depth, images.instance, images.provenance, images.index),
    )
    return images


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
