"""Start poses of cameras that fly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldfm_envs.reset_options import given
from worldfm_gym.simulator import Simulator


def place_free_camera(
    simulator: Simulator,
    agent: int,
    rng: np.random.Generator,
    *,
    scene: int,
    options: Mapping[str, Any],
) -> None:
    """Put a camera at the reset option `c2w` [4, 4], or level over a random point of the floor.

    In a world without a floor it starts at the world's own start pose.
    """
    world = simulator.worlds[scene]
    c2w = given(options, "c2w", (4, 4))
    if c2w is not None:
        simulator.place([agent], c2w, scene=[scene])
    elif world.nav is None:
        simulator.place([agent], world.start_c2w, scene=[scene])
    else:
        xy = world.nav.random_point(rng)
        simulator.place_ground([agent], xy, rng.uniform(-np.pi, np.pi), scene=[scene])
