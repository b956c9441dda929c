"""Category-goal navigation: success exactly where geometry says so."""

import numpy as np
import pytest

import worldfm_gym
from worldfm_envs.actions import FORWARD, STOP
from worldfm_envs.categories import CATEGORIES
from worldfm_gym.errors import ConfigError, NavigationError

ID = "WorldFM/ObjectNav-v0"


def box_distance(point, item):
    """Distance on the floor plane from a point to an upright, axis-aligned box."""
    out = np.abs(np.asarray(point) - item.pose[:2, 3]) - item.size[:2] / 2
    return np.hypot(*np.maximum(out, 0.0))


def test_success_is_stopping_in_reach_of_any_object_of_the_category(make_env, box_room):
    env = make_env(ID)
    rng = np.random.default_rng(0)
    outcomes = []
    for start in box_room.nav.random_point(rng, count=60):
        env.reset(options={"start_xy": start, "goal_category": "crate"})
        info = env.step(STOP)[4]
        assert info["success"] == (box_distance(start, box_room.objects[0]) <= 1.0)
        outcomes.append(info["success"])
        if info["success"]:
            assert info["distance_to_goal"] < 0.08  # viewpoints are centers of cells
            assert info["spl"] > 0.0
    assert 5 < sum(outcomes) < 55


def test_an_object_behind_another_is_not_reached(make_env, box_room):
    env = make_env(ID)
    env.reset(options={"goal_category": "crate", "start_xy": (1.7, 2.0)})
    simulator = env.unwrapped.simulator
    assert env.unwrapped.task.arrived(np.zeros(1), np.ones(1, bool))[0]
    wall = np.eye(4)
    wall[:3, 3] = 2.2, 2.0, 1.0  # the cabinet, between the agent and the crate
    simulator.set_object_pose(0, 2, wall)
    assert not env.unwrapped.task.arrived(np.zeros(1), np.ones(1, bool))[0]
    simulator.set_object_present(0, 2, False)
    assert env.unwrapped.task.arrived(np.zeros(1), np.ones(1, bool))[0]
    simulator.set_object_present(0, 1, False)
    assert not env.unwrapped.task.arrived(np.zeros(1), np.ones(1, bool))[0]


def test_the_nearest_place_counts(make_env):
    env = make_env(ID)
    options = {"start_xy": (0.6, 2.0), "start_yaw": 0.0, "goal_category": "crate"}
    _, info = env.reset(options=options)
    # The crate's near side is at x = 2.6, so stopping at 1.6 is enough.
    assert info["distance_to_goal"] == pytest.approx(1.0, abs=0.06)
    rewards = [env.step(FORWARD)[1] for _ in range(4)]
    assert sum(rewards) == pytest.approx(1.0 - 0.04, abs=0.06)
    info = env.step(STOP)[4]
    assert info["success"]
    assert info["spl"] == pytest.approx(1.0, abs=0.06)


def test_categories_are_those_of_the_world(make_env):
    env = make_env(ID, goal_distance_m=(0.5, 30.0))
    drawn = set()
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        index = int(observation["objectgoal"].argmax())
        assert index == env.unwrapped.task.goals["goal_category"][0]
        assert 0.5 <= info["distance_to_goal"] <= 30.0
        drawn.add(CATEGORIES[index])
    assert drawn == {"crate", "cabinet"}
    only = make_env(ID, goal_categories=("cabinet",), goal_distance_m=(0.5, 30.0))
    assert {int(only.reset(seed=s)[0]["objectgoal"].argmax()) for s in range(5)} == {
        CATEGORIES.index("cabinet")
    }


@pytest.mark.parametrize("wanted", ["unicorn", 0, 9999, 1.5])
def test_senseless_categories_are_refused(make_env, wanted):
    with pytest.raises(ConfigError, match="goal_category"):
        make_env(ID).reset(options={"goal_category": wanted})


def test_a_category_that_the_world_lacks_is_refused(make_env):
    with pytest.raises(NavigationError, match="'sofa'"):
        make_env(ID).reset(options={"goal_category": "sofa"})
    with pytest.raises(ConfigError, match="goal_categories"):
        make_env(ID, goal_categories=("unicorn",))


def test_places_that_see_an_object_do_see_it():
    """Of a furnished home: what the map of viewpoints says, the exact image shows."""
    import gymnasium as gym

    env = gym.make(
        ID, world="rooms", world_seed=3, renderer="truth", width=96, height=96, fov_x_deg=90
    )
    seen = 0
    rng = np.random.default_rng(0)
    for seed in range(12):
        env.reset(seed=seed)
        task, simulator = env.unwrapped.task, env.unwrapped.simulator
        category = int(task.goals["goal_category"][0])
        instances = task.instances(0, category)
        ids = {env.unwrapped.world.objects[k].instance for k in instances}
        eye = np.array([*rng.choice(task.episodes[0].goal.places_xy), 1.25])
        simulator.place_ground([0], eye[:2], 0.0)
        assert task.arrived(np.zeros(1), np.ones(1, bool))[0]
        poses = [
            worldfm_gym.camera.look_at(eye, env.unwrapped.world.objects[k].pose[:3, 3])
            for k in instances
            if np.hypot(*(env.unwrapped.world.objects[k].pose[:2, 3] - eye[:2])) > 0.01
        ]
        frame = simulator.render_at(np.array(poses), np.zeros(len(poses), int))
        seen += bool(ids & set(np.unique(frame.instance).tolist()))
    assert seen >= 11
    env.close()
