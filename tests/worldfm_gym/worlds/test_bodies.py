"""Bodies: robots that can be told apart, and a world that is otherwise the same."""

import numpy as np
import pytest

from tests.conftest import make_box_room
from worldfm_gym import make_world
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator, SimulatorConfig
from worldfm_gym.worlds.bodies import with_bodies

SMALL = SimulatorConfig(width=48, height=48)


@pytest.fixture(scope="module")
def rooms():
    return make_world("rooms", seed=3)


@pytest.fixture(scope="module")
def populated(rooms):
    return with_bodies(rooms, 3)


def test_the_new_objects_are_the_last_ones_and_not_there_yet(rooms, populated):
    robots = populated.objects[-3:]
    assert populated.objects[:-3] == rooms.objects
    ids = [item.instance for item in populated.objects]
    assert len(set(ids)) == len(ids)
    assert {item.category for item in robots} == {"robot"}
    np.testing.assert_array_equal([item.size for item in robots], [[0.36, 0.36, 1.0]] * 3)
    simulator = Simulator([populated], config=SMALL)
    assert simulator.object_present[0].sum() == len(rooms.objects)
    for item in robots:
        own = populated.anchor.instance == item.instance
        assert 1000 < own.sum() < 6000
        assert np.linalg.norm(populated.anchor.normals[own], axis=1).min() > 0.99
        inside = (
            np.linalg.inv(item.rest_pose)
            @ np.c_[populated.anchor.points[own], np.ones(own.sum())].T
        )
        assert (np.abs(inside[:3].T) <= item.size / 2 + 1e-3).all()


def test_the_world_is_otherwise_the_same(rooms, populated):
    count = len(rooms.anchor)
    np.testing.assert_array_equal(populated.anchor.points[:count], rooms.anchor.points)
    np.testing.assert_array_equal(populated.nav.clearance, rooms.nav.clearance)
    assert len(rooms.nav.boxes) == len(rooms.objects)
    before, after = (Simulator([w], config=SMALL, renderer="truth") for w in (rooms, populated))
    np.testing.assert_array_equal(before.render().rgb, after.render().rgb)
    before, after = (Simulator([w], config=SMALL) for w in (rooms, populated))
    shown = before.render().instance == after.render().instance
    assert shown.mean() > 0.98  # the level of detail may differ a little


@pytest.mark.parametrize("renderer", ["anchor", "truth"])
def test_agents_see_each_others_bodies_but_not_their_own(populated, renderer):
    simulator = Simulator([populated], agents_per_scene=3, config=SMALL, renderer=renderer)
    start = populated.start_c2w[:2, 3]
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = start + 0.9 * np.stack([np.cos(angles), np.sin(angles)], -1)
    at = int(np.argmax(populated.nav.is_navigable(ring)))
    other = ring[at]
    simulator.place_ground([0, 1], [start, other], [angles[at], angles[at] + np.pi])
    ids = [item.instance for item in populated.objects[-3:]]
    for agent in (0, 1):
        simulator.attach_body(agent, ids[agent])
    frame = simulator.render([0, 1])
    assert (frame.instance[0] == ids[1]).mean() > 0.02
    assert (frame.instance[1] == ids[0]).mean() > 0.02
    assert not (frame.instance[0] == ids[0]).any()
    assert not (frame.instance == ids[2]).any()
    fronts = [frame.rgb[i][frame.instance[i] == ids[1 - i]].mean(0) for i in (0, 1)]
    assert np.abs(fronts[0] - fronts[1]).max() > 25  # colors tell them apart


def test_worlds_without_a_scene_or_a_map_get_bodies_too():
    bare = with_bodies(make_box_room(walkable=False), 1, category="fox", colors=[(1, 0.2, 0)])
    assert bare.nav is None
    assert bare.scene is None
    assert bare.objects[-1].category == "fox"
    assert bare.objects[-1].instance == 3


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (0, {}, "positive count"),
        (1, {"radius_m": 0.0}, "positive count"),
        (1, {"height_m": float("nan")}, "positive count"),
        (2, {"colors": [(1, 1, 1)]}, "2 rows"),
        (1, {"colors": [(255, 0, 0)]}, "0…1"),
    ],
)
def test_senseless_bodies_are_refused(count, options, message):
    with pytest.raises(ConfigError, match=message):
        with_bodies(make_box_room(walkable=False), count, **options)
