"""Truth: the renderer that draws procedural worlds exactly, from their scene description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor_renderer import current_object_poses
from worldfm_gym.camera import Camera, check_rigid, invert_rigid
from worldfm_gym.errors import SourceError
from worldfm_gym.frame import Frame, Provenance
from worldfm_gym.shared_slots import SharedSlots
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
        self._worlds = [_with_scene(world, index) for index, world in enumerate(worlds)]
        self.worlds: Sequence[World] = self._worlds
        self.device = device
        poses = current_object_poses(self._worlds)
        self._drawn_poses = poses
        self._slots = SharedSlots(
            [_key(world, held) for world, held in zip(self._worlds, poses, strict=True)]
        )
        self._packed: dict[int, PackedScenes] = {}  # by slot
        self._joined: Any = None
        self._place_of_slot = np.zeros(0, np.int32)  # among the joined ones

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

    def replace_world(self, scene: int, world: World) -> None:
        """Draw another world in a scene; one that is drawn in other scenes costs nothing.

        Raises:
            SourceError: If the world has no scene description; nothing changed.
        """
        self._worlds[scene] = _with_scene(world, scene)
        most = max(self._drawn_poses.shape[1], len(world.objects))
        poses = np.tile(np.eye(4), (len(self._worlds), most, 1, 1))
        poses[:, : self._drawn_poses.shape[1]] = self._drawn_poses
        self._drawn_poses = poses
        poses[scene] = np.eye(4)
        if world.objects:
            poses[scene, : len(world.objects)] = [item.pose for item in world.objects]
        self._assign(scene, poses[scene])

    def _move(self, object_poses: NDArray[np.float64] | None) -> None:
        """Note the scenes whose objects are not where they were drawn last."""
        poses = current_object_poses(self._worlds) if object_poses is None else object_poses
        most = min(poses.shape[1], self._drawn_poses.shape[1])
        before, now = self._drawn_poses[:, :most], poses[:, :most]
        moved = ~((before == now) | (np.isnan(before) & np.isnan(now))).all(axis=(1, 2, 3))
        for scene in np.flatnonzero(moved):
            self._assign(int(scene), poses[scene])
        if moved.any():
            self._drawn_poses = self._drawn_poses.copy()
            self._drawn_poses[:, :most] = now

    def _assign(self, scene: int, poses: NDArray[np.float64]) -> None:
        """Give a scene the slot of its world with the objects at these poses."""
        change = self._slots.replace(scene, _key(self._worlds[scene], poses))
        for slot in (change.filled, change.freed):
            if slot is not None:
                self._packed.pop(slot, None)
                self._joined = None

    def _join(self) -> PackedScenes:
        """All that is shown, packed one after the other."""
        used = list(self._slots.used())
        for slot, first in zip(used, self._slots.first_scenes(), strict=True):
            if slot not in self._packed:
                self._packed[slot] = pack_scene(
                    _scene_now(self._worlds[first], self._drawn_poses[first])
                )
        self._place_of_slot = np.zeros(len(self._slots), np.int32)
        self._place_of_slot[used] = np.arange(len(used))
        return concatenate([self._packed[slot] for slot in used])

    def _draw_cpu(
        self,
        scene: NDArray[np.int32],
        poses: NDArray[np.float32],
        lenses: NDArray[np.float32],
        cameras: Camera,
    ) -> tuple[Any, Any, Any]:
        from worldfm_gym.worlds.raycast.cpu import render_packed

        if self._joined is None:
            self._joined = self._join()
        place = self._place_of_slot[self._slots.of_scene[scene]]
        return render_packed(
            self._joined, place, poses, lenses, width=cameras.width, height=cameras.height
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
            self._joined = DeviceScenes.upload(self._join(), self.device)
        place = self._place_of_slot[self._slots.of_scene[scene]]
        views = [torch.from_numpy(a).to(self.device) for a in (place, poses, lenses)]
        return render_scenes(self._joined, *views, width=cameras.width, height=cameras.height)


def _with_scene(world: World, index: int) -> World:
    """The world, if it can be drawn."""
    if world.scene is None:
        kind = world.source.get("kind", "unknown")
        raise SourceError(
            f"world {index} (source: {kind}) has no scene description, so there is no "
            "truth to draw: use a procedural world, or the anchor renderer for this one"
        )
    return world


def _key(world: World, poses: NDArray[np.float64]) -> tuple[int, bytes]:
    """What tells a scene's picture apart: its world, and where its objects are."""
    return id(world), poses[: len(world.objects)].tobytes()


def _scene_now(world: World, poses: NDArray[np.float64]) -> Scene:
    """The scene with objects at these poses [K, 4, 4]; without those whose pose is NaN."""
    assert world.scene is not None
    scene, there = world.scene, []
    for pose, item in zip(poses, world.objects, strict=False):
        if np.isnan(pose).any():
            scene = without_object(scene, item.instance)
        else:
            there.append((item.instance, check_rigid(pose) @ invert_rigid(item.rest_pose)))
    return moved_scene(scene, [i for i, _ in there], [motion for _, motion in there])


def without_object(scene: Scene, instance: int) -> Scene:
    """The scene without the primitives of one object."""
    kept = scene.instance != instance
    of_primitives = (
        *("shape", "center", "rotation", "half_size", "material"),
        *("color", "accent", "scale", "seed", "instance"),
    )
    return replace(scene, **{name: getattr(scene, name)[kept] for name in of_primitives})


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
