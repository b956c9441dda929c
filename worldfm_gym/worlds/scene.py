"""Scene: primitives, materials and lights; the one description behind every procedural world.

The CPU ray caster, the GPU ray caster and the sampler that makes an anchor all read these arrays,
so they can't disagree about what a world looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.objects import WorldObject


class Shape(IntEnum):
    """Primitive shapes, centred on their local origin."""

    BOX = 0  # half sizes along x, y, z
    CYLINDER = 1  # axis along local z: half_size = (radius_x, radius_y, half height)
    ELLIPSOID = 2  # half_size = radii


class Material(IntEnum):
    """Procedural materials; `color` is the main albedo, `accent` the second, `scale` a period in metres."""

    PAINT = 0
    PLASTER = 1
    WOOD = 2
    PLANKS = 3
    BRICK = 4
    TILE = 5
    FABRIC = 6
    CARPET = 7
    METAL = 8
    CONCRETE = 9
    MARBLE = 10
    LEATHER = 11
    HAZARD = 12  # diagonal safety stripes of color and accent
    BOOKS = 13  # rows of spines
    PICTURE = 14  # a framed picture on the largest faces
    EMISSIVE = 15  # lamps: shows `color` unshaded
    WINDOW = 16  # unshaded daylight: sky over horizon
    CARDBOARD = 17
    SCREEN = 18
    FOLIAGE = 19
    RUG = 20
    GRATE = 21


@dataclass(frozen=True, slots=True)
class Scene:
    """Immutable arrays of P primitives and L lights.

    Attributes:
        shape: `Shape` values, int32 [P].
        center: World positions, metres, float32 [P, 3].
        rotation: Local-to-world rotations, float32 [P, 3, 3].
        half_size: Half extents along local axes, metres, float32 [P, 3].
        material: `Material` values, int32 [P].
        color: Main albedo, linear RGB in 0…1, float32 [P, 3].
        accent: Second albedo, linear RGB in 0…1, float32 [P, 3].
        scale: Texture period in metres, float32 [P].
        seed: Texture seeds, uint32 [P].
        instance: Object ids, int32 [P]; 0 is background (walls, floors, ceilings).
        light_position: World positions of point lights, float32 [L, 3].
        light_color: Linear RGB intensity, float32 [L, 3]; irradiance falls off from it softly.
        light_range: Metres beyond which a light adds nothing, float32 [L].
        ambient: Linear RGB of the ambient light, float32 [3].
        floor_rects: Walkable floor rectangles (x0, y0, x1, y1), metres, float32 [R, 4].
        height: Free height above the floor at z = 0, metres.
        objects: Object instances at rest.
    """

    shape: NDArray[np.int32]
    center: NDArray[np.float32]
    rotation: NDArray[np.float32]
    half_size: NDArray[np.float32]
    material: NDArray[np.int32]
    color: NDArray[np.float32]
    accent: NDArray[np.float32]
    scale: NDArray[np.float32]
    seed: NDArray[np.uint32]
    instance: NDArray[np.int32]
    light_position: NDArray[np.float32]
    light_color: NDArray[np.float32]
    light_range: NDArray[np.float32]
    ambient: NDArray[np.float32]
    floor_rects: NDArray[np.float32]
    height: float
    objects: tuple[WorldObject, ...]

    def __len__(self) -> int:
        return len(self.shape)


@dataclass(slots=True)
class SceneBuilder:
    """Collects primitives, lights and objects, then freezes them into a `Scene`.

    Positions inside `with builder.object(...)` and `with builder.frame(...)` are local to that
    frame (x forward, y left, z up, origin on the floor below the middle), so that furniture is
    written once and placed anywhere.
    """

    rng: np.random.Generator
    _rows: list[
        tuple[
            int,
            NDArray[np.float64],
            NDArray[np.float64],
            NDArray[np.float64],
            int,
            NDArray[np.float64],
            NDArray[np.float64],
            float,
            int,
            int,
        ]
    ] = field(default_factory=list)
    _lights: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = field(
        default_factory=list
    )
    _objects: list[WorldObject] = field(default_factory=list)
    _frame: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    _instance: int = 0

    def box(
        self,
        center: ArrayLike,
        size: ArrayLike,
        *,
        material: Material,
        color: ArrayLike,
        accent: ArrayLike | None = None,
        scale: float = 1.0,
        yaw: float = 0.0,
        rotation: ArrayLike | None = None,
        seed: int | None = None,
    ) -> None:
        """Add a box; `center` and full `size` in the current frame, `yaw` about z or a 3×3 `rotation`."""
        self._add(Shape.BOX, center, size, material, color, accent, scale, yaw, rotation, seed)

    def cylinder(
        self,
        center: ArrayLike,
        radius: float,
        height: float,
        *,
        material: Material,
        color: ArrayLike,
        accent: ArrayLike | None = None,
        scale: float = 1.0,
        rotation: ArrayLike | None = None,
        seed: int | None = None,
    ) -> None:
        """Add a cylinder of full `height` along local z (turned by a 3×3 `rotation`)."""
        size = (2 * radius, 2 * radius, height)
        self._add(Shape.CYLINDER, center, size, material, color, accent, scale, 0.0, rotation, seed)

    def ellipsoid(
        self,
        center: ArrayLike,
        size: ArrayLike,
        *,
        material: Material,
        color: ArrayLike,
        accent: ArrayLike | None = None,
        scale: float = 1.0,
        yaw: float = 0.0,
        rotation: ArrayLike | None = None,
        seed: int | None = None,
    ) -> None:
        """Add an ellipsoid with full axis lengths `size`."""
        self._add(
            Shape.ELLIPSOID, center, size, material, color, accent, scale, yaw, rotation, seed
        )

    def light(self, position: ArrayLike, color: ArrayLike, *, range_m: float) -> None:
        """Add a point light at a position in the current frame."""
        world = self._frame[:3, :3] @ np.asarray(position, float) + self._frame[:3, 3]
        self._lights.append((world, np.asarray(color, float), range_m))

    @contextmanager
    def frame(self, position: ArrayLike, yaw: float = 0.0) -> Iterator[None]:
        """Place what is added inside relative to a frame at `position` turned by `yaw`."""
        outer = self._frame
        self._frame = outer @ _placed(position, yaw)
        try:
            yield
        finally:
            self._frame = outer

    @contextmanager
    def object(
        self, category: str, position: ArrayLike, yaw: float = 0.0, *, movable: bool = True
    ) -> Iterator[int]:
        """Make what is added inside one object instance; its oriented box is fitted on exit."""
        if self._instance:
            raise ValueError("objects can't be nested")
        first, self._instance = len(self._rows), len(self._objects) + 1
        try:
            with self.frame(position, yaw):
                pose = self._frame
                yield self._instance
        finally:
            instance, self._instance = self._instance, 0
        self._objects.append(self._fit_object(instance, category, pose, first, movable))

    def build(
        self, *, ambient: ArrayLike, floor_rects: Sequence[ArrayLike], height: float
    ) -> Scene:
        """Freeze into a `Scene`."""
        columns = list(zip(*self._rows, strict=True))
        dtypes = (np.int32, *(np.float32,) * 3, np.int32, *(np.float32,) * 3, np.uint32, np.int32)
        arrays = [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
        position, color, reach = zip(*self._lights, strict=True) if self._lights else ((), (), ())
        return Scene(
            *arrays,
            light_position=np.array(position, np.float32).reshape(-1, 3),
            light_color=np.array(color, np.float32).reshape(-1, 3),
            light_range=np.array(reach, np.float32),
            ambient=np.asarray(ambient, np.float32),
            floor_rects=np.array(floor_rects, np.float32).reshape(-1, 4),
            height=float(height),
            objects=tuple(self._objects),
        )

    def _add(
        self,
        shape: Shape,
        center: ArrayLike,
        size: ArrayLike,
        material: Material,
        color: ArrayLike,
        accent: ArrayLike | None,
        scale: float,
        yaw: float,
        rotation: ArrayLike | None,
        seed: int | None,
    ) -> None:
        local = _placed(center, yaw)
        if rotation is not None:
            local[:3, :3] = local[:3, :3] @ np.asarray(rotation, float)
        world = self._frame @ local
        albedo = np.asarray(color, float)
        second = albedo * 0.6 if accent is None else np.asarray(accent, float)
        texture_seed = int(self.rng.integers(2**32)) if seed is None else seed
        self._rows.append(
            (
                int(shape),
                world[:3, 3],
                world[:3, :3],
                np.asarray(size, float) / 2,
                int(material),
                albedo,
                second,
                scale,
                texture_seed,
                self._instance,
            )
        )

    def _fit_object(
        self, instance: int, category: str, pose: NDArray[np.float64], first: int, movable: bool
    ) -> WorldObject:
        """Fit the box in the object's own axes around the rows added since `first`."""
        lows, highs = [], []
        for _, center, rotation, half_size, *_ in self._rows[first:]:
            middle = pose[:3, :3].T @ (center - pose[:3, 3])
            reach = np.abs(pose[:3, :3].T @ rotation) @ half_size
            lows.append(middle - reach)
            highs.append(middle + reach)
        if not lows:
            raise ValueError(f"object '{category}' has no primitives")
        low, high = np.min(lows, axis=0), np.max(highs, axis=0)
        centred = pose.copy()
        centred[:3, 3] = pose[:3, 3] + pose[:3, :3] @ ((low + high) / 2)
        return WorldObject.at_rest(
            instance, category, pose=centred, size=high - low, movable=movable
        )


def _placed(position: ArrayLike, yaw: float) -> NDArray[np.float64]:
    """Frame at `position`, turned by `yaw` about z."""
    frame = np.eye(4)
    frame[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    frame[:3, 3] = np.asarray(position, float)
    return frame
