"""Depth of the built-in estimator, or of any other, on photos with known depth.

    python benchmarks/depth.py [--estimator NAME] [--worlds N] [--sheet PNG] [FOLDER ...]

Prints a table with baselines; the depth of each image is scaled by the ratio of medians. Without
folders it takes the photo that comes with the package, and the scan beside the checkout, if it is
there; --worlds adds views of procedural worlds that nothing is trained on. The sheet shows up
to four photos of each set over their true and estimated depth, near in red and far in blue.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import worldfm_gym
from worldfm_gym.reconstruction import DepthEstimator, make_estimator
from worldfm_gym.training.contact_sheet import save_sheet
from worldfm_gym.training.depth_data import DepthSource
from worldfm_gym.training.depth_evaluation import (
    ConstantPlane,
    DepthScores,
    FloorPlane,
    TruePhoto,
    read_photos,
    score_estimator,
    table_of,
)
from worldfm_gym.training.depth_scenes import DepthDataConfig
from worldfm_gym.training.depth_sheet import photo_sheet


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--estimator", default="built-in")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worlds", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    sets = {folder.name: read_photos(folder) for folder in arguments.folders or default_folders()}
    if arguments.worlds:
        sets["worlds"] = views_of_worlds(arguments.worlds)
    model = make_estimator(arguments.estimator, device=arguments.device)
    estimators: list[tuple[str, DepthEstimator, bool]] = [
        ("constant plane", ConstantPlane(), True),
        ("floor plane", FloorPlane(), True),
        (model.name, model, True),
        (f"{model.name}, lens unknown", model, False),
    ]
    scores: dict[str, dict[str, DepthScores]] = {}
    for name, estimator, known_lens in estimators:
        scores[name] = {
            key: score_estimator(estimator, photos, known_lens=known_lens)
            for key, photos in sets.items()
        }
    print(table_of(scores))
    for key, score in scores[estimators[-1][0]].items():
        print(f"error of the field of view, {key}: {score.fov_error_deg:.1f}°")
    if arguments.sheet is not None:
        shown = [photo for photos in sets.values() for photo in photos[:: -(-len(photos) // 4)]]
        save_sheet(photo_sheet(model, shown), arguments.sheet)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (960, 1280, 3), dtype=np.uint8)
    seconds = []
    for _ in range(6):
        begin = time.perf_counter()
        model.estimate([image])
        seconds.append(time.perf_counter() - begin)
    print(f"one 1280×960 photo: {sorted(seconds[1:])[2]:.2f} s, the first {seconds[0]:.2f} s")
    print(f"{torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}")


def views_of_worlds(count: int) -> list[TruePhoto]:
    data = DepthDataConfig(held_out=True)
    few = replace(
        data, sizes=data.sizes[:1], size_shares=(1.0,), views=10, pool_worlds=-(-count // 4)
    )
    photos: list[TruePhoto] = []
    with DepthSource(few, device=torch.device("cpu"), seed=0, workers=0, augmented=False) as source:
        batch = source.batch(count)
    for rgb, depth, lens in zip(batch.rgb, batch.depth_z, batch.intrinsics.tolist(), strict=True):
        fx, fy, cx, cy = lens
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        pixels = (rgb * 255).round().to(torch.uint8).permute(1, 2, 0)
        photos.append(TruePhoto(pixels.numpy(), depth.numpy(), K))
    return photos


def default_folders() -> list[Path]:
    garage = Path(worldfm_gym.__file__).parent / "data" / "garage"
    scan = Path(__file__).parents[2] / "shared" / "data" / "livingroom"
    return [garage, scan] if scan.is_dir() else [garage]


if __name__ == "__main__":
    main()
