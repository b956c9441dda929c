"""Seen space: what observed frames say about where nothing new may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.pyramid import DISC_PER_RADIUS
from worldfm_gym.anchor.raster import AnchorRaster, RasterImages
from worldfm_gym.camera import Camera
from worldfm_gym.worlds.world import Reference, World

FREE, COVERS, IN_FREE_SPACE = 0, 1, 2

_MARGIN_M, _MARGIN = 0.02, 0.015  # of measured depth: absolute, and relative to it
_BACKING_M = 0.04
_SPLITS = 2  # how often a point at the edge of what was seen is cut in four


class SeenSpace:
    """The free space and the pixels that the observed references of a world hold.

    References that were drawn, not observed, say nothing here.
    """

    def __init__(self, world: World) -> None:
        self.references: Sequence[Reference] = [r for r in world.references if not r.generated]
        self._drawn = [_rasterized(world, r.camera) for r in self.references]

    def judge(
        self, points_world: NDArray[np.floating[Any]], radius: NDArray[np.floating[Any]]
    ) -> NDArray[np.uint8]:
        """Whether new points may be where they are.

        Args:
            points_world: [N, 3].
            radius: Their radius in metres [N].

        Returns:
            uint8 [N]: `IN_FREE_SPACE` where a reference has looked through the point's place;
            `COVERS` where its splat would cover, at a reference's camera, a pixel that shows an
            anchor point not clearly nearer; otherwise `FREE`.
        """
        verdict = np.zeros(len(points_world), np.uint8)
        points = np.ascontiguousarray(points_world, np.float64)
        reach = np.ascontiguousarray(radius, np.float64) * float(DISC_PER_RADIUS)
        for reference, drawn in zip(self.references, self._drawn, strict=True):
            _judge(
                points,
                reach,
                reference.depth,
                drawn.depth[0],
                reference.camera.w2c,
                reference.camera.intrinsics,
                verdict,
            )
        return verdict

    def allowed(self, points: Anchor) -> Anchor | None:
        """The new points that may be where they are, smaller ones at the edge of what was seen.

        A point that only covers too much is cut in four, which may lie beside that. What may not
        be on a surface may be a little below it, where it shows through gaps. None is returned if
        nothing is left.
        """
        sunk = (points.points - _BACKING_M * points.normals).astype(np.float32)
        below = self.judge(points.points, points.radius) != FREE
        below &= self.judge(sunk, points.radius) == FREE
        kept = [replace(points, points=sunk)[below]] if below.any() else []
        for _ in range(_SPLITS + 1):
            verdict = self.judge(points.points, points.radius)
            if (verdict == FREE).any():
                kept.append(points[verdict == FREE])
            edge = verdict == COVERS
            if not edge.any():
                break
            points = _quartered(points[edge])
        return Anchor.concatenate(kept) if kept else None

    def hiding(self, world: World, kept: int) -> NDArray[np.bool_]:
        """Points that change what observed references' cameras see.

        Args:
            world: The grown world.
            kept: Its first points are those of the world before.

        Returns:
            bool [N]; False for the first `kept` ones.
        """
        guilty = np.zeros(len(world.anchor), np.bool_)
        for reference, before in zip(self.references, self._drawn, strict=True):
            after = _rasterized(world, reference.camera)
            changed = (after.rgb != before.rgb).any(axis=-1) | (after.depth != before.depth)
            changed &= before.coverage
            if changed.any():
                focal = float(reference.camera.intrinsics[:2].min())
                reach = 2.0 * world.pyramid.spacing_m + 3.0 * after.depth[changed] / focal
                guilty |= _near(world.anchor, after.index[changed], reach)
        guilty[:kept] = False
        return guilty


def without_hiding(world: World, seen: SeenSpace, kept: int) -> World:
    """The world without new points that change an observed pixel; the first `kept` ones stay."""
    while (guilty := seen.hiding(world, kept)).any():
        world = replace(world, anchor=world.anchor[~guilty])
    return world


def _rasterized(world: World, camera: Camera) -> RasterImages:
    """The world at rest in one view, batch of one; without ids, which a scan's many views fill."""
    images = AnchorRaster([world.pyramid]).render(
        Camera.unchecked(
            camera.c2w[None], camera.intrinsics[None], width=camera.width, height=camera.height
        ),
        np.zeros(1, np.int64),
    )
    return replace(images, instance=None, provenance=None)


def _near(
    anchor: Anchor, index: NDArray[np.int32], reach_m: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Generated points within reach of some of them, bool [N]."""
    from scipy.spatial import cKDTree

    near = np.zeros(len(anchor), np.bool_)
    index, first = np.unique(index, return_index=True)
    own = anchor.generated[index]
    index, reach_m = index[own], reach_m[first][own]
    if len(index):
        generated = np.flatnonzero(anchor.generated)
        tree = cKDTree(anchor.points[generated])
        found = tree.query_ball_point(anchor.points[index], reach_m)
        near[generated[np.unique(np.concatenate([np.asarray(f, np.int64) for f in found]))]] = True
    return near


def _quartered(points: Anchor) -> Anchor:
    """Each point's square of surface as four of half the side; unknown normals lie level."""
    known = np.linalg.norm(points.normals, axis=1, keepdims=True) > 0.5
    normals = np.where(known, points.normals, [[0.0, 0.0, 1.0]])
    across = np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    a = np.cross(normals, across)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = np.cross(normals, a)
    half = 0.5 * points.radius[:, None]
    return Anchor.concatenate(
        [
            replace(
                points,
                points=(points.points + half * (i * a + j * b)).astype(np.float32),
                radius=0.5 * points.radius,
            )
            for i in (-1, 1)
            for j in (-1, 1)
        ]
    )


@njit(cache=True, nogil=True)
def _judge(
    points: Any, reach: Any, depth: Any, drawn: Any, w2c: Any, intrinsics: Any, verdict: Any
) -> None:
    """Raise verdicts on points [N, 3] to that of one reference."""
    height, width = depth.shape
    fx, fy, cx, cy = intrinsics
    for n in range(len(points)):
        if verdict[n] == IN_FREE_SPACE:
            continue
        x, y, z = w2c[:3, 3]
        x += w2c[0, 0] * points[n, 0] + w2c[0, 1] * points[n, 1] + w2c[0, 2] * points[n, 2]
        y += w2c[1, 0] * points[n, 0] + w2c[1, 1] * points[n, 1] + w2c[1, 2] * points[n, 2]
        z += w2c[2, 0] * points[n, 0] + w2c[2, 1] * points[n, 1] + w2c[2, 2] * points[n, 2]
        if z < 0.01:
            continue
        u, v = fx * x / z + cx, fy * y / z + cy
        half_u, half_v = min(reach[n] * fx / z, 64.0) + 0.5, min(reach[n] * fy / z, 64.0) + 0.5
        if u + half_u < 0 or v + half_v < 0 or u - half_u >= width or v - half_v >= height:
            continue
        if 0 <= u < width and 0 <= v < height:
            measured = depth[int(v), int(u)]
            if measured > 0 and z < measured - _MARGIN_M - _MARGIN * measured:
                verdict[n] = IN_FREE_SPACE
                continue
        for row in range(max(0, int(v - half_v)), min(height, int(v + half_v) + 1)):
            for column in range(max(0, int(u - half_u)), min(width, int(u + half_u) + 1)):
                shown = drawn[row, column]
                if shown > 0 and z < shown + _MARGIN_M:
                    verdict[n] = COVERS
