import os
import subprocess
import sys

import pytest

import worldfm_gym


def run_python(code: str) -> str:
    """Output of a fresh interpreter without a display."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    heavy = ("torch", "open3d", "stable_baselines3", "numba", "scipy", "PIL", "worldfm_envs")
    loaded = run_python(f"import sys, worldfm_gym; print([m for m in {heavy} if m in sys.modules])")
    assert loaded.strip() == "[]"


def test_import_adds_less_than_half_a_second():
    code = (
        "import time, numpy, gymnasium; t = time.process_time(); import worldfm_gym; "
        "print(time.process_time() - t)"
    )
    assert min(float(run_python(code)) for _ in range(3)) < 0.5


def test_import_registers_the_environments():
    code = (
        "import gymnasium, worldfm_gym; "
        "print(sorted(k for k in gymnasium.registry if k.startswith('WorldFM/')))"
    )
    registered = run_python(code)
    assert "WorldFM/FreeCamera-v0" in registered
    assert "WorldFM/PointNav-v0" in registered


@pytest.mark.parametrize("name", worldfm_gym.__all__)
def test_public_names_are_there(name):
    assert getattr(worldfm_gym, name) is not None
    assert name in dir(worldfm_gym)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'make_word'"):
        _ = worldfm_gym.make_word
