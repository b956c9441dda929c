"""Continued textures."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worldfm_gym.growth.texture import extend_texture, push_pull


@given(
    known=hnp.arrays(np.bool_, st.tuples(st.integers(1, 23), st.integers(1, 23))),
    seed=st.integers(0, 9),
)
def test_what_is_known_stays_and_the_rest_lies_between(known: np.ndarray, seed: int):
    known.flat[seed % known.size] = True
    values = np.random.default_rng(seed).uniform(10, 200, (*known.shape, 3))
    filled = push_pull(values, known)
    np.testing.assert_array_equal(filled[known], values[known])
    assert filled.min() >= values[known].min() - 1e-9
    assert filled.max() <= values[known].max() + 1e-9


def test_a_gap_is_filled_by_what_is_beside_it():
    values = np.zeros((32, 64, 3))
    values[:, 32:] = 100.0
    known = np.ones((32, 64), np.bool_)
    known[10:20, 5:15] = False
    known[10:20, 45:55] = False
    filled = push_pull(values, known)
    assert abs(filled[10:20, 5:15]).max() < 20
    assert abs(filled[10:20, 45:55] - 100).max() < 20


def test_a_texture_goes_on_with_its_grain():
    rng = np.random.default_rng(0)
    values = 120 + 8 * rng.standard_normal((60, 120, 3))
    known = np.zeros((60, 120), np.bool_)
    known[:, :50] = True
    filled = extend_texture(values, known, cell_m=0.02, wrap=False, rng=rng)
    np.testing.assert_array_equal(filled[known], values[known])
    new = filled[:, 60:]
    assert abs(new.mean() - 120) < 2
    assert 4 < new.std() < 12


def test_a_wrapped_texture_goes_on_across_its_border():
    values = np.zeros((16, 80, 3))
    values[:, :10] = 50.0
    values[:, 40:50] = 250.0
    known = np.zeros((16, 80), np.bool_)
    known[:, :10] = known[:, 40:50] = True
    filled = extend_texture(
        values, known, cell_m=0.5, wrap=True, rng=np.random.default_rng(0)
    ).mean(axis=(0, 2))
    assert filled[75] < filled[62] < filled[53]


def test_nothing_is_out_of_range():
    values = np.random.default_rng(1).choice([0.0, 255.0], (40, 40, 3))
    known = np.zeros((40, 40), np.bool_)
    known[:20] = True
    filled = extend_texture(values, known, cell_m=0.05, wrap=False, rng=np.random.default_rng(2))
    assert filled.min() >= 0
    assert filled.max() <= 255
