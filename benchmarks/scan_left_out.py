"""Views of a scanned place from where no frame was used: the anchor against the frame model.

A world is built from every nth frame of a scan and drawn at the frames left out.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import torch

from worldfm_gym.renderer import make_renderer
from worldfm_gym.training.evaluation_scan import scan_views
from worldfm_gym.training.metrics import absolute_relative_error, psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", default="../shared/data/livingroom")
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 64])
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    print("| longer side | renderer | PSNR, dB | worst view | depth AbsRel |")
    print("| --- | --- | --- | --- | --- |")
    for size in options.sizes:
        started = perf_counter()
        views = scan_views(options.scan, size=size, every=options.every)
        built_s = perf_counter() - started
        truth_rgb, truth_z = torch.from_numpy(views.rgb), torch.from_numpy(views.depth_z)
        renderers = {"anchor": make_renderer("anchor", views.worlds)} | {
            f"frame, {steps} step{'s' * (steps > 1)}": make_renderer(
                "frame", views.worlds, model=options.model, steps=steps
            )
            for steps in (1, 2)
        }
        for name, renderer in renderers.items():
            frame = renderer.render(views.cameras, views.scene)
            rgb, depth_z = torch.as_tensor(frame.rgb), torch.as_tensor(frame.depth)
            decibels = psnr(rgb, truth_rgb)
            everywhere = torch.ones_like(depth_z, dtype=torch.bool)
            error = absolute_relative_error(depth_z, truth_z, everywhere).mean()
            print(
                f"| {size} | {name} | {decibels.mean():.2f} | {decibels.min():.2f} | {error:.4f} |"
            )
    print(
        f"\n{len(views)} views; a world of {len(views.worlds[0].anchor):,} points and "
        f"{len(views.worlds[0].references)} references, built in {built_s:.1f} s"
    )


if __name__ == "__main__":
    main()
