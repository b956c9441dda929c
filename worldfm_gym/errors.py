"""The errors that a user of the library can catch.

Each message says what came, what was expected and what to do about it. All of them derive from
`WorldFMError`, and from the built-in class that callers of numeric code already catch.
"""


class WorldFMError(Exception):
    """Base class of every error this library raises on purpose."""


class CameraError(WorldFMError, ValueError):
    """A camera is not usable: non-rigid or non-finite `c2w`, bad intrinsics, bad image size."""


class SourceError(WorldFMError, ValueError):
    """A source (photo, scan, cloud, mesh, seed) can't become a world."""


class ReconstructionError(WorldFMError, ValueError):
    """A depth estimator can't be made, or was given images that it can't work on."""


class WorldFormatError(WorldFMError, ValueError):
    """A saved world can't be read: not a world, damaged, or written by a newer version."""


class AnchorError(WorldFMError, ValueError):
    """Point arrays of an anchor disagree in length, are empty or hold non-finite values."""


class NavigationError(WorldFMError, RuntimeError):
    """A navigation query can't be answered: no usable floor, or a point that is not free."""


class RendererError(WorldFMError, ValueError):
    """A renderer can't be made: unknown name, or a world that it can't draw."""


class FrameModelError(WorldFMError, ValueError):
    """A frame model can't be built, loaded or asked for an image of that size."""


class CheckpointError(WorldFMError, ValueError):
    """A training checkpoint can't be read, or is not one of this stage and network."""


class SimulatorError(WorldFMError, ValueError):
    """Worlds, agents, object motion or a state that a simulator was given don't fit together."""


class EpisodeFormatError(WorldFMError, ValueError):
    """An episode set can't be read: not one, damaged, or written by a newer version."""


class ConfigError(WorldFMError, ValueError):
    """An option of an environment or of a command has a value that it can't work with."""


class ActionError(WorldFMError, ValueError):
    """An action is outside its space, misshapen or not finite."""


class MissingExtraError(WorldFMError, ImportError):
    """An optional dependency is missing; the message names the extra that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'worldfm-gym[{extra}]'"
        )
