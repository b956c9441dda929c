"""Sensors and noise as environments offer them."""

import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env as gymnasium_check

import worldfm_gym
from worldfm_envs.appearance import AppearanceConfig
from worldfm_envs.rgb_noise import GaussianRgbNoise
from worldfm_envs.sensors import SENSORS, make_sensors
from worldfm_gym.errors import ConfigError

assert worldfm_gym.__version__
IDS = sorted(name for name in gym.registry if name.startswith("WorldFM/"))
NOISY = {"rgb_noise": "speckle", "depth_noise": "redwood"}


def offered(env_id):
    """Names of all sensors whose goals the task of an id has."""
    config = gym.envs.registration.load_env_creator(gym.registry[env_id].entry_point).Config()
    return [
        name
        for name, make in SENSORS.items()
        if set(getattr(make(config), "requires", ())) <= set(config.GOALS)
    ]


@pytest.mark.parametrize("env_id", IDS)
def test_checkers_say_nothing_of_any_sensor(make_env, env_id):
    from stable_baselines3.common.env_checker import check_env

    env = make_env(env_id, observations=offered(env_id), **NOISY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check(env.unwrapped, skip_render_check=True)
        check_env(env)


def test_every_sensor_is_offered_somewhere():
    assert set().union(*map(offered, IDS)) == set(SENSORS)


def test_every_sensor_describes_itself():
    config = gym.envs.registration.load_env_creator("worldfm_envs.point_nav:PointNavEnv").Config()
    lines = [(type(make(config)).__doc__ or "").splitlines()[0] for make in SENSORS.values()]
    assert all(len(line) > 20 and line[-1] in ".;" for line in lines), lines
    assert len(set(lines)) == len(SENSORS)


def test_a_sensor_without_its_goal_is_refused(make_env):
    with pytest.raises(ConfigError, match="goal_rgb"):
        make_env("WorldFM/FreeCamera-v0", observations=("rgb", "imagegoal"))


@pytest.mark.parametrize(
    "bad", [{"rgb_noise": "rain"}, {"depth_noise": "fog"}, {"map_size": 0}, {"lidar_beams": -1}]
)
def test_senseless_options_are_refused(make_env, bad):
    with pytest.raises(ConfigError):
        make_env(observations=("rgb", "depth", "top_down", "lidar"), **bad)


def test_noise_falls_on_the_observation_and_on_nothing_else(make_env):
    plain, noisy = make_env(), make_env(**NOISY)
    for seed in (0, None):
        (here, info), (there, noisy_info) = plain.reset(seed=seed), noisy.reset(seed=seed)
        for action in (1, 2, 1):
            assert info == noisy_info
            assert (here["rgb"] != there["rgb"]).any()
            assert (here["depth"] != there["depth"]).any()
            np.testing.assert_array_equal(here["pointgoal"], there["pointgoal"])
            frame = noisy.unwrapped.task.frame
            np.testing.assert_array_equal(frame.rgb[0], here["rgb"])
            here, *outcome = plain.step(action)
            there, *noisy_outcome = noisy.step(action)
            assert outcome == noisy_outcome
            info = noisy_info = outcome[-1]


def test_noise_differs_from_step_to_step_and_comes_back_with_the_state(make_env):
    env = make_env(**NOISY).unwrapped
    env.reset(seed=0)
    env.step(2)
    state = env.simulator.state()
    before = env.task.observe()
    env.step(2)
    env.step(3)  # back where it was, two steps later
    np.testing.assert_allclose(env.simulator.c2w, state.c2w, atol=1e-12)
    later = env.task.observe()
    assert (before["rgb"] != later["rgb"]).mean() > 0.1
    env.simulator.set_state(state)
    again = env.task.observe()
    for name in ("rgb", "depth"):
        np.testing.assert_array_equal(again[name], before[name])


def test_noise_can_be_of_your_own_strength(make_env):
    def spread(std):
        env = make_env(rgb_noise=GaussianRgbNoise(std=std))
        noisy = env.reset(seed=0)[0]["rgb"].astype(float)
        clean = env.unwrapped.task.frame.rgb[0]
        middling = (clean > 80) & (clean < 170)
        return (noisy - clean)[middling].std()

    assert spread(0.02) == pytest.approx(5.1, rel=0.1)
    assert spread(0.06) == pytest.approx(15.3, rel=0.1)


def test_sensors_of_your_own_can_be_mixed_in(make_env):
    class Clock:
        """Steps since the start."""

        space = gym.spaces.Box(0.0, np.inf, (1,), np.float32)

        def read(self, source):
            return source.step_count.astype(np.float32)[:, None]

    env = make_env(observations={"clock": Clock(), "seen": "semantic"})
    env.reset(seed=0)
    observation = env.step(1)[0]
    assert observation["clock"].tolist() == [1.0]
    assert observation["seen"].shape == (40, 40, 1)
    assert list(make_sensors(env.unwrapped.config)) == ["clock", "seen"]


@pytest.mark.parametrize("env_id", IDS)
def test_every_sensor_reads_alike_where_frames_are_tensors(box_room, box_room_renderer, env_id):
    """All of them at once, in a vector environment, with noise and other colors."""

    class InTorch:
        """Box rooms drawn into tensors, as on a GPU."""

        def __init__(self, worlds):
            self._drawn = box_room_renderer(worlds)
            self.worlds = self._drawn.worlds

        def render(self, *args, **kwargs):
            frame = self._drawn.render(*args, **kwargs)
            names = ("rgb", "depth", "instance", "provenance")
            return replace(frame, **{n: torch.from_numpy(getattr(frame, n)) for n in names})

    kwargs = {"num_envs": 2, "vectorization_mode": "vector_entry_point", "max_episode_steps": 3}
    kwargs |= {"world": box_room, "width": 40, "height": 40, "observations": offered(env_id)}
    kwargs |= {"appearance": AppearanceConfig(), **NOISY}
    here = gym.make_vec(env_id, renderer=box_room_renderer, **kwargs)
    there = gym.make_vec(env_id, renderer=InTorch, output="torch", **kwargs)
    here.action_space.seed(0)
    first, second = here.reset(seed=1)[0], there.reset(seed=1)[0]
    for _ in range(5):
        for name, value in first.items():
            assert second[name].shape == value.shape
            off = np.abs(second[name].numpy().astype(np.float64) - value)
            # A level of an image may be rounded the other way, but little else may differ.
            assert (off > (1.01 if value.dtype == np.uint8 else 1e-4)).mean() < 1e-3, name
        actions = here.action_space.sample()
        first, second = here.step(actions)[0], there.step(actions)[0]
