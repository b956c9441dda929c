"""World source: which worlds come when, the same for the same seed."""

import numpy as np
import pytest

from worldfm_envs.world_source import WorldSource
from worldfm_gym.worlds.world import World


@pytest.fixture
def make_world(box_room):
    """A source that counts; the seed is recorded in the world."""

    def make(seed):
        make.calls.append(seed)
        names = ("anchor", "references", "objects", "nav", "nav_problem", "start_c2w")
        return World(**{name: getattr(box_room, name) for name in names}, source={"seed": seed})

    make.calls = []
    return make


def seeds_of(source, resets, seed=0):
    rng = np.random.default_rng(seed)
    seeds = []
    for i in range(resets):
        worlds, index = source.next(rng, restart=i == 0)
        seeds.append(worlds[index].source["seed"])
    return seeds


def test_the_first_world_stays_by_default(make_world):
    source = WorldSource(make_world, world_seed=7)
    assert source.known
    first = source.first()
    assert seeds_of(source, 5) == [7] * 5
    assert source.next(np.random.default_rng(0), restart=True)[0][0] is first[0]
    assert make_world.calls == [7]


def test_new_worlds_come_every_so_many_episodes(make_world):
    seeds = seeds_of(WorldSource(make_world, world_seed=7, new_world_every=2), 6)
    assert seeds[:2] == [7, 7]
    assert seeds[2] == seeds[3] != 7
    assert seeds[4] == seeds[5] != seeds[2]
    assert make_world.calls == [7, seeds[2], seeds[4]]


@pytest.mark.parametrize("new_world_every", [0, 1, 3])
@pytest.mark.parametrize("world_seed", [None, 3])
def test_the_same_seed_gives_the_same_worlds_whatever_came_before(
    make_world, world_seed, new_world_every
):
    options = {"world_seed": world_seed, "new_world_every": new_world_every}
    fresh, used = WorldSource(make_world, **options), WorldSource(make_world, **options)
    seeds_of(used, 4, seed=99)
    assert seeds_of(used, 7, seed=1) == seeds_of(fresh, 7, seed=1)


def test_without_a_world_seed_the_first_world_is_drawn_at_each_seeded_reset(make_world):
    source = WorldSource(make_world, world_seed=None)
    assert not source.known
    first, second = seeds_of(source, 3, seed=1), seeds_of(source, 3, seed=2)
    assert len(set(first)) == len(set(second)) == 1
    assert first != second


def test_several_sources_get_seeds_of_their_own_and_are_all_visited(make_world, box_room):
    source = WorldSource([make_world, box_room, make_world], world_seed=10)
    worlds = source.first()
    assert worlds[1] is box_room
    assert make_world.calls == [10, 12]
    rng = np.random.default_rng(0)
    assert {source.next(rng, restart=False)[1] for _ in range(30)} == {0, 1, 2}
    assert make_world.calls == [10, 12]


def test_a_given_world_is_never_replaced(box_room):
    source = WorldSource(box_room, world_seed=None, new_world_every=1)
    rng = np.random.default_rng(0)
    assert all(source.next(rng, restart=False)[0][0] is box_room for _ in range(3))


def test_new_worlds_reach_the_environment(make_env, make_world):
    env = make_env(world=make_world, new_world_every=2, observations=("pointgoal",))
    env.reset(seed=0)
    first = env.unwrapped.world
    env.reset()
    assert env.unwrapped.world is first
    env.reset()
    assert env.unwrapped.world is not first
    env.step(1)
    assert env.unwrapped.simulator.renderer.worlds == [env.unwrapped.world]
    env.reset(seed=0)
    assert env.unwrapped.world.source["seed"] == first.source["seed"]


def test_a_drawn_world_is_made_at_the_first_reset(make_env, make_world):
    env = make_env(world=make_world, world_seed=None)
    assert make_world.calls == []
    env.reset(seed=4)
    assert len(make_world.calls) == 1


def test_a_procedural_world_can_be_named(make_env):
    env = make_env(world="maze", world_seed=5, renderer="anchor")
    assert env.unwrapped.world.source["seed"] == 5
    assert env.reset(seed=0)[0]["depth"].any()
