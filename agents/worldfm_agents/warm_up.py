"""Warm-up: compile every kernel once and keep it, so that the first world need not wait."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldfm_gym import World


def warm_up() -> float:
    """Compile what environments on procedural and photo worlds use, with and without frame model.

    Two processes share the work. Numba keeps the result beside the package, or in NUMBA_CACHE_DIR.

    Returns:
        Seconds it took; a few if everything was compiled already.
    """
    started = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for job in [pool.submit(_draw_a_scene), pool.submit(_walk_in_a_photo)]:
            job.result()
    return time.perf_counter() - started


def _draw_a_scene() -> None:
    """Ray casting, sampling, building a world or scan, the frame model and the tasks."""
    import numpy as np

    from worldfm_gym import make_world
    from worldfm_gym.anchor.pyramid import build_pyramid
    from worldfm_gym.renderer import make_renderer
    from worldfm_gym.worlds.consistency import sightings
    from worldfm_gym.worlds.fusion import PosedFrame

    world = make_world("rooms", seed=0, spacing_m=0.3, references=1)
    build_pyramid(world.anchor, world.objects)
    first = world.references[0]
    sightings(world.anchor, PosedFrame(first.rgb, first.depth, first.camera, "reference"))
    # From where a reference was taken, so that it counts; then without any.
    camera = first.camera[None]
    for drawn in (world, replace(world, references=[])):
        make_renderer("frame", [drawn]).render(camera, np.zeros(1, np.int64))
    _step_every_environment(world)


def _step_every_environment(world: World) -> None:
    """What tasks and their sensors compute."""
    import gymnasium as gym

    from worldfm_gym.registration import ENTRY_POINTS

    for env_id in ENTRY_POINTS:
        env = gym.make(env_id, world=world, renderer="anchor", width=64, height=64)
        env.reset(seed=0)
        env.action_space.seed(0)
        env.step(env.action_space.sample())
        env.close()


def _walk_in_a_photo() -> None:
    """Depth of a photo, navigation, collision, the raster, sensors of both environments, growth."""
    import gymnasium as gym

    from worldfm_gym import AgentBody, make_world
    from worldfm_gym.data import GARAGE

    world = make_world(
        GARAGE / "photo.jpg", body=AgentBody(radius_m=0.1, height_m=0.4, step_height_m=0.05)
    )
    walk = gym.make("WorldFM/PointNav-v0", world=world, goal_distance_m=(0.3, 9.0))
    fly = gym.make("WorldFM/FreeCamera-v0", world=world)
    for env in (walk, fly):
        env.reset(seed=0)
        env.action_space.seed(0)
        env.step(1 if env is walk else env.action_space.sample())
        env.close()
    nav = world.require_nav()
    nav.shortest_path(*nav.random_point(walk.unwrapped.np_random, count=2))
    world.expand(views=8, reach_m=0.5)
