"""Demo: a photo and a seed become worlds, and an agent and a camera move in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worldfm_agents.agent import Agent
from worldfm_agents.recording import Recorder
from worldfm_agents.rollout import EpisodeResult, rollout
from worldfm_agents.scripted import OrbitAgent, ShortestPathAgent
from worldfm_agents.step_timer import StepTimer
from worldfm_gym import AgentBody, World, load_world, make_world
from worldfm_gym.data import GARAGE

_GARAGE_BODY = AgentBody(radius_m=0.1, height_m=0.4, step_height_m=0.05)
"""A small robot. It fits past the motorcycle, where a body of the default radius of 18 cm has half
the floor to move on; and from low down it sees more of what the photo shows, which ends at the
horizon of who took it."""

_GARAGE_WALK: dict[str, Any] = {
    "camera_height_m": 0.3,
    "fov_x_deg": 65.0,
    "forward_step_m": 0.1,
    "goal_distance_m": (0.5, 6.0),
}
_GARAGE_MAX_DEPTH_M, _ROOMS_MAX_DEPTH_M = 6.0, 8.0
_EPISODES_WITHIN_M = 4.0  # of where the photo was taken
_GROWTH_VIEWS = 16  # a sixth of the default: enough to see what growth does


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """How long and how large the demo is.

    Attributes:
        seed: Seed of the procedural world and of the episodes.
        episodes: Episodes of point-goal navigation in each world.
        camera_steps: Steps of the free camera in each world.
        width: Width of each camera image in pixels.
        height: Height of each camera image in pixels.
        processes: Build the worlds in that many processes; 1 builds them in this one. Two halve the
            wait of the first run, in which most time goes into compiling kernels.
        gif: Also write a small GIF of each run.
        renderer: Name of what draws.
        expand: Grow the photo's world, so that one can walk all around in it.
    """

    seed: int = 0
    episodes: int = 3
    camera_steps: int = 120
    width: int = 320
    height: int = 240
    processes: int = 2
    gif: bool = False
    renderer: str = "anchor"
    expand: bool = True


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One recorded run.

    Attributes:
        name: World and task; the files are called so.
        world: What it was made of, and what was chosen for it.
        video: The .mp4.
        sheet: The .png of twelve frames.
        steps: Steps made.
        steps_per_second: Steps a second of the environment alone, drawing included, video excluded.
        episodes: Results of point-goal navigation; empty for the free camera.
    """

    name: str
    world: str
    video: Path
    sheet: Path
    steps: int
    steps_per_second: float
    episodes: Sequence[EpisodeResult]


def run_demo(
    folder: str | os.PathLike[str],
    options: DemoOptions | None = None,
    *,
    console: Console | None = None,
) -> list[DemoRun]:
    """Build both worlds, record two runs in each, and leave everything in `folder`.

    Args:
        folder: Created if missing. Gets the worlds ``garage`` and ``rooms``, and an .mp4 and a .png
            for each run; what an earlier demo left there is replaced.
        options: Length and size.
        console: Where the progress bar goes.
    """
    options = options or DemoOptions()
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    jobs: dict[str, Callable[[Path, DemoOptions], None]] = {
        "rooms": _build_rooms,
        "garage": _build_garage,
    }
    with (
        Progress(*columns, console=console or Console()) as progress,
        _executor(options.processes) as pool,
    ):
        bar = progress.add_task("building worlds (first run compiles)", total=len(jobs))
        built = {name: pool.submit(job, out / name, options) for name, job in jobs.items()}
        for future in built.values():
            future.add_done_callback(lambda _: progress.advance(bar))
        studio = _Studio(out, options, progress)
        runs: list[DemoRun] = []
        for name, film in {"rooms": studio.rooms, "garage": studio.garage}.items():
            built[name].result()  # the photo's world may go on growing while the other is filmed
            runs += film(load_world(out / name))
        return runs


def _executor(processes: int) -> Executor:
    """Processes that start afresh: compiled kernels don't survive a fork."""
    if processes > 1:
        return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    return ThreadPoolExecutor(1)


def _build_rooms(folder: Path, options: DemoOptions) -> None:
    """Build the procedural world."""
    make_world("rooms", seed=options.seed).save(folder, overwrite=True)


def _build_garage(folder: Path, options: DemoOptions) -> None:
    """Build the world of the photo, and try it: that compiles what stepping needs meanwhile."""
    world = make_world(GARAGE / "photo.jpg", body=_GARAGE_BODY)
    if options.expand:
        world = world.expand(seed=options.seed, views=_GROWTH_VIEWS)
    world.save(folder, overwrite=True)
    for env in (_walk(world, DemoOptions()), _camera(world, DemoOptions())):
        StepTimer(env).warm_up(seed=options.seed)
        env.close()


def _walk(world: World, options: DemoOptions, **own: Any) -> gym.Env[Any, Any]:
    """Point-goal navigation with the demo's image size."""
    own |= {"width": options.width, "height": options.height, "renderer": options.renderer}
    return gym.make("WorldFM/PointNav-v0", world=world, **own)


def _camera(world: World, options: DemoOptions, **own: Any) -> gym.Env[Any, Any]:
    """The free camera with the demo's image size and length."""
    own |= {"width": options.width, "height": options.height, "renderer": options.renderer}
    own |= {"max_episode_steps": options.camera_steps}
    return gym.make("WorldFM/FreeCamera-v0", world=world, **own)


def episodes_into_view(world: World, count: int, *, seed: int) -> list[dict[str, Any]]:
    """Reset options of episodes that lead away from the camera of a photo, facing what it saw.

    Drawn freely, most starts would face where the photo shows nothing.

    Args:
        world: A world that starts at the photo's camera.
        count: How many.
        seed: Another seed gives other episodes.
    """
    nav = world.require_nav()
    points = nav.random_point(np.random.default_rng(seed), count=64)
    near = np.linalg.norm(points - world.start_c2w[:2, 3], axis=-1) < _EPISODES_WITHIN_M
    points = points[near] if near.sum() >= 2 * count else points
    away = (points - world.start_c2w[:2, 3]) @ world.start_c2w[:2, 2]
    order = np.argsort(away)
    middle = np.median(world.anchor.points[:, :2], axis=0)
    episodes = []
    for start, goal in zip(points[order[:count]], points[order[::-1][:count]], strict=True):
        ahead = middle - start
        yaw = float(np.arctan2(ahead[1], ahead[0]))
        episodes.append({"start_xy": start, "start_yaw": yaw, "goal_xy": goal})
    return episodes


@dataclass(frozen=True, slots=True)
class _Studio:
    """Where runs are recorded, and how."""

    out: Path
    options: DemoOptions
    progress: Progress

    def garage(self, world: World) -> list[DemoRun]:
        """The photo: a camera sways where the photographer stood, a small robot drives in."""
        nav = world.require_nav()
        free_m2 = float(nav.known_free.sum()) * nav.cell_m**2
        photo = "a photo, nothing else" + (", and what grew around it" * self.options.expand)
        robot = (
            f"{photo}: {free_m2:.1f} m² of floor, a robot {200 * nav.body.radius_m:.0f} cm wide "
            f"and {100 * nav.body.height_m:.0f} cm high, episodes that lead into the picture"
        )
        camera = _camera(world, self.options, fov_x_deg=45.0, max_depth_m=_GARAGE_MAX_DEPTH_M)
        start = world.start_c2w.copy()
        start[:3, 3] += 0.2 * start[:3, 2]
        sway = OrbitAgent(radius_m=1.9, arc_deg=20.0, max_speed_mps=0.35)
        walk = _walk(world, self.options, **_GARAGE_WALK, max_depth_m=_GARAGE_MAX_DEPTH_M)
        follower = ShortestPathAgent(walk)
        into = episodes_into_view(world, self.options.episodes, seed=self.options.seed)
        return [
            self._film("garage_camera", photo, camera, sway, [{"c2w": start}]),
            self._film("garage_pointnav", robot, walk, follower, into),
        ]

    def rooms(self, world: World) -> list[DemoRun]:
        """The seed: an agent walks from room to room, a camera looks around."""
        seed = f"seed {self.options.seed} of the procedural apartments"
        walk = _walk(world, self.options, max_depth_m=_ROOMS_MAX_DEPTH_M)
        camera = _camera(world, self.options, fov_x_deg=75.0, max_depth_m=_ROOMS_MAX_DEPTH_M)
        start = {"c2w": world.start_c2w}
        episodes: list[dict[str, Any]] = [{}] * self.options.episodes
        return [
            self._film("rooms_pointnav", seed, walk, ShortestPathAgent(walk), episodes),
            self._film("rooms_camera", seed, camera, OrbitAgent(radius_m=1.2), [start]),
        ]

    def _film(
        self,
        name: str,
        world: str,
        env: gym.Env[Any, Any],
        agent: Agent,
        episodes: Sequence[dict[str, Any]],
    ) -> DemoRun:
        """Play episodes with these reset options and write the video and the contact sheet."""
        bar = self.progress.add_task(name, total=len(episodes))
        timer = StepTimer(env)
        timer.warm_up(seed=self.options.seed)
        stem = self.out / name
        video, sheet = stem.with_suffix(".mp4"), stem.with_suffix(".png")
        results: list[EpisodeResult] = []
        gif = stem.with_suffix(".gif") if self.options.gif else None
        title = name.replace("_", " ")
        with Recorder(env, video=video, sheet=sheet, gif=gif, title=title) as recorder:
            for i, options in enumerate(episodes):
                seed = self.options.seed + i
                results += rollout(
                    timer, agent, episodes=1, seed=seed, reset_options=options, on_frame=recorder
                )
                self.progress.advance(bar)
        env.close()
        return DemoRun(name, world, video, sheet, timer.steps, timer.steps_per_second, results)
