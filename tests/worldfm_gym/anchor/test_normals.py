import numpy as np
import pytest

from worldfm_gym.anchor.normals import estimate_normals, normals_from_depth
from worldfm_gym.camera import Camera, look_at


def plane_depth(camera: Camera, normal: np.ndarray, offset: float) -> np.ndarray:
    """z-depth of the plane normal · p = offset; 0 where a ray misses it."""
    slope = camera.rays_world() @ normal
    with np.errstate(divide="ignore"):
        depth = (offset - camera.position_world @ normal) / slope
    return np.where((depth > 0) & (depth < 30), depth, 0.0)


@pytest.fixture(scope="module")
def camera() -> Camera:
    c2w = look_at([0.3, -0.2, 1.4], [2.0, 1.0, 0.6])
    return Camera(c2w, np.array([180.0, 175.0, 97.0, 70.0]), 200, 150)


@pytest.mark.parametrize(
    ("normal", "offset"), [((0, 0, 1.0), 0.0), ((-1.0, 0, 0), -3.0), ((-0.6, -0.64, 0.48), -2.0)]
)
def test_planes_have_their_normal(camera: Camera, normal, offset):
    normal = np.array(normal)
    depth = plane_depth(camera, normal, offset)
    found = normals_from_depth(depth, camera)
    known = np.abs(found).sum(axis=-1) > 0
    near = (depth > 0) & (depth < 8)
    assert known[near].mean() > 0.97
    np.testing.assert_allclose(found[known], np.broadcast_to(normal, found[known].shape), atol=2e-3)


def test_millimetre_rounding_costs_a_few_degrees(camera: Camera):
    depth = np.rint(plane_depth(camera, np.array([0, 0, 1.0]), 0.0) * 1000) / 1000
    found = normals_from_depth(depth, camera)[(depth > 0) & (depth < 5)]
    assert np.quantile(found[:, 2], 0.05) > np.cos(np.deg2rad(4))


def test_unit_length_and_facing_the_camera(camera: Camera):
    depth = 2.0 + 0.2 * np.sin(np.arange(200) / 15)[None, :] + np.zeros((150, 1))
    found = normals_from_depth(depth, camera)
    known = np.abs(found).sum(axis=-1) > 0
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-5)
    toward = camera.position_world - camera.unproject(depth)
    assert (np.einsum("nk,nk->n", found[known], toward[known]) > 0).all()


def test_unknown_depth_and_specks_have_no_normal(camera: Camera):
    depth = np.zeros((150, 200))
    depth[70:72, 90:92] = 1.0
    assert (normals_from_depth(depth, camera) == 0).all()


def test_a_window_across_an_edge_has_no_normal(camera: Camera):
    depth = np.full((150, 200), 2.0)
    depth[:, 100:] = 2.15  # within the gate of one surface, but no plane
    assert (normals_from_depth(depth, camera)[75, 98:102] == 0).all()


def test_sphere_cloud_normals_are_radial():
    direction = np.random.default_rng(0).normal(size=(4000, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    outward = -estimate_normals(direction * 2 + 5, toward=(5, 5, 5))
    assert np.quantile(np.einsum("nk,nk->n", outward, direction), 0.02) > 0.97


def test_too_few_points_have_no_normals():
    assert (estimate_normals(np.zeros((2, 3))) == 0).all()
