import sys

import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.camera import Camera, look_at
from worldfm_gym.errors import MissingExtraError
from worldfm_gym.training.baselines import GREY, grey_holes, inpaint, with_reference_points
from worldfm_gym.worlds.world import Reference, World

METHODS = ("telea", "navier-stokes")


@pytest.fixture
def ramp():
    """Two views of a horizontal ramp with a hole in the middle."""
    rgb = np.zeros((2, 40, 48, 3), np.uint8)
    rgb[...] = np.linspace(40, 200, 48).astype(np.uint8)[None, None, :, None]
    depth_z = np.full((2, 40, 48), 3.0, np.float32)
    covered = np.ones((2, 40, 48), bool)
    covered[:, 15:25, 20:28] = False
    rgb[~covered], depth_z[~covered] = 0, 0
    return rgb, depth_z, covered


def test_grey_holes_keeps_what_is_covered(ramp):
    rgb, _, covered = ramp
    grey = grey_holes(rgb, covered)
    assert (grey[covered] == rgb[covered]).all()
    assert (grey[~covered] == GREY).all()


@pytest.mark.parametrize("method", METHODS)
def test_inpainting_continues_what_is_around(ramp, method):
    rgb, depth_z, covered = ramp
    filled, depth = inpaint(rgb, depth_z, covered, method=method)
    assert (filled[covered] == rgb[covered]).all()
    assert (depth[covered] == depth_z[covered]).all()
    truth = np.linspace(40, 200, 48)[None, None, :, None]
    assert np.abs(filled - truth).max() < 25
    np.testing.assert_allclose(depth, 3.0, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_views_without_holes_and_without_anything(ramp, method):
    rgb, depth_z, _ = ramp
    whole = np.ones(depth_z.shape, bool)
    assert (inpaint(rgb, depth_z, whole, method=method)[0] == rgb).all()
    nothing, _ = inpaint(rgb, depth_z, ~whole, method=method)
    assert (nothing == GREY).all()


def test_missing_opencv_names_the_extra(ramp, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[train\]"):
        inpaint(*ramp, method="telea")


def test_reference_points_show_what_the_anchor_lacks():
    """A red wall that a reference remembers; the anchor is one blue point elsewhere."""
    camera = Camera.from_fov(look_at([0, 0, 1], [2, 0, 1]), 80.0, width=64, height=64)
    red = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    reference = Reference(red, np.full((64, 64), 2.0, np.float32), camera)
    anchor = Anchor.from_points(
        np.array([[-5.0, 0, 0]]), np.array([[0, 0, 255]], np.uint8), radius=0.02
    )
    world = World(anchor, [reference], [], None, "for a test", camera.c2w)
    full = with_reference_points(world)
    assert len(world.anchor) == 1
    aside = Camera.from_fov(look_at([0, 0.1, 1.1], [2, 0, 1]), 60.0, width=64, height=64)
    before, after = (
        AnchorRenderer([w]).render(aside[None], np.zeros(1, np.int64)) for w in (world, full)
    )
    assert not (before.depth > 0).any()
    assert (after.depth > 0).mean() > 0.99
    assert (after.rgb[after.depth > 0] == (200, 30, 30)).all()
