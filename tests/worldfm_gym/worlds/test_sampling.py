from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.worldfm_gym.worlds.furnished_room import (
    DEPTH,
    HEIGHT,
    WIDTH,
    cameras,
    distance_to_surface,
    furnished_room,
)
from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.sampling import anchor_from_scene
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder


@pytest.fixture(scope="module")
def room() -> Scene:
    return furnished_room()


@pytest.fixture(scope="module")
def anchor(room: Scene) -> Anchor:
    return anchor_from_scene(room)


def alone(shape: str) -> Scene:
    b = SceneBuilder(np.random.default_rng(0))
    getattr(b, shape)(
        (0, 0, 2), *([(1.0, 0.8, 0.6)] if shape != "cylinder" else [0.4, 1.0]),
        material=Material.PAINT, color=(0.5, 0.5, 0.5),
    )  # fmt: skip
    return b.build(ambient=(0.5, 0.5, 0.5), floor_rects=[], height=4.0)


AREAS = {
    "box": 2 * (0.8 + 0.6 + 0.48),
    "cylinder": 2 * np.pi * 0.4 * (0.4 + 1.0),
    # Knud Thomsen's formula, within 1.1 %
    "ellipsoid": 4
    * np.pi
    * (((0.5 * 0.4) ** 1.6075 + (0.5 * 0.3) ** 1.6075 + (0.4 * 0.3) ** 1.6075) / 3) ** (1 / 1.6075),
}


@pytest.mark.parametrize("shape", ["box", "cylinder", "ellipsoid"])
def test_a_lone_primitive_is_covered_evenly(shape: str) -> None:
    scene = alone(shape)
    anchor = anchor_from_scene(scene, spacing_m=0.03)
    assert distance_to_surface(scene, anchor.points.astype(np.float64)).max() < 1e-3
    covered = ((2 * anchor.radius.astype(np.float64)) ** 2).sum()
    assert AREAS[shape] <= covered * 1.02 < 1.7 * AREAS[shape]
    spacing, _ = cKDTree(anchor.points).query(anchor.points, k=2)
    assert spacing[:, 1].max() <= 0.0301
    outward = anchor.points + 0.01 * anchor.normals - [0, 0, 2]
    inward = anchor.points - 0.01 * anchor.normals - [0, 0, 2]
    assert (np.linalg.norm(outward, axis=1) > np.linalg.norm(inward, axis=1)).all()
    np.testing.assert_allclose(np.linalg.norm(anchor.normals, axis=1), 1.0, atol=1e-5)


def test_whatever_a_camera_sees_has_points_and_their_color(room: Scene, anchor: Anchor) -> None:
    views = cameras()
    rgb, depth, instance = render_scene(room, views)
    seen = views.unproject(depth.astype(np.float64)).reshape(-1, 3)
    distance, nearest = cKDTree(anchor.points).query(seen)
    assert np.quantile(distance, 0.999) < 0.04 * 0.75
    assert distance.max() < 0.06
    assert (anchor.instance[nearest] == instance.ravel()).mean() > 0.97  # not at silhouettes
    error = np.abs(anchor.colors[nearest].astype(int) - rgb.reshape(-1, 3).astype(int))
    assert np.median(error) <= 6  # texture finer than the sampling, and highlights, remain


def test_what_only_an_object_hides_is_kept(room: Scene, anchor: Anchor) -> None:
    floor = anchor.points[(anchor.instance == 0) & (anchor.points[:, 2] == 0.0)]
    inside = (np.abs(floor[:, 0]) < WIDTH / 2) & (np.abs(floor[:, 1]) < DEPTH / 2)
    # A strip hidden by the baseboard is missing, the floor under rug, sofa and fridge is not.
    assert inside.sum() * 0.04**2 == pytest.approx(WIDTH * DEPTH, rel=0.03)


def test_what_nothing_can_see_is_left_out(anchor: Anchor) -> None:
    p, background = anchor.points, anchor.instance == 0
    assert p[:, 2].min() > -1e-3
    assert p[background, 2].max() <= HEIGHT + 1e-3
    assert not ((p[:, 2] < 1e-3) & (anchor.normals[:, 2] < -0.5)).any()  # soles on the floor
    outward = np.abs(p[:, 0]) > WIDTH / 2 + 0.01
    assert not (background & outward & (np.sign(p[:, 0]) * anchor.normals[:, 0] > 0.5)).any()


def test_sampling_is_deterministic_and_scales_with_spacing(room: Scene, anchor: Anchor) -> None:
    again = anchor_from_scene(room)
    np.testing.assert_array_equal(again.points, anchor.points)
    np.testing.assert_array_equal(again.colors, anchor.colors)
    assert len(anchor_from_scene(room, spacing_m=0.08)) < 0.4 * len(anchor)


@pytest.mark.parametrize("spacing", [0.0, -1.0, 2.0, float("nan")])
def test_a_spacing_out_of_range_is_named(room: Scene, spacing: float) -> None:
    with pytest.raises(SourceError, match="spacing_m must be"):
        anchor_from_scene(room, spacing_m=spacing)


def test_a_scene_with_nothing_to_see_is_named() -> None:
    b = SceneBuilder(np.random.default_rng(0))
    b.box((0, 0, -3), (1, 1, 1), material=Material.PAINT, color=(0.5, 0.5, 0.5))
    with pytest.raises(SourceError, match="below the floor"):
        anchor_from_scene(b.build(ambient=(1, 1, 1), floor_rects=[], height=3.0))
