"""Bookkeeping of a growing place."""

from __future__ import annotations

import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.growth.place import CONFIRMED, EXPECTED, REFUTED, Place, visible_points


def wall(x: float, *, generated: bool = True) -> Anchor:
    """Points 5 cm apart on the plane x, 2 × 2 m around (x, 0, 1)."""
    side = np.arange(-0.975, 1.0, 0.05)
    y, z = np.meshgrid(side, side + 1)
    points = np.stack([np.full_like(y, x), y, z], -1).reshape(-1, 3)
    return Anchor.from_points(
        points,
        np.full((len(points), 3), 100, np.uint8),
        normals=np.broadcast_to([-1.0, 0, 0], points.shape),
        radius=0.025,
        generated=np.full(len(points), generated),
    )


@pytest.fixture
def camera() -> Camera:
    return Camera.from_fov(heading_c2w((0, 0, 1), 0.0)[None], 90.0, width=64, height=64)


def test_masks_hide_the_share_that_was_asked_for():
    place = Place.starting(wall(1.0), wall(3.0))
    shares = [place.unmasked(0.25, seed=s).mean() for s in range(60)]
    assert 0.7 < np.mean(shares) < 0.8
    assert len({place.unmasked(0.25, seed=s).tobytes() for s in range(10)}) > 5
    assert place.unmasked(0.0, seed=0).all()


def test_drawings_color_what_they_show(camera: Camera):
    place = Place.starting(wall(1.0)[:3], wall(2.0))
    change = np.full((1, 64, 64, 3), 30.0, np.float32)
    trust = np.ones((1, 64, 64), np.bool_)
    trust[0, :32] = False
    place.confirm(change, np.full((1, 64, 64), 2.0, np.float32), trust, camera)
    low = place.scaffold.points[:, 2] < 1
    assert (place.status[low] == CONFIRMED).all()
    assert (place.status[~low] == EXPECTED).all()
    colors = place.anchor().colors[place.fixed :]
    assert (colors[low] == 130).all()
    assert (colors[~low] == 100).all()


def test_surfaces_refute_what_is_before_them_and_replace_what_is_at_them(camera: Camera):
    for x, refuted in ((1.0, True), (1.99, True), (2.02, True), (2.2, False)):
        place = Place.starting(wall(3.0)[:3], wall(x))
        place.refute(np.full((1, 64, 64), 2.0, np.float32), camera, margin=0.03)
        inside = np.abs(place.scaffold.points[:, 1:] - [0, 1]).max(axis=1) < 0.99 * x
        assert ((place.status[inside] == REFUTED) == refuted).all()
        assert len(place.anchor()) == 3 + (place.status != REFUTED).sum()


def test_with_nothing_expected_a_place_is_its_world():
    base = wall(1.0, generated=False)
    assert len(Place.starting(base, None).anchor()) == len(base)


def test_points_behind_a_surface_are_not_visible(camera: Camera):
    depth = np.full((1, 64, 64), 2.0, np.float32)
    assert visible_points(wall(2.0).points, depth, camera).all()
    assert not visible_points(wall(2.5).points, depth, camera).any()
    assert not visible_points(wall(-2.0).points, depth, camera).any()
