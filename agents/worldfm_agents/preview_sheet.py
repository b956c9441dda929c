"""Preview sheet: what a world was made of and what it shows, on one picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worldfm_agents.pictures import depth_picture, panel, provenance_picture
from worldfm_agents.top_down import TopDownMap
from worldfm_agents.video import contact_sheet
from worldfm_gym.camera import Camera, heading_c2w, look_at
from worldfm_gym.frame import Frame
from worldfm_gym.renderer import make_renderer
from worldfm_gym.worlds.world import World

_WIDTH, _HEIGHT = 320, 240
_MODEL_WIDTH, _MODEL_HEIGHT = 128, 96
_COLUMNS = 3
_FOV_X_DEG = 90.0
_HEADINGS = ("ahead", "to the left", "behind", "to the right")


def preview_sheet(world: World) -> NDArray[np.uint8]:
    """Nine panels, uint8 [H, W, 3].

    The source (the first remembered frame), its depth and the points as seen from the start; what
    the frame model draws at the start in four directions; the place from above, in its colors and
    by what was seen and what was generated.
    """
    start = _fitted(world)
    renderer = make_renderer("anchor", [world])
    points = renderer.render(start[None], np.zeros(1, np.int64))
    around = make_renderer("frame", [world]).render(
        _around(world), np.zeros(len(_HEADINGS), np.int64)
    )
    from_start = points.rgb[0], f"points, from the start: {_covered(points):.0%} covered"
    if world.references:
        first = world.references[0]
        height, width = first.depth.shape
        seen = [
            (first.rgb, f"source, {width} x {height}"),
            _depth(first.depth, "its depth"),
            from_start,
        ]
    else:
        elsewhere = renderer.render(_elsewhere(world), np.zeros(1, np.int64))
        seen = [
            from_start,
            _depth(points.depth[0], "depth"),
            (elsewhere.rgb[0], "points, from elsewhere"),
        ]
    panels = [
        *seen,
        *((around.rgb[i], f"frame model, {where}") for i, where in enumerate(_HEADINGS)),
        *_maps(world),
    ]
    return contact_sheet(
        [panel(picture, words, width=_WIDTH, height=_HEIGHT) for picture, words in panels],
        columns=_COLUMNS,
    )


def _fitted(world: World) -> Camera:
    """The camera of the first reference, or one at the start, with the panels' size."""
    if not world.references:
        return Camera.from_fov(world.start_c2w, _FOV_X_DEG, width=_WIDTH, height=_HEIGHT)
    camera = world.references[0].camera
    scale = min(_WIDTH / camera.width, _HEIGHT / camera.height)
    return camera.resized(round(camera.width * scale), round(camera.height * scale))


def _elsewhere(world: World) -> Camera:
    """A camera on a free spot that looks to the middle of the place, batch of one."""
    eye = world.start_c2w[:3, 3].copy()
    if world.nav is not None:
        eye[:2] = world.nav.random_point(np.random.default_rng(0))
    target = np.median(world.anchor.points, axis=0).astype(np.float64)
    target[2] = eye[2]
    if np.linalg.norm(target - eye) < 0.1:
        target = eye + world.start_c2w[:3, 0]
    return Camera.from_fov(look_at(eye, target)[None], _FOV_X_DEG, width=_WIDTH, height=_HEIGHT)


def _around(world: World) -> Camera:
    """Level cameras at the start, a quarter turn apart, counter-clockwise."""
    start = world.start_c2w
    yaw = np.arctan2(start[1, 2], start[0, 2]) + np.arange(len(_HEADINGS)) * np.pi / 2
    c2w = heading_c2w(np.tile(start[:3, 3], (len(_HEADINGS), 1)), yaw)
    return Camera.from_fov(c2w, _FOV_X_DEG, width=_MODEL_WIDTH, height=_MODEL_HEIGHT)


def _depth(depth_z: NDArray[np.float32], what: str) -> tuple[NDArray[np.uint8], str]:
    """A depth panel and its caption."""
    known = depth_z[depth_z > 0]
    far_m = float(np.percentile(known, 98)) if len(known) else 1.0
    return depth_picture(depth_z, max_depth_m=far_m), f"{what}, red near, blue {far_m:.1f} m"


def _covered(frame: Frame) -> float:
    """Share of the first view that shows something."""
    return float((frame.depth[0] > 0).mean())


def _maps(world: World) -> list[tuple[NDArray[np.uint8], str]]:
    """The place from above, and the same by provenance."""
    plan = TopDownMap(world, width=_WIDTH, height=_HEIGHT).background
    anchor = world.anchor
    seen = np.where(anchor.generated, 2, 1).astype(np.uint8)
    tinted = replace(world, anchor=replace(anchor, colors=provenance_picture(anchor.colors, seen)))
    by_origin = TopDownMap(tinted, width=_WIDTH, height=_HEIGHT).background
    words = "from above"
    if world.nav is not None:
        words += f", {float(world.nav.known_free.sum()) * world.nav.cell_m**2:.1f} sq m free"
    share = float(anchor.generated.mean())
    return [(plan, words), (by_origin, f"seen (green), generated (orange): {share:.0%}")]
