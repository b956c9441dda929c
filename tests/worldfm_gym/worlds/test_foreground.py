import numpy as np
import pytest

from worldfm_gym.anchor import Anchor
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.worlds.foreground import foreground_floor
from worldfm_gym.worlds.fusion import fuse, reference_of_frame
from worldfm_gym.worlds.world import Reference

EYE = np.array([1.5, 2.0, 1.4])  # of every view of the room


@pytest.fixture(scope="module")
def view(room_frames) -> tuple[Anchor, Reference]:
    """The view along +x, toward the crate that stands 1.5 m ahead."""
    return fuse(room_frames[:1], spacing_m=0.03), reference_of_frame(room_frames[0])


def test_floor_reaches_the_cameras_foot(view):
    anchor, reference = view
    made = foreground_floor(anchor, reference, spacing_m=0.02)
    assert made is not None
    assert made.generated.all()
    assert (made.points[:, 2] == 0).all()
    np.testing.assert_array_equal(made.normals, np.tile([0, 0, 1.0], (len(made), 1)))
    distance = np.linalg.norm(made.points[:, :2] - EYE[:2], axis=-1)
    assert distance.min() < 0.02
    both = np.concatenate([made.points, anchor.points[anchor.points[:, 2] < 0.01]])
    axis = both[np.abs(both[:, 1] - EYE[1]) < 0.05, 0]
    ahead = np.sort(axis[(axis > EYE[0]) & (axis < 2.9)])
    assert np.diff(ahead).max() < 0.06  # no gap between what was seen and what was guessed


def test_nothing_is_guessed_in_the_picture_or_behind_the_camera(view):
    made = foreground_floor(*view, spacing_m=0.02)
    camera = view[1].camera
    pixels, depth_z = camera.project(made.points.astype(np.float64))
    in_picture = (depth_z > 0) & (pixels[:, 1] < camera.height - 1e-3)
    assert not in_picture.any()
    assert (made.points[:, 0] > EYE[0] - 0.46).all()


def test_color_is_that_of_the_nearest_floor(view):
    made = foreground_floor(*view, spacing_m=0.02)
    nearest_seen = view[0].points[view[0].points[:, 2] < 0.01][:, 0].min()
    # Red grows along x by 30 a metre and stays at the value of the lower edge.
    middle = np.abs(made.points[:, 1] - EYE[1]) < 0.1
    assert np.abs(made.colors[middle, 0] - (60 + 30 * nearest_seen)).max() < 8


def test_ground_under_something_near_is_not_guessed(room_frames):
    """A wall that fills the lower half of the picture, 0.8 m ahead."""
    frame = room_frames[0]
    depth = frame.depth.copy()
    depth[60:] = np.minimum(depth[60:], 0.8)
    anchor = fuse(room_frames[:1], spacing_m=0.03)
    reference = Reference(frame.rgb, depth, frame.camera)
    made = foreground_floor(anchor, reference, spacing_m=0.02)
    free = foreground_floor(anchor, reference_of_frame(frame), spacing_m=0.02)
    assert made.points[:, 0].max() < free.points[:, 0].max() - 0.1


def test_floor_that_is_not_in_view_looks_like_the_lower_edge(view):
    anchor, reference = view
    above = anchor[anchor.points[:, 2] > 0.5]
    made = foreground_floor(above, reference, spacing_m=0.02)
    expected = reference.rgb[-6:].mean(axis=(0, 1))
    np.testing.assert_allclose(made.colors.mean(axis=0), expected, atol=1)


def test_nothing_is_below_a_camera_that_looks_straight_down(view):
    anchor, _ = view
    camera = Camera.from_fov(heading_c2w(EYE, 0.0, -np.pi / 2), 80, width=160, height=160)
    down = Reference(
        np.zeros((160, 160, 3), np.uint8), np.full((160, 160), EYE[2], np.float32), camera
    )
    made = foreground_floor(anchor, down, spacing_m=0.02)
    assert made is None or np.linalg.norm(made.points[:, :2] - EYE[:2], axis=-1).min() > 1.0


def test_unknown_depth_is_not_free(view):
    anchor, reference = view
    camera = Camera.from_fov(heading_c2w(EYE, 0.0, -0.4), 80, width=160, height=120)
    blind = Reference(reference.rgb, np.zeros((120, 160), np.float32), camera)
    made = foreground_floor(anchor, blind, spacing_m=0.02)
    assert np.linalg.norm(made.points[:, :2] - EYE[:2], axis=-1).max() < 0.451
