"""NavMap: where a body can stand, how far it is to walk, and which way."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation.body import AgentBody
from worldfm_gym.navigation.boxes import object_boxes
from worldfm_gym.navigation.clearance import euclidean_clearance, refine_near_boxes, stamp_boxes
from worldfm_gym.navigation.collision import discs_fit
from worldfm_gym.navigation.floor import FLOOR_TOLERANCE_M, map_floor
from worldfm_gym.navigation.geodesic import (
    SEED_REACH_CELLS,
    DistanceField,
    distance_field,
    distance_field_to_cells,
)
from worldfm_gym.navigation.occupancy import OccupancyGrid, VoxelState
from worldfm_gym.navigation.path import cells_in_sight, pull_tight, trace_path
from worldfm_gym.navigation.regions import (
    crossable_squares,
    grow_without_bridging,
    largest_region,
)
from worldfm_gym.navigation.sweep import CONTACT_SKIN_CELLS

if TYPE_CHECKING:
    from worldfm_gym.worlds.world import Reference

_MIN_FLOOR_M2 = 0.5
_CACHED_FIELDS = 8
_PLANNING_SLACK = 0.06  # cells; between two samples an interpolated clearance dips by less
_TRIM_PERCENT = 0.02  # stray points of a scan per side, beyond which the map does not reach
_FREE_COLOR = (236, 234, 228)
_UNKNOWN_COLOR = (150, 150, 152)
_WALL_COLOR = (38, 40, 46)
_OBJECT_COLOR = (104, 92, 80)


class NavMap:
    """A floor map of one world for one body, with the objects where they are now.

    Maps are indexed [iy, ix] with iy along world +y; they end in a border that is not free.

    Attributes:
        cell_m: Side of a cell in metres.
        origin_xy: World xy of the corner of cell [0, 0], float64 [2].
        body: The agent that walks.
        known_free: Floor is known and nothing of the background blocks it, bool [ny, nx]. Static.
        background: A background obstacle stands here, bool [ny, nx]. Static.
        static_clearance: Metres to the nearest cell that is not known free, float32 [ny, nx].
        voxels: 3D occupancy of the static background.
        boxes: Packed boxes of the current objects, float64 [K, 21].
        occupied: Background obstacles and the footprints of objects, bool [ny, nx].
        clearance: Metres to the nearest cell that is not free, objects included,
            float32 [ny, nx]; exact near the objects.
        navigable: The body fits at the cell's centre, bool [ny, nx].
    """

    def __init__(
        self,
        known_free: NDArray[np.bool_],
        background: NDArray[np.bool_],
        voxels: OccupancyGrid,
        *,
        body: AgentBody,
        objects: Sequence[WorldObject] = (),
    ) -> None:
        self.cell_m = voxels.cell_m
        self.origin_xy = voxels.origin[:2].copy()
        self.body = body
        self.known_free = known_free
        self.background = background
        self.voxels = voxels
        self.static_clearance = euclidean_clearance(known_free, cell_m=self.cell_m)
        self._version = -1
        self._fields: OrderedDict[tuple[int, float, float], DistanceField] = OrderedDict()
        self._largest: NDArray[np.int64] | None = None
        self._set_boxes(object_boxes(objects))

    @classmethod
    def build(
        cls,
        anchor: Anchor,
        objects: Sequence[WorldObject] = (),
        *,
        body: AgentBody | None = None,
        references: Sequence[Reference] = (),
        cell_m: float = 0.05,
        closed: bool = False,
    ) -> NavMap:
        """Read the map off an anchor whose floor lies at z = 0.

        Background points (instance 0) make the static map; objects act only through their boxes.
        Floor is known where background points lie within 6 cm of z = 0, with gaps of up to two
        cells closed, and under movable objects that known ground surrounds. It is free where no
        background point lies between step height and body height.

        Args:
            anchor: The point cloud.
            objects: Object instances.
            body: The agent that walks; the default `AgentBody()` if None.
            references: Posed depth frames; voxels that their rays passed are free.
            cell_m: Side of a cell and of a voxel in metres.
            closed: Everything is known (procedural worlds): voxels that are not occupied are free.
                Without this and without references, free space is what stands over known floor,
                up to the lowest point above it or to body height.

        Raises:
            NavigationError: If there is no floor near z = 0, too little of it, none where the body
                fits, or the world is too large for `cell_m`.
        """
        if not (np.isfinite(cell_m) and cell_m > 0):
            raise NavigationError(f"cell_m must be a positive length in metres, got {cell_m}")
        body = AgentBody() if body is None else body
        low, high = _extent(anchor, exact=closed)
        voxels = OccupancyGrid.covering(
            low, high, cell_m=cell_m, fill=VoxelState.FREE if closed else VoxelState.UNKNOWN
        )
        resting = [o for o in objects if o.movable]
        boxes = object_boxes(())
        if resting:
            boxes = object_boxes(
                np.array([o.rest_pose for o in resting]), np.array([o.size for o in resting])
            )
        floor = map_floor(
            anchor,
            shape=voxels.states.shape[1:],
            origin_xy=voxels.origin[:2],
            cell_m=cell_m,
            body=body,
            resting_boxes=boxes[boxes[:, 19] < body.height_m],
        )
        known_free = floor.seen & ~floor.blocked
        for edge in (known_free, known_free.T):
            edge[[0, -1]] = False
        if not closed:
            if references:
                voxels.carve(references, body_radius_m=body.radius_m)
            else:
                voxels.free_columns(known_free, floor.headroom, height_m=body.height_m)
        voxels.stamp_background(anchor)
        nav = cls(known_free, floor.blocked, voxels, body=body, objects=objects)
        nav._require_floor(floor.seen)
        return nav

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along y and x: (ny, nx)."""
        return self.known_free.shape[0], self.known_free.shape[1]

    def set_obstacles(self, objects: Sequence[WorldObject]) -> None:
        """Put objects where they are now: footprints, clearance and everything that follows.

        Only boxes that reach between step height and body height count. Free of cost if nothing
        has moved.
        """
        boxes = object_boxes(objects)
        if not np.array_equal(boxes, self.boxes):
            self._set_boxes(boxes)

    def with_obstacles(self, objects: Sequence[WorldObject]) -> NavMap:
        """A map of the same place with other objects; this one stays as it is."""
        twin = copy.copy(self)
        twin._fields, twin._largest = OrderedDict(), None
        twin._set_boxes(object_boxes(objects))
        return twin

    def is_navigable(self, xy: ArrayLike) -> NDArray[np.bool_]:
        """Whether the body touches nothing at world points [..., 2], bool [...]."""
        points = np.asarray(xy, dtype=np.float64)
        fits: NDArray[np.bool_] = discs_fit(
            *self._floor, np.ascontiguousarray(points.reshape(-1, 2))
        )
        return fits.reshape(points.shape[:-1])

    def random_point(
        self, rng: np.random.Generator, *, count: int | None = None
    ) -> NDArray[np.float64]:
        """Points where the body fits, uniform over the largest connected region.

        Args:
            rng: Source of randomness.
            count: How many points; None for one.

        Returns:
            World xy in metres, float64 [2], or [count, 2].

        Raises:
            NavigationError: If objects leave no room for the body.
        """
        cells = self._largest_region()
        wanted = 1 if count is None else count
        points = np.empty((0, 2))
        while len(points) < wanted:
            drawn = cells[rng.integers(len(cells), size=max(2 * (wanted - len(points)), 4))]
            iy, ix = np.divmod(drawn, self.shape[1])
            corners = np.stack([ix, iy], axis=-1)
            candidates = self.origin_xy + (corners + rng.random(corners.shape)) * self.cell_m
            points = np.concatenate([points, candidates[self.is_navigable(candidates)]])
        return points[0] if count is None else points[:count]

    def geodesic_field(self, goal_xy: ArrayLike) -> DistanceField:
        """Walking distances to a goal [2] from everywhere; the last few goals are remembered.

        Raises:
            NavigationError: If the body does not fit at the goal.
        """
        goal = self._standing_point(goal_xy, "goal")
        key = (self._version, float(goal[0]), float(goal[1]))
        if key in self._fields:
            self._fields.move_to_end(key)
            return self._fields[key]
        field = self._solve(goal, self._walkable, self._squares)
        self._fields[key] = field
        if len(self._fields) > _CACHED_FIELDS:
            self._fields.popitem(last=False)
        return field

    def geodesic_field_to(self, goal: NDArray[np.bool_]) -> DistanceField:
        """Walking distances to the nearest of some cells' centres, from everywhere.

        Args:
            goal: Cells of this map, bool [ny, nx]; those where no body fits do not count.

        Raises:
            NavigationError: If `goal` has another shape than the map.
        """
        if goal.shape != self.shape or goal.dtype != np.bool_:
            raise NavigationError(
                f"goal cells must be bool {self.shape}, got {goal.dtype} {goal.shape}"
            )
        return distance_field_to_cells(
            self._walkable,
            self._squares,
            goal & self.navigable,
            origin_xy=self.origin_xy,
            cell_m=self.cell_m,
        )

    def shortest_path(self, start_xy: ArrayLike, goal_xy: ArrayLike) -> NDArray[np.float64]:
        """A collision-free polyline from start to goal, world metres, float64 [P, 2].

        Raises:
            NavigationError: If the body does not fit at either end, or no way leads between them.
        """
        start, goal = self._standing_point(start_xy, "start"), self._standing_point(goal_xy, "goal")
        squares = crossable_squares(self.navigable, self.clearance, least_m=self.body.radius_m)
        field = self._solve(goal, self.navigable, squares)
        traced = trace_path(field.values, field.direct, *self._planning_floor, start, goal)
        if len(traced) == 0:
            raise NavigationError(
                f"no way leads from {start.tolist()} to {goal.tolist()}: check with "
                "geodesic_field(goal).distance(start) first"
            )
        return pull_tight(traced, *self._planning_floor)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The static map as arrays; `from_arrays` restores it exactly."""
        return {
            "known_free": self.known_free,
            "background": self.background,
            "voxel_states": self.voxels.states,
            "voxel_origin": self.voxels.origin,
            "cell_m": np.array([self.cell_m]),
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        body: AgentBody,
        objects: Sequence[WorldObject] = (),
    ) -> NavMap:
        """Restore a map from `to_arrays`, for the same body and the objects where they are now.

        Raises:
            NavigationError: If an array is missing or its shape or type is not that of a map.
        """
        missing = {"known_free", "background", "voxel_states", "voxel_origin", "cell_m"} - set(
            arrays
        )
        if missing:
            raise NavigationError(f"navigation arrays lack {sorted(missing)}: rebuild the map")
        known_free, background = arrays["known_free"], arrays["background"]
        states, origin = arrays["voxel_states"], arrays["voxel_origin"]
        if (
            states.ndim != 3
            or states.dtype != np.uint8
            or not known_free.shape == background.shape == states.shape[1:]
            or not known_free.dtype == background.dtype == np.bool_
            or origin.shape != (3,)
        ):
            raise NavigationError(
                "navigation arrays disagree in shape or type, got "
                + ", ".join(f"{k} {v.dtype}{v.shape}" for k, v in sorted(arrays.items()))
                + ": rebuild the map"
            )
        voxels = OccupancyGrid(
            np.ascontiguousarray(states), origin.astype(np.float64), float(arrays["cell_m"][0])
        )
        return cls(
            np.ascontiguousarray(known_free),
            np.ascontiguousarray(background),
            voxels,
            body=body,
            objects=objects,
        )

    def image(self) -> NDArray[np.uint8]:
        """A picture from above, north (+y) up: free light, occupied dark, unknown mid-grey.

        Returns:
            RGB, uint8 [ny, nx, 3]; row 0 is the highest y.
        """
        picture = np.full((*self.shape, 3), _UNKNOWN_COLOR, np.uint8)
        picture[self.known_free] = _FREE_COLOR
        picture[self.occupied] = _OBJECT_COLOR
        picture[self.background] = _WALL_COLOR
        return np.ascontiguousarray(picture[::-1])

    def image_pixel(self, xy: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where world points [..., 2] fall on `image()`: (row, column), float64 [...] each.

        Pixel centres are at half-integers, as everywhere.
        """
        cells = (np.asarray(xy, dtype=np.float64) - self.origin_xy) / self.cell_m
        return self.shape[0] - cells[..., 1], cells[..., 0]

    @property
    def _floor(self) -> tuple[Any, ...]:
        """What the walking kernels need to know of the map, in their order."""
        return (
            self.static_clearance,
            self.origin_xy,
            self.cell_m,
            self.boxes,
            self.body.radius_m - CONTACT_SKIN_CELLS * self.cell_m,
            self.body.step_height_m,
            self.body.height_m,
        )

    @property
    def _planning_floor(self) -> tuple[Any, ...]:
        """`_floor` for a body a hair wider, so that paths also hold walked in other steps."""
        clearance, origin_xy, cell_m, boxes, contact, low, high = self._floor
        return clearance, origin_xy, cell_m, boxes, contact + _PLANNING_SLACK * cell_m, low, high

    def _solve(
        self,
        goal: NDArray[np.float64],
        walkable: NDArray[np.bool_],
        squares: NDArray[np.bool_],
    ) -> DistanceField:
        """Distances to a goal over some cells."""
        direct = cells_in_sight(self.navigable, *self._planning_floor, goal, SEED_REACH_CELLS)
        if not direct.any():
            raise NavigationError(f"the goal {goal.tolist()} is walled in: choose another")
        return distance_field(
            walkable, squares, direct, goal, origin_xy=self.origin_xy, cell_m=self.cell_m
        )

    def _set_boxes(self, boxes: NDArray[np.float64]) -> None:
        """Take over packed boxes and refresh what depends on them."""
        self.boxes = boxes
        blocking = boxes[
            (boxes[:, 19] < self.body.height_m) & (boxes[:, 20] > self.body.step_height_m)
        ]
        footprints = stamp_boxes(self.shape, blocking, origin_xy=self.origin_xy, cell_m=self.cell_m)
        self.occupied = self.background | footprints
        if len(blocking):
            self.clearance = euclidean_clearance(self.known_free & ~footprints, cell_m=self.cell_m)
            refine_near_boxes(
                self.clearance,
                blocking,
                origin_xy=self.origin_xy,
                cell_m=self.cell_m,
                reach_m=self.body.radius_m + 2 * self.cell_m,
            )
        else:
            self.clearance = self.static_clearance.copy()
        self.navigable = self.clearance >= self.body.radius_m
        # A wall cuts cells anywhere: cells that miss by half a cell make distances around corners
        # neither too long nor too short on average.
        nearly_m = self._floor[4] - 0.5 * self.cell_m
        self._walkable = grow_without_bridging(self.navigable, self.clearance >= nearly_m)
        self._squares = crossable_squares(self._walkable, self.clearance, least_m=nearly_m)
        self._version += 1
        self._fields.clear()
        self._largest = None

    def _largest_region(self) -> NDArray[np.int64]:
        """Flat indices of the largest 4-connected set of navigable cells."""
        if self._largest is None:
            self._largest = largest_region(self.navigable)
        if len(self._largest) == 0:
            raise NavigationError(
                f"objects leave no room for a body of radius {self.body.radius_m} m: move some away"
            )
        return self._largest

    def _standing_point(self, xy: ArrayLike, role: str) -> NDArray[np.float64]:
        """A single point [2] where the body fits."""
        point = np.array(xy, dtype=np.float64)
        if point.shape != (2,):
            raise NavigationError(
                f"the {role} must be one world point (x, y), got shape {point.shape}"
            )
        if not self.is_navigable(point):
            raise NavigationError(
                f"the {role} {point.tolist()} is not free for a body of radius "
                f"{self.body.radius_m} m: choose one with is_navigable or random_point"
            )
        return point

    def _require_floor(self, seen: NDArray[np.bool_]) -> None:
        """Raise with the reason if nobody can walk here."""
        area = float(self.known_free.sum()) * self.cell_m**2
        if not seen.any():
            raise NavigationError(
                f"no floor: no background point lies within {FLOOR_TOLERANCE_M} m of z = 0"
            )
        if area < _MIN_FLOOR_M2:
            raise NavigationError(
                f"only {area:.2f} m² of free floor is known, at least {_MIN_FLOOR_M2} are needed"
            )
        if not (self.static_clearance >= self.body.radius_m).any():
            raise NavigationError(
                f"nowhere on the {area:.1f} m² of free floor does a body of radius "
                f"{self.body.radius_m} m fit"
            )


def _extent(anchor: Anchor, *, exact: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the box to map, [3] each: of all points, or without a scan's stray ones."""
    if exact:
        low, high = _bounds(anchor.points)
    else:
        low, high = np.percentile(anchor.points, [_TRIM_PERCENT, 100 - _TRIM_PERCENT], axis=0)
    return low, high


@njit(cache=True, nogil=True)
def _bounds(points: Any) -> Any:
    """Lowest and highest corner of points [N, 3], float64 [2, 3] (NumPy is slow along axis 0)."""
    bounds = np.empty((2, 3))
    for i in range(3):
        low, high = points[0, i], points[0, i]
        for n in range(len(points)):
            low, high = min(low, points[n, i]), max(high, points[n, i])
        bounds[0, i], bounds[1, i] = low, high
    return bounds
