"""Renderer: the one protocol behind which the anchor, the frame model and the truth draw frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera
from worldfm_gym.errors import RendererError
from worldfm_gym.frame import Frame
from worldfm_gym.worlds.world import World


@runtime_checkable
class Renderer(Protocol):
    """Draws frames of a fixed list of scenes; a pure function of (scene, object poses, camera)."""

    worlds: Sequence[World]

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one frame per camera.

        Args:
            cameras: B cameras, c2w [B, 4, 4].
            scene: Index into `worlds` per camera, int64 [B].
            object_poses: Object-to-world transforms per scene, float64 [S, K, 4, 4], in the order
                of each world's `objects`, K the largest count, padding ignored. None draws every
                object at the pose its world holds.

        Returns:
            A `Frame` of batch B, in numpy or torch as the renderer was asked for.
        """
        ...


def make_renderer(name: str, worlds: Sequence[World], *, device: str = "cpu") -> Renderer:
    """Build a renderer by name.

    Args:
        name: ``"anchor"`` rasterises the point cloud; ``"truth"`` ray-casts procedural worlds.
        worlds: One per scene.
        device: ``"cpu"`` for numpy frames, ``"cuda"`` for torch frames on that device.

    Raises:
        RendererError: If there is no renderer of that name.
    """
    if name == "anchor":
        from worldfm_gym.anchor_renderer import AnchorRenderer

        return AnchorRenderer(worlds, device=device)
    if name == "truth":
        from worldfm_gym.worlds.truth import TruthRenderer

        return TruthRenderer(worlds, device=device)
    raise RendererError(f"no renderer named {name!r}: choose 'anchor' or 'truth'")
