import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.camera import Camera, heading_c2w, invert_rigid, rotation_log
from worldfm_gym.errors import MissingExtraError, SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.reconstruction.odometry import track
from worldfm_gym.worlds.fusion import PosedFrame
from worldfm_gym.worlds.procedural import build_scene
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.scan import world_from_scan


@pytest.fixture(scope="module")
def sequence() -> list[PosedFrame]:
    """Eight frames along a curve through a procedural apartment, with a depth camera's noise."""
    scene = build_scene("rooms", seed=1)
    t = np.linspace(0, 1, 8)
    position = np.stack([0.3 * np.sin(np.pi * t), 0.25 * t, 1.3 + 0.05 * t], axis=-1)
    floor = scene.floor_rects[0]
    position[:, :2] += (floor[:2] + floor[2:]) / 2
    c2w = heading_c2w(position, 0.4 * np.sin(np.pi * t), -0.2 + 0.05 * t)
    cameras = Camera.from_fov(c2w, 70.0, width=160, height=120)
    rgb, depth, _ = render_scene(scene, cameras)
    rng = np.random.default_rng(0)
    depth = depth + rng.normal(0, 1, depth.shape) * (0.0012 + 0.0019 * (depth - 0.4) ** 2)
    return [
        PosedFrame(rgb[i], depth[i].astype(np.float32), cameras[i], f"frame {i}") for i in range(8)
    ]


def errors(c2w: np.ndarray, frames: list[PosedFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Distances in metres and angles in degrees to the true poses, relative to the first."""
    true = np.stack([f.camera.c2w for f in frames])
    off = invert_rigid(invert_rigid(true[0]) @ true) @ c2w
    angle = np.rad2deg(np.linalg.norm(rotation_log(off[:, :3, :3]), axis=-1))
    return np.linalg.norm(off[:, :3, 3], axis=-1), angle


def unposed(frames: list[PosedFrame]) -> list[PosedFrame]:
    return [replace(f, camera=replace(f.camera, c2w=np.eye(4))) for f in frames]


def test_poses_of_a_curve_are_found(sequence):
    trajectory = track(unposed(sequence))
    np.testing.assert_allclose(trajectory.c2w[0], np.eye(4), atol=1e-9)
    metres, degrees = errors(trajectory.c2w, sequence)
    assert metres.max() < 0.01
    assert degrees.max() < 0.3
    assert trajectory.loops > 0


def test_given_poses_are_not_looked_at(sequence):
    """Shuffled poses change nothing."""
    other = [
        replace(f, camera=replace(f.camera, c2w=g.camera.c2w))
        for f, g in zip(sequence[:3], sequence[5:8], strict=True)
    ]
    metres, _ = errors(track(other).c2w, sequence[:3])
    assert metres.max() < 0.01


def test_a_gap_is_named(sequence):
    scene = build_scene("maze", seed=3)
    x, y = (scene.floor_rects[0][:2] + scene.floor_rects[0][2:]) / 2
    camera = replace(sequence[0].camera, c2w=heading_c2w([x, y, 1.0], 0.3))
    rgb, depth, _ = render_scene(scene, camera[None])
    stranger = PosedFrame(rgb[0], depth[0], camera, "stranger")
    with pytest.raises(SourceError, match=r"stranger can't be followed from frame 1"):
        track([*sequence[:2], stranger])


def test_two_lenses_are_refused(sequence):
    camera = replace(sequence[1].camera, intrinsics=sequence[1].camera.intrinsics * 1.1)
    with pytest.raises(SourceError, match="frame 1 has another lens"):
        track([sequence[0], replace(sequence[1], camera=camera)])


def test_open3d_is_named_where_it_is_missing(sequence, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[geometry\]"):
        track(sequence[:2])


def test_a_folder_without_poses_becomes_a_world(sequence, tmp_path):
    for kind in ("color", "depth"):
        (tmp_path / kind).mkdir()
    for i, frame in enumerate(sequence[:5]):
        Image.fromarray(frame.rgb).save(tmp_path / f"color/{i:03}.png")
        Image.fromarray(np.rint(frame.depth * 1000).astype(np.uint16)).save(
            tmp_path / f"depth/{i:03}.png"
        )
    (tmp_path / "meta.json").write_text(json.dumps({"fov_x_deg": 70.0}))
    world = world_from_scan(tmp_path, body=AgentBody(), references=3)
    assert world.source["format"] == "sequence"
    assert world.source["poses"] == "odometry"
    assert len(world.references) == 3
    assert world.nav_problem is None
    # Upright again: the floor that it found is level with the true one.
    assert world.start_c2w[2, 3] == pytest.approx(sequence[0].camera.c2w[2, 3], abs=0.02)
