"""Expected surfaces: the provisional points that drawings will color, confirm or refute."""

from __future__ import annotations

import numpy as np

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.growth.backs import far_sides
from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.growth.layout import RoomLayout
from worldfm_gym.growth.scaffold import build_scaffold
from worldfm_gym.growth.seen_space import SeenSpace
from worldfm_gym.worlds.world import World

_NEIGHBORS, _WITHIN = 3, 0.7  # so many points within so many spacings: a surface is known
_BACK_SPACING = 0.7  # of the far sides of things, over that of the room


def expected_surfaces(
    world: World, layout: RoomLayout, seen: SeenSpace, config: GrowthConfig
) -> Anchor | None:
    """The room's surfaces and the far sides of things, where nothing is known or forbids them.

    Args:
        world: The world, objects at rest.
        layout: The room.
        seen: Free space and pixels that are not to be touched.
        config: The seed and the number of points.

    Returns:
        Points marked as generated; None if all is known.
    """
    from scipy.spatial import cKDTree

    room = build_scaffold(
        layout,
        world.anchor,
        max_points=config.max_points,
        rng=np.random.default_rng([config.seed, 2]),
    )
    spacing = 2 * float(room.radius[0])
    # Where points are sparser than that, their own spacing counts.
    own_m = np.append(2.1 * world.anchor.radius, 0.0).astype(np.float64)
    reach = max(_WITHIN * spacing, float(np.quantile(own_m[:-1], 0.99)))
    distance, nearest = cKDTree(world.anchor.points).query(
        room.points, k=_NEIGHBORS, distance_upper_bound=reach, workers=-1
    )
    unknown = distance[:, -1] > np.maximum(_WITHIN * spacing, own_m[nearest[:, 0]])
    parts = [room[unknown]] if unknown.any() else []
    backs = far_sides(world, layout, spacing_m=_BACK_SPACING * spacing)
    if backs is not None:
        parts.append(backs)
    return seen.allowed(Anchor.concatenate(parts)) if parts else None
