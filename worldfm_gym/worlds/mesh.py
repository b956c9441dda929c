"""Even sampling of triangle meshes, with vertex colors or textures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Generalized golden ratios: additive steps of a low-discrepancy sequence in 2D (M. Roberts, 2018).
_R2_STEP = np.array([0.7548776662466927, 0.5698402909980532])


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with optional colors.

    Attributes:
        vertices: Positions, float64 [V, 3].
        faces: Vertex indices, int64 [F, 3], counter-clockwise seen from outside.
        vertex_colors: sRGB in 0…255, float64 [V, 3], or None.
        corner_uv: Texture coordinates of each face's corners, v up, float64 [F, 3, 2], or None.
        texture: uint8 [H, W, 3], or None.
        base_color: sRGB in 0…255 that multiplies what the others say, or None for unknown.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    vertex_colors: NDArray[np.float64] | None = None
    corner_uv: NDArray[np.float64] | None = None
    texture: NDArray[np.uint8] | None = None
    base_color: NDArray[np.float64] | None = None

    @property
    def face_area(self) -> NDArray[np.float64]:
        """Areas of the triangles, float64 [F]."""
        return np.asarray(0.5 * np.linalg.norm(self._cross(), axis=-1))

    def sample(
        self, spacing: float, *, max_points: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
        """Points spread evenly over the surface, about `spacing` apart; the same every time.

        Returns:
            Positions and unit normals, float64 [N, 3] each, and colors, float64 [N, 3] in 0…255,
            None where the mesh has none.
        """
        cross = self._cross()
        area = 0.5 * np.linalg.norm(cross, axis=-1)
        total = float(area.sum())
        count = int(np.clip(np.ceil(total / spacing**2), 1, max_points))
        # Equal steps along the cumulated area give each triangle its share, large or small.
        step = (np.arange(count) + 0.5) * (total / count)
        face = np.minimum(np.searchsorted(np.cumsum(area), step), len(area) - 1)
        u, v = ((np.arange(1, count + 1)[:, None] * _R2_STEP) % 1.0).T
        root = np.sqrt(u)
        weight = np.stack([1 - root, root * (1 - v), root * v], axis=-1)
        points = np.einsum("nk,nki->ni", weight, self.vertices[self.faces[face]])
        normals = cross[face] / np.maximum(2 * area[face], 1e-300)[:, None]
        return points, normals, self._colors(face, weight)

    def _cross(self) -> NDArray[np.float64]:
        """Twice the area vectors of the triangles [F, 3]."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return np.cross(b - a, c - a)

    def _colors(
        self, face: NDArray[np.int64], weight: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Colors at barycentric `weight` [N, 3] of triangles `face` [N]."""
        factor: Any = 1.0 if self.base_color is None else self.base_color / 255.0
        if self.texture is not None and self.corner_uv is not None:
            uv = np.einsum("nk,nki->ni", weight, self.corner_uv[face]) % 1.0
            height, width = self.texture.shape[:2]
            column = np.minimum((uv[:, 0] * width).astype(np.int64), width - 1)
            row = np.minimum(((1 - uv[:, 1]) * height).astype(np.int64), height - 1)
            return np.asarray(self.texture[row, column] * factor)
        if self.vertex_colors is not None:
            corner = self.vertex_colors[self.faces[face]]
            return np.asarray(np.einsum("nk,nki->ni", weight, corner) * factor)
        if self.base_color is not None:
            return np.tile(self.base_color, (len(face), 1))
        return None
