"""The pyramid keeps every point, merges within cells, and bounds what it holds."""

from __future__ import annotations

import numpy as np
import pytest

from worldfm_gym.anchor import Anchor, WorldObject
from worldfm_gym.anchor.pyramid import BLOCK, LEVELS, SplatPyramid, build_pyramid
from worldfm_gym.errors import AnchorError


def test_level_zero_holds_every_point_once(
    room: tuple[Anchor, list[WorldObject]], pyramid: SplatPyramid
) -> None:
    anchor, _ = room
    index = np.concatenate([np.arange(s[0], s[1]) for s in pyramid.cell_start])
    source = pyramid.attributes[index, 2]
    assert np.array_equal(np.sort(source), np.arange(len(anchor)))
    assert np.array_equal(pyramid.splats[index, :3], anchor.points[source])
    assert np.array_equal(pyramid.attributes[index, 1], anchor.instance[source])
    color = pyramid.attributes[index, 0]
    assert np.array_equal(color & 255, anchor.colors[source, 0])
    assert np.array_equal(color >> 24, anchor.generated[source])


def test_levels_conserve_area_and_shrink(pyramid: SplatPyramid) -> None:
    area = pyramid.splats[:, 3].astype(np.float64) ** 2
    per_level = [
        [area[s[level] : s[level + 1]].sum() for s in pyramid.cell_start] for level in range(LEVELS)
    ]
    for level in range(1, LEVELS):
        np.testing.assert_allclose(per_level[level], per_level[0], rtol=1e-5)
    counts = np.diff(pyramid.cell_start, axis=1).sum(axis=0)
    assert (np.diff(counts) < 0).all()


def test_cells_hold_one_body_and_one_facing_inside_their_bounds(pyramid: SplatPyramid) -> None:
    for c, (start, sphere, cone) in enumerate(
        zip(pyramid.cell_start, pyramid.cell_sphere, pyramid.cell_cone, strict=True)
    ):
        rows = pyramid.splats[start[0] : start[-1]]
        assert (pyramid.attributes[start[0] : start[-1], 3] == pyramid.cell_body[c]).all()
        reach = np.linalg.norm(rows[:, :3] - sphere[:3], axis=1) + rows[:, 3]
        assert (reach <= sphere[3]).all()
        assert (rows[:, 4:7] @ cone[:3] >= cone[3] - 1e-5).all()


def test_cell_cones_only_cull_what_faces_away(pyramid: SplatPyramid) -> None:
    rng = np.random.default_rng(0)
    for eye in rng.uniform([-2, -2, -1], [6, 5, 4], (40, 3)):
        offset = pyramid.cell_sphere[:, :3] - eye
        along = (pyramid.cell_cone[:, :3] * offset).sum(axis=1)
        across = np.sqrt(np.maximum((offset**2).sum(axis=1) - along**2, 0))
        cone = pyramid.cell_cone
        culled = along * cone[:, 3] - across * cone[:, 4] > cone[:, 5] + 1e-3
        assert culled.any()
        for start in pyramid.cell_start[culled]:
            rows = pyramid.splats[start[0] : start[-1]]
            assert (((rows[:, :3] - eye) * rows[:, 4:7]).sum(axis=1) > 0).all()


def test_same_input_same_pyramid(
    room: tuple[Anchor, list[WorldObject]], pyramid: SplatPyramid
) -> None:
    again = build_pyramid(*room)
    assert again.geometry.tobytes() == pyramid.geometry.tobytes()
    assert again.attributes.tobytes() == pyramid.attributes.tobytes()
    assert np.array_equal(again.cell_start, pyramid.cell_start)


def test_single_point() -> None:
    one = Anchor.from_points([[1.0, 2.0, 3.0]], [[1, 2, 3]], radius=0.05)
    pyramid = build_pyramid(one)
    assert len(pyramid) == LEVELS
    assert pyramid.geometry.shape == (1, 8, BLOCK)


def test_too_many_points_are_refused(
    monkeypatch: pytest.MonkeyPatch, room: tuple[Anchor, list[WorldObject]]
) -> None:
    monkeypatch.setattr("worldfm_gym.anchor.pyramid._INDEX_BITS", 4)
    with pytest.raises(AnchorError, match="points"):
        build_pyramid(*room)


def test_observed_splats_are_the_same_whatever_is_generated(
    room: tuple[Anchor, list[WorldObject]],
) -> None:
    anchor, objects = room
    observed = anchor[~anchor.generated]
    rng = np.random.default_rng(3)
    count = 500
    more = Anchor.from_points(
        rng.uniform(-20, 20, (count, 3)),
        rng.integers(0, 255, (count, 3)),
        radius=rng.uniform(0.01, 0.3, count),
        generated=np.ones(count, np.bool_),
    )
    alone = build_pyramid(observed, objects)
    for grown in (more, Anchor.concatenate([anchor[anchor.generated], more])):
        pyramid = build_pyramid(Anchor.concatenate([observed, grown]), objects)
        assert pyramid.spacing_m == alone.spacing_m
        assert np.array_equal(pyramid.splats[: len(alone)], alone.splats)
        assert np.array_equal(pyramid.attributes[: len(alone)], alone.attributes)
        cells = len(alone.cell_start)
        assert np.array_equal(pyramid.cell_start[:cells], alone.cell_start)
        assert (pyramid.attributes[len(alone) :, 0] >> 24 == 1).all()
