"""Scripted agents: how well they do, and that they only use what they say."""

import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym
from worldfm_agents.rollout import rollout
from worldfm_agents.scripted import GreedyAgent, OrbitAgent, RandomAgent, ShortestPathAgent, steer
from worldfm_envs.actions import FORWARD, LEFT, RIGHT
from worldfm_gym.camera import heading_c2w, quaternion_to_rotation
from worldfm_gym.errors import ConfigError

SMALL = {"width": 16, "height": 16, "observations": ("pointgoal", "collision")}


@pytest.fixture
def point_nav(box_room, box_room_renderer):
    return gym.make("WorldFM/PointNav-v0", world=box_room, renderer=box_room_renderer, **SMALL)


@pytest.fixture(scope="module", params=["rooms", "maze"])
def procedural(request):
    env = gym.make(
        "WorldFM/PointNav-v0",
        world=worldfm_gym.make_world(request.param, seed=1),
        renderer="anchor",
        **SMALL,
    )
    yield env
    env.close()


@pytest.mark.parametrize("sliding", [True, False])
def test_the_shortest_path_agent_always_arrives(box_room, box_room_renderer, sliding):
    env = gym.make(
        "WorldFM/PointNav-v0",
        world=box_room,
        renderer=box_room_renderer,
        sliding=sliding,
        **SMALL,
    )
    results = rollout(env, ShortestPathAgent(env), episodes=40)
    assert all(result.info["success"] for result in results)
    assert np.mean([result.info["spl"] for result in results]) > 0.97


def test_the_shortest_path_agent_arrives_in_procedural_worlds(procedural):
    results = rollout(procedural, ShortestPathAgent(procedural), episodes=20)
    assert np.mean([result.info["success"] for result in results]) >= 0.95
    assert np.mean([result.info["spl"] for result in results]) > 0.95


def test_greedy_beats_random_and_loses_to_the_shortest_path(point_nav):
    reward = {
        name: np.mean([r.total_reward for r in rollout(point_nav, agent, episodes=6)])
        for name, agent in (
            ("random", RandomAgent(point_nav.action_space)),
            ("greedy", GreedyAgent()),
            ("shortest", ShortestPathAgent(point_nav)),
        )
    }
    assert reward["random"] < reward["greedy"] <= reward["shortest"]


def test_rollouts_repeat(point_nav):
    first = rollout(point_nav, GreedyAgent(seed=1), episodes=3, seed=5)
    second = rollout(point_nav, GreedyAgent(seed=1), episodes=3, seed=5)
    assert first == second
    assert [result.seed for result in first] == [5, 6, 7]


def test_a_rollout_shows_every_frame(point_nav):
    frames = []
    results = rollout(
        point_nav,
        ShortestPathAgent(point_nav),
        episodes=2,
        on_frame=lambda observation, info: frames.append(info["distance_to_goal"]),
    )
    assert len(frames) == sum(result.steps + 1 for result in results)
    assert frames[-1] == results[-1].info["distance_to_goal"]
    assert all(result.terminated and not result.truncated for result in results)


def test_the_random_agent_stays_in_the_space_and_does_not_stop(point_nav):
    agent = RandomAgent(point_nav.action_space, seed=3)
    assert {agent.act({}, {}) for _ in range(200)} == {1, 2, 3}
    stopping = RandomAgent(point_nav.action_space, seed=3, stops=True)
    assert {stopping.act({}, {}) for _ in range(200)} == {0, 1, 2, 3}
    for size in (3, 6):
        space = gym.spaces.Box(-1, 1, (size,), np.float32)
        actions = [RandomAgent(space, seed=i).act({}, {}) for i in range(20)]
        assert all(action in space for action in actions)
        assert len({tuple(action) for action in actions}) == 20


def test_agents_say_what_they_need(point_nav):
    continuous = gym.make(
        "WorldFM/PointNav-v0", world=point_nav.unwrapped.world, action_mode="continuous", **SMALL
    )
    with pytest.raises(ConfigError, match="discrete"):
        ShortestPathAgent(continuous)
    with pytest.raises(ConfigError, match="Discrete and Box"):
        RandomAgent(gym.spaces.MultiBinary(3))
    with pytest.raises(ConfigError, match="radius_m"):
        OrbitAgent(radius_m=0.0)


@pytest.mark.parametrize(
    ("degrees", "action"),
    [
        (0, FORWARD),
        (5, FORWARD),
        (-5, FORWARD),
        (6, LEFT),
        (-6, RIGHT),
        (181, RIGHT),
        (359, FORWARD),
    ],
)
def test_steer_takes_the_shorter_turn(degrees, action):
    assert steer(np.deg2rad(degrees), tolerance=np.deg2rad(5)) == action


def test_the_orbit_keeps_its_distance_and_looks_inward(roofless_room, box_room_renderer):
    env = gym.make(
        "WorldFM/FreeCamera-v0",
        world=roofless_room,
        renderer=box_room_renderer,
        width=16,
        height=16,
        observations=("pose", "collision"),
    )
    agent = OrbitAgent(radius_m=1.5)
    observation, info = env.reset(options={"c2w": heading_c2w((1.0, 1.0, 1.25), 0.3, -0.2)})
    center, bearings = None, []
    for step in range(200):
        observation, *_, info = env.step(agent.act(observation, info))
        rotation = quaternion_to_rotation(observation["pose"][3:])
        center = agent._center if center is None else center
        offset = center - observation["pose"][:3]
        if step > 40:
            assert np.linalg.norm(offset) == pytest.approx(1.5, abs=0.1)
            assert rotation[:, 2] @ offset / np.linalg.norm(offset) > 0.99
            assert abs(rotation[2, 0]) < 0.05
        bearings.append(np.arctan2(offset[1], offset[0]))
    assert abs(np.unwrap(bearings)[-1] - bearings[0]) > 2 * np.pi


def test_a_blocked_orbit_turns_back(box_room, box_room_renderer):
    env = gym.make(
        "WorldFM/FreeCamera-v0",
        world=box_room,
        renderer=box_room_renderer,
        width=16,
        height=16,
        observations=("pose", "collision"),
    )
    agent = OrbitAgent(radius_m=1.5, center_world=(1.0, 1.0, 1.25))
    observation, info = env.reset(options={"c2w": heading_c2w((2.5, 1.0, 1.25), np.pi)})
    turned_back, before = 0, agent._speed
    for _ in range(200):
        observation, *_, info = env.step(agent.act(observation, info))
        turned_back += agent._speed != before
        before = agent._speed
    assert 2 <= turned_back < 100
