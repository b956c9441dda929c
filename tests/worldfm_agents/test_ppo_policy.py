"""The mirror-symmetric policy."""

import numpy as np
import torch
from gymnasium import spaces

from worldfm_agents.ppo_observations import SPACE, STATE
from worldfm_agents.ppo_policy import MirrorPolicy, mirror
from worldfm_envs.actions import LEFT, RIGHT, STOP


def policy_and_observations():
    torch.manual_seed(0)
    policy = MirrorPolicy(SPACE, spaces.Discrete(4), lambda _: 1e-3)
    with torch.no_grad():
        for parameter in policy.action_net.parameters():
            parameter.normal_()
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (8, *SPACE["map"].shape)).astype(np.uint8)
    states = rng.normal(size=(8, len(STATE))).astype(np.float32)
    return policy, {"map": torch.from_numpy(maps), "state": torch.from_numpy(states)}


def test_the_mirror_image_gets_the_mirrored_action_and_the_same_value() -> None:
    policy, seen = policy_and_observations()
    with torch.no_grad():
        straight = policy.get_distribution(seen).distribution.probs
        mirrored = policy.get_distribution(mirror(seen)).distribution.probs
        values = policy.predict_values(seen), policy.predict_values(mirror(seen))
    torch.testing.assert_close(mirrored, straight[:, [0, 1, 3, 2]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-5)
    assert (straight[:, LEFT] - straight[:, RIGHT]).abs().min() > 1e-4


def test_mirroring_twice_changes_nothing() -> None:
    _, seen = policy_and_observations()
    once = mirror(seen)
    assert not torch.equal(once["map"], seen["map"])
    assert torch.equal(once["map"][:, :, 0], seen["map"][:, :, 0])  # what is straight ahead
    assert torch.equal(once["map"][:, :, 6], seen["map"][:, :, -6])
    for name, values in mirror(once).items():
        assert torch.equal(values, seen[name])


def test_an_untrained_policy_rarely_stops() -> None:
    torch.manual_seed(0)
    policy = MirrorPolicy(SPACE, spaces.Discrete(4), lambda _: 1e-3)
    _, seen = policy_and_observations()
    with torch.no_grad():
        chances = policy.get_distribution(seen).distribution.probs
    assert 0.001 < chances[:, STOP].max() < 0.05
    assert chances[:, 1:].min() > 0.25
