"""A small furnished room, written by hand: every shape and most materials, the same every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, look_at
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder

WIDTH, DEPTH, HEIGHT = 5.0, 4.0, 2.6
EYES = np.array([[2.2, -1.7, 1.5], [-2.1, -1.7, 1.6], [2.2, 1.7, 1.7], [-0.5, 0.5, 1.3]])
TARGETS = np.array([[-1.0, 0.8, 0.6], [1.2, 0.8, 0.7], [-1.0, -1.0, 0.5], [-2.5, -0.2, 1.0]])


def cameras(width: int = 96, height: int = 72) -> Camera:
    """Four views of the room."""
    return Camera.from_fov(look_at(EYES, TARGETS), 90.0, width=width, height=height)


def furnished_room() -> Scene:
    """Walls, a window, a table with a vase, a sofa on a rug, a lamp and a plant."""
    b = SceneBuilder(np.random.default_rng(0))
    _shell(b)
    oak = {"material": Material.WOOD, "color": (0.55, 0.33, 0.15), "scale": 0.12}
    cloth = {"material": Material.FABRIC, "color": (0.09, 0.16, 0.2), "scale": 0.05}
    leaves = {"material": Material.FOLIAGE, "color": (0.07, 0.2, 0.04), "scale": 0.12}
    steel = {"material": Material.METAL, "color": (0.5, 0.5, 0.5), "scale": 0.3}
    with b.object("rug", (-0.5, -0.2, 0)):
        b.box((0, 0, 0.006), (2.6, 2.0, 0.012), material=Material.RUG, color=(0.2, 0.04, 0.04),
              accent=(0.7, 0.6, 0.4), scale=0.5)  # fmt: skip
    with b.object("table", (0.3, -0.2, 0), 0.2):
        b.box((0, 0, 0.72), (1.4, 0.8, 0.04), **oak)
        for x in (-0.62, 0.62):
            for y in (-0.32, 0.32):
                b.cylinder((x, y, 0.35), 0.03, 0.7, **oak)
    with b.object("vase", (0.2, -0.1, 0.74)):
        b.cylinder((0, 0, 0.1), 0.06, 0.2, material=Material.TILE, color=(0.1, 0.2, 0.4), scale=0.3)
        b.ellipsoid((0, 0, 0.34), (0.34, 0.34, 0.3), **leaves)
    with b.object("sofa", (-1.9, -0.2, 0)):
        b.box((0, 0, 0.22), (0.85, 1.9, 0.3), **cloth)
        b.box((-0.33, 0, 0.55), (0.2, 1.9, 0.5), **cloth)
        b.ellipsoid((-0.1, 0.5, 0.55), (0.16, 0.42, 0.42), **cloth, yaw=0.3)
    with b.object("shelf", (2.3, -1.0, 0), np.pi):
        for z in (0.02, 0.42, 0.82):
            b.box((0, 0, z), (0.32, 1.0, 0.03), **oak)
        b.box((-0.15, 0, 0.42), (0.02, 1.0, 0.83), **oak)
        b.box((0.05, 0, 0.57), (0.2, 0.8, 0.27), material=Material.BOOKS, color=(0.2, 0.07, 0.03),
              scale=0.04)  # fmt: skip
    with b.object("fridge", (-1.0, 1.65, 0), -np.pi / 2):
        b.box((0, 0, 0.85), (0.6, 0.65, 1.7), **steel)
    with b.object("picture", (-0.9, -1.985, 1.5), np.pi / 2, movable=False):
        b.box((0, 0, 0), (0.03, 0.5, 0.7), material=Material.PICTURE, color=(0.1, 0.05, 0.03))
    with b.object("lamp", (-2.1, 1.5, 0)):
        b.cylinder((0, 0, 0.75), 0.012, 1.5, **steel)
        b.cylinder((0, 0, 1.6), 0.17, 0.25, material=Material.EMISSIVE, color=(1.0, 0.8, 0.5))
    b.light((0.2, 0, 2.2), (1.5, 1.35, 1.1), range_m=6.0)
    b.light((-2.1, 1.5, 1.6), (0.8, 0.6, 0.4), range_m=3.5)
    return b.build(
        ambient=(0.34, 0.34, 0.36),
        floor_rects=[(-WIDTH / 2, -DEPTH / 2, WIDTH / 2, DEPTH / 2)],
        height=HEIGHT,
    )


def _shell(b: SceneBuilder) -> None:
    """Floor, ceiling, walls, a window and a baseboard."""
    wall = {"material": Material.PAINT, "color": (0.75, 0.74, 0.7)}
    outer = (WIDTH + 0.2, DEPTH + 0.2, 0.2)
    b.box((0, 0, -0.1), outer, material=Material.PLANKS, color=(0.6, 0.4, 0.2), scale=0.16)
    b.box(
        (0, 0, HEIGHT + 0.1), outer, material=Material.PLASTER, color=(0.85, 0.85, 0.8), scale=0.6
    )
    b.box((-WIDTH / 2 - 0.05, 0, HEIGHT / 2), (0.1, DEPTH, HEIGHT), material=Material.BRICK,
          color=(0.3, 0.1, 0.06), accent=(0.5, 0.42, 0.35), scale=0.22)  # fmt: skip
    b.box((WIDTH / 2 + 0.05, 0, HEIGHT / 2), (0.1, DEPTH, HEIGHT), material=Material.TILE,
          color=(0.08, 0.23, 0.4), accent=(0.8, 0.8, 0.7), scale=0.15)  # fmt: skip
    b.box((0, -DEPTH / 2 - 0.05, HEIGHT / 2), (WIDTH + 0.2, 0.1, HEIGHT), **wall)
    y = DEPTH / 2 + 0.05
    for x in (-1.75, 1.75):
        b.box((x, y, HEIGHT / 2), (1.7, 0.1, HEIGHT), **wall)
    b.box((0, y, 0.4), (1.8, 0.1, 0.8), **wall)
    b.box((0, y, 2.35), (1.8, 0.1, 0.5), **wall)
    b.box((0, y + 0.02, 1.45), (1.8, 0.04, 1.3), material=Material.WINDOW, color=(0.4, 0.6, 0.9),
          accent=(0.27, 0.38, 0.19))  # fmt: skip
    b.box((0, -DEPTH / 2 + 0.0075, 0.05), (WIDTH, 0.015, 0.1), **wall)


def distance_to_surface(scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from world points [N, 3] to the nearest surface, by the shared source."""
    from worldfm_gym.worlds.raycast.geometry import signed_distance

    best = np.full(len(points), np.inf)
    for j in range(len(scene)):
        local = (points - scene.center[j]) @ scene.rotation[j]
        shape = np.full(len(points), scene.shape[j])
        d = signed_distance(shape, *local.T, *scene.half_size[j].astype(np.float64))
        best = np.minimum(best, np.abs(d))
    return best
