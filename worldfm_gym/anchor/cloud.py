"""Anchor: the explicit coloured point cloud that holds a world together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import AnchorError


@dataclass(frozen=True, slots=True)
class Anchor:
    """Surface points of one world; every array has length N ≥ 1.

    Attributes:
        points: Positions in world coordinates, metres, float32 [N, 3].
        colors: sRGB, uint8 [N, 3].
        normals: Outward unit normals in world coordinates, float32 [N, 3]; all zero where unknown
            (such a point is seen from every side).
        instance: Object instance ids, int32 [N]; 0 is background.
        radius: Half the side of the square of surface that a point stands for, metres,
            float32 [N]: half the sampling distance.
        generated: True where the point was invented by the frame model, bool [N].

    Raises:
        AnchorError: If arrays are empty, disagree in length or hold non-finite values.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    normals: NDArray[np.float32]
    instance: NDArray[np.int32]
    radius: NDArray[np.float32]
    generated: NDArray[np.bool_]

    def __post_init__(self) -> None:
        expected: dict[str, tuple[Any, tuple[int, ...]]] = {
            "points": (np.float32, (3,)),
            "colors": (np.uint8, (3,)),
            "normals": (np.float32, (3,)),
            "instance": (np.int32, ()),
            "radius": (np.float32, ()),
            "generated": (np.bool_, ()),
        }
        count = len(self.points)
        if count == 0:
            raise AnchorError("an anchor needs at least one point, got none")
        for name, (dtype, tail) in expected.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            if array.shape != (count, *tail):
                raise AnchorError(f"{name} must have shape {(count, *tail)}, got {array.shape}")
            if array.dtype == np.float32 and not np.isfinite(array).all():
                raise AnchorError(f"{name} holds NaN or infinite values: drop those points first")
            object.__setattr__(self, name, array)
        if (self.radius <= 0).any():
            raise AnchorError("radius must be positive for every point")

    @classmethod
    def from_points(
        cls,
        points: Any,
        colors: Any,
        *,
        normals: Any = None,
        instance: Any = None,
        radius: Any,
        generated: Any = None,
    ) -> Anchor:
        """Build from arrays; what is not given is unknown normals, background and observed."""
        count = len(points)
        return cls(
            points=points,
            colors=colors,
            normals=np.zeros((count, 3), np.float32) if normals is None else normals,
            instance=np.zeros(count, np.int32) if instance is None else instance,
            radius=np.broadcast_to(np.asarray(radius, np.float32), (count,)),
            generated=np.zeros(count, np.bool_) if generated is None else generated,
        )

    @classmethod
    def concatenate(cls, anchors: Sequence[Anchor]) -> Anchor:
        """One anchor with the points of all, in order."""
        if not anchors:
            raise AnchorError("concatenate needs at least one anchor")
        return cls(*(np.concatenate([getattr(a, f.name) for a in anchors]) for f in fields(cls)))

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Any) -> Anchor:
        """The points selected by a mask, slice or index array [M]."""
        return Anchor(*(np.atleast_1d(getattr(self, f.name)[index]) for f in fields(self)))

    @property
    def bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lowest and highest corner of the axis-aligned bounding box, each float32 [3]."""
        # One column after the other: NumPy reduces rows of three an order of magnitude slower.
        low, high = zip(*((c.min(), c.max()) for c in self.points.T), strict=True)
        return np.array(low), np.array(high)
