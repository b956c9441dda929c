"""Cameras and rigid transforms: every convention in the docstring, every error, round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from worldfm_gym.camera import (
    Camera,
    check_rigid,
    heading_c2w,
    intrinsics_from_fov,
    invert_rigid,
    look_at,
    quaternion_to_rotation,
    rotation_exp,
    rotation_log,
    rotation_to_quaternion,
)
from worldfm_gym.errors import CameraError, WorldFMError

finite = st.floats(-3.0, 3.0)
vectors = arrays(np.float64, 3, elements=finite)
vector_batches = arrays(np.float64, (4, 3), elements=finite)
yaws = st.floats(-np.pi, np.pi)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    quaternion = draw(
        arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)
    )
    return Rotation.from_quat(quaternion).as_matrix()


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, :3] = draw(rotations())
    c2w[:3, 3] = draw(vectors)
    return c2w


def camera(c2w: np.ndarray | None = None, *, width: int = 8, height: int = 6) -> Camera:
    matrix = np.eye(4) if c2w is None else c2w
    return Camera(matrix, np.array([7.0, 5.0, 3.5, 2.5]), width, height)


# Conventions


def test_camera_frame_is_x_right_y_down_z_forward() -> None:
    pixels, depth_z = camera().project(np.array([[0, 0, 2], [1, 0, 2], [0, 1, 2.0]]))
    np.testing.assert_allclose(depth_z, [2, 2, 2])
    np.testing.assert_allclose(pixels, [[3.5, 2.5], [7.0, 2.5], [3.5, 5.0]])


def test_pixel_centres_lie_at_halves() -> None:
    rays = camera().rays_world()
    assert rays.shape == (6, 8, 3)
    np.testing.assert_allclose(rays[2, 3], [0.0, 0.0, 1.0])  # the centre (3.5, 2.5) is pixel (2, 3)
    np.testing.assert_allclose(rays[0, 0], [(0.5 - 3.5) / 7, (0.5 - 2.5) / 5, 1.0])


def test_depth_is_along_the_axis_not_the_ray() -> None:
    points = camera().unproject(np.full((6, 8), 3.0))
    np.testing.assert_allclose(points[..., 2], 3.0)


def test_c2w_maps_camera_to_world() -> None:
    c2w = heading_c2w([1.0, 2.0, 3.0], 0.0)
    np.testing.assert_allclose(c2w @ [0, 0, 1, 1], [2, 2, 3, 1], atol=1e-12)  # forward is +x
    np.testing.assert_allclose(c2w @ [1, 0, 0, 1], [1, 1, 3, 1], atol=1e-12)  # right is −y
    np.testing.assert_allclose(c2w @ [0, 1, 0, 1], [1, 2, 2, 1], atol=1e-12)  # down is −z


@given(yaws, st.floats(-1.5, 1.5))
def test_heading_turns_counter_clockwise_and_pitches_up(yaw: float, pitch: float) -> None:
    forward = heading_c2w(np.zeros(3), yaw, pitch)[:3, 2]
    level = np.array([np.cos(yaw), np.sin(yaw)]) * np.cos(pitch)
    np.testing.assert_allclose(forward, [*level, np.sin(pitch)], atol=1e-12)


@given(yaws, st.floats(-1.5, 1.5))
def test_heading_keeps_the_horizon_level(yaw: float, pitch: float) -> None:
    c2w = check_rigid(heading_c2w(np.ones(3), yaw, pitch))
    assert c2w[2, 0] == 0.0
    assert c2w[2, 1] < 0.0


def test_heading_broadcasts_positions_against_angles() -> None:
    assert heading_c2w(np.zeros((5, 3)), 0.3).shape == (5, 4, 4)
    assert heading_c2w(np.zeros(3), np.zeros((2, 5)), 0.1).shape == (2, 5, 4, 4)


# Rotations


@given(rotations())
def test_quaternions_are_wxyz_and_agree_with_scipy(rotation: np.ndarray) -> None:
    quaternion = rotation_to_quaternion(rotation)
    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True)
    assert quaternion[0] >= 0
    assert abs(quaternion @ [w, x, y, z]) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(quaternion_to_rotation(quaternion), rotation, atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quaternion_of_half_turns(axis: int) -> None:
    rotation = -np.eye(3)
    rotation[axis, axis] = 1.0
    expected = np.zeros(4)
    expected[1 + axis] = 1.0
    np.testing.assert_allclose(np.abs(rotation_to_quaternion(rotation)), expected, atol=1e-12)


@given(st.floats(0.01, 100.0), rotations())
def test_quaternions_are_normalised_first(scale: float, rotation: np.ndarray) -> None:
    quaternion = rotation_to_quaternion(rotation) * scale
    np.testing.assert_allclose(quaternion_to_rotation(quaternion), rotation, atol=1e-9)


@given(vectors)
def test_exp_agrees_with_scipy(vector: np.ndarray) -> None:
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotation_exp(vector), expected, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-9, 1e-6, 9.9e-5, 1.1e-4, 1e-3, 3.14159, np.pi])
def test_log_inverts_exp_at_every_scale(angle: float) -> None:
    vector = angle * np.array([2.0, -1.0, 2.0]) / 3
    restored = rotation_log(rotation_exp(vector))
    if angle == np.pi:  # both signs are right
        restored *= np.sign(restored @ vector)
    np.testing.assert_allclose(restored, vector, rtol=1e-6, atol=1e-14)


@given(rotations())
def test_exp_inverts_log(rotation: np.ndarray) -> None:
    np.testing.assert_allclose(rotation_exp(rotation_log(rotation)), rotation, atol=1e-8)


@given(vector_batches)
def test_rotations_work_in_batches(rotation_vectors: np.ndarray) -> None:
    batch = rotation_exp(rotation_vectors)
    assert batch.shape == (4, 3, 3)
    for single, vector in zip(batch, rotation_vectors, strict=True):
        np.testing.assert_allclose(single, rotation_exp(vector), atol=1e-15)
    assert rotation_log(batch).shape == (4, 3)


# Rigid transforms


@given(poses(), poses())
def test_inverse_undoes_and_reverses_order(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(invert_rigid(a) @ a, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(invert_rigid(a @ b), invert_rigid(b) @ invert_rigid(a), atol=1e-12)
    check_rigid(a @ b)


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.eye(3), "shape"),
        (np.diag([1, 1, np.nan, 1]), "NaN"),
        (np.diag([1, 1, np.inf, 1]), "infinite"),
        (np.diag([1.01, 1.01, 1.01, 1]), "not rigid"),
        (np.diag([1.0, 1, -1, 1]), "mirrors"),
        (np.eye(4) + np.eye(4)[[3]].T * [5.0, 0, 0, 0], "last row"),
    ],
)
def test_non_rigid_transforms_are_refused(matrix: np.ndarray, reason: str) -> None:
    with pytest.raises(CameraError, match=reason):
        check_rigid(matrix)


def test_one_bad_transform_spoils_a_batch() -> None:
    batch = np.tile(np.eye(4), (3, 1, 1))
    batch[1, 0, 0] = 2.0
    with pytest.raises(CameraError, match="not rigid"):
        check_rigid(batch)


# look_at


@given(vectors, vectors)
def test_look_at_sees_its_target_in_the_middle_and_upright(
    eye: np.ndarray, target: np.ndarray
) -> None:
    if np.linalg.norm(target - eye) < 1e-3:
        return
    view = Camera.from_fov(look_at(eye, target), 60.0, width=32, height=24)
    pixels, depth_z = view.project(target[None])
    np.testing.assert_allclose(pixels[0], [16, 12], atol=1e-6)
    assert depth_z[0] == pytest.approx(np.linalg.norm(target - eye))
    assert view.c2w[2, 1] <= 1e-9  # the image's down never points up
    assert abs(view.c2w[2, 0]) < 1e-6  # the horizon is level


def test_look_at_straight_down_has_north_up() -> None:
    c2w = check_rigid(look_at([0, 0, 5], [0, 0, 0]))
    np.testing.assert_allclose(c2w[:3, 1], [0, -1, 0], atol=1e-12)


def test_look_at_broadcasts() -> None:
    eyes = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    assert check_rigid(look_at(eyes, np.zeros(3))).shape == (2, 4, 4)


def test_look_at_itself_is_refused() -> None:
    with pytest.raises(CameraError, match="look_at"):
        look_at([1, 2, 3], [1, 2, 3])


# Camera


@given(poses(), arrays(np.float64, (6, 8), elements=st.floats(0.1, 50.0)))
def test_unproject_then_project_returns_pixels_and_depth(
    c2w: np.ndarray, depth: np.ndarray
) -> None:
    view = camera(c2w)
    pixels, depth_z = view.project(view.unproject(depth).reshape(-1, 3))
    u, v = np.meshgrid(np.arange(8) + 0.5, np.arange(6) + 0.5)
    np.testing.assert_allclose(pixels, np.stack([u, v], -1).reshape(-1, 2), atol=1e-6)
    np.testing.assert_allclose(depth_z, depth.ravel(), rtol=1e-9)


def test_points_behind_have_no_positive_depth() -> None:
    _, depth_z = camera().project(np.array([[0, 0, -1.0], [0, 0, 0.0]]))
    assert (depth_z <= 0).all()


@given(poses())
def test_w2c_and_position(c2w: np.ndarray) -> None:
    view = camera(c2w)
    np.testing.assert_allclose(view.w2c @ view.c2w, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(view.position_world, c2w[:3, 3])


def test_batches_share_intrinsics_and_index_like_arrays() -> None:
    c2w = np.tile(np.eye(4), (2, 3, 1, 1))
    c2w[1, 2, 0, 3] = 9.0
    views = Camera(c2w, np.array([7.0, 5.0, 3.5, 2.5]), 8, 6)
    assert views.batch_shape == (2, 3)
    assert views.intrinsics.shape == (2, 3, 4)
    assert views[1, 2].position_world[0] == 9.0
    assert views.flat().batch_shape == (6,)
    assert views.flat()[5].position_world[0] == 9.0
    assert views.rays_world().shape == (2, 3, 6, 8, 3)
    pixels, depth_z = views.project(np.array([[0.0, 0, 1], [0, 0, 2]]))
    assert pixels.shape == (2, 3, 2, 2)
    assert depth_z.shape == (2, 3, 2)


def test_matrix_and_tuple_intrinsics_agree() -> None:
    view = camera()
    again = Camera.from_matrix(view.c2w, view.K, width=8, height=6)
    np.testing.assert_array_equal(again.intrinsics, view.intrinsics)


@given(st.floats(1.0, 170.0))
def test_field_of_view_spans_the_width(fov_x_deg: float) -> None:
    fx, fy, cx, cy = intrinsics_from_fov(fov_x_deg, width=64, height=48)
    assert fx == fy
    assert (cx, cy) == (32, 24)
    assert 2 * np.rad2deg(np.arctan2(32, fx)) == pytest.approx(fov_x_deg)


def test_resized_sees_the_same_at_the_new_size() -> None:
    view, point = camera(), np.array([[0.3, -0.2, 2.0]])
    pixels, _ = view.project(point)
    resized, _ = view.resized(16, 18).project(point)
    np.testing.assert_allclose(resized, pixels * [2, 3])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"intrinsics": np.ones(3)}, "fx, fy, cx, cy"),
        ({"intrinsics": np.array([0.0, 1, 1, 1])}, "focal"),
        ({"intrinsics": np.array([1.0, -1, 1, 1])}, "focal"),
        ({"intrinsics": np.array([1.0, 1, np.nan, 1])}, "finite"),
        ({"width": 0}, "width"),
        ({"height": 40_000}, "height"),
        ({"c2w": np.full((4, 4), np.nan)}, "NaN"),
    ],
)
def test_unusable_cameras_are_refused(arguments: dict[str, object], reason: str) -> None:
    usable = {"c2w": np.eye(4), "intrinsics": np.array([7.0, 5, 3.5, 2.5]), "width": 8, "height": 6}
    with pytest.raises(CameraError, match=reason):
        Camera(**(usable | arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize("fov_x_deg", [0.0, 179.0, np.nan])
def test_impossible_fields_of_view_are_refused(fov_x_deg: float) -> None:
    with pytest.raises(CameraError, match="field of view"):
        intrinsics_from_fov(fov_x_deg, width=64, height=48)


def test_bad_intrinsic_matrices_are_refused() -> None:
    with pytest.raises(CameraError, match="shape"):
        Camera.from_matrix(np.eye(4), np.ones((3, 4)), width=8, height=6)
    with pytest.raises(CameraError, match="skew"):
        Camera.from_matrix(np.eye(4), [[7, 0.1, 3], [0, 7, 3], [0, 0, 1]], width=8, height=6)


def test_camera_errors_are_value_errors_of_the_library() -> None:
    assert issubclass(CameraError, ValueError)
    assert issubclass(CameraError, WorldFMError)
