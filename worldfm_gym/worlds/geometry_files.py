"""Reading point clouds and meshes from files: .ply, .pcd, .obj, .glb, .gltf, .stl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import MissingExtraError, SourceError
from worldfm_gym.worlds.mesh import Mesh

MESH_SUFFIXES = (".obj", ".glb", ".gltf", ".stl")
GEOMETRY_SUFFIXES = (".ply", ".pcd", *MESH_SUFFIXES)

_COLOR_NAMES = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)


@dataclass(frozen=True, slots=True)
class Cloud:
    """An unordered point cloud, read piece by piece.

    Attributes:
        vertices: Structured array with x, y, z and whatever else the file has, perhaps on disk.
    """

    vertices: NDArray[Any]

    def __len__(self) -> int:
        return len(self.vertices)

    def chunks(
        self, size: int
    ) -> Iterator[
        tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.float64] | None]
    ]:
        """Finite positions, unit normals and colors in 0…255 (None if absent), float64 [n, 3]."""
        names = self.vertices.dtype.names or ()
        color_names = next((n for n in _COLOR_NAMES if set(n) <= set(names)), None)
        for start in range(0, len(self.vertices), size):
            part = self.vertices[start : start + size]
            points = _columns(part, ("x", "y", "z"))
            finite = np.isfinite(points).all(axis=-1)
            normals = None
            if {"nx", "ny", "nz"} <= set(names):
                normals = np.nan_to_num(_columns(part, ("nx", "ny", "nz")))[finite]
                length = np.linalg.norm(normals, axis=-1, keepdims=True)
                normals = normals / np.where(length > 0, length, 1.0)
            colors = None
            if color_names is not None:
                colors = _as_bytes(_columns(part, color_names), part.dtype[color_names[0]])[finite]
            yield points[finite], normals, colors


def read_geometry(path: Path) -> Cloud | list[Mesh]:
    """Read a cloud, or the meshes of a file.

    Raises:
        SourceError: If the file is missing, damaged, or holds neither points nor triangles.
        MissingExtraError: If the format needs Open3D and it is not installed.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix == ".ply":
        return _read_ply(path)
    if suffix == ".pcd":
        return _read_pcd(path)
    return _read_meshes(path)


def _read_ply(path: Path) -> Cloud | list[Mesh]:
    """A .ply file: a mesh if it has faces, else a cloud that stays on disk."""
    from plyfile import PlyData, PlyHeaderParseError, PlyParseError

    try:
        ply = PlyData.read(str(path), known_list_len={"face": {}})
        vertices = ply["vertex"].data
        faces = ply["face"] if "face" in ply and len(ply["face"].data) else None
    except (
        PlyHeaderParseError,
        PlyParseError,
        KeyError,
        ValueError,
        OSError,
        MemoryError,
        OverflowError,
    ) as e:
        raise SourceError(f"{path} is not a readable .ply file ({e}): is it cut off?") from e
    if not {"x", "y", "z"} <= set(vertices.dtype.names or ()):
        raise SourceError(f"{path} has no vertex properties x, y and z")
    if faces is None:
        return Cloud(vertices)
    name = next(
        (n for n in ("vertex_indices", "vertex_index") if n in faces.data.dtype.names), None
    )
    if name is None:
        raise SourceError(f"{path} has faces without vertex_indices")
    triangles = _triangulated(faces.data[name], len(vertices), path)
    names = vertices.dtype.names or ()
    color_names = next((n for n in _COLOR_NAMES if set(n) <= set(names)), None)
    colors = None
    if color_names is not None:
        colors = _as_bytes(_columns(vertices, color_names), vertices.dtype[color_names[0]])
    return [Mesh(_columns(vertices, ("x", "y", "z")), triangles, vertex_colors=colors)]


def _triangulated(polygons: NDArray[Any], vertices: int, path: Path) -> NDArray[np.int64]:
    """Fans of triangles [F, 3] of polygons, an object array of index lists."""
    sizes = np.array([len(p) for p in polygons])
    fans = []
    for size in np.unique(sizes[sizes >= 3]):
        corner = np.stack([np.asarray(p, np.int64) for p in polygons[sizes == size]])
        fans += [corner[:, [0, k, k + 1]] for k in range(1, int(size) - 1)]
    if not fans:
        raise SourceError(f"{path} has faces, but none of three or more corners")
    faces = np.concatenate(fans)
    if faces.min() < 0 or faces.max() >= vertices:
        raise SourceError(f"{path} has faces that point outside its {vertices} vertices")
    return faces


def _read_pcd(path: Path) -> Cloud:
    """A .pcd file, by Open3D."""
    o3d = _open3d("reading .pcd clouds")
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        cloud = o3d.io.read_point_cloud(str(path))
    columns = {"xyz": np.asarray(cloud.points)}
    if cloud.has_colors():
        columns["rgb"] = np.asarray(cloud.colors)
    names = [*columns["xyz"].T, *columns.get("rgb", np.empty((0, 0))).T]
    labels = ["x", "y", "z", "red", "green", "blue"][: len(names)]
    if cloud.has_normals():
        names += list(np.asarray(cloud.normals).T)
        labels += ["nx", "ny", "nz"]
    vertices = np.empty(len(columns["xyz"]), [(label, np.float64) for label in labels])
    for label, values in zip(labels, names, strict=True):
        vertices[label] = values
    if len(vertices) == 0:
        raise SourceError(f"{path} is not a readable .pcd file or holds no points")
    return Cloud(vertices)


def _read_meshes(path: Path) -> list[Mesh]:
    """The triangle meshes of a file with their colors and textures, by Open3D."""
    o3d = _open3d(f"reading {path.suffix} meshes")
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        model = o3d.io.read_triangle_model(str(path))
    meshes = []
    for part in model.meshes:
        faces = np.asarray(part.mesh.triangles).astype(np.int64)
        if len(faces) == 0:
            continue
        known = 0 <= part.material_idx < len(model.materials)
        material = model.materials[part.material_idx] if known else None
        meshes.append(
            Mesh(
                vertices=np.asarray(part.mesh.vertices).astype(np.float64),
                faces=faces,
                vertex_colors=_vertex_colors(part.mesh),
                corner_uv=_corner_uv(part.mesh, len(faces)),
                texture=_texture(material),
                base_color=_base_color(material, path.suffix.lower()),
            )
        )
    if not meshes:
        raise SourceError(f"{path} is not a readable {path.suffix} file or holds no triangles")
    return meshes


def _vertex_colors(mesh: Any) -> NDArray[np.float64] | None:
    """Vertex colors [V, 3] of an Open3D mesh in 0…255."""
    return np.asarray(mesh.vertex_colors) * 255.0 if mesh.has_vertex_colors() else None


def _corner_uv(mesh: Any, faces: int) -> NDArray[np.float64] | None:
    """Texture coordinates [F, 3, 2] of an Open3D mesh."""
    if not mesh.has_triangle_uvs():
        return None
    return np.asarray(mesh.triangle_uvs).astype(np.float64).reshape(faces, 3, 2)


def _texture(material: Any) -> NDArray[np.uint8] | None:
    """The albedo texture of an Open3D material, uint8 [H, W, 3]."""
    if material is None or material.albedo_img is None:
        return None
    image = np.asarray(material.albedo_img)
    if image.ndim != 3 or image.shape[2] < 3 or image.dtype != np.uint8:
        return None
    return np.ascontiguousarray(image[..., :3])


def _base_color(material: Any, suffix: str) -> NDArray[np.float64] | None:
    """The base color of an Open3D material in 0…255; glTF states it in linear light.

    Importers put a default on files without materials: .stl has none, and .obj's is gray 0.6.
    """
    if material is None or suffix == ".stl":
        return None
    linear = np.clip(np.asarray(material.base_color, np.float64)[:3], 0, 1)
    if suffix == ".obj":
        return None if np.allclose(linear, 0.6) else linear * 255.0
    return np.asarray(linear ** (1 / 2.2) * 255.0)


def _open3d(purpose: str) -> Any:
    """Open3D, imported now because it takes a second."""
    try:
        import open3d
    except ImportError as error:
        raise MissingExtraError("open3d", "geometry", purpose) from error
    return open3d


def _columns(vertices: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Fields of a structured array side by side, float64 [N, len(names)]."""
    return np.stack([vertices[name].astype(np.float64) for name in names], axis=-1)


def _as_bytes(colors: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Colors in 0…255 of colors stored as bytes, 16-bit integers, or floats in 0…1."""
    colors = np.nan_to_num(colors)
    if dtype.kind == "f":
        return np.clip(colors * 255.0, 0, 255)
    if dtype.itemsize > 1 and colors.max(initial=0) > 255:
        return colors / 257.0
    return np.clip(colors, 0, 255)
