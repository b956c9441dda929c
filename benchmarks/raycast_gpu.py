"""Images per second of the GPU ray caster, scene creation included, and its agreement with the CPU.

    python benchmarks/raycast_gpu.py --out DIR                            # on a CUDA machine
    TRITON_INTERPRET=1 python benchmarks/raycast_gpu.py --toy --out DIR   # anywhere, just to try

Prints a table and writes `raycast_gpu.png`, a contact sheet. Scenes are created by a pool of
processes while the GPU draws those that came before; each scene is seen by `--views` cameras at
random places above its floor.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.worlds.raycast import camera_arrays
from worldfm_gym.worlds.raycast.packing import PackedScenes, concatenate, pack_scene

KINDS = ("rooms", "factory", "warehouse", "maze")

Views = tuple[NDArray[np.float32], NDArray[np.float32]]
Job = tuple[PackedScenes, Views]


def make_job(seed: int, scenes: int, views: int, side: int) -> Job:
    """Create scenes and views of them, packed and ready to copy to the GPU."""
    from worldfm_gym.worlds.procedural import build_scene

    packed, poses = [], []
    rng = np.random.default_rng(seed)
    for i in range(scenes):
        scene = build_scene(KINDS[(seed * scenes + i) % len(KINDS)], seed=seed * scenes + i)
        packed.append(pack_scene(scene))
        rects = scene.floor_rects[rng.integers(len(scene.floor_rects), size=views)]
        eye = np.empty((views, 3))
        eye[:, :2] = rects[:, :2] + rng.uniform(0.15, 0.85, (views, 2)) * (
            rects[:, 2:] - rects[:, :2]
        )
        eye[:, 2] = rng.uniform(0.5, 1.7, views)
        poses.append(
            heading_c2w(eye, rng.uniform(-np.pi, np.pi, views), rng.uniform(-0.4, 0.2, views))
        )
    cameras = Camera.from_fov(np.concatenate(poses), 90.0, width=side, height=side)
    return concatenate(packed), camera_arrays(cameras)


def jobs_ahead(pool: ProcessPoolExecutor, ahead: int, args: argparse.Namespace) -> Iterator[Job]:
    """Jobs from the pool, `ahead` of them always under way."""
    seeds = itertools.count()
    waiting = [
        pool.submit(make_job, next(seeds), args.scenes, args.views, args.side) for _ in range(ahead)
    ]
    while True:
        job = waiting.pop(0)
        waiting.append(pool.submit(make_job, next(seeds), args.scenes, args.views, args.side))
        yield job.result()


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=8, help="scenes per launch")
    parser.add_argument("--views", type=int, default=64, help="views per scene")
    parser.add_argument("--side", type=int, default=128, help="image side in pixels")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--toy", action="store_true", help="a few tiny images")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the contact sheet")
    args = parser.parse_args()
    if args.toy:
        args.scenes, args.views, args.side, args.seconds, args.workers = 1, 1, 16, 0.0, 1

    import torch
    import triton

    from worldfm_gym.worlds.raycast.cpu import render_packed
    from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def draw(job: Job) -> tuple[torch.Tensor, ...]:
        packed, views = job
        scene = torch.arange(len(packed), dtype=torch.int32).repeat_interleave(args.views)
        poses, lenses = (torch.from_numpy(a).to(device, non_blocking=True) for a in views)
        return render_scenes(
            DeviceScenes.upload(packed, device), scene.to(device), poses, lenses,
            width=args.side, height=args.side,
        )  # fmt: skip

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    started = time.perf_counter()
    sample = make_job(0, args.scenes, args.views, args.side)
    images = [t.cpu().numpy() for t in draw(sample)]
    compile_s = time.perf_counter() - started

    packed, (poses, lenses) = sample
    index = np.repeat(np.arange(len(packed), dtype=np.int32), args.views)
    expected = render_packed(packed, index, poses, lenses, width=args.side, height=args.side)
    same = (images[2] == expected[2]).mean()
    relative = np.abs(images[1] - expected[1]) / np.maximum(expected[1], 1e-6)
    levels = np.abs(images[0].astype(int) - expected[0].astype(int)).max(axis=-1)

    def rate(jobs: Iterator[Job]) -> float:
        drawn, begin = 0, time.perf_counter()
        while True:
            drawn += len(draw(next(jobs))[0])
            elapsed = time.perf_counter() - begin
            if elapsed >= args.seconds:
                wait()
                return drawn / (time.perf_counter() - begin)

    alone = rate(itertools.repeat(sample))
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(args.workers, mp_context=context) as pool:
        stream = jobs_ahead(pool, 2 * args.workers, args)
        for _ in range(4 * args.workers if not args.toy else 0):
            next(stream)  # by now every worker has started and loaded its kernels
        created = rate(stream)
        pool.shutdown(wait=False, cancel_futures=True)

    hardware = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "CPU"
    print(f"hardware        {hardware}, {os.cpu_count()} CPU cores")
    print(f"versions        torch {torch.__version__}, triton {triton.__version__}")
    print(f"first call      {compile_s:.1f} s, compilation included")
    print(f"workload        {args.scenes} scenes x {args.views} views of {args.side}² per launch")
    print(f"primitives      {packed.first_prim[-1] / len(packed):.0f} per scene")
    print(f"drawing alone   {alone:,.0f} images/s")
    print(f"with creation   {created:,.0f} images/s ({args.workers} worker processes)")
    print(f"same instance   {100 * same:.4f} % of pixels, GPU against CPU")
    print(f"depth           {100 * (relative < 1e-4).mean():.4f} % within 1e-4 relative")
    print(f"rgb             {100 * (levels <= 2).mean():.4f} % within 2 levels")

    args.out.mkdir(parents=True, exist_ok=True)
    count = min(len(images[0]), 64)
    columns = min(8, count)
    pick = np.linspace(0, len(images[0]) - 1, count // columns * columns).astype(int)
    rows = images[0][pick].reshape(-1, columns, args.side, args.side, 3)
    sheet = rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * args.side, 3)
    Image.fromarray(sheet).save(args.out / "raycast_gpu.png")


if __name__ == "__main__":
    main()
