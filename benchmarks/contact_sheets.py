"""Contact sheets: one eye-level view of each of many seeds, to look at what a kind is like."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.camera import Camera, heading_c2w, intrinsics_from_fov
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.scene import Scene

_CLEARANCE_M = 0.35
_CANDIDATES = 16


@dataclass(frozen=True)
class Arguments:
    """What to draw, and where to.

    Attributes:
        output: Folder for the PNG files, made if missing.
        kinds: Kinds of procedural worlds.
        columns: Tiles across.
        rows: Tiles down.
        width: Tile width in pixels.
        height: Tile height in pixels.
        first_seed: Seed of the first tile.
        fov_deg: Horizontal field of view.
    """

    output: Path = Path("contact_sheets")
    kinds: tuple[str, ...] = KINDS
    columns: int = 8
    rows: int = 8
    width: int = 160
    height: int = 120
    first_seed: int = 0
    fov_deg: float = 85.0


def pick_view(
    scene: Scene, rng: np.random.Generator, fov_deg: float, width: int, height: int
) -> Camera:
    """An eye-level camera on free floor: of some random ones, the one that sees most things."""
    c2w = heading_c2w(
        _free_positions(scene, rng, _CANDIDATES),
        rng.uniform(-math.pi, math.pi, _CANDIDATES),
        rng.uniform(-0.22, -0.02, _CANDIDATES),
    )
    small = Camera(c2w, intrinsics_from_fov(fov_deg, width=48, height=36), 48, 36)
    _, depth, instance = render_scene(scene, small)
    scores = []
    for image_depth, image_instance in zip(depth, instance, strict=True):
        counts = np.bincount(image_instance[image_instance > 0], minlength=1)
        things = np.minimum(counts / 25.0, 1.0).sum()
        too_near = (image_depth < 0.7).mean()
        scores.append(things + 2.0 * np.minimum(image_depth, 5.0).mean() / 5.0 - 20.0 * too_near)
    best = c2w[int(np.argmax(scores))]
    return Camera.from_fov(best, fov_deg, width=width, height=height)


def _free_positions(scene: Scene, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Points [count, 3] at eye level, clear of walls and of objects that reach into the way."""
    corners = np.array([o.corners_world for o in scene.objects])  # [K, 8, 3]
    low, high = corners.min(axis=1), corners.max(axis=1)
    in_the_way = (low[:, 2] < 1.6) & (high[:, 2] > 0.05)
    low, high = low[in_the_way, :2], high[in_the_way, :2]
    rects = scene.floor_rects.astype(np.float64)
    rects = rects[(rects[:, 2:] - rects[:, :2]).min(axis=1) > 2 * _CLEARANCE_M + 0.1]
    area = (rects[:, 2:] - rects[:, :2]).prod(axis=1)
    found: list[list[float]] = []
    for _ in range(400):
        rect = rects[rng.choice(len(rects), p=area / area.sum())]
        x, y = rng.uniform(rect[:2] + _CLEARANCE_M, rect[2:] - _CLEARANCE_M)
        gap = np.maximum(np.maximum(low - (x, y), (x, y) - high), 0.0)
        if len(gap) == 0 or np.hypot(*gap.T).min() > _CLEARANCE_M:
            found.append([x, y, rng.uniform(1.25, 1.5)])
        if len(found) == count:
            break
    return np.array([found[i % len(found)] for i in range(count)])


def draw_sheet(kind: str, arguments: Arguments) -> Image.Image:
    """Draw the contact sheet of one kind."""
    width, height = arguments.width, arguments.height
    sheet = Image.new("RGB", (arguments.columns * width, arguments.rows * height))
    for tile in range(arguments.columns * arguments.rows):
        seed = arguments.first_seed + tile
        scene = build_scene(kind, seed=seed)
        camera = pick_view(scene, np.random.default_rng(seed), arguments.fov_deg, width, height)
        rgb, _, _ = render_scene(scene, camera)
        image = Image.fromarray(rgb.reshape(height, width, 3))
        sheet.paste(image, (tile % arguments.columns * width, tile // arguments.columns * height))
    return sheet


def main(arguments: Arguments) -> None:
    arguments.output.mkdir(parents=True, exist_ok=True)
    for kind in arguments.kinds:
        path = arguments.output / f"{kind}.png"
        unfinished = path.with_suffix(".part")
        draw_sheet(kind, arguments).save(unfinished, format="PNG")
        os.replace(unfinished, path)
        print(path)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
