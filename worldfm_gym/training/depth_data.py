"""Depth data: an endless stream of augmented photos of procedural worlds, with true depth.

Worker processes make the worlds (`depth_scenes`), the device draws them and keeps the latest in a
pool for each image size, and every batch is augmented anew (`depth_augmentation`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldfm_gym.errors import ConfigError
from worldfm_gym.threads import num_threads
from worldfm_gym.training.depth_augmentation import DepthBatch, augment_photos
from worldfm_gym.training.depth_scenes import DepthDataConfig, DepthJob, make_depth_job
from worldfm_gym.training.draw_ahead import DrawAhead

_AHEAD = 3  # jobs under way per worker
_DRAWN_AHEAD = 4  # worlds
_FIRST_WORLDS = 24
_ORDER_NOISE = 0.15
_MANY_THINGS = 12
_SPREAD = (0.12, 0.35)  # standard deviation of log depth in photos of rooms


class DepthSource:
    """Makes `DepthBatch` after `DepthBatch`; `close` it, or use it in a ``with`` block."""

    def __init__(
        self,
        config: DepthDataConfig,
        *,
        device: torch.device,
        seed: int,
        workers: int | None = None,
        augmented: bool = True,
    ) -> None:
        """Start making worlds.

        Args:
            config: Options.
            device: Where batches are made.
            seed: Seed of everything random.
            workers: Processes that build worlds; None takes nearly all cores, 0 builds them in this
                process.
            augmented: Whether photos are augmented.
        """
        if workers is not None and workers < 0:
            raise ConfigError(f"workers must be 0 or more, got {workers}")
        if workers is None:
            workers = max(1, num_threads() - 2)
        self._config, self._device, self._augmented = config, device, augmented
        self._jobs: Iterator[DepthJob] | None = _stream(config, seed, workers)
        self._shares = np.array(config.size_shares) / np.sum(config.size_shares)
        worlds = [max(1, round(config.pool_worlds * share)) for share in self._shares]
        self._kept = max(1, round(config.views * config.kept))
        self._pools = [_Pool(count * self._kept) for count in worlds]
        self._due = float(min(config.pool_worlds, _FIRST_WORLDS))  # worlds to take in
        self._rng = np.random.default_rng([seed, 1 << 32])
        self._ahead: DrawAhead[_World] | None = None
        self._generator = torch.Generator(device)
        self._generator.manual_seed(int(self._rng.integers(1 << 62)))

    def batch(self, size: int) -> DepthBatch:
        """The next batch, of `size` photos; their image size varies from batch to batch."""
        if self._jobs is None:
            raise StopIteration
        while self._due >= 1 or not any(pool.count for pool in self._pools):
            world = self._next_world()
            if world.ready is not None:
                stream = torch.cuda.current_stream(self._device)
                stream.wait_event(world.ready)
                for photos in world.photos:
                    photos.record_stream(stream)
            self._pools[world.size].add(world.photos)
            self._due -= 1
        self._due += size / (self._kept * self._config.reuse)
        stocked = self._shares * [pool.count > 0 for pool in self._pools]
        pool = self._pools[self._rng.choice(len(stocked), p=stocked / stocked.sum())]
        rgb, depth_z, lens, up = pool.draw(size, self._generator)
        known = torch.rand(size, generator=self._generator, device=self._device)
        batch = DepthBatch(
            rgb=rgb.permute(0, 3, 1, 2).float() / 255,
            depth_z=depth_z.float(),
            intrinsics=lens,
            up_camera=up,
            known_lens=known < self._config.known_lens,
        )
        return augment_photos(batch, generator=self._generator) if self._augmented else batch

    def close(self) -> None:
        """End the thread and the worker processes."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
        self._jobs = None

    def _next_world(self) -> _World:
        """A world; on a GPU drawn ahead, from the first that is asked for on."""
        if self._device.type != "cuda":
            return self._draw()
        if self._ahead is None:
            self._ahead = DrawAhead(self._draw, self._device, ahead=_DRAWN_AHEAD)
        return self._ahead.next()

    def _draw(self) -> _World:
        """Draw the next job's world."""
        assert self._jobs is not None
        job = next(self._jobs)
        return _World(job.size, _drawn(job, self._config, self._kept, self._device))

    def __enter__(self) -> DepthSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class _World:
    """A world's photos, the index of their size, and when they are ready on the device."""

    size: int
    photos: list[Tensor]
    ready: Any = None


class _Pool:
    """A ring of the latest photos with one image size."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stored: list[Tensor] = []
        self._next = 0
        self.count = 0

    def add(self, photos: list[Tensor]) -> None:
        """Copy photos in, in the place of the oldest."""
        if not self._stored:
            self._stored = [t.new_empty((self._capacity, *t.shape[1:])) for t in photos]
        new = len(photos[0])
        for mine, theirs in zip(self._stored, photos, strict=True):
            mine[self._next : self._next + new].copy_(theirs)
        self._next = (self._next + new) % self._capacity
        self.count = min(self._capacity, self.count + new)

    def draw(self, size: int, generator: torch.Generator) -> list[Tensor]:
        """Photos at random, each at most once if there are enough."""
        rounds, device = -(-size // self.count), self._stored[0].device
        order = torch.rand((rounds, self.count), generator=generator, device=device).argsort()
        index = order.flatten()[:size]
        return [t[index] for t in self._stored]


def _drawn(job: DepthJob, config: DepthDataConfig, kept: int, device: torch.device) -> list[Tensor]:
    """Rgb, depth, intrinsics and up of the views that teach most; waits for no device."""
    width, height = config.sizes[job.size]
    lenses = job.intrinsics.copy()
    lenses[:, :2] = 1 / lenses[:, :2]
    scene = np.zeros(len(lenses), np.int32)
    if device.type == "cuda":
        from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes

        arrays = [torch.from_numpy(a).to(device) for a in (scene, job.c2w, lenses)]
        rgb, depth_z, instance = render_scenes(
            DeviceScenes.upload(job.packed, device), *arrays, width=width, height=height
        )
    else:
        from worldfm_gym.worlds.raycast.cpu import render_packed

        images = render_packed(job.packed, scene, job.c2w, lenses, width=width, height=height)
        rgb, depth_z, instance = (torch.from_numpy(a) for a in images)
    up = torch.from_numpy(np.ascontiguousarray(job.c2w[:, 2, :3])).to(device)
    lens = torch.from_numpy(job.intrinsics).to(device)
    noise = np.random.default_rng(len(job.packed.prims)).normal(0.0, _ORDER_NOISE, len(up))
    likeness = photo_likeness(depth_z, instance) + torch.from_numpy(noise).to(device)
    best = likeness.argsort(descending=True)[:kept]
    # More than 60 m away, a step more doesn't show; half precision keeps the rest to 0.1 %.
    return [rgb[best], depth_z[best].clamp(max=60.0).half(), lens[best], up[best]]


def photo_likeness(depth_z: Tensor, instance: Tensor) -> Tensor:
    """How much views look like what people photograph, [B].

    Photos show things, not a bare wall, and not the grazing views with great ranges of depth that
    cameras anywhere in a room mostly get. Trained on those, the network exaggerates the depth of
    photos.

    Args:
        depth_z: [B, H, W].
        instance: Index of the object that each pixel shows, [B, H, W].
    """
    few = instance[:, ::6, ::6].flatten(1).sort(dim=1).values
    things = 1 + (few.diff(dim=1) != 0).sum(1)
    spread = depth_z[:, ::4, ::4].clamp(0.1, 30.0).log().flatten(1).std(dim=1)
    flat, deep = (_SPREAD[0] - spread).clamp(min=0), (spread - _SPREAD[1]).clamp(min=0)
    return things.clamp(max=_MANY_THINGS) / _MANY_THINGS - 1.5 * (flat + deep)


@dataclass(frozen=True, slots=True)
class _Jobs:
    """What a worker turns indices into jobs with."""

    config: DepthDataConfig
    seed: int

    def __getitem__(self, index: int) -> DepthJob:
        return make_depth_job(self.config, seed=self.seed, index=index)


def _stream(config: DepthDataConfig, seed: int, workers: int) -> Iterator[DepthJob]:
    """Jobs 0, 1, 2, … of a seed, whichever process makes them."""
    if workers == 0:
        return (make_depth_job(config, seed=seed, index=i) for i in itertools.count())
    # Compiled once here, the kernels only load in the workers.
    make_depth_job(DepthDataConfig.toy(), seed=0, index=0)
    from torch.utils.data import DataLoader

    loader: DataLoader[Any] = DataLoader(
        _Jobs(config, seed),  # type: ignore[arg-type]
        batch_size=None,
        sampler=itertools.count(),
        num_workers=workers,
        prefetch_factor=_AHEAD,
        collate_fn=_unchanged,
        worker_init_fn=_start_worker,
        multiprocessing_context="forkserver",
    )
    return iter(loader)


def _unchanged(job: Any) -> Any:
    return job


def _start_worker(_: int) -> None:
    """One thread a worker, and way for the thread that feeds the device."""
    os.environ["WORLDFM_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    os.nice(5)
