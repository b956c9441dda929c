"""Truth: the renderer that draws procedural worlds exactly, from their scene description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera, check_rigid, invert_rigid
from worldfm_gym.errors import SourceError
from worldfm_gym.frame import Frame, Provenance
from worldfm_gym.worlds.raycast import camera_arrays
from worldfm_gym.worlds.raycast.packing import PackedScenes, concatenate, pack_scene
from worldfm_gym.worlds.scene import Scene
from worldfm_gym.worlds.world import World


class TruthRenderer:
    """Ray casts the scenes of procedural worlds; a `worldfm_gym.renderer.Renderer`.

    Args:
        worlds: Worlds with a `scene`.
        device: "cpu" draws with Numba and returns NumPy arrays; a CUDA device draws with Triton
            and returns tensors there.

    Raises:
        SourceError: If a world has no scene description (it was reconstructed, or loaded from a
            folder that holds none).
    """

    def __init__(self, worlds: Sequence[World], device: str = "cpu") -> None:
        for index, world in enumerate(worlds):
            if world.scene is None:
                kind = world.source.get("kind", "unknown")
                raise SourceError(
                    f"world {index} (source: {kind}) has no scene description, so there is no "
                    "truth to draw: use a procedural world, or the anchor renderer for this one"
                )
        self.worlds = worlds
        self.device = device
        self._motions: list[bytes | None] = [None] * len(worlds)
        self._packed: list[PackedScenes] = []
        self._joined: Any = None

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one exact frame per camera; see `worldfm_gym.renderer.Renderer.render`.

        Objects move rigidly with their parts; lamps' light stays where it is.

        Raises:
            SourceError: If `scene` does not name a world for every camera.
        """
        index = np.asarray(scene)
        count = len(cameras.flat().c2w)
        if index.shape != (count,) or (index < 0).any() or (index >= len(self.worlds)).any():
            raise SourceError(
                f"scene must hold one index below {len(self.worlds)} per camera "
                f"({count} cameras), got {index.tolist()}"
            )
        self._move(object_poses)
        poses, lenses = camera_arrays(cameras)
        draw = self._draw_cpu if self.device == "cpu" else self._draw_gpu
        rgb, depth, instance = draw(index.astype(np.int32), poses, lenses, cameras)
        seen = depth > 0
        provenance = seen * np.uint8(Provenance.OBSERVED) if self.device == "cpu" else seen.byte()
        return Frame(rgb, depth, instance, provenance, cameras)

    def _move(self, object_poses: NDArray[np.float64] | None) -> None:
        """Pack again the scenes whose objects are not where they were drawn last."""
        for index, world in enumerate(self.worlds):
            assert world.scene is not None
            poses = [o.pose for o in world.objects] if object_poses is None else object_poses[index]
            motions = [
                check_rigid(pose) @ invert_rigid(o.rest_pose)
                for pose, o in zip(poses, world.objects, strict=False)
            ]
            key = np.asarray(motions).tobytes()
            if self._motions[index] == key:
                continue
            instances = [o.instance for o in world.objects]
            packed = pack_scene(moved_scene(world.scene, instances, motions))
            if index < len(self._packed):
                self._packed[index] = packed
            else:
                self._packed.append(packed)
            self._motions[index], self._joined = key, None

    def _draw_cpu(
        self,
        scene: NDArray[np.int32],
        poses: NDArray[np.float32],
        lenses: NDArray[np.float32],
        cameras: Camera,
    ) -> tuple[Any, Any, Any]:
        from worldfm_gym.worlds.raycast.cpu import render_packed

        if self._joined is None:
            self._joined = concatenate(self._packed)
        return render_packed(
            self._joined, scene, poses, lenses, width=cameras.width, height=cameras.height
        )

    def _draw_gpu(
        self,
        scene: NDArray[np.int32],
        poses: NDArray[np.float32],
        lenses: NDArray[np.float32],
        cameras: Camera,
    ) -> tuple[Any, Any, Any]:
        import torch

        from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes

        if self._joined is None:
            self._joined = DeviceScenes.upload(concatenate(self._packed), self.device)
        views = [torch.from_numpy(a).to(self.device) for a in (scene, poses, lenses)]
        return render_scenes(self._joined, *views, width=cameras.width, height=cameras.height)


def moved_scene(
    scene: Scene, instances: Sequence[int], motions: Sequence[NDArray[np.float64]]
) -> Scene:
    """The scene after rigid motions [4, 4] (world from rest) of the objects with these ids."""
    center, rotation = scene.center.copy(), scene.rotation.copy()
    for instance, motion in zip(instances, motions, strict=True):
        if np.array_equal(motion, np.eye(4)):
            continue
        rows = scene.instance == instance
        center[rows] = scene.center[rows] @ motion[:3, :3].T + motion[:3, 3]
        rotation[rows] = motion[:3, :3] @ scene.rotation[rows]
    return replace(scene, center=center, rotation=rotation)
