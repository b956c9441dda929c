"""Anchors as binary .ply files that point cloud tools open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement, PlyParseError

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import AnchorError, WorldFormatError

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("instance", "<i4"),
        ("radius", "<f4"),
        ("generated", "u1"),
    ]
)


def save_ply(anchor: Anchor, path: str | os.PathLike[str]) -> None:
    """Write an anchor as a binary little-endian .ply file; the file appears whole or not at all.

    Points, normals and colors use the property names that Open3D, MeshLab and CloudCompare read;
    `instance`, `radius` and `generated` follow as further properties.

    Args:
        anchor: The points to write.
        path: File to write; replaced if it exists.
    """
    target = Path(path)
    vertices = np.empty(len(anchor), _VERTEX)
    for names, array in (
        (("x", "y", "z"), anchor.points),
        (("nx", "ny", "nz"), anchor.normals),
        (("red", "green", "blue"), anchor.colors),
    ):
        for axis, name in enumerate(names):
            vertices[name] = array[:, axis]
    vertices["instance"] = anchor.instance
    vertices["radius"] = anchor.radius
    vertices["generated"] = anchor.generated
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        PlyData(
            [PlyElement.describe(vertices, "vertex")],
            byte_order="<",
            comments=["World coordinates in metres, +z up; radius is half the sampling distance"],
        ).write(str(partial))
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def load_ply(path: str | os.PathLike[str]) -> Anchor:
    """Read an anchor that `save_ply` wrote, exactly.

    Args:
        path: The .ply file.

    Raises:
        WorldFormatError: If the file is missing, no .ply, truncated, lacks a property of an
            anchor, or holds values that no anchor can have.
    """
    target = Path(path)
    try:
        vertices = PlyData.read(str(target))["vertex"].data
    except FileNotFoundError:
        raise WorldFormatError(
            f"{target} is missing: restore it or build the world again"
        ) from None
    except (PlyParseError, KeyError, ValueError, OSError, MemoryError, OverflowError) as error:
        raise WorldFormatError(
            f"{target} is not a readable .ply file ({error}): it is damaged or cut off; "
            "restore it or build the world again"
        ) from error
    missing = sorted(set(_VERTEX.names or ()) - set(vertices.dtype.names or ()))
    if missing:
        raise WorldFormatError(
            f"{target} lacks the vertex properties {', '.join(missing)} of an anchor: "
            "to make a world of a foreign point cloud, pass the file to make_world"
        )
    try:
        return Anchor(
            points=np.stack([vertices[name] for name in ("x", "y", "z")], axis=-1),
            colors=np.stack([vertices[name] for name in ("red", "green", "blue")], axis=-1),
            normals=np.stack([vertices[name] for name in ("nx", "ny", "nz")], axis=-1),
            instance=np.array(vertices["instance"]),
            radius=np.array(vertices["radius"]),
            generated=np.array(vertices["generated"], np.bool_),
        )
    except AnchorError as error:
        raise WorldFormatError(f"{target} holds no valid anchor: {error}") from error
