"""Sample generator: an endless stream of training batches from procedural worlds.

Worker processes build worlds, sample their anchors and plan views (`generator_workers`); the device
draws the views as they are and as partial anchors show them (`scene_drawing`), on a stream and a
thread of its own; a pool on the device (`scene_pool`) mixes worlds into batches. Worlds enter the
pool in order and at fixed batches, so a seed gives the same stream however fast the workers are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from worldfm_gym.errors import ConfigError
from worldfm_gym.training.augmentation import augment
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.draw_ahead import DrawAhead
from worldfm_gym.training.generator_config import GeneratorConfig
from worldfm_gym.training.generator_workers import JobStream
from worldfm_gym.training.scene_drawing import PlaceImages, draw_job
from worldfm_gym.training.scene_pool import ScenePool

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GeneratorConfig", "SampleGenerator"]

_DRAWN_AHEAD = 2  # worlds


class SampleGenerator:
    """Makes `Batch` after `Batch`; `close` it, or use it in a ``with`` block."""

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        device: torch.device | str,
        seed: int,
        workers: int | None = None,
        rank: int = 0,
    ) -> None:
        """Start making worlds.

        Args:
            config: Options.
            device: Where batches are made.
            seed: Seed of everything random.
            workers: Processes that build worlds; None takes nearly all cores, 0 builds them in this
                process.
            rank: Number of this process among those that train together; each sees other worlds.
        """
        if workers is not None and workers < 0:
            raise ConfigError(f"workers must be 0 or more, got {workers}")
        if workers is None:
            workers = max(1, _cores() - 2)
        self._config = config
        self._device = torch.device(device)
        if self._device.type == "cuda" and self._device.index is None:
            self._device = torch.device("cuda", torch.cuda.current_device())
        self._jobs = JobStream(config, seed=seed, rank=rank, workers=workers)
        self._drawn: Callable[[], _Drawn]
        self._ahead: DrawAhead[_Drawn] | None = None
        if self._device.type == "cuda":
            self._ahead = DrawAhead(self._draw, self._device, ahead=_DRAWN_AHEAD)
            self._drawn = self._ahead.next
        else:
            self._drawn = self._draw
        shares = np.array(config.size_shares) / np.sum(config.size_shares)
        self._shares = shares
        self._pools = [
            ScenePool(max(1, round(config.pool_worlds * share)), neighbors=config.neighbors)
            for share in shares
        ]
        self._due = float(config.pool_worlds)  # worlds that the pool is to take in
        self._rng = np.random.default_rng([seed, rank, 1 << 32])
        self._generator = torch.Generator(self._device).manual_seed(
            int(self._rng.integers(1 << 62))
        )

    def batch(self, groups: int) -> Batch:
        """The next batch; on a GPU nothing waits for the device.

        Image size and number of references vary from batch to batch.

        Args:
            groups: Number of groups, each of `GeneratorConfig.targets` samples.
        """
        config = self._config
        while self._due >= 1 or not any(pool.worlds for pool in self._pools):
            self._take_in(self._drawn())
            self._due -= 1
        self._due += groups / (config.places * config.reuse)
        stocked = self._shares * [pool.worlds > 0 for pool in self._pools]
        size = self._rng.choice(len(stocked), p=stocked / stocked.sum())
        share = np.array(config.reference_shares)
        references = int(self._rng.choice(len(share), p=share / share.sum()))
        clean = self._pools[size].draw(
            groups, targets=config.targets, references=references, generator=self._generator
        )
        return augment(clean, masked_share=config.masked_share, generator=self._generator)

    def close(self) -> None:
        """End the thread and the worker processes."""
        if self._ahead is not None:
            self._ahead.close()
        self._jobs.close()

    def __enter__(self) -> SampleGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _draw(self) -> _Drawn:
        """Draw the next job's world."""
        job = next(self._jobs)
        return _Drawn(job.size, draw_job(job, self._config, self._device))

    def _take_in(self, drawn: _Drawn) -> None:
        """Put a world into the pool of its size."""
        if drawn.ready is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(drawn.ready)
            for tensor in drawn.images.tensors():
                tensor.record_stream(stream)
        self._pools[drawn.size].add(drawn.images)


@dataclass(slots=True)
class _Drawn:
    """A world's images, the index of their size, and when they are ready on the device."""

    size: int
    images: PlaceImages
    ready: Any = None


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
