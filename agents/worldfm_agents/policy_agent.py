"""PolicyAgent: a policy that Stable-Baselines3 saved acts in single environments."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from worldfm_agents.agent import Agent
from worldfm_gym.errors import ConfigError, MissingExtraError


class PolicyAgent:
    """Acts by a policy; what it draws depends on its seed and on how often it has acted."""

    def __init__(
        self, model: Any, env: gym.Env[Any, Any], *, deterministic: bool, seed: int
    ) -> None:
        """Let a policy act in an environment.

        Args:
            model: A Stable-Baselines3 algorithm that holds the policy.
            env: Where it is to act.
            deterministic: Take the likeliest action, or draw one.
            seed: Of what is drawn.

        Raises:
            ConfigError: If the policy observes or does something else than the environment.
        """
        for what, shapes in (("observation_space", _shapes), ("action_space", lambda s: s)):
            needed, found = getattr(model, what), getattr(env, what)
            if shapes(needed) != shapes(found):
                raise ConfigError(
                    f"the policy's {what} is {needed}, the environment's {found}: give the "
                    "arguments that it was trained with as --option NAME=VALUE"
                )
        self._model = model
        self._deterministic = deterministic
        self._seeds = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> Any:
        """See `Agent.act`."""
        import torch

        if self._deterministic:
            return self._model.predict(observation, deterministic=True)[0]
        with torch.random.fork_rng(devices=[]):  # Stable-Baselines3 draws from the global one
            torch.manual_seed(int(self._seeds.integers(2**31)))
            return self._model.predict(observation, deterministic=False)[0]


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy, who acts by it, and what its environment must look like.

    Attributes:
        model: The Stable-Baselines3 algorithm that holds it.
        env_options: Arguments of the environment that it acts in.
        deterministic: Whether it takes the likeliest action, or draws one.
        agent_class: Made of model and environment, with keywords `deterministic` and `seed`.
    """

    model: Any
    env_options: Mapping[str, Any]
    deterministic: bool = False
    agent_class: Callable[..., Agent] = PolicyAgent

    def agent(self, env: gym.Env[Any, Any], seed: int) -> Agent:
        """An agent for one episode."""
        return self.agent_class(self.model, env, deterministic=self.deterministic, seed=seed)


def load_policy(path: str | os.PathLike[str]) -> LoadedPolicy:
    """Load a policy that ``PPO.save`` wrote; only one that you trust, for it can hold code.

    What it observes tells the names of the observations and the size of images. A file of the same
    name that ends in .json may say more, each entry if needed:

    - ``"env"``: arguments of the environment, an object;
    - ``"deterministic"``: true to take the likeliest action;
    - ``"agent"``: ``"module:Class"`` of an agent that keeps more than the policy observes, such as
      a memory of the episode. It is called like `PolicyAgent`.

    Raises:
        ConfigError: If there is no such file, or its observations are not those of an environment.
        MissingExtraError: If Stable-Baselines3 is not installed.
    """
    try:
        from stable_baselines3 import PPO
    except ImportError:
        raise MissingExtraError("stable-baselines3", "sb3", "running a policy") from None
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no policy {os.fspath(path)!r}")
    model = PPO.load(path, device="cpu")
    beside = path.with_suffix(".json")
    more = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    options = more.get("env", {})
    agent_class: Callable[..., Agent] = PolicyAgent
    if "agent" in more:
        module, _, name = more["agent"].partition(":")
        agent_class = getattr(importlib.import_module(module), name)
    else:
        options = {**options_of(model.observation_space), **options}
    return LoadedPolicy(model, options, bool(more.get("deterministic", False)), agent_class)


def options_of(space: gym.Space[Any]) -> dict[str, Any]:
    """Arguments of an environment that make its observations those of a space.

    Raises:
        ConfigError: If it is no `Dict` space.
    """
    if not isinstance(space, gym.spaces.Dict):
        raise ConfigError(f"policies observe a Dict of named entries, this one observes {space}")
    options: dict[str, Any] = {"observations": list(space.spaces)}
    for name in ("rgb", "depth"):
        entry = space.spaces.get(name)
        if isinstance(entry, gym.spaces.Box):
            options["height"], options["width"] = _sides(entry.shape)
            if name == "depth":
                options["depth_dtype"] = str(entry.dtype)
    return options


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of an image; models are often saved with channels first."""
    height, width = shape[1:] if shape[0] in (1, 3) else shape[:2]
    return int(height), int(width)


def _shapes(space: gym.Space[Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the entries of a `Dict`, images by their sides."""
    entries = space.spaces if isinstance(space, gym.spaces.Dict) else {}
    shapes = {name: tuple(entry.shape or ()) for name, entry in entries.items()}
    return {name: _sides(s) if len(s) == 3 else s for name, s in shapes.items()}
