"""make_world: one function from any source to a world."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldfm_gym.camera import Camera, FloatArray, heading_c2w
from worldfm_gym.errors import NavigationError, SourceError
from worldfm_gym.navigation import AgentBody, NavMap
from worldfm_gym.worlds.assembly import EYE_BELOW_TOP_M, open_start_c2w, with_body
from worldfm_gym.worlds.geometry import world_from_geometry
from worldfm_gym.worlds.geometry_files import GEOMETRY_SUFFIXES
from worldfm_gym.worlds.photo import (
    PHOTO_SUFFIXES,
    is_photo_folder,
    world_from_photo,
    world_from_photo_folder,
)
from worldfm_gym.worlds.scan import is_scan, world_from_scan
from worldfm_gym.worlds.store import load_world
from worldfm_gym.worlds.world import Reference, World

# Procedural kinds and their sampling distance in metres: finer where rooms are small, so that
# worlds have like many points. Listed here because importing the generators takes 0.1 s.
_SPACING_M = {"rooms": 0.06, "maze": 0.06, "factory": 0.1, "warehouse": 0.1}
_REFERENCE_SIZE = (256, 256)
_REFERENCE_FOV_DEG = 90.0


def make_world(
    source: str | os.PathLike[str] | World,
    *,
    seed: int | None = None,
    body: AgentBody | None = None,
    **options: Any,
) -> World:
    """Make a world of a seed, a scan, a photo, a geometry file or a saved world.

    ======================================  =====================================================
    source                                  options
    ======================================  =====================================================
    "rooms", "factory", "warehouse",        `seed`, `spacing_m` (0.06; 0.1 in halls),
    "maze"                                  `references` (0), and the generator's own
    a world folder                          none
    scan.json, transforms.json, a folder    `spacing_m`, `references`, `max_frames`, `objects`,
    with one of them, a TUM RGB-D folder,   `estimator` (of frames without depth); for
    a folder with color/ and depth/         transforms.json also `depth_unit_m`, `scale`
    an image file                           `estimator`, `device`, `camera_height_m`, `panorama`,
                                            `K` or `fov_x_deg`, `depth`, `depth_unit_m`,
                                            `spacing_m`, `extend_floor`, `objects`, `expand`
    a folder with photo.jpg, depth_mm.png   `spacing_m`, `extend_floor`, `objects`
    and meta.json
    .ply, .pcd, .obj, .glb, .gltf, .stl     `up`, `scale`, `spacing_m`
    ======================================  =====================================================

    Args:
        source: One of the above, or a `World`, which is returned as it is.
        seed: Which world of a procedural kind, or how a photo's is expanded; None draws one. It is
            recorded in `World.source`.
        body: The agent that the navigation map is for; None takes `AgentBody()`, or the one that
            a saved world has.
        **options: As in the table; see `world_from_scan`, `world_from_photo` and
            `world_from_geometry`.

    Raises:
        SourceError: If the source is unknown or unusable, or an option does not belong to it.
        WorldFormatError: If a saved world can't be read.
        MissingExtraError: If a mesh or .pcd file needs Open3D and it is not installed.
    """
    if isinstance(source, World):
        _no_seed(seed, "a world")
        return _restored(source, options, body)
    if isinstance(source, str) and source in _SPACING_M:
        return _procedural(source, seed, body or AgentBody(), options)
    if not isinstance(source, str | os.PathLike):
        raise SourceError(
            f"a source is a name, a path or a World, got {type(source).__name__}. {_accepted()}"
        )
    path = Path(source)
    if not path.exists():
        raise SourceError(f"{str(source)!r} is {_unknown(path)}. {_accepted()}")
    if path.name == "world.json" or (path / "world.json").is_file():
        _no_seed(seed, str(path))
        return _restored(load_world(path), options, body)
    maker = _maker_for(path)
    _check_options(maker, options, str(path))
    if options.get("expand"):
        options["seed"] = _drawn() if seed is None else seed
    else:
        _no_seed(seed, str(path))
    world: World = maker(path, body=body or AgentBody(), **options)
    return world


def _maker_for(path: Path) -> Callable[..., World]:
    """The function that makes a world of an existing file or folder."""
    suffix = path.suffix.lower()
    if is_scan(path):
        return world_from_scan
    if is_photo_folder(path):
        return world_from_photo_folder
    if path.is_file() and suffix in PHOTO_SUFFIXES:
        return world_from_photo
    if path.is_file() and suffix in GEOMETRY_SUFFIXES:
        return world_from_geometry
    kind = "folder" if path.is_dir() else "file"
    raise SourceError(f"{path} is not a {kind} that a world can be made of. {_accepted()}")


def _procedural(kind: str, seed: int | None, body: AgentBody, options: Mapping[str, Any]) -> World:
    """A world of a seeded generator."""
    from worldfm_gym.worlds.procedural import build_scene
    from worldfm_gym.worlds.sampling import anchor_from_scene

    own = dict(options)
    spacing_m = own.pop("spacing_m", _SPACING_M[kind])
    references = own.pop("references", 0)
    if not isinstance(references, int) or references < 0:
        raise SourceError(f"references must be a number of frames ≥ 0, got {references!r}")
    if seed is None:
        seed = _drawn()
    scene = build_scene(kind, seed=seed, **own)
    anchor = anchor_from_scene(scene, spacing_m=spacing_m)
    objects = [replace(item) for item in scene.objects]
    nav, problem = None, None
    start = heading_c2w([0.0, 0.0, body.height_m - EYE_BELOW_TOP_M], 0.0)
    try:
        nav = NavMap.build(anchor, objects, body=body, closed=True)
        start = open_start_c2w(nav)
    except NavigationError as error:
        problem = str(error)
    world = World(
        anchor=anchor,
        references=[],
        objects=objects,
        nav=nav,
        nav_problem=problem,
        start_c2w=np.asarray(start, np.float64),
        source={
            "kind": "procedural",
            "name": kind,
            "seed": int(seed),
            "options": {"spacing_m": spacing_m, **own},
        },
        scene=scene,
    )
    world.references = _truth_references(world, references)
    return world


def _truth_references(world: World, count: int) -> list[Reference]:
    """Posed frames of a procedural world: from its start, then from random free places."""
    if count == 0 or world.scene is None:
        return []
    from worldfm_gym.worlds.raycast import render_scene

    rng = np.random.default_rng([int(world.source["seed"]), 1])
    c2w: list[FloatArray] = [world.start_c2w]
    eye_z = float(world.start_c2w[2, 3])
    for _ in range(count - 1):
        x, y = world.require_nav().random_point(rng)
        c2w.append(heading_c2w([x, y, eye_z], rng.uniform(-np.pi, np.pi)))
    width, height = _REFERENCE_SIZE
    cameras = Camera.from_fov(np.stack(c2w), _REFERENCE_FOV_DEG, width=width, height=height)
    rgb, depth, _ = render_scene(world.scene, cameras)
    return [Reference(rgb[i], depth[i], cameras[i]) for i in range(count)]


def _restored(world: World, options: Mapping[str, Any], body: AgentBody | None) -> World:
    """A world that exists already, for another body if one is asked for."""
    if options:
        raise SourceError(
            f"a saved or given world takes no options, got {', '.join(sorted(options))}"
        )
    return world if body is None else with_body(world, body)


def _check_options(maker: Callable[..., World], options: Mapping[str, Any], source: str) -> None:
    """Raise for options that `maker` does not have."""
    known = [
        name
        for name, parameter in inspect.signature(maker).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("body", "seed")
    ]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise SourceError(
                f"{source} has no option {name!r}{meant}: it takes {', '.join(known)}"
            )


def _drawn() -> int:
    """A seed that nobody chose."""
    return int(np.random.default_rng().integers(2**31))


def _no_seed(seed: int | None, source: str) -> None:
    """Raise if a seed is given to a source that has none."""
    if seed is not None:
        raise SourceError(
            f"{source} is always the same: seed={seed} has no effect on it, leave it out"
        )


def _unknown(path: Path) -> str:
    """What a source that does not exist might have meant."""
    names = list(_SPACING_M)
    parent = path.parent
    if parent.is_dir():
        names += sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=2)
    meant = f": did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return f"neither a kind of procedural world nor an existing path{meant}"


def _accepted() -> str:
    """What make_world takes, for error messages."""
    return (
        f"Sources are {', '.join(repr(kind) for kind in _SPACING_M)} (with seed=), a saved world's "
        "folder, a scan (scan.json, transforms.json, a TUM RGB-D folder, or color/ and depth/), "
        "a photo or panorama (an image file), a photo folder (photo.jpg, depth_mm.png, "
        "meta.json), or "
        f"geometry ({', '.join(GEOMETRY_SUFFIXES)})"
    )
