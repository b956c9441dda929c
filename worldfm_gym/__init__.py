"""WorldFM Gym: embodied-AI environments whose worlds come from a seed, a scan or a photo.

Importing this package registers every environment id with Gymnasium and loads nothing heavy: the
names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from worldfm_gym.registration import register_environments as _register_environments

if TYPE_CHECKING:
    from worldfm_gym.camera import Camera
    from worldfm_gym.frame import Frame
    from worldfm_gym.navigation import AgentBody
    from worldfm_gym.worlds.make import make_world
    from worldfm_gym.worlds.store import load_world
    from worldfm_gym.worlds.world import World

__version__ = "0.1.0"
__all__ = ["AgentBody", "Camera", "Frame", "World", "__version__", "load_world", "make_world"]

_HOMES = {
    "AgentBody": "worldfm_gym.navigation",
    "Camera": "worldfm_gym.camera",
    "Frame": "worldfm_gym.frame",
    "World": "worldfm_gym.worlds.world",
    "load_world": "worldfm_gym.worlds.store",
    "make_world": "worldfm_gym.worlds.make",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_register_environments()
