"""PolicyAgent: saved policies act in single environments; reading their files runs nothing.

A policy is a ``.safetensors`` file: weights, and in its metadata the kind of network, one of those
that this package can build, and the arguments of the environment that it acts in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldfm_agents.agent import Agent
from worldfm_agents.benchmark import AgentMaker
from worldfm_gym.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "worldfm-policy", "1"
MULTI_INPUT, POLAR = "multi-input", "polar"


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """Who acts by a policy, and where.

    Attributes:
        env_options: Arguments of the environment that it acts in.
        agent: Makes an agent for one episode of such an environment, given a seed.
    """

    env_options: Mapping[str, Any]
    agent: AgentMaker


def save_policy(policy: Any, path: str | os.PathLike[str], env_options: Mapping[str, Any]) -> None:
    """Write the policy of a Stable-Baselines3 model that was made with ``"MultiInputPolicy"``.

    Args:
        policy: The model's `policy`, with the layers that Stable-Baselines3 gives it by default.
        path: The ``.safetensors`` file.
        env_options: Arguments of the environment, as JSON has them.
    """
    from safetensors.torch import save_file

    metadata = {"format": FORMAT, "version": VERSION, "kind": MULTI_INPUT}
    weights = {name: weight.contiguous() for name, weight in _own_weights(policy).items()}
    save_file(weights, path, metadata=metadata | {"env": json.dumps(dict(env_options))})


def load_policy(path: str | os.PathLike[str]) -> LoadedPolicy:
    """Read a policy that `save_policy` or `worldfm_agents.train_ppo` wrote.

    Raises:
        ConfigError: If it is no such file.
        MissingExtraError: If Stable-Baselines3 is not installed.
    """
    kind = _metadata(path).get("kind")
    try:
        import stable_baselines3  # noqa: F401
    except ImportError:
        raise MissingExtraError("stable-baselines3", "sb3", "running a policy") from None
    if kind == POLAR:
        return _polar(path)
    if kind == MULTI_INPUT:
        return _multi_input(path)
    raise ConfigError(f"{os.fspath(path)!r} holds a policy of the unknown kind {kind!r}")


class PolicyAgent:
    """Acts by a policy; what it draws depends on its seed and on what it sees."""

    def __init__(self, policy: Any, *, seed: int) -> None:
        self._policy = policy
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> Any:
        """See `Agent.act`."""
        import torch

        tensors, _ = self._policy.obs_to_tensor(dict(observation))
        with torch.no_grad():
            chosen = self._policy.get_distribution(tensors).distribution
        if hasattr(chosen, "probs"):
            chances = chosen.probs[0].double().numpy()
            return int(self._rng.choice(len(chances), p=chances / chances.sum()))
        space = self._policy.action_space
        noise = self._rng.standard_normal(space.shape)
        action = chosen.mean[0].numpy() + chosen.stddev[0].numpy() * noise
        return np.clip(action, space.low, space.high).astype(space.dtype)


def _polar(path: str | os.PathLike[str]) -> LoadedPolicy:
    """A policy of `worldfm_agents.train_ppo`."""
    from worldfm_agents.ppo_observations import PolarAgent
    from worldfm_agents.ppo_policy import load_policy as load

    policy, options = load(path)
    return LoadedPolicy(options, lambda env, seed: PolarAgent(policy, env, seed=seed))


def _multi_input(path: str | os.PathLike[str]) -> LoadedPolicy:
    """A policy that `save_policy` wrote; built when the first environment is there."""
    from safetensors.torch import load_file

    weights = load_file(path)
    policies: list[Any] = []

    def agent(env: gym.Env[Any, Any], seed: int) -> Agent:
        if not policies:
            policies.append(_built(env, weights))
        return PolicyAgent(policies[0], seed=seed)

    try:
        options = dict(json.loads(_metadata(path)["env"]))
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} does not say what environment it acts in: {error!r}") from error
    return LoadedPolicy(options, agent)


def _built(env: gym.Env[Any, Any], weights: Mapping[str, torch.Tensor]) -> Any:
    """Stable-Baselines3's default policy for an environment, with these weights."""
    import torch
    from stable_baselines3.common.policies import MultiInputActorCriticPolicy
    from stable_baselines3.common.preprocessing import is_image_space
    from stable_baselines3.common.vec_env import VecTransposeImage

    observed = env.observation_space
    if not isinstance(observed, gym.spaces.Dict):
        raise ConfigError(f"the policy observes a Dict, the environment shows {observed}")
    entries = {  # images with channels first, as in training
        name: VecTransposeImage.transpose_space(entry, name) if is_image_space(entry) else entry
        for name, entry in observed.spaces.items()
    }
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, and replaced
        policy = MultiInputActorCriticPolicy(
            gym.spaces.Dict(entries), env.action_space, lambda _: 0.0
        )
    needed = {name: tuple(weight.shape) for name, weight in _own_weights(policy).items()}
    if needed != {name: tuple(weight.shape) for name, weight in weights.items()}:
        raise ConfigError(
            "the policy's layers do not fit what the environment shows and takes: give the "
            "arguments that it was trained with as --option NAME=VALUE"
        )
    policy.load_state_dict(weights, strict=False)
    policy.set_training_mode(False)
    return policy


def _own_weights(policy: Any) -> dict[str, torch.Tensor]:
    """The weights, without Stable-Baselines3's other names for the same extractor."""
    others = ("pi_features_extractor", "vf_features_extractor")
    state: dict[str, torch.Tensor] = policy.state_dict()
    return {name: weight for name, weight in state.items() if not name.startswith(others)}


def _metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """What the file says of itself."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            found: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ConfigError(
            f"{os.fspath(path)!r} is no policy that can be read ({error}): name a .safetensors "
            "file that worldfm_agents.policy_agent.save_policy or train_ppo wrote"
        ) from None
    if (found.get("format"), found.get("version")) != (FORMAT, VERSION):
        raise ConfigError(
            f"{os.fspath(path)!r} has format {found.get('format')!r}, version "
            f"{found.get('version')!r}, expected {FORMAT!r}, {VERSION!r}"
        )
    return found
