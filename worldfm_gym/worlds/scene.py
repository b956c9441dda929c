"""Scene: primitives, materials and lights; the one description behind every procedural world.

The CPU ray caster, the GPU ray caster and the sampler that makes an anchor all read these arrays,
so they can't disagree about what a world looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.objects import WorldObject

Vector = Sequence[float] | NDArray[np.floating[Any]]
Rotation = Sequence[Sequence[float]] | NDArray[np.floating[Any]]
Placement = tuple[float, float, float, float, float]  # x, y, z, cos yaw, sin yaw


class Shape(IntEnum):
    """Primitive shapes, centred on their local origin."""

    BOX = 0  # half sizes along x, y, z
    CYLINDER = 1  # axis along local z: half_size = (radius_x, radius_y, half height)
    ELLIPSOID = 2  # half_size = radii


class Material(IntEnum):
    """Procedural materials; `color` is the main albedo, `accent` the second.

    `scale` is the texture's period in metres.
    """

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

    Generators add hundreds of primitives per scene and make hundreds of scenes a second, so what
    is added is kept as plain floats and becomes arrays only in `build`.
    """

    rng: np.random.Generator
    _rows: list[tuple[float, ...]] = field(default_factory=list)
    _rotations: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    _lights: list[tuple[float, ...]] = field(default_factory=list)
    _objects: list[tuple[str, Placement, int, bool]] = field(default_factory=list)
    _placement: Placement = (0.0, 0.0, 0.0, 1.0, 0.0)
    _instance: int = 0

    def __len__(self) -> int:
        return len(self._rows)

    def box(
        self,
        center: Vector,
        size: Vector,
        *,
        material: Material,
        color: Vector,
        accent: Vector | None = None,
        scale: float = 1.0,
        yaw: float = 0.0,
        rotation: Rotation | None = None,
        seed: int | None = None,
    ) -> None:
        """Add a box of full `size` around `center`, turned by `yaw` or a 3×3 `rotation`."""
        self._add(_BOX, center, size, material, color, accent, scale, yaw, rotation, seed)

    def cylinder(
        self,
        center: Vector,
        radius: float | tuple[float, float],
        height: float,
        *,
        material: Material,
        color: Vector,
        accent: Vector | None = None,
        scale: float = 1.0,
        rotation: Rotation | None = None,
        seed: int | None = None,
    ) -> None:
        """Add a cylinder of full `height` along local z (turned by a 3×3 `rotation`).

        Two radii make its section an ellipse along local x and y.
        """
        along_x, along_y = radius if isinstance(radius, tuple) else (radius, radius)
        size = (2 * along_x, 2 * along_y, height)
        self._add(_CYLINDER, center, size, material, color, accent, scale, 0.0, rotation, seed)

    def ellipsoid(
        self,
        center: Vector,
        size: Vector,
        *,
        material: Material,
        color: Vector,
        accent: Vector | None = None,
        scale: float = 1.0,
        yaw: float = 0.0,
        rotation: Rotation | None = None,
        seed: int | None = None,
    ) -> None:
        """Add an ellipsoid with full axis lengths `size`."""
        self._add(_ELLIPSOID, center, size, material, color, accent, scale, yaw, rotation, seed)

    def light(self, position: Vector, color: Vector, *, range_m: float) -> None:
        """Add a point light at a position in the current frame."""
        x, y, z, _, _ = _placed(self._placement, position, 0.0)
        red, green, blue = color
        self._lights.append((x, y, z, red, green, blue, range_m))

    @contextmanager
    def frame(self, position: Vector, yaw: float = 0.0) -> Iterator[None]:
        """Place what is added inside relative to a frame at `position` turned by `yaw`."""
        outer = self._placement
        self._placement = _placed(outer, position, yaw)
        try:
            yield
        finally:
            self._placement = outer

    @contextmanager
    def object(
        self, category: str, position: Vector, yaw: float = 0.0, *, movable: bool = True
    ) -> Iterator[int]:
        """Make what is added inside one object instance; `build` fits its oriented box."""
        if self._instance:
            raise ValueError("objects can't be nested")
        outer, first = self._placement, len(self._rows)
        self._instance = len(self._objects) + 1
        self._placement = placement = _placed(outer, position, yaw)
        try:
            yield self._instance
        finally:
            self._placement, self._instance = outer, 0
        if len(self._rows) == first:
            raise ValueError(f"object '{category}' has no primitives")
        self._objects.append((category, placement, first, movable))

    def build(self, *, ambient: Vector, floor_rects: Sequence[Vector], height: float) -> Scene:
        """Freeze into a `Scene`."""
        rows = np.array(self._rows, np.float64).reshape(-1, _ROW_LENGTH)
        column = {name: rows[:, place] for name, place in _COLUMNS.items()}
        rotation = _rotations_about_z(column["cos"], column["sin"])
        for row, extra in self._rotations.items():
            rotation[row] = rotation[row] @ extra
        center = rows[:, _CENTER]
        half_size = rows[:, _SIZE] / 2
        drawn = self.rng.integers(2**32, size=len(rows), dtype=np.uint32)
        seed = np.where(column["seed"] < 0, drawn, column["seed"].clip(0)).astype(np.uint32)
        lights = np.array(self._lights, np.float32).reshape(-1, 7)
        return Scene(
            shape=column["shape"].astype(np.int32),
            center=center.astype(np.float32),
            rotation=rotation.astype(np.float32),
            half_size=half_size.astype(np.float32),
            material=column["material"].astype(np.int32),
            color=rows[:, _COLOR].astype(np.float32),
            accent=rows[:, _ACCENT].astype(np.float32),
            scale=column["scale"].astype(np.float32),
            seed=seed,
            instance=column["instance"].astype(np.int32),
            light_position=lights[:, :3].copy(),
            light_color=lights[:, 3:6].copy(),
            light_range=lights[:, 6].copy(),
            ambient=np.asarray(ambient, np.float32),
            floor_rects=np.array(floor_rects, np.float32).reshape(-1, 4),
            height=float(height),
            objects=self._fit_objects(
                column["instance"].astype(np.int64), center, rotation, half_size
            ),
        )

    def _add(
        self,
        shape: int,
        center: Vector,
        size: Vector,
        material: Material,
        color: Vector,
        accent: Vector | None,
        scale: float,
        yaw: float,
        rotation: Rotation | None,
        seed: int | None,
    ) -> None:
        """Keep one primitive as a flat row in the order of `_COLUMNS`."""
        x, y, z, cos, sin = self._placement
        along_x, along_y, along_z = center
        x += cos * along_x - sin * along_y
        y += sin * along_x + cos * along_y
        z += along_z
        if yaw:
            turn_cos, turn_sin = math.cos(yaw), math.sin(yaw)
            cos, sin = cos * turn_cos - sin * turn_sin, sin * turn_cos + cos * turn_sin
        if rotation is not None:
            self._rotations[len(self._rows)] = np.asarray(rotation, np.float64)
        red, green, blue = color
        if accent is None:
            accent = (0.6 * red, 0.6 * green, 0.6 * blue)
        texture_seed = -1 if seed is None else seed
        row = (shape, x, y, z, cos, sin, *size, material, red, green, blue, *accent)
        self._rows.append((*row, scale, texture_seed, self._instance))

    def _fit_objects(
        self,
        instance: NDArray[np.int64],
        center: NDArray[np.float64],
        rotation: NDArray[np.float64],
        half_size: NDArray[np.float64],
    ) -> tuple[WorldObject, ...]:
        """Fit each object's box, in its own axes, around its primitives."""
        if not self._objects:
            return ()
        placements = np.array([placement for _, placement, _, _ in self._objects])
        to_world = _rotations_about_z(placements[:, 3], placements[:, 4])  # [K, 3, 3]
        own = instance > 0
        owner = instance[own] - 1  # [M]
        to_object = np.swapaxes(to_world, 1, 2)[owner]  # [M, 3, 3]
        middle = to_object @ (center[own] - placements[owner, :3])[..., None]
        reach = np.abs(to_object @ rotation[own]) @ half_size[own][..., None]
        starts = np.flatnonzero(np.diff(owner, prepend=-1))  # an object's rows are consecutive
        low = np.minimum.reduceat((middle - reach)[..., 0], starts)  # [K, 3]
        high = np.maximum.reduceat((middle + reach)[..., 0], starts)
        pose = np.tile(np.eye(4), (len(starts), 1, 1))
        pose[:, :3, :3] = to_world
        pose[:, :3, 3] = placements[:, :3] + (to_world @ ((low + high) / 2)[..., None])[..., 0]
        return tuple(
            WorldObject.unchecked(
                number + 1, category, pose=pose[number], size=(high - low)[number], movable=movable
            )
            for number, (category, _, _, movable) in enumerate(self._objects)
        )


_BOX, _CYLINDER, _ELLIPSOID = int(Shape.BOX), int(Shape.CYLINDER), int(Shape.ELLIPSOID)
# Where each number of a row lies; center, size, color and accent are found by slices.
_COLUMNS = {"shape": 0, "cos": 4, "sin": 5, "material": 9, "scale": 16, "seed": 17, "instance": 18}
_ROW_LENGTH = 19
_CENTER, _SIZE, _COLOR, _ACCENT = slice(1, 4), slice(6, 9), slice(10, 13), slice(13, 16)


def _placed(outer: Placement, position: Vector, yaw: float) -> Placement:
    """Frame at `position` in the frame `outer`, turned by `yaw` about z."""
    x, y, z, cos, sin = outer
    along_x, along_y, along_z = position
    turn_cos, turn_sin = math.cos(yaw), math.sin(yaw)
    return (
        x + cos * along_x - sin * along_y,
        y + sin * along_x + cos * along_y,
        z + along_z,
        cos * turn_cos - sin * turn_sin,
        sin * turn_cos + cos * turn_sin,
    )


def _rotations_about_z(cos: NDArray[np.float64], sin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices [N, 3, 3] from cosines and sines [N]."""
    rotation = np.zeros((len(cos), 3, 3))
    rotation[:, 0, 0] = rotation[:, 1, 1] = cos
    rotation[:, 0, 1], rotation[:, 1, 0] = -sin, sin
    rotation[:, 2, 2] = 1.0
    return rotation
