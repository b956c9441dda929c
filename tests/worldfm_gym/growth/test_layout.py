"""The room that is assumed, against rooms that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import heading_c2w
from worldfm_gym.growth.layout import find_layout
from worldfm_gym.growth.scaffold import build_scaffold
from worldfm_gym.worlds.world import World


def room(
    yaw: float, sides: tuple[float, float], height: float, keep: str = "xXyYfc"
) -> tuple[World, np.ndarray]:
    """A box room around the origin turned by yaw; `keep` names the faces that have been seen."""
    w, d = sides
    s = 0.05
    x, y, z = (
        np.arange(-w / 2 + s / 2, w / 2, s),
        np.arange(-d / 2 + s / 2, d / 2, s),
        np.arange(s / 2, height, s),
    )
    faces = {
        "x": (np.array([-w / 2]), y, z, (1, 0, 0)),
        "X": (np.array([w / 2]), y, z, (-1, 0, 0)),
        "y": (x, np.array([-d / 2]), z, (0, 1, 0)),
        "Y": (x, np.array([d / 2]), z, (0, -1, 0)),
        "f": (x, y, np.array([0.0]), (0, 0, 1)),
        "c": (x, y, np.array([height]), (0, 0, -1)),
    }
    points, normals = [], []
    for name in keep:
        *axes, normal = faces[name]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
        points.append(grid)
        normals.append(np.broadcast_to(normal, grid.shape))
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    cloud = np.concatenate(points) @ turn.T
    anchor = Anchor.from_points(
        cloud,
        np.full(cloud.shape, 120, np.uint8),
        normals=np.concatenate(normals) @ turn.T,
        radius=s / 2,
    )
    world = World(anchor, [], [], None, None, heading_c2w((0, 0, 1.2), 0.3))
    return world, turn


@settings(max_examples=20)
@given(
    yaw=st.floats(-0.7, 0.7),
    width=st.floats(2.5, 8.0),
    depth=st.floats(2.5, 8.0),
    height=st.floats(2.1, 3.5),
)
def test_a_room_seen_whole_is_found(yaw: float, width: float, depth: float, height: float):
    world, _ = room(yaw, (width, depth), height)
    layout = find_layout(world, floor_factor=4, reach_m=3, rng=np.random.default_rng(0))
    assert layout.seen == (True,) * 4
    assert layout.yaw == pytest.approx(yaw, abs=0.01)
    np.testing.assert_allclose(layout.high - layout.low, [width, depth], atol=0.06)
    assert layout.height == pytest.approx(height, abs=0.03)


def test_sides_without_a_wall_move_out_and_others_stay():
    world, _ = room(0.0, (4.0, 3.0), 2.5, keep="XYf")
    near = find_layout(world, floor_factor=4, reach_m=1.0, rng=np.random.default_rng(0))
    far = find_layout(world, floor_factor=4, reach_m=4.0, rng=np.random.default_rng(0))
    assert near.seen == (False, False, True, True)
    for layout in (near, far):
        np.testing.assert_allclose(layout.high, [2.0, 1.5], atol=0.03)
        assert (layout.low < [-2.0, -1.5]).all()
    assert (near.low >= np.array([-2.0, -1.5]) - 1.05).all()


@settings(max_examples=8)
@given(yaw=st.floats(-0.7, 0.7), seed=st.integers(0, 99))
def test_the_scaffold_closes_the_room(yaw: float, seed: int):
    world, _ = room(yaw, (4.0, 3.0), 2.5, keep="XYf")
    rng = np.random.default_rng(seed)
    layout = find_layout(world, floor_factor=4, reach_m=2.0, rng=rng)
    scaffold = build_scaffold(layout, world.anchor, max_points=20_000, rng=rng)
    assert len(scaffold) <= 21_500
    assert scaffold.generated.all()
    inside = layout.to_layout(scaffold.points)
    margin = np.concatenate(
        [
            inside[:, :2] - layout.low,
            layout.high - inside[:, :2],
            inside[:, 2:],
            layout.height - inside[:, 2:],
        ],
        axis=1,
    )
    np.testing.assert_allclose(margin.min(axis=1), 0.0, atol=1e-5)
    # Seen from within, every point shows its face.
    center = layout.to_world(np.array([[*(layout.low + layout.high) / 2, layout.height / 2]]))
    assert (((center - scaffold.points) * scaffold.normals).sum(axis=1) > 0).all()
    area = (4.0 * scaffold.radius.astype(np.float64) ** 2).sum()
    sides = layout.high - layout.low
    true_m2 = 2 * sides.prod() + 2 * sides.sum() * layout.height
    assert area == pytest.approx(1.15**2 * true_m2, rel=0.05)


def test_without_walls_the_room_is_aligned_with_the_start():
    world, _ = room(0.0, (3.0, 3.0), 2.5, keep="f")
    layout = find_layout(world, floor_factor=4, reach_m=2.0, rng=np.random.default_rng(0))
    assert layout.yaw == pytest.approx(0.3, abs=1e-6)
    assert not any(layout.seen)


def test_rubble_is_no_wall_to_align_with():
    world, _ = room(0.0, (3.0, 3.0), 2.5, keep="f")
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 0.2], [1, 1, 1.5], (2000, 3))
    angle = rng.uniform(-np.pi, np.pi, 2000)
    rubble = Anchor.from_points(
        points,
        np.full(points.shape, 90, np.uint8),
        normals=np.stack([np.cos(angle), np.sin(angle), np.zeros(2000)], axis=1),
        radius=0.03,
    )
    world.anchor = Anchor.concatenate([world.anchor, rubble])
    layout = find_layout(world, floor_factor=4, reach_m=2.0, rng=np.random.default_rng(0))
    assert layout.yaw == pytest.approx(0.3, abs=1e-6)
