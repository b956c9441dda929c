"""Navigation: occupancy, clearance, geodesic distance and collision response."""

from worldfm_gym.navigation.body import AgentBody
from worldfm_gym.navigation.boxes import object_boxes
from worldfm_gym.navigation.collision import Crowd, move_discs, move_spheres
from worldfm_gym.navigation.geodesic import DistanceField
from worldfm_gym.navigation.nav_map import NavMap
from worldfm_gym.navigation.occupancy import OccupancyGrid, VoxelState

__all__ = [
    "AgentBody",
    "Crowd",
    "DistanceField",
    "NavMap",
    "OccupancyGrid",
    "VoxelState",
    "move_discs",
    "move_spheres",
    "object_boxes",
]
