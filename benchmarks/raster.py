"""How fast anchors are drawn on the CPU.

    python benchmarks/raster.py [--points 200000] [--size 128]

Worlds are procedural apartments thinned to about the given number of points; cameras stand on
their free floor. Each picture is compared with the torch oracle in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from hardware import describe, table

from worldfm_gym import make_world
from worldfm_gym.anchor import Anchor
from worldfm_gym.anchor.pyramid import build_pyramid
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera, heading_c2w, intrinsics_from_fov
from worldfm_gym.worlds.world import World


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--size", type=int, nargs="+", default=[84, 128])
    parser.add_argument("--cameras", type=int, default=64)
    args = parser.parse_args()
    world = world_of(args.points)
    print(describe("numba", "numpy", "torch"))
    points, objects = len(world.anchor), len(world.objects)
    print(f"rooms, seed 0: {points:,} points, {objects} objects; field of view 90°")
    rows = []
    for size in args.size:
        cameras = cameras_in(world, args.cameras, size)
        raster = AnchorRaster([world.pyramid])
        one = measure(lambda c, r=raster: r.render(c, np.zeros(1, np.int64)), batches(cameras, 1))
        eight = (
            measure(lambda c, r=raster: r.render(c, np.zeros(8, np.int64)), batches(cameras, 8)) / 8
        )
        oracle = AnchorRaster([world.pyramid], "torch")
        slow = measure(
            lambda c, r=oracle: r.render(c, np.zeros(1, np.int64)), batches(cameras, 1)[:6], 3
        )
        rows.append([f"{size}²", f"{one:.2f}", f"{eight:.2f}", f"{slow:.0f}", f"{slow / one:.0f}×"])
    head = [
        "image",
        "one camera, ms",
        "in a batch of 8, ms an image",
        "torch oracle, ms",
        "speed-up",
    ]
    print(table(head, rows))
    print()
    crowd(world, args.size[-1])


def crowd(world: World, size: int) -> None:
    """The cost of ten times the points outside the view."""
    cameras = cameras_in(world, 32, size)
    low, high = world.anchor.bounds
    copies = [world.anchor]
    for i in range(1, 10):
        shifted = (world.anchor.points + [0, 0, -i * (high[2] - low[2] + 1.0)]).astype(np.float32)
        copies.append(
            Anchor(
                shifted,
                world.anchor.colors,
                world.anchor.normals,
                np.zeros_like(world.anchor.instance),
                world.anchor.radius,
                world.anchor.generated,
            )
        )
    crowded = build_pyramid(Anchor.concatenate(copies), world.objects)
    level = Camera(cameras.c2w, cameras.intrinsics, size, size)
    times = []
    for pyramid in (world.pyramid, crowded):
        raster = AnchorRaster([pyramid])
        times.append(
            measure(lambda c, r=raster: r.render(c, np.zeros(1, np.int64)), batches(level, 1))
        )
    print(
        f"points below the floor, out of view: {len(world.pyramid):,} → {len(crowded):,} splats; "
        f"{times[0]:.2f} → {times[1]:.2f} ms, ×{times[1] / times[0]:.2f}"
    )


def world_of(points: int) -> World:
    """The apartment of seed 0 sampled to about `points` points."""
    world = make_world("rooms", seed=0)
    spacing = 0.06 * (len(world.anchor) / points) ** 0.5
    return make_world("rooms", seed=0, spacing_m=spacing)


def cameras_in(world: World, count: int, size: int) -> Camera:
    """Cameras at 1.25 m over random free floor with random headings."""
    rng = np.random.default_rng(0)
    xy = world.require_nav().random_point(rng, count=count)
    position = np.concatenate([xy, np.full((count, 1), 1.25)], axis=1)
    c2w = heading_c2w(position, rng.uniform(-np.pi, np.pi, count))
    return Camera(c2w, intrinsics_from_fov(90, width=size, height=size), size, size)


def batches(cameras: Camera, size: int) -> list[Camera]:
    """Consecutive groups of cameras."""
    return [cameras[i : i + size] for i in range(0, len(cameras.c2w) - size + 1, size)]


def measure(draw: Callable[[Camera], object], cameras: list[Camera], repeats: int = 15) -> float:
    """Mean over cameras of the median time of one call, in milliseconds."""
    times = np.empty((repeats, len(cameras)))
    draw(cameras[0])
    for row in times:
        for i, camera in enumerate(cameras):
            start = time.perf_counter()
            draw(camera)
            row[i] = time.perf_counter() - start
    return float(np.median(times, axis=0).mean() * 1e3)


if __name__ == "__main__":
    main()
