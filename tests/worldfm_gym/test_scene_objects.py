"""Objects that are there or not, that get pushed, that push agents, that agents carry along."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOM, make_box_room, place
from worldfm_gym.camera import heading_c2w
from worldfm_gym.errors import SimulatorError
from worldfm_gym.simulator import Simulator, SimulatorConfig

CONFIG = SimulatorConfig(width=32, height=24)
CRATE, CABINET = 1, 2
RADIUS = 0.18


@pytest.fixture
def make(box_room, box_room_renderer):
    def build(worlds=None, **kwargs):
        kwargs.setdefault("config", CONFIG)
        kwargs.setdefault("renderer", box_room_renderer)
        return Simulator([box_room] if worlds is None else worlds, **kwargs)

    return build


def test_an_absent_object_is_neither_seen_nor_met(make):
    simulator = make(renderer="anchor")
    simulator.place_ground(0, (1.0, 2.0), 0.0)
    assert (simulator.render().instance == CRATE).any()
    simulator.set_object_present(0, CRATE, False)
    assert not (simulator.render().instance == CRATE).any()
    simulator.move_ground(2.5)
    assert not simulator.collided[0]
    simulator.reset_objects()
    simulator.place_ground(0, (1.0, 2.0), 0.0)
    simulator.move_ground(2.5)
    assert simulator.collided[0]
    assert (simulator.render().instance == CRATE).any()


def test_a_free_camera_does_not_meet_an_absent_object(make):
    simulator = make()
    for present, met in ((False, False), (True, True)):
        simulator.place(0, heading_c2w((1.0, 2.0, 0.4), 0.0))
        simulator.set_object_present(0, CRATE, present)
        simulator.move_free([0, 0, 2.5, 0, 0, 0], 1.0)
        assert simulator.collided[0] == met


def test_presence_is_part_of_the_state(make):
    simulator = make()
    simulator.set_object_present(0, CRATE, False)
    state = simulator.state()
    assert state.object_present.tolist() == [[False, True]]
    simulator.reset_objects()
    assert simulator.object_present.all()
    simulator.set_state(state)
    simulator.place_ground(0, (1.0, 2.0), 0.0)
    simulator.move_ground(2.5)
    assert not simulator.collided[0]


def test_an_object_parked_below_the_floor_is_not_there_at_first(make, box_room):
    box_room.objects[0].pose = place(0.0, 0.0, -100.0)
    simulator = make()
    assert simulator.object_present.tolist() == [[False, True]]
    simulator.set_object_pose(0, CRATE, place(2.0, 1.0, 0.4))
    simulator.set_object_present(0, CRATE, True)
    simulator.move_ground(1.0)
    assert simulator.collided[0]


def test_scenes_of_one_world_differ_once_objects_do(make, box_room):
    simulator = make([box_room] * 4)
    simulator.set_object_present(2, CRATE, False)
    simulator.set_object_pose(1, CRATE, place(3.0, 1.0, 0.4))
    simulator.place_ground(range(4), [(1.0, 2.0)] * 4, 0.0)
    simulator.move_ground(3.0)
    assert simulator.collided.tolist() == [True, False, False, True]
    simulator.reset_objects()
    simulator.place_ground(range(4), [(1.0, 2.0)] * 4, 0.0)
    simulator.move_ground(3.0)
    assert simulator.collided.all()


def test_many_scenes_step_as_each_would_alone(make, box_room):
    """Maps, moved objects and motions in any mix are one kernel call a map, and change nothing."""
    other = make_box_room()
    worlds = [box_room, other, box_room, other, box_room, box_room]
    scene = np.array([5, 0, 1, 2, 3, 4, 0, 5, 2, 1])

    def motion(time_s):
        return place(3.0, 2.0 + np.sin(time_s), 0.4)

    def prepare(simulator, of_scene):
        for s, own in enumerate(of_scene):
            if own == 2:
                simulator.set_object_pose(s, CRATE, place(2.0, 1.0, 0.4, 0.3))
            if own == 4:
                simulator.set_object_motion(s, {CRATE: motion})

    together = make(worlds, scene=scene)
    prepare(together, range(6))
    rng = np.random.default_rng(0)
    xy, yaw = rng.uniform((0.5, 0.5), (2.0, 3.5), (10, 2)), rng.uniform(-3, 3, 10)
    together.place_ground(range(10), xy, yaw)
    alone = []
    for i, s in enumerate(scene):
        single = make([worlds[s]])
        prepare(single, [s])
        single.place_ground(0, xy[i], yaw[i])
        alone.append(single)
    for _ in range(60):
        forward, turn = rng.uniform(-0.2, 0.4, 10), rng.uniform(-0.5, 0.5, 10)
        together.move_ground(forward, yaw_delta=turn)
        for i, single in enumerate(alone):
            single.move_ground(forward[i], yaw_delta=turn[i])
            np.testing.assert_array_equal(together.c2w[i], single.c2w[0])
            assert together.collided[i] == single.collided[0]


def test_a_moving_object_pushes_an_agent_out_of_its_way(make):
    simulator = make()
    simulator.place_ground(0, (3.0, 1.0), 0.0)
    simulator.set_object_motion(0, {CRATE: lambda t: place(3.0, 2.5 - t, 0.4)})
    met = 0
    for _ in range(7):  # until the crate's side is at y = 0.35
        simulator.move_ground(0.0)
        y = simulator.position_xy[0, 1]
        crate = simulator.object_poses[0, 0, 1, 3]
        assert crate - 0.4 - y >= RADIUS - 0.02 or y < 0.21
        met += simulator.collided[0]
    assert met >= 2
    assert simulator.position_xy[0, 1] < 0.6


def test_a_crushed_agent_stays_inside_the_room_and_counts_as_collided(make, box_room):
    simulator = make()
    simulator.place_ground(0, (3.0, 0.5), 0.0)
    simulator.set_object_motion(0, {CRATE: lambda t: place(3.0, 2.5 - 2 * t, 0.4)})
    met = 0
    for _ in range(6):
        simulator.move_ground(0.0)
        assert 0.1 < simulator.position_xy[0, 1] < ROOM[1]
        met += simulator.collided[0]
    assert met >= 1


def test_an_agent_pushes_what_can_be_pushed(make):
    simulator = make()
    simulator.set_pushable(0, [CRATE])
    simulator.place_ground(0, (2.0, 2.0), 0.0)
    for _ in range(6):
        simulator.move_ground(0.25)
    np.testing.assert_allclose(simulator.position_xy[0], [3.5, 2.0], atol=1e-6)
    gap = simulator.object_poses[0, 0, 0, 3] - 0.4 - 3.5
    assert gap == pytest.approx(RADIUS, abs=0.01)
    assert simulator.object_poses[0, 0, 1, 3] == 2.0
    assert simulator.collided[0]
    simulator.reset_objects()
    np.testing.assert_array_equal(simulator.object_poses[0, 0, :3, 3], [3.0, 2.0, 0.4])
    simulator.place_ground(0, (2.0, 2.0), 0.0)
    simulator.move_ground(1.0)  # what can be pushed outlasts an episode
    assert simulator.object_poses[0, 0, 0, 3] > 3.3


def test_a_wall_stops_what_is_pushed_and_who_pushes(make):
    simulator = make()
    simulator.set_pushable(0, [CRATE])
    simulator.place_ground(0, (2.0, 2.0), 0.0)
    for _ in range(30):
        simulator.move_ground(0.25)
    crate = simulator.object_poses[0, 0, 0, 3]
    assert ROOM[0] - 0.4 - 0.11 < crate < ROOM[0] - 0.4
    assert simulator.position_xy[0, 0] == pytest.approx(crate - 0.4 - RADIUS, abs=0.02)


def test_another_object_or_agent_stops_what_is_pushed(make):
    simulator = make(agents_per_scene=2)
    simulator.set_pushable(0, [CRATE])
    simulator.set_object_pose(0, CABINET, place(5.0, 2.0, 1.0))
    simulator.place_ground([0, 1], [(2.0, 2.0), (1.0, 3.5)], 0.0)
    for _ in range(12):
        simulator.move_ground([0.25, 0.0])
    assert simulator.object_poses[0, 0, 0, 3] == pytest.approx(5.0 - 0.3 - 0.4, abs=0.01)
    simulator.reset_objects()
    simulator.place_ground([0, 1], [(2.0, 2.0), (4.0, 2.0)], 0.0)
    for _ in range(12):
        simulator.move_ground([0.25, 0.0])
    assert simulator.object_poses[0, 0, 0, 3] == pytest.approx(4.0 - RADIUS - 0.4, abs=0.02)
    np.testing.assert_array_equal(simulator.position_xy[1], [4.0, 2.0])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_pushing_never_drives_things_into_one_another(seed):
    """Whatever three agents with bodies do to two pushable objects for a while."""
    from tests.conftest import BoxRoomRenderer

    rng = np.random.default_rng(seed)
    simulator = Simulator(
        [make_box_room()], agents_per_scene=3, config=CONFIG, renderer=BoxRoomRenderer
    )
    simulator.set_pushable(0, [CRATE, CABINET])
    simulator.place_ground(range(3), [(1.5, 1.0), (4.5, 1.0), (1.5, 3.0)], rng.uniform(-3, 3, 3))
    halves = np.array([0.4 * 2**0.5, (0.3**2 + 0.5**2) ** 0.5])
    turn = rng.uniform(-0.3, 0.3, 3)
    for step in range(50):
        if step % 10 == 0:
            turn = rng.uniform(-0.3, 0.3, 3)
        simulator.move_ground(0.25, yaw_delta=turn)
        centers = simulator.object_poses[0, :, :2, 3]
        assert (centers > 0.3).all()
        assert (centers < ROOM[:2] - 0.3 + 0.02).all()
        for k, half in enumerate(([0.4, 0.4], [0.3, 0.5])):
            out = np.abs(simulator.position_xy - centers[k]) - half
            distance = np.where(
                (out > 0).all(1), np.linalg.norm(out.clip(0), axis=1), out.max(axis=1)
            )
            assert (distance > RADIUS - 0.02).all()
        apart = np.abs(centers[0] - centers[1]) - [0.7, 0.9]
        assert apart.max() > -0.01 or np.linalg.norm(centers[0] - centers[1]) > halves.sum()


def test_bodies_follow_their_agents_and_are_met_by_others(make):
    simulator = make(agents_per_scene=2, renderer="anchor")
    simulator.place_ground([0, 1], [(1.0, 1.0), (3.0, 1.0)], [0.0, np.pi / 2])
    simulator.attach_body(0, CRATE)
    simulator.attach_body(1, CABINET)
    np.testing.assert_allclose(simulator.object_poses[0, 1], place(3.0, 1.0, 1.0, np.pi / 2))
    frame = simulator.render()
    assert (frame.instance[0] == CABINET).any()
    assert not (frame.instance[1] == CRATE).any()  # it looks away
    for _ in range(10):
        simulator.move_ground([0.25, 0.0], yaw_delta=[0.0, 0.1])
    # The cabinet is a disc of half its longer side; the agent that walks has a radius of 0.18 m.
    assert simulator.position_xy[0, 0] == pytest.approx(3.0 - 0.5 - RADIUS, abs=0.01)
    assert simulator.collided.tolist() == [True, False]
    np.testing.assert_allclose(
        simulator.object_poses[0, 0, :3, 3], [*simulator.position_xy[0], 0.4]
    )
    simulator.attach_body(1, None)
    assert simulator.object_present.tolist() == [[True, False]]
    simulator.move_ground([0.25, 0.0])
    assert not simulator.collided[0]


def test_agents_of_one_scene_keep_apart_whatever_their_order(make, box_room):
    for order in ([0, 1], [1, 0]):
        simulator = make(agents_per_scene=2)
        simulator.place_ground(order, [(1.0, 1.0), (4.0, 1.0)], [0.0, np.pi])
        simulator.attach_body(0, CRATE)
        simulator.attach_body(1, CABINET)
        for _ in range(12):
            simulator.move_ground(0.25)
            apart = np.linalg.norm(np.diff(simulator.position_xy, axis=0))
            assert apart > 0.4 + RADIUS - 0.01
        assert simulator.collided.all()


def test_a_body_is_one_agents_and_ends_where_its_agent_leaves(make, box_room):
    simulator = make([box_room, box_room], scene=[0, 0])
    simulator.attach_body(0, CRATE)
    with pytest.raises(SimulatorError, match="body of agent 0"):
        simulator.attach_body(1, CRATE)
    with pytest.raises(KeyError, match="7"):
        simulator.attach_body(1, 7)
    simulator.reset_objects()
    assert simulator.object_present[0, 0]
    np.testing.assert_allclose(simulator.object_poses[0, 0, :2, 3], simulator.position_xy[0])
    simulator.place(0, box_room.start_c2w, scene=[1])
    assert simulator.object_present.tolist() == [[False, True], [True, True]]
    simulator.attach_body(1, CRATE)
    assert simulator.object_present[0, 0]
