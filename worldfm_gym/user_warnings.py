"""Warnings about what a user gave, attributed to the user's own line."""

from __future__ import annotations

import sys
import warnings

_OURS = ("worldfm_gym", "worldfm_envs", "worldfm_agents")


def warn_user(message: str) -> None:
    """Warn with a `UserWarning` that points at the first caller outside of these packages."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _package(frame.f_globals) in _OURS:
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)


def _package(module_globals: dict[str, object]) -> str:
    """Top-level package of a frame."""
    return str(module_globals.get("__name__", "")).partition(".")[0]
