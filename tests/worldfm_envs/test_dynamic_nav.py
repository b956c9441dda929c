"""Robots in the way: they move on free floor, count when met, and leave the task as it was."""

import numpy as np
import pytest

from worldfm_envs.actions import FORWARD, LEFT, STOP
from worldfm_gym.errors import ConfigError
from worldfm_gym.object_motion import Patrol

ID = "WorldFM/DynamicNav-v0"
STRAIGHT = {"start_xy": (1.0, 1.0), "start_yaw": 0.0, "goal_xy": (2.6, 1.0)}


def movers(env):
    """Positions of the robots, [K, 2]."""
    task = env.unwrapped.task
    return task.simulator.object_poses[0, task._first_mover[0] :, :2, 3].copy()


def test_robots_go_at_their_speed_over_free_floor(make_env, box_room):
    env = make_env(ID, num_movers=3, mover_speed_mps=0.8)
    env.reset(seed=0)
    assert env.unwrapped.simulator.object_present.all()
    before = movers(env)
    assert before.shape == (3, 2)
    for _ in range(40):
        env.step(LEFT)
        now = movers(env)
        way = np.hypot(*(now - before).T)
        assert (way <= 0.8 * 0.25 + 1e-9).all()
        assert box_room.nav.is_navigable(now).all()
        before = now
    assert way.max() == pytest.approx(0.2, abs=0.05)


def test_robots_start_apart_and_differ_by_episode(make_env):
    env = make_env(ID, num_movers=2)
    starts = []
    for seed in range(6):
        env.reset(seed=seed)
        starts.append(movers(env))
        position = env.unwrapped.simulator.position_xy[0]
        assert (np.hypot(*(starts[-1] - position).T) >= 1.0).all()
    assert len({tuple(np.round(s.ravel(), 6)) for s in starts}) == 6
    seed = int(env.unwrapped.task.goals["mover_seed"][0])
    start = env.unwrapped.simulator.position_xy[0].copy()
    env.reset(options={"start_xy": start, "mover_seed": seed})
    np.testing.assert_array_equal(movers(env), starts[-1])


def meet(env):
    """What the steps of walking into a robot that comes towards the agent return."""
    env.reset(options=STRAIGHT)
    simulator = env.unwrapped.simulator
    robot = env.unwrapped.world.objects[-1]
    simulator.set_object_motion(
        0, {robot.instance: Patrol([(2.2, 1.0, 0.5), (1.0, 1.0, 0.5)], speed_mps=0.5)}
    )
    steps = [env.step(FORWARD)]
    while len(steps) < 4 and not steps[-1][2]:
        steps.append(env.step(FORWARD))
    return steps


def test_meeting_a_robot_counts_and_costs(make_env):
    steps = meet(make_env(ID, num_movers=1, progress_reward=0.0))
    counts = [step[4]["mover_collisions"] for step in steps]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] > 0
    for k, step in enumerate(steps):
        new = counts[k] - (counts[k - 1] if k else 0)
        assert step[1] == pytest.approx(-0.01 - 0.1 * new)
        assert not step[2]
        assert step[4]["collisions"] >= step[4]["mover_collisions"]


def test_meeting_a_robot_can_end_the_episode(make_env):
    steps = meet(make_env(ID, num_movers=1, collision_ends=True))
    assert [step[4]["mover_collisions"] for step in steps[-2:]] == [0, 1]
    assert [step[2] for step in steps[-2:]] == [False, True]


def test_walls_are_no_robots(make_env):
    env = make_env(ID, num_movers=1)
    env.reset(options={**STRAIGHT, "start_yaw": -np.pi / 2})
    env.unwrapped.simulator.set_object_present(0, env.unwrapped.world.objects[-1].instance, False)
    infos = [env.step(FORWARD)[4] for _ in range(6)]
    assert infos[-1]["collisions"] > 0
    assert infos[-1]["mover_collisions"] == 0


def test_the_task_is_that_of_a_place_without_robots(make_env):
    env = make_env(ID, num_movers=2)
    plain = make_env("WorldFM/PointNav-v0")
    for seed in range(4):
        ours, theirs = env.reset(seed=seed), plain.reset(seed=seed)
        np.testing.assert_array_equal(ours[0]["pointgoal"], theirs[0]["pointgoal"])
        assert ours[1]["distance_to_goal"] == theirs[1]["distance_to_goal"]
    env.reset(options=STRAIGHT)
    env.unwrapped.simulator.set_object_motion(0, None)
    for instance in [item.instance for item in env.unwrapped.world.objects[-2:]]:
        env.unwrapped.simulator.set_object_present(0, instance, False)
    for _ in range(6):
        env.step(FORWARD)
    info = env.step(STOP)[4]
    assert info["success"]
    assert info["spl"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"num_movers": -1},
        {"mover_speed_mps": 0.0},
        {"object_motion": lambda scene, time_s: np.zeros((2, 4, 4))},
    ],
)
def test_senseless_rules_are_refused(make_env, kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        make_env(ID, **kwargs)
