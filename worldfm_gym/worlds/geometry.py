"""Geometry files: point clouds and meshes become worlds."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.normals import estimate_normals
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.assembly import world_from_cloud
from worldfm_gym.worlds.floor import Floor, find_floor
from worldfm_gym.worlds.geometry_files import Cloud, read_geometry
from worldfm_gym.worlds.mesh import Mesh
from worldfm_gym.worlds.world import World

MIN_EXTENT_M = 0.5
MAX_EXTENT_M = 500.0
MAX_POINTS = 600_000

LARGE_CLOUD = 5_000_000  # from here on, thinning is worth a message
_CHUNK = 4_000_000
_MIN_POINTS = 100
_GRAY = 190.0
_OVERSAMPLING = 4  # mesh samples per voxel, so that few voxels on the surface stay empty
_AXES = {
    sign + name: (1.0 if sign == "" else -1.0) * np.eye(3)[index]
    for index, name in enumerate("xyz")
    for sign in ("", "-")
}
_UP_BY_SUFFIX = {".glb": "y", ".gltf": "y", ".obj": "y"}

_log = logging.getLogger(__name__)


def world_from_geometry(
    path: str | os.PathLike[str],
    *,
    body: AgentBody,
    up: str | None = None,
    scale: float = 1.0,
    spacing_m: float | None = None,
) -> World:
    """Make a world of a point cloud (.ply, .pcd) or a mesh (.ply, .obj, .glb, .gltf, .stl).

    Surfaces without color are gray, shaded by their slope. Mesh surfaces are seen from both sides,
    because the winding of files in the wild can't be trusted.

    Args:
        path: The file.
        body: The agent to walk with.
        up: The file's up axis, "x", "-x", "y", … None finds the axis with the largest floor;
            where axes are close, the format's custom decides (y for .glb and .obj, else z).
        scale: Metres per unit of the file.
        spacing_m: Sampling distance of the anchor in metres; None takes 1/1000 of the extent,
            at least 1 cm, and coarser where that leaves more than 600,000 points.

    Raises:
        SourceError: If the file can't be read, is empty, or its extent is not 0.5…500 m.
        MissingExtraError: If the format needs Open3D and it is not installed.
    """
    if up is not None and up not in _AXES:
        raise SourceError(f"up must be one of {', '.join(_AXES)}, got {up!r}")
    if not (np.isfinite(scale) and scale > 0):
        raise SourceError(f"scale must be a positive number of metres per unit, got {scale}")
    source = Path(path)
    content = read_geometry(source)
    if isinstance(content, Cloud):
        anchor, has_normals = _anchor_of_cloud(content, source, scale, spacing_m)
    else:
        anchor, has_normals = _anchor_of_meshes(content, source, scale, spacing_m), True
    oriented = anchor if has_normals else replace(anchor, normals=estimate_normals(anchor.points))
    floor = _find_up(oriented, up, custom=_UP_BY_SUFFIX.get(source.suffix.lower(), "z"))
    signed = has_normals and isinstance(content, Cloud)
    return world_from_cloud(
        anchor if signed else replace(anchor, normals=np.zeros_like(anchor.normals)),
        floor,
        body=body,
        source={"kind": "geometry", "name": source.name, "up": up, "scale": scale},
    )


def _anchor_of_cloud(
    cloud: Cloud, source: Path, scale: float, spacing_m: float | None
) -> tuple[Anchor, bool]:
    """The thinned cloud, and whether it came with normals. Never holds all of it in memory."""
    if len(cloud) < _MIN_POINTS:
        raise SourceError(
            f"{source} holds {len(cloud)} points: a place needs at least {_MIN_POINTS}"
        )
    corners = [
        (points.min(axis=0), points.max(axis=0))
        for points, _, _ in cloud.chunks(_CHUNK)
        if len(points)
    ]
    if not corners:
        raise SourceError(f"{source} has no point with finite coordinates")
    low = np.min([c[0] for c in corners], axis=0) * scale
    high = np.max([c[1] for c in corners], axis=0) * scale
    voxel = _checked_voxel(high - low, source, spacing_m)
    merged: Anchor | None = None
    has_normals = True
    for points, normals, colors in cloud.chunks(_CHUNK):
        if len(points) == 0:
            continue
        has_normals = normals is not None and bool(normals.any())
        part = Anchor.from_points(
            points * scale,
            _shaded_gray(normals, len(points)) if colors is None else np.rint(colors),
            normals=normals,
            radius=1e-6,
        )
        part = voxel_thin(part, voxel)
        merged = voxel_thin(part if merged is None else Anchor.concatenate([merged, part]), voxel)
    assert merged is not None
    anchor = _limited(merged, voxel, spacing_m)
    if len(cloud) >= LARGE_CLOUD:
        _log.warning("%s: thinned %d points to %d", source.name, len(cloud), len(anchor))
    return _spaced(anchor), has_normals


def _anchor_of_meshes(
    meshes: list[Mesh], source: Path, scale: float, spacing_m: float | None
) -> Anchor:
    """Points spread over all triangles, thinned so that they are evenly spaced."""
    vertices = np.concatenate([mesh.vertices[np.unique(mesh.faces)] for mesh in meshes])
    if not np.isfinite(vertices).all():
        raise SourceError(f"{source} has vertices that are not finite: repair the mesh")
    voxel = _checked_voxel(np.ptp(vertices, axis=0) * scale, source, spacing_m)
    area_m2 = sum(float(mesh.face_area.sum()) for mesh in meshes) * scale**2
    if area_m2 <= 0:
        raise SourceError(f"{source} has no triangle with an area")
    if spacing_m is None:
        voxel = max(voxel, (area_m2 / MAX_POINTS) ** 0.5)
    parts = []
    for mesh in meshes:
        points, normals, colors = mesh.sample(
            voxel / scale / _OVERSAMPLING**0.5, max_points=2 * _OVERSAMPLING * MAX_POINTS
        )
        parts.append(
            Anchor.from_points(
                points * scale,
                _shaded_gray(normals, len(points)) if colors is None else np.rint(colors),
                normals=normals,
                radius=1e-6,
            )
        )
    return _limited(voxel_thin(Anchor.concatenate(parts), voxel), voxel, spacing_m)


def _checked_voxel(extent_m: NDArray[np.float64], source: Path, spacing_m: float | None) -> float:
    """The voxel size to thin with, after checking that the unit makes sense."""
    size = float(extent_m.max())
    if not MIN_EXTENT_M <= size <= MAX_EXTENT_M:
        raise SourceError(
            f"{source} spans {size:.4g} m; worlds span {MIN_EXTENT_M}…{MAX_EXTENT_M:.0f} m. "
            "If the file is not in metres, pass the metres per unit as scale= "
            "(0.001 for millimetres, 0.01 for centimetres, 0.0254 for inches)"
        )
    if spacing_m is None:
        return max(0.01, size / 1000)
    if not (np.isfinite(spacing_m) and spacing_m > 0):
        raise SourceError(f"spacing_m must be a positive number of metres, got {spacing_m}")
    return float(spacing_m)


def _limited(anchor: Anchor, voxel: float, spacing_m: float | None) -> Anchor:
    """The anchor, thinned further while it has too many points and the user set no spacing."""
    while spacing_m is None and len(anchor) > MAX_POINTS:
        voxel *= max(1.1, (len(anchor) / MAX_POINTS) ** 0.5)
        anchor = voxel_thin(anchor, voxel)
    return anchor


def _spaced(anchor: Anchor) -> Anchor:
    """The anchor with radii that reach between neighbors, where it is sparser than the voxels."""
    from scipy.spatial import cKDTree

    # On a square grid the fourth neighbor lies one spacing away.
    distance, _ = cKDTree(anchor.points).query(anchor.points, k=[5], workers=-1)
    reach = distance[:, 0] / 2
    reach = np.minimum(reach, 3 * np.median(reach))
    return replace(anchor, radius=np.maximum(anchor.radius, reach).astype(np.float32))


def _shaded_gray(normals: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    """Gray [N, 3], darker the more a surface turns from a light in the corner of the sky."""
    if normals is None:
        return np.full((count, 3), _GRAY)
    shade = 0.55 + 0.45 * np.abs(normals @ [0.36, 0.48, 0.8])
    return np.asarray(np.rint(_GRAY * shade)[:, None] * np.ones(3))


def _find_up(anchor: Anchor, up: str | None, *, custom: str) -> Floor:
    """The floor along the given axis, or along the axis that most likely points up."""
    if up is not None:
        return find_floor(anchor, up=_AXES[up], max_tilt_deg=20.0, normals_are_signed=False)
    weight = {name: 0.6 if name.startswith("-") or name == "x" else 0.8 for name in _AXES}
    weight[custom] = 1.5
    floors = {
        name: find_floor(anchor, up=axis, max_tilt_deg=20.0, normals_are_signed=False)
        for name, axis in _AXES.items()
    }
    best = max(weight, key=lambda name: (floors[name].area_m2 * weight[name], weight[name]))
    return floors[best]
