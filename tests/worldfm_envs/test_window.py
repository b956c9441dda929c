"""The window against a stand-in for tkinter, so that no test needs a display."""

import sys
import types

import numpy as np
import pytest

from worldfm_envs.window import open_window


class FakeRoot:
    def __init__(self):
        self.destroyed = 0
        self.updates = 0

    def title(self, text):
        self.text = text

    def protocol(self, name, callback):
        self.on_close = callback

    def update(self):
        self.updates += 1

    def destroy(self):
        self.destroyed += 1


class FakeLabel:
    def __init__(self, root, **options):
        self.root = root

    def pack(self):
        pass

    def configure(self, image):
        self.root.shown = image


@pytest.fixture
def root(monkeypatch):
    """The root window that the next `open_window` makes."""
    root = FakeRoot()
    fake = types.SimpleNamespace(
        Tk=lambda: root, Label=FakeLabel, PhotoImage=lambda **options: options
    )
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    monkeypatch.setenv("DISPLAY", ":0")
    return root


def test_frames_are_enlarged_and_shown_in_their_own_window(root):
    window = open_window(title="PointNav", fps=10_000)
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    window.show(rgb)
    assert root.shown["master"] is root
    header, pixels = root.shown["data"][:15], root.shown["data"][15:]
    assert header == b"P6 510 340 255 "
    image = np.frombuffer(pixels, np.uint8).reshape(340, 510, 3)
    np.testing.assert_array_equal(image[::170, ::170], rgb)
    assert root.updates == 1


def test_a_window_that_the_user_closed_stays_closed(root):
    window = open_window(title="PointNav", fps=10_000)
    root.on_close()
    window.show(np.zeros((4, 4, 3), np.uint8))
    window.close()
    assert (root.destroyed, root.updates) == (1, 0)


def test_the_pace_is_that_of_the_environment(root, monkeypatch):
    clock, naps = [100.0], []

    def sleep(seconds):
        naps.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", sleep)
    window = open_window(title="PointNav", fps=10)
    for _ in range(4):
        window.show(np.zeros((4, 4, 3), np.uint8))
    assert sum(naps) == pytest.approx(0.3)


def test_a_missing_tkinter_names_the_package(root, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert open_window(title="PointNav", fps=30) is None
    assert "python3-tk" in caplog.text


def test_the_environment_shows_its_frames(root, make_env):
    env = make_env(render_mode="human")
    env.reset(seed=0)
    env.step(1)
    assert env.render() is None
    assert root.updates == 2
    env.close()
    assert root.destroyed == 1
