"""Conditioning of a batch: as the renderer does it, target by target."""

from dataclasses import replace

import torch

from tests.worldfm_gym.training.synthetic_views import SyntheticSource
from tests.worldfm_gym.training.toy_training import toy_network
from worldfm_gym.frame_model.conditioning import (
    PosedImages,
    complete_depth,
    encode_depth,
    reference_channels,
    warp_references,
)
from worldfm_gym.frame_model.noise import anchored_noise
from worldfm_gym.frame_model.sampler import bind, sample
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.conditioned import (
    FewStepSampler,
    draw,
    encode_memory,
    prepare,
    prepare_unconditioned,
)

GROUPS, TARGETS, REFERENCES = 3, 2, 2


def batch() -> Batch:
    return SyntheticSource(targets=TARGETS, references=REFERENCES).batch(GROUPS)


def references_of(group: int) -> PosedImages:
    r = batch().references
    parts = (r.rgb, r.depth_z, r.c2w, r.intrinsics)
    return PosedImages(*(part[group : group + 1] for part in parts))


def test_every_target_gets_its_own_groups_references_and_salt() -> None:
    given = batch()
    views = prepare(given)
    for i in range(GROUPS * TARGETS):
        group, target = divmod(i, TARGETS)
        depth_z = given.anchor_depth_z[group, target][None]
        c2w = given.target.c2w[group, target][None]
        lens = given.target.intrinsics[group, target][None]
        completed = complete_depth(depth_z, c2w, lens, references_of(group))
        rgb, confidence = warp_references(completed, c2w, lens, references_of(group))
        assert torch.allclose(views.conditioning[i, 3:4], encode_depth(completed)[0], atol=1e-6)
        assert torch.allclose(views.conditioning[i, 5:8], rgb[0], atol=1e-6)
        assert torch.allclose(views.conditioning[i, 8:], confidence[0], atol=1e-6)
        index = given.anchor_index[group, target][None]
        salt = given.salt[group][None]
        noise = anchored_noise(index, c2w, lens, salt, depth_z=completed)
        assert torch.equal(views.noise[i], noise[0])


def test_shared_references_are_encoded_as_if_each_target_had_its_own() -> None:
    network, views = toy_network(), prepare(batch())
    memory = encode_memory(network, views)
    assert memory is not None
    for i in range(len(views)):
        references = references_of(i // TARGETS)
        own = network.encode_references(
            reference_channels(references.rgb[0], references.depth_z[0]), references.intrinsics[0]
        )
        assert torch.allclose(memory.keys[:, i], own.keys.flatten(1, 2), atol=1e-5)
        assert torch.allclose(memory.values[:, i], own.values.flatten(1, 2), atol=1e-5)


def test_a_dropped_anchor_leaves_nothing_of_itself() -> None:
    kept = torch.ones(GROUPS, TARGETS, dtype=torch.bool)
    kept[1, 0] = False
    views, all_kept = prepare(batch(), anchor_kept=kept), prepare(batch())
    dropped = ~kept.flatten()
    assert views.conditioning[dropped, :3].abs().sum() == 0
    assert views.conditioning[dropped, 4].abs().sum() == 0
    # What remains comes from the references: as if there had never been an anchor.
    none = prepare(
        replace(
            batch(),
            anchor_rgb=torch.zeros_like(batch().anchor_rgb),
            anchor_depth_z=torch.zeros_like(batch().anchor_depth_z),
        )
    )
    assert torch.equal(views.conditioning[dropped], none.conditioning[dropped])
    assert views.covered[dropped].sum() == 0
    assert (views.index[dropped] == -1).all()
    assert not torch.equal(views.noise[dropped], all_kept.noise[dropped])
    assert torch.equal(views.conditioning[~dropped], all_kept.conditioning[~dropped])
    assert torch.equal(views.noise[~dropped], all_kept.noise[~dropped])


def test_plain_images_are_those_of_a_batch_without_anchor_and_references() -> None:
    views = prepare_unconditioned(batch())
    assert views.references is None
    assert views.conditioning.abs().sum() == 0
    assert torch.equal(views.truth, prepare(batch()).truth)


def test_fresh_noise_is_normal_and_new() -> None:
    views, generator = prepare(batch()), torch.Generator().manual_seed(0)
    first, second = views.fresh_noise(generator), views.fresh_noise(generator)
    assert abs(float(first.mean())) < 0.06
    assert abs(float(first.std()) - 1) < 0.02
    correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))
    assert abs(float(correlation[0, 1])) < 0.03


def test_training_draws_what_the_sampler_draws() -> None:
    network, views = toy_network(), prepare(batch())
    predict = bind(
        network,
        views.conditioning,
        views.intrinsics,
        encode_memory(network, views),
        views.relative,
    )
    for steps in (1, 2):
        served = sample(predict, views.noise, steps=steps)
        assert torch.allclose(FewStepSampler(network)(views, steps), served, atol=1e-6)
        assert torch.allclose(draw(network, views, steps=steps), served, atol=1e-6)


def test_two_steps_reach_every_weight_under_autocast() -> None:
    network, views = toy_network(), prepare(batch())
    with torch.autocast("cpu", torch.bfloat16):
        drawn = FewStepSampler(network)(views, 2)
    drawn.square().sum().backward()
    unreached = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_views_without_references_need_no_memory() -> None:
    given = batch()
    r = given.references
    none = PosedImages(r.rgb[:, :0], r.depth_z[:, :0], r.c2w[:, :0], r.intrinsics[:, :0])
    views = prepare(replace(given, references=none))
    assert encode_memory(toy_network(), views) is None
    assert torch.isfinite(draw(toy_network(), views, steps=1)).all()
