"""Distances of many agents at once are those of each field by itself."""

import numpy as np
import pytest

from worldfm_envs.goal_distance import GoalDistances
from worldfm_gym.navigation.geodesic import DistanceField


def test_every_agent_reads_its_own_field(box_room):
    rng = np.random.default_rng(0)
    distances = GoalDistances(5)
    for agent in (0, 1, 3, 4):
        distances.set(agent, box_room.nav.geodesic_field(box_room.nav.random_point(rng)))
    other = distances.fields[1]
    cut = DistanceField(
        other.values[:-9, :-5], other.goal_xy, other.origin_xy, other.cell_m,
        other.extended[:-9, :-5], other.direct[:-9, :-5],
    )  # fmt: skip
    distances.set(1, cut)
    for _ in range(50):
        xy = rng.uniform((-0.5, -0.5), (6.5, 4.5), (5, 2))
        found = distances.at(xy)
        for agent in (0, 1, 3, 4):
            assert found[agent] == distances.fields[agent].distance(xy[agent])
        assert found[2] == np.inf


def test_another_number_of_points_is_refused(box_room):
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        GoalDistances(3).at(np.zeros((2, 2)))
