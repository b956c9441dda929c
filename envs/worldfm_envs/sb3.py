"""WorldVecEnv: the vector environment as Stable-Baselines3 wants it (extra `sb3`)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from worldfm_envs.vector import WorldVectorEnv
from worldfm_gym.errors import ConfigError, MissingExtraError

try:
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise MissingExtraError("stable-baselines3", "sb3", "worldfm_envs.sb3") from error


class WorldVecEnv(VecEnv):  # type: ignore[misc]
    """N environments behind Stable-Baselines3's `VecEnv`, without a loop over them in a step.

    ``PPO("MultiInputPolicy", WorldVecEnv("WorldFM/PointNav-v0", 16, world="rooms"))`` trains on it.
    No `Monitor` is needed: infos of ended episodes hold ``"episode"`` (return ``"r"``, length
    ``"l"``, seconds since the start ``"t"``), ``"terminal_observation"``,
    ``"TimeLimit.truncated"``, the task's own last infos, and ``"is_success"`` where the task knows
    success. Infos of the others are empty; `step_info` has the arrays of all.

    Attributes:
        vector: The environment underneath.
        step_info: Infos of the last step as arrays with masks, as Gymnasium gives them.
    """

    def __init__(self, env_id: str, num_envs: int = 1, **options: Any) -> None:
        """Make N environments.

        Args:
            env_id: A registered id, such as ``"WorldFM/PointNav-v0"``.
            num_envs: N.
            **options: Arguments of the environment, `max_episode_steps` and `render_mode`.

        Raises:
            ConfigError: If an option makes no sense.
        """
        self.vector: WorldVectorEnv = gymnasium.make_vec(  # type: ignore[assignment]
            env_id,
            num_envs=num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.SAME_STEP,
            **options,
        )
        self.step_info: dict[str, Any] = {}
        self._actions: Any = None
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._born = time.perf_counter()
        super().__init__(
            num_envs, self.vector.single_observation_space, self.vector.single_action_space
        )

    def reset(self) -> dict[str, NDArray[Any]]:
        """Begin new episodes, with the seeds and options set for this once."""
        first = self._options[0]
        if any(options is not first and options != first for options in self._options):
            raise ConfigError(
                "set_options() with different options for each environment is not supported: "
                "give one dictionary for all"
            )
        observation, self.step_info = self.vector.reset(seed=self._seeds, options=first)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._lengths[:] = 0
        self.reset_infos = [_row(self.step_info, env) for env in range(self.num_envs)]
        return observation

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions [N, …] for `step_wait`."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32], NDArray[np.bool_], list[Any]]:
        """Carry out the actions; environments whose episodes end begin the next one."""
        step = self.vector.step(self._actions)
        observation, reward, terminated, truncated, self.step_info = step
        self._returns += reward
        self._lengths += 1
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for env in np.flatnonzero(done).tolist():
            infos[env] = self._last_info(env, bool(truncated[env] and not terminated[env]))
            self.reset_infos[env] = _row(self.step_info, env)
        self._returns[done] = 0.0
        self._lengths[done] = 0
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Let go of worlds and renderer."""
        self.vector.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """The camera images of now."""
        return self.vector.render() or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the vector environment, once for each index."""
        value = getattr(self.vector, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not supported: environments share their configuration, which does not change."""
        raise NotImplementedError(
            f"can't set {attr_name!r}: the environments share one configuration; make a new "
            "WorldVecEnv with other arguments"
        )

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Not supported: there are no single environments; use `vector` and its `task`."""
        raise NotImplementedError(
            f"can't call {method_name!r} on single environments, there are none: use the "
            "attributes `vector` and `vector.task`"
        )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """True for `Monitor`, whose infos it gives."""
        return [issubclass(Monitor, wrapper_class) for _ in self._get_indices(indices)]

    def _last_info(self, env: int, cut_short: bool) -> dict[str, Any]:
        """What is told of an episode that ended."""
        info = _row(self.step_info["final_info"], env)
        if "success" in info:
            info["is_success"] = info["success"]
        info["TimeLimit.truncated"] = cut_short
        info["terminal_observation"] = self.step_info["final_obs"][env]
        info["episode"] = {
            "r": round(float(self._returns[env]), 6),
            "l": int(self._lengths[env]),
            "t": round(time.perf_counter() - self._born, 6),
        }
        return info


def _row(infos: Mapping[str, Any], env: int) -> dict[str, Any]:
    """One environment's own entries of infos with masks, as Python numbers."""
    return {
        name: values[env].item() if values.dtype != object else values[env]
        for name, values in infos.items()
        if not name.startswith(("_", "final_")) and infos[f"_{name}"][env]
    }
