"""Simulator: batching, collision, objects in motion, exact restore, replacing worlds."""

import io
import json

import numpy as np
import pytest

from worldfm_gym.camera import check_rigid, heading_c2w
from worldfm_gym.errors import CameraError, NavigationError, SimulatorError
from worldfm_gym.simulator import Simulator, SimulatorConfig, SimulatorState

CONFIG = SimulatorConfig(width=32, height=24)
CRATE, CABINET = 1, 2


@pytest.fixture
def make(box_room, box_room_renderer):
    def build(worlds=None, **kwargs):
        kwargs.setdefault("config", CONFIG)
        kwargs.setdefault("renderer", box_room_renderer)
        return Simulator([box_room] if worlds is None else worlds, **kwargs)

    return build


def lifted(time_s):
    """A pose that rises by half a metre a second."""
    pose = np.eye(4)
    pose[:3, 3] = 3.0, 2.0, 0.4 + 0.5 * time_s
    return pose


def drive(simulator, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        simulator.move_ground(
            rng.uniform(-0.3, 0.5, simulator.num_agents),
            strafe_m=rng.uniform(-0.2, 0.2, simulator.num_agents),
            yaw_delta=rng.uniform(-0.6, 0.6, simulator.num_agents),
            pitch_delta=rng.uniform(-0.1, 0.1, simulator.num_agents),
        )


def test_agents_start_at_the_start_pose(make, box_room):
    simulator = make()
    np.testing.assert_array_equal(simulator.c2w[0], box_room.start_c2w)
    assert simulator.num_agents == simulator.num_scenes == 1


def test_a_batch_moves_each_agent_as_if_it_were_alone(make, box_room):
    starts = [((1.0, 1.0), 0.2), ((5.0, 1.0), 2.0), ((1.0, 3.5), -1.0), ((2.0, 2.0), 0.0)]
    batch = make([box_room, box_room], agents_per_scene=2)
    batch.place_ground(range(4), [xy for xy, _ in starts], [yaw for _, yaw in starts])
    alone = []
    for xy, yaw in starts:
        single = make()
        single.place_ground(0, xy, yaw)
        alone.append(single)
    rng = np.random.default_rng(0)
    for _ in range(60):
        forward, turn = rng.uniform(-0.2, 0.4, 4), rng.uniform(-0.5, 0.5, 4)
        batch.move_ground(forward, yaw_delta=turn)
        for i, single in enumerate(alone):
            single.move_ground(forward[i], yaw_delta=turn[i])
            np.testing.assert_array_equal(batch.c2w[i], single.c2w[0])
            assert batch.collided[i] == single.collided[0]
    assert batch.step_count.tolist() == [60] * 4


def test_agents_of_one_scene_need_not_be_neighbors(make, box_room, roofless_room):
    simulator = make([box_room, roofless_room], scene=[0, 1, 0])
    simulator.move_free([0, 0, 1, 0, 0, 0], 1.0)
    walkable, free = simulator.c2w[[0, 2], :3, 3], simulator.c2w[1, :3, 3]
    np.testing.assert_allclose(walkable, [[2.0, 1.0, 1.25]] * 2)
    np.testing.assert_allclose(free, [2.0, 1.0, 1.25])


@pytest.mark.parametrize("sliding", [True, False])
def test_walls_and_objects_stop_a_walk(make, box_room, sliding):
    simulator = make(config=SimulatorConfig(width=8, height=8, sliding=sliding))
    simulator.place_ground(0, (1.0, 1.0), 0.7)
    rng = np.random.default_rng(0)
    collisions = 0
    for _ in range(300):
        simulator.move_ground(0.25, yaw_delta=rng.choice([-0.2, 0.0, 0.0, 0.2]))
        assert box_room.nav.is_navigable(simulator.position_xy).all()
        assert simulator.c2w[0, 2, 3] == pytest.approx(1.25)
        collisions += simulator.collided[0]
    assert collisions > 20


def test_sliding_keeps_moving_where_stopping_does_not(make):
    ends = {}
    for sliding in (True, False):
        simulator = make(config=SimulatorConfig(width=8, height=8, sliding=sliding))
        simulator.place_ground(0, (1.0, 0.5), -0.6)
        for _ in range(8):
            simulator.move_ground(0.25)
        ends[sliding] = simulator.position_xy[0].copy()
    assert ends[True][0] > ends[False][0] + 0.5


def test_a_free_camera_stops_at_the_ceiling(make):
    simulator = make()
    for _ in range(40):
        simulator.move_free([0, -1, 0, 0, 0, 0], 0.1)
    assert simulator.collided[0]
    assert 2.3 < simulator.c2w[0, 2, 3] < 2.6


def test_a_free_camera_flies_anywhere_without_a_map(make, roofless_room):
    simulator = make([roofless_room])
    for _ in range(100):
        simulator.move_free([0, -1, 0, 0, 0.5, 0], 0.1)
    assert simulator.c2w[0, 2, 3] == pytest.approx(1.25 + 10.0)
    assert not simulator.collided[0]
    check_rigid(simulator.c2w, tolerance=1e-12)


def test_walking_without_a_map_says_why_and_moves_nothing(make, roofless_room):
    simulator = make([roofless_room])
    with pytest.raises(NavigationError, match="no floor was found"):
        simulator.move_ground(0.25)
    assert simulator.step_count[0] == 0
    assert simulator.time_s[0] == 0


def test_one_renderer_call_draws_all_agents(make, box_room):
    simulator = make([box_room, box_room], agents_per_scene=3)
    frame = simulator.render()
    assert frame.rgb.shape == (6, 24, 32, 3)
    assert frame.depth.shape == (6, 24, 32)
    assert simulator.renderer.calls == 1
    before = frame.camera.c2w.copy()
    simulator.move_ground(0.25)
    np.testing.assert_array_equal(frame.camera.c2w, before)


def test_some_agents_are_drawn_as_they_are_among_all(make, box_room):
    simulator = make([box_room, box_room], agents_per_scene=2, renderer="anchor")
    simulator.place_ground(range(4), [(1, 1), (5, 1), (1, 3), (2, 2)], [0.0, 2.0, -1.0, 0.5])
    everyone, some = simulator.render(), simulator.render([3, 1])
    np.testing.assert_array_equal(some.rgb, everyone.rgb[[3, 1]])
    np.testing.assert_array_equal(some.depth, everyone.depth[[3, 1]])
    np.testing.assert_array_equal(some.camera.c2w, simulator.c2w[[3, 1]])


def test_other_places_are_drawn_as_if_an_agent_stood_there(make, box_room):
    simulator = make([box_room, box_room], renderer="anchor")
    simulator.set_object_pose(1, CRATE, lifted(2.0))
    before = simulator.state()
    elsewhere = heading_c2w([(1.0, 2.0, 1.25), (5.0, 1.0, 1.0), (2.0, 1.0, 1.5)], 0.3)
    frame = simulator.render_at(elsewhere, [1, 0, 1])
    for name, array in simulator.state().arrays().items():
        np.testing.assert_array_equal(array, before.arrays()[name])
    for i, scene in enumerate([1, 0, 1]):
        simulator.place([scene], elsewhere[i : i + 1])
        np.testing.assert_array_equal(simulator.render([scene]).rgb[0], frame.rgb[i])
    with pytest.raises(SimulatorError, match=r"\[M, 4, 4\]"):
        simulator.render_at(elsewhere, [0])


@pytest.mark.parametrize("agents", [[], [2], [-1], [True, False], [0.0], 0])
def test_agents_to_draw_must_exist(make, agents):
    with pytest.raises(SimulatorError, match="agents"):
        make(agents_per_scene=2).render(agents)


def test_rendered_depth_is_the_distance_walked_to_the_wall(make):
    simulator = make()
    simulator.place_ground(0, (1.0, 3.0), np.pi)  # faces the wall x = 0
    centre = (0, 12, 16)
    assert simulator.render().depth[centre] == pytest.approx(1.0, abs=1e-5)
    simulator.move_ground(0.4)
    assert simulator.render().depth[centre] == pytest.approx(0.6, abs=1e-5)


def test_moving_objects_are_drawn_and_block_where_they_are(make, box_room):
    simulator = make()
    simulator.place_ground(0, (1.0, 1.0), 0.0)
    pose = np.eye(4)
    pose[:3, 3] = 2.0, 1.0, 0.4
    simulator.set_object_pose(0, CRATE, pose)
    simulator.move_ground(1.0)
    assert simulator.collided[0]
    assert simulator.position_xy[0, 0] == pytest.approx(2.0 - 0.4 - 0.18, abs=0.03)
    simulator.place_ground(0, (1.0, 2.0), 0.0)  # where the crate was, nothing is in the way now
    simulator.move_ground(2.5)
    assert not simulator.collided[0]
    np.testing.assert_array_equal(box_room.object(CRATE).pose[:3, 3], [3.0, 2.0, 0.4])


def test_object_motion_runs_on_the_clock_of_the_scene(make):
    simulator = make()
    simulator.set_object_motion(0, {CRATE: lifted})
    for step in range(1, 5):
        simulator.move_ground(0.0)
        np.testing.assert_array_equal(simulator.object_poses[0, 0], lifted(0.25 * step))
    simulator.reset_objects()
    assert simulator.time_s[0] == 0
    np.testing.assert_array_equal(simulator.object_poses[0, 0], lifted(0.0))


def test_a_whole_scene_can_move(make, box_room):
    def motion(scene, time_s):
        poses = np.stack([item.pose for item in box_room.objects])
        poses[:, 2, 3] += time_s + scene
        return poses

    simulator = make([box_room, box_room])
    simulator.set_object_motion(1, motion)
    simulator.move_free(np.zeros(6), 0.5)
    np.testing.assert_allclose(simulator.object_poses[0, :, 2, 3], [0.4, 1.0])
    np.testing.assert_allclose(simulator.object_poses[1, :, 2, 3], [1.9, 2.5])


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        (lambda scene, time_s: np.eye(4), r"\(2, 4, 4\)"),
        (lambda scene, time_s: np.full((2, 4, 4), np.nan), "NaN"),
    ],
)
def test_bad_object_motion_is_refused(make, motion, message):
    with pytest.raises(SimulatorError, match=message):
        make().set_object_motion(0, motion)


def test_motion_of_an_unknown_object_is_refused(make):
    with pytest.raises(KeyError, match="no object with instance id 9"):
        make().set_object_motion(0, {9: lifted})


def test_a_state_restores_exactly_through_npz_and_json(make, box_room):
    worlds = [box_room, box_room]
    simulator = make(worlds, agents_per_scene=2)
    simulator.set_object_motion(0, {CRATE: lifted})
    drive(simulator, 7, seed=1)
    file = io.BytesIO()
    np.savez(file, **simulator.state().arrays())
    text = json.dumps({name: array.tolist() for name, array in simulator.state().arrays().items()})
    drive(simulator, 20, seed=2)
    expected = simulator.state()

    file.seek(0)
    from_npz = SimulatorState(**np.load(file))
    shapes = simulator.state().arrays()
    from_json = SimulatorState(
        **{
            k: np.array(v, shapes[k].dtype).reshape(shapes[k].shape)
            for k, v in json.loads(text).items()
        }
    )
    for saved in (from_npz, from_json):
        other = make(worlds, agents_per_scene=2)
        other.set_object_motion(0, {CRATE: lifted})
        other.set_state(saved)
        drive(other, 20, seed=2)
        for name, array in other.state().arrays().items():
            np.testing.assert_array_equal(array, expected.arrays()[name], err_msg=name)
        np.testing.assert_array_equal(other.render().rgb, simulator.render().rgb)


def test_a_restored_state_blocks_where_the_objects_are(make):
    simulator = make()
    pose = np.eye(4)
    pose[:3, 3] = 2.0, 1.0, 0.4
    simulator.set_object_pose(0, CRATE, pose)
    state = simulator.state()
    simulator.reset_objects()
    simulator.set_state(state)
    simulator.move_ground(1.0)
    assert simulator.collided[0]


def test_a_state_is_a_copy(make):
    simulator = make()
    state = simulator.state()
    simulator.move_ground(0.25)
    assert state.c2w[0, 0, 3] == 1.0
    simulator.set_state(state)
    simulator.move_ground(0.25)
    assert state.c2w[0, 0, 3] == 1.0


def test_a_state_of_another_shape_is_refused(make, box_room):
    simulator = make()
    with pytest.raises(SimulatorError, match=r"c2w of this state has shape \(3, 4, 4\)"):
        simulator.set_state(make([box_room], agents_per_scene=3).state())


def test_a_world_is_replaced_in_place(make, box_room, roofless_room):
    roofless_room.objects = roofless_room.objects[:1]
    simulator = make([box_room, roofless_room], agents_per_scene=2)
    simulator.set_object_pose(0, CRATE, lifted(1.0))
    simulator.set_object_motion(1, {CRATE: lifted})
    drive_free = np.array([0, 0, 1, 0, 0, 0])
    simulator.move_free(drive_free, 0.5)
    simulator.set_world(1, box_room)
    assert simulator.renderer.worlds[1] is box_room
    np.testing.assert_array_equal(simulator.c2w[2:], [box_room.start_c2w] * 2)
    np.testing.assert_array_equal(simulator.object_poses[0, 0], lifted(1.0))
    assert simulator.objects.instances.tolist() == [[CRATE, CABINET]] * 2
    assert simulator.time_s.tolist() == [0.5, 0.0]
    simulator.move_ground(0.25)
    np.testing.assert_array_equal(simulator.object_poses[1, 0], box_room.objects[0].pose)


def test_a_ready_made_renderer_can_not_follow_a_new_world(
    make, box_room, roofless_room, box_room_renderer
):
    simulator = make(renderer=box_room_renderer([box_room]))
    with pytest.raises(SimulatorError, match="built for 1 other world"):
        simulator.set_world(0, roofless_room)
    assert simulator.worlds == [box_room]


def test_agents_can_change_scenes(make, box_room, roofless_room):
    simulator = make([box_room, roofless_room], scene=[0])
    simulator.place([0], heading_c2w((1.0, 1.0, 1.0), 0.0), scene=[1])
    with pytest.raises(NavigationError):
        simulator.move_ground(0.1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"worlds": []}, "at least one world"),
        ({"scene": [1]}, "0…0"),
        ({"scene": [-1]}, "0…0"),
        ({"scene": []}, "at least one agent"),
        ({"agents_per_scene": 0}, "at least one agent"),
    ],
)
def test_impossible_set_ups_are_refused(make, kwargs, message):
    with pytest.raises(SimulatorError, match=message):
        make(**kwargs)


def test_a_pose_that_is_not_rigid_is_refused(make):
    with pytest.raises(CameraError, match="not rigid"):
        make().place(0, np.diag([2.0, 1, 1, 1]))


def test_the_anchor_renderer_plugs_in(box_room):
    simulator = Simulator([box_room], config=CONFIG)
    first, second = simulator.render(), simulator.render()
    assert first.depth.dtype == np.float32
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert not np.shares_memory(first.rgb, second.rgb)
    assert first.depth[0, 12, 16] == pytest.approx(5.0, abs=0.05)


def test_an_agent_that_a_state_brings_to_another_scene_leaves_its_body(box_room):
    simulator = Simulator([box_room, box_room], config=CONFIG)
    before = simulator.state()
    simulator.place_ground([0], (1.0, 1.0), 0.0, scene=[1])
    simulator.attach_body(0, 1)
    simulator.set_state(before)
    assert simulator.bodies.tolist() == [-1, -1]
    home = simulator.object_poses.copy()
    simulator.move_ground(0.2)
    np.testing.assert_array_equal(simulator.object_poses, home)
