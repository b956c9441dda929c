from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldfm_gym.worlds.reference_choice import best_cover


def shown(qualities: np.ndarray, chosen) -> float:
    """What greedy maximizes."""
    rows = np.sqrt(qualities)[list(chosen)]
    return float(rows.max(axis=0).sum()) if len(rows) else 0.0


@given(
    arrays(np.float64, (6, 5), elements=st.sampled_from([0.0, 0.25, 1.0, 4.0])),
    st.integers(1, 4),
)
def test_within_the_bound_of_the_best_choice(qualities, count):
    chosen = best_cover(qualities, count)
    assert len(set(chosen)) == len(chosen) <= count
    optimum = max(shown(qualities, pair) for pair in combinations(range(6), count))
    assert shown(qualities, chosen) >= (1 - 1 / np.e) * optimum - 1e-9
    assert chosen == best_cover(qualities, 6)[: len(chosen)]


def test_frames_that_add_nothing_are_left_out():
    qualities = np.array([[1.0, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]])
    assert best_cover(qualities, 4) == [2, 0]
    assert best_cover(qualities, 0) == []


def test_a_new_place_goes_before_a_closer_look():
    near, same_nearer, elsewhere = [4.0, 4, 0, 0], [5.0, 5, 0, 0], [0, 0, 1.0, 0]
    assert best_cover(np.array([near, same_nearer, elsewhere]), 2) == [1, 2]
