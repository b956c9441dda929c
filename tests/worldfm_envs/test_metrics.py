"""Navigation metrics against the formulas of Anderson et al. 2018 and Datta et al. 2020."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worldfm_envs.metrics import NavigationMetrics


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 10), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.floats(0.1, 10),
    st.booleans(),
)
def test_metrics_follow_their_definitions(steps, start, stops):
    metrics = NavigationMetrics(2)
    metrics.begin(1, np.zeros(2), start)
    path, last = 0.0, np.zeros(2)
    for i, (x, y, distance, collided) in enumerate(steps):
        stopped = stops and i == len(steps) - 1
        before = metrics.distance_to_goal_m[1]
        metrics.update(
            np.array([[9.0, 9.0], [x, y]]),
            np.array([1.0, distance]),
            np.array([False, collided]),
            np.array([False, stopped and distance < 0.2]),
        )
        path += np.hypot(x - last[0], y - last[1])
        last = np.array([x, y])
        assert metrics.progress_m[1] == before - distance
    success = stops and distance < 0.2
    efficiency = start / max(start, path)
    assert metrics.success[1] == success
    assert np.isclose(metrics.spl[1], success * efficiency)
    assert np.isclose(metrics.soft_spl[1], max(0.0, 1 - distance / start) * efficiency)
    assert metrics.collisions[1] == sum(step[3] for step in steps)
    assert 0.0 <= metrics.spl[1] <= 1.0


def test_an_unreachable_moment_keeps_the_last_distance():
    metrics = NavigationMetrics(1)
    metrics.begin(0, np.zeros(2), 3.0)
    still = (np.zeros((1, 2)), np.array([np.inf]), np.zeros(1, bool), np.zeros(1, bool))
    metrics.update(*still)
    assert metrics.distance_to_goal_m[0] == 3.0
    assert metrics.progress_m[0] == 0.0


def test_beginning_again_forgets_the_last_episode():
    metrics = NavigationMetrics(1)
    metrics.begin(0, np.zeros(2), 1.0)
    metrics.update(np.ones((1, 2)), np.array([0.1]), np.ones(1, bool), np.ones(1, bool))
    assert metrics.spl[0] > 0
    metrics.begin(0, np.ones(2), 2.0)
    for name in ("path_length_m", "collisions", "success", "spl", "soft_spl", "progress_m"):
        assert getattr(metrics, name)[0] == 0
    metrics.update(np.ones((1, 2)), np.array([2.0]), np.zeros(1, bool), np.zeros(1, bool))
    assert metrics.path_length_m[0] == 0.0


def test_starting_on_the_goal_is_no_division_by_zero():
    metrics = NavigationMetrics(1)
    metrics.begin(0, np.zeros(2), 0.0)
    metrics.update(np.zeros((1, 2)), np.zeros(1), np.zeros(1, bool), np.ones(1, bool))
    assert metrics.spl[0] == metrics.soft_spl[0] == 1.0
