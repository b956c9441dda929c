"""Objects: rigid sets of anchor points with a pose, an oriented box and a category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.camera import check_rigid, invert_rigid


@dataclass(slots=True)
class WorldObject:
    """One object instance of a world.

    The oriented box is centred on the origin of the object frame and aligned with its axes; where
    an object has a front, it faces +x of its frame, and +z is up.

    Attributes:
        instance: Id ≥ 1, unique in its world; the anchor's points with this id belong to it.
        category: Lower-case singular noun, "chair".
        pose: Object-to-world transform now, float64 [4, 4].
        rest_pose: Object-to-world transform at which the anchor stores its points, float64 [4, 4].
        size: Full side lengths of the oriented box, metres, float64 [3].
        movable: Whether tasks and users are meant to move it (walls-mounted things are not).
    """

    instance: int
    category: str
    pose: NDArray[np.float64]
    rest_pose: NDArray[np.float64]
    size: NDArray[np.float64]
    movable: bool = True

    def __post_init__(self) -> None:
        self.pose = check_rigid(self.pose)
        self.rest_pose = check_rigid(self.rest_pose)
        self.size = np.asarray(self.size, dtype=np.float64)
        if self.instance < 1:
            raise ValueError(f"instance ids start at 1 (0 is background), got {self.instance}")
        if self.size.shape != (3,) or not (np.isfinite(self.size).all() and (self.size > 0).all()):
            raise ValueError(f"size must be three positive lengths in metres, got {self.size}")

    @classmethod
    def at_rest(
        cls, instance: int, category: str, *, pose: ArrayLike, size: ArrayLike, movable: bool = True
    ) -> WorldObject:
        """An object whose current pose is its rest pose."""
        matrix = check_rigid(pose)
        return cls(instance, category, matrix, matrix.copy(), np.asarray(size), movable)

    @classmethod
    def unchecked(
        cls,
        instance: int,
        category: str,
        *,
        pose: NDArray[np.float64],
        size: NDArray[np.float64],
        movable: bool,
    ) -> WorldObject:
        """An object at rest, unvalidated, for scene builders that made the arrays themselves."""
        made = object.__new__(cls)
        made.instance, made.category, made.movable = instance, category, movable
        made.pose, made.rest_pose, made.size = pose.copy(), pose.copy(), size.copy()
        return made

    @property
    def motion(self) -> NDArray[np.float64]:
        """World-from-rest transform: what moves the stored points to where they are now."""
        return np.asarray(self.pose @ invert_rigid(self.rest_pose))

    @property
    def corners_world(self) -> NDArray[np.float64]:
        """The eight corners of the oriented box in world coordinates, float64 [8, 3]."""
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, 8).T
        return np.asarray(signs * (self.size / 2) @ self.pose[:3, :3].T + self.pose[:3, 3])
