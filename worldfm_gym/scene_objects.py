"""Scene objects: where the objects of every scene are now, how they move, what they block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import check_rigid
from worldfm_gym.errors import SimulatorError
from worldfm_gym.navigation import object_boxes
from worldfm_gym.navigation.boxes import BOX_COLUMNS
from worldfm_gym.object_motion import Route, RouteTable
from worldfm_gym.shared_slots import SharedSlots
from worldfm_gym.worlds.world import World

ObjectMotion = (
    Callable[[int, float], NDArray[np.float64]] | Mapping[int, Callable[[float], ArrayLike]]
)
"""How the objects of a scene move: ``(scene, time_s) -> poses [K, 4, 4]`` in the order of the
world's `objects`, or per object ``{instance: time_s -> pose [4, 4]}``. Called once a step; it must
depend on its arguments alone, so that a restored state continues as it would have.
`worldfm_gym.object_motion` has functions to put in."""

PARKED_BELOW_M = -50.0
"""An object whose world holds it below this height is not there until someone places it."""

_NOWHERE_M = 1e9  # absent boxes are so far away that nothing meets them


class SceneObjects:
    """The objects of S scenes; K is the largest number in one scene.

    Attributes:
        poses: Object-to-world transforms, identity in padding, float64 [S, K, 4, 4].
        drawn_poses: The same as renderers take them: NaN where an object is not there.
        present: Whether an object is there: drawn and in the way, bool [S, K]; False in padding.
        sizes: Full side lengths of the boxes, metres, float64 [S, K, 3].
        instances: Instance ids, 0 in padding, int64 [S, K].
        boxes: Packed boxes to collide with, float64 [S, K, 21]; those of scene s are in row
            ``box_row[s]``.
        box_row: Scenes of one world whose objects are where it holds them share a row, int64 [S].
        moving: Scenes whose objects move by themselves, bool [S].
        pushable: Objects that walking agents push, bool [S, K].
        carried: Objects that agents carry along as their bodies, bool [S, K].
        version: Changes whenever `box_row` or `moving` does.
    """

    def __init__(self, worlds: Sequence[World]) -> None:
        self._worlds = list(worlds)
        self._slots = SharedSlots([id(world) for world in self._worlds])
        self._motions: dict[int, ObjectMotion] = {}
        self._routes: dict[int, _Routes] = {}  # by scene, once they are asked for
        self._all_routes: _Routes | None = None
        self.version = 0
        self.moving = np.zeros(len(self._worlds), np.bool_)
        self._still = np.ones(len(self._worlds), np.bool_)
        self._allocate(max(len(world.objects) for world in self._worlds))
        for first in self._slots.first_scenes():
            self._read(first)
        for name in self._ARRAYS:  # scenes of one world start alike
            array = getattr(self, name)
            array[:] = array[np.array(self._slots.first_scenes())[self._slots.of_scene]]
        self._share_rows()

    _ARRAYS = (
        *("poses", "_world_poses", "present", "_world_present"),
        *("sizes", "instances", "boxes", "pushable", "carried", "drawn_poses"),
    )

    def index_of(self, scene: int, instance: int) -> int:
        """Place of an object in its world's list.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
        """
        world = self._worlds[scene]
        return world.objects.index(world.object(instance))

    def reset(self, scene: int) -> None:
        """Put objects where their world holds them, and then where their motion has them at 0 s.

        Those that the world holds are there again, carried ones stay with whom they follow.
        """
        carried, kept = self.carried[scene], self.poses[scene].copy()
        self._read(scene)
        self.poses[scene, carried] = kept[carried]
        self.present[scene] |= carried
        self.pack_boxes([scene])
        self.advance(scene, 0.0)

    def set_pose(self, scene: int, instance: int, pose: ArrayLike) -> None:
        """Move one object of one scene.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
            CameraError: If the pose is not rigid.
        """
        self.poses[scene, self.index_of(scene, instance)] = check_rigid(pose)
        self.pack_boxes([scene])

    def set_present(self, scene: int, instance: int, present: bool) -> None:
        """Let an object be there or not.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
        """
        self.present[scene, self.index_of(scene, instance)] = present
        self.pack_boxes([scene])

    def set_pushable(self, scene: int, instances: Iterable[int]) -> None:
        """Let walking agents push these objects of a scene, and no others.

        Raises:
            KeyError: If the scene's world has no object with such an instance id.
        """
        chosen = [self.index_of(scene, instance) for instance in instances]
        self.pushable[scene] = False
        self.pushable[scene, chosen] = True
        self.version += 1
        self.pack_boxes([scene])

    def carry(self, scene: int, k: int, carried: bool) -> None:
        """Let an agent carry object k of a scene along as its body, or no longer."""
        self.carried[scene, k] = self.present[scene, k] = carried
        self.pack_boxes([scene])

    def set_motion(self, scene: int, motion: ObjectMotion | None, time_s: float) -> None:
        """Let objects move by themselves from now on; None leaves them where they are."""
        if isinstance(motion, Mapping):
            for instance in motion:
                self._worlds[scene].object(instance)
        if motion is None:
            if self._motions.pop(scene, None) is None:
                return
        else:
            self._motions[scene] = motion
        self._forget_routes(scene)
        self.moving[scene] = motion is not None
        self.version += 1
        self.pack_boxes([scene])
        self.advance(scene, time_s)

    def replace_world(self, scene: int, world: World) -> None:
        """Take the objects of another world and forget the scene's motion."""
        self._worlds[scene] = world
        self._slots.replace(scene, id(world))
        self._motions.pop(scene, None)
        self._forget_routes(scene)
        self.moving[scene] = False
        most = max(len(held.objects) for held in self._worlds)
        if most != self.poses.shape[1]:
            before = {name: getattr(self, name) for name in self._ARRAYS}
            self._allocate(most)
            for name, array in before.items():
                getattr(self, name)[:, : array.shape[1]] = array[:, :most]
        self.pushable[scene] = self.carried[scene] = False
        self._read(scene)
        self._still[scene] = True
        self._share_rows()

    def advance_all(self, time_s: NDArray[np.float64]) -> None:
        """Move what moves by itself to where it is at each scene's time [S]."""
        if not self._motions:
            return
        called = [scene for scene in self._motions if self._move(scene, float(time_s[scene]))]
        self._follow_routes(time_s)
        routes = self._routes_of(None)
        # Scenes that move share no row: only what has moved is to be packed.
        self.pack_objects(routes.scene, routes.index)
        if called:
            self._pack(np.array(called))

    def advance(self, scene: int, time_s: float) -> None:
        """Move one scene's objects to where their motion has them at a time.

        Raises:
            SimulatorError: If the motion gives poses of the wrong shape, NaN or infinity.
        """
        if scene in self._motions:
            self._move(scene, time_s)
            self._follow_routes(np.full(len(self._worlds), time_s), only=scene)
            self.pack_boxes([scene])

    def pack_boxes(self, scenes: Sequence[int] | NDArray[np.int64]) -> None:
        """Collide with objects of these scenes where they are now."""
        at = np.asarray(scenes, np.int64)
        self._pack(at)
        still = (
            (self.poses[at] == self._world_poses[at]).all(axis=(1, 2, 3))
            & (self.present[at] == self._world_present[at]).all(axis=1)
            & ~self.pushable[at].any(axis=1)
            & ~self.carried[at].any(axis=1)
            & ~self.moving[at]
        )
        if (still != self._still[at]).any():
            self._still[at] = still
            self._share_rows()

    def take_from_boxes(self, scenes: NDArray[np.int64]) -> None:
        """Move objects that were pushed to where their boxes are now."""
        boxes = self.boxes[scenes]
        for axis in range(2):
            pushed = self.pushable[scenes] & self.present[scenes]
            now = self.poses[scenes, :, axis, 3]
            self.poses[scenes, :, axis, 3] = np.where(pushed, boxes[..., axis], now)
        self._pack(scenes)

    def _follow_routes(self, time_s: NDArray[np.float64], *, only: int | None = None) -> None:
        """Move what follows routes to where it is at each scene's time [S]."""
        routes = self._routes_of(only)
        if len(routes.scene):
            poses = routes.table.poses(time_s[routes.scene])
            self.poses[routes.scene, routes.index] = poses

    def _routes_of(self, only: int | None) -> _Routes:
        """Routes of one scene, or of all."""
        for scene in self._motions if only is None else [only]:
            if scene not in self._routes:
                self._routes[scene] = _Routes.of(
                    scene, self._motions[scene], self._worlds[scene], self._world_poses[scene]
                )
                self._all_routes = None
        if only is not None:
            return self._routes[only]
        if self._all_routes is None:
            self._all_routes = _Routes.joined([self._routes[scene] for scene in self._motions])
        return self._all_routes

    def _forget_routes(self, scene: int) -> None:
        self._routes.pop(scene, None)
        self._all_routes = None

    def _move(self, scene: int, time_s: float) -> bool:
        """Poses of a scene that moves by itself at a time; False if all of it follows routes."""
        motion, objects = self._motions[scene], self._worlds[scene].objects
        if isinstance(motion, Mapping):
            by_call = [i for i, move in motion.items() if not isinstance(move, Route)]
            for instance in by_call:
                self.poses[scene, self.index_of(scene, instance)] = motion[instance](time_s)
            if not by_call:
                return False
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
        return True

    def _pack(self, at: NDArray[np.int64]) -> None:
        """Boxes of all objects of these scenes."""
        most = self.poses.shape[1]
        self.pack_objects(np.repeat(at, most), np.tile(np.arange(most), len(at)))

    def pack_objects(self, scene: NDArray[np.int64], k: NDArray[np.int64]) -> None:
        """Collide with objects k [M] of scenes [M] where they are now, and draw them there.

        Enough where no scene shares its row of boxes with others; else `pack_boxes` is.
        """
        if not len(scene):
            return
        poses, sizes = self.poses[scene, k], self.sizes[scene, k]
        absent = ~self.present[scene, k]
        boxes = object_boxes(poses, sizes)
        boxes[absent, :3] = _NOWHERE_M
        round_ = self.carried[scene, k]
        boxes[round_, 17] = -0.5 * sizes[round_, :2].max(axis=1, initial=0.0)
        boxes[round_, 18] = 0.0
        self.boxes[scene, k] = boxes
        poses[absent & (self.instances[scene, k] > 0)] = np.nan
        self.drawn_poses[scene, k] = poses

    def _share_rows(self) -> None:
        """Scenes of one world whose objects are all where it holds them collide with one row."""
        scenes = np.arange(len(self._worlds))
        first = np.full(len(self._slots), len(scenes))
        np.minimum.at(first, self._slots.of_scene[self._still], scenes[self._still])
        self.box_row = np.where(self._still, first[self._slots.of_scene], scenes)
        self.version += 1

    def _allocate(self, most: int) -> None:
        """Empty arrays for the largest world."""
        shape = (len(self._worlds), most)
        self.poses = np.tile(np.eye(4), (*shape, 1, 1))
        self._world_poses = self.poses.copy()
        self.sizes = np.zeros((*shape, 3))
        self.instances = np.zeros(shape, np.int64)
        self.present, self._world_present, self.pushable, self.carried = (
            np.zeros(shape, np.bool_) for _ in range(4)
        )
        self.boxes = np.zeros((*shape, BOX_COLUMNS))
        self.boxes[..., :3] = _NOWHERE_M
        self.drawn_poses = self.poses.copy()

    def _read(self, scene: int) -> None:
        """Take the objects of a scene from its world."""
        objects = self._worlds[scene].objects
        count = len(objects)
        self._world_poses[scene] = np.eye(4)
        self.sizes[scene], self.instances[scene] = 0.0, 0
        if count:
            self._world_poses[scene, :count] = [item.pose for item in objects]
            self.sizes[scene, :count] = [item.size for item in objects]
            self.instances[scene, :count] = [item.instance for item in objects]
        self.poses[scene] = self._world_poses[scene]
        self._world_present[scene] = self.instances[scene] > 0
        self._world_present[scene] &= self.poses[scene, :, 2, 3] > PARKED_BELOW_M
        self.present[scene] = self._world_present[scene]
        self._pack(np.array([scene]))
        self._forget_routes(scene)  # they start from where worlds hold things


@dataclass(frozen=True, slots=True)
class _Routes:
    """What follows routes: scenes and places in their worlds' lists, int64 [M], and the routes."""

    scene: NDArray[np.int64]
    index: NDArray[np.int64]
    table: RouteTable

    @staticmethod
    def of(
        scene: int, motion: ObjectMotion, world: World, world_poses: NDArray[np.float64]
    ) -> _Routes:
        """Collect the routes of a scene, whose world holds its objects at `world_poses`."""
        by_instance = motion if isinstance(motion, Mapping) else {}
        routes = {i: route for i, route in by_instance.items() if isinstance(route, Route)}
        place = {item.instance: k for k, item in enumerate(world.objects)} if routes else {}
        index = np.array([place[i] for i in routes], np.int64)
        table = RouteTable(list(routes.values()), world_poses[index])
        return _Routes(np.full(len(index), scene), index, table)

    @staticmethod
    def joined(parts: Sequence[_Routes]) -> _Routes:
        """The routes of several scenes."""
        none = np.empty(0, np.int64)
        return _Routes(
            np.concatenate([none, *(part.scene for part in parts)]),
            np.concatenate([none, *(part.index for part in parts)]),
            RouteTable.joined([part.table for part in parts]),
        )
