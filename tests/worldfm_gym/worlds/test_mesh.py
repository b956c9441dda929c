import numpy as np
import pytest

from worldfm_gym.worlds.mesh import Mesh

SQUARE = np.array([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def test_samples_are_even_and_on_the_surface():
    points, normals, colors = Mesh(SQUARE, FACES).sample(0.02, max_points=10_000)
    assert len(points) == 5000
    assert colors is None
    assert (points[:, 2] == 0).all()
    np.testing.assert_allclose(normals, np.tile([0.0, 0, 1], (5000, 1)))
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=[20, 10], range=[[0, 2], [0, 1]])
    assert counts.sum() == 5000
    assert 18 <= counts.min() <= counts.max() <= 32  # 25 each; random points would span 10…42


def test_samples_are_shared_by_area():
    small = SQUARE * 0.1 + [0, 0, 1]
    mesh = Mesh(np.concatenate([SQUARE, small]), np.concatenate([FACES, FACES + 4]))
    points, _, _ = mesh.sample(0.01, max_points=100_000)
    assert (points[:, 2] > 0.5).sum() == pytest.approx(len(points) / 101, abs=2)


def test_the_limit_on_points_holds():
    assert len(Mesh(SQUARE, FACES).sample(1e-6, max_points=777)[0]) == 777


def test_vertex_colors_are_interpolated():
    colors = 100 * SQUARE + 20
    points, _, found = Mesh(SQUARE, FACES, vertex_colors=colors).sample(0.05, max_points=9999)
    np.testing.assert_allclose(found, 100 * points + 20, atol=1e-9)


def test_textures_are_looked_up_with_v_up_and_tinted():
    texture = np.array([[[200, 0, 0]], [[0, 0, 100]]], np.uint8)  # red above blue
    uv = (SQUARE[:, :2] / [2, 1])[FACES]
    mesh = Mesh(
        SQUARE, FACES, corner_uv=uv, texture=texture, base_color=np.array([127.5, 255.0, 255.0])
    )
    points, _, found = mesh.sample(0.05, max_points=9999)
    upper = points[:, 1] > 0.5
    np.testing.assert_allclose(found[upper], np.tile([100.0, 0, 0], (upper.sum(), 1)))
    np.testing.assert_allclose(found[~upper], np.tile([0, 0, 100.0], ((~upper).sum(), 1)))


def test_a_lone_base_color_paints_all():
    color = np.array([1.0, 2.0, 3.0])
    _, _, found = Mesh(SQUARE, FACES, base_color=color).sample(0.5, max_points=99)
    np.testing.assert_array_equal(found, np.tile(color, (8, 1)))
