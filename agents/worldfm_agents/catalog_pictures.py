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
from worldfm_agents.top_down import TopDownMap
from worldfm_agents.video import contact_sheet, evenly
from worldfm_envs.actions import FORWARD, LEFT, RIGHT, STOP
from worldfm_gym.errors import ConfigError
from worldfm_gym.simulator import Simulator

if TYPE_CHECKING:
    from worldfm_agents.catalog import Entry

_MOMENTS, _COLUMNS, _STEPS = 4, 2, 80
_WORLD, _WORLD_SEED, _EPISODE_SEED = "rooms", 3, 2
_LARGEST_BYTES = 150_000
_VIEWS = 3  # of a team
_NEAR_M, _STEP_M, _TURN = 0.8, 0.3, np.deg2rad(10.0)


def draw_pictures(entries: Sequence[Entry], folder: Path, *, only: Sequence[str] = ()) -> None:
    """Write ``STEM.png`` for these environments, or for `only` some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        if not only or entry.stem in only:
            one = entry.name in gym.registry
            picture = episode_picture(entry.name) if one else team_picture(entry.env_class)
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


def team_picture(env_class: Any, **options: Any) -> NDArray[np.uint8]:
    """Four moments of an episode of several agents: what each sees, and the map, one below another.

    Args:
        env_class: A class of environments of several agents.
        **options: Arguments of the environment that differ from its defaults.
    """
    env = env_class(world=_WORLD, world_seed=_WORLD_SEED, max_cycles=_STEPS, **options)
    env.reset(seed=_EPISODE_SEED)
    simulator = env.task.simulator
    plan = TopDownMap(simulator.worlds[0], width=env.config.width, height=env.config.height)
    team = _Team(simulator, gathers="coverage" not in env.metadata["name"])
    way_xy, moments = [simulator.position_xy.copy()], []
    while env.agents:
        env.step({name: team.act(env.possible_agents.index(name)) for name in env.agents})
        way_xy.append(simulator.position_xy.copy())
        seen = plan.draw(
            np.stack(way_xy)[:, 0],
            float(simulator.yaw[0]),
            others_xy=simulator.position_xy[1:],
            fov_x_deg=simulator.config.fov_x_deg,
        )
        moments.append(np.concatenate([*env.task.frame.rgb[: len(team)], seen], axis=1))
    env.close()
    return contact_sheet(evenly(moments, _MOMENTS), columns=1)


class _Team:
    """Agents who walk to the last one of them, or each from one random place to the next."""

    def __init__(self, simulator: Simulator, *, gathers: bool) -> None:
        self._simulator, self._gathers = simulator, gathers
        self._rng = np.random.default_rng(0)
        self._nav = simulator.worlds[0].require_nav()
        self._goals_xy = simulator.position_xy.copy()

    def __len__(self) -> int:
        return min(self._simulator.num_agents, _VIEWS)

    def act(self, agent: int) -> int:
        """The next discrete action of one of them."""
        simulator, here = self._simulator, self._simulator.position_xy[agent]
        if self._gathers:
            self._goals_xy[agent] = simulator.position_xy[-1]
        elif np.hypot(*(self._goals_xy[agent] - here)) < _NEAR_M:
            self._goals_xy[agent] = self._nav.random_point(self._rng)
        if np.hypot(*(self._goals_xy[agent] - here)) < _NEAR_M:
            return STOP
        if simulator.collided[agent] and self._rng.random() < 0.5:
            return int(self._rng.choice([LEFT, RIGHT]))
        yaw = simulator.yaw[agent] + np.arange(-18, 18) * _TURN
        steps = here + _STEP_M * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        distance = self._nav.geodesic_field(self._goals_xy[agent]).distance(steps)
        turns = int(np.argmin(distance)) - 18
        return FORWARD if abs(turns) <= 1 else LEFT if turns > 0 else RIGHT


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
