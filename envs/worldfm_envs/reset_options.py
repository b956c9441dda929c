"""Reset options: what `reset(options=...)` fixes, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldfm_gym.errors import ConfigError

_WANTED = {
    (): "a finite angle in radians",
    (2,): "two finite numbers (x, y) in metres",
    (4, 4): "a camera-to-world transform [4, 4]",
}


def given(options: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Any:
    """A reset option as a float64 array of a shape, or None where it is not given.

    Raises:
        ConfigError: If it has another shape or is not finite.
    """
    if options.get(name) is None:
        return None
    try:
        value = np.asarray(options[name], np.float64)
    except (TypeError, ValueError):
        value = np.full((), np.nan)
    if value.shape != shape or not np.isfinite(value).all():
        raise ConfigError(f"reset option {name} must be {_WANTED[shape]}, got {options[name]!r}")
    return value
