"""WorldTensorDictEnv: the vector environment in TorchRL's data layout (extra `tensordict`)."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from worldfm_envs.vector import WorldVectorEnv
from worldfm_envs.vector_tensors import to_tensors
from worldfm_gym.errors import MissingExtraError

try:
    from tensordict import TensorDict
except ImportError as error:
    raise MissingExtraError("tensordict", "tensordict", "worldfm_envs.tensordict_env") from error


class WorldTensorDictEnv:
    """N environments whose steps are TensorDicts of batch size [N].

    The layout is TorchRL's: observations and ``"action"`` at the root, what the action brought in
    ``"next"``: observations, ``"reward"`` float32 [N, 1], and ``"terminated"``, ``"truncated"`` and
    ``"done"`` bool [N, 1]. Environments that are done are reset by `step_and_maybe_reset`, or by
    `reset` with a bool entry ``"_reset"`` [N] or [N, 1]. Tensors are on the renderer's device.

    Attributes:
        vector: The environment underneath, without autoreset.
        infos: Infos of the last reset or step as arrays, as Gymnasium gives them.
    """

    def __init__(self, env_id: str, num_envs: int = 1, **options: Any) -> None:
        """Make N environments.

        Args:
            env_id: A registered id, such as ``"WorldFM/PointNav-v0"``.
            num_envs: N.
            **options: Arguments of the environment, and `max_episode_steps`.

        Raises:
            ConfigError: If an option makes no sense.
        """
        self.vector: WorldVectorEnv = gymnasium.make_vec(  # type: ignore[assignment]
            env_id,
            num_envs=num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.DISABLED,
            output="torch",
            **options,
        )
        self.infos: dict[str, Any] = {}
        self._done = np.zeros(num_envs, np.bool_)  # on the host, so that nothing waits for a device

    def reset(self, tensordict: TensorDict | None = None, *, seed: int | None = None) -> TensorDict:
        """Begin episodes, all or those that ``"_reset"`` names: observations and ends, all False.

        Args:
            tensordict: May hold ``"_reset"``; the environments that it leaves out stay as they are.
            seed: Environment i gets ``seed + i``.
        """
        chosen = np.ones(self.vector.num_envs, np.bool_)
        if tensordict is not None and "_reset" in tensordict:
            chosen = tensordict["_reset"].cpu().numpy().reshape(-1)
        return self._begun(chosen, seed)

    def step(self, tensordict: TensorDict) -> TensorDict:
        """Carry out ``"action"``; the same TensorDict with ``"next"`` filled in."""
        step = self.vector.step(tensordict["action"])
        observation, reward, terminated, truncated, self.infos = step
        tensordict["next"] = self._tensordict(
            observation,
            reward=reward.astype(np.float32),
            terminated=terminated,
            truncated=truncated,
        )
        return tensordict

    def step_and_maybe_reset(self, tensordict: TensorDict) -> tuple[TensorDict, TensorDict]:
        """A step, and what the next one starts from: new episodes where the old ones are done."""
        tensordict = self.step(tensordict)
        following = tensordict["next"].exclude("reward")
        if not self._done.any():
            return tensordict, following
        return tensordict, self._begun(self._done)

    def close(self) -> None:
        """Let go of worlds and renderer."""
        self.vector.close()

    def _begun(self, chosen: NDArray[np.bool_], seed: int | None = None) -> TensorDict:
        """New episodes in the chosen environments [N]."""
        options = None if chosen.all() else {"reset_mask": chosen}
        observation, self.infos = self.vector.reset(seed=seed, options=options)
        never = np.zeros(self.vector.num_envs, np.bool_)
        return self._tensordict(observation, terminated=never, truncated=never.copy())

    def _tensordict(self, observation: dict[str, Any], **outcome: NDArray[Any]) -> TensorDict:
        """Observations and what else a step brings [N], on the device of the former."""
        self._done = outcome["terminated"] | outcome["truncated"]
        columns = {name: values[:, None] for name, values in outcome.items()}
        columns["done"] = self._done[:, None].copy()
        moved = to_tensors(columns, self.vector.config.device)
        return TensorDict({**observation, **moved}, batch_size=[self.vector.num_envs])
