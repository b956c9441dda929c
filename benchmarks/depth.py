"""Depth of the built-in estimator, or of any other, on photos with known depth.

    python benchmarks/depth.py [--estimator NAME] [FOLDER ...]

Prints a table with baselines; the depth of each image is scaled by the ratio of medians. Without
folders it takes the photo that comes with the package, and the scan beside the checkout, if it is
there.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import torch

import worldfm_gym
from worldfm_gym.reconstruction import DepthEstimator, make_estimator
from worldfm_gym.training.depth_evaluation import (
    ConstantPlane,
    DepthScores,
    FloorPlane,
    read_photos,
    score_estimator,
    table_of,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--estimator", default="built-in")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    sets = {folder.name: read_photos(folder) for folder in arguments.folders or default_folders()}
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
    image = next(iter(sets.values()))[0].rgb
    begin = time.perf_counter()
    model.estimate([image])
    seconds = time.perf_counter() - begin
    print(f"one {image.shape[1]}×{image.shape[0]} photo: {seconds:.2f} s")
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}")


def default_folders() -> list[Path]:
    garage = Path(worldfm_gym.__file__).parent / "data" / "garage"
    scan = Path(__file__).parents[2] / "shared" / "data" / "livingroom"
    return [garage, scan] if scan.is_dir() else [garage]


if __name__ == "__main__":
    main()
