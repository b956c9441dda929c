"""Pictures of the catalog: four moments of an episode of each environment, drawn by `nano`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_agents.agent import Agent
from worldfm_agents.baselines import make_agent
from worldfm_agents.recording import Recorder
from worldfm_agents.rollout import rollout
from worldfm_agents.scripted import OrbitAgent
from worldfm_agents.video import contact_sheet, evenly
from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_agents.catalog import Entry

_MOMENTS, _COLUMNS, _STEPS = 4, 2, 80
_WORLD, _WORLD_SEED, _EPISODE_SEED = "rooms", 3, 2
_LARGEST_BYTES = 150_000


def draw_pictures(entries: Sequence[Entry], folder: Path, *, only: Sequence[str] = ()) -> None:
    """Write ``STEM.png`` for these environments, or for `only` some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if not only or entry.stem in only:
            picture = episode_picture(entry.env_id)
            (folder / f"{entry.stem}.png").write_bytes(small_png(picture))


def episode_picture(env_id: str, **options: Any) -> NDArray[np.uint8]:
    """Four moments of one episode: camera image | depth | map, two by two.

    Args:
        env_id: Whose episode.
        **options: Arguments of the environment that differ from its defaults.
    """
    env = gym.make(
        env_id, world=_WORLD, world_seed=_WORLD_SEED, max_episode_steps=_STEPS, **options
    )
    recorder = Recorder(env, title=type(env.unwrapped).__name__.removesuffix("Env"))
    moments: list[NDArray[np.uint8]] = []
    rollout(
        env,
        _agent(env),
        episodes=1,
        seed=_EPISODE_SEED,
        on_frame=lambda observation, info: moments.append(recorder.compose(info)),
    )
    env.close()
    return contact_sheet(evenly(moments, _MOMENTS), columns=_COLUMNS)


def small_png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG of all colors, or of as many as make it small enough for a repository."""
    image = Image.fromarray(picture)
    for colors in (None, 256, 128, 64, 32):
        file = io.BytesIO()
        fewer = image if colors is None else image.quantize(colors, dither=Image.Dither.NONE)
        fewer.save(file, "PNG", optimize=True)
        if file.tell() <= _LARGEST_BYTES:
            return file.getvalue()
    raise ConfigError(f"a picture of {picture.shape} does not fit into {_LARGEST_BYTES} bytes")


def _agent(env: gym.Env[Any, Any]) -> Agent:
    """Who shows best what there is to do."""
    if env.unwrapped.spec is not None and "FreeCamera" in env.unwrapped.spec.id:
        return OrbitAgent()
    return make_agent("shortest-path", env)
