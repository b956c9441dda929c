"""A depth estimator that is told the answer, for tests of what is made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from worldfm_gym.reconstruction.estimator import DepthEstimate


class ToldDepth:
    """Answers with given depth, resized to the images; one answer after the other."""

    name = "told"

    def __init__(
        self,
        depths: Sequence[NDArray[np.float32]],
        K: NDArray[np.float64],
        *,
        metric: bool = True,
        factors: Sequence[float] = (1.0,),
        up_camera: NDArray[np.float64] | None = None,
        confidence: float = 1.0,
    ) -> None:
        self.depths, self.K = list(depths), np.asarray(K, np.float64)
        self.metric, self.factors, self.up_camera = metric, list(factors), up_camera
        self.confidence = confidence
        self.told_K: list[NDArray[np.float64] | None] = []

    def estimate(
        self, images: Sequence[NDArray[np.uint8]], K: Sequence[ArrayLike] | None = None
    ) -> list[DepthEstimate]:
        assert len(images) == 1
        turn = len(self.told_K)
        depth = self.depths[turn % len(self.depths)]
        factor = self.factors[turn % len(self.factors)]
        height, width = images[0].shape[:2]
        resized = np.asarray(
            Image.fromarray(depth).resize((width, height), Image.Resampling.NEAREST)
        )
        scale = np.diag([width / depth.shape[1], height / depth.shape[0], 1.0])
        given = None if K is None else np.asarray(K[0], np.float64)
        self.told_K.append(given)
        return [
            DepthEstimate(
                depth_z=(resized * factor).astype(np.float32),
                confidence=np.full((height, width), self.confidence, np.float32),
                K=scale @ self.K if given is None else given,
                metric=self.metric,
                up_camera=self.up_camera,
            )
        ]
