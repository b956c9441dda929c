"""Threads: run compiled kernels that release the GIL on all cores.

Python threads around single-threaded kernels, instead of numba's own parallel loops: those run on
OpenMP, which ends a forked process, or on TBB, which is not always there, and take long to compile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_pool: ThreadPoolExecutor | None = None


def num_threads() -> int:
    """Cores this process may use; the environment variable WORLDFM_NUM_THREADS lowers it."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(cores, int(os.environ.get("WORLDFM_NUM_THREADS", cores))))


def run_striped(kernel: Callable[..., Any], tasks: int, *args: Any) -> None:
    """Call ``kernel(first, step, *args)`` on every thread, so that together they do all tasks.

    Args:
        kernel: Does tasks first, first + step, … below the count that it knows from its arguments,
            releases the GIL, and writes results that do not depend on who does which task.
        tasks: Number of tasks; no more threads than that are used.
        args: What every call gets.
    """
    global _pool
    stripes = min(num_threads(), tasks)
    if stripes <= 1:
        kernel(0, 1, *args)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(num_threads(), thread_name_prefix="worldfm")
    others = [_pool.submit(kernel, i, stripes, *args) for i in range(1, stripes)]
    kernel(0, stripes, *args)
    for other in others:
        other.result()


def _forget_pool() -> None:
    """A forked child has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
