"""World objects: pose, motion from rest, oriented box, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import rotation_exp
from worldfm_gym.errors import CameraError

coordinates = st.floats(-5, 5)


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_exp([0, 0, yaw])
    matrix[:3, 3] = x, y, z
    return matrix


def test_an_object_at_rest_has_not_moved() -> None:
    chair = WorldObject.at_rest(3, "chair", pose=pose(1, 2, 0.5, 0.3), size=[0.5, 0.6, 1.0])
    np.testing.assert_allclose(chair.motion, np.eye(4), atol=1e-12)
    chair.pose = pose(4, 2, 0.5, 0.3)
    np.testing.assert_allclose(chair.rest_pose, pose(1, 2, 0.5, 0.3))  # poses are not shared
    np.testing.assert_allclose(chair.motion[:3, 3], [3, 0, 0], atol=1e-12)


@given(coordinates, coordinates, st.floats(-3, 3), st.floats(-3, 3))
def test_motion_carries_stored_points_along(
    x: float, y: float, yaw: float, rest_yaw: float
) -> None:
    rest, now = pose(1, -2, 0.5, rest_yaw), pose(x, y, 0.7, yaw)
    local = np.array([0.2, -0.1, 0.3, 1.0])
    thing = WorldObject(1, "box", now, rest, np.ones(3))
    np.testing.assert_allclose(thing.motion @ (rest @ local), now @ local, atol=1e-9)


@given(coordinates, coordinates, st.floats(-3, 3))
def test_corners_span_the_box_around_its_centre(x: float, y: float, yaw: float) -> None:
    size = np.array([0.4, 1.0, 2.0])
    corners = WorldObject.at_rest(1, "box", pose=pose(x, y, 1.0, yaw), size=size).corners_world
    np.testing.assert_allclose(corners.mean(axis=0), [x, y, 1.0], atol=1e-9)
    assert len(np.unique(corners.round(6), axis=0)) == 8
    half_diagonal = np.linalg.norm(corners - corners.mean(axis=0), axis=1)
    np.testing.assert_allclose(half_diagonal, np.linalg.norm(size) / 2, atol=1e-9)
    np.testing.assert_allclose(np.sort(np.unique(corners[:, 2].round(6))), [0.0, 2.0])


def test_a_quarter_turn_swaps_the_extents() -> None:
    box = WorldObject.at_rest(1, "box", pose=pose(yaw=np.pi / 2), size=[2.0, 1.0, 1.0])
    extent = np.ptp(box.corners_world, axis=0)
    np.testing.assert_allclose(extent, [1.0, 2.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("size", [[1, 1], [1, 0, 1], [1, -1, 1], [1, np.nan, 1], [1, np.inf, 1]])
def test_impossible_sizes_are_refused(size: list[float]) -> None:
    with pytest.raises(ValueError, match="size"):
        WorldObject.at_rest(1, "box", pose=pose(), size=size)


def test_the_background_id_and_bad_poses_are_refused() -> None:
    with pytest.raises(ValueError, match="background"):
        WorldObject.at_rest(0, "box", pose=pose(), size=[1, 1, 1])
    with pytest.raises(CameraError):
        WorldObject.at_rest(1, "box", pose=2 * np.eye(4), size=[1, 1, 1])
