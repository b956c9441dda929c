"""AnchorRenderer: draws worlds by rasterising their anchors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.raster import AnchorRaster, Backend
from worldfm_gym.camera import Camera
from worldfm_gym.frame import Frame
from worldfm_gym.worlds.world import World


class AnchorRenderer:
    """The `Renderer` that needs no weights: what the anchor shows, black where it has no points."""

    def __init__(self, worlds: Sequence[World], *, device: str = "cpu") -> None:
        """Prepare scenes for drawing.

        Args:
            worlds: One per scene; the same world may appear several times.
            device: ``"cpu"`` draws with numba into numpy arrays, ``"cuda"`` with
                Triton into torch tensors on that device.
        """
        self._worlds = list(worlds)
        self.worlds: Sequence[World] = self._worlds
        backend: Backend = "numba" if device == "cpu" else "triton"
        self._raster = AnchorRaster([w.pyramid for w in self._worlds], backend, device=device)

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; one that is drawn in other scenes costs nothing."""
        self._raster.replace_pyramid(scene, world.pyramid)
        self._worlds[scene] = world

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one frame per camera; see `Renderer.render`."""
        if object_poses is None:
            object_poses = current_object_poses(self.worlds)
        images = self._raster.render(cameras, scene, object_poses=object_poses)
        return Frame(images.rgb, images.depth, images.instance, images.provenance, cameras)


def current_object_poses(worlds: Sequence[World]) -> NDArray[np.float64]:
    """The poses that the worlds hold, padded with identities, float64 [S, K, 4, 4]."""
    poses = np.tile(np.eye(4), (len(worlds), max(len(w.objects) for w in worlds), 1, 1))
    for s, world in enumerate(worlds):
        if world.objects:
            poses[s, : len(world.objects)] = [item.pose for item in world.objects]
    return poses
