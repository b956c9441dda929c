"""Growth: a closed, walkable place around what a world's sources have seen.

Cameras step outward from the known, turning first, then moving; the frame model draws what they
see, and what drawings agree on becomes part of the world, marked as generated.
"""

from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.growth.growth import Growth, expand_world

__all__ = ["Growth", "GrowthConfig", "expand_world"]
