"""Growth of photos: is the place closed, can it be walked, does it stay, how long does it take.

    python benchmarks/growth.py [photo ...] [--views 96] [--steps 20000] [--seed 0] [--sheets DIR]

Each world is grown twice, the second time ended half-way and resumed, and the arrays are compared.
Then an agent takes random steps in it; every so often it is put back where it has been before, and
the frame is compared with the first one of that pose. Without photos: the garage photo of the
package, with its measured depth and without.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import resource
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import gymnasium
import numpy as np
import psutil
from hardware import describe, table
from numpy.typing import NDArray

import worldfm_gym
from worldfm_gym import make_world
from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera
from worldfm_gym.growth import Growth, GrowthConfig, expand_world
from worldfm_gym.growth.coverage import heading_coverage
from worldfm_gym.growth.growth import frame_renderers, model_key
from worldfm_gym.worlds.world import World

_GARAGE = Path(worldfm_gym.__file__).parent / "data/garage"
_VISITS, _PLACES = 100, 20  # of a long run: how often it stops, and how many poses it notes


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--views", type=int, default=GrowthConfig().views)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=64, help="of the frames of the long run")
    parser.add_argument("--once", action="store_true", help="leave out the second, resumed growth")
    parser.add_argument("--sheets", type=Path, help="folder for pictures before and after")
    args = parser.parse_args()
    print(describe("torch"))
    sources = args.photos or [_GARAGE, _GARAGE / "photo.jpg"]
    config = GrowthConfig(seed=args.seed, views=args.views)
    grown, rows = [], []
    for source in sources:
        began = time.perf_counter()
        world = make_world(source)
        made = time.perf_counter()
        place = expand_world(world, config, progress=True)
        ended = time.perf_counter()
        same = "not run" if args.once else yes(digest(place) == digest(resumed(world, config)))
        name = source.name if source.is_dir() else f"{source.parent.name}/{source.name}"
        rows.append([name, *figures(world, place), same, f"{made - began:.1f}"])
        rows[-1] += [f"{ended - made:.1f}", f"{peak_gb():.2f}"]
        grown.append((name, place))
        if args.sheets is not None:
            args.sheets.mkdir(exist_ok=True)
            save_sheet(world, place, args.sheets / f"{name.replace('/', '_')}.png")
    head = [
        "photo", "least heading covered", "mean", "free floor, m²", "walkable, m²",
        "observed pixels unchanged", "same when resumed", "world, s", "growth, s", "peak GB",
    ]  # fmt: skip
    print(table(head, rows))
    if args.steps:
        print()
        head = [
            "world",
            "random steps",
            "poses visited again",
            "identical",
            "resident MB, from, to",
        ]
        print(table(head, [[name, *long_run(place, args)] for name, place in grown]))


def figures(world: World, grown: World) -> list[str]:
    """Coverage, floor before and after, and whether observed pixels changed."""
    before, after = heading_coverage(world), heading_coverage(grown)
    floors = []
    for name in ("known_free", "navigable"):
        areas = [
            0.0 if w.nav is None else float(getattr(w.nav, name).sum()) * w.nav.cell_m**2
            for w in (world, grown)
        ]
        floors.append(f"{areas[0]:.1f} → {areas[1]:.1f} (×{areas[1] / max(areas[0], 0.01):.1f})")
    return [
        f"{before.min():.1%} → {after.min():.1%}",
        f"{before.mean():.1%} → {after.mean():.1%}",
        *floors,
        yes(unchanged(world, grown)),
    ]


def unchanged(world: World, grown: World) -> bool:
    """Whether points and covered pixels of observed references are as they were, bit for bit."""
    count = len(world.anchor)
    for field in fields(Anchor):
        if not np.array_equal(
            getattr(grown.anchor, field.name)[:count], getattr(world.anchor, field.name)
        ):
            return False
    for reference in world.references:
        c = reference.camera
        camera = Camera(c.c2w[None], c.intrinsics[None], c.width, c.height)
        scene = np.zeros(1, np.int64)
        a, b = (AnchorRaster([w.pyramid]).render(camera, scene) for w in (world, grown))
        for name in ("rgb", "depth"):
            if not np.array_equal(getattr(a, name)[a.coverage], getattr(b, name)[a.coverage]):
                return False
    return True


def resumed(world: World, config: GrowthConfig) -> World:
    """The world grown in two runs: the first one ends half-way."""

    class Ended(Exception):
        pass

    class Half(Growth):
        def round(self, index: int) -> None:
            if index >= self.config.rounds // 2:
                raise Ended
            super().round(index)

    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(Ended):
            Half(world, config, frame_renderers("nano", "cpu"), model_key("nano")).run(
                folder=folder
            )
        return expand_world(world, config, folder=folder)


def digest(world: World) -> str:
    """A digest of points, references and map."""
    hashed = hashlib.blake2b(digest_size=16)
    for field in fields(Anchor):
        hashed.update(np.ascontiguousarray(getattr(world.anchor, field.name)).data)
    for reference in world.references:
        hashed.update(reference.rgb.tobytes() + reference.depth.tobytes())
        hashed.update(reference.camera.c2w.tobytes())
    if world.nav is not None:
        for name, array in sorted(world.nav.to_arrays().items()):
            hashed.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def long_run(world: World, args: argparse.Namespace) -> list[str]:
    """Random steps through an environment; poses of before are visited again on the way."""
    size = args.size
    env = gymnasium.make(
        "WorldFM/PointNav-v0",
        world=world,
        width=size,
        height=size,
        max_episode_steps=args.steps + 1,
    )
    env.reset(seed=args.seed)
    simulator = env.unwrapped.simulator
    rng = np.random.default_rng(args.seed)
    actions = env.action_space.n
    first: list[tuple[object, NDArray[np.uint8], NDArray[np.float32]]] = []
    again = identical = 0
    process, start_mb = psutil.Process(), 0.0
    for step in range(args.steps):
        _, _, terminated, truncated, _ = env.step(int(rng.integers(actions)))
        if terminated or truncated:
            env.reset()
        if step == min(500, args.steps // 4):
            start_mb = process.memory_info().rss / 1e6
        if step % max(1, args.steps // _VISITS) == 0:
            if len(first) < _PLACES:
                frame = simulator.render()
                first.append((simulator.state(), frame.rgb.copy(), frame.depth.copy()))
            else:
                here = simulator.state()
                state, rgb, depth = first[int(rng.integers(len(first)))]
                simulator.set_state(state)
                frame = simulator.render()
                again += 1
                identical += np.array_equal(frame.rgb, rgb) and np.array_equal(frame.depth, depth)
                simulator.set_state(here)
    end_mb = process.memory_info().rss / 1e6
    env.close()
    return [f"{args.steps:,}", str(again), str(identical), f"{start_mb:.0f}, {end_mb:.0f}"]


def save_sheet(world: World, grown: World, path: Path) -> None:
    """Twelve headings before and after, and the maps."""
    from PIL import Image

    from worldfm_gym.camera import heading_c2w

    start = world.start_c2w
    yaw = np.arctan2(start[1, 2], start[0, 2]) + np.arange(12) * np.pi / 6
    cameras = Camera.from_fov(heading_c2w(start[:3, 3], yaw), 90.0, width=160, height=160)
    scene = np.zeros(12, np.int64)
    rows = []
    for shown in (world, grown):
        rgb = AnchorRaster([shown.pyramid]).render(cameras, scene).rgb
        rows += [np.concatenate(list(rgb[:6]), 1), np.concatenate(list(rgb[6:]), 1)]
    sheet = Image.fromarray(np.concatenate(rows, 0))
    maps = [plan(w) for w in (world, grown)]
    page = Image.new("RGB", (sheet.width, sheet.height + 320), (40, 40, 40))
    page.paste(sheet, (0, 0))
    for i, picture in enumerate(maps):
        page.paste(picture, (i * sheet.width // 2, sheet.height))
    page.save(path)


def plan(world: World):
    """The map of a world, 320 pixels high at most."""
    from PIL import Image

    if world.nav is None:
        return Image.new("RGB", (320, 320))
    picture = Image.fromarray(world.nav.image())
    scale = 320 / max(picture.size)
    return picture.resize([max(1, round(side * scale)) for side in picture.size])


def peak_gb() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def yes(value: bool) -> str:
    """In words."""
    return "yes" if value else "NO"


if __name__ == "__main__":
    main()
