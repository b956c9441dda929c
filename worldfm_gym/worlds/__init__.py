"""Worlds: what one is, and the sources it can be made from."""

from worldfm_gym.worlds.world import Reference, World

__all__ = ["Reference", "World"]
