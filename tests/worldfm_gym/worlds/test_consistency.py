from dataclasses import replace

import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera
from worldfm_gym.worlds.consistency import Agreement, sightings
from worldfm_gym.worlds.fusion import PosedFrame, fuse

CAMERA = Camera(np.eye(4), np.array([100.0, 100.0, 40.0, 30.0]), 80, 60)
TOWARD_CAMERA = [0.0, 0.0, -1.0]


def wall(depth_m: float, *, color=(100, 100, 100), camera: Camera = CAMERA) -> PosedFrame:
    """A frame that sees a wall across its axis."""
    rgb = np.tile(np.array(color, np.uint8), (camera.height, camera.width, 1))
    depth = np.full((camera.height, camera.width), depth_m, np.float32)
    return PosedFrame(rgb, depth, camera, "wall")


def point(*at: float, normal=TOWARD_CAMERA) -> Anchor:
    return Anchor.from_points([at], [[7, 7, 7]], normals=[normal], radius=0.005)


def agreed(anchor: Anchor, frames: list[PosedFrame]) -> Anchor:
    agreement = Agreement(anchor)
    for frame in frames:
        agreement.add(frame)
    return agreement.anchor()


@pytest.mark.parametrize(
    ("z", "shown", "passed"), [(2.0, True, False), (1.5, False, True), (2.5, False, False)]
)
def test_a_point_is_shown_seen_through_or_hidden(z, shown, passed):
    seen = sightings(point(0.1, 0.0, z), wall(2.0))
    assert (seen.quality[0] > 0) == shown
    assert seen.passed[0] == passed


def test_quality_is_pixels_per_metre_times_the_cosine():
    straight = sightings(point(0.0, 0.0, 2.0), wall(2.0)).quality[0]
    slanted = sightings(point(0.0, 0.0, 2.0, normal=[0.0, 0.6, -0.8]), wall(2.0)).quality[0]
    assert straight == pytest.approx(100 / 2.0)
    assert slanted == pytest.approx(0.8 * straight)


def test_outside_behind_unknown_and_back_sides_say_nothing():
    anchor = Anchor.concatenate(
        [
            point(5.0, 0.0, 2.0),
            point(0.0, 0.0, -2.0),
            point(0.0, 0.0, 2.0, normal=[0.0, 0.0, 1.0]),
        ]
    )
    for frame in (wall(2.0), wall(0.0)):
        seen = sightings(anchor, frame)
        assert not seen.quality.any()
        assert not seen.passed.any()
    assert not sightings(point(0.0, 0.0, 1.0), wall(0.0)).passed.any()


def test_a_point_next_to_an_edge_is_not_called_empty():
    """One of the 3×3 pixels still sees the thing: a pose a pixel off must not erase it."""
    frame = wall(3.0)
    frame.depth[:, :40] = 1.0
    anchor = Anchor.concatenate([point(0.005, 0.0, 1.0), point(0.05, 0.0, 1.0)])
    assert sightings(anchor, frame).passed.tolist() == [False, True]


def test_as_many_frames_against_as_for_drop_a_point():
    anchor = Anchor.concatenate([point(0.0, 0.0, 1.0), point(0.3, 0.0, 3.0)])
    near, far = wall(1.0), wall(3.0)
    assert agreed(anchor, [near, far]).points[:, 2].tolist() == pytest.approx([3.0])
    assert len(agreed(anchor, [near, near, far])) == 2


def test_positions_become_the_mean_weighted_by_precision():
    """Two cameras, 1 m and 3 m away, measure a wall 6 mm too near and 6 mm too far."""
    back = np.eye(4)
    back[2, 3] = -2.0
    distant = Camera(back, CAMERA.intrinsics, 80, 60)
    frames = [wall(0.994), wall(3.006, camera=distant)]
    sigma = [0.0012 + 0.0019 * (z - 0.4) ** 2 for z in (1.0, 3.0)]
    weight = [1 / s**2 for s in sigma]
    wanted = 1.0 + (-0.006 * weight[0] + 0.006 * weight[1]) / sum(weight)
    assert agreed(point(0.0, 0.0, 1.0), frames).points[0, 2] == pytest.approx(wanted, abs=2e-4)


def test_color_is_that_of_the_nearest_view():
    back = np.eye(4)
    back[2, 3] = -2.0
    distant = wall(3.0, color=(250, 0, 0), camera=Camera(back, CAMERA.intrinsics, 80, 60))
    mixed = agreed(point(0.0, 0.0, 1.0), [distant, wall(1.0, color=(10, 200, 10))])
    share = 3.0**-4 / (1 + 3.0**-4)
    wanted = share * np.array([250, 0, 0]) + (1 - share) * np.array([10, 200, 10])
    np.testing.assert_allclose(mixed.colors[0], wanted, atol=1)


def test_what_all_agree_on_stays(room_frames):
    anchor = fuse(room_frames, spacing_m=0.04)
    result = agreed(anchor, room_frames)
    places = [set(map(tuple, np.rint(a.points / 0.2).astype(int))) for a in (anchor, result)]
    assert len(places[0] & places[1]) > 0.98 * len(places[0])
    # The colors are a function of where a point is.
    assert np.abs(result.colors - np.rint(60 + 30 * result.points)).max() < 6


def test_noise_gets_smaller_and_ghosts_go(room_frames):
    """Noise as of a depth camera, and in one frame something that the others see through."""
    rng = np.random.default_rng(0)
    noisy = []
    for frame in [*room_frames, *room_frames]:
        sigma = 0.0012 + 0.0019 * (frame.depth - 0.4) ** 2
        depth = frame.depth + rng.normal(0, 1, frame.depth.shape) * sigma
        noisy.append(replace(frame, depth=depth.astype(np.float32)))
    noisy[0].depth[40:60, 100:120] = 0.8

    def floor_errors(anchor: Anchor) -> np.ndarray:
        on_floor = (np.abs(anchor.points[:, 2]) < 0.15) & (anchor.normals[:, 2] > 0.9)
        return np.abs(anchor.points[on_floor, 2])

    before = fuse(noisy, spacing_m=0.03)
    after = agreed(before, noisy)
    eye = noisy[0].camera.position_world

    def near(anchor: Anchor) -> int:
        return int((np.linalg.norm(anchor.points - eye, axis=-1) < 1.0).sum())

    assert near(before) > 20
    assert near(after) == 0
    assert floor_errors(after).mean() < 0.6 * floor_errors(before).mean()
