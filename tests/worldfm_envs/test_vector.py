"""N environments at once are N single ones, in every autoreset mode; Gymnasium's wrappers work."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

from worldfm_gym.errors import ActionError, ConfigError

IDS = sorted(name for name in gym.registry if name.startswith("WorldFM/"))
POINT_NAV = "WorldFM/PointNav-v0"


@pytest.fixture
def options(box_room, box_room_renderer):
    return {"world": box_room, "renderer": box_room_renderer, "width": 16, "height": 16}


@pytest.fixture
def make_vector(options):
    made = []

    def make(env_id=POINT_NAV, num_envs=3, **kwargs):
        made.append(
            gym.make_vec(
                env_id,
                num_envs=num_envs,
                vectorization_mode="vector_entry_point",
                **{**options, **kwargs},
            )
        )
        return made[-1]

    yield make
    for env in made:
        env.close()


def assert_same_course(vector, single, steps, seed=7):
    """Step both with the same actions, resetting by mask where nothing else does."""
    assert vector.observation_space == single.observation_space
    assert vector.action_space == single.action_space
    vector.action_space.seed(seed)
    assert data_equivalence(vector.reset(seed=seed), single.reset(seed=seed), exact=True)
    ends = 0
    for _ in range(steps):
        actions = vector.action_space.sample()
        ours, theirs = vector.step(actions), single.step(actions)
        for mine, other in zip(ours, theirs, strict=True):
            assert data_equivalence(mine, other, exact=True)
        ended = ours[2] | ours[3]
        ends += ended.sum()
        if vector.metadata["autoreset_mode"] is AutoresetMode.DISABLED and ended.any():
            again = [env.reset(options={"reset_mask": ended}) for env in (vector, single)]
            assert data_equivalence(*again, exact=True)
    assert vector.np_random_seed == single.np_random_seed
    return ends


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("env_id", IDS)
def test_it_equals_single_environments_step_for_step(env_id, mode, options, make_vector):
    vector = make_vector(env_id, autoreset_mode=mode, max_episode_steps=5)
    single = gym.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        max_episode_steps=5,
        **options,
    )
    assert vector.metadata["autoreset_mode"] is mode
    assert assert_same_course(vector, single, steps=14) >= 6
    single.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_what_is_random_within_an_episode_is_the_same_too(mode, options, make_vector):
    from worldfm_envs.appearance import AppearanceConfig

    kwargs = {
        **options,
        "action_mode": "continuous",
        "actuation_noise": "locobot",
        "action_repeat": 2,
        "rgb_noise": "gaussian",
        "depth_noise": "redwood",
        "appearance": AppearanceConfig(),
        "max_episode_steps": 4,
    }
    vector = make_vector(autoreset_mode=mode, **kwargs)
    single = gym.make_vec(
        POINT_NAV,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **kwargs,
    )
    assert assert_same_course(vector, single, steps=10) >= 6
    single.close()


@pytest.mark.parametrize(
    ("renderer", "renderer_options", "side"),
    [("anchor", None, 32), ("frame", {"deterministic": True}, 16)],
)
def test_it_equals_single_environments_in_changing_procedural_worlds(
    renderer, renderer_options, side, make_vector
):
    kwargs = {
        "world": ["maze", "rooms"],
        "world_seed": None,
        "new_world_every": 2,
        "renderer": renderer,
        "renderer_options": renderer_options,
        "width": side,
        "height": side,
        "max_episode_steps": 3,
    }
    single = gym.make_vec(
        POINT_NAV,
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        **kwargs,
    )
    vector = make_vector(num_envs=2, autoreset_mode="SameStep", **kwargs)
    assert assert_same_course(vector, single, steps=4) >= 2
    single.close()


def test_worlds_of_one_seed_are_built_once(make_vector, box_room):
    built = []

    def world(seed):
        built.append(seed)
        return copy.copy(box_room)

    vector = make_vector(world=world, num_envs=4)
    assert built == [0]
    worlds = vector.unwrapped.simulator.worlds
    assert all(other is worlds[0] for other in worlds)


def test_a_world_that_other_seeds_lead_to_again_is_prepared_once(make_vector, box_room):
    vector = make_vector("WorldFM/DynamicNav-v0", world=lambda seed: box_room, world_seed=None)
    vector.reset(seed=0)
    worlds = vector.unwrapped.simulator.worlds
    assert worlds[0] is not box_room
    assert len(worlds[0].objects) > len(box_room.objects)
    assert all(other is worlds[0] for other in worlds)


def test_only_what_ended_is_drawn_again(make_vector):
    drawn = []
    vector = make_vector(autoreset_mode="SameStep", max_episode_steps=None)
    vector.reset(seed=0)
    renderer = vector.unwrapped.simulator.renderer
    render = renderer.render

    def counted(cameras, scene, **kwargs):
        drawn.append(len(scene))
        return render(cameras, scene, **kwargs)

    renderer.render = counted
    vector.step(np.array([1, 1, 1]))
    assert drawn == [3]
    vector.step(np.array([1, 0, 1]))
    assert drawn == [3, 1, 3]


def test_a_reset_by_mask_leaves_the_others_as_they_are(make_vector):
    vector = make_vector(autoreset_mode="Disabled")
    vector.reset(seed=0)
    before = vector.step(np.array([1, 0, 1]))[0]
    with pytest.raises(ResetNeeded, match="reset_mask"):
        vector.step(np.array([1, 1, 1]))
    mask = np.array([False, True, False])
    options = {"reset_mask": mask}
    after, info = vector.reset(options=options)
    assert options == {"reset_mask": mask}
    for name, values in after.items():
        np.testing.assert_array_equal(values[~mask], before[name][~mask])
    assert not np.array_equal(after["pose"][mask], before["pose"][mask])
    np.testing.assert_array_equal(info["_spl"], mask)


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False, False], TypeError),
        (np.array([1, 0, 0]), TypeError),
        (np.array([True]), ValueError),
        (np.array([False, False, False]), ValueError),
        (np.array([True, False, False]), ResetNeeded),
    ],
)
def test_masks_that_choose_nothing_sensible_are_refused(mask, error, make_vector):
    with pytest.raises(error):
        make_vector().reset(options={"reset_mask": mask})


def test_seeds_are_one_number_or_one_for_each(make_vector):
    vector = make_vector()
    numbered, _ = vector.reset(seed=4)
    assert vector.np_random_seed == (4, 5, 6)
    listed, _ = vector.reset(seed=[4, 5, 6])
    assert data_equivalence(numbered, listed, exact=True)
    vector.reset(seed=[9, None, None])
    assert vector.np_random_seed == (9, 5, 6)
    with pytest.raises(ValueError, match="3, one per environment"):
        vector.reset(seed=[1, 2])


def test_tensors_hold_what_arrays_do_and_share_their_memory(make_vector):
    import torch

    arrays, tensors = make_vector(), make_vector(output="torch")
    expected, _ = arrays.reset(seed=0)
    found, _ = tensors.reset(seed=0)
    for _ in range(3):
        assert list(found) == list(expected)
        for name, tensor in found.items():
            assert isinstance(tensor, torch.Tensor)
            np.testing.assert_array_equal(tensor.numpy(), expected[name])
        frame = tensors.unwrapped.task.frame
        assert found["rgb"].data_ptr() == frame.rgb.ctypes.data
        expected, reward, *_ = arrays.step(np.array([1, 2, 3]))
        found, same_reward, *_ = tensors.step(torch.tensor([1, 2, 3]))
        np.testing.assert_array_equal(reward, same_reward)


@pytest.mark.gpu
@pytest.mark.parametrize("renderer", ["anchor", "frame"])
def test_on_a_gpu_tensors_equal_arrays_and_nothing_waits(renderer, make_vector):
    import torch

    kwargs = {
        "world": "rooms",
        "renderer": renderer,
        "device": "cuda",
        "width": 64,
        "height": 64,
        "observations": ("rgb", "depth", "pointgoal", "object_poses", "pose"),
        "max_episode_steps": 4,
        "autoreset_mode": "SameStep",
        "num_envs": 8,
    }
    arrays, tensors = make_vector(**kwargs), make_vector(output="torch", **kwargs)
    (expected, _), (found, _) = arrays.reset(seed=0), tensors.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(6):
        for name, values in expected.items():
            assert found[name].is_cuda
            np.testing.assert_array_equal(found[name].cpu().numpy(), values)
        actions = rng.integers(0, 4, 8)
        expected, reward, *_ = arrays.step(actions)
        found, same_reward, *_ = tensors.step(actions)
        np.testing.assert_array_equal(reward, same_reward)
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        tensors.step(np.full(8, 2))
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_gymnasium_wrappers_work(make_vector):
    vector = wrappers.RecordEpisodeStatistics(make_vector(max_episode_steps=4))
    vector = wrappers.NormalizeReward(wrappers.ClipReward(vector, -1.0, 1.0))
    vector = wrappers.DictInfoToList(vector)
    vector.reset(seed=0)
    lengths = []
    for _ in range(6):
        *_, infos = vector.step(np.array([1, 2, 3]))
        lengths += [info["episode"]["l"] for info in infos if "episode" in info]
    assert lengths == [4, 4, 4]
    pictures = make_vector(render_mode="rgb_array")
    pictures.reset(seed=0)
    assert [image.shape for image in pictures.render()] == [(16, 16, 3)] * 3


def test_episodes_of_a_set_are_taken_by_number(tmp_path, make_vector):
    from worldfm_envs.episode_set import EpisodeSet, StoredEpisode

    stored = [
        StoredEpisode(id=str(k), source="maze", seed=3 + k % 2, options={"start_yaw": 0.1 * k})
        for k in range(4)
    ]
    path = tmp_path / "set.json"
    EpisodeSet(
        name="set", env_id=POINT_NAV, episodes=tuple(stored), config={"agent_radius_m": 0.1}
    ).save(path)
    vector = make_vector(episodes=path, autoreset_mode="Disabled")
    assert vector.unwrapped.config.agent_radius_m == 0.1
    vector.reset(seed=0, options={"episode": np.array([3, 0, 2])})
    simulator = vector.unwrapped.simulator
    np.testing.assert_allclose(simulator.yaw, [0.3, 0.0, 0.2])
    assert [world.source["seed"] for world in simulator.worlds] == [4, 3, 3]
    assert simulator.worlds[1] is simulator.worlds[2]
    vector.reset(options={"episode": 1, "reset_mask": np.array([False, True, False])})
    np.testing.assert_allclose(simulator.yaw, [0.3, 0.1, 0.2])
    for wrong in (4, -1, "first", np.array([0, 1])):
        with pytest.raises(ConfigError, match="episode"):
            vector.reset(options={"episode": wrong})


def test_order_of_calls_and_bad_input_are_told(make_vector):
    vector = make_vector()
    with pytest.raises(ResetNeeded):
        vector.step(np.array([1, 1, 1]))
    vector.reset(seed=0)
    before = vector.unwrapped.simulator.state()
    for actions in ([1, 1], np.array([1, 1, 9]), np.array([0.5, 0.5, 0.5]), 1):
        with pytest.raises(ActionError):
            vector.step(actions)
    for name, array in vector.unwrapped.simulator.state().arrays().items():
        np.testing.assert_array_equal(array, before.arrays()[name])
    vector.close()
    vector.close()
    with pytest.raises(ClosedEnvironmentError, match="new"):
        vector.reset()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"output": "jax"}, "output"),
        ({"autoreset_mode": "Sometimes"}, "NextStep"),
        ({"render_mode": "human"}, "render_mode"),
        ({"observations": ("smell",)}, "smell"),
    ],
)
def test_senseless_options_are_refused(make_vector, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make_vector(**kwargs)
