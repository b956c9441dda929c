"""Conditioned samples per second of the training data generator, alone.

    python benchmarks/training_data.py --out DIR                 # on a CUDA machine
    python benchmarks/training_data.py --toy --out DIR           # anywhere, just to try

Prints a table and a histogram of anchor coverage, and writes `training_data.png`: for each of some
samples the target, its anchor raster, the references carried over to it, and the references.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from hardware import describe, gpu_name
from PIL import Image

from worldfm_gym.frame_model.conditioning import decode_rgb, warp_references
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.generator import GeneratorConfig, SampleGenerator


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=64, help="groups per batch")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the measurement")
    parser.add_argument("--workers", type=int, default=None, help="worker processes; 0: none")
    parser.add_argument("--worlds", type=int, default=64, help="worlds in the pool")
    parser.add_argument("--reuse", type=float, default=GeneratorConfig().reuse)
    parser.add_argument("--sheet", type=int, default=10, help="rows of the contact sheet")
    parser.add_argument("--toy", action="store_true", help="a few tiny samples")
    parser.add_argument("--small", action="store_true", help="few places and worlds, for CPUs")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the contact sheet")
    args = parser.parse_args()
    config = replace(GeneratorConfig(), pool_worlds=args.worlds, reuse=args.reuse)
    if args.toy:
        config, args.groups, args.seconds = GeneratorConfig.toy(), 4, 0.0
    elif args.small:
        config = replace(
            config, sizes=((128, 128),), size_shares=(1.0,), places=8, pool_worlds=10,
            reference_shares=(0.0, 0.0, 1.0, 0.0, 0.0),
        )  # fmt: skip
        args.groups, args.seconds = 40, 0.0

    device = "cuda" if torch.cuda.is_available() else "cpu"
    started = time.perf_counter()
    with SampleGenerator(config, device=device, seed=0, workers=args.workers) as generator:
        sample = generator.batch(args.groups)
        coverage = [_coverage(sample)]
        start_s = time.perf_counter() - started
        for _ in range(4):
            coverage.append(_coverage(generator.batch(args.groups)))
        # Measured from a point where the worlds drawn ahead are used up.
        rate = _rate(generator, args.groups, args.seconds / 3)
        rate = _rate(generator, args.groups, args.seconds)

    print(f"hardware        {describe('torch', 'numpy', 'numba')}")
    if device == "cuda":
        print(f"                {gpu_name()}")
    print(f"flags           {config}")
    print(f"                groups={args.groups}, workers={args.workers}, seconds={args.seconds}")
    print(f"first batch     after {start_s:.1f} s, with a full pool of {config.pool_worlds} worlds")
    print(f"generator       {rate:,.0f} conditioned samples/s")
    if device == "cuda":
        print(f"GPU memory      {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
    _print_histogram(torch.cat(coverage).cpu().numpy())
    args.out.mkdir(parents=True, exist_ok=True)
    while sample.references.rgb.shape[1] == 0:
        sample = generator.batch(args.groups)
    Image.fromarray(_sheet(sample[: args.sheet])).save(args.out / "training_data.png")


def _coverage(batch: Batch) -> torch.Tensor:
    """Share of each sample's pixels that show an anchor point."""
    return (batch.anchor_index >= 0).float().mean((2, 3)).flatten()


def _rate(generator: SampleGenerator, groups: int, seconds: float) -> float:
    """Samples per second over some time."""
    samples, begin = 0, time.perf_counter()
    while True:
        samples += generator.batch(groups).samples
        if time.perf_counter() - begin >= seconds:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return samples / (time.perf_counter() - begin)


def _print_histogram(coverage: np.ndarray) -> None:
    """Share of the samples by anchor coverage."""
    counts, _ = np.histogram(coverage, np.linspace(0, 1.0001, 11))
    for i, count in enumerate(counts):
        percent = 100 * count / len(coverage)
        print(f"coverage {10 * i:3d}…{10 * i + 10:3d} %  {percent:5.1f} %  {'#' * int(percent)}")


def _sheet(batch: Batch) -> np.ndarray:
    """A row a group: target, anchor, carried-over references (of two targets), references."""
    groups, references = batch.references.rgb.shape[:2]
    rows = []
    for target in range(2):
        warped, _ = warp_references(
            batch.anchor_depth_z[:, target],
            batch.target.c2w[:, target],
            batch.target.intrinsics[:, target],
            batch.references,
        )
        rows += [batch.target.rgb[:, target], batch.anchor_rgb[:, target], decode_rgb(warped)]
    rows += [batch.references.rgb[:, r] for r in range(references)]
    sheet = torch.stack(rows, 1).cpu().numpy()  # [G, columns, H, W, 3]
    sheet = np.pad(sheet, ((0, 0), (0, 0), (0, 2), (0, 2), (0, 0)), constant_values=255)
    columns, height, width = sheet.shape[1:4]
    return np.ascontiguousarray(
        sheet.transpose(0, 2, 1, 3, 4).reshape(groups * height, columns * width, 3)
    )


if __name__ == "__main__":
    main()
