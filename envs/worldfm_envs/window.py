"""Window: shows frames on the screen, if there is one."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

_logger = logging.getLogger(__name__)
_LEAST_SIDE = 512


class Window:
    """A tkinter window with one picture, enlarged by a whole factor, at no more than `fps`."""

    def __init__(self, *, title: str, fps: float) -> None:
        import tkinter

        self._root: Any = tkinter.Tk()
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        self._label: Any = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._interval_s = 1.0 / fps
        self._next_s = time.monotonic()

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Show an image [H, W, 3]; does nothing once the user has closed the window."""
        if self._root is None:
            return
        import tkinter

        factor = max(1, _LEAST_SIDE // max(rgb.shape[:2]))
        image = rgb.repeat(factor, axis=0).repeat(factor, axis=1)
        header = f"P6 {image.shape[1]} {image.shape[0]} 255 ".encode()
        # Tk forgets a picture that Python does not hold on to.
        self._picture = tkinter.PhotoImage(
            master=self._root, data=header + image.tobytes(), format="PPM"
        )
        self._label.configure(image=self._picture)
        self._root.update()
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._next_s = max(self._next_s + self._interval_s, time.monotonic())

    def close(self) -> None:
        """Close the window; closing twice does nothing."""
        root, self._root = self._root, None
        if root is not None:
            root.destroy()


def open_window(*, title: str, fps: float) -> Window | None:
    """A window, or None with a logged warning that says why there can't be one."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        problem = "there is no display (DISPLAY is not set)"
    else:
        try:
            return Window(title=title, fps=fps)
        except ImportError:
            problem = "tkinter is not installed (Debian: apt install python3-tk)"
        except Exception as error:
            problem = f"the window did not open ({error})"
    _logger.warning(
        "render_mode='human' shows nothing because %s; use render_mode='rgb_array' to get frames",
        problem,
    )
    return None
