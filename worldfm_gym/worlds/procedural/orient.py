"""Orient: the rotations that parts of furniture and machines need, as nested tuples."""

from __future__ import annotations

import math

Rotation = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

# Turn a cylinder's axis along local x or y.
ALONG_X: Rotation = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
ALONG_Y: Rotation = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


def lean(angle: float) -> Rotation:
    """Rotation about y: what points up leans toward +x."""
    cos, sin = math.cos(angle), math.sin(angle)
    return (cos, 0.0, sin), (0.0, 1.0, 0.0), (-sin, 0.0, cos)


def roll(angle: float) -> Rotation:
    """Rotation about x: what points along y rises toward +z."""
    cos, sin = math.cos(angle), math.sin(angle)
    return (1.0, 0.0, 0.0), (0.0, cos, -sin), (0.0, sin, cos)
