"""World reports: what a world holds, as a table and as pictures."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from worldfm_agents.top_down import TopDownMap
from worldfm_agents.video import contact_sheet
from worldfm_gym.camera import Camera, FloatArray, heading_c2w, look_at
from worldfm_gym.renderer import make_renderer
from worldfm_gym.worlds.world import World

_VIEWS, _KNOWN_VIEWS, _COLUMNS = 8, 4, 3
_WIDTH, _HEIGHT = 320, 240
_FOV_X_DEG = 75.0
_EYE_BELOW_TOP_M = 0.1


def world_table(world: World) -> Table:
    """What a world was made of and what it holds, two columns, nothing left out silently."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    source = world.source
    words = [str(source[key]) for key in ("kind", "name") if key in source]
    if "seed" in source:
        words.append(f"seed {source['seed']}")
    table.add_row("source", " · ".join(words) or "not recorded")
    low, high = world.anchor.bounds
    size = " × ".join(f"{side:.1f}" for side in high - low)
    spacing_cm = 200.0 * float(np.median(world.anchor.radius))
    table.add_row("points", f"{len(world.anchor):,}, {spacing_cm:.1f} cm apart, in {size} m")
    invented = float(world.anchor.generated.mean())
    if invented > 0:
        table.add_row("", f"{invented:.1%} of them generated: no source has seen them")
    table.add_row("references", str(len(world.references) or "none"))
    table.add_row("objects", _objects(world))
    table.add_row("navigation", _navigation(world))
    x, y, z = world.start_c2w[:3, 3]
    table.add_row("start", f"camera at ({x:.2f}, {y:.2f}, {z:.2f}) m")
    return table


def world_preview(world: World, *, seed: int = 0) -> NDArray[np.uint8]:
    """Eight views and the plan from above on one sheet, uint8 [H, W, 3].

    The first views are those of the world's references, up to four, or from its start. The others
    look inward from random free places at eye height; in a world that can't be walked, they look
    around from the start.
    """
    known = [_fitted(r.camera) for r in world.references[:_KNOWN_VIEWS]]
    if not known:
        known = [Camera.from_fov(world.start_c2w, _FOV_X_DEG, width=_WIDTH, height=_HEIGHT)]
    poses = _inward_poses(world, _VIEWS - len(known), np.random.default_rng(seed))
    others = Camera.from_fov(poses, _FOV_X_DEG, width=_WIDTH, height=_HEIGHT)
    cameras = Camera(
        np.concatenate([np.stack([c.c2w for c in known]), others.c2w]),
        np.concatenate([np.stack([c.intrinsics for c in known]), others.intrinsics]),
        _WIDTH,
        _HEIGHT,
    )
    frame = make_renderer("anchor", [world]).render(cameras, np.zeros(_VIEWS, np.int64))
    views = [np.asarray(rgb) for rgb in frame.rgb]
    plan = TopDownMap(world, width=_WIDTH, height=_HEIGHT).background
    return contact_sheet([*views, plan], columns=_COLUMNS)


def _fitted(camera: Camera) -> Camera:
    """The camera with the preview's image size: all that it sees, and more along one side."""
    scale = min(_WIDTH / camera.width, _HEIGHT / camera.height)
    intrinsics = camera.intrinsics * scale
    intrinsics[2:] += (
        np.array([_WIDTH, _HEIGHT]) - [camera.width * scale, camera.height * scale]
    ) / 2
    return Camera(camera.c2w, intrinsics, _WIDTH, _HEIGHT)


def _inward_poses(world: World, count: int, rng: np.random.Generator) -> FloatArray:
    """Camera poses [count, 4, 4] that look about where most surfaces are."""
    nav, start = world.nav, world.start_c2w
    if nav is None:
        yaw = float(np.arctan2(start[1, 2], start[0, 2]))
        return heading_c2w(start[:3, 3], yaw + np.linspace(-0.5, 0.5, count))
    eyes = np.empty((count, 3))
    eyes[:, :2] = nav.random_point(rng, count=count)
    eyes[:, 2] = nav.body.height_m - _EYE_BELOW_TOP_M
    middle = np.median(world.anchor.points, axis=0)
    middle[2] = min(middle[2], eyes[0, 2])
    return look_at(eyes, middle + rng.normal(0.0, [0.5, 0.5, 0.0], (count, 3)))


def _objects(world: World) -> str:
    """How many objects of which categories."""
    if not world.objects:
        return "none"
    movable = sum(item.movable for item in world.objects)
    categories = Counter(item.category for item in world.objects).most_common()
    named = ", ".join(f"{count} {category}" for category, count in categories)
    return f"{len(world.objects)} ({movable} movable): {named}"


def _navigation(world: World) -> str:
    """The floor and who can walk on it, or why nobody can."""
    nav = world.nav
    if nav is None:
        return f"none: {world.nav_problem}. The free camera works all the same"
    cell_m2 = nav.cell_m**2
    free, fits = float(nav.known_free.sum()) * cell_m2, float(nav.navigable.sum()) * cell_m2
    body = nav.body
    return (
        f"{free:.1f} m² of free floor; {fits:.1f} m² for the center of a body of radius "
        f"{body.radius_m:g} m and height {body.height_m:g} m"
    )
