"""WorldEnv: the Gymnasium environment of one agent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from numpy.typing import NDArray

from worldfm_envs.batch import EnvBatch
from worldfm_envs.config import WorldConfig
from worldfm_envs.task import Task, one_of
from worldfm_envs.window import Window, open_window
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator
from worldfm_gym.worlds.world import World

Observation = dict[str, NDArray[Any]]
TaskT = TypeVar("TaskT", bound=Task)


class WorldEnv(gym.Env[Observation, Any], Generic[TaskT]):
    """One agent in one world: the case N = 1 of `EnvBatch`.

    A subclass names its configuration class and describes itself; the task does the rest.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array", "human"],
        "render_fps": 30,
    }
    Config: ClassVar[type[WorldConfig]]

    def __init__(
        self, config: WorldConfig | None = None, *, render_mode: str | None = None, **options: Any
    ) -> None:
        """Set up an environment.

        Args:
            config: Its configuration; None takes the defaults.
            render_mode: None, ``"rgb_array"`` or ``"human"``.
            **options: Fields of the configuration to set.

        Raises:
            ConfigError: If an option makes no sense.
            NavigationError: If a world has no floor to walk on, and the task needs one.
        """
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(
                f"render_mode must be None or one of {self.metadata['render_modes']}, "
                f"got {render_mode!r}"
            )
        config = self.Config.from_options(options) if config is None else replace(config, **options)
        self.config = config
        self.render_mode = render_mode
        self._batch: EnvBatch | None = EnvBatch(config)
        self.action_space = self._batch.action_space
        self.observation_space = self._batch.observation_space  # type: ignore[assignment]
        self._stepping = False
        self._window: Window | None = None
        if render_mode == "human":
            self._window = open_window(title=type(self).__name__, fps=self.metadata["render_fps"])

    @property
    def task(self) -> TaskT:
        """The batched task, with N = 1: goals, metrics and, as `task.simulator`, the simulator."""
        if self._batch is None:
            raise ClosedEnvironmentError("this environment is closed: make a new one")
        return self._batch.task  # type: ignore[return-value]

    @property
    def simulator(self) -> Simulator:
        """The simulator, with one agent."""
        return self.task.simulator

    @property
    def world(self) -> World:
        """The world that the agent is in."""
        simulator = self.simulator
        return simulator.worlds[int(simulator.scene[0])]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a new episode.

        Args:
            seed: Seeds the environment's generator; None goes on with it.
            options: What is not to be random; see the class's docstring. Every environment takes
                ``"edits"``, changes of objects (`worldfm_envs.counterfactual`), and, if it has an
                episode set, ``"episode"``, the number of one.
        """
        if self._batch is None:
            raise ClosedEnvironmentError("reset() after close(): make a new environment")
        super().reset(seed=seed)
        self._stepping = False  # if the next line raises
        self._batch.begin([0], [self.np_random], restart=[seed is not None], options=options)
        self._stepping = True
        task = self._batch.task
        return self._observation(task), one_of(task.info(), 0)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carry out one action; never truncates by itself, `gymnasium.make` adds the time limit."""
        if not self._stepping or self._batch is None:
            raise self._order_error()
        task = self._batch.task
        outcome = task.advance([action])
        terminated = bool(outcome.terminated[0])
        self._stepping = not terminated
        observation = self._observation(task)
        return observation, float(outcome.reward[0]), terminated, False, one_of(outcome.info, 0)

    def render(self) -> NDArray[np.uint8] | None:
        """The camera image [H, W, 3] of now in mode ``"rgb_array"``, else None."""
        if self._batch is None:
            raise ClosedEnvironmentError("render() after close(): make a new environment")
        if self.render_mode is None:
            gym.logger.warn(
                "render() without a render mode: pass render_mode='rgb_array' to gymnasium.make"
            )
            return None
        if not self._batch.started or self._batch.task.frame is None:
            raise ResetNeeded("render() before reset(): there is nothing to show yet")
        if self.render_mode == "human":
            return None  # reset and step have shown the frame already
        return np.array(self._batch.task.frame.rgb[0])

    def close(self) -> None:
        """Let go of worlds, renderer and window; closing twice does nothing."""
        self._stepping = False
        self._batch = None
        if self._window is not None:
            self._window.close()
            self._window = None

    def _observation(self, task: Task) -> Observation:
        batch = task.observe()
        if self._window is not None and task.frame is not None:
            self._window.show(task.frame.rgb[0])
        return {name: reading[0] for name, reading in batch.items()}

    def _order_error(self) -> Exception:
        if self._batch is None:
            return ClosedEnvironmentError("step() after close(): make a new environment")
        return ResetNeeded("step() before reset(), or after the episode ended: call reset() first")
