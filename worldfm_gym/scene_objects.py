"""Scene objects: where the objects of every scene are now, how they move, what they block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import check_rigid
from worldfm_gym.errors import SimulatorError
from worldfm_gym.navigation import object_boxes
from worldfm_gym.worlds.world import World

ObjectMotion = (
    Callable[[int, float], NDArray[np.float64]] | Mapping[int, Callable[[float], ArrayLike]]
)
"""How the objects of a scene move: ``(scene, time_s) -> poses [K, 4, 4]`` in the order of the
world's `objects`, or per object ``{instance: time_s -> pose [4, 4]}``. Called once a step; it must
depend on its arguments alone, so that a restored state continues as it would have."""


class SceneObjects:
    """The objects of S scenes; K is the largest number in one scene.

    Attributes:
        poses: Object-to-world transforms, identity in padding, float64 [S, K, 4, 4].
        sizes: Full side lengths of the boxes, metres, float64 [S, K, 3].
        instances: Instance ids, 0 in padding, int64 [S, K].
        boxes: Per scene the packed boxes to collide with, or None while all objects are where
            their world holds them.
    """

    def __init__(self, worlds: Sequence[World]) -> None:
        self._worlds = list(worlds)
        self._motions: list[ObjectMotion | None] = [None] * len(self._worlds)
        self.boxes: list[NDArray[np.float64] | None] = [None] * len(self._worlds)
        self._allocate()
        for scene in range(len(self._worlds)):
            self._read(scene)

    def reset(self, scene: int) -> None:
        """Put objects where their world holds them, and then where their motion has them at 0 s."""
        self._read(scene)
        self.advance(scene, 0.0)

    def set_pose(self, scene: int, instance: int, pose: ArrayLike) -> None:
        """Move one object of one scene.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
            CameraError: If the pose is not rigid.
        """
        world = self._worlds[scene]
        self.poses[scene, world.objects.index(world.object(instance))] = check_rigid(pose)
        self.pack_boxes(scene)

    def set_motion(self, scene: int, motion: ObjectMotion | None, time_s: float) -> None:
        """Let objects move by themselves from now on; None leaves them where they are."""
        if isinstance(motion, Mapping):
            for instance in motion:
                self._worlds[scene].object(instance)
        self._motions[scene] = motion
        self.advance(scene, time_s)

    def replace_world(self, scene: int, world: World) -> None:
        """Take the objects of another world and forget the scene's motion."""
        before = self.poses
        self._worlds[scene] = world
        self._motions[scene] = None
        self._allocate()
        for other, held in enumerate(self._worlds):
            self._read(other)
            if other != scene:
                self.poses[other, : len(held.objects)] = before[other, : len(held.objects)]
                self.pack_boxes(other)

    def advance_all(self, time_s: NDArray[np.float64]) -> None:
        """Move what moves by itself to where it is at each scene's time [S]."""
        for scene, motion in enumerate(self._motions):
            if motion is not None:
                self.advance(scene, float(time_s[scene]))

    def advance(self, scene: int, time_s: float) -> None:
        """Move one scene's objects to where their motion has them at a time.

        Raises:
            SimulatorError: If the motion gives poses of the wrong shape, NaN or infinity.
        """
        motion = self._motions[scene]
        if motion is None:
            return
        objects = self._worlds[scene].objects
        if isinstance(motion, Mapping):
            for k, item in enumerate(objects):
                if item.instance in motion:
                    self.poses[scene, k] = motion[item.instance](time_s)
        else:
            poses = np.asarray(motion(scene, time_s), np.float64)
            if poses.shape != (len(objects), 4, 4):
                raise SimulatorError(
                    f"object motion of scene {scene} must give poses of shape "
                    f"{(len(objects), 4, 4)}, one per object of its world, got {poses.shape}"
                )
            self.poses[scene, : len(objects)] = poses
        if not np.isfinite(self.poses[scene]).all():
            raise SimulatorError(
                f"object motion of scene {scene} gave NaN or infinite poses at {time_s:.3f} s"
            )
        self.pack_boxes(scene)

    def pack_boxes(self, scene: int) -> None:
        """Collide with objects where they are now."""
        count = len(self._worlds[scene].objects)
        poses = self.poses[scene, :count]
        if np.array_equal(poses, self._world_poses[scene, :count]):
            self.boxes[scene] = None
        else:
            self.boxes[scene] = object_boxes(poses, self.sizes[scene, :count])

    def _allocate(self) -> None:
        """Empty arrays for the largest world."""
        shape = (len(self._worlds), max(len(world.objects) for world in self._worlds))
        self.poses = np.tile(np.eye(4), (*shape, 1, 1))
        self._world_poses = self.poses.copy()
        self.sizes = np.zeros((*shape, 3))
        self.instances = np.zeros(shape, np.int64)

    def _read(self, scene: int) -> None:
        """Take the objects of a scene from its world."""
        for k, item in enumerate(self._worlds[scene].objects):
            self._world_poses[scene, k] = item.pose
            self.sizes[scene, k] = item.size
            self.instances[scene, k] = item.instance
        self.poses[scene] = self._world_poses[scene]
        self.boxes[scene] = None
