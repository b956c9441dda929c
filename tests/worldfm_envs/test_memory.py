"""Nothing grows: neither over resets nor over environments that come and go."""

import gc
import tracemalloc
import weakref
from dataclasses import replace

import gymnasium as gym
import pytest

import worldfm_gym
from worldfm_gym.worlds.world import World

assert worldfm_gym.__version__
GROWTH_BYTES = 64 * 1024  # less than one more float32 map of the smallest world


def grown(cycle, cycles):
    """Bytes of Python and numpy memory that cycles leave behind after a warm-up."""
    tracemalloc.start()
    try:
        for _ in range(20):  # fills what is kept on purpose: the last distance fields of a map
            cycle()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(cycles):
            cycle()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("env_id", ["WorldFM/FreeCamera-v0", "WorldFM/PointNav-v0"])
def test_resets_leave_nothing_behind(make_env, env_id):
    env = make_env(env_id)
    env.action_space.seed(0)

    def cycle():
        env.reset()
        env.step(env.action_space.sample())

    env.reset(seed=0)
    assert grown(cycle, 200) < GROWTH_BYTES


@pytest.mark.parametrize("env_id", ["WorldFM/FreeCamera-v0", "WorldFM/PointNav-v0"])
def test_environments_leave_nothing_behind(box_room, box_room_renderer, env_id):
    def cycle():
        env = gym.make(env_id, world=box_room, renderer=box_room_renderer, width=40, height=40)
        env.reset(seed=0)
        env.close()

    assert grown(cycle, 200) < GROWTH_BYTES


def test_a_closed_environment_lets_go_of_its_simulator(make_env):
    env = make_env()
    env.reset(seed=0)
    simulator = weakref.ref(env.unwrapped.simulator)
    env.close()
    gc.collect()
    assert simulator() is None


def test_worlds_that_were_replaced_are_let_go(box_room, box_room_renderer):
    def copy_of_room(seed):
        return replace(box_room)

    def living():
        gc.collect()
        return sum(isinstance(thing, World) for thing in gc.get_objects())

    env = gym.make(
        "WorldFM/PointNav-v0",
        world=copy_of_room,
        new_world_every=1,
        renderer=box_room_renderer,
        width=40,
        height=40,
    )
    env.reset(seed=0)
    before = living()
    for _ in range(5):
        env.reset()
        env.step(1)
    assert living() == before
    env.close()
    assert living() == before - 1
