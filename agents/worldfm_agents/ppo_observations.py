"""What the PPO policy observes, made of `depth`, `pointgoal`, `collision` and its own actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from worldfm_agents.ppo_memory import ANGLES, CHANNELS, RINGS, PolarMemory
from worldfm_envs.actions import FORWARD, LEFT, RIGHT

STATE = (
    "distance", "distance up to 1 m", "distance up to 0.4 m", "within 0.2 m", "log distance",
    "cosine", "sine", "collision", "moved", "walked", "turned left", "turned right",
)  # fmt: skip
"""Entries of the `state` observation: of the goal, then of the last step."""

SPACE = spaces.Dict(
    {
        "map": spaces.Box(0, 255, (len(CHANNELS), ANGLES, RINGS), np.uint8),
        "state": spaces.Box(-100.0, 100.0, (len(STATE),), np.float32),
    }
)


class PolarObservations:
    """Turns observations of N environments into the policy's."""

    def __init__(self, num_envs: int, space: spaces.Dict) -> None:
        """Begin with new episodes everywhere.

        Args:
            num_envs: N.
            space: Observation space of one environment.
        """
        height, width, _ = space["depth"].shape  # type: ignore[misc]
        self._memory = PolarMemory(num_envs, image_shape=(height, width))

    def forget(self, envs: NDArray[np.int64]) -> None:
        """Start over in environments [M], where new episodes begin."""
        self._memory.forget(envs)

    def observe(
        self,
        envs: NDArray[np.int64],
        observation: Mapping[str, NDArray[Any]],
        actions: NDArray[np.int64] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """What the policy observes in environments [M].

        Args:
            envs: Indices [M].
            observation: What they show, arrays [M, …] by name.
            actions: What was done last [M]; None at the start of episodes.
        """
        goal = observation["pointgoal"]
        maps, moved = self._memory.look(envs, observation["depth"], goal, actions)
        distance, angle = goal[:, 0], goal[:, 1]
        done = np.zeros(len(envs), np.int64) if actions is None else actions
        state = np.stack(
            [
                distance / 10.0,
                np.minimum(distance, 1.0),
                np.minimum(distance, 0.4) / 0.4,
                np.tanh(20.0 * (0.2 - distance)),
                np.log(distance + 0.1),
                np.cos(angle),
                np.sin(angle),
                observation["collision"][:, 0],
                moved / 0.25,
                *(done == action for action in (FORWARD, LEFT, RIGHT)),
            ],
            axis=-1,
        )
        return {"map": maps, "state": state.astype(np.float32)}


class PolarVecEnv(VecEnvWrapper):  # type: ignore[misc]
    """A Stable-Baselines3 environment that shows `SPACE`."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv, observation_space=SPACE)
        self._view = PolarObservations(venv.num_envs, venv.observation_space)
        self._every = np.arange(venv.num_envs)
        self._actions = np.zeros(venv.num_envs, np.int64)

    def reset(self) -> dict[str, NDArray[Any]]:
        """Begin new episodes."""
        observation = self.venv.reset()
        self._view.forget(self._every)
        return self._view.observe(self._every, observation)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Start a step."""
        self._actions = np.asarray(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> tuple[Any, ...]:
        """Finish it; ended episodes tell their last observation, and the next ones begin."""
        observation, reward, done, infos = self.venv.step_wait()
        ended, going = np.flatnonzero(done), np.flatnonzero(~done)
        views = {
            name: np.empty((len(done), *(box.shape or ())), box.dtype)
            for name, box in SPACE.items()
        }
        if len(ended):
            last = [infos[env]["terminal_observation"] for env in ended]
            final = {name: np.stack([entry[name] for entry in last]) for name in observation}
            seen = self._view.observe(ended, final, self._actions[ended])
            for k, env in enumerate(ended):
                infos[env]["terminal_observation"] = {name: v[k] for name, v in seen.items()}
            self._view.forget(ended)
        for envs, actions in ((ended, None), (going, self._actions[going])):
            part = self._view.observe(envs, {k: v[envs] for k, v in observation.items()}, actions)
            for name, values in part.items():
                views[name][envs] = values
        return views, reward, done, infos


class PolarAgent:
    """Acts by a saved policy in single environments, one episode each."""

    def __init__(
        self, policy: Any, env: gym.Env[Any, Any], *, deterministic: bool = False, seed: int = 0
    ) -> None:
        """Let a policy act for one episode.

        Args:
            policy: A Stable-Baselines3 policy that observes `SPACE`.
            env: Where it acts: `depth` as uint8, `pointgoal` and `collision`, discrete actions.
            deterministic: Take the likeliest action, or draw one.
            seed: Of what is drawn.
        """
        assert isinstance(env.observation_space, spaces.Dict)
        self._policy = policy
        self._view = PolarObservations(1, env.observation_space)
        self._rng = None if deterministic else np.random.default_rng(seed)
        self._action: NDArray[np.int64] | None = None

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> int:
        """See `Agent.act`."""
        import torch

        batch = {name: np.asarray(value)[None] for name, value in observation.items()}
        seen = self._view.observe(np.zeros(1, np.int64), batch, self._action)
        with torch.no_grad():
            tensors, _ = self._policy.obs_to_tensor(seen)
            chances = self._policy.get_distribution(tensors).distribution.probs[0].double().numpy()
        action = int(chances.argmax())
        if self._rng is not None:
            action = int(self._rng.choice(len(chances), p=chances / chances.sum()))
        self._action = np.array([action])
        return action
