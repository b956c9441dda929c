"""Time and memory from a photo to an environment that can be stepped, in fresh processes.

    python benchmarks/photo_world.py [photo ...] [--expand] [--size 1280x960] [--repeats 3]

Each run is a new Python process that imports everything, makes `WorldFM/PointNav-v0` of the photo
alone, resets and steps it once; compiled kernels are cached from a first run that does not count.
Most of the imports is torch; "s" is all that comes after them, reading kernels from their cache
included.
Without photos: the garage photo of the package, enlarged to 1280×960.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hardware import describe

_RUN = """
import time
began = time.perf_counter()
laps = {}
def lap(name):
    global began
    now = time.perf_counter()
    laps[name] = now - began
    began = now
import json, resource, sys, warnings
warnings.simplefilter("ignore")
import gymnasium
import torch
from worldfm_gym import make_world
lap("imports")
world = make_world(sys.argv[1], **json.loads(sys.argv[2]))
lap("world")
env = gymnasium.make("WorldFM/PointNav-v0", world=world, goal_distance_m=(0.3, 30.0))
env.reset(seed=0)
lap("reset")
env.step(1)
lap("step")
source = world.source
print(json.dumps({
    "laps": laps,
    "cpu_s": time.process_time(),
    "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    "points": len(world.anchor),
    "objects": len(world.objects),
    "free_m2": float(world.nav.navigable.sum()) * world.nav.cell_m ** 2,
    "fov": source["fov_x_deg"], "height": source["camera_height_m"],
}))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="*")
    parser.add_argument("--expand", action="store_true", help="grow the world as well")
    parser.add_argument("--size", default="1280x960", help="photos are resized to this first")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(describe("torch", "numba"))
    columns = ("photo", "s", "imports", "world", "reset", "step", "CPU s", "peak GB", "points")
    print("| " + " | ".join((*columns, "objects", "free m²")) + " |")
    print("| --- " * (len(columns) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for photo in photos(options.photos, options.size, Path(folder)):
            print(row(photo, options.expand, options.repeats), flush=True)


def photos(given: list[str], size: str, folder: Path) -> list[Path]:
    """The photos at the size asked for, as JPEG files."""
    from PIL import Image

    import worldfm_gym

    shipped = Path(worldfm_gym.__file__).parent / "data/garage/photo.jpg"
    width, height = (int(side) for side in size.split("x"))
    made = []
    for source in [Path(name) for name in given] or [shipped]:
        name = source.parent.name if source.stem == "photo" else source.stem
        with Image.open(source) as image:
            path = folder / f"{name}.jpg"
            image.convert("RGB").resize((width, height)).save(path, quality=92)
        made.append(path)
    return made


def row(photo: Path, expand: bool, repeats: int) -> str:
    """One line of the table: medians over fresh processes."""
    options = json.dumps({"expand": True, "seed": 0} if expand else {})
    runs = []
    for _ in range(1 + repeats):
        command = [sys.executable, "-c", _RUN, str(photo), options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    runs = runs[1:]
    laps = {k: statistics.median(r["laps"][k] for r in runs) for k in runs[0]["laps"]}
    total = statistics.median(sum(r["laps"].values()) - r["laps"]["imports"] for r in runs)
    cpu = statistics.median(r["cpu_s"] for r in runs)
    peak = max(r["peak_gb"] for r in runs)
    last = runs[-1]
    times = " | ".join(f"{laps[k]:.2f}" for k in ("imports", "world", "reset", "step"))
    return (
        f"| {photo.stem} | {total:.2f} | {times} | {cpu:.2f} | {peak:.2f} | {last['points']} | "
        f"{last['objects']} | {last['free_m2']:.1f} |"
    )


if __name__ == "__main__":
    main()
