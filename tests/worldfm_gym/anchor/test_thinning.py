import time

import numpy as np
import pytest

from worldfm_gym.anchor import Anchor
from worldfm_gym.anchor.thinning import voxel_thin
from worldfm_gym.errors import AnchorError


def cloud(count: int = 3000, *, seed: int = 0, radius: float = 0.001) -> Anchor:
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(count, 3))
    return Anchor.from_points(
        rng.uniform(-1, 1, (count, 3)),
        rng.integers(0, 256, (count, 3)),
        normals=normals / np.linalg.norm(normals, axis=-1, keepdims=True),
        instance=rng.integers(0, 3, count),
        radius=radius,
        generated=rng.random(count) < 0.2,
    )


def reference_groups(anchor: Anchor, voxel_m: float) -> dict[tuple, list[int]]:
    """Members of each output point, by the definition and a dictionary."""
    groups: dict[tuple, list[int]] = {}
    for i in range(len(anchor)):
        axis = int(np.abs(anchor.normals[i]).argmax())
        key = (
            *np.floor(anchor.points[i] / np.float64(voxel_m)).astype(int),
            int(anchor.instance[i]),
            axis,
            bool(anchor.normals[i, axis] < 0),
            bool(anchor.generated[i]),
        )
        groups.setdefault(key, []).append(i)
    return groups


def test_agrees_with_a_dictionary_of_groups():
    anchor, voxel_m = cloud(800), 0.5
    groups = reference_groups(anchor, voxel_m)
    thinned = voxel_thin(anchor, voxel_m)
    assert len(thinned) == len(groups)
    expected = np.array(
        [
            [*anchor.points[m].mean(0, dtype=np.float64), *np.rint(anchor.colors[m].mean(0))]
            for m in groups.values()
        ]
    )
    found = np.concatenate([thinned.points, thinned.colors], axis=-1).astype(np.float64)
    expected, found = (a[np.lexsort(a[:, :3].round(5).T)] for a in (expected, found))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_does_not_depend_on_the_order_of_points():
    anchor = cloud()
    shuffled = anchor[np.random.default_rng(1).permutation(len(anchor))]
    a, b = voxel_thin(anchor, 0.2), voxel_thin(shuffled, 0.2)
    np.testing.assert_allclose(a.points, b.points, atol=1e-6)
    np.testing.assert_allclose(a.normals, b.normals, atol=1e-5)
    np.testing.assert_array_equal(a.instance, b.instance)
    np.testing.assert_array_equal(a.generated, b.generated)


def test_two_sides_of_a_thin_wall_keep_their_colors():
    points = np.zeros((20, 3))
    points[10:, 0] = 0.001
    normals = np.where(np.arange(20)[:, None] < 10, [-1.0, 0, 0], [1.0, 0, 0])
    colors = np.where(np.arange(20)[:, None] < 10, [200, 0, 0], [0, 0, 200])
    thinned = voxel_thin(Anchor.from_points(points, colors, normals=normals, radius=0.01), 0.05)
    assert sorted(map(tuple, thinned.colors.tolist())) == [(0, 0, 200), (200, 0, 0)]


def test_objects_and_generated_points_stay_apart():
    same = Anchor.from_points(
        np.zeros((3, 3)),
        np.zeros((3, 3)),
        instance=[0, 7, 7],
        generated=[False, False, True],
        radius=0.01,
    )
    thinned = voxel_thin(same, 0.1)
    pairs = sorted(zip(thinned.instance.tolist(), thinned.generated.tolist(), strict=True))
    assert pairs == [(0, False), (7, False), (7, True)]


@pytest.mark.parametrize(
    "normal", [(0.0, 0, 1), (0.6, 0, 0.8), (0.5**0.5, 0.5**0.5, 0), (1 / 3, 2 / 3, 2 / 3)]
)
def test_radii_cover_a_plane_and_little_more(normal):
    rng = np.random.default_rng(0)
    axes = np.linalg.svd(np.array([normal]))[2][1:]
    points = rng.uniform(-1, 1, (400_000, 2)) @ axes  # 4 m² of plane
    plane = Anchor.from_points(
        points, np.zeros_like(points), normals=np.tile(normal, (len(points), 1)), radius=1e-4
    )
    thinned = voxel_thin(plane, 0.05)
    # A plane meets at most ‖n‖₁ voxels per voxel² of its area (fewer where it meets their corners);
    # each gets the largest patch, voxel² / max|n|. The rim of the plane cuts some voxels more.
    most = 4.0 * np.abs(normal).sum() / np.abs(normal).max()
    covered = (4 * thinned.radius.astype(np.float64) ** 2).sum()
    assert 4.0 <= covered <= 1.1 * most


def test_larger_radii_of_sparse_points_are_kept():
    thinned = voxel_thin(cloud(50, radius=0.4), 0.01)
    np.testing.assert_allclose(thinned.radius, 0.4)


def test_opposite_unknown_normals_give_an_unknown_normal():
    pair = Anchor.from_points(np.zeros((2, 3)), np.zeros((2, 3)), radius=0.01)
    assert (voxel_thin(pair, 0.1).normals == 0).all()


@pytest.mark.parametrize("voxel_m", [0.0, -1.0, np.nan, np.inf])
def test_bad_voxel_is_refused(voxel_m):
    with pytest.raises(AnchorError, match="voxel_m"):
        voxel_thin(cloud(10), voxel_m)


def test_voxels_too_many_to_number_are_refused():
    far = Anchor.from_points([[0.0, 0, 0], [1e5, 1e5, 1e5]], np.zeros((2, 3)), radius=1.0)
    with pytest.raises(AnchorError, match="larger voxels"):
        voxel_thin(far, 1e-5)


def test_a_million_points_take_seconds_at_most():
    anchor = cloud(1_000_000)
    voxel_thin(anchor[:10], 0.1)
    start = time.process_time()
    voxel_thin(anchor, 0.02)
    assert time.process_time() - start < 5.0  # about 0.5 on an idle core; CI cores are shared
