"""Where new points may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.growth.seen_space import COVERS, FREE, IN_FREE_SPACE, SeenSpace, without_hiding
from worldfm_gym.worlds.world import World


def test_free_space_covered_pixels_and_the_rest_are_told_apart(cut_room: World):
    camera = cut_room.references[0].camera
    eye, (v, u) = camera.position_world, (60, 80)
    ray = camera.rays_world()[v, u]
    depth = float(cut_room.references[0].depth[v, u])
    places = eye + np.array([0.5, depth - 0.01, depth + 0.5])[:, None] * ray
    verdict = SeenSpace(cut_room).judge(places, np.full(3, 0.01))
    assert verdict.tolist() == [IN_FREE_SPACE, COVERS, FREE]
    assert SeenSpace(cut_room).judge(eye[None] - 2 * ray, np.full(1, 0.01)) == FREE


def test_drawn_references_say_nothing(cut_room: World):
    drawn = [replace(r, generated=True) for r in cut_room.references]
    camera = cut_room.references[0].camera
    place = (camera.position_world + 0.5 * camera.rays_world()[60, 80])[None]
    assert SeenSpace(replace(cut_room, references=drawn)).judge(place, np.full(1, 0.01)) == FREE


@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_what_is_allowed_changes_no_observed_pixel(seed: int):
    world = _cut_room()
    rng = np.random.default_rng(seed)
    points = rng.uniform([0, 0, 0], [6, 4, 2.6], (4000, 3))
    cloud = Anchor.from_points(
        points,
        rng.integers(0, 255, points.shape),
        radius=rng.uniform(0.005, 0.05, len(points)),
        generated=np.ones(len(points), np.bool_),
    )
    seen = SeenSpace(world)
    allowed = seen.allowed(cloud)
    assert allowed is not None
    grown = replace(world, anchor=Anchor.concatenate([world.anchor, allowed]), nav=None)
    # Merged, far splats are wider than their points: those are left to the last check.
    assert seen.hiding(grown, len(world.anchor)).mean() < 0.05
    clean = without_hiding(grown, seen, len(world.anchor))
    assert not seen.hiding(clean, len(world.anchor)).any()
    assert len(clean.anchor) > len(world.anchor)


def _cut_room() -> World:
    """As the fixture: hypothesis calls tests with many examples per fixture."""
    from worldfm_gym.camera import Camera, heading_c2w
    from worldfm_gym.worlds.fusion import PosedFrame, points_of_frame
    from worldfm_gym.worlds.world import Reference

    camera = Camera.from_fov(heading_c2w((1.0, 1.0, 1.25), 0.0), 80.0, width=160, height=120)
    rays = camera.rays_world()
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.where(
            rays > 0, np.array([6, 4, 2.6]) - camera.position_world, -camera.position_world
        )
        depth = np.nanmin(far / rays, axis=-1).astype(np.float32)
    rgb = np.full((*depth.shape, 3), 90, np.uint8)
    anchor = points_of_frame(PosedFrame(rgb, depth, camera, "room"))
    assert anchor is not None
    return World(anchor, [Reference(rgb, depth, camera)], [], None, None, camera.c2w)
