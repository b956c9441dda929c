"""WorldVectorEnv: the Gymnasium vector environment of N agents, one simulator underneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from worldfm_envs.base import WorldEnv
from worldfm_envs.batch import EnvBatch
from worldfm_envs.config import WorldConfig
from worldfm_envs.task import Task, to_numpy
from worldfm_envs.vector_info import as_info, final_info, merged_info
from worldfm_gym.errors import ActionError, ConfigError
from worldfm_gym.simulator import Simulator

Output = Literal["numpy", "torch"]
BoolArray = NDArray[np.bool_]


class WorldVectorEnv(VectorEnv[dict[str, Any], Any, NDArray[Any]]):
    """N environments stepped together: one collision pass, one raster and one network call a step.

    Made by ``gymnasium.make_vec(id, num_envs=N, ...)`` with the arguments of the single
    environment and those below. Environment i does, bit for bit, what the single one does for the
    same seed (with the frame model, if its renderer is deterministic; see
    `worldfm_gym.frame_renderer`), in any of Gymnasium's three autoreset modes.

    With ``output="torch"`` observations are tensors. Where the renderer draws on a GPU they stay
    there: images are never copied to the host, the other entries go over together in one
    asynchronous copy, and nothing waits for the device. On a CPU they share memory with the arrays
    they are made of. Rewards, ends and infos are NumPy arrays in any case: they come from geometry,
    which is computed on the CPU, and the host can act on them at once. Actions may be tensors.

    A subclass names its single environment, `Env`.
    """

    Env: ClassVar[type[WorldEnv[Any]]]

    def __init__(
        self,
        num_envs: int = 1,
        config: WorldConfig | None = None,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        output: Output = "numpy",
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Set up N environments.

        Args:
            num_envs: N.
            config: Their configuration; None takes the defaults.
            max_episode_steps: Episodes are truncated after so many steps; None or -1 never.
            autoreset_mode: ``"NextStep"``, ``"SameStep"`` or ``"Disabled"``, as Gymnasium's
                `SyncVectorEnv` does them.
            output: Kind of observations, ``"numpy"`` or ``"torch"``.
            render_mode: None or ``"rgb_array"``.
            **options: Fields of the configuration to set.

        Raises:
            ConfigError: If an option makes no sense.
            NavigationError: If a world has no floor to walk on, and the task needs one.
        """
        if num_envs < 1:
            raise ConfigError(f"num_envs must be at least 1, got {num_envs}")
        if output not in ("numpy", "torch"):
            raise ConfigError(f"output must be 'numpy' or 'torch', got {output!r}")
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(
                f"render_mode of a vector environment must be None or 'rgb_array', "
                f"got {render_mode!r}"
            )
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        make_config = self.Env.Config.from_options
        self.config = make_config(options) if config is None else replace(config, **options)
        self.num_envs = num_envs
        self.output = output
        self.render_mode = render_mode
        self.metadata = {
            **self.Env.metadata,
            "render_modes": ["rgb_array"],
            "autoreset_mode": self.autoreset_mode,
        }
        self._batch: EnvBatch | None = EnvBatch(self.config, num_envs)
        self.single_action_space = self._batch.action_space
        self.single_observation_space = self._batch.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._limit = -1 if max_episode_steps is None else max_episode_steps
        self._rngs: list[np.random.Generator | None] = [None] * num_envs
        self._rng_seeds: list[int] = [-1] * num_envs
        self._elapsed = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, np.bool_)
        self._started = np.zeros(num_envs, np.bool_)

    @property
    def task(self) -> Task:
        """The batched task: goals, metrics and, as `task.simulator`, the simulator."""
        return self._open().task

    @property
    def simulator(self) -> Simulator:
        """The simulator, with one agent per environment."""
        return self.task.simulator

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generators of the environments."""
        return tuple(self._rng(env) for env in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the environments' generators."""
        return tuple(self._rng_seeds[env] for env, _ in enumerate(self.np_random))

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: Environment i gets ``seed + i``, or the i-th of a list; None goes on with the
                generator that it has.
            options: Reset options of the single environment, the same for all; besides, bool [N]
                ``"reset_mask"`` names the environments to reset, the others stay as they are.
        """
        batch = self._open()
        given = dict(options or {})
        chosen = self._chosen(given.pop("reset_mask", None))
        envs = np.flatnonzero(chosen)
        self._begin(envs, _seeds(seed, self.num_envs), given)
        if chosen.all():
            observation = self._observe(batch.task)
        else:
            observation = self._delivered(batch.task.observe_again(envs, tensors=self._tensors))
        return observation, as_info(batch.task.info(), chosen)

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Carry out one action per environment [N, …] and reset as the autoreset mode says.

        Raises:
            ActionError: If an action is misshapen, not finite or outside its space; nothing moved.
            ResetNeeded: If `reset` is due.
        """
        task = self._open().task
        due = self._due()
        outcome = task.advance(self._checked_actions(actions, due))
        self._elapsed += 1
        reward = np.where(due, 0.0, outcome.reward)
        terminated = outcome.terminated & ~due
        truncated = (self._limit >= 0) & (self._elapsed >= self._limit) & ~due
        ended = terminated | truncated
        again = ended if self.autoreset_mode is AutoresetMode.SAME_STEP else due
        if not again.any():
            info = as_info(outcome.info, np.ones(self.num_envs, np.bool_))
        else:
            last = {}
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                last = self._final(task, np.flatnonzero(ended), outcome.info)
            self._begin(np.flatnonzero(again), [None] * self.num_envs, {})
            info = {**last, **merged_info(outcome.info, task.info(), again)}
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            self._ended = ended
        return self._observe(task), reward, terminated, truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The camera images [H, W, 3] of now, one per environment, in mode ``"rgb_array"``."""
        task = self._open().task
        if self.render_mode is None:
            return None
        if task.frame is None:
            raise ResetNeeded("render() before reset(): there is nothing to show yet")
        return tuple(np.array(to_numpy(task.frame).rgb))

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of worlds and renderer."""
        self._batch = None

    def _open(self) -> EnvBatch:
        if self._batch is None:
            raise ClosedEnvironmentError("this environment is closed: make a new one")
        return self._batch

    def _rng(self, env: int) -> np.random.Generator:
        rng = self._rngs[env]
        if rng is None:
            rng, self._rng_seeds[env] = seeding.np_random()
            self._rngs[env] = rng
        return rng

    def _begin(
        self, envs: NDArray[np.int64], seeds: Sequence[int | None], options: Mapping[str, Any]
    ) -> None:
        """Start an episode in some environments."""
        chosen = envs.tolist()
        for env in chosen:
            if seeds[env] is not None:
                self._rngs[env], self._rng_seeds[env] = seeding.np_random(seeds[env])
        self._started[envs] = False  # if the next line raises
        self._open().begin(
            chosen,
            [self._rng(env) for env in chosen],
            restart=[seeds[env] is not None for env in chosen],
            options=options,
        )
        self._elapsed[envs] = 0
        self._ended[envs] = False
        self._started[envs] = True

    def _due(self) -> BoolArray:
        """Which environments this step resets instead of stepping them."""
        if not self._started.all():
            raise ResetNeeded("step() before reset(): call reset() first")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeeded(
                f"the episodes of environments {np.flatnonzero(self._ended).tolist()} have ended: "
                "call reset(options={'reset_mask': terminated | truncated}), or choose another "
                "autoreset_mode"
            )
        return self._ended.copy()

    def _chosen(self, mask: Any) -> BoolArray:
        """The environments that a reset is for."""
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(f"options['reset_mask'] must be a bool numpy array, got {mask!r}")
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must have shape ({self.num_envs},) and choose at least one "
                f"environment, got {mask!r}"
            )
        missing = ~(mask | self._started)
        if missing.any():
            raise ResetNeeded(
                f"environments {np.flatnonzero(missing).tolist()} have not begun: the first "
                "reset() must be of all"
            )
        return mask

    def _checked_actions(self, actions: Any, due: BoolArray) -> Any:
        """Actions on the host, one per environment; those that are not carried out are zero."""
        if not isinstance(actions, np.ndarray) and hasattr(actions, "detach"):
            actions = actions.detach().cpu().numpy()
        array = np.asarray(actions)
        if array.shape[:1] != (self.num_envs,):
            raise ActionError(
                f"actions must be an array of {self.num_envs}, one per environment, "
                f"got shape {array.shape}"
            )
        if due.any():
            array = array.copy()
            array[due] = 0
        return array

    def _final(
        self, task: Task, envs: NDArray[np.int64], info: Mapping[str, NDArray[Any]]
    ) -> dict[str, Any]:
        """What an episode that ends here shows last, before its environment is reset."""
        readings = self._delivered(task.observe_some(envs, tensors=self._tensors))
        observation = [{name: r[i] for name, r in readings.items()} for i in range(len(envs))]
        return final_info(observation, info, envs, self.num_envs)

    @property
    def _tensors(self) -> bool:
        return self.output == "torch"

    def _observe(self, task: Task) -> dict[str, Any]:
        return self._delivered(task.observe(tensors=self._tensors))

    def _delivered(self, observation: dict[str, Any]) -> dict[str, Any]:
        """The observation in the kind asked for."""
        if not self._tensors:
            return observation
        from worldfm_envs.vector_tensors import to_tensors

        return to_tensors(observation, self.config.device)


def _autoreset_mode(given: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(given)
    except ValueError:
        raise ConfigError(
            f"autoreset_mode must be one of {[mode.value for mode in AutoresetMode]}, got {given!r}"
        ) from None


def _seeds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    """A seed or None for each environment."""
    if seed is None:
        return [None] * count
    if isinstance(seed, int | np.integer):
        return [int(seed) + env for env in range(count)]
    seeds = list(seed)
    if len(seeds) != count:
        raise ValueError(f"seeds must be {count}, one per environment, got {len(seeds)}")
    return seeds
