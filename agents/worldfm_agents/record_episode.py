"""RecordEpisode: a wrapper that films what happens, one video an episode."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

from worldfm_agents.recording import Recorder
from worldfm_agents.video import VideoWriter
from worldfm_envs.base import WorldEnv
from worldfm_gym.errors import ConfigError

_LEAST_SIDE = 192  # pixels of a panel; smaller images are enlarged by a whole factor


class RecordEpisode(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Writes camera image | depth | map from above of each episode to an .mp4.

    Works on every WorldFM environment of one agent, whatever it observes: the pictures are those
    that the renderer drew for it anyway. A file appears when its episode has ended, or when the
    next one begins or the environment is closed.

    Attributes:
        videos: The files written so far.

    Example:
        >>> env = RecordEpisode(gym.make("WorldFM/PointNav-v0"), "films")  # doctest: +SKIP
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        folder: str | os.PathLike[str],
        *,
        episode_trigger: Callable[[int], bool] | None = None,
        name_prefix: str = "episode",
        title: str = "",
        fps: int = 15,
    ) -> None:
        """Wrap an environment.

        Args:
            env: A WorldFM environment, wrapped or not.
            folder: Where the films go, as ``{name_prefix}-{number}.mp4``; created if missing.
            episode_trigger: Tells whether to film an episode, by its number from 0; None films all.
            name_prefix: First part of the files' names.
            title: First words of the caption; default the name of the environment.
            fps: Frames per second.

        Raises:
            ConfigError: If `env` is another environment, or `fps` is not positive.
        """
        gym.utils.RecordConstructorArgs.__init__(
            self,
            folder=folder,
            episode_trigger=episode_trigger,
            name_prefix=name_prefix,
            title=title,
            fps=fps,
        )
        super().__init__(env)
        if fps < 1:
            raise ConfigError(f"fps must be 1 or more, got {fps}")
        inner = env.unwrapped
        if not isinstance(inner, WorldEnv):
            raise ConfigError(f"RecordEpisode films WorldFM environments, got {inner}")
        self._pictures = Recorder(
            env,
            title=title or type(inner).__name__.removesuffix("Env"),
            zoom=-(-_LEAST_SIDE // inner.config.height),
        )
        self._folder = Path(folder)
        self._trigger = episode_trigger
        self._prefix = name_prefix
        self._fps = fps
        self._writer: VideoWriter | None = None
        self._number = -1
        self.videos: list[Path] = []

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset; what was being filmed is finished."""
        self._finish()
        observation, info = self.env.reset(**kwargs)
        self._number += 1
        if self._trigger is None or self._trigger(self._number):
            self._writer = VideoWriter(self._path, fps=self._fps)
            self._film(info)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and film it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._film(info)
        if terminated or truncated:
            self._finish()
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Finish the film and close the environment."""
        self._finish()
        super().close()

    @property
    def _path(self) -> Path:
        """The file of the episode that runs."""
        return self._folder / f"{self._prefix}-{self._number}.mp4"

    def _film(self, info: dict[str, Any]) -> None:
        """Append the picture of now, if this episode is filmed."""
        if self._writer is not None:
            self._writer.add(self._pictures.compose(info))

    def _finish(self) -> None:
        """Write the file that is open, if any."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None, None, None)
            self.videos.append(self._path)
