"""Soft visibility against exact ray casting, and greedy choice against brute force."""

from itertools import combinations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import BoxRoomRenderer, make_box_room
from tests.worldfm_gym.frame_model.remembered_room import level_cameras, random_cameras
from worldfm_gym.frame_model.visibility import Looks, pick_complementary, seen_shares

UNIT = 65536


def looks(cameras):
    return Looks(torch.tensor(cameras.c2w).float(), torch.tensor(cameras.intrinsics).float())


def depth_of(cameras):
    frame = BoxRoomRenderer([make_box_room()]).render(cameras, np.zeros(len(cameras.c2w), int))
    return torch.from_numpy(frame.depth)


def shares_of(targets, references, *, target_depth=None):
    """Shares [B, M, P] of every reference for every target."""
    batch, count = len(targets.c2w), len(references.c2w)
    depth = depth_of(targets) if target_depth is None else target_depth
    refs = looks(references)
    expanded = Looks(refs.c2w.expand(batch, count, 4, 4), refs.intrinsics.expand(batch, count, 4))
    rows = torch.arange(count).expand(batch, count)
    return seen_shares(depth, looks(targets), depth_of(references), expanded, rows)


def test_a_view_shows_all_of_itself_but_its_border():
    view = level_cameras(1.0, 1.0, 0.3)
    share = shares_of(view, view).view(16, 16)
    assert (share[2:-2, 2:-2] > 0.99 * UNIT).all()
    assert (share[0] < 0.5 * UNIT).all()


def test_a_view_away_shows_nothing():
    share = shares_of(level_cameras(3.0, 2.9, 0.0), level_cameras(3.0, 2.9, np.pi))
    assert not share.any()


def test_what_is_hidden_from_a_reference_counts_for_little():
    targets, references = level_cameras(1.0, 2.0, 0.0), level_cameras(3.0, 0.5, np.pi / 2)
    share = shares_of(targets, references)[0, 0].view(16, 16).numpy() / UNIT
    points = targets[0].unproject(depth_of(targets)[0].numpy())[2::4, 2::4]  # the grid
    pixels, z = references[0].project(points.reshape(-1, 3))
    inside = (z > 0.1) & (pixels > 6).all(-1) & (pixels < 58).all(-1)
    u, v = pixels[inside].astype(int).T
    hidden = depth_of(references)[0].numpy()[v, u] < 0.8 * z[inside]
    assert hidden.sum() > 3
    assert share.reshape(-1)[inside][hidden].max() < 0.06
    assert share.reshape(-1)[~((z > 0) & (pixels > 0).all(-1) & (pixels < 64).all(-1))].max() == 0


def test_nearer_is_better_until_it_is_as_near_as_the_target():
    target = level_cameras(2.0, 3.2, 0.0)
    far, same, near = (shares_of(target, level_cameras(x, 3.2, 0.0)).sum() for x in (0.5, 2.0, 2.2))
    assert far < 0.8 * same
    assert near < same  # what leaves the image counts too
    middle = [
        int(shares_of(target, level_cameras(x, 3.2, 0.0)).view(16, 16)[7:9, 7:9].sum())
        for x in (0.5, 2.0, 2.2)
    ]
    assert middle[0] < 0.8 * middle[1]
    assert middle[2] > 0.97 * middle[1]


def test_uncovered_points_count_for_less_and_without_visibility():
    view = level_cameras(1.0, 2.0, 0.0)
    unknown = torch.zeros_like(depth_of(view))
    share = shares_of(view, view, target_depth=unknown).view(16, 16)[2:-2, 2:-2]
    assert (share - 0.3 * UNIT).abs().max() <= 0.01 * UNIT


def test_neither_batch_nor_place_in_it_changes_a_bit():
    rng = np.random.default_rng(1)
    targets, references = random_cameras(rng, 23), random_cameras(rng, 7)
    together = shares_of(targets, references)
    for i in (0, 5, 22):
        assert torch.equal(shares_of(targets[i : i + 1], references)[0], together[i])


SHARES = hnp.arrays(
    np.int32, st.tuples(st.integers(2, 6), st.integers(1, 12)), elements=st.integers(0, UNIT)
)


@given(SHARES, st.integers(1, 2))
def test_the_choice_is_greedy(shares, count):
    places, gains, next_best = pick_complementary(torch.from_numpy(shares)[None], count)
    best = np.zeros(shares.shape[1], np.int64)
    for place, gain in zip(places[0].tolist(), gains[0].tolist(), strict=True):
        added = np.maximum(shares - best, 0).sum(-1)
        assert place == int(added.argmax())
        assert gain == pytest.approx(added[place] / (UNIT * shares.shape[1]))
        best = np.maximum(best, shares[place])
        added[place] = 0
    assert float(next_best) == pytest.approx(added.max() / (UNIT * shares.shape[1]))


@given(SHARES)
def test_two_show_nearly_as_much_as_any_two_could(shares):
    _, gains, _ = pick_complementary(torch.from_numpy(shares)[None], 2)
    best = max(
        np.maximum(shares[a], shares[b]).sum() for a, b in combinations(range(len(shares)), 2)
    )
    assert float(gains.sum()) >= (1 - 1 / np.e) * best / (UNIT * shares.shape[1]) - 1e-9
