"""Poses found without being told: errors of RGB-D odometry on a real scan and a procedural path.

The procedural path is a closed curve of 2.5 m through an apartment, at 320×240, with the noise and
the millimetre steps of a depth camera.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from worldfm_gym import Camera, make_world
from worldfm_gym.camera import heading_c2w, invert_rigid, rotation_log
from worldfm_gym.reconstruction.odometry import track
from worldfm_gym.worlds.fusion import PosedFrame
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.scan import read_scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path, default=Path("../shared/data/livingroom"))
    parser.add_argument("--frames", type=int, default=24, help="of the procedural path")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    print("| sequence | frames | step, cm / deg | error, cm: mean, worst | deg: mean, worst | s |")
    print("| --- | --- | --- | --- | --- | --- |")
    if options.scan.exists():
        report(options.scan.name, [frame.load() for frame in read_scan(options.scan)[1]])
    for seed in options.seeds:
        report(f"rooms {seed}", procedural_path(options.frames, seed))


def report(name: str, frames: list[PosedFrame]) -> None:
    """One row."""
    true = np.stack([frame.camera.c2w for frame in frames])
    unposed = [replace(f, camera=replace(f.camera, c2w=np.eye(4))) for f in frames]
    started = perf_counter()
    c2w = track(unposed).c2w
    seconds = perf_counter() - started
    cm, deg = sizes(invert_rigid(invert_rigid(true[0]) @ true) @ c2w)
    step_cm, step_deg = sizes(invert_rigid(true[:-1]) @ true[1:])
    print(
        f"| {name} | {len(frames)} | {step_cm.mean():.0f} / {step_deg.mean():.0f} "
        f"| {cm.mean():.2f}, {cm.max():.2f} | {deg.mean():.2f}, {deg.max():.2f} | {seconds:.0f} |"
    )


def sizes(motions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in centimetres and angles in degrees of rigid motions [N, 4, 4]."""
    angles = np.linalg.norm(rotation_log(motions[:, :3, :3]), axis=-1)
    return 100 * np.linalg.norm(motions[:, :3, 3], axis=-1), np.rad2deg(angles)


def procedural_path(count: int, seed: int) -> list[PosedFrame]:
    """Frames along a closed curve."""
    world = make_world("rooms", seed=seed)
    start = world.start_c2w
    t = 2 * np.pi * np.linspace(0, 1, count)
    offset = np.stack([0.5 * np.sin(t), 0.4 * (1 - np.cos(t)), 0.1 * np.sin(2 * t)], axis=-1)
    yaw = np.arctan2(start[1, 2], start[0, 2]) + 0.6 * np.sin(t)
    c2w = heading_c2w(start[:3, 3] + offset, yaw, -0.25 + 0.1 * np.sin(t))
    cameras = Camera.from_fov(c2w, 70.0, width=320, height=240)
    rgb, depth, _ = render_scene(world.scene, cameras)
    noise = np.random.default_rng(0).normal(0, 1, depth.shape)
    depth = np.round(depth + noise * (0.0012 + 0.0019 * (depth - 0.4) ** 2), 3)
    return [
        PosedFrame(rgb[i], depth[i].astype(np.float32), cameras[i], f"frame {i}")
        for i in range(count)
    ]


if __name__ == "__main__":
    main()
