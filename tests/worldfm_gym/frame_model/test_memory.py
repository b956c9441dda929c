"""References: which are chosen, what of them is computed and kept, worlds that come and go."""

import numpy as np
import pytest
import torch

from tests.conftest import make_box_room
from tests.worldfm_gym.frame_model.remembered_room import (
    VIEWS,
    level_cameras,
    random_cameras,
    remembered,
    tiny_model,
)
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model import reference_keys
from worldfm_gym.frame_model.conditioning import reference_channels
from worldfm_gym.frame_model.memory import References


class CountingNetwork:
    """Encodes as the tiny network does, and counts how many references."""

    def __init__(self):
        self.network = tiny_model().network
        self.encoded = 0

    def encode_references(self, images, intrinsics):
        self.encoded += len(images)
        return self.network.encode_references(images, intrinsics)


def references_of(worlds, *, network=None, **options):
    network = CountingNetwork() if network is None else network
    return References(worlds, network=network, size_long_px=64, **options)


def select(references, cameras, scene=None):
    """Chosen references of cameras, with the depth that the anchors show."""
    scene = np.zeros(len(cameras.c2w), np.int64) if scene is None else np.asarray(scene)
    raster = AnchorRaster([world.pyramid for world in references.worlds])
    depth = raster.render(cameras, scene).depth
    return references.select(
        torch.from_numpy(depth),
        torch.tensor(cameras.c2w).float(),
        torch.tensor(cameras.intrinsics).float(),
        torch.from_numpy(scene),
    )


def keys_of(references, chosen):
    """Keys and values [L, B, R, tokens, heads, head_dim] of chosen references."""
    memory, slots, _ = references.locate(chosen)
    return memory.keys[:, slots], memory.values[:, slots]


def test_where_a_reference_was_taken_it_is_chosen():
    chosen = select(references_of([remembered()]), level_cameras(*np.array(VIEWS[:3]).T))
    for i in range(3):
        assert i in chosen.rows[i]


def test_the_second_complements_the_first():
    views = [(3.0, 0.4, 1.5), (3.0, 0.4, 1.52), (3.0, 0.4, 0.8)]
    chosen = select(references_of([remembered(views)]), level_cameras(3.0, 0.4, 1.2))
    assert chosen.rows[0, 1] == 2  # not the twins


def test_what_shows_nothing_of_the_view_is_left_out():
    views = [(3.0, 3.0, 0.0), (3.0, 3.0, np.pi)]
    chosen = select(references_of([remembered(views)]), level_cameras(2.9, 3.0, 0.0))
    assert chosen.rows.tolist() == [[0, -1]]
    assert chosen.log_weight.tolist() == [[0.0, -torch.inf]]


def test_more_references_than_there_are_leave_no_slot_empty():
    assert references_of([remembered(VIEWS[:1])], per_target=3).slots == 1
    assert references_of([remembered()], per_target=3).slots == 3
    assert references_of([remembered()], per_target=0).slots == 0
    assert references_of([make_box_room()]).slots == 0


def test_a_negative_number_is_refused():
    with pytest.raises(FrameModelError, match="-1"):
        references_of([remembered()], per_target=-1)


def test_worlds_with_and_without_references_mix():
    references = references_of([make_box_room(), remembered(), make_box_room()])
    cameras = level_cameras(*np.array(VIEWS[:1] * 3).T)
    chosen = select(references, cameras, [0, 1, 2])
    assert chosen.rows[[0, 2]].tolist() == [[-1, -1]] * 2
    assert torch.isneginf(chosen.log_weight[[0, 2]]).all()
    assert 0 in chosen.rows[1]
    images = references.locate(chosen)[2]
    assert not images.depth_z[[0, 2]].any()
    assert images.depth_z[1, 0].all()


def test_the_choice_depends_on_the_view_alone():
    references = references_of([remembered()])
    cameras = random_cameras(np.random.default_rng(0), 40)
    together = select(references, cameras)
    for i in reversed(range(40)):
        alone = select(references, cameras[i : i + 1])
        assert torch.equal(alone.rows[0], together.rows[i])
        assert torch.equal(alone.log_weight[0], together.log_weight[i])


def test_the_order_in_which_a_world_remembers_does_not_matter():
    cameras = random_cameras(np.random.default_rng(3), 30)
    order = [3, 0, 4, 2, 1]
    forward = select(references_of([remembered()]), cameras).rows
    shuffled = select(references_of([remembered([VIEWS[i] for i in order])]), cameras).rows
    renamed = torch.tensor([*order, -1])[shuffled]
    assert torch.equal(renamed.sort(1).values, forward.sort(1).values)


def test_keys_are_those_of_the_images():
    references = references_of([remembered()])
    chosen = select(references, random_cameras(np.random.default_rng(0), 6))
    images = references.locate(chosen)[2]
    keys, values = keys_of(references, chosen)
    network = tiny_model().network
    for b, r in (chosen.rows >= 0).nonzero().tolist():
        channels = reference_channels(images.rgb[b, r][None], images.depth_z[b, r][None])
        own = network.encode_references(channels, images.intrinsics[b, r][None])
        torch.testing.assert_close(keys[:, b, r], own.keys[:, 0])
        torch.testing.assert_close(values[:, b, r], own.values[:, 0])


def test_on_a_cpu_each_is_encoded_once_when_first_needed():
    network = CountingNetwork()
    references = references_of([remembered()], network=network)
    assert network.encoded == 0
    for _ in range(3):
        references.locate(select(references, level_cameras(*VIEWS[0])))
    assert 1 <= network.encoded <= 2
    for _ in range(3):
        references.locate(select(references, random_cameras(np.random.default_rng(0), 60)))
    assert network.encoded == len(VIEWS)


def test_the_cache_is_bounded_and_keeps_what_was_read_last(monkeypatch):
    monkeypatch.setattr(reference_keys, "_CPU_SLOTS", 2)
    network, plenty = CountingNetwork(), references_of([remembered()])
    references = references_of([remembered()], network=network, per_target=1)
    first, second, third = (select(references, level_cameras(*VIEWS[i])) for i in range(3))
    for chosen, expected in (
        (first, 1),
        (second, 2),
        (first, 2),
        (third, 3),
        (first, 3),
        (second, 4),
    ):
        keys, _ = keys_of(references, chosen)
        assert network.encoded == expected
        assert torch.equal(keys, keys_of(plenty, chosen)[0])


def test_a_batch_that_needs_more_than_the_cache_holds_gets_it(monkeypatch):
    monkeypatch.setattr(reference_keys, "_CPU_SLOTS", 1)
    small, plenty = references_of([remembered()]), references_of([remembered()])
    chosen = select(plenty, random_cameras(np.random.default_rng(0), 30))
    monkeypatch.setattr(reference_keys, "_CPU_SLOTS", 64)
    expected = keys_of(plenty, chosen)[1]
    monkeypatch.setattr(reference_keys, "_CPU_SLOTS", 1)
    assert torch.equal(keys_of(small, chosen)[1], expected)


@pytest.mark.parametrize("new_views", [(), VIEWS[1:3], (*VIEWS, VIEWS[0])])
@pytest.mark.parametrize("height", [72, 120])
def test_a_replaced_world_is_as_if_it_had_been_there(new_views, height):
    kept, new = remembered(VIEWS[2:]), remembered(new_views, height=height)
    fresh, references = references_of([new, kept, kept]), None
    cameras = level_cameras(*np.array(VIEWS[:3]).T)
    for old in (remembered(VIEWS[:2]), remembered(VIEWS, height=40), make_box_room()):
        references = references_of([old, kept, kept])
        references.locate(select(references, cameras, [0, 1, 2]))
        references.replace_world(0, new)
        mine, theirs = (select(r, cameras, [0, 1, 2]) for r in (references, fresh))
        assert torch.equal(mine.log_weight, theirs.log_weight)
        assert torch.equal(mine.rows >= 0, theirs.rows >= 0)
        images, expected = references.locate(mine)[2], fresh.locate(theirs)[2]
        there = mine.rows >= 0
        assert torch.equal(images.rgb[there], expected.rgb[there])
        assert torch.equal(images.depth_z, expected.depth_z)
        for own, other in zip(keys_of(references, mine), keys_of(fresh, theirs), strict=True):
            assert torch.equal(own[:, there], other[:, there])


def test_replacing_a_world_does_not_encode_the_others_again():
    network = CountingNetwork()
    kept = remembered(VIEWS[2:])
    references = references_of([remembered(VIEWS[:2]), kept], network=network)
    chosen = select(references, level_cameras(*VIEWS[3]), [1])
    references.locate(chosen)
    before = network.encoded
    references.replace_world(0, remembered(VIEWS[:1]))
    references.locate(select(references, level_cameras(*VIEWS[3]), [1]))
    assert network.encoded == before


def test_neighbors_rarely_choose_differently():
    """Along a walk with steps of 1 cm and 1°, from reference to reference."""
    references = references_of([remembered(VIEWS[:4])])
    rng = np.random.default_rng(0)
    steps = 400
    yaw = np.cumsum(np.deg2rad(rng.choice([-1, 1], steps // 40).repeat(40)))
    x = 1.0 + np.arange(steps) * 0.01
    chosen = select(references, level_cameras(x, np.full(steps, 0.9), yaw))
    changed = (chosen.rows[1:] != chosen.rows[:-1]).any(1)
    assert 0 < changed.float().mean() < 0.08
    weight = torch.zeros(steps, 5).scatter(1, chosen.rows % 5, chosen.log_weight.exp())[:, :4]
    # What comes, comes faintly, and what goes has faded before.
    assert (weight[1:] - weight[:-1]).abs().amax(1)[changed].median() < 0.5
