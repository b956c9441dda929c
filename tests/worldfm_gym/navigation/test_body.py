"""AgentBody refuses lengths that are no body."""

from __future__ import annotations

import pytest

from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import AgentBody


@pytest.mark.parametrize(
    "lengths",
    [
        {"radius_m": 0.0},
        {"radius_m": -0.1},
        {"radius_m": float("nan")},
        {"height_m": float("inf")},
        {"step_height_m": -0.01},
        {"step_height_m": 1.5},
    ],
)
def test_impossible_bodies_are_refused(lengths: dict[str, float]) -> None:
    with pytest.raises(NavigationError):
        AgentBody(**lengths)


def test_a_body_without_a_step_is_possible() -> None:
    assert AgentBody(step_height_m=0.0).step_height_m == 0.0
