"""Reference choice: the frames of a scan that together show its surfaces best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_cover(qualities: NDArray[np.floating], count: int) -> list[int]:
    """Choose frames so that each point is shown as well as possible by the best of them.

    Greedy maximization of Σ over points of the best quality chosen (facility location, which is
    submodular: greedy reaches 1 − 1/e of the optimum). Each next frame adds most to those before;
    ties go to the earlier frame. Frames that add nothing are never chosen.

    Args:
        qualities: How well each frame shows each point, [F, P]; 0 where it does not.
        count: How many to choose at most.

    Returns:
        Indices of frames, the most telling first.
    """
    # Square roots: that a point is shown at all counts for more than how finely.
    worth = np.sqrt(np.asarray(qualities, np.float64))
    best = np.zeros(worth.shape[1])
    chosen: list[int] = []
    while len(chosen) < min(count, len(worth)):
        gain = np.maximum(worth - best, 0.0).sum(axis=1)
        frame = int(gain.argmax())
        if gain[frame] <= 0.0:
            break
        chosen.append(frame)
        best = np.maximum(best, worth[frame])
    return chosen
