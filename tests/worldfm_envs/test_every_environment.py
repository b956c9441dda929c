"""What holds for every registered id: checkers without a warning, order of calls, bad input."""

import inspect
import os
import subprocess
import sys
import warnings
from dataclasses import fields

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils.env_checker import check_env as gymnasium_check

import worldfm_gym
from worldfm_gym.errors import ActionError, ConfigError

assert worldfm_gym.__version__
IDS = sorted(name for name in gym.registry if name.startswith("WorldFM/"))


def config_of(env_id):
    return gym.envs.registration.load_env_creator(gym.registry[env_id].entry_point).Config


VARIANTS = [
    pytest.param(env_id, {} if mode is None else {"action_mode": mode}, id=f"{env_id}-{mode}")
    for env_id in IDS
    for mode in getattr(config_of(env_id), "ACTION_MODES", None) or [None]
]


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)


def test_every_task_is_registered_with_a_vector_environment():
    names = {"PointNav", "ImageNav", "ObjectNav", "Explore", "FreeCamera", "DynamicNav", "Inspect"}
    assert {f"WorldFM/{name}-v0" for name in names} == set(IDS)
    for env_id in IDS:
        vector = gym.envs.registration.load_env_creator(gym.registry[env_id].vector_entry_point)
        assert vector.Env.Config is config_of(env_id)


@pytest.mark.parametrize("depth_dtype", ["uint8", "float32"])
@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_gymnasium_has_nothing_to_say(make_env, env_id, kwargs, depth_dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = make_env(env_id, depth_dtype=depth_dtype, **kwargs)
        gymnasium_check(env.unwrapped)


@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_stable_baselines_has_nothing_to_say(make_env, env_id, kwargs):
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make_env(env_id, **kwargs))


@pytest.mark.parametrize("env_id", IDS)
def test_both_checkers_have_nothing_to_say_of_the_defaults(env_id):
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(env_id)
        check_env(env)
        gymnasium_check(env.unwrapped, skip_render_check=True, skip_close_check=True)
        env.close()


@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_stable_baselines_only_wonders_about_depth_in_meters(make_env, env_id, kwargs):
    """It warns of every image-shaped float, so `uint8` is the default."""
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(make_env(env_id, depth_dtype="float32", **kwargs))
    ours = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    assert ours
    assert all("observation depth" in message or "space depth" in message for message in ours)


@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_every_observation_is_in_the_space_and_its_own(make_env, env_id, kwargs):
    env = make_env(env_id, depth_dtype="float32", **kwargs)
    env.action_space.seed(3)
    observation, info = env.reset(seed=3)
    for _ in range(30):
        before, before_info = observation, dict(info)
        kept = {name: value.copy() for name, value in before.items()}
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert observation in env.observation_space
        assert list(observation) == list(env.observation_space)
        assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
        assert all(type(value) in (bool, int, float) for value in info.values())
        assert info.keys() == before_info.keys()
        for name, value in before.items():
            np.testing.assert_array_equal(value, kept[name])
            assert not np.shares_memory(value, observation[name])
        if terminated:
            observation, info = env.reset()


@pytest.mark.parametrize("env_id", IDS)
def test_step_and_render_need_a_reset(make_env, env_id):
    env = make_env(env_id, render_mode="rgb_array").unwrapped
    action = env.action_space.sample()
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(action)
    with pytest.raises(ResetNeeded, match="reset"):
        env.render()


@pytest.mark.parametrize("env_id", IDS)
def test_nothing_works_after_close(make_env, env_id):
    env = make_env(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    action = env.action_space.sample()
    env.close()
    env.close()
    for call in (lambda: env.step(action), env.render, env.reset, lambda: env.unwrapped.task):
        with pytest.raises(ClosedEnvironmentError, match="new"):
            call()


@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_impossible_actions_are_refused_and_move_nothing(make_env, env_id, kwargs):
    env = make_env(env_id, **kwargs)
    env.reset(seed=0)
    before = env.unwrapped.simulator.state()
    if isinstance(env.action_space, gym.spaces.Discrete):
        bad = [-1, env.action_space.n, 1.0, "forward", None, [1], np.nan]
    else:
        size = env.action_space.shape[0]
        bad = [np.full(size, np.nan), np.full(size, 1.5), np.zeros(size + 1), 0.0, None, "up"]
        bad += [np.full(size, np.inf), np.zeros((1, size))]
    for action in bad:
        with pytest.raises(ActionError):
            env.step(action)
    for name, array in env.unwrapped.simulator.state().arrays().items():
        np.testing.assert_array_equal(array, before.arrays()[name])


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"world": []}, "at least one source"),
        ({"world": 3}, "got 3"),
        ({"world_seed": -1}, "world_seed"),
        ({"new_world_every": -1}, "new_world_every"),
        ({"observations": ("rgb", "smell")}, "smell"),
        ({"observations": ()}, "observations"),
        ({"depth_dtype": "float64"}, "depth_dtype"),
        ({"max_depth_m": 0}, "max_depth_m"),
        ({"num_objects": 0}, "num_objects"),
    ],
)
def test_senseless_options_are_refused(make_env, env_id, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make_env(env_id, **kwargs)


@pytest.mark.parametrize("env_id", IDS)
def test_unknown_reset_options_are_refused(make_env, env_id):
    with pytest.raises(ConfigError, match="unknown reset options"):
        make_env(env_id).reset(options={"start": 1})


@pytest.mark.parametrize("env_id", IDS)
def test_rgb_array_is_a_copy_of_what_the_agent_sees(make_env, env_id):
    env = make_env(env_id, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    image = env.render()
    np.testing.assert_array_equal(image, observation["rgb"])
    image[:] = 0
    assert observation["rgb"].any()
    assert env.render().any()


@pytest.mark.parametrize("env_id", IDS)
def test_human_mode_without_a_display_says_so_and_goes_on(make_env, env_id, caplog):
    env = make_env(env_id, render_mode="human")
    assert "no display" in caplog.text
    assert "rgb_array" in caplog.text
    env.reset(seed=0)
    assert env.render() is None


@pytest.mark.parametrize("env_id", IDS)
def test_provenance_can_be_observed(make_env, env_id):
    from stable_baselines3.common.env_checker import check_env

    assert "provenance" not in make_env(env_id).observation_space.spaces
    env = make_env(env_id, observations=("rgb", "provenance"), renderer="anchor")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    observation, _ = env.reset(seed=0)
    assert list(observation) == ["rgb", "provenance"]
    assert observation["provenance"].shape == (40, 40, 1)
    assert set(np.unique(observation["provenance"])) <= {0, 1}
    assert (observation["provenance"] == 1).any()


@pytest.mark.parametrize("env_id", IDS)
def test_renderer_options_reach_the_renderer(make_env, env_id):
    from worldfm_gym.errors import RendererError, SimulatorError

    with pytest.raises(RendererError, match="no option 'steps'"):
        make_env(env_id, renderer="anchor", renderer_options={"steps": 2})
    with pytest.raises(SimulatorError, match="by name"):
        make_env(env_id, renderer_options={"steps": 2})
    env = make_env(env_id, renderer="frame", renderer_options={"steps": 2, "references": 0})
    assert type(env.unwrapped.simulator.renderer).__name__ == "FrameRenderer"
    assert env.reset(seed=0)[0] in env.observation_space


@pytest.mark.parametrize("env_id", IDS)
def test_the_time_limit_truncates(make_env, env_id):
    env = make_env(env_id, max_episode_steps=3)
    env.reset(seed=0)
    action = np.zeros_like(env.action_space.sample()) if env.action_space.shape else 2
    assert [env.step(action)[3] for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("env_id", IDS)
def test_the_docstring_is_the_page_and_names_every_argument(env_id):
    from worldfm_envs.config import GroundConfig, WorldConfig

    cls = gym.envs.registration.load_env_creator(gym.registry[env_id].entry_point)
    page = inspect.getdoc(cls)
    for heading in (
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ):
        assert f"## {heading}\n" in page
    shared = {field.name for config in (WorldConfig, GroundConfig) for field in fields(config)}
    own = [field.name for field in fields(cls.Config) if field.name not in shared]
    for name in [*own, *cls.Config.OBSERVATIONS, *cls.Config.RESET_OPTIONS]:
        assert f"`{name}`" in page or f'"{name}"' in page, name
    for config in cls.Config.__mro__[:-2]:
        for name, kind in inspect.get_annotations(config).items():
            assert "ClassVar" in kind or f"{name}: " in inspect.getdoc(config), name


EPISODES = """
import hashlib, sys
import gymnasium as gym
sys.path.insert(0, {tests!r})
from conftest import BoxRoomRenderer, make_box_room
import worldfm_gym
kwargs = dict(world=make_box_room(), renderer=BoxRoomRenderer, width=24, height=24)
for env_id in {ids!r}:
    env = gym.make_vec(env_id, 2, autoreset_mode="SameStep", max_episode_steps=5, **kwargs)
    env.action_space.seed(5)
    digest = hashlib.sha256()
    observation, info = env.reset(seed=11)
    for _ in range(12):
        for name in sorted(observation):
            digest.update(observation[name].tobytes())
        digest.update(repr(sorted((k, v) for k, v in info.items() if k != "final_obs")).encode())
        observation, reward, _, _, info = env.step(env.action_space.sample())
        digest.update(reward.tobytes())
    print(env_id, digest.hexdigest())
"""


def test_a_seed_gives_the_same_episodes_in_every_process():
    tests = os.path.dirname(os.path.dirname(__file__))
    code = EPISODES.format(tests=tests, ids=IDS)
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout.splitlines()
        for hash_seed in ("1", "2")
    ]
    assert [line.split()[0] for line in runs[0]] == IDS
    assert len({line.split()[1] for line in runs[0]}) == len(IDS)
    assert runs[0] == runs[1]
