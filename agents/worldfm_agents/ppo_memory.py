"""PolarMemory: what depth images have shown, kept as maps and seen from where each agent stands.

A depth image shows a quarter of the surroundings and nothing of the floor at the agent's feet. The
memory enters every image into a map and describes the map around the agent in polar coordinates,
in which a turn is a shift. It reads nothing but `depth`, `pointgoal` and the actions: in the frame
whose origin is the goal, distance and direction of the goal give the position, summed turns the
heading.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worldfm_envs.actions import FORWARD, LEFT, RIGHT
from worldfm_gym.threads import run_striped

ANGLES, RINGS = 72, 24
"""Bins of a view: 5° wide, the middle of the first one ahead, counter-clockwise; near to far."""

CHANNELS = ("solid", "free", "walked", "goalward")
"""`solid`, `free`, `walked`: square root of the share of a bin that is such. `goalward`: how much
nearer to the goal a bin's center is than the agent, per metre of its distance: 0…255 for −1…1."""

UNKNOWN, FREE, SOLID = 0, 1, 2
"""What a map holds of a cell."""

CELL_M = 0.1
"""Side of a cell of a map."""

_GRID = 256  # cells a side; a power of two, because maps wrap around
_NEAREST_M, _FARTHEST_M = 0.2, 9.0
_SAMPLE_M = 0.14
_BODY_CELLS = 1.8
_BUMPER_M = 0.27
_BLOCKED_M = 0.1  # a step that got less far has met something
_OVERRULES = 5  # depth levels by which floor must be seen from nearer to replace something solid
_FULL = 255  # depth level of "this far or farther": nothing was met there


class PolarMemory:
    """Maps of N agents that take discrete steps.

    A cell holds what was seen of it from the nearest: something between step and body height, or
    floor. The origin is the goal, the x axis the first heading; cell [y, x] has its corner at
    ``CELL_M · (x, y)``, modulo 25.6 m.

    Attributes:
        cells: Maps, uint8 [N, 256, 256].
        walked: Where the body has been, bool [N, 256, 256].
        pose: Where the agents are on their maps: x and y in metres, heading in radians,
            float64 [N, 3].
    """

    def __init__(
        self,
        num_agents: int,
        *,
        image_shape: tuple[int, int],
        fov_x_deg: float = 90.0,
        camera_height_m: float = 1.25,
        max_depth_m: float = 10.0,
        turn_step_deg: float = 10.0,
        step_height_m: float = 0.15,
        body_height_m: float = 1.5,
    ) -> None:
        """Remember nothing yet.

        Args:
            num_agents: N.
            image_shape: Height and width of depth images.
            fov_x_deg: Their horizontal field of view.
            camera_height_m: Height of the level camera above the floor.
            max_depth_m: What level 255 of a depth image stands for.
            turn_step_deg: Angle of a turn.
            step_height_m: What is lower does not block.
            body_height_m: What is higher does not block.
        """
        self.cells = np.zeros((num_agents, _GRID, _GRID), np.uint8)
        self._reach = np.zeros((num_agents, _GRID, _GRID), np.uint8)
        self.walked = np.zeros((num_agents, _GRID, _GRID), np.bool_)
        self.pose = np.zeros((num_agents, 3))
        self._turn = np.zeros(4)
        self._turn[LEFT], self._turn[RIGHT] = np.deg2rad([turn_step_deg, -turn_step_deg])
        height, width = image_shape
        focal = width / 2 / math.tan(math.radians(fov_x_deg) / 2)
        columns = -(np.arange(width) + 0.5 - width / 2) / focal
        rows = -(np.arange(height) + 0.5 - height / 2) / focal
        self._rays = columns, rows
        heights = camera_height_m, step_height_m, body_height_m
        self._scales = np.array([max_depth_m / _FULL, *heights])
        self._samples, self._bins, self._counts, self._centers = _polar_samples()

    def forget(self, agents: NDArray[np.int64]) -> None:
        """Start over: new episodes of agents [M] begin."""
        self.cells[agents] = UNKNOWN
        self.walked[agents] = False
        self.pose[agents] = 0.0

    def look(
        self,
        agents: NDArray[np.int64],
        depth: NDArray[np.uint8],
        pointgoal: NDArray[np.float32],
        actions: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Enter what agents see and describe what they know.

        Args:
            agents: Indices [M].
            depth: Their depth images, uint8 [M, H, W, 1].
            pointgoal: Distance and direction of their goals [M, 2].
            actions: What they have just done [M]; None at the start of an episode.

        Returns:
            Views, uint8 [M, 4, ANGLES, RINGS], see `CHANNELS`; and metres moved, float64 [M].
        """
        before = self.pose[agents]
        heading = before[:, 2] if actions is None else before[:, 2] + self._turn[actions]
        goal = pointgoal.astype(np.float64)
        away = heading + goal[:, 1]
        pose = np.stack([-goal[:, 0] * np.cos(away), -goal[:, 0] * np.sin(away), heading], axis=-1)
        self.pose[agents] = pose
        moved = np.zeros(len(agents))
        blocked = np.zeros(len(agents), np.bool_)
        if actions is not None:
            moved = np.hypot(*(pose - before)[:, :2].T)
            blocked = (actions == FORWARD) & (moved < _BLOCKED_M)
        views = np.empty((len(agents), len(CHANNELS), ANGLES, RINGS), np.uint8)
        run_striped(
            _look, len(agents), agents, depth[..., 0], goal, pose, blocked,
            self.cells, self._reach, self.walked, *self._rays, self._scales,
            self._samples, self._bins, self._counts, self._centers, views,
        )  # fmt: skip
        return views, moved


def _polar_samples() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Points (forward, left) [P, 2] that fill the bins, their bins [P], and a bin's count, center.

    Rings widen with the distance; all bins are sampled every `_SAMPLE_M` or finer, so that no wall
    slips through.
    """
    edges = np.geomspace(_NEAREST_M, _FARTHEST_M, RINGS + 1)
    width = 2 * math.pi / ANGLES
    points, bins = [], []
    for ring, (low, high) in enumerate(pairwise(edges)):
        count_r = math.ceil((high - low) / _SAMPLE_M)
        count_a = math.ceil(width * high / _SAMPLE_M)
        radius = low + (high - low) * (np.arange(count_r) + 0.5) / count_r
        offset = width * ((np.arange(count_a) + 0.5) / count_a - 0.5)
        for angle in range(ANGLES):
            r, a = np.meshgrid(radius, angle * width + offset)
            points.append(np.stack([r * np.cos(a), r * np.sin(a)], axis=-1).reshape(-1, 2))
            bins.append(np.full(r.size, angle * RINGS + ring, np.int32))
    where, of = np.concatenate(points), np.concatenate(bins)
    counts = np.bincount(of).astype(np.float64)
    centers = np.stack([np.bincount(of, where[:, axis]) / counts for axis in (0, 1)], axis=-1)
    return where.astype(np.float32), of, counts, centers


@njit(cache=True, nogil=True)
def _look(
    first: int,
    step: int,
    agents: Any,
    depth: Any,
    goal: Any,
    pose: Any,
    blocked: Any,
    cells: Any,
    reach: Any,
    walked: Any,
    columns: Any,
    rows: Any,
    scales: Any,
    samples: Any,
    bins: Any,
    counts: Any,
    centers: Any,
    views: Any,
) -> None:
    """`PolarMemory.look` for every `step`-th agent, as `run_striped` wants it."""
    for k in range(first, len(agents), step):
        i = agents[k]
        _enter(cells[i], reach[i], depth[k], pose[k], columns, rows, scales)
        _stand(cells[i], reach[i], walked[i], pose[k], blocked[k])
        _describe(cells[i], walked[i], pose[k], goal[k], samples, bins, counts, centers, views[k])


@njit(cache=True, nogil=True)
def _enter(
    cells: Any, reach: Any, depth: Any, pose: Any, columns: Any, rows: Any, scales: Any
) -> None:
    """Enter a depth image [H, W] into a map."""
    cos, sin = math.cos(pose[2]) / CELL_M, math.sin(pose[2]) / CELL_M
    x, y = pose[0] / CELL_M, pose[1] / CELL_M
    unit, camera_m, step_m, body_m = scales
    for v in range(len(rows)):
        for u in range(len(columns)):
            level = depth[v, u]
            if level == 0 or level == _FULL:
                continue
            z = level * unit
            height = camera_m + rows[v] * z
            if height > body_m:
                continue
            left = columns[u] * z
            gx = math.floor(x + cos * z - sin * left) & (_GRID - 1)
            gy = math.floor(y + sin * z + cos * left) & (_GRID - 1)
            known, nearest = cells[gy, gx], int(reach[gy, gx])
            if height > step_m:
                if known != FREE or level <= nearest + _OVERRULES:
                    cells[gy, gx] = SOLID
                    reach[gy, gx] = level if known != SOLID else min(level, nearest)
            elif known != SOLID or level + _OVERRULES < nearest:
                cells[gy, gx] = FREE
                reach[gy, gx] = level if known == UNKNOWN else min(level, nearest)


@njit(cache=True, nogil=True)
def _stand(cells: Any, reach: Any, walked: Any, pose: Any, blocked: Any) -> None:
    """Enter where a body stands, and what stopped it."""
    x, y = pose[0] / CELL_M, pose[1] / CELL_M
    left, low = math.floor(x), math.floor(y)
    for gy in range(low - 2, low + 3):
        for gx in range(left - 2, left + 3):
            if math.hypot(gx + 0.5 - x, gy + 0.5 - y) <= _BODY_CELLS:
                here = gy & (_GRID - 1), gx & (_GRID - 1)
                cells[here], reach[here], walked[here] = FREE, 0, True
    if blocked:
        gx = math.floor(x + _BUMPER_M / CELL_M * math.cos(pose[2])) & (_GRID - 1)
        gy = math.floor(y + _BUMPER_M / CELL_M * math.sin(pose[2])) & (_GRID - 1)
        cells[gy, gx], reach[gy, gx] = SOLID, 0


@njit(cache=True, nogil=True)
def _describe(
    cells: Any,
    walked: Any,
    pose: Any,
    goal: Any,
    samples: Any,
    bins: Any,
    counts: Any,
    centers: Any,
    view: Any,
) -> None:
    """A map around a pose as uint8 [4, ANGLES, RINGS]."""
    shares = np.zeros((3, len(counts)))
    cos, sin = math.cos(pose[2]) / CELL_M, math.sin(pose[2]) / CELL_M
    x, y = pose[0] / CELL_M, pose[1] / CELL_M
    for p in range(len(bins)):
        forward, left = samples[p, 0], samples[p, 1]
        gx = math.floor(x + cos * forward - sin * left) & (_GRID - 1)
        gy = math.floor(y + sin * forward + cos * left) & (_GRID - 1)
        known = cells[gy, gx]
        if known == SOLID:
            shares[0, bins[p]] += 1.0
        elif known == FREE:
            shares[1, bins[p]] += 1.0
            if walked[gy, gx]:
                shares[2, bins[p]] += 1.0
    ahead_m, aside_m = goal[0] * math.cos(goal[1]), goal[0] * math.sin(goal[1])
    for b in range(len(counts)):
        angle, ring = b // RINGS, b % RINGS
        for k in range(3):
            view[k, angle, ring] = int(255.0 * math.sqrt(shares[k, b] / counts[b]) + 0.5)
        left_over = math.hypot(centers[b, 0] - ahead_m, centers[b, 1] - aside_m)
        gain = (goal[0] - left_over) / math.hypot(centers[b, 0], centers[b, 1])
        view[3, angle, ring] = int(127.5 + 127.0 * gain)
