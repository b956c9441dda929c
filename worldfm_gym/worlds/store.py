"""Saving and loading worlds as folders that other tools can open.

A world folder holds ``world.json`` (everything small, and the list of the other files),
``anchor.ply``, ``references/000.png`` and ``references/000_depth.png`` (16 bit, millimetres unless
the record's ``depth_unit_m`` says otherwise), ``nav.safetensors`` where there is a navigation map,
and ``scene.safetensors`` for procedural worlds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.anchor.ply import load_ply, save_ply
from worldfm_gym.camera import Camera, check_rigid
from worldfm_gym.errors import NavigationError, SourceError, WorldFormatError
from worldfm_gym.navigation import AgentBody, NavMap
from worldfm_gym.worlds.images import DEFAULT_DEPTH_UNIT_M, read_color, read_depth_units
from worldfm_gym.worlds.scene import Scene
from worldfm_gym.worlds.world import Reference, World

FORMAT = "worldfm-gym world"
VERSION = 1

_RECORD = "world.json"
_ANCHOR = "anchor.ply"
_NAV = "nav.safetensors"
_SCENE = "scene.safetensors"
_SCENE_ARRAYS = tuple(f.name for f in fields(Scene) if f.name not in ("height", "objects"))
_MAX_DEPTH_UNITS = 65_535
_MAX_RECORD_BYTES = 64_000_000


def save_world(world: World, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a world to a folder; it appears whole or not at all.

    Loading gives back equal arrays, except that reference depth is rounded to half a millimetre.

    Args:
        world: The world.
        folder: Folder to create; its parent must exist.
        overwrite: Whether to replace a world that is already there. Anything else is never
            replaced.

    Raises:
        WorldFormatError: If the folder exists and is not an empty folder, nor a world that may be
            overwritten.
    """
    target = Path(os.path.abspath(folder))
    replaced = _check_target(target, overwrite=overwrite)
    partial = _sibling(target, "partial")
    partial.mkdir()
    try:
        _write(world, partial)
        if replaced:
            _swap(partial, target)
        else:
            os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_world(folder: str | os.PathLike[str]) -> World:
    """Read a world that `save_world` wrote. Nothing in the folder is ever executed or unpickled.

    Args:
        folder: The world's folder, or its world.json.

    Raises:
        WorldFormatError: If it is no world, was written by a newer version, or a file is missing,
            damaged, or named outside the folder.
    """
    path = Path(folder)
    root = path.parent if path.name == _RECORD else path
    record = _read_record(root)
    try:
        return _read(root, record)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise WorldFormatError(
            f"{root / _RECORD} is damaged ({type(error).__name__}: {error}): restore it or build "
            "the world again"
        ) from error
    except (SourceError, NavigationError, SafetensorError, ValueError, OSError) as error:
        if isinstance(error, WorldFormatError):
            raise
        raise WorldFormatError(
            f"the world in {root} can't be read: {error}. Restore it or build it again"
        ) from error


def is_world(path: Path) -> bool:
    """Whether a path is a world folder, or a world.json, of any version."""
    root = path.parent if path.name == _RECORD else path
    try:
        _read_record(root, any_version=True)
    except WorldFormatError:
        return False
    return True


def _write(world: World, folder: Path) -> None:
    """Write all files of a world into an empty folder."""
    files = [_ANCHOR]
    save_ply(world.anchor, folder / _ANCHOR)
    references = [_write_reference(r, i, folder) for i, r in enumerate(world.references)]
    for reference in references:
        files += [reference["rgb"], reference["depth"]]
    if world.nav is not None:
        _write_arrays(folder / _NAV, world.nav.to_arrays())
        files.append(_NAV)
    if world.scene is not None:
        _write_arrays(folder / _SCENE, {name: getattr(world.scene, name) for name in _SCENE_ARRAYS})
        files.append(_SCENE)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "source": dict(world.source),
        "start_c2w": world.start_c2w.tolist(),
        "objects": [_object_record(item) for item in world.objects],
        "nav": None if world.nav is None else {"file": _NAV, "body": asdict(world.nav.body)},
        "nav_problem": world.nav_problem,
        "references": references,
        "scene": None
        if world.scene is None
        else {
            "file": _SCENE,
            "height": world.scene.height,
            "objects": [_object_record(item) for item in world.scene.objects],
        },
        "files": files,
    }
    text = json.dumps(record, indent=1, allow_nan=False)
    (folder / _RECORD).write_text(text + "\n", encoding="utf-8")


def _read(root: Path, record: Mapping[str, Any]) -> World:
    """Build the world of a checked record."""
    for name in record["files"]:
        if not _inside(root, name).is_file():
            raise WorldFormatError(
                f"{root} lacks its file {name}: restore it or build the world again"
            )
    objects = [_object_of(item) for item in record["objects"]]
    nav = None
    if record["nav"] is not None:
        nav = NavMap.from_arrays(
            load_file(_inside(root, record["nav"]["file"])),
            AgentBody(**record["nav"]["body"]),
            objects,
        )
    scene = None
    if record["scene"] is not None:
        scene = Scene(
            **load_file(_inside(root, record["scene"]["file"])),
            height=float(record["scene"]["height"]),
            objects=tuple(_object_of(item) for item in record["scene"]["objects"]),
        )
    return World(
        anchor=load_ply(_inside(root, _ANCHOR)),
        references=[_read_reference(item, root) for item in record["references"]],
        objects=objects,
        nav=nav,
        nav_problem=record["nav_problem"],
        start_c2w=np.asarray(check_rigid(record["start_c2w"]), np.float64),
        source=record["source"],
        scene=scene,
    )


def _write_reference(reference: Reference, index: int, folder: Path) -> dict[str, Any]:
    """Write the two images of a reference and return its record."""
    (folder / "references").mkdir(exist_ok=True)
    rgb, depth = f"references/{index:03d}.png", f"references/{index:03d}_depth.png"
    farthest = float(reference.depth.max(initial=0.0))
    unit_m = max(DEFAULT_DEPTH_UNIT_M, farthest / _MAX_DEPTH_UNITS)
    # The least known depth stays known: 0 means unknown.
    units = np.where(
        reference.depth > 0, np.maximum(np.rint(reference.depth / np.float64(unit_m)), 1), 0
    )
    Image.fromarray(reference.rgb).save(folder / rgb)
    Image.fromarray(units.astype(np.uint16)).save(folder / depth)
    camera = reference.camera
    return {
        "rgb": rgb,
        "depth": depth,
        "depth_unit_m": unit_m,
        "c2w": camera.c2w.tolist(),
        "intrinsics": camera.intrinsics.tolist(),
        "width": camera.width,
        "height": camera.height,
        "generated": reference.generated,
    }


def _read_reference(record: Mapping[str, Any], root: Path) -> Reference:
    """Read one reference."""
    camera = Camera(
        np.array(record["c2w"], np.float64),
        np.array(record["intrinsics"], np.float64),
        int(record["width"]),
        int(record["height"]),
    )
    rgb = read_color(_inside(root, record["rgb"]))
    units = read_depth_units(_inside(root, record["depth"]))
    depth = (units * np.float64(record["depth_unit_m"])).astype(np.float32)
    size = (camera.height, camera.width)
    if rgb.shape[:2] != size or depth.shape != size:
        raise WorldFormatError(
            f"{root / record['rgb']} is not of the {size[1]}×{size[0]} pixels that its camera has"
        )
    return Reference(rgb, depth, camera, generated=bool(record.get("generated", False)))


def _object_record(item: WorldObject) -> dict[str, Any]:
    """An object as JSON."""
    return {
        "instance": item.instance,
        "category": item.category,
        "pose": item.pose.tolist(),
        "rest_pose": item.rest_pose.tolist(),
        "size": item.size.tolist(),
        "movable": item.movable,
    }


def _object_of(record: Mapping[str, Any]) -> WorldObject:
    """An object from JSON."""
    return WorldObject(
        instance=int(record["instance"]),
        category=str(record["category"]),
        pose=np.array(record["pose"], np.float64),
        rest_pose=np.array(record["rest_pose"], np.float64),
        size=np.array(record["size"], np.float64),
        movable=bool(record["movable"]),
    )


def _read_record(root: Path, *, any_version: bool = False) -> dict[str, Any]:
    """The world.json of a folder, of a version that can be read."""
    advice = "a world is a folder that World.save wrote, with a world.json in it"
    if root.is_file():
        raise WorldFormatError(f"{root} is a file, not a world: {advice}; archives are not opened")
    path = root / _RECORD
    if not path.is_file():
        raise WorldFormatError(f"{root} is not a world, it has no {_RECORD}: {advice}")
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            raise ValueError("it is too large")
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WorldFormatError(
            f"{path} is not a readable JSON file ({error}): restore it or build the world again"
        ) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise WorldFormatError(f"{path} is not the record of a world: {advice}")
    version = record.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise WorldFormatError(f"{path} has no valid version number, got {version!r}")
    if version > VERSION and not any_version:
        raise WorldFormatError(
            f"{path} has format version {version}, this library reads up to {VERSION}: "
            "update it with pip install -U worldfm-gym"
        )
    return record


def _inside(root: Path, name: Any) -> Path:
    """A file of the world, refused if its name or a link leads out of the folder."""
    if isinstance(name, str) and name and "\\" not in name and "\0" not in name:
        parts = PurePosixPath(name)
        path = root / name
        if (
            not parts.is_absolute()
            and ".." not in parts.parts
            and path.resolve().is_relative_to(root.resolve())
        ):
            return path
    raise WorldFormatError(
        f"{root / _RECORD} names a file outside of its folder, {name!r}: don't trust this world"
    )


def _check_target(target: Path, *, overwrite: bool) -> bool:
    """Whether a world is to be replaced; raises if something else is in the way."""
    if not target.parent.is_dir():
        raise WorldFormatError(f"there is no folder {target.parent} to save the world in")
    if not os.path.lexists(target):
        return False
    if not target.is_dir() or target.is_symlink():
        raise WorldFormatError(f"{target} is not a folder: choose another place for the world")
    if not any(target.iterdir()):
        return False
    if not is_world(target):
        raise WorldFormatError(
            f"{target} holds other files, which are never overwritten: choose another folder"
        )
    if not overwrite:
        raise WorldFormatError(f"{target} already holds a world: pass overwrite=True to replace it")
    return True


def _swap(partial: Path, target: Path) -> None:
    """Put `partial` in the place of `target`; the old world is deleted only after that."""
    old = _sibling(target, "old")
    os.replace(target, old)
    try:
        os.replace(partial, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old)


def _sibling(target: Path, suffix: str) -> Path:
    """A hidden name beside `target` that nothing has, so that renaming stays on one file system."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.{suffix}")


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a .safetensors file; strided views are copied, since it stores buffers as they lie."""
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
