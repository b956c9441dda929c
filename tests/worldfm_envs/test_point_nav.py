"""Point-goal navigation: reward, success, SPL and episodes against their definitions."""

import gymnasium as gym
import numpy as np
import pytest

from worldfm_envs.actions import FORWARD, LEFT, RIGHT, STOP
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.worlds.world import World

STRAIGHT = {"start_xy": (1.0, 1.0), "start_yaw": 0.0, "goal_xy": (2.1, 1.0)}


def test_walking_straight_to_the_goal_is_perfect(make_env):
    env = make_env()
    observation, info = env.reset(options=STRAIGHT)
    np.testing.assert_allclose(observation["pointgoal"], (1.1, 0.0), atol=1e-6)
    assert info["distance_to_goal"] == pytest.approx(1.1, rel=0.02)
    rewards = []
    for _ in range(4):
        observation, reward, terminated, _, info = env.step(FORWARD)
        rewards.append(reward)
        assert not terminated
        assert info["success"] is False
        assert info["spl"] == 0.0
    assert sum(rewards) == pytest.approx(1.0 - 4 * 0.01, abs=0.02)
    assert info["path_length"] == pytest.approx(1.0)
    _, reward, terminated, _, info = env.step(STOP)
    assert terminated
    assert reward == pytest.approx(2.5 - 0.01)
    assert info["success"] is True
    assert info["spl"] == pytest.approx(1.0)
    assert info["soft_spl"] == pytest.approx(1.0 - 0.1 / 1.1, abs=0.01)


def test_spl_is_the_share_of_the_way_that_was_needed(make_env):
    env = make_env()
    env.reset(options=STRAIGHT)
    back_and_forth = [*[LEFT] * 18, FORWARD, FORWARD, *[LEFT] * 18, *[FORWARD] * 6]
    for action in back_and_forth:
        env.step(action)
    info = env.step(STOP)[4]
    assert info["path_length"] == pytest.approx(2.0)
    assert info["spl"] == pytest.approx(1.1 / 2.0, abs=0.02)


def test_stopping_too_far_away_ends_without_success(make_env):
    env = make_env()
    env.reset(options=STRAIGHT)
    _, reward, terminated, _, info = env.step(STOP)
    assert terminated
    assert reward == pytest.approx(-0.01)
    assert (info["success"], info["spl"], info["soft_spl"]) == (False, 0.0, 0.0)
    with pytest.raises(gym.error.ResetNeeded, match="episode ended"):
        env.step(FORWARD)


def test_the_way_around_an_object_is_longer_than_the_air_line(make_env):
    env = make_env()
    _, info = env.reset(options={"start_xy": (1.5, 2.0), "start_yaw": 0.0, "goal_xy": (4.5, 2.0)})
    # Around the crate's corners with a body of 0.18 m: no shorter than touching them.
    assert info["distance_to_goal"] > 2 * np.hypot(1.1, 0.4)
    for _ in range(6):
        observation, *_, info = env.step(FORWARD)
    assert info["collisions"] >= 1
    assert observation["collision"][0] == 1.0


def test_pointgoal_is_positive_to_the_left(make_env):
    env = make_env(observations=("pointgoal",))
    options = {"start_xy": (1.0, 1.0), "start_yaw": np.pi / 2, "goal_xy": (1.0, 3.0)}
    env.reset(options=options)
    left = env.step(RIGHT)[0]["pointgoal"]
    np.testing.assert_allclose(left, (2.0, np.deg2rad(10)), atol=1e-5)
    env.step(LEFT)
    np.testing.assert_allclose(env.step(LEFT)[0]["pointgoal"], (2.0, -np.deg2rad(10)), atol=1e-5)


def test_a_full_continuous_step_equals_a_discrete_one(make_env):
    ends = []
    for mode, actions in (
        ("discrete", [FORWARD, LEFT, FORWARD, RIGHT]),
        ("continuous", [(1, 0, -1), (0, 1, 0), (1, 0, 0.9), (0, -1, 0)]),
    ):
        env = make_env(action_mode=mode)
        env.reset(options=STRAIGHT)
        for action in actions:
            env.step(action if mode == "discrete" else np.array(action, np.float32))
        ends.append(env.unwrapped.simulator.c2w.copy())
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


def test_a_continuous_stop_does_not_move(make_env):
    env = make_env(action_mode="continuous")
    env.reset(options=STRAIGHT)
    _, _, terminated, _, info = env.step(np.array([1.0, 1.0, 0.95], np.float32))
    assert terminated
    assert info["path_length"] == 0.0


def test_episodes_lie_in_the_distance_range_and_on_free_floor(make_env, box_room):
    env = make_env(goal_distance_m=(2.0, 4.0), observations=("pointgoal",))
    starts = set()
    for seed in range(40):
        observation, info = env.reset(seed=seed)
        task = env.unwrapped.task
        assert 2.0 <= info["distance_to_goal"] <= 4.0
        assert observation["pointgoal"][0] <= info["distance_to_goal"] + 0.03
        assert box_room.nav.is_navigable(task.goal_xy).all()
        starts.add(tuple(task.simulator.position_xy[0]))
    assert len(starts) == 40


def test_what_reset_fixes_is_kept_and_the_rest_is_drawn(make_env):
    env = make_env(observations=("pointgoal",))
    env.reset(seed=1, options={"goal_xy": (1.0, 1.0)})
    np.testing.assert_array_equal(env.unwrapped.task.goal_xy, [[1.0, 1.0]])
    env.reset(seed=1, options={"start_xy": (1.0, 1.0), "start_yaw": 0.5})
    assert env.unwrapped.simulator.yaw[0] == pytest.approx(0.5)
    np.testing.assert_allclose(env.unwrapped.simulator.position_xy, [[1.0, 1.0]])


@pytest.mark.parametrize(
    "options",
    [
        {"start_xy": (1.0, 1.0, 0.0)},
        {"goal_xy": (np.nan, 1.0)},
        {"goal_xy": "kitchen"},
        {"start_yaw": (0.0, 1.0)},
    ],
)
def test_misshapen_reset_options_are_refused(make_env, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        make_env().reset(options=options)


def test_a_goal_in_a_wall_is_refused(make_env):
    with pytest.raises(NavigationError):
        make_env().reset(options={"goal_xy": (0.0, 0.0)})


def test_a_range_that_no_world_offers_is_an_error(make_env):
    env = make_env(goal_distance_m=(50.0, 60.0))
    with pytest.raises(NavigationError, match="widen goal_distance_m"):
        env.reset(seed=0)


def test_a_world_without_a_floor_says_so_when_made(make_env, roofless_room):
    with pytest.raises(NavigationError, match="no floor was found"):
        make_env(world=roofless_room)


def test_moving_objects_are_felt(make_env):
    def approaching(time_s):
        pose = np.eye(4)
        pose[:3, 3] = 3.0 - time_s, 1.0, 0.4
        return pose

    env = make_env(object_motion={1: approaching})
    env.reset(options=STRAIGHT)
    infos = [env.step(FORWARD)[4] for _ in range(6)]
    assert infos[-1]["collisions"] > 0


def test_the_body_can_be_chosen(make_env):
    env = make_env(agent_radius_m=0.3, agent_height_m=1.0)
    assert env.unwrapped.world.nav.body.radius_m == 0.3
    assert env.unwrapped.world.nav.body.height_m == 1.0


@pytest.mark.parametrize(
    "kwargs",
    [
        {"action_mode": "teleport"},
        {"goal_distance_m": (5.0, 1.0)},
        {"goal_distance_m": (-1.0, 1.0)},
        {"success_distance_m": 0.0},
    ],
)
def test_senseless_rules_are_refused(make_env, kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        make_env(**kwargs)


def test_a_list_of_worlds_is_visited_at_random(make_env, box_room):
    other = World(**{n: getattr(box_room, n) for n in ("anchor", "references", "objects", "nav")},
                  nav_problem=None, start_c2w=box_room.start_c2w)  # fmt: skip
    env = make_env(world=[box_room, other], observations=("pointgoal",))
    visits = []
    for seed in range(12):
        env.reset(seed=seed)
        visits.append(env.unwrapped.world is other)
    assert 0 < sum(visits) < 12
    env.reset(seed=5)
    assert (env.unwrapped.world is other) == visits[5]
