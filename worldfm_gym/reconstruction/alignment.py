"""Scale alignment: estimates that see the same surfaces agree on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PRIOR_WEIGHT = 1e-3  # holds the average where the overlaps say nothing of it


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two estimates say about the surfaces that both see.

    Attributes:
        first: Index of an estimate.
        second: Index of another.
        log_ratio: Median of log(depth by the first / depth by the second).
        weight: How much it counts, such as the number of samples.
    """

    first: int
    second: int
    log_ratio: float
    weight: float


def align_log_scales(overlaps: Sequence[Overlap], count: int) -> NDArray[np.float64]:
    """Logarithms of the factors that make estimates agree, in the least-squares sense.

    Minimizes Σ w (x₁ − x₂ + log ratio)², with a faint pull of every x to zero, which keeps the
    average scale and leaves estimates without overlap as they are.

    Args:
        overlaps: Pairs that see the same surfaces.
        count: Number of estimates.

    Returns:
        x, float64 [count]: estimate i is to be multiplied by exp(x[i]).
    """
    if not overlaps:
        return np.zeros(count)
    total = sum(overlap.weight for overlap in overlaps)
    system, right = np.eye(count) * _PRIOR_WEIGHT / count, np.zeros(count)
    for overlap in overlaps:
        weight = overlap.weight / total
        i, j = overlap.first, overlap.second
        system[[i, j], [i, j]] += weight
        system[i, j] -= weight
        system[j, i] -= weight
        right[i] -= weight * overlap.log_ratio
        right[j] += weight * overlap.log_ratio
    return np.asarray(np.linalg.solve(system, right))
