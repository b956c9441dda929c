"""Actuation noise against the published distributions, and what it must not change."""

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from worldfm_envs.actions import ACTUATION_NOISES, FORWARD, LEFT, ActuationNoise, Gaussian
from worldfm_gym.errors import ConfigError

N = 20_000
SEEDS = np.arange(N, dtype=np.uint64)
OPEN = {"start_xy": (1.0, 1.0), "start_yaw": 0.0, "goal_xy": (5.0, 1.0)}


def errors(name, forward_m, yaw_delta, *, effort=1.0, step=0):
    full = np.ones(N)
    return ACTUATION_NOISES[name].errors(
        forward_m * full,
        yaw_delta * full,
        effort * full,
        episode_seed=SEEDS,
        step_count=np.full(N, step),
    )


def truncated(mean, variance, least=-np.inf):
    spread = np.sqrt(variance)
    return stats.truncnorm(max(-3.0, (least - mean) / spread), 3.0, mean, spread)


@pytest.mark.parametrize("name", list(ACTUATION_NOISES))
@pytest.mark.parametrize("forward_m", [0.25, -0.25])
def test_driving_misses_as_published(name, forward_m):
    noise, got = ACTUATION_NOISES[name], errors(name, forward_m, 0.0)
    sign = np.sign(forward_m)
    expected = [
        truncated(noise.drive_shift.mean[0], noise.drive_shift.variance[0], -0.95 * 0.25),
        truncated(noise.drive_shift.mean[1], noise.drive_shift.variance[1]),
        truncated(noise.drive_turn.mean[0], noise.drive_turn.variance[0]),
    ]
    for k, distribution in enumerate(expected):
        direction = sign if k < 2 else 1.0
        assert stats.kstest(direction * got[:, k], distribution.cdf).pvalue > 1e-3
    assert (sign * (forward_m + got[:, 0]) >= 0.05 * 0.25 - 1e-9).all()  # never the other way


@pytest.mark.parametrize("yaw_delta", [np.deg2rad(10), -np.deg2rad(10)])
def test_turning_misses_as_published(yaw_delta):
    noise, got = ACTUATION_NOISES["locobot"], errors("locobot", 0.0, yaw_delta)
    least = -0.95 * abs(yaw_delta)
    turn = truncated(noise.turn_turn.mean[0], noise.turn_turn.variance[0], least)
    assert stats.kstest(np.sign(yaw_delta) * got[:, 2], turn.cdf).pvalue > 1e-3
    shift = truncated(noise.turn_shift.mean[0], noise.turn_shift.variance[0])
    assert stats.kstest(got[:, 0], shift.cdf).pvalue > 1e-3


def test_nothing_misses_nothing_and_little_misses_little():
    assert not errors("locobot", 0.0, 0.0).any()
    np.testing.assert_allclose(
        errors("locobot", 0.25, 0.0, effort=0.1), 0.1 * errors("locobot", 0.25, 0.0)
    )


def test_steps_and_episodes_draw_anew_and_components_apart():
    first, next_step = errors("locobot", 0.25, 0.0), errors("locobot", 0.25, 0.0, step=1)
    for other in (next_step[:, 0], np.roll(first[:, 0], 1), first[:, 1], first[:, 2]):
        assert abs(np.corrcoef(first[:, 0], other)[0, 1]) < 0.03
    np.testing.assert_array_equal(first, errors("locobot", 0.25, 0.0))


def test_noise_changes_the_way_but_neither_start_nor_goal(make_env):
    exact, noisy = make_env(), make_env(actuation_noise="locobot")
    for seed in range(5):
        ours, theirs = exact.reset(seed=seed), noisy.reset(seed=seed)
        for name in ours[0]:
            np.testing.assert_array_equal(ours[0][name], theirs[0][name])
        assert ours[1] == theirs[1]
        for action in (FORWARD, LEFT, FORWARD):
            exact.step(action)
            noisy.step(action)
        away = exact.unwrapped.simulator.c2w - noisy.unwrapped.simulator.c2w
        assert 1e-3 < np.abs(away).max() < 1.0
    noisy.reset(seed=4)
    for action in (FORWARD, LEFT, FORWARD):
        noisy.step(action)
    again = exact.unwrapped.simulator.c2w - noisy.unwrapped.simulator.c2w
    np.testing.assert_array_equal(again, away)


def test_the_scale_multiplies_and_zero_is_exact(make_env):
    ends = {}
    for scale in (0.0, 0.5, 1.0):
        env = make_env(actuation_noise="locobot", actuation_noise_scale=scale)
        env.reset(seed=1, options=OPEN)
        env.step(FORWARD)
        ends[scale] = env.unwrapped.simulator.position_xy[0].copy()
    np.testing.assert_allclose(ends[0.0], (1.25, 1.0), atol=1e-12)
    half, full = ends[0.5] - ends[0.0], ends[1.0] - ends[0.0]
    assert np.linalg.norm(full) > 1e-3
    np.testing.assert_allclose(half, 0.5 * full, atol=5e-3)  # but for the arc


@pytest.mark.parametrize("mode", ["continuous", "waypoint"])
def test_other_actions_are_noisy_too(make_env, mode):
    ends = set()
    for noise in (None, "locobot"):
        env = make_env(action_mode=mode, actuation_noise=noise)
        env.reset(seed=2, options=OPEN)
        env.step(np.array([1.0, 0.1, 0.0], np.float32))
        ends.add(tuple(env.unwrapped.simulator.position_xy[0]))
    assert len(ends) == 2


def test_noise_of_ones_own(make_env):
    nothing, drift = Gaussian((0.0,), (0.0,)), Gaussian((0.0, 0.1), (0.0, 0.0))
    still = Gaussian((0.0, 0.0), (0.0, 0.0))
    noise = ActuationNoise(
        drive_shift=drift, drive_turn=nothing, turn_shift=still, turn_turn=nothing
    )
    env = make_env(actuation_noise=noise)
    env.reset(options=OPEN)
    env.step(FORWARD)
    np.testing.assert_allclose(env.unwrapped.simulator.position_xy[0], (1.25, 0.9), atol=1e-9)
    with pytest.raises(ConfigError, match="scale"):
        make_env(actuation_noise="locobot", actuation_noise_scale=-1.0)


@pytest.mark.parametrize("mode", ["discrete", "continuous", "waypoint"])
def test_vector_environments_miss_in_the_same_way(box_room, box_room_renderer, mode):
    options = {
        "num_envs": 3,
        "world": box_room,
        "renderer": box_room_renderer,
        "width": 16,
        "height": 16,
        "observations": ("pose", "collision", "velocity"),
        "action_mode": mode,
        "action_repeat": 2,
        "actuation_noise": "locobot",
        "tilt": True,
    }
    vector, single = (
        gym.make_vec("WorldFM/PointNav-v0", vectorization_mode=kind, **options)
        for kind in ("vector_entry_point", "sync")
    )
    vector.action_space.seed(0)
    for ours, theirs in zip(
        vector.reset(seed=5)[0].items(), single.reset(seed=5)[0].items(), strict=True
    ):
        np.testing.assert_array_equal(ours[1], theirs[1])
    for _ in range(12):
        actions = vector.action_space.sample()
        ours, theirs = vector.step(actions), single.step(actions)
        for name in ours[0]:
            np.testing.assert_array_equal(ours[0][name], theirs[0][name])
        for k in range(1, 4):
            np.testing.assert_array_equal(ours[k], theirs[k])
    vector.close()
    single.close()
