"""Workers: processes that make scene jobs ahead of the device, handed out in order."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.training.generator_config import GeneratorConfig
from worldfm_gym.training.scene_job import SceneJob, make_job

_AHEAD = 2  # jobs under way per worker
_SHARED_MEMORY = Path("/dev/shm")
_JOB_BYTES = 64 << 20  # more than nearly all jobs take
_ALIGNMENT = 64


class JobStream:
    """Jobs 0, 1, 2, … of a seed, whichever process makes them."""

    def __init__(self, config: GeneratorConfig, *, seed: int, rank: int, workers: int) -> None:
        """Start the workers.

        Args:
            config: Options.
            seed: Seed of all jobs.
            rank: Which of several processes that train together this is; each gets other worlds.
            workers: Number of processes; 0 makes jobs in this one, when they are asked for.
        """
        self._jobs: Iterator[Any] | None
        if workers == 0:
            self._jobs = (
                make_job(config, seed=seed, rank=rank, index=i) for i in itertools.count()
            )
            return
        # Compiled once here, the kernels only load in the workers.
        _warm_up()
        from torch.utils.data import DataLoader

        shared = _has_shared_memory(workers * (_AHEAD + 1) * _JOB_BYTES)
        loader: DataLoader[Any] = DataLoader(
            _Jobs(config, seed, rank, shared),  # type: ignore[arg-type]
            batch_size=None,
            sampler=itertools.count(),
            num_workers=workers,
            prefetch_factor=_AHEAD,
            collate_fn=_unchanged,
            worker_init_fn=_start_worker,
            multiprocessing_context="forkserver",
        )
        self._jobs = iter(loader)

    def __next__(self) -> SceneJob:
        """The next job; waits for it."""
        if self._jobs is None:
            raise StopIteration
        job = next(self._jobs)
        return job if isinstance(job, SceneJob) else _unsealed(job)

    def close(self) -> None:
        """End the workers."""
        self._jobs = None


@dataclass(frozen=True, slots=True)
class _Jobs:
    """What a worker turns indices into jobs with."""

    config: GeneratorConfig
    seed: int
    rank: int
    shared: bool

    def __getitem__(self, index: int) -> _SealedJob:
        job = make_job(self.config, seed=self.seed, rank=self.rank, index=index)
        return _sealed(job, shared=self.shared)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where in the block of memory an array lies."""

    start: int
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _SealedJob:
    """A job whose arrays lie in one block, which travels as one tensor in shared memory."""

    job: SceneJob  # with slots in the place of arrays
    block: Any


def _sealed(job: SceneJob, *, shared: bool) -> _SealedJob:
    """Move a job's arrays into one block."""
    arrays: list[tuple[int, NDArray[Any]]] = []
    size = 0

    def place(array: NDArray[Any]) -> _Slot:
        nonlocal size
        start, size = size, size + -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        arrays.append((start, array))
        return _Slot(start, array.dtype.str, array.shape)

    hollow = _with_arrays(job, np.ndarray, place)
    block = np.empty(size, np.uint8)
    for start, array in arrays:
        block[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    if not shared:
        return _SealedJob(hollow, block)
    import torch

    return _SealedJob(hollow, torch.from_numpy(block))


def _unsealed(sealed: _SealedJob) -> SceneJob:
    """The job with arrays that look into the block."""
    block = sealed.block if isinstance(sealed.block, np.ndarray) else sealed.block.numpy()

    def look(slot: _Slot) -> NDArray[Any]:
        count = int(np.prod(slot.shape))
        return np.frombuffer(block, slot.dtype, count, slot.start).reshape(slot.shape)

    job: SceneJob = _with_arrays(sealed.job, _Slot, look)
    return job


def _with_arrays(value: Any, kind: type, change: Any) -> Any:
    """A copy of nested dataclasses with all values of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    names = [f.name for f in fields(value)]
    return replace(value, **{n: _with_arrays(getattr(value, n), kind, change) for n in names})


def _unchanged(job: Any) -> Any:
    return job


def _start_worker(_: int) -> None:
    """One thread a worker, and way for the threads that feed the device."""
    os.environ["WORLDFM_NUM_THREADS"] = "1"
    os.nice(5)


def _warm_up() -> None:
    """Compile the kernels that workers need, or find them compiled."""
    make_job(GeneratorConfig.toy(), seed=0, rank=0, index=0)


def _has_shared_memory(size: int) -> bool:
    """Whether there is room for tensors that travel in shared memory; containers may have little.

    Without, jobs travel through pipes, which costs the receiving process time.
    """
    return _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= size
