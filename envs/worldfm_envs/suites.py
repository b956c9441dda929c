"""Suites: how sets of episodes are drawn, and the four that come with the package.

``python -m worldfm_envs.suites`` draws those again; the same release draws the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import worldfm_gym
from worldfm_envs.base import WorldEnv
from worldfm_envs.episode_set import SUITES_FOLDER, EpisodeSet, StoredEpisode
from worldfm_envs.episodes import difficulty_of
from worldfm_gym.camera import Camera
from worldfm_gym.data import GARAGE
from worldfm_gym.errors import ConfigError, NavigationError
from worldfm_gym.frame import Frame
from worldfm_gym.worlds.world import World

FIRST_SEED = 1_000_000_000
"""Suites have the worlds from this seed on; whoever trains takes worlds below it."""

_POSITION_DIGITS, _ANGLE_DIGITS, _POSE_DIGITS = 4, 6, 9
_TRIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRecipe:
    """What a bundled suite is drawn from; see `generate_episodes`.

    Attributes:
        description: What it is, for people.
        source: Source of its worlds.
        seeds: Seeds of its worlds; ``(None,)`` for a source that takes none.
        per_world: Episodes in each world.
        config: Arguments of the environment that differ from its defaults.
    """

    description: str
    source: str | Path
    seeds: Sequence[int | None]
    per_world: int
    config: Mapping[str, Any] = field(default_factory=dict)


SUITES = {
    "rooms-val": SuiteRecipe(
        description="Furnished apartments, with the defaults of WorldFM/PointNav-v0.",
        source="rooms",
        seeds=range(FIRST_SEED, FIRST_SEED + 20),
        per_world=5,
    ),
    "maze-val": SuiteRecipe(
        description="Mazes, with the defaults of WorldFM/PointNav-v0.",
        source="maze",
        seeds=range(FIRST_SEED, FIRST_SEED + 20),
        per_world=5,
    ),
    "factory-val": SuiteRecipe(
        description="Factory halls, with the defaults of WorldFM/PointNav-v0.",
        source="factory",
        seeds=range(FIRST_SEED, FIRST_SEED + 10),
        per_world=10,
    ),
    "photo-val": SuiteRecipe(
        description=(
            "One real photo with measured depth: the garage that comes with the package, for a "
            "robot 20 cm wide and 40 cm high."
        ),
        source=GARAGE,
        seeds=(None,),
        per_world=50,
        config={
            "agent_radius_m": 0.1,
            "agent_height_m": 0.4,
            "camera_height_m": 0.3,
            "fov_x_deg": 65.0,
            "forward_step_m": 0.1,
            "goal_distance_m": [1.0, 6.0],
        },
    ),
}
"""The bundled suites, all for ``WorldFM/PointNav-v0``, by name."""


def generate_episodes(
    name: str,
    env_id: str = "WorldFM/PointNav-v0",
    *,
    source: str | Path,
    seeds: Sequence[int | None],
    per_world: int,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    description: str = "",
) -> EpisodeSet:
    """Draw episodes as the environment draws them, and write down what fixes each.

    Numbers are rounded to a tenth of a millimetre first, and the distance is that of the rounded
    episode, so what a file says is exactly what an environment does with it.

    Args:
        name: Name of the set.
        env_id: Whose episodes.
        source: Source of the worlds.
        seeds: Seeds of the worlds; ``(None,)`` where the source takes none.
        per_world: Episodes in each world.
        seed: Another seed draws other episodes in the same worlds.
        config: Arguments of the environment that differ from its defaults.
        description: What the set is, for people.

    Raises:
        ConfigError: If there is nothing to draw, or the task has no reset option to write down.
        NavigationError: If a world has no such episode.
    """
    if per_world < 1 or not seeds:
        raise ConfigError(f"{name}: needs one world and one episode or more")
    config = dict(config or {})
    episodes: list[StoredEpisode] = []
    for world_seed in seeds:
        env = gym.make(
            env_id,
            world=source,
            world_seed=0 if world_seed is None else world_seed,
            renderer=BlankRenderer,
            width=16,
            height=16,
            **config,
        )
        inner = env.unwrapped
        if not isinstance(inner, WorldEnv):
            raise ConfigError(f"episodes are drawn from WorldFM environments, got {env_id}")
        rng = np.random.default_rng([seed, world_seed or 0])
        for _ in range(per_world):
            options = _draw(inner, rng)
            distance_m, difficulty = _way(inner)
            episodes.append(
                StoredEpisode(
                    id=f"{len(episodes):04d}",
                    source=source,
                    seed=world_seed,
                    options=options,
                    geodesic_distance_m=distance_m,
                    difficulty=difficulty,
                )
            )
        env.close()
    return EpisodeSet(
        name=name,
        env_id=env_id,
        config=config,
        episodes=tuple(episodes),
        description=description,
    )


class BlankRenderer:
    """Draws nothing, at once: for agents and tools that look at geometry only."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self.worlds = list(worlds)

    def replace_world(self, scene: int, world: World) -> None:
        """Take over another world."""
        self.worlds[scene] = world

    def render(self, cameras: Camera, scene: Any, *, object_poses: Any = None) -> Frame:
        """Black images, in which there is nothing."""
        shape = (len(cameras.c2w), cameras.height, cameras.width)
        return Frame(
            np.zeros((*shape, 3), np.uint8),
            np.zeros(shape, np.float32),
            np.full(shape, -1, np.int32),
            np.zeros(shape, np.uint8),
            cameras,
        )


def _draw(env: WorldEnv[Any], rng: np.random.Generator) -> dict[str, Any]:
    """Put `env` into a new episode; returns the reset options that lead there."""
    for _ in range(_TRIES):
        env.reset(seed=int(rng.integers(2**31)))
        options = _options(env)
        if not options:
            raise ConfigError(f"{type(env).__name__} has no reset option that fixes an episode")
        try:
            env.reset(seed=0, options=options)
        except NavigationError:
            continue  # rounding put a point into a wall
        return options
    raise NavigationError(f"found no episode in {env.world.source} that survives rounding")


def _way(env: WorldEnv[Any]) -> tuple[float | None, str | None]:
    """Geodesic distance in metres and difficulty of the episode that `env` is in, if it leads."""
    episodes = getattr(env.task, "episodes", None)
    if episodes is None:
        return None, None
    (episode,) = episodes
    straight_m = episode.goal.straight_m(episode.start_xy)
    difficulty = difficulty_of(episode.distance_m, straight_m)
    return round(episode.distance_m, _POSITION_DIGITS), difficulty


def _options(env: WorldEnv[Any]) -> dict[str, Any]:
    """The reset options that fix the episode that `env` is in, with rounded numbers."""
    simulator = env.simulator
    known = {
        "start_xy": simulator.position_xy,
        "start_yaw": simulator.yaw,
        "c2w": simulator.c2w,
        **env.task.goals,
    }
    names = [name for name in env.config.RESET_OPTIONS if name in known]
    return {name: _rounded(known[name][0]) for name in names}


def _rounded(value: Any) -> Any:
    """A number or an array of numbers as JSON has them."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        # A matrix is a pose, whose rotation has to stay one.
        digits = (_ANGLE_DIGITS, _POSITION_DIGITS, _POSE_DIGITS)[array.ndim]
        array = np.round(array.astype(np.float64), digits)
    return array.tolist()


def main() -> None:
    """Draw the bundled suites and write their files."""
    for name, recipe in SUITES.items():
        episodes = generate_episodes(
            name,
            source=recipe.source,
            seeds=recipe.seeds,
            per_world=recipe.per_world,
            config=recipe.config,
            description=recipe.description,
        )
        episodes.save(SUITES_FOLDER / f"{name}.json")
        ways = [e.geodesic_distance_m or 0.0 for e in episodes]
        print(f"{name}: {len(episodes)} episodes, {min(ways):.1f}…{max(ways):.1f} m")


if __name__ == "__main__":
    assert worldfm_gym.__version__  # importing it registers the environments
    main()
