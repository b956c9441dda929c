"""Worlds, photos and augmentation that the depth estimator learns from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from worldfm_gym.camera import heading_c2w
from worldfm_gym.errors import ConfigError
from worldfm_gym.training.depth_augmentation import DepthBatch, augment_photos, points_camera
from worldfm_gym.training.depth_data import DepthSource, photo_likeness
from worldfm_gym.training.depth_scenes import (
    DepthDataConfig,
    make_depth_job,
    redecorated,
    with_strangers,
)
from worldfm_gym.worlds.procedural import build_scene

TOY = DepthDataConfig.toy()
CPU = torch.device("cpu")


def test_a_job_is_a_function_of_seed_and_index():
    first, again, other = (make_depth_job(TOY, seed=1, index=i) for i in (0, 0, 1))
    for a, b in zip(first.packed.arrays, again.packed.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.c2w, again.c2w)
    assert other.size != first.size or not np.array_equal(first.c2w, other.c2w)


def test_scoring_worlds_are_others():
    held_out = replace(TOY, held_out=True)
    first, second = (make_depth_job(c, seed=1, index=0) for c in (TOY, held_out))
    assert not np.array_equal(first.packed.prims, second.packed.prims)


def test_new_looks_keep_the_shapes():
    scene = build_scene("rooms", seed=3)
    changed = redecorated(scene, np.random.default_rng(0))
    for name in ("shape", "center", "rotation", "half_size", "instance"):
        np.testing.assert_array_equal(getattr(scene, name), getattr(changed, name))
    assert (np.abs(scene.color - changed.color).max(axis=1) > 0.01).mean() > 0.1
    assert changed.color.min() >= 0
    assert changed.color.max() <= 1


def test_strangers_stand_in_the_scene():
    scene = build_scene("rooms", seed=3)
    changed = with_strangers(scene, np.random.default_rng(0))
    new = slice(len(scene), None)
    assert len(changed) > len(scene)
    np.testing.assert_array_equal(changed.center[: len(scene)], scene.center)
    reach = np.einsum("pij,pj->pi", np.abs(changed.rotation[new]), changed.half_size[new])
    assert (changed.center[new] - reach)[:, 2].min() > -1e-4  # none reaches below the floor
    assert changed.instance[new].min() > scene.instance.max()
    np.testing.assert_allclose(np.linalg.det(changed.rotation[new]), 1, atol=1e-5)


def test_batches_follow_the_seed():
    def batch():
        with DepthSource(TOY, device=CPU, seed=5, workers=0) as source:
            source.batch(2)
            return source.batch(3)

    first, second = batch(), batch()
    torch.testing.assert_close(first.rgb, second.rgb)
    torch.testing.assert_close(first.depth_z, second.depth_z)
    assert len(first) == 3
    assert first.rgb.shape[2:] == first.depth_z.shape[1:]
    assert (first.depth_z > 0).float().mean() > 0.95
    torch.testing.assert_close(first.up_camera.norm(dim=1), torch.ones(3))


def test_worker_processes_make_the_same_batches():
    batches = []
    for workers in (0, 1):
        with DepthSource(TOY, device=CPU, seed=5, workers=workers) as source:
            batches.append(source.batch(2))
    torch.testing.assert_close(batches[0].rgb, batches[1].rgb)
    torch.testing.assert_close(batches[0].depth_z, batches[1].depth_z)


def test_depth_lens_and_up_agree():
    """Points of floors and ceilings, the commonest level surfaces, have few different heights."""
    with DepthSource(TOY, device=CPU, seed=2, workers=0) as source:
        batch = source.batch(12)
    points = points_camera(batch.depth_z, batch.intrinsics)
    height = torch.einsum("bchw,bc->bhw", points, batch.up_camera)
    # On level ground, heights of neighboring rows agree; on walls they differ by much.
    step = (height[:, 1:] - height[:, :-1]).abs()
    level = (step < 0.004 * batch.depth_z[:, 1:]).float().mean((1, 2))
    assert level.max() > 0.2


def test_views_of_things_come_before_walls_and_grazing_views():
    depth = torch.full((3, 48, 64), 2.0)
    depth[1] *= torch.exp(0.25 * torch.randn(48, 64, generator=torch.Generator().manual_seed(0)))
    depth[2] = torch.logspace(-1, 1.3, 64)
    instance = torch.zeros(3, 48, 64, dtype=torch.int32)
    instance[1] = torch.arange(64) // 6
    instance[2] = torch.arange(64) // 6
    wall, things, grazing = photo_likeness(depth, instance)
    assert things > grazing
    assert things > wall


@pytest.mark.parametrize(
    "values",
    [
        {"kinds": ("castle",)},
        {"kinds": ()},
        {"size_shares": (1.0,)},
        {"sizes": ((60, 40), (48, 64))},
        {"kept": 1.5},
        {"fov_deg": (90.0, 60.0)},
        {"pool_worlds": 1},
        {"views": 1, "kept": 0.4},
    ],
)
def test_bad_options_are_refused(values):
    with pytest.raises(ConfigError):
        replace(TOY, **values)


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ConfigError, match="workers"):
        DepthSource(TOY, device=CPU, seed=0, workers=-1)


def room_batch(count=8):
    """A level camera in front of a wall 2 m away, on a floor 1 m below, up and lens known."""
    height, width, focal = 48, 64, 30.0
    v = (torch.arange(height) + 0.5 - height / 2) / focal
    floor = 1 / v.clamp(min=1e-3)
    depth = torch.minimum(floor, torch.tensor(2.0))[:, None].expand(height, width)
    c2w = heading_c2w(np.zeros(3), np.array(0.0))
    return DepthBatch(
        rgb=torch.full((count, 3, height, width), 0.4),
        depth_z=depth.expand(count, -1, -1).clone(),
        intrinsics=torch.tensor([[focal, focal, width / 2 + 4, height / 2]] * count),
        up_camera=torch.tensor(c2w[2, :3], dtype=torch.float32).expand(count, 3).clone(),
        known_lens=torch.ones(count, dtype=torch.bool),
    )


def test_augmented_photos_are_photos_and_differ():
    batch = room_batch(16)
    augmented = augment_photos(batch, generator=torch.Generator().manual_seed(0))
    assert augmented.rgb.shape == batch.rgb.shape
    assert augmented.rgb.isfinite().all()
    assert augmented.rgb.min() >= 0
    assert augmented.rgb.max() <= 1
    means = augmented.rgb.mean((1, 2, 3))
    assert means.std() > 0.05
    again = augment_photos(batch, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(augmented.rgb, again.rgb)


def test_augmentation_keeps_geometry():
    """The floor stays a plane 1 m below the camera, in the photo's own lens."""
    augmented = augment_photos(room_batch(32), generator=torch.Generator().manual_seed(1))
    points = points_camera(augmented.depth_z, augmented.intrinsics)
    height = torch.einsum("bchw,bc->bhw", points, augmented.up_camera)
    floor = augmented.depth_z < 1.7
    floor[:, :40] = False
    assert floor.float().mean() > 0.08
    assert (height[floor] + 1).abs().median() < 0.01
    assert (height[floor] + 1).abs().quantile(0.95) < 0.08  # what distortion does
    flipped = augmented.intrinsics[:, 2] < 32
    assert 4 < int(flipped.sum()) < 28  # about half of them, as the middle lies right of center
