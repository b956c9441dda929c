import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.reconstruction.instances import find_objects

SPACING = 0.025


def sheet(low, high, normal) -> Anchor:
    """Points on a flat box face."""
    axes = [
        np.arange(a + SPACING / 2, b, SPACING) if b > a else np.array([a])
        for a, b in zip(low, high, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    normals = np.tile(np.asarray(normal, float), (len(points), 1))
    return Anchor.from_points(points, points * 0, normals=normals, radius=SPACING / 2)


def box(low, high, *, yaw: float = 0.0) -> Anchor:
    """The sides and the top of a box, turned about its middle."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    faces = []
    for axis in range(3):
        for value, sign in ((low[axis], -1), (high[axis], 1)):
            if axis == 2 and sign < 0:
                continue
            a, b = low.copy(), high.copy()
            a[axis] = b[axis] = value
            faces.append(sheet(a, b, sign * np.eye(3)[axis]))
    made = Anchor.concatenate(faces)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    middle = (low + high) / 2 * [1, 1, 0]
    return Anchor.from_points(
        (made.points - middle) @ turn.T + middle,
        made.colors,
        normals=made.normals @ turn.T,
        radius=made.radius,
    )


@pytest.fixture(scope="module")
def empty_room() -> Anchor:
    return Anchor.concatenate(
        [
            sheet((0, 0, 0), (5, 4, 0), (0, 0, 1)),
            sheet((0, 0, 0), (0, 4, 2.5), (1, 0, 0)),
            sheet((5, 0, 0), (5, 4, 2.5), (-1, 0, 0)),
            sheet((0, 4, 0), (5, 4, 2.5), (0, -1, 0)),
            sheet((0, 0, 2.5), (5, 4, 2.5), (0, 0, -1)),
        ]
    )


def test_an_empty_room_has_no_objects(empty_room):
    anchor, objects = find_objects(empty_room)
    assert objects == []
    assert not anchor.instance.any()


@pytest.mark.parametrize("yaw_deg", [0, 20, -35])
def test_a_box_is_found_with_its_place_size_and_heading(empty_room, yaw_deg):
    crate = box((2, 1.5, 0), (3.0, 2.1, 0.8), yaw=np.deg2rad(yaw_deg))
    anchor, (found,) = find_objects(Anchor.concatenate([empty_room, crate]))
    assert (found.category, found.instance, found.movable) == ("object", 1, True)
    np.testing.assert_allclose(found.pose[:3, 3], [2.5, 1.8, 0.4], atol=0.03)
    assert found.size[2] == pytest.approx(0.8, abs=0.03)
    np.testing.assert_allclose(np.sort(found.size[:2]), [0.6, 1.0], atol=0.06)
    long_axis = found.pose[:2, int(found.size[:2].argmax())]
    heading = np.rad2deg(np.arctan2(long_axis[1], long_axis[0]))
    assert abs((heading - yaw_deg + 90) % 180 - 90) < 4
    assert found.pose[2, 2] == 1
    mine = anchor.instance == 1
    assert mine[len(empty_room) :].mean() > 0.9  # all but the rim on the floor
    assert not mine[: len(empty_room)].any()
    np.testing.assert_array_equal(anchor.points[: len(empty_room)], empty_room.points)


def test_what_hangs_on_a_wall_stays_with_it(empty_room):
    picture = box((4.94, 1, 1.2), (4.98, 2, 1.8))
    lamp = box((2, 2, 2.1), (2.4, 2.4, 2.3))
    assert find_objects(Anchor.concatenate([empty_room, picture, lamp]))[1] == []


def test_two_things_apart_are_two_largest_first_every_time(empty_room):
    scene = Anchor.concatenate(
        [empty_room, box((1, 1, 0), (1.4, 1.4, 0.5)), box((3, 2, 0), (4, 2.8, 0.9))]
    )
    anchor, objects = find_objects(scene)
    assert [item.instance for item in objects] == [1, 2]
    assert objects[0].pose[0, 3] == pytest.approx(3.5, abs=0.05)
    again, same = find_objects(scene)
    np.testing.assert_array_equal(again.instance, anchor.instance)
    np.testing.assert_array_equal(same[1].pose, objects[1].pose)
    backward, _ = find_objects(scene[::-1])
    np.testing.assert_array_equal(backward.instance[::-1], anchor.instance)


def test_things_too_small_or_too_large_are_background(empty_room):
    crumb = box((2, 2, 0), (2.08, 2.08, 0.12))
    stage = box((0.6, 0.5, 0), (4.2, 2.8, 0.5))
    assert find_objects(Anchor.concatenate([empty_room, crumb]))[1] == []
    assert find_objects(Anchor.concatenate([empty_room, stage]))[1] == []


def test_a_cloud_of_nothing_but_floor():
    assert find_objects(sheet((0, 0, 0), (1, 1, 0), (0, 0, 1)))[1] == []


def test_a_soft_depth_edge_connects_nothing_if_it_is_known_where_it_was_seen_from(empty_room):
    """A ramp in the air, along the line of sight, from a crate to a shelf behind it."""
    eye = np.array([0.3, 2.15, 1.0])
    front, behind = box((1.5, 1.8, 0), (1.9, 2.2, 0.6)), box((4.2, 1.2, 0), (4.5, 2.8, 0.9))
    ramp = sheet((1.5, 2.2, 0.1), (4.2, 2.2, 0.6), (0, -1, 0))
    scene = Anchor.concatenate([empty_room, front, behind, ramp])
    scene = scene[np.einsum("ni,ni->n", scene.normals, eye - scene.points) > 0]
    assert len(find_objects(scene)[1]) < 2
    anchor, objects = find_objects(scene, seen_from=eye)
    assert len(objects) == 2
    assert objects[0].pose[0, 3] == pytest.approx(4.2, abs=0.1)
    assert objects[1].pose[0, 3] == pytest.approx(1.5, abs=0.25)
    assert (anchor.instance > 0).sum() > 500
