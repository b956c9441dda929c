"""DrawAhead: worlds drawn on a thread and a CUDA stream of their own, a few ahead of their use."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import torch


class Drawn(Protocol):
    """What is drawn; `ready` is set to the event after which it can be read on other streams."""

    ready: Any


DrawnT = TypeVar("DrawnT", bound=Drawn)


class DrawAhead(Generic[DrawnT]):
    """Calls `draw` again and again, and hands out what it drew in order."""

    def __init__(self, draw: Callable[[], DrawnT], device: torch.device, *, ahead: int) -> None:
        self._draw, self._device = draw, device
        self._stream = torch.cuda.Stream(device)
        self._queue: queue.Queue[DrawnT | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worldfm-draw", daemon=True)
        self._thread.start()

    def next(self) -> DrawnT:
        """The next one; waits for the workers, not for the device."""
        drawn = self._queue.get()
        if isinstance(drawn, BaseException):
            self._queue.put(drawn)  # for whoever asks again
            raise drawn
        return drawn

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()
            self._thread.join(timeout=0.05)

    def _run(self) -> None:
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            while not self._stop.is_set():
                try:
                    drawn = self._draw()
                    drawn.ready = self._stream.record_event()
                    self._queue.put(drawn)
                except BaseException as error:
                    self._queue.put(error)
                    return
