"""The sample generator: one seed, one stream; partial anchors hold what was observed."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from worldfm_gym.anchor.pyramid import build_pyramid
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera
from worldfm_gym.errors import ConfigError, SourceError
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training import scene_job
from worldfm_gym.training.augmentation import augment
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.generator import GeneratorConfig, SampleGenerator
from worldfm_gym.training.generator_config import TRAINING_SEEDS
from worldfm_gym.training.generator_workers import JobStream
from worldfm_gym.training.observation import Observation, observe_in_torch, plan_observation
from worldfm_gym.training.scene_drawing import PlaceImages, draw_job
from worldfm_gym.training.scene_job import MAX_DISPLACEMENT_M, SceneJob, make_job, size_of_job
from worldfm_gym.training.views import visible_points

TOY = GeneratorConfig.toy()
CPU = torch.device("cpu")


def batches(count: int, *, seed: int = 0, rank: int = 0) -> list[Batch]:
    with SampleGenerator(TOY, device="cpu", seed=seed, rank=rank, workers=0) as generator:
        return [generator.batch(3) for _ in range(count)]


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of nested dataclasses, in order."""
    for field in fields(value):
        part = getattr(value, field.name)
        yield from [part] if isinstance(part, Tensor) else tensors(part)


def arrays(value: Any) -> Iterator[np.ndarray]:
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, np.ndarray):
            yield part
        elif hasattr(part, "__dataclass_fields__"):
            yield from arrays(part)


@pytest.fixture(scope="module")
def stream() -> list[Batch]:
    return batches(6)


@pytest.fixture(scope="module")
def job() -> SceneJob:
    return make_job(TOY, seed=0, rank=0, index=0)


@pytest.fixture(scope="module")
def images(job: SceneJob) -> PlaceImages:
    """True and partial images of a job."""
    return draw_job(job, replace(TOY, complete_share=0.0), CPU)


@pytest.fixture(scope="module")
def observation(job: SceneJob, images: PlaceImages) -> Observation:
    """What `draw_job` has planned, from the same random numbers."""
    rng = np.random.default_rng(job.seed)
    rng.random()
    return plan_observation(rng, truth_of(images))


def truth_of(images: PlaceImages) -> PosedImages:
    return PosedImages(images.rgb, images.depth_z, images.c2w, images.intrinsics)


def test_shapes_and_types(stream: list[Batch]) -> None:
    sizes, counts = set(), set()
    for batch in stream:
        height, width = batch.target.rgb.shape[2:4]
        count = batch.references.rgb.shape[1]
        sizes.add((width, height))
        counts.add(count)
        for images, k in ((batch.target, 4), (batch.references, count)):
            assert images.rgb.shape == (3, k, height, width, 3)
            assert images.rgb.dtype == torch.uint8
            assert images.depth_z.shape == (3, k, height, width)
            assert images.depth_z.dtype == torch.float32
            assert images.c2w.shape == (3, k, 4, 4)
            assert images.c2w.dtype == torch.float32
            assert images.intrinsics.shape == (3, k, 4)
        assert batch.anchor_rgb.shape == batch.target.rgb.shape
        assert batch.anchor_rgb.dtype == torch.uint8
        assert batch.anchor_depth_z.shape == batch.anchor_index.shape == (3, 4, height, width)
        assert batch.anchor_index.dtype == torch.int32
        assert batch.salt.shape == (3,)
        assert batch.salt.dtype == torch.int64
    assert sizes <= set(TOY.sizes)
    assert len(counts) > 1


def test_uncovered_is_uncovered_everywhere(stream: list[Batch]) -> None:
    coverage = []
    for batch in stream:
        covered = batch.anchor_index >= 0
        assert torch.equal(covered, batch.anchor_depth_z > 0)
        assert (batch.anchor_rgb[~covered] == 0).all()
        assert (batch.target.depth_z > 0).all()
        coverage.append(covered.float().mean())
    assert 0.2 < np.mean(coverage) < 0.95


def test_targets_are_no_references(stream: list[Batch]) -> None:
    for batch in stream:
        gap = (batch.target.c2w[:, :, None] - batch.references.c2w[:, None]).abs().amax((-1, -2))
        assert (gap > 1e-3).all()


def test_same_seed_same_stream(stream: list[Batch]) -> None:
    for mine, again in zip(stream, batches(6), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(mine), tensors(again), strict=True))


def test_ranks_and_seeds_see_other_worlds(job: SceneJob) -> None:
    for other in ({"seed": 1, "rank": 0}, {"seed": 0, "rank": 1}):
        assert not np.array_equal(make_job(TOY, index=0, **other).packed.prims, job.packed.prims)


def test_workers_make_the_same_jobs_in_order_and_end() -> None:
    here = JobStream(TOY, seed=0, rank=0, workers=0)
    there = JobStream(TOY, seed=0, rank=0, workers=2)
    for _ in range(4):
        for a, b in zip(arrays(next(here)), arrays(next(there)), strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)
    assert len(multiprocessing.active_children()) == 2
    there.close()
    assert not multiprocessing.active_children()


def test_training_worlds_are_not_those_of_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def recorded(kind: str, *, seed: int) -> Any:
        seeds.append(seed)
        return build_scene(kind, seed=seed)

    build_scene = scene_job.build_scene
    monkeypatch.setattr(scene_job, "build_scene", recorded)
    for index in range(4):
        make_job(TOY, seed=0, rank=0, index=index)
    assert len(set(seeds)) == 4
    assert 0 <= min(seeds) < max(seeds) < TRAINING_SEEDS
    for index in range(4):
        make_job(replace(TOY, held_out=True), seed=0, rank=0, index=index)
    assert min(seeds[4:]) >= TRAINING_SEEDS


def test_a_world_without_room_for_cameras_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def crowded(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise SourceError("no room")
        return plan_places(*args, **options)

    plan_places = scene_job.plan_places
    monkeypatch.setattr(scene_job, "plan_places", crowded)
    job = make_job(TOY, seed=0, rank=0, index=0)
    assert len(calls) == 2
    assert job.c2w.shape == (4, 8, 4, 4)
    monkeypatch.setattr(scene_job, "_TRIES", 1)
    calls.clear()
    with pytest.raises(SourceError, match="no room"):
        make_job(TOY, seed=0, rank=0, index=0)


def test_sizes_keep_their_shares_over_any_run() -> None:
    config = GeneratorConfig()
    for start in (0, 1000):
        sizes = [size_of_job(config, start + i) for i in range(100)]
        shares = np.bincount(sizes, minlength=6) / 100
        np.testing.assert_allclose(shares, config.size_shares, atol=0.03)


def test_complete_anchor_is_the_raster_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's pyramid has one body and wider cells than the world's, and draws the same."""
    made: dict[str, Any] = {}

    def keep(name: str) -> None:
        original = getattr(scene_job, name)

        def kept(*args: Any, **kwargs: Any) -> Any:
            made[name] = original(*args, **kwargs)
            return made[name]

        monkeypatch.setattr(scene_job, name, kept)

    keep("build_scene")
    keep("anchor_from_scene")
    job = make_job(TOY, seed=2, rank=0, index=0)
    images = draw_job(job, replace(TOY, complete_share=1.0), CPU)
    pyramid = build_pyramid(made["anchor_from_scene"], made["build_scene"].objects)
    width, height = TOY.sizes[job.size]
    cameras = Camera(job.c2w, job.intrinsics, width, height).flat()
    world = AnchorRaster([pyramid]).render(cameras, np.zeros(len(cameras.c2w), np.int64))
    assert np.array_equal(images.anchor_rgb.flatten(0, 1), world.rgb)
    assert np.array_equal(images.anchor_index.flatten(0, 1), world.index)
    assert np.array_equal(images.anchor_depth_z.flatten(0, 1), world.depth)
    assert (world.index >= 0).mean() > 0.99
    assert not images.observer.any()


def test_observers_cover_more_than_others(images: PlaceImages) -> None:
    covered = (images.anchor_index >= 0).float().mean((-1, -2))
    assert images.observer.any(1).all()
    assert (images.observer.sum(1) <= 3).all()
    assert covered[images.observer].mean() > covered[~images.observer].mean() + 0.1


def test_partial_anchor_is_true_where_it_covers(images: PlaceImages) -> None:
    """Splats of up to 25 cm fringe what they show; most pixels show what is there all the same."""
    covered = images.anchor_index >= 0
    relative = (images.anchor_depth_z / images.depth_z - 1).abs()[covered]
    assert relative.median() < 0.02
    assert (relative < 0.1).float().mean() > 0.75


def test_only_observed_splats_stay_and_move_little(
    job: SceneJob, images: PlaceImages, observation: Observation
) -> None:
    geometry = torch.from_numpy(job.pyramid.geometry)
    partial = observe_in_torch(geometry, truth_of(images), observation)
    rest = geometry.movedim(1, -1).reshape(-1, 8)
    seen_anywhere = 0
    for p in range(len(partial)):
        now = partial[p].movedim(1, -1).reshape(-1, 8)
        kept = now[:, :3].isfinite().all(-1)
        assert torch.equal(now[:, 3:], rest[:, 3:])
        views = observation.observers[p].long()
        observers = PosedImages(*(t.flatten(0, 1)[views] for t in tensors(truth_of(images))))
        seen = visible_points(rest[:, :3], torch.full((len(rest),), 0.08), observers)
        assert (seen | ~kept).all()
        for x, y, z, squared in observation.holes[p].tolist():
            inside = ((rest[:, :3] - torch.tensor([x, y, z])) ** 2).sum(-1) < squared * 0.999
            assert not (kept & inside).any()
        step = (now[kept, :3] - rest[kept, :3]).norm(dim=-1)
        distance = (rest[kept, :3] - observation.origin[p, :3]).norm(dim=-1)
        bound = (observation.origin[p, 3] * distance).clamp(max=MAX_DISPLACEMENT_M)
        assert (step <= bound + 1e-4).all()
        seen_anywhere += int(kept.sum())
    assert seen_anywhere > 100


_TRITON = """
import sys, torch
sys.path.insert(0, {folder!r})
import numpy as np
from test_generator import TOY, CPU, draw_job, make_job, plan_observation, replace, truth_of
from worldfm_gym.training.observation import observe_in_torch
from worldfm_gym.training.observation_triton import observe
device = {device!r}
job = make_job(TOY, seed=0, rank=0, index=0)
truth = truth_of(draw_job(job, replace(TOY, complete_share=1.0), CPU))
observation = plan_observation(np.random.default_rng(0), truth)[:2]
geometry = torch.from_numpy(job.pyramid.geometry)
expected = observe_in_torch(geometry, truth, observation)
interesting = (~expected[:, :, 0].isnan()).any(-1).any(0).nonzero()[:{blocks}, 0]
expected = expected[:, interesting]
on_device = lambda value: type(value)(
    *(getattr(value, name).to(device) for name in value.__dataclass_fields__)
)
fast = observe(
    geometry[interesting].contiguous().to(device), on_device(truth), on_device(observation)
).cpu()
gone, lost = expected.isnan(), fast.isnan()
assert (gone != lost).float().mean() < 1e-3, (gone != lost).float().mean()
both = ~gone & ~lost
assert 0.02 < both[:, :, 0].float().mean() < 0.98
torch.testing.assert_close(fast[both], expected[both], rtol=1e-5, atol=1e-5)
print("equal")
"""


def run_triton(tmp_path: Path, environment: dict[str, str], **values: object) -> str:
    script = tmp_path / "triton_observation.py"
    script.write_text(_TRITON.format(folder=str(Path(__file__).parent), **values))
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_triton_observes_the_same_in_the_interpreter(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    assert run_triton(tmp_path, environment, device="cpu", blocks=16).strip() == "equal"


@pytest.mark.gpu
def test_triton_observes_the_same_on_the_gpu(tmp_path: Path) -> None:
    out = run_triton(tmp_path, dict(os.environ), device="cuda", blocks=1 << 20)
    assert out.strip() == "equal"


@pytest.mark.gpu
def test_gpu_stream_repeats() -> None:
    def run() -> list[Batch]:
        with SampleGenerator(TOY, device="cuda", seed=0, workers=1) as generator:
            return [generator.batch(3).to("cpu") for _ in range(6)]

    for mine, again in zip(run(), run(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(mine), tensors(again), strict=True))


def test_augmentation_masks_the_given_share_and_lights_alike(stream: list[Batch]) -> None:
    clean = stream[0]
    covered = clean.anchor_index >= 0
    generator = torch.Generator().manual_seed(0)
    bare = augment(clean, masked_share=0.0, generator=generator)
    assert torch.equal(bare.anchor_index, clean.anchor_index)
    masked = augment(clean, masked_share=1.0, generator=generator)
    left = (masked.anchor_index >= 0).float().mean() / covered.float().mean()
    assert 0.4 < left < 0.95
    assert (covered | (masked.anchor_index < 0)).all()
    # One gain for target and anchor: their ratio to the clean images is the same.
    target, anchor = (
        (new.float().mean((1, 2, 3)) / old.float().mean((1, 2, 3)))
        for new, old in ((bare.target.rgb, clean.target.rgb), (bare.anchor_rgb, clean.anchor_rgb))
    )
    assert (target - 1).abs().max() > 0.01
    torch.testing.assert_close(target, anchor, rtol=0.05, atol=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ("castle",)}, "castle"),
        ({"sizes": ((60, 60), (64, 64))}, "multiples of 8"),
        ({"size_shares": (1.0,)}, "size_shares"),
        ({"targets": 5}, "targets"),
        ({"pool_worlds": 1}, "pool_worlds"),
    ],
)
def test_impossible_options(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(TOY, **change)


def test_no_negative_number_of_workers() -> None:
    with pytest.raises(ConfigError, match="workers"):
        SampleGenerator(TOY, device="cpu", seed=0, workers=-1)


def test_neighboring_targets_are_a_step_and_a_small_turn_apart() -> None:
    config = replace(TOY, neighbors=True, complete_share=0.0, masked_share=0.0)
    with SampleGenerator(config, device="cpu", seed=0, workers=0) as generator:
        poses = generator.batch(3).target.c2w
    one, other = poses[:, ::2], poses[:, 1::2]
    step_m = (other - one)[..., :3, 3].norm(dim=-1)
    torch.testing.assert_close(step_m, torch.full_like(step_m, 0.1), rtol=0, atol=1e-5)
    turn = one[..., :3, :3].mT @ other[..., :3, :3]
    cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    assert np.rad2deg(np.arccos(cosine)) == pytest.approx(3.0, abs=0.05)
    observer = draw_job(make_job(config, seed=0, rank=0, index=0), config, CPU).observer
    assert not observer[:, : config.targets].any()
    assert observer.any(dim=1).all()
    with pytest.raises(ConfigError, match="pairs"):
        replace(config, targets=3)
    with pytest.raises(ConfigError, match="views besides"):
        replace(config, targets=4, views=6, reference_shares=(0.5, 0.5))
