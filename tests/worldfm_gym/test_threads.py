"""Kernels on threads do every task once, also in a forked child."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from worldfm_gym.threads import num_threads, run_striped


def count(first: int, step: int, done: np.ndarray) -> None:
    done[first::step] += 1


def count_in_child(queue: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    done = np.zeros(100, int)
    run_striped(count, 100, done)
    queue.put(done)


@pytest.mark.parametrize("tasks", [0, 1, 2, 7, 1000])
def test_every_task_is_done_once(tasks: int) -> None:
    done = np.zeros(tasks, int)
    run_striped(count, tasks, done)
    assert (done == 1).all()


def test_limit_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFM_NUM_THREADS", "1")
    assert num_threads() == 1


def test_errors_of_other_threads_are_raised() -> None:
    def fail(first: int, step: int) -> None:
        if first == step - 1:
            raise RuntimeError("task failed")

    with pytest.raises(RuntimeError, match="task failed"):
        run_striped(fail, 8)


def test_forked_children_have_threads_of_their_own() -> None:
    run_striped(count, 100, np.zeros(100, int))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=count_in_child, args=(queue,))
    child.start()
    assert (queue.get(timeout=60) == 1).all()
    child.join()
