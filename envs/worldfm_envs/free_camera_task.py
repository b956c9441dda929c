"""Free camera, batched: fly through a world without a goal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_envs.start_pose import place_free_camera
from worldfm_envs.task import Outcome, Task


class FreeCameraTask(Task):
    """See `worldfm_envs.free_camera.FreeCameraEnv`."""

    OPTIONS = ("c2w",)

    def begin(
        self, agent: int, rng: np.random.Generator, *, scene: int, options: Mapping[str, Any]
    ) -> None:
        """See `Task.begin`; option `c2w` [4, 4] fixes the start pose."""
        place_free_camera(self.simulator, agent, rng, scene=scene, options=options)

    def score(self, stopped: NDArray[np.bool_]) -> Outcome:
        """See `Task.score`: no reward, no end."""
        return Outcome(np.zeros(len(stopped)), np.zeros(len(stopped), np.bool_), self.info())

    def info(self) -> dict[str, NDArray[Any]]:
        """See `Task.info`."""
        return {"collided": self.simulator.collided.copy()}
