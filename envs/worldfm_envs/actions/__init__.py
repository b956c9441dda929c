"""Actions: what an action means for a simulator, batched over agents."""

from worldfm_envs.actions.actuation import ACTUATION_NOISES, ActuationNoise, Gaussian
from worldfm_envs.actions.base import ActionModel
from worldfm_envs.actions.continuous import STOP_THRESHOLD, ContinuousVelocity
from worldfm_envs.actions.discrete import (
    FORWARD,
    LEFT,
    LOOK_DOWN,
    LOOK_UP,
    RIGHT,
    STOP,
    DiscreteSteps,
)
from worldfm_envs.actions.free import FreeVelocity
from worldfm_envs.actions.waypoint import Waypoints

__all__ = [
    "ACTUATION_NOISES",
    "FORWARD",
    "LEFT",
    "LOOK_DOWN",
    "LOOK_UP",
    "RIGHT",
    "STOP",
    "STOP_THRESHOLD",
    "ActionModel",
    "ActuationNoise",
    "ContinuousVelocity",
    "DiscreteSteps",
    "FreeVelocity",
    "Gaussian",
    "Waypoints",
]
