"""Inspection: an object counts when all of it is in the image, near enough and in sight."""

import numpy as np
import pytest

from worldfm_gym.camera import Camera, look_at
from worldfm_gym.errors import ConfigError

ID = "WorldFM/Inspect-v0"
STILL = np.zeros(6, np.float32)
CRATE, CABINET = 1, 2


def looking(eye, target=(3.0, 2.0, 0.4)):
    return look_at(np.array(eye, float), np.array(target, float))


def inspected(env, c2w, objects=(CRATE,)):
    env.reset(options={"c2w": c2w, "goal_objects": objects})
    return env.step(STILL)[4]["inspected"]


def test_random_views_agree_with_projected_corners(make_env, box_room):
    """In an empty line of sight, being in the image and near enough is all that counts."""
    env = make_env(ID, width=40, height=30, inspect_distance_m=1.5)
    rng, outcomes = np.random.default_rng(0), []
    crate = box_room.objects[0]
    for _ in range(120):
        eye = rng.uniform((1.0, 0.5, 0.9), (4.8, 3.5, 2.2))
        c2w = looking(eye, crate.pose[:3, 3] + rng.normal(0, 0.3, 3))
        pixels, depth = Camera.from_fov(c2w, 90.0, width=40, height=30).project(crate.corners_world)
        whole = (depth > 0).all() and ((pixels >= 0) & (pixels <= (40, 30))).all()
        out = np.maximum(np.abs(eye - crate.pose[:3, 3]) - crate.size / 2, 0.0)
        expected = whole and np.linalg.norm(out) <= 1.5
        assert inspected(env, c2w) == int(expected)
        outcomes.append(expected)
    assert 15 < sum(outcomes) < 105


def test_what_is_hidden_is_not_inspected(make_env, box_room):
    env = make_env(ID)
    from_the_side = looking((1.2, 2.0, 0.6))
    env.reset(options={"c2w": from_the_side, "goal_objects": [CRATE]})
    screen = np.eye(4)
    screen[:3, 3] = 2.1, 2.0, 1.0
    env.unwrapped.simulator.set_object_pose(0, CABINET, screen)
    assert env.step(STILL)[4]["inspected"] == 0
    env.unwrapped.simulator.set_object_present(0, CABINET, False)
    assert env.step(STILL)[4]["inspected"] == 1


def test_rewards_come_once_an_object_and_the_end_with_the_last(make_env):
    env = make_env(ID, num_targets=2)
    env.reset(options={"c2w": looking((1.0, 2.0, 0.8)), "goal_objects": [CRATE, CABINET]})
    _, reward, terminated, _, info = env.step(STILL)
    assert reward == pytest.approx(1.0 - 0.01)
    assert not terminated
    assert (info["inspected"], info["targets"], info["success"]) == (1, 2, False)
    assert env.step(STILL)[1] == pytest.approx(-0.01)
    simulator = env.unwrapped.simulator
    simulator.place([0], looking((3.6, 1.2, 1.2), (5.6, 3.4, 1.0)))
    _, reward, terminated, _, info = env.step(STILL)
    assert reward == pytest.approx(1.0 + 2.5 - 0.01)
    assert terminated
    assert info["success"]


def test_sides_can_be_asked_for(make_env):
    env = make_env(ID, inspect_sides=2)
    env.reset(options={"c2w": looking((1.2, 2.0, 0.8)), "goal_objects": [CRATE]})
    assert env.step(STILL)[4]["inspected"] == 0
    simulator = env.unwrapped.simulator
    simulator.place([0], looking((1.25, 2.1, 0.8)))
    assert env.step(STILL)[4]["inspected"] == 0  # the same side again
    simulator.place([0], looking((3.0, 0.4, 0.8)))
    assert env.step(STILL)[4]["inspected"] == 1
    assert env.unwrapped.task.sides_seen[0, 0].tolist() == [False, False, True, True]


def test_drawn_targets_can_be_inspected_from_the_poses_found(make_env, box_room):
    env = make_env(ID)
    for seed in range(3):
        _, info = env.reset(seed=seed)
        assert info["targets"] == 2  # all that the room has
        task = env.unwrapped.task
        ids = task.goals["goal_objects"][0].copy()
        assert sorted(ids.tolist()) == [0, CRATE, CABINET]
        for instance in ids[ids > 0]:
            k = [item.instance for item in box_room.objects].index(instance)
            poses = task.inspection.poses_of(0, k)
            able = np.isfinite(poses[:, 0, 0])
            assert able.any()
            for pose in poses[able]:
                assert inspected(env, pose, [instance]) == 1


@pytest.mark.parametrize("wanted", [[3], [1, 1], [], [1, 2, 3, 4]])
def test_senseless_targets_are_refused(make_env, wanted):
    with pytest.raises(ConfigError, match="goal_objects"):
        make_env(ID).reset(options={"goal_objects": wanted})


@pytest.mark.parametrize(
    "kwargs", [{"num_targets": 0}, {"inspect_distance_m": 0.0}, {"inspect_sides": 5}]
)
def test_senseless_rules_are_refused(make_env, kwargs):
    with pytest.raises(ConfigError, match=next(iter(kwargs))):
        make_env(ID, **kwargs)
