"""A function that makes any registered environment cheaply: in a box room, 40 × 40 pixels."""

from __future__ import annotations

import gymnasium as gym
import pytest

import worldfm_gym


@pytest.fixture
def make_env(box_room, box_room_renderer):
    made = []

    def make(env_id="WorldFM/PointNav-v0", **kwargs):
        kwargs = {
            "world": box_room,
            "renderer": box_room_renderer,
            "width": 40,
            "height": 40,
            **kwargs,
        }
        made.append(gym.make(env_id, **kwargs))
        return made[-1]

    assert worldfm_gym.__version__
    yield make
    for env in made:
        env.close()
