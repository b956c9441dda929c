"""Episodes as hard as asked for."""

import numpy as np
import pytest

from worldfm_envs.episodes import DIFFICULTIES, Difficulty, Goal, difficulty_of, sample_episode
from worldfm_gym.errors import NavigationError


@pytest.mark.parametrize("least_detour", [1.0, 1.03])
def test_distance_and_detour_are_as_wanted(box_room, least_detour):
    rng = np.random.default_rng(0)
    wanted = Difficulty((2.0, 4.0), least_detour)
    for _ in range(30):
        episode = sample_episode(box_room.nav, rng, difficulty=wanted)
        goal = episode.goal.places_xy[0]
        assert 2.0 <= episode.distance_m <= 4.0
        assert episode.distance_m >= least_detour * np.hypot(*(goal - episode.start_xy))
        assert episode.field.distance(episode.start_xy) == episode.distance_m
        assert box_room.nav.is_navigable([goal, episode.start_xy]).all()


def test_a_detour_that_no_pair_has_says_what_there_was(box_room):
    with pytest.raises(NavigationError, match=r"the largest was 1\.\d\d"):
        sample_episode(
            box_room.nav, np.random.default_rng(0), difficulty=Difficulty((1.0, 30.0), 3.0)
        )


def test_what_is_given_is_kept_at_any_distance(box_room):
    goal = Goal.at(box_room.nav, np.array([1.0, 1.0]))
    start = np.array([1.5, 1.0])
    episode = sample_episode(
        box_room.nav,
        np.random.default_rng(0),
        difficulty=DIFFICULTIES["hard"],
        start_xy=start,
        start_yaw=0.3,
        goal=goal,
    )
    assert episode.distance_m == pytest.approx(0.5, rel=0.01)
    assert episode.start_yaw == 0.3


def test_goals_can_run_out(box_room):
    goals = iter([Goal.at(box_room.nav, np.array([1.0, 1.0]))])
    with pytest.raises(NavigationError, match="another difficulty"):
        sample_episode(
            box_room.nav,
            np.random.default_rng(0),
            difficulty=Difficulty((20.0, 30.0)),
            draw_goal=lambda: next(goals, None),
        )


@pytest.mark.parametrize(
    ("distance_m", "straight_m", "name"),
    [(0.5, 0.5, "easy"), (2.9, 1.0, "easy"), (4.0, 4.0, "medium"), (7.0, 6.9, "medium"),
     (7.0, 5.0, "hard"), (25.0, 20.0, "hard")],
)  # fmt: skip
def test_every_episode_has_a_difficulty(distance_m, straight_m, name):
    assert difficulty_of(distance_m, straight_m) == name
    wanted = DIFFICULTIES[name]
    if wanted.distance_m[0] <= distance_m <= wanted.distance_m[1] and name != "hard":
        assert distance_m >= wanted.least_detour * straight_m


def test_environments_take_a_difficulty(make_env):
    env = make_env(difficulty="medium")
    for seed in range(10):
        assert 3.0 <= env.reset(seed=seed)[1]["distance_to_goal"] <= 5.0
