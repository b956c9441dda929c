"""Counter-based randomness against the published generator and the distributions it claims."""

import numpy as np
import pytest
import torch
from numba import njit
from scipy import stats

from worldfm_envs.counter_random import (
    noise_keys,
    normal_quantiles,
    normal_quarter,
    normals,
    quarter,
    uniforms,
    word_of,
    words_on,
)

KEYS = noise_keys(np.arange(4, dtype=np.uint64), np.array([0, 0, 5, 7]), stream=1)


@njit
def words(keys, count):
    out = np.empty((len(keys), count), np.uint64)
    for i in range(len(keys)):
        for j in range(count):
            out[i, j] = word_of(keys[i], j)
    return out


@njit
def quarters(row):
    return np.array([[quarter(word, which) for which in range(4)] for word in row])


def test_words_are_those_of_the_published_generator():
    """The first outputs of Vigna's splitmix64.c for the seed 1234567."""
    drawn = words(np.array([1234567], np.uint64), 3)[0]
    assert drawn.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_torch_draws_the_same_words_and_normals():
    here, there = words(KEYS, 3000), words_on(torch.device("cpu"), KEYS, 3000)
    np.testing.assert_array_equal(there.numpy().view(np.uint64), here)
    for which in range(4):
        index = (here >> np.uint64(16 * which)) & np.uint64(0xFFFF)
        np.testing.assert_array_equal(
            normal_quarter(there, which).numpy(), normal_quantiles()[index.astype(np.int64)]
        )
    np.testing.assert_array_equal(quarters(here[0])[:, 3], here[0] >> np.uint64(48))


@pytest.mark.parametrize("other", ["seed", "step", "stream"])
def test_keys_differ_in_everything_they_are_made_of(other):
    seed, step = np.arange(3000, dtype=np.uint64), np.arange(3000)
    first = noise_keys(seed, 0 * step, stream=1)
    again = noise_keys(seed, 0 * step, stream=1)
    np.testing.assert_array_equal(first, again)
    changed = {
        "seed": noise_keys(seed + np.uint64(3000), 0 * step, stream=1),
        "step": noise_keys(seed, 0 * step + 1, stream=1),
        "stream": noise_keys(seed, 0 * step, stream=2),
    }[other]
    assert len(np.unique(np.concatenate([first, changed]))) == 6000
    pair = normals(first, 1)[:, 0], normals(changed, 1)[:, 0]
    assert abs(stats.pearsonr(*pair).statistic) < 0.06


def test_numbers_have_the_distributions_they_claim():
    drawn = uniforms(KEYS, 20_000)
    assert drawn.min() > 0.0
    assert drawn.max() < 1.0
    for row in drawn:
        assert stats.kstest(row, "uniform").pvalue > 1e-3
    assert stats.kstest(normals(KEYS, 20_000).ravel(), "norm").pvalue > 1e-3
    table = normal_quantiles().astype(np.float64)
    assert abs(table.mean()) < 1e-6
    assert abs(table.std() - 1.0) < 1e-4


def test_neighboring_elements_and_quarters_are_independent():
    row = quarters(words(KEYS[:1], 20_000)[0]).astype(np.float64)
    correlation = np.corrcoef(np.concatenate([row[:-1], row[1:]], axis=1).T)
    np.testing.assert_allclose(correlation, np.eye(8), atol=0.03)
