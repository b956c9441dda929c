"""How fast anchors are drawn on a GPU, many cameras in many worlds at once.

    python benchmarks/raster_gpu.py [--cameras 512] [--worlds 32] [--size 128]

Checks a few pictures against the torch oracle first, then times `AnchorRaster.render` with CUDA
events: the whole call, uploads of the camera poses included.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from hardware import gpu_name, table
from raster import cameras_in

from worldfm_gym import make_world
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 32, 512])
    parser.add_argument("--worlds", type=int, default=32)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--spacing-m", type=float, default=0.055)
    args = parser.parse_args()
    started = time.perf_counter()
    worlds = [make_world("rooms", seed=s, spacing_m=args.spacing_m) for s in range(args.worlds)]
    mean = np.mean([len(w.anchor) for w in worlds])
    built = time.perf_counter() - started
    print(
        f"{gpu_name()}; {len(worlds)} rooms worlds of {mean:,.0f} points on average ({built:.0f} s)"
    )
    raster = AnchorRaster([w.pyramid for w in worlds], "triton", device=args.device)
    views = [cameras_in(w, -(-max(args.cameras) // len(worlds)), args.size) for w in worlds]
    c2w = np.stack([v.c2w for v in views], axis=1).reshape(-1, 4, 4)  # worlds take turns
    cameras = Camera(c2w, views[0].intrinsics[0], args.size, args.size)
    scene = np.arange(len(c2w)) % len(worlds)
    check(raster, AnchorRaster([w.pyramid for w in worlds], "torch"), cameras[:8], scene[:8])
    rows = []
    for count in args.cameras:
        ms, total = measure(raster, cameras[:count], scene[:count])
        rows.append([count, f"{ms:.2f}", f"{total:.2f}", f"{count / total * 1e3:,.0f}"])
    head = ["cameras", "GPU time, ms", "call until done, ms", "images/s"]
    print(table(head, rows))


def check(fast: AnchorRaster, oracle: AnchorRaster, cameras: Camera, scene: np.ndarray) -> None:
    """Stop unless winners equal the oracle's."""
    drawn, truth = fast.render(cameras, scene), oracle.render(cameras, scene)
    same = (drawn.index.cpu().numpy() == truth.index).mean()
    depth = np.abs(drawn.depth.cpu().numpy() / np.maximum(truth.depth, 1e-9) - 1)[
        truth.depth > 0
    ].max()
    print(
        f"against the oracle: {same:.4%} same point, depth within {depth:.1e}, "
        f"coverage {drawn.coverage.float().mean():.1%}"
    )
    if same < 1 or depth > 1e-4:
        raise SystemExit("the GPU raster disagrees with the oracle")


def measure(raster: AnchorRaster, cameras: Camera, scene: np.ndarray) -> tuple[float, float]:
    """Median GPU and wall milliseconds of one call."""
    gpu, wall = [], []
    for _ in range(30):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start = time.perf_counter()
        begin.record()
        raster.render(cameras, scene)
        end.record()
        torch.cuda.synchronize()
        wall.append(time.perf_counter() - start)
        gpu.append(begin.elapsed_time(end))
    return float(np.median(gpu[5:])), float(np.median(wall[5:]) * 1e3)


if __name__ == "__main__":
    main()
