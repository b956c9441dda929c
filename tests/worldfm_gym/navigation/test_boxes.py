"""Packed boxes: columns, floor rectangles of tilted boxes, exact signed distances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import rotation_exp
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation.boxes import (
    BOX_COLUMNS,
    box_distance,
    box_gradient,
    object_boxes,
    rectangle_distance,
    rectangle_gradient,
)

turns = arrays(np.float64, 3, elements=st.floats(-3, 3))
points = arrays(np.float64, 3, elements=st.floats(-2, 2))


def packed(turn: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = rotation_exp(turn)
    pose[:3, 3] = 0.2, -0.3, 0.4
    return object_boxes(pose[None], np.array([[0.6, 1.0, 1.6]]))


def test_objects_and_poses_pack_alike(make_object: Callable[..., WorldObject]) -> None:
    crates = [make_object(i + 1, (i, 2 * i, 0.5), (1, 0.5, 1), yaw=0.4 * i) for i in range(3)]
    poses, sizes = np.array([c.pose for c in crates]), np.array([c.size for c in crates])
    np.testing.assert_array_equal(object_boxes(crates), object_boxes(poses, sizes))
    assert object_boxes([]).shape == (0, BOX_COLUMNS)


def test_a_turned_box_keeps_its_rectangle(make_object: Callable[..., WorldObject]) -> None:
    (row,) = object_boxes([make_object(1, (1, 2, 0.5), (0.8, 0.4, 1.0), yaw=0.3)])
    np.testing.assert_allclose(row[15:19], [np.cos(0.3), np.sin(0.3), 0.4, 0.2])
    np.testing.assert_allclose(row[19:21], [0.0, 1.0])


@settings(deadline=None)
@given(turns)
def test_rectangle_and_height_enclose_every_corner(turn: np.ndarray) -> None:
    boxes = packed(turn)
    pose = np.eye(4)
    pose[:3, :3] = boxes[0, 6:15].reshape(3, 3)
    pose[:3, 3] = boxes[0, :3]
    corners = WorldObject.at_rest(1, "box", pose=pose, size=2 * boxes[0, 3:6]).corners_world
    for x, y, z in corners:
        assert rectangle_distance(boxes, 0, x, y) <= 1e-9
        assert boxes[0, 19] - 1e-9 <= z <= boxes[0, 20] + 1e-9
    np.testing.assert_allclose(corners[:, 2].min(), boxes[0, 19], atol=1e-9)


@settings(deadline=None)
@given(turns, points)
def test_box_distance_is_the_signed_distance(turn: np.ndarray, point: np.ndarray) -> None:
    boxes = packed(turn)
    local = boxes[0, 6:15].reshape(3, 3).T @ (point - boxes[0, :3])
    nearest = np.clip(local, -boxes[0, 3:6], boxes[0, 3:6])
    outside = np.linalg.norm(local - nearest)
    inside = (np.abs(local) - boxes[0, 3:6]).max()
    expected = outside if outside > 0 else inside
    assert box_distance(boxes, 0, *point) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(turns, points)
def test_gradients_lead_away(turn: np.ndarray, point: np.ndarray) -> None:
    boxes = packed(turn)
    for distance, gradient, width in (
        (box_distance, box_gradient, 3),
        (rectangle_distance, rectangle_gradient, 2),
    ):
        direction = np.array(gradient(boxes, 0, *point[:width]))
        assert np.linalg.norm(direction) == pytest.approx(1.0)
        ahead = point + 1e-4 * direction
        rise = distance(boxes, 0, *ahead[:width]) - distance(boxes, 0, *point[:width])
        assert rise == pytest.approx(1e-4, rel=1e-3)


def test_mismatched_poses_and_sizes_are_refused() -> None:
    with pytest.raises(NavigationError, match="sizes"):
        object_boxes(np.zeros((2, 4, 4)), np.ones((3, 3)))
    with pytest.raises(NavigationError, match="poses"):
        object_boxes(np.zeros((2, 3, 3)), np.ones((2, 3)))
