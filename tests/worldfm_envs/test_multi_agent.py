"""Environments of several agents: PettingZoo's own tests, and what is particular to each."""

import types
import warnings

import numpy as np
import pytest
from pettingzoo.test import (
    api_test,
    max_cycles_test,
    parallel_api_test,
    parallel_seed_test,
    seed_test,
)

from worldfm_envs import coverage_v0, pursuit_v0, rendezvous_v0
from worldfm_envs.team_task import walking_distances
from worldfm_gym.errors import ActionError, ConfigError, NavigationError

MODULES = {"rendezvous": rendezvous_v0, "pursuit": pursuit_v0, "coverage": coverage_v0}
CASES = [
    *[(name, {"action_mode": mode}) for name in MODULES for mode in ("discrete", "continuous")],
    ("pursuit", {"evaders": "agents", "num_evaders": 2}),
    ("pursuit", {"action_mode": "waypoint", "num_evaders": 2}),
]
STAY, FORWARD, LEFT, RIGHT = range(4)


@pytest.fixture
def make(box_room, box_room_renderer):
    """Any of them in a box room, 16 × 16 pixels."""

    def build(name, *, kind="parallel_env", **options):
        given = {"world": box_room, "renderer": box_room_renderer, "width": 16, "height": 16}
        return getattr(MODULES[name], kind)(**{**given, **options})

    return build


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_parallel_api(make, name, options):
    parallel_api_test(make(name, **options), num_cycles=30)
    parallel_seed_test(lambda: make(name, **options), num_cycles=20)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_turn_based_api(make, name, options):
    # PettingZoo warns of every observation that is a dictionary: one entry alone is an array.
    options = {**options, "kind": "env", "observations": "teammates"}
    api_test(make(name, **options), num_cycles=30)
    seed_test(lambda: make(name, **options), num_cycles=20)


@pytest.mark.parametrize("name", MODULES)
def test_max_cycles(make, name):
    max_cycles_test(
        types.SimpleNamespace(
            parallel_env=lambda **options: make(name, **options),
            env=lambda **options: make(name, kind="env", **options),
        )
    )


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, tuple):
        for one, other in zip(a, b, strict=True):
            assert_equal(one, other)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MODULES)
def test_a_seed_settles_everything_and_episodes_differ(make, name):
    envs = make(name), make(name)
    envs[1].reset(seed=3)  # a history of its own
    envs[1].step(dict.fromkeys(envs[1].agents, FORWARD))
    firsts = []
    for seed in (7, None):
        results = [env.reset(seed=seed) for env in envs]
        assert_equal(*results)
        firsts.append(results[0][0][envs[0].agents[0]]["pose"])
        rng = np.random.default_rng(0)
        while envs[0].agents and envs[0]._cycles < 25:
            actions = {agent: int(rng.integers(4)) for agent in envs[0].agents}
            assert_equal(*[env.step(actions) for env in envs])
    assert (firsts[0] != firsts[1]).any()


def test_a_step_is_one_renderer_call_and_one_view_each(make):
    env = make("pursuit", num_agents=4, num_evaders=3, render_mode="rgb_array")
    env.reset(seed=0)
    before = env.task.simulator.renderer.calls
    env.step(dict.fromkeys(env.agents, FORWARD))
    assert env.task.simulator.renderer.calls == before + 1
    assert env.render().shape == (16, 4 * 16, 3)


def test_teammates_are_where_geometry_has_them(make):
    env = make("rendezvous", num_agents=3)
    env.reset(seed=1)
    simulator = env.task.simulator
    simulator.place_ground([0, 1, 2], [(1, 1), (3, 1), (1, 3)], [0.0, np.pi / 2, np.pi])
    observations = env.step(dict.fromkeys(env.agents, STAY))[0]
    rows = {name: seen["teammates"].reshape(-1, 5) for name, seen in observations.items()}
    expected = {
        "agent_0": [(2, 0, 0, 1, 1), (0, 2, -1, 0, 1)],
        "agent_1": [(0, 2, 0, -1, 1), (2, 2, 0, 1, 1)],
        "agent_2": [(0, 2, -1, 0, 1), (-2, 2, 0, -1, 1)],
    }
    for name, row in rows.items():
        np.testing.assert_allclose(row, expected[name], atol=1e-6)
        assert env.observation_space(name)["teammates"].contains(observations[name]["teammates"])


def test_agents_see_each_other_and_collide(make):
    env = make("rendezvous", num_agents=2, observations=("instance",), meeting_distance_m=0.1)
    env.reset(seed=1)
    simulator = env.task.simulator
    simulator.place_ground([0, 1], [(1, 1), (3, 1)], [0.0, 0.0])
    observations = env.step(dict.fromkeys(env.agents, STAY))[0]
    ids = [item.instance for item in simulator.worlds[0].objects[-2:]]
    frame = env.task.frame
    assert (frame.instance[0] == ids[1]).any()
    assert not (frame.instance == ids[0]).any()  # not its own, and the other looks away
    assert observations.keys() == {"agent_0", "agent_1"}
    for _ in range(12):
        info = env.step({"agent_0": FORWARD, "agent_1": STAY})[4]
    assert simulator.position_xy[0, 0] == pytest.approx(3 - 0.36, abs=0.01)
    assert info["agent_0"]["collisions"] > 0
    assert info["agent_1"]["collisions"] == 0


def toward(simulator, agent, xy):
    """The discrete action that leads straight to a point."""
    offset = np.subtract(xy, simulator.position_xy[agent])
    turn = np.arctan2(offset[1], offset[0]) - simulator.yaw[agent]
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    return FORWARD if abs(turn) < 0.1 else LEFT if turn > 0 else RIGHT


def test_a_rendezvous_is_paid_by_what_distances_shrink(make):
    env = make("rendezvous")
    env.reset(seed=1)
    simulator = env.task.simulator
    simulator.place_ground([0, 1, 2], [(0.5, 0.5), (5.0, 0.5), (2.0, 1.2)], 0.0)
    env.step(dict.fromkeys(env.agents, STAY))
    start = env.task.info()["mean_distance"][0]
    assert start == pytest.approx((4.5 + np.hypot(1.5, 0.7) + np.hypot(3.0, 0.7)) / 3, abs=0.05)
    total, steps = np.zeros(3), 0
    while env.agents:
        actions = {a: toward(simulator, i, (2.5, 0.8)) for i, a in enumerate(env.agents)}
        _, rewards, terminated, truncated, infos = env.step(actions)
        total += list(rewards.values())
        steps += 1
    assert all(terminated.values())
    assert not any(truncated.values())
    end = infos["agent_0"]
    assert end["success"]
    assert end["largest_distance"] < 1.0
    np.testing.assert_allclose(total, -0.01 * steps + start - end["mean_distance"] + 2.5)
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_a_scripted_evader_runs_and_is_caught_by_a_team(make):
    env = make("pursuit", catch_distance_m=0.6)
    env.reset(seed=2)
    simulator = env.task.simulator
    simulator.place_ground(range(4), [(0.5, 0.5), (0.5, 3.5), (1.0, 2.0), (2.0, 2.8)], 0.0)
    env.step(dict.fromkeys(env.agents, STAY))
    near = env.task.distance_m[0]
    for _ in range(25):
        env.step(dict.fromkeys(env.agents, STAY))
    assert env.task.distance_m[0] > near + 1.0  # it ran
    caught_at = None
    for step in range(250):
        xy = simulator.position_xy[3]
        nav = env.task.nav
        ways = [nav.shortest_path(simulator.position_xy[i], xy) if nav.is_navigable(
            simulator.position_xy[i]) and nav.is_navigable(xy) else np.array([xy, xy])
            for i in range(3)]  # fmt: skip
        actions = {a: toward(simulator, i, ways[i][1]) for i, a in enumerate(env.agents)}
        _, rewards, terminated, _, infos = env.step(actions)
        if not env.agents:
            caught_at = step
            break
    assert caught_at is not None
    assert all(terminated.values())
    assert infos["pursuer_0"]["caught"] == 1
    assert min(rewards.values()) == max(rewards.values()) > 2.0
    assert not simulator.object_present[0, -1]


def test_a_caught_evader_leaves_and_the_chase_goes_on(make):
    env = make("pursuit", num_agents=1, num_evaders=2, evaders="agents")
    env.reset(seed=0)
    assert env.possible_agents == ["pursuer_0", "evader_0", "evader_1"]
    simulator = env.task.simulator
    simulator.place_ground(range(3), [(1, 1), (1.5, 1), (5, 1)], 0.0)
    observations, rewards, terminated, _, _ = env.step(dict.fromkeys(env.agents, STAY))
    assert terminated == {"pursuer_0": False, "evader_0": True, "evader_1": False}
    assert "evader_0" in observations
    assert rewards["evader_0"] == pytest.approx(0.01 - 2.5)
    assert rewards["evader_1"] == pytest.approx(0.01)
    assert rewards["pursuer_0"] > 2.0
    assert env.agents == ["pursuer_0", "evader_1"]
    observations, *_ = env.step(dict.fromkeys(env.agents, FORWARD))
    assert observations.keys() == {"pursuer_0", "evader_1"}
    row = observations["pursuer_0"]["teammates"].reshape(-1, 5)
    assert not row[0].any()
    assert row[1, 4] == 1
    for _ in range(2):  # through where the caught one stood
        env.step(dict.fromkeys(env.agents, FORWARD))
    assert simulator.position_xy[0, 0] == pytest.approx(1.75)


def test_a_team_covers_what_its_members_see_together(make):
    env = make("coverage", coverage_goal=1.0)
    env.reset(seed=0)
    start = env.task.info()["covered_area"][0]
    total = 0.0
    for step in range(40):
        turning = FORWARD if step % 5 == 0 else LEFT
        _, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, turning))
        assert len(set(rewards.values())) == 1
        total += rewards["agent_1"]
    end = infos["agent_2"]["covered_area"]
    assert end > start
    assert total == pytest.approx(-0.4 + 0.1 * (end - start))
    assert infos["agent_0"]["coverage"] > 0.5


def test_one_renderer_draws_worlds_in_turn(box_room, box_room_renderer, make):
    from tests.conftest import make_box_room

    env = make("rendezvous", world=[box_room, make_box_room()])
    scenes = set()
    for seed in range(6):
        env.reset(seed=seed)
        scenes.add(env.task.scene)
        assert (env.task.simulator.bodies >= 0).all()
        assert env.task.simulator.object_present[env.task.scene].all()
        env.step(dict.fromkeys(env.agents, FORWARD))
    assert scenes == {0, 1}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rendezvous", {"num_agents": 1}, "two agents"),
        ("coverage", {"num_agents": 0}, "num_agents"),
        ("pursuit", {"num_evaders": 0}, "num_evaders"),
        ("pursuit", {"evaders": "wild"}, "scripted"),
        ("pursuit", {"max_cycles": 0}, "max_cycles"),
        ("coverage", {"render_mode": "ansi"}, "render_mode"),
        ("coverage", {"episodes": "rooms-val"}, "episode sets"),
    ],
)
def test_senseless_options_are_refused(make, name, options, message):
    with pytest.raises(ConfigError, match=message):
        make(name, **options)


def test_wrong_calls_are_named(make, roofless_room):
    with pytest.raises(NavigationError, match="no floor"):
        make("coverage", world=roofless_room)
    env = make("coverage")
    env.reset(seed=0)
    with pytest.raises(ActionError, match="agent_2"):
        env.step({"agent_0": 0, "agent_1": 0})
    with pytest.raises(ActionError, match="outside"):
        env.step({"agent_0": 0, "agent_1": 7, "agent_2": 0})
    assert env.task.simulator.step_count.tolist() == [0, 0, 0]
    env.close()
    with pytest.raises(Exception, match="closed"):
        env.reset()


def test_distances_from_where_no_body_fits_are_those_from_beside_it(box_room):
    nav = box_room.nav
    inside_crate, in_wall = np.array([3.0, 1.65]), np.array([0.05, 2.0])
    for xy, beside in ((inside_crate, (3.0, 1.4)), (in_wall, (0.2, 2.0))):
        assert not nav.is_navigable(xy)
        targets = np.array([[1.0, 1.0], [5.0, 1.0], [3.0, 3.5]])
        distances = walking_distances(nav, np.array([xy, xy]), targets)
        expected = nav.geodesic_field(beside).distance(targets)
        np.testing.assert_allclose(distances, [expected, expected], atol=0.15)
