"""The polar memory: where it thinks it is, what its maps hold, how views turn."""

import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym  # noqa: F401
from worldfm_agents.ppo_memory import ANGLES, CELL_M, FREE, RINGS, SOLID, PolarMemory
from worldfm_envs.actions import FORWARD, LEFT, RIGHT

SIDE = 64
ROOM_XY = np.array([6.0, 4.0])
OBJECTS = np.array([[2.6, 1.6, 3.4, 2.4], [5.3, 2.9, 5.9, 3.9]])  # crate and cabinet: low, high xy


@pytest.fixture
def env(box_room, box_room_renderer):
    return gym.make(
        "WorldFM/PointNav-v0",
        world=box_room,
        renderer=box_room_renderer,
        observations=["depth", "pointgoal"],
        width=SIDE,
        height=SIDE,
    )


def walk(env, memory: PolarMemory, *, seed: int, steps: int):
    """Wander through an episode; the last view, and where the map's origin and axes lie."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    origin, yaw = env.unwrapped.task.goal_xy[0].copy(), float(env.unwrapped.simulator.yaw[0])
    action, every = None, np.zeros(1, np.int64)
    for step in range(steps + 1):
        view, moved = memory.look(
            every, observation["depth"][None], observation["pointgoal"][None], action
        )
        if step < steps:
            action = rng.choice([FORWARD, LEFT, RIGHT], size=1, p=[0.4, 0.4, 0.2])
            observation = env.step(int(action[0]))[0]
    return view, moved, observation, (origin, yaw)


def in_room(xy, origin, yaw):
    """Map points [..., 2] in the world."""
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    return xy @ turn.T + origin


def centers(kind, memory):
    """Centers of the cells of a kind, near the origin, on the map."""
    y, x = np.nonzero(memory.cells[0] == kind)
    xy = np.stack([x, y], axis=-1)
    return (np.where(xy > 127, xy - 256, xy) + 0.5) * CELL_M


def outside(xy, low, high):
    """Distance of points to an upright box; negative inside."""
    return np.maximum(low - xy, xy - high).max(-1)


@pytest.mark.parametrize("seed", [0, 1])
def test_pointgoal_and_turns_tell_where_the_agent_is(env, seed: int) -> None:
    memory = PolarMemory(1, image_shape=(SIDE, SIDE))
    *_, (origin, yaw) = walk(env, memory, seed=seed, steps=60)
    simulator = env.unwrapped.simulator
    np.testing.assert_allclose(
        in_room(memory.pose[0, :2], origin, yaw), simulator.position_xy[0], atol=1e-5
    )
    turned = memory.pose[0, 2] + yaw - simulator.yaw[0]
    assert abs((turned + np.pi) % (2 * np.pi) - np.pi) < 1e-6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_map_is_the_room(env, seed: int) -> None:
    memory = PolarMemory(1, image_shape=(SIDE, SIDE))
    *_, (origin, yaw) = walk(env, memory, seed=seed, steps=80)
    solid = in_room(centers(SOLID, memory), origin, yaw)
    free = in_room(centers(FREE, memory), origin, yaw)
    assert len(solid) > 100
    assert len(free) * CELL_M**2 > 3
    # Half a cell's diagonal, half a level of depth and of a pixel's width.
    to_walls = np.abs(outside(solid, np.zeros(2), ROOM_XY))
    to_objects = np.array([outside(solid, box[:2], box[2:]) for box in OBJECTS])
    assert np.minimum(to_walls, np.maximum(to_objects, 0).min(0)).max() < 0.2
    assert outside(free, np.zeros(2), ROOM_XY).max() < 0.12
    assert min(outside(free, box[:2], box[2:]).min() for box in OBJECTS) > -0.15


def test_a_turn_shifts_the_view(env) -> None:
    memory = PolarMemory(1, image_shape=(SIDE, SIDE))
    before, _, observation, _ = walk(env, memory, seed=0, steps=60)
    goal = observation["pointgoal"][None].copy()
    goal[0, 1] -= np.deg2rad(10)
    nothing = np.zeros((1, SIDE, SIDE, 1), np.uint8)
    after, moved = memory.look(np.zeros(1, np.int64), nothing, goal, np.array([LEFT]))
    assert moved[0] == pytest.approx(0.0, abs=1e-5)
    shifted = np.roll(before, -2, axis=2).astype(int)
    # A sample on the border of two cells may fall to the other one.
    assert np.mean(np.abs(after.astype(int) - shifted) > 8) < 0.02
    assert np.mean(np.abs(after.astype(int) - before) > 8) > 0.1


def test_the_goal_shows_in_its_bin() -> None:
    memory = PolarMemory(1, image_shape=(SIDE, SIDE))
    nothing = np.zeros((1, SIDE, SIDE, 1), np.uint8)
    goal = np.array([[20.0, np.deg2rad(30)]], np.float32)
    view, _ = memory.look(np.zeros(1, np.int64), nothing, goal)
    goalward = view[0, 3].astype(int)
    assert abs(goalward.argmax(0) - 6).max() <= 1  # 30° of 5° each, at any distance
    assert goalward[6].min() >= 252
    assert goalward[6 + ANGLES // 2].max() <= 2


def test_what_blocks_a_step_is_solid() -> None:
    memory = PolarMemory(1, image_shape=(SIDE, SIDE))
    nothing, every = np.zeros((1, SIDE, SIDE, 1), np.uint8), np.zeros(1, np.int64)
    goal = np.array([[3.0, 0.0]], np.float32)
    before, _ = memory.look(every, nothing, goal)
    after, _ = memory.look(every, nothing, goal, np.array([FORWARD]))
    assert before[0, 0].max() == 0
    angle, ring = np.nonzero(after[0, 0])
    assert np.minimum(angle, ANGLES - angle).max() <= 5
    assert ring.max() < RINGS // 4


def test_agents_do_not_share_memories() -> None:
    rng = np.random.default_rng(0)
    depth = rng.integers(0, 256, (6, 3, 16, 16, 1)).astype(np.uint8)
    goal = rng.uniform(0.5, 3.0, (6, 3, 2)).astype(np.float32)
    actions = rng.integers(1, 4, (6, 3))
    together = PolarMemory(3, image_shape=(16, 16))
    alone = [PolarMemory(1, image_shape=(16, 16)) for _ in range(3)]
    for t in range(6):
        done = None if t == 0 else actions[t]
        views, _ = together.look(np.arange(3), depth[t], goal[t], done)
        for i, memory in enumerate(alone):
            own = None if done is None else done[[i]]
            view, _ = memory.look(np.zeros(1, np.int64), depth[t, [i]], goal[t, [i]], own)
            np.testing.assert_array_equal(view[0], views[i])
    together.forget(np.array([1]))
    assert not together.cells[1].any()
    assert together.cells[0].any()
    assert together.cells[2].any()
