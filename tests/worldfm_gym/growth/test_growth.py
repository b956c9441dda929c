"""Growth of a room of which one frame has been seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.growth import Growth, GrowthConfig
from worldfm_gym.growth.coverage import heading_coverage
from worldfm_gym.renderer import Renderer
from worldfm_gym.worlds.world import World

ROOM = np.array([6.0, 4.0, 2.6])
Truth = Callable[[World], Sequence[Renderer]]


@pytest.fixture
def grown(cut_room: World, truth: Truth, small: GrowthConfig) -> World:
    return Growth(cut_room, small, truth, "truth").run()


def same_points(a: Anchor, b: Anchor) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Anchor))


def to_surface(points: np.ndarray, world: World) -> np.ndarray:
    """Distance of points [N, 3] to the nearest face of the room or of its objects."""
    inside = np.minimum(points, ROOM - points)
    distance = np.where(
        (inside >= 0).all(axis=1),
        inside.min(axis=1),
        np.linalg.norm(np.maximum(-inside, 0), axis=1),
    )
    for item in world.objects:
        q = np.abs(points - item.pose[:3, 3]) - item.size / 2
        outside = np.linalg.norm(np.maximum(q, 0), axis=1)
        distance = np.minimum(distance, np.where(outside > 0, outside, -q.max(axis=1)))
    return distance


def test_what_was_seen_stays_as_it_is(cut_room: World, grown: World):
    count = len(cut_room.anchor)
    assert same_points(grown.anchor[:count], cut_room.anchor)
    assert grown.anchor.generated[count:].all()
    assert len(grown.anchor) > 1.5 * count
    assert grown.references[0] is cut_room.references[0]
    assert all(r.generated for r in grown.references[1:])


def test_observed_pixels_are_the_same_bit_for_bit(cut_room: World, grown: World):
    camera = cut_room.references[0].camera
    one = Camera(camera.c2w[None], camera.intrinsics[None], camera.width, camera.height)
    scene = np.zeros(1, np.int64)
    before, after = (AnchorRaster([w.pyramid]).render(one, scene) for w in (cut_room, grown))
    covered = before.coverage
    assert covered.mean() > 0.8
    for name in ("rgb", "depth", "index", "provenance"):
        assert np.array_equal(getattr(before, name)[covered], getattr(after, name)[covered])


def test_nothing_new_stands_in_space_that_was_seen_through(cut_room: World, grown: World):
    reference = cut_room.references[0]
    new = grown.anchor.points[len(cut_room.anchor) :].astype(np.float64)
    pixels, depth_z = reference.camera.project(new)
    u, v = np.floor(pixels).astype(np.int64).T
    inside = (depth_z > 0.05) & (u >= 0) & (u < 160) & (v >= 0) & (v < 120)
    measured = reference.depth[v[inside], u[inside]]
    assert (depth_z[inside] >= measured - 0.021 - 0.015 * measured).all()


def test_the_grown_room_is_the_true_one_where_drawings_are_true(
    cut_room: World, grown: World, box_room: World
):
    new = grown.anchor.points[len(cut_room.anchor) :].astype(np.float64)
    distance = to_surface(new, box_room)
    assert np.median(distance) < 0.03
    assert np.quantile(distance, 0.9) < 0.3


def test_it_is_closed_and_can_be_walked(cut_room: World, grown: World):
    assert heading_coverage(cut_room).min() < 0.05
    assert heading_coverage(grown).min() > 0.95
    before, after = cut_room.require_nav(), grown.require_nav()
    assert after.navigable.sum() > 1.5 * before.navigable.sum()
    truth_m2 = 6.0 * 4.0 - 0.8**2 - 0.6
    assert after.known_free.sum() * after.cell_m**2 == pytest.approx(truth_m2, rel=0.2)


def test_a_seed_is_one_world(cut_room: World, truth: Truth, small: GrowthConfig, grown: World):
    again = Growth(cut_room, small, truth, "truth").run()
    assert same_points(again.anchor, grown.anchor)
    other = Growth(cut_room, replace(small, seed=1), truth, "truth").run()
    assert not same_points(other.anchor, grown.anchor)


def test_a_run_that_was_ended_goes_on(
    cut_room: World, truth: Truth, small: GrowthConfig, grown: World, tmp_path: Path
):
    class Ended(Exception):
        pass

    calls = []

    def until_the_second_round(world: World) -> Sequence[Renderer]:
        calls.append(len(world.anchor))
        if len(calls) == 2:
            raise Ended
        return truth(world)

    folder = tmp_path / "state"
    with pytest.raises(Ended):
        Growth(cut_room, small, until_the_second_round, "truth").run(folder=folder)
    assert [f.name for f in folder.iterdir()] == ["growth.safetensors"]
    rounds: list[int] = []

    class Counted(Growth):
        def round(self, index: int) -> None:
            rounds.append(index)
            super().round(index)

    resumed = Counted(cut_room, small, truth, "truth").run(folder=folder)
    assert rounds == [1, 2]
    assert same_points(resumed.anchor, grown.anchor)
    for a, b in zip(resumed.references, grown.references, strict=True):
        assert np.array_equal(a.rgb, b.rgb)
        assert np.array_equal(a.depth, b.depth)
    rounds.clear()
    Counted(cut_room, small, truth, "truth").run(folder=folder)
    assert not rounds


def test_other_options_and_damaged_files_start_anew(
    cut_room: World, truth: Truth, small: GrowthConfig, tmp_path: Path
):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "growth.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0garbage")
    growth = Growth(cut_room, small, truth, "truth")
    assert growth.run(folder=folder).source["growth"]["seed"] == small.seed


def test_state_needs_a_place(cut_room: World, truth: Truth, small: GrowthConfig, tmp_path: Path):
    growth = Growth(cut_room, small, truth, "truth")
    with pytest.raises(ConfigError, match="choose a folder"):
        growth.run(folder=tmp_path / "nowhere" / "state")


def test_growth_makes_room_for_a_body_that_did_not_fit(
    cut_room: World, truth: Truth, small: GrowthConfig
):
    floor = (cut_room.anchor.points[:, 2] > 0.01) | (cut_room.anchor.points[:, 0] < 3.0)
    world = replace(cut_room, anchor=cut_room.anchor[floor], nav=None, nav_problem="too narrow")
    grown = Growth(world, small, truth, "truth").run()
    assert grown.nav_problem is None
    assert grown.require_nav().navigable.sum() * grown.nav.cell_m**2 > 5.0


def test_a_world_without_floor_is_refused(cut_room: World, truth: Truth, small: GrowthConfig):
    world = replace(cut_room, nav=None, nav_problem="only sky", source={"has_floor": False})
    with pytest.raises(NavigationError, match="only sky"):
        Growth(world, small, truth, "truth")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("views", 3),
        ("views", 9.5),
        ("views", "many"),
        ("reach_m", float("nan")),
        ("size_px", 100),
        ("seed", -1),
        ("snap", 0.9),
    ],
)
def test_options_out_of_range_are_refused(name: str, value: float):
    with pytest.raises(ConfigError, match=name):
        GrowthConfig(**{name: value})


def test_a_progress_bar_counts_rounds(
    cut_room: World, truth: Truth, small: GrowthConfig, capsys: pytest.CaptureFixture[str]
):
    Growth(cut_room, small, truth, "truth").run(progress=True)
    assert "growing" in capsys.readouterr().out
