"""A box room that remembers exact views of itself, and a network small enough for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from tests.conftest import BoxRoomRenderer, make_box_room
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.worlds.world import Reference, World

EYE_Z = 1.25
# (x, y, heading) from the corners of the room inward, and two nearly alike.
VIEWS = ((0.5, 0.5, 0.6), (0.6, 3.4, -0.6), (4.8, 0.6, 2.4), (3.0, 0.5, 1.57), (3.05, 0.5, 1.6))


def tiny_model(seed: int = 0) -> FrameModel:
    """A seeded network in which every input shows in the output."""
    torch.manual_seed(seed)
    network = FrameDiT(FrameModelConfig(width=32, depth=2, heads=2, stem=8, detail=8))
    for parameter in network.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return FrameModel(network.eval().requires_grad_(False))


def level_cameras(x, y, yaw, *, width: int = 64, height: int = 64) -> Camera:
    """Level cameras at eye height; one number or [B] of each."""
    x, y, yaw = np.broadcast_arrays(*np.atleast_1d(x, y, yaw))
    c2w = heading_c2w(np.stack([x, y, np.full(len(x), EYE_Z)], axis=-1), yaw)
    return Camera.from_fov(c2w, 90.0, width=width, height=height)


def random_cameras(rng: np.random.Generator, count: int, **size: int) -> Camera:
    """Level cameras anywhere in the room."""
    x, y = rng.uniform(0.4, 5.0, count), rng.uniform(0.4, 3.6, count)
    return level_cameras(x, y, rng.uniform(-np.pi, np.pi, count), **size)


def remembered(views=VIEWS, *, width: int = 96, height: int = 72) -> World:
    """A box room that remembers views (x, y, heading), with a hole in its anchor."""
    world = make_box_room()
    references = []
    if views:
        cameras = level_cameras(*np.array(views).T, width=width, height=height)
        frames = BoxRoomRenderer([world]).render(cameras, np.zeros(len(views), np.int64))
        references = [
            Reference(rgb, depth, cameras[i])
            for i, (rgb, depth) in enumerate(zip(frames.rgb, frames.depth, strict=True))
        ]
    missing = np.linalg.norm(world.anchor.points - [6.0, 2.0, 1.2], axis=-1) < 1.5
    return replace(world, anchor=world.anchor[~missing], references=references)
