"""Data that ships with the package: one real photo with depth (credits beside it)."""

from __future__ import annotations

from pathlib import Path

GARAGE = Path(__file__).parent / "garage"
"""Photo folder of a garage with a motorcycle; a source for `worldfm_gym.make_world`."""
