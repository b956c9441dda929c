"""Floor coverage: how much of the floor that can be reached agents have seen, batched.

A cell of floor, 10 cm wide, is seen once its center is in the image of a camera, not too far away,
and the straight line from the camera to it passes over everything in between. Walls and objects
are taken as solid from the floor to their tops, and what is lower than a step hides nothing. That
is geometry alone: it costs no image, and noise or a renderer's errors do not change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_envs.floor_view import MERGED_CELLS, look, raise_tops
from worldfm_gym.navigation import NavMap, VoxelState
from worldfm_gym.navigation.boxes import BOX_COLUMNS
from worldfm_gym.navigation.regions import largest_region
from worldfm_gym.simulator import Simulator
from worldfm_gym.threads import run_striped

_FEW = 32  # agents that one thread is done with before others have begun


@dataclass(frozen=True, slots=True, eq=False)
class FloorGrid:
    """What coverage needs to know of one world.

    Attributes:
        floor_cells: Navigation cells of reachable free floor in each cell, uint8 [ny, nx].
        background_top_m: Height up to which the background fills each cell, metres, 0 where it is
            no obstacle, float32 [ny, nx].
        boxes: Packed boxes of the objects that the floor was read with, float64 [K, 21].
        origin_xy: World xy of the corner of cell [0, 0], float64 [2].
        cell_m: Side of a cell, metres.
        floor_m2: Area of all reachable free floor.
    """

    floor_cells: NDArray[np.uint8]
    background_top_m: NDArray[np.float32]
    boxes: NDArray[np.float64]
    origin_xy: NDArray[np.float64]
    cell_m: float
    floor_m2: float

    @classmethod
    def of(cls, nav: NavMap, *, camera_height_m: float) -> FloorGrid:
        """Read the grid off a navigation map, for cameras at one height."""
        free = nav.known_free & ~nav.occupied
        reachable = np.zeros(free.size, np.bool_)
        reachable[largest_region(free)] = True
        voxels = nav.voxels
        bottom_m = voxels.origin[2] + np.arange(len(voxels.states)) * voxels.cell_m
        counted = (bottom_m < camera_height_m) & (bottom_m + voxels.cell_m > nav.body.step_height_m)
        top_m = np.zeros(free.shape, np.float32)
        for z in np.flatnonzero(counted):  # upward, so that the highest one stays
            top_m[voxels.states[z] == VoxelState.OCCUPIED] = bottom_m[z] + voxels.cell_m
        cells = _blocks(reachable.reshape(free.shape)).sum(axis=(1, 3), dtype=np.uint8)
        return cls(
            floor_cells=cells,
            background_top_m=_blocks(top_m).max(axis=(1, 3)),
            boxes=nav.boxes,
            origin_xy=nav.origin_xy,
            cell_m=MERGED_CELLS * nav.cell_m,
            floor_m2=float(cells.sum()) * nav.cell_m**2,
        )


class FloorCoverage:
    """What groups of agents have seen of the floor of their scenes.

    Attributes:
        seen_m2: Area that each group has seen, float64 [G].
        floor_m2: Area that each group could see at best, float64 [G].
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        group: ArrayLike | None = None,
        view_range_m: float = 5.0,
    ) -> None:
        """Set up empty maps; `begin` fills in the floor.

        Args:
            simulator: Of agents that walk.
            group: Group of each agent [N], from 0: its agents share one map. None gives each its
                own.
            view_range_m: How far cameras see on the floor, metres.
        """
        count, config = simulator.num_agents, simulator.config
        half_x = math.tan(0.5 * math.radians(config.fov_x_deg))
        self._half_fov = half_x, half_x * config.height / config.width
        self._simulator = simulator
        self._group = np.arange(count) if group is None else np.asarray(group, np.int64)
        self._view_range_m = view_range_m
        groups = int(self._group.max()) + 1
        self._grids: list[FloorGrid | None] = [None] * groups
        self._scene = np.zeros(groups, np.int64)
        self._shape = np.zeros((groups, 2), np.int64)
        self._origin_xy = np.zeros((groups, 2))
        self._cell_m = np.ones(groups)
        self._step_m = np.zeros(groups)
        self._background_m = np.zeros((groups, 0), np.float32)
        self._top_m = np.zeros((groups, 0), np.float32)
        self._stamped = np.full((groups, 0, BOX_COLUMNS), np.nan)
        self._floor = np.zeros((groups, 0), np.uint8)
        self._seen = np.zeros((groups, 0), np.bool_)
        self.seen_m2 = np.zeros(groups)
        self.floor_m2 = np.ones(groups)
        self._known: WeakKeyDictionary[NavMap, FloorGrid] = WeakKeyDictionary()

    @property
    def fraction(self) -> NDArray[np.float64]:
        """Share of the reachable floor that each group has seen, float64 [G], 0…1."""
        return np.minimum(self.seen_m2 / self.floor_m2, 1.0)

    def begin(self, group: int, scene: int, *, nav: NavMap | None = None) -> None:
        """Forget what a group has seen; from now on it is in this scene.

        Args:
            group: Index of the group.
            scene: Index of the scene.
            nav: Map that says which floor can be reached; None takes that of the scene's world.
        """
        nav = self._simulator.worlds[scene].require_nav() if nav is None else nav
        grid = self._known.get(nav)
        if grid is None or grid.boxes is not nav.boxes:
            height = self._simulator.config.camera_height_m
            grid = self._known[nav] = FloorGrid.of(nav, camera_height_m=height)
        size = grid.floor_cells.size
        if size > self._seen.shape[1]:
            for name in ("_background_m", "_top_m", "_floor", "_seen"):
                array = getattr(self, name)
                setattr(self, name, np.pad(array, ((0, 0), (0, size - array.shape[1]))))
        self._grids[group], self._scene[group] = grid, scene
        self._shape[group] = grid.floor_cells.shape
        self._origin_xy[group], self._cell_m[group] = grid.origin_xy, grid.cell_m
        self._step_m[group] = nav.body.step_height_m
        self._background_m[group, :size] = grid.background_top_m.ravel()
        self._floor[group, :size] = grid.floor_cells.ravel()
        self._seen[group] = False
        self.seen_m2[group], self.floor_m2[group] = 0.0, max(grid.floor_m2, 1e-9)
        self._stamped[group] = np.nan

    def look(self, agents: Sequence[int] | None = None) -> NDArray[np.float64]:
        """Add what agents see from where they are now.

        Args:
            agents: Which of them look; None takes all.

        Returns:
            Area that each agent sees for the first time in its group, m², float64 [N]; agents of
            lower number come first.
        """
        simulator = self._simulator
        objects = simulator.objects
        chosen = np.arange(len(self._group)) if agents is None else np.asarray(agents, np.int64)
        if self._stamped.shape[1] != objects.boxes.shape[1]:
            self._stamped = np.full((len(self._stamped), *objects.boxes.shape[1:]), np.nan)
        raise_tops(
            np.unique(self._group[chosen]),
            self._scene,
            objects.boxes,
            objects.carried,
            self._stamped,
            self._step_m,
            simulator.config.camera_height_m,
            self._shape,
            self._origin_xy,
            self._cell_m,
            self._background_m,
            self._top_m,
        )
        new_m2 = np.zeros(len(self._group))
        self._run(
            chosen,
            simulator.c2w,
            self._group,
            *self._half_fov,
            self._view_range_m,
            self._shape,
            self._origin_xy,
            self._cell_m,
            self._top_m,
            self._floor,
            self._seen,
            new_m2,
        )
        np.add.at(self.seen_m2, self._group, new_m2)
        return new_m2

    def preview(self, group: int, c2w: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area that a group would see for the first time from each of some poses [P, 4, 4], m² [P].

        Objects are taken to be where they were at the last `look`.
        """
        count = len(c2w)
        gain_m2 = np.zeros(count)
        each = np.arange(count)
        self._run(
            each,
            np.ascontiguousarray(c2w),
            each,
            *self._half_fov,
            self._view_range_m,
            *(
                np.repeat(array[group : group + 1], count, axis=0)
                for array in (self._shape, self._origin_xy, self._cell_m)
            ),
            np.broadcast_to(self._top_m[group], (count, self._top_m.shape[1])).copy(),
            np.broadcast_to(self._floor[group], (count, self._floor.shape[1])).copy(),
            np.broadcast_to(self._seen[group], (count, self._seen.shape[1])).copy(),
            gain_m2,
        )
        return gain_m2

    def _run(self, agents: NDArray[np.int64], *args: Any) -> None:
        """The kernel `look`, on all cores where that pays."""
        if len(agents) < _FEW:
            look(0, 1, agents, *args)
        else:
            run_striped(look, len(agents), agents, *args)

    def seen(self, group: int) -> NDArray[np.bool_]:
        """Cells that a group has seen, bool [ny, nx]; a view of the live map."""
        ny, nx = self._shape[group]
        return self._seen[group, : ny * nx].reshape(ny, nx)

    def floor(self, group: int) -> NDArray[np.bool_]:
        """Cells that hold reachable free floor, bool [ny, nx]."""
        grid = self._grids[group]
        assert grid is not None, "begin() comes first"
        return grid.floor_cells > 0

    def centers_xy(self, group: int) -> NDArray[np.float64]:
        """World xy of the cells' centers, metres, float64 [ny, nx, 2]."""
        ny, nx = self._shape[group]
        y, x = np.mgrid[:ny, :nx]
        cells = np.stack([x, y], axis=-1) + 0.5
        return np.asarray(self._origin_xy[group] + cells * self._cell_m[group])


def _blocks(cells: NDArray[Any]) -> NDArray[Any]:
    """Cells [ny, nx] as blocks of merged ones [⌈ny/2⌉, 2, ⌈nx/2⌉, 2], padded with zeros."""
    k = MERGED_CELLS
    ny, nx = (-(-n // k) for n in cells.shape)
    padded = np.zeros((ny * k, nx * k), cells.dtype)
    padded[: cells.shape[0], : cells.shape[1]] = cells
    return padded.reshape(ny, k, nx, k)
