"""Place: a world while it grows: what is fixed, what is expected, and what drawings have added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera

_MASK_M = 0.4  # side of the blocks of the scaffold that are hidden from the model at a time
_SEEN, _SEEN_M = 0.02, 0.02  # a point so far behind what a view shows is still in view
_MIX = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)

EXPECTED, CONFIRMED, REFUTED = 0, 1, 2


@dataclass(slots=True)
class Place:
    """Points of a growing world.

    Attributes:
        base: The world's own points, which nothing changes.
        drawn: Surfaces that drawings have agreed on; None before the first.
        scaffold: Provisional points on the surfaces of the room.
        status: Of each scaffold point: `EXPECTED`, `CONFIRMED` or `REFUTED`, uint8 [N].
        tint: Sum of weighted changes of color by drawings, float64 [N, 3].
        weight: Sum of the weights, float64 [N].
    """

    base: Anchor
    drawn: Anchor | None
    scaffold: Anchor
    status: NDArray[np.uint8]
    tint: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def starting(cls, base: Anchor, expected: Anchor | None) -> Place:
        """A place of which nothing has been drawn yet; with None, nothing is expected either."""
        scaffold = base[:1] if expected is None else expected
        count = len(scaffold)
        return cls(
            base=base,
            drawn=None,
            scaffold=scaffold,
            status=np.full(count, REFUTED if expected is None else EXPECTED, np.uint8),
            tint=np.zeros((count, 3)),
            weight=np.zeros(count),
        )

    @property
    def fixed(self) -> int:
        """Points that are not scaffold: the first ones of `anchor`."""
        return len(self.base) + (0 if self.drawn is None else len(self.drawn))

    def anchor(self, shown: NDArray[np.bool_] | None = None) -> Anchor:
        """All points: the world's own, drawn surfaces, and scaffold that nothing refutes.

        Args:
            shown: Which points of the scaffold to take, bool [N]; None takes all.
        """
        kept = self.status != REFUTED
        if shown is not None:
            kept &= shown
        change = self.tint / np.maximum(self.weight, 1e-9)[:, None]
        colors = np.clip(np.rint(self.scaffold.colors + change), 0, 255).astype(np.uint8)
        parts = [self.base] if self.drawn is None else [self.base, self.drawn]
        if kept.any():
            parts.append(replace(self.scaffold, colors=colors)[kept])
        return Anchor.concatenate(parts)

    def unmasked(self, share: float, *, seed: int) -> NDArray[np.bool_]:
        """All of the scaffold but a share of blocks, another one for each seed, bool [N]."""
        block = np.floor(self.scaffold.points / _MASK_M).astype(np.int64).astype(np.uint64)
        mixed = np.full(len(block), seed, np.uint64) * np.uint64(_MIX[0])
        for axis in range(3):
            mixed = (mixed ^ block[:, axis]) * np.uint64(_MIX[1])
            mixed ^= mixed >> np.uint64(29)
            mixed *= np.uint64(_MIX[2])
            mixed ^= mixed >> np.uint64(32)
        return np.asarray((mixed >> np.uint64(40)) >= np.uint64(share * (1 << 24)))

    def confirm(
        self,
        change: NDArray[np.float32],
        expected_z: NDArray[np.float32],
        trust: NDArray[np.bool_],
        cameras: Camera,
    ) -> None:
        """Let drawings change the color of the scaffold points that they show.

        Args:
            change: Drawn minus expected color, float32 [B, H, W, 3].
            expected_z: Depth of the place, float32 [B, H, W].
            trust: Pixels where the drawing shows the scaffold, bool [B, H, W].
            cameras: Of the B views.
        """
        _confirm(
            self.scaffold.points,
            change,
            expected_z,
            trust,
            cameras.w2c,
            cameras.intrinsics,
            self.status,
            self.tint,
            self.weight,
        )

    def refute(self, surface_z: NDArray[np.float32], cameras: Camera, *, margin: float) -> None:
        """Give up scaffold that views see through, or have replaced by a surface of their own.

        Args:
            surface_z: Depth of surfaces that were accepted, float32 [B, H, W]; 0 elsewhere.
            cameras: Of the B views.
            margin: Relative depth behind such a surface within which it replaces the scaffold.
        """
        _refute(
            self.scaffold.points,
            surface_z,
            cameras.w2c,
            cameras.intrinsics,
            margin,
            self.status,
        )


def visible_points(
    points_world: NDArray[np.float32], depth_z: NDArray[np.float32], cameras: Camera
) -> NDArray[np.bool_]:
    """Which points some view shows, bool [N].

    Args:
        points_world: [N, 3].
        depth_z: Depth of V views of a world with these points, float32 [V, H, W].
        cameras: Their cameras.
    """
    visible = np.zeros(len(points_world), np.bool_)
    _look(points_world, depth_z, cameras.w2c, cameras.intrinsics, visible)
    return visible


@njit(cache=True, nogil=True, inline="always")
def _pixel(p: Any, m: Any, k: Any) -> Any:
    """Column, row and depth of a point in a view; depth 0 if it is not in front."""
    z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
    if z < 0.05:
        return 0.0, 0.0, 0.0
    x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
    y = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
    return k[0] * x / z + k[2], k[1] * y / z + k[3], z


@njit(cache=True, nogil=True)
def _confirm(
    points: Any,
    change: Any,
    expected: Any,
    trust: Any,
    w2c: Any,
    intrinsics: Any,
    status: Any,
    tint: Any,
    weight: Any,
) -> None:
    """Add to `tint` and `weight`, nearer views counting more."""
    views, height, width = expected.shape
    for n in range(len(points)):
        if status[n] == REFUTED:
            continue
        for b in range(views):
            u, v, z = _pixel(points[n], w2c[b], intrinsics[b])
            if not (z > 0 and 0 <= u < width and 0 <= v < height):
                continue
            row, column = int(v), int(u)
            if not trust[b, row, column]:
                continue
            if abs(expected[b, row, column] - z) > _SEEN * z + _SEEN_M:
                continue
            w = 1.0 / (0.25 + z * z)
            for c in range(3):
                tint[n, c] += w * change[b, row, column, c]
            weight[n] += w
            status[n] = CONFIRMED


@njit(cache=True, nogil=True)
def _refute(
    points: Any, surface: Any, w2c: Any, intrinsics: Any, margin: float, status: Any
) -> None:
    """Mark points in front of, or little behind, an accepted surface."""
    views, height, width = surface.shape
    for n in range(len(points)):
        for b in range(views):
            u, v, z = _pixel(points[n], w2c[b], intrinsics[b])
            if z > 0 and 0 <= u < width and 0 <= v < height:
                shown = surface[b, int(v), int(u)]
                if shown > 0 and z < shown * (1.0 + margin):
                    status[n] = REFUTED
                    break


@njit(cache=True, nogil=True)
def _look(points: Any, depth: Any, w2c: Any, intrinsics: Any, visible: Any) -> None:
    """Mark points that are not behind what a view shows where they are."""
    views, height, width = depth.shape
    for n in range(len(points)):
        for b in range(views):
            u, v, z = _pixel(points[n], w2c[b], intrinsics[b])
            if z > 0 and 0 <= u < width and 0 <= v < height:
                # The farthest around: on far floors depth changes by more than the tolerance from
                # one row of pixels to the next.
                shown = 0.0
                for y in range(max(0, int(v) - 1), min(height, int(v) + 2)):
                    for x in range(max(0, int(u) - 1), min(width, int(u) + 2)):
                        shown = max(shown, depth[b, y, x])
                if shown > 0 and z <= shown * (1.0 + _SEEN) + _SEEN_M:
                    visible[n] = True
                    break
