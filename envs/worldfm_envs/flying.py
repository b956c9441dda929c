"""Configuration that environments with a flying camera have in common."""

from __future__ import annotations

from dataclasses import dataclass

from worldfm_envs.actions import ActionModel, FreeVelocity
from worldfm_envs.config import WorldConfig


@dataclass(frozen=True, kw_only=True)
class FlyingConfig(WorldConfig):
    """What environments add in which the camera flies with six degrees of freedom.

    Attributes:
        step_s: Duration of a step, seconds.
        action_repeat: How many steps an action lasts; a camera that meets something waits for the
            rest.
        max_speed_mps: Largest speed along each axis.
        max_turn_dps: Largest turn rate about each axis, degrees per second.
    """

    step_s: float = 0.1
    action_repeat: int = 1
    max_speed_mps: float = 1.0
    max_turn_dps: float = 60.0

    def make_actions(self) -> ActionModel:
        """See `WorldConfig.make_actions`."""
        return FreeVelocity(
            max_speed_mps=self.max_speed_mps,
            max_turn_dps=self.max_turn_dps,
            step_s=self.step_s,
            repeat=self.action_repeat,
        )
