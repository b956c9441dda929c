"""Steps in TorchRL's layout hold what the vector environment gives."""

import sys

import gymnasium as gym
import numpy as np
import pytest

from worldfm_gym.errors import MissingExtraError

pytest.importorskip("tensordict")
import torch

from worldfm_envs.tensordict_env import WorldTensorDictEnv

POINT_NAV = "WorldFM/PointNav-v0"


def test_steps_and_resets_are_those_of_the_vector_environment(box_room, box_room_renderer):
    options = {
        "world": box_room,
        "renderer": box_room_renderer,
        "width": 16,
        "height": 16,
        "max_episode_steps": 4,
    }
    env = WorldTensorDictEnv(POINT_NAV, 3, **options)
    plain = gym.make_vec(POINT_NAV, 3, "vector_entry_point", autoreset_mode="SameStep", **options)
    begun, (expected, _) = env.reset(seed=3), plain.reset(seed=3)
    assert begun.batch_size == torch.Size([3])
    assert not begun["done"].any()
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(12):
        for name, values in expected.items():
            np.testing.assert_array_equal(begun[name].numpy(), values)
        actions = rng.integers(0, 4, 3)
        begun["action"] = torch.from_numpy(actions)
        stepped, begun = env.step_and_maybe_reset(begun)
        expected, reward, terminated, truncated, infos = plain.step(actions)
        following = stepped["next"]
        np.testing.assert_array_equal(following["reward"].numpy()[:, 0], np.float32(reward))
        np.testing.assert_array_equal(following["terminated"].numpy()[:, 0], terminated)
        np.testing.assert_array_equal(following["truncated"].numpy()[:, 0], truncated)
        np.testing.assert_array_equal(following["done"].numpy()[:, 0], terminated | truncated)
        for agent in np.flatnonzero(terminated | truncated):
            ends += 1
            last = infos["final_obs"][agent]
            for name, values in last.items():
                np.testing.assert_array_equal(following[name][agent].numpy(), values)
    assert ends > 3
    before = begun["pose"].clone()
    begun["_reset"] = torch.tensor([[False], [True], [False]])
    after = env.reset(begun)
    assert (after["pose"][[0, 2]] == before[[0, 2]]).all()
    assert (after["pose"][1] != before[1]).any()
    env.close()


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensordict", None)
    monkeypatch.delitem(sys.modules, "worldfm_envs.tensordict_env")
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[tensordict\]"):
        import worldfm_envs.tensordict_env  # noqa: F401
