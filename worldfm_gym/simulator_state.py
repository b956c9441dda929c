"""What a simulator is set up with, and all that changes as it steps."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """What all agents of a simulator have in common.

    Attributes:
        width: Image width in pixels.
        height: Image height in pixels.
        fov_x_deg: Horizontal field of view in degrees.
        camera_height_m: Height of a ground agent's camera above the floor, metres.
        step_s: Simulated time of one ground step, seconds.
        sliding: Slide along what is in the way; False stops at it.
        free_radius_m: Radius of the sphere with which a free camera collides, metres.
    """

    width: int = 128
    height: int = 128
    fov_x_deg: float = 90.0
    camera_height_m: float = 1.25
    step_s: float = 0.25
    sliding: bool = True
    free_radius_m: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorState:
    """Everything that changes as a simulator steps, as arrays that nothing else refers to.

    ``np.savez(path, **state.arrays())`` and ``SimulatorState(**np.load(path))`` keep it in a file.

    Attributes:
        c2w: Camera poses, float64 [N, 4, 4].
        scene: Scene of each agent, int64 [N].
        collided: Whether the last step met something, bool [N].
        step_count: Steps since an agent was placed, int64 [N].
        object_poses: Object-to-world transforms, float64 [S, K, 4, 4].
        object_present: Whether each object is there, bool [S, K].
        time_s: Simulated time of each scene, float64 [S].
    """

    c2w: NDArray[np.float64]
    scene: NDArray[np.int64]
    collided: NDArray[np.bool_]
    step_count: NDArray[np.int64]
    object_poses: NDArray[np.float64]
    object_present: NDArray[np.bool_]
    time_s: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
