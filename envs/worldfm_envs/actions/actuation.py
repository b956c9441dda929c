"""Actuation noise: by how much a robot misses what it was told to do.

The numbers were measured on LoCoBots: Murali et al., "PyRobot: An Open-source Robotics Framework
for Research and Benchmarking" (2019), for three of its controllers. They are applied as Habitat
does: a normal error per motion, cut at three standard deviations, that makes a robot overshoot on
average and never go the other way; driving also drifts sideways and turns, turning also drives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.counter_random import ACTUATION_STREAM, noise_keys, uniforms
from worldfm_gym.errors import ConfigError

_CUT = 3.0
_LEAST_SHARE = 0.05  # of what was commanded is always carried out


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A normal distribution with independent components.

    Attributes:
        mean: Metres or radians.
        variance: Their squares.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActuationNoise:
    """Errors of driving and of turning.

    Attributes:
        drive_shift: Along and across (to the right) the heading when driving, metres.
        drive_turn: Of the heading when driving, radians.
        turn_shift: Along and across the heading when turning in place, metres.
        turn_turn: Of the angle when turning in place, radians.
        scale: Multiplies all errors.
    """

    drive_shift: Gaussian
    drive_turn: Gaussian
    turn_shift: Gaussian
    turn_turn: Gaussian
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale >= 0.0:
            raise ConfigError(f"the scale of actuation noise must be 0 or more, got {self.scale}")

    def errors(
        self,
        forward_m: NDArray[np.float64],
        yaw_delta: NDArray[np.float64],
        effort: NDArray[np.float64],
        *,
        episode_seed: NDArray[np.uint64],
        step_count: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """What is to be added to motions.

        A motion that drives at all has the errors of driving; one that does nothing has none.

        Args:
            forward_m: Commanded way, metres [N].
            yaw_delta: Commanded turn to the left, radians [N].
            effort: Share of a full step that is commanded, 0…1 [N]; errors shrink with it.
            episode_seed: Seeds of the episodes [N].
            step_count: Steps since the episodes began [N].

        Returns:
            Additional way forward and to the right in metres and turn in radians, float64 [N, 3].
        """
        drives = forward_m != 0.0
        moves = drives | (yaw_delta != 0.0)
        drawn = uniforms(noise_keys(episode_seed, step_count, stream=ACTUATION_STREAM), 3)
        out = np.zeros((len(forward_m), 3))
        for which, shift, turn in (
            (drives, self.drive_shift, self.drive_turn),
            (moves & ~drives, self.turn_shift, self.turn_turn),
        ):
            if not which.any():
                continue
            mean = np.array([*shift.mean, *turn.mean])
            spread = np.sqrt([*shift.variance, *turn.variance])
            least = np.full((int(which.sum()), 3), -np.inf)
            if which is drives:
                least[:, 0] = -(1.0 - _LEAST_SHARE) * np.abs(forward_m[which])
            else:
                least[:, 2] = -(1.0 - _LEAST_SHARE) * np.abs(yaw_delta[which])
            out[which] = _truncated_normal(drawn[which], mean, spread, least)
        # The sideways error changes sign with the direction of driving, too: so Habitat has it.
        out[:, :2] *= np.where(forward_m < 0.0, -1.0, 1.0)[:, None]
        out[:, 2] *= np.where(yaw_delta < 0.0, -1.0, 1.0)
        return np.asarray(out * (self.scale * effort * moves)[:, None])


def _truncated_normal(
    uniform: NDArray[np.float64],
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    least: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Normal numbers of uniform ones [M, C], cut at three spreads and below `least` [M, C]."""
    from scipy.special import ndtr, ndtri

    width = np.maximum(spread, 1e-12)
    low = ndtr(np.clip((least - mean) / width, -_CUT, _CUT))
    drawn = mean + spread * ndtri(low + uniform * (ndtr(_CUT) - low))
    return np.asarray(drawn)


ACTUATION_NOISES = {
    "locobot": ActuationNoise(
        drive_shift=Gaussian((0.014, 0.009), (0.006, 0.005)),
        drive_turn=Gaussian((0.008,), (0.004,)),
        turn_shift=Gaussian((0.003, 0.003), (0.002, 0.003)),
        turn_turn=Gaussian((0.023,), (0.012,)),
    ),
    "locobot_proportional": ActuationNoise(
        drive_shift=Gaussian((0.017, 0.042), (0.007, 0.023)),
        drive_turn=Gaussian((0.031,), (0.026,)),
        turn_shift=Gaussian((0.001, 0.005), (0.001, 0.004)),
        turn_turn=Gaussian((0.043,), (0.017,)),
    ),
    "locobot_movebase": ActuationNoise(
        drive_shift=Gaussian((0.074, 0.036), (0.019, 0.033)),
        drive_turn=Gaussian((0.189,), (0.038,)),
        turn_shift=Gaussian((0.002, 0.003), (0.0, 0.002)),
        turn_turn=Gaussian((0.219,), (0.019,)),
    ),
}
"""By name; ``"locobot"`` has the iterative linear quadratic regulator, the best of the three."""
