"""Your own scan: posed RGB-D frames become a world that is saved, loaded and flown through.

You learn the scan.json format by writing one: here its frames are pictures of a procedural
apartment, in your case they come from a phone, a robot or a photogrammetry tool.
Writes out/03_scan (the scan) and out/03_world (the world).
"""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

from worldfm_gym import Camera, load_world, make_world
from worldfm_gym.camera import heading_c2w
from worldfm_gym.renderer import make_renderer


def write_scan(folder: Path) -> None:
    """Twelve frames around one place: color JPEGs, 16-bit millimetre PNGs, and their poses."""
    rooms = make_world("rooms", seed=1)
    yaw = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    c2w = heading_c2w(np.tile(rooms.start_c2w[:3, 3], (12, 1)), yaw, pitch=-0.35)
    cameras = Camera.from_fov(c2w, 75.0, width=320, height=240)
    shots = make_renderer("anchor", [rooms]).render(cameras, np.zeros(12, np.int64))
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for i, pose in enumerate(c2w):
        color, depth = f"{i:02}.jpg", f"{i:02}.png"
        Image.fromarray(shots.rgb[i]).save(folder / color, quality=95)
        Image.fromarray((shots.depth[i] * 1000).astype(np.uint16)).save(folder / depth)
        frames.append({"color": color, "depth": depth, "c2w": pose.tolist()})
    size = {"width": cameras.width, "height": cameras.height}
    record = {**size, "K": cameras.K[0].tolist(), "depth_unit_m": 0.001, "frames": frames}
    (folder / "scan.json").write_text(json.dumps(record))


def main() -> None:
    write_scan(Path("out/03_scan"))
    world = make_world("out/03_scan/scan.json")
    print(f"{len(world.anchor):,} points, navigation: {world.nav_problem or 'yes'}")
    world.save("out/03_world", overwrite=True)
    env = gym.make("WorldFM/FreeCamera-v0", world=load_world("out/03_world"))
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        observation, *_ = env.step([0, 0, 0.5, 0, 0.5, 0])  # ahead, turning right
    print("the camera is now at", observation["pose"][:3].round(2))


if __name__ == "__main__":
    main()
