"""Counterfactual twins: what an edit changes, and what it must not."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym
from worldfm_envs.counterfactual import Move, Remove, Repaint, Twins
from worldfm_gym.errors import ConfigError, NavigationError

assert worldfm_gym.__version__
# The crate (1) stands in the middle of the room, between start and goal.
COURSE = {"start_xy": (1.0, 2.0), "start_yaw": 0.0, "goal_xy": (5.0, 2.0)}
OBSERVATIONS = ("rgb", "depth", "instance", "object_poses", "top_down", "lidar", "pointgoal")
FORWARD = 1


def at(x, y, z=0.4):
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


NUDGED = at(5.6, 3.3, 1.0)  # the cabinet, by 10 cm


@pytest.fixture
def twins(make_env):
    def make(*edits, **kwargs):
        kwargs = {"observations": OBSERVATIONS, **kwargs}
        return Twins(lambda: make_env(**kwargs), list(edits))

    return make


def test_without_edits_twins_are_the_same(twins):
    pair = twins()
    for seed in (3, None):
        (here, info), (there, edited_info) = pair.reset(seed=seed)
        for _ in range(4):
            assert info == edited_info
            for name, value in here.items():
                np.testing.assert_array_equal(value, there[name])
            (here, *rest, info), (there, *edited_rest, edited_info) = pair.step(FORWARD)
            assert rest == edited_rest


@pytest.mark.parametrize("edit", [Move(2, NUDGED), Remove(2), Repaint(2, (255, 0, 0))])
def test_start_and_goal_stay_and_so_does_what_comes_after(twins, edit):
    """Edits draw nothing, so the next episodes of both are the same, too."""
    pair = twins(edit)
    for seed in (3, None, None):
        pair.reset(seed=seed)
        first, second = (env.unwrapped for env in pair.envs)
        np.testing.assert_array_equal(first.simulator.c2w, second.simulator.c2w)
        np.testing.assert_array_equal(first.task.goal_xy, second.task.goal_xy)
        np.testing.assert_array_equal(first.task.episode_seed, second.task.episode_seed)


@pytest.mark.parametrize("renderer", [None, "anchor"])
@pytest.mark.parametrize("edit", [Move(2, at(0.6, 3.4, 1.0)), Remove(2), Repaint(2, (255, 0, 0))])
def test_an_edit_out_of_sight_changes_nothing_in_the_image(twins, edit, renderer):
    """The cabinet (2) is behind the agent."""
    kwargs = {} if renderer is None else {"renderer": renderer}
    options = {"start_xy": (4.2, 2.0), "start_yaw": -np.pi / 2, "goal_xy": (4.2, 1.0)}
    (here, _), (there, _) = twins(edit, **kwargs).reset(seed=0, options=options)
    for name in ("rgb", "depth", "instance"):
        np.testing.assert_array_equal(here[name], there[name])


def test_a_removed_object_is_gone_from_images_rows_and_the_way(twins):
    pair = twins(Remove(1))
    (here, info), (there, edited_info) = pair.reset(seed=0, options=COURSE)
    assert (here["instance"] == 1).any()
    assert not (there["instance"] == 1).any()
    assert here["object_poses"].reshape(-1, 14)[:, 13].tolist()[:3] == [1, 2, 0]
    assert there["object_poses"].reshape(-1, 14)[:, 13].tolist()[:3] == [2, 0, 0]
    assert (there["top_down"] == 127).sum() < (here["top_down"] == 127).sum()
    assert (there["depth"] >= here["depth"]).all()
    assert info["distance_to_goal"] > 4.1
    assert edited_info["distance_to_goal"] == pytest.approx(4.0, abs=0.02)
    np.testing.assert_array_equal(here["pointgoal"], there["pointgoal"])
    for _ in range(16):
        stuck, through = pair.step(FORWARD)
    assert stuck[4]["collisions"] > 0
    assert through[4]["collisions"] == 0
    assert through[4]["distance_to_goal"] < 0.1
    assert stuck[0]["pointgoal"][0] > 2.5
    assert through[1] > stuck[1]


def test_a_moved_object_is_drawn_met_and_walked_around_where_it_is_now(twins):
    pair = twins(Move(1, at(2.0, 2.0)))
    (here, info), (there, edited_info) = pair.reset(seed=0, options=COURSE)
    assert (there["instance"] == 1).sum() > (here["instance"] == 1).sum()  # nearer
    rows = there["object_poses"].reshape(-1, 14)
    np.testing.assert_allclose(rows[0, :3], (0.0, 0.85, 1.0), atol=1e-5)
    assert edited_info["distance_to_goal"] != pytest.approx(info["distance_to_goal"], abs=1e-3)
    for _ in range(4):
        first, second = pair.step(FORWARD)
    assert first[4]["collisions"] == 0
    assert second[4]["collisions"] > 0


def test_repainting_changes_the_color_of_the_object_alone(twins):
    pair = twins(Repaint(1, (250, 20, 20)))
    (here, info), (there, edited_info) = pair.reset(seed=0, options=COURSE)
    assert info == edited_info
    changed = (here["rgb"] != there["rgb"]).any(axis=-1)
    shown = here["instance"][..., 0] == 1
    assert changed[shown].all()
    assert not changed[~shown].any()
    assert (there["rgb"][shown][:, 0] > there["rgb"][shown][:, 1]).all()
    for name in set(OBSERVATIONS) - {"rgb"}:
        np.testing.assert_array_equal(here[name], there[name])


def test_an_edit_lasts_one_episode(make_env):
    env = make_env(observations=OBSERVATIONS)
    plain, _ = env.reset(seed=0, options=COURSE)
    edits = [Move(2, at(2.0, 3.0, 1.0)), Remove(1), Repaint(2, (0, 0, 255)), Repaint(0, (9, 99, 9))]
    edited, _ = env.reset(seed=0, options={**COURSE, "edits": edits})
    assert (edited["rgb"] != plain["rgb"]).mean() > 0.5
    again, _ = env.reset(seed=0, options=COURSE)
    for name, value in plain.items():
        np.testing.assert_array_equal(again[name], value)


def test_edits_can_depend_on_the_world_and_twins_end_apart(make_env):
    def nearest(world):
        return [Remove(world.objects[0].instance)]

    with Twins(lambda: make_env(max_episode_steps=20), nearest) as pair:
        pair.reset(seed=0, options={**COURSE, "start_xy": (4.0, 2.0), "goal_xy": (4.6, 2.0)})
        for _ in range(2):
            pair.step(FORWARD)
        first, second = pair.step(0)
        assert first[2]
        assert second[2]
        assert pair.step(FORWARD) == (first, second)
    with pytest.raises(gym.error.ClosedEnvironmentError):
        pair.envs[0].reset()


@pytest.mark.parametrize("env_id", sorted(i for i in gym.registry if i.startswith("WorldFM/")))
def test_every_environment_takes_edits(make_env, env_id):
    env = make_env(env_id)
    edits = [Repaint(1, (9, 9, 200)), Move(2, NUDGED)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(seed=0, options={"edits": edits})
    np.testing.assert_array_equal(env.unwrapped.simulator.object_poses[0, 1], NUDGED)
    for _ in range(3):
        if env.step(env.action_space.sample())[2]:
            break


def test_a_category_that_is_gone_can_not_be_sought(make_env):
    env = make_env("WorldFM/ObjectNav-v0")
    options = {"goal_category": "cabinet"}
    env.reset(seed=0, options={**options, "edits": [Remove(1)]})
    with pytest.raises(NavigationError, match="cabinet"):
        env.reset(seed=0, options={**options, "edits": [Remove(2)]})


@pytest.mark.parametrize(
    ("edits", "error"),
    [
        ([Remove(7)], ConfigError),
        ([Remove(0)], ConfigError),
        ([Repaint(1, (1, 2))], ConfigError),
        ([Repaint(1, (1, 2, 300))], ConfigError),
        (["remove"], ConfigError),
        ([Move(1, at(1.0, 2.0))], NavigationError),  # onto the agent
        ([Move(1, at(5.0, 2.0))], NavigationError),  # onto the goal
    ],
)
def test_impossible_edits_are_refused(make_env, edits, error):
    with pytest.raises(error):
        make_env().reset(seed=0, options={**COURSE, "edits": edits})
