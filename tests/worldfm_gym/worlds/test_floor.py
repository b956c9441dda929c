from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.anchor import Anchor
from worldfm_gym.camera import rotation_exp
from worldfm_gym.worlds.assembly import moved
from worldfm_gym.worlds.floor import Floor, find_floor, upright_pose


def box_room(*, floor: bool = True, noise_m: float = 0.0) -> Anchor:
    """A 5×4×2.5 m room with a 1.6×1 m table at 0.75 m; normals face inward, spacing 5 cm."""
    rng = np.random.default_rng(0)

    def patch(low, high, normal):
        axis = int(np.abs(normal).argmax())
        sides = [
            np.arange(a + 0.025, max(b, a + 0.03), 0.05) for a, b in zip(low, high, strict=True)
        ]
        sides[axis] = np.array([low[axis]])
        grid = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3)
        return grid, np.tile(np.array(normal, float), (len(grid), 1))

    patches = [
        patch((0, 0, 2.5), (5, 4, 2.5), (0, 0, -1)),
        patch((0, 0, 0), (0, 4, 2.5), (1, 0, 0)),
        patch((5, 0, 0), (5, 4, 2.5), (-1, 0, 0)),
        patch((0, 0, 0), (5, 0, 2.5), (0, 1, 0)),
        patch((0, 4, 0), (5, 4, 2.5), (0, -1, 0)),
        patch((2, 1, 0.75), (3.6, 2, 0.75), (0, 0, 1)),
    ]
    if floor:
        patches.append(patch((0, 0, 0), (5, 4, 0), (0, 0, 1)))
    points = np.concatenate([p for p, _ in patches])
    points = points + rng.normal(scale=noise_m or 1e-9, size=points.shape)
    normals = np.concatenate([n for _, n in patches])
    return Anchor.from_points(points, np.zeros_like(points), normals=normals, radius=0.025)


ROOM = box_room()


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-20, 20)] * 3))
def test_any_pose_is_undone(turn, shift):
    pose = np.eye(4)
    pose[:3, :3] = rotation_exp(turn)
    pose[:3, 3] = shift
    prior = pose[:3, :3] @ rotation_exp([0.3, -0.2, 0.0])[:, 2]  # 20° off
    placed = moved(ROOM, pose)
    floor = find_floor(placed, up=prior)
    assert floor.problem is None
    np.testing.assert_allclose(floor.up, pose[:3, 2], atol=2e-3)
    upright = moved(placed, upright_pose(floor))
    assert abs(np.quantile(upright.points[:, 2], 0.01)) < 0.01
    assert upright.points[:, 2].max() == pytest.approx(2.5, abs=0.02)


def test_area_and_noise():
    floor = find_floor(box_room(noise_m=0.008), up=(0, 0, 1))
    assert floor.area_m2 == pytest.approx(20.0, rel=0.05)
    assert floor.height == pytest.approx(0.0, abs=0.004)
    np.testing.assert_allclose(floor.up, [0, 0, 1], atol=2e-3)


def test_ceiling_is_not_the_floor_even_when_the_floor_is_hidden():
    floor = find_floor(box_room(floor=False), up=(0, 0, 1))
    # Only the table top faces up, and most of the room lies below it.
    assert floor.problem is not None
    assert "no usable floor" in floor.problem


def test_unsigned_normals_choose_the_lower_level():
    flipped = replace(
        ROOM, normals=np.where(np.arange(len(ROOM))[:, None] % 2, 1, -1) * ROOM.normals
    )
    floor = find_floor(flipped, up=(0, 0, 1), normals_are_signed=False)
    assert floor.problem is None
    assert floor.height == pytest.approx(0.0, abs=0.01)


def test_cameras_stand_above_the_floor():
    camera = np.array([[1.0, 1.0, -0.5]])
    assert find_floor(ROOM, up=(0, 0, 1), below=camera).problem is not None


def test_a_speck_is_no_floor():
    speck = Anchor.from_points(
        np.random.default_rng(0).uniform(-0.2, 0.2, (300, 3)) * [1, 1, 0],
        np.zeros((300, 3)),
        normals=np.tile([0.0, 0, 1], (300, 1)),
        radius=0.01,
    )
    floor = find_floor(speck, up=(0, 0, 1))
    assert floor.problem is not None
    assert floor.area_m2 == 0.0


def test_unknown_normals_find_no_floor_and_keep_the_prior():
    blank = replace(ROOM, normals=np.zeros_like(ROOM.normals))
    floor = find_floor(blank, up=(0, 2, 0))
    assert floor.problem is not None
    np.testing.assert_allclose(floor.up, [0, 1, 0])


def test_upright_pose_places_origin_and_heading():
    floor = Floor(np.array([0.0, -1.0, 0.0]), -1.4, 3.0, None)  # an OpenCV camera 1.4 m up
    pose = upright_pose(floor, origin=(0.2, 0.1, 0.3), forward=(0, 0.2, 1.0))
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose((pose @ [0.2, 0.1, 0.3, 1])[:3], [0, 0, 1.3], atol=1e-12)
    heading = pose[:3, :3] @ [0, 0, 1.0]
    np.testing.assert_allclose(heading, [1, 0, 0], atol=1e-12)


def test_upside_down_is_turned_over():
    pose = upright_pose(Floor(np.array([0.0, 0.0, -1.0]), 0.0, 1.0, None))
    np.testing.assert_allclose(pose[:3, :3] @ [0, 0, -1.0], [0, 0, 1], atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
