"""MirrorPolicy: a small actor and critic that know that left and right are alike.

The network sees every observation and its mirror image. What both halves have in common decides
about stopping, walking and turning at all, and the value; their difference decides which way to
turn. So the mirrored situation gets the mirrored action, and one experience teaches two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from worldfm_agents.ppo_observations import SPACE, STATE
from worldfm_gym.errors import ConfigError

_ODD, _LEFT, _RIGHT = STATE.index("sine"), STATE.index("turned left"), STATE.index("turned right")
_NO_STOP = -4.0
_FORMAT, _VERSION, _KIND = "worldfm-policy", "1", "polar"


class PolarFeatures(nn.Module):
    """Polar maps [B, C, A, R] in 0…1 and states [B, S] to features [B, width]."""

    def __init__(self, map_shape: tuple[int, ...], state_size: int, width: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(map_shape[0], 8, 3, stride=2, padding=(0, 1)),
                nn.Conv2d(8, 16, 3, stride=2, padding=(0, 1)),
                nn.Conv2d(16, 16, 3, stride=(1, 2), padding=(0, 1)),
            ]
        )
        with torch.no_grad():
            size = self._convolved(torch.zeros(1, *map_shape)).shape[1]
        self.head = nn.Sequential(
            nn.Linear(size + state_size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, maps: Tensor, states: Tensor) -> Tensor:
        """Features [B, width]."""
        features: Tensor = self.head(torch.cat([self._convolved(maps), states], 1))
        return features

    def _convolved(self, maps: Tensor) -> Tensor:
        x = maps
        for convolution in self.convolutions:
            around = torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)  # angles close to a circle
            x = convolution(around).relu_()
        return x.flatten(1)


class MirrorExtractor(BaseFeaturesExtractor):  # type: ignore[misc]
    """Features that mirroring keeps [B, width], then those whose sign it turns [B, width]."""

    def __init__(self, observation_space: spaces.Dict, width: int = 256) -> None:
        super().__init__(observation_space, 2 * width)
        map_shape, state_shape = observation_space["map"].shape, observation_space["state"].shape
        assert map_shape is not None
        assert state_shape is not None
        self.trunk = PolarFeatures(map_shape, state_shape[0], width)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Features [B, 2 · width]."""
        mirrored = mirror(observations)
        maps, states = (torch.cat([observations[k], mirrored[k]]) for k in ("map", "state"))
        seen, other = self.trunk(maps, states).chunk(2)
        return torch.cat([seen + other, seen - other], 1) / 2


def mirror(observations: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same observations with left and right exchanged."""
    maps = observations["map"].flip(2).roll(1, 2)  # bin 0, straight ahead, stays
    states = observations["state"].clone()
    states[:, _ODD].neg_()
    states[:, [_LEFT, _RIGHT]] = states[:, [_RIGHT, _LEFT]]
    return {"map": maps, "state": states}


class MirrorActor(nn.Module):
    """Logits [B, 4] of stop, forward, left, right."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.even = nn.Linear(width, 3)
        self.odd = nn.Linear(width, 1, bias=False)
        for layer in (self.even, self.odd):
            nn.init.orthogonal_(layer.weight, 0.01)
        nn.init.zeros_(self.even.bias)
        with torch.no_grad():
            self.even.bias[0] = _NO_STOP  # else the first episodes end before they see anything

    def forward(self, features: Tensor) -> Tensor:
        """Logits [B, 4]."""
        common, difference = features.chunk(2, 1)
        stop, walk, turn = self.even(common).split(1, 1)
        side = self.odd(difference)
        return torch.cat([stop, walk, turn + side, turn - side], 1)


class MirrorCritic(nn.Module):
    """Values [B, 1] from the features that mirroring keeps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Values [B, 1]."""
        values: Tensor = self.net(features.chunk(2, 1)[0])
        return values


class MirrorPolicy(MultiInputActorCriticPolicy):  # type: ignore[misc]
    """Stable-Baselines3's policy with the modules above."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options |= {"features_extractor_class": MirrorExtractor, "net_arch": []}
        super().__init__(*args, **options)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        width = self.features_dim // 2
        self.action_net, self.value_net = MirrorActor(width), MirrorCritic(width)
        self.optimizer = self.optimizer_class(
            self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )


def save_policy(
    policy: MirrorPolicy, path: str | os.PathLike[str], env_options: Mapping[str, Any]
) -> None:
    """Write a policy's weights, and the arguments of the environment that it acts in.

    A safetensors file: reading it runs nothing, unlike the pickles of Stable-Baselines3's `save`.
    """
    weights = {name: tensor.contiguous() for name, tensor in _own_weights(policy).items()}
    head = {"format": _FORMAT, "version": _VERSION, "kind": _KIND}
    save_file(weights, path, metadata=head | {"env": json.dumps(dict(env_options))})


def load_policy(path: str | os.PathLike[str]) -> tuple[MirrorPolicy, dict[str, Any]]:
    """Read what `save_policy` wrote: the policy and the arguments of its environment.

    Raises:
        ConfigError: If the file can't be read or holds something else.
    """
    try:
        with safe_open(path, "pt") as file:
            head = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{os.fspath(path)!r} is not a policy that can be read: {error}"
        ) from None
    found = tuple(head.get(key) for key in ("format", "version", "kind"))
    if found != (_FORMAT, _VERSION, _KIND):
        raise ConfigError(
            f"{os.fspath(path)!r} holds (format, version, kind) {found}, expected "
            f"{(_FORMAT, _VERSION, _KIND)}: train it again with this release"
        )
    policy = MirrorPolicy(SPACE, spaces.Discrete(4), lambda _: 0.0)
    own = {name: tensor.shape for name, tensor in _own_weights(policy).items()}
    if own != {name: tensor.shape for name, tensor in weights.items()}:
        raise ConfigError(f"{os.fspath(path)!r} holds other layers: train it again")
    policy.load_state_dict(weights, strict=False)
    policy.set_training_mode(False)
    return policy, json.loads(head["env"])


def _own_weights(policy: MirrorPolicy) -> dict[str, Tensor]:
    """The weights, without Stable-Baselines3's other names for the same extractor."""
    others = ("pi_features_extractor", "vf_features_extractor")
    state = policy.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(others)}
