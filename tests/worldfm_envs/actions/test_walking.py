"""Repeated and tilted motions: what one step does several times, and looking up and down."""

import numpy as np
import pytest

from worldfm_envs.actions import FORWARD, LEFT, LOOK_DOWN, LOOK_UP, RIGHT, STOP
from worldfm_gym.errors import ActionError, ConfigError
from worldfm_gym.motion import heading_of

OPEN = {"start_xy": (0.6, 0.8), "start_yaw": 0.0, "goal_xy": (5.0, 1.0)}


def pitch(env):
    return float(heading_of(env.unwrapped.simulator.c2w)[1][0])


def test_a_repeated_action_is_the_action_several_times(make_env):
    often, once = make_env(action_repeat=3), make_env()
    often.reset(options=OPEN)
    once.reset(options=OPEN)
    total = 0.0
    for action in (FORWARD, LEFT, FORWARD):
        reward = often.step(action)[1]
        for _ in range(3):
            total += once.step(action)[1] + 0.01
        assert often.unwrapped.simulator.time_s[0] == once.unwrapped.simulator.time_s[0]
    np.testing.assert_array_equal(often.unwrapped.simulator.c2w, once.unwrapped.simulator.c2w)
    info = often.step(RIGHT)[4]
    assert info["path_length"] == pytest.approx(6 * 0.25)
    assert often.unwrapped.task.metrics.start_distance_m[0] - info[
        "distance_to_goal"
    ] == pytest.approx(total, abs=1e-9)
    assert reward < total


def test_who_meets_something_stands_still_for_the_rest(make_env):
    env = make_env(action_repeat=8, sliding=False)
    env.reset(options={**OPEN, "start_yaw": -np.pi / 2})
    observation, *_, info = env.step(FORWARD)
    assert observation["collision"][0] == 1.0
    assert info["collisions"] == 1
    assert info["path_length"] == pytest.approx(0.8 - 0.18, abs=0.06)
    sliding = make_env(action_repeat=8)
    sliding.reset(options={**OPEN, "start_yaw": -1.2})
    sliding.step(FORWARD)
    # Along the wall it slides for the step of the contact only, not for all that are left.
    assert sliding.unwrapped.simulator.position_xy[0, 0] < 0.6 + 4 * 0.25 * np.cos(1.2) + 0.02


def test_stopping_never_moves(make_env):
    for mode, action in (
        ("discrete", STOP),
        ("continuous", np.array([1, 1, 1], np.float32)),
        ("waypoint", np.array([1, 1, 1], np.float32)),
    ):
        env = make_env(action_mode=mode, action_repeat=2, actuation_noise="locobot")
        env.reset(options=OPEN)
        before = env.unwrapped.simulator.c2w.copy()
        assert env.step(action)[2]
        np.testing.assert_allclose(env.unwrapped.simulator.c2w, before, atol=1e-12)


def test_discrete_tilt_looks_up_and_down(make_env):
    env = make_env(tilt=True, tilt_step_deg=20.0)
    assert env.action_space.n == 6
    env.reset(options=OPEN)
    env.step(LOOK_UP)
    assert pitch(env) == pytest.approx(np.deg2rad(20))
    env.step(FORWARD)
    assert pitch(env) == pytest.approx(np.deg2rad(20))
    for _ in range(2):
        env.step(LOOK_DOWN)
    assert pitch(env) == pytest.approx(-np.deg2rad(20))
    with pytest.raises(ActionError, match="5 look down"):
        env.step(6)
    level = make_env()
    level.reset(seed=0)
    with pytest.raises(ActionError, match="outside Discrete"):
        level.step(LOOK_UP)


@pytest.mark.parametrize("mode", ["continuous", "waypoint"])
def test_other_actions_tilt_by_a_fourth_component(make_env, mode):
    env = make_env(action_mode=mode, tilt=True)
    assert env.action_space.shape == (4,)
    env.reset(options=OPEN)
    env.step(np.array([-1, 0, 0, 0.5], np.float32))
    assert pitch(env) == pytest.approx(np.deg2rad(7.5), abs=1e-6)
    with pytest.raises(ActionError, match="tilt up"):
        env.step(np.zeros(3, np.float32))


def test_a_flying_camera_repeats_too(make_env):
    often = make_env("WorldFM/FreeCamera-v0", action_repeat=4)
    once = make_env("WorldFM/FreeCamera-v0")
    c2w = often.reset(seed=0) and often.unwrapped.simulator.c2w[0].copy()
    once.reset(options={"c2w": c2w})
    action = np.array([0.2, 0.0, -0.3, 0.0, 0.5, 0.1], np.float32)
    often.step(action)
    for _ in range(4):
        once.step(action)
    np.testing.assert_allclose(
        often.unwrapped.simulator.c2w, once.unwrapped.simulator.c2w, atol=1e-12
    )


@pytest.mark.parametrize(
    "kwargs",
    [
        {"action_repeat": 0},
        {"actuation_noise": "drunk"},
        {"forward_step_m": 0.0},
        {"tilt_step_deg": -1.0},
        {"max_waypoint_m": 0.0},
    ],
)
def test_senseless_options_are_refused(make_env, kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        make_env(**kwargs)
    if "action_repeat" in kwargs:
        with pytest.raises(ConfigError, match="action_repeat"):
            make_env("WorldFM/FreeCamera-v0", **kwargs)
