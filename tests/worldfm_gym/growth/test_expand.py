"""World.expand with a small frame model, what is saved of it, and long runs in what grew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worldfm_gym.frame_model.remembered_room import tiny_model
from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera
from worldfm_gym.errors import ConfigError, FrameModelError
from worldfm_gym.frame_renderer import FrameRenderer
from worldfm_gym.growth import GrowthConfig, expand_world
from worldfm_gym.growth.coverage import heading_coverage
from worldfm_gym.worlds.world import World

FAST = GrowthConfig(views=8, size_px=32, max_points=4_000, reach_m=2.0, references=3)


def same_world(a: World, b: World) -> bool:
    arrays = all(
        np.array_equal(getattr(a.anchor, f.name), getattr(b.anchor, f.name)) for f in fields(Anchor)
    )
    references = len(a.references) == len(b.references) and all(
        np.array_equal(x.rgb, y.rgb) and np.array_equal(x.depth, y.depth)
        for x, y in zip(a.references, b.references, strict=True)
    )
    return arrays and references and np.array_equal(a.nav.known_free, b.nav.known_free)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """For images as small as these, another thread costs more than it draws."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def grown(cut_room: World) -> World:
    return expand_world(cut_room, FAST, model=tiny_model())


def test_any_number_of_threads_grows_the_same_world(cut_room: World, grown: World):
    torch.set_num_threads(2)
    assert same_world(expand_world(cut_room, FAST, model=tiny_model()), grown)


def test_expand_leaves_the_world_as_it_is_and_closes_a_copy(cut_room: World, tmp_path: Path):
    points, nav = cut_room.anchor.points.copy(), cut_room.nav
    grown = cut_room.expand(views=8, reach_m=2.0, model=tiny_model(), folder=tmp_path / "state")
    assert np.array_equal(cut_room.anchor.points, points)
    assert cut_room.nav is nav
    assert len(cut_room.references) == 1
    assert heading_coverage(grown).min() > 0.95
    assert grown.source["growth"]["views"] == 8
    assert grown.source["growth"]["reach_m"] == 2.0


def test_expand_refuses_senseless_options(cut_room: World):
    with pytest.raises(ConfigError, match="reach_m"):
        cut_room.expand(reach_m=-1.0)
    with pytest.raises(FrameModelError, match="nana"):
        cut_room.expand(model="nana")


def test_a_grown_world_is_saved_and_loaded_whole(grown: World, tmp_path: Path):
    grown.save(tmp_path / "world")
    loaded = World.load(tmp_path / "world")
    assert [r.generated for r in loaded.references] == [r.generated for r in grown.references]
    assert loaded.references[0].generated is False
    assert np.array_equal(loaded.anchor.generated, grown.anchor.generated)
    assert loaded.source["growth"] == grown.source["growth"]


def test_a_world_can_grow_again(grown: World):
    again = expand_world(grown, replace(FAST, seed=3), model=tiny_model())
    count = len(grown.anchor)
    assert np.array_equal(again.anchor.points[:count], grown.anchor.points)
    assert heading_coverage(again).min() >= heading_coverage(grown).min() - 1e-9


def test_a_pose_looks_the_same_after_any_walk(grown: World):
    renderer = FrameRenderer([grown], model=tiny_model())
    rng = np.random.default_rng(0)
    poses = np.stack([grown.start_c2w] * 40)
    poses[:, :2, 3] += rng.uniform(-0.3, 0.3, (40, 2))
    cameras = Camera.from_fov(poses, 90.0, width=16, height=16)
    scene = np.zeros(1, np.int64)
    first = [renderer.render(cameras[i : i + 1], scene) for i in range(40)]
    for i in rng.permutation(40):
        again = renderer.render(cameras[i : i + 1], scene)
        assert np.array_equal(again.rgb, first[i].rgb)
        assert np.array_equal(again.depth, first[i].depth)
