"""A furnished box room of which one frame has been seen, and a renderer that draws the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from worldfm_gym.camera import Camera
from worldfm_gym.growth import GrowthConfig
from worldfm_gym.navigation import NavMap
from worldfm_gym.renderer import Renderer
from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame
from worldfm_gym.worlds.world import Reference, World

SMALL = GrowthConfig(views=24, size_px=64, max_points=30_000, reach_m=3.0, references=4)


@pytest.fixture
def small() -> GrowthConfig:
    return SMALL


@pytest.fixture
def truth(
    box_room: World, box_room_renderer: Callable[[Sequence[World]], Renderer]
) -> Callable[[World], Sequence[Renderer]]:
    """Renderers that draw the whole box room, whatever part of it a world has."""
    renderer = box_room_renderer([box_room])
    return lambda world: [renderer, renderer]


@pytest.fixture
def cut_room(box_room: World, truth: Callable[[World], Sequence[Renderer]]) -> World:
    """What one camera at the room's start sees of it."""
    camera = Camera.from_fov(box_room.start_c2w, 80.0, width=160, height=120)
    frame = truth(box_room)[0].render(
        Camera.from_fov(box_room.start_c2w[None], 80.0, width=160, height=120), np.zeros(1, int)
    )
    reference = Reference(frame.rgb[0], frame.depth[0], camera)
    anchor = points_of_frame(PosedFrame(reference.rgb, reference.depth, camera, "start"))
    assert anchor is not None
    return replace(
        box_room,
        anchor=anchor,
        references=[reference],
        objects=[],
        nav=NavMap.build(anchor, references=[reference]),
    )
