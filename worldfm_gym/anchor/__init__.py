"""The anchor: a coloured point cloud, its objects and its rasteriser."""

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject

__all__ = ["Anchor", "WorldObject"]
