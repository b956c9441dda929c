"""Views: where cameras stand in a scene to learn from it, and what of it they see.

A *place* is a free spot with a heading, and its views are cameras around that spot: near enough to
one another to share most of what they see, far enough apart to uncover what others miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import heading_c2w, rotation_exp
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.scene import Scene

if TYPE_CHECKING:
    from torch import Tensor

    from worldfm_gym.frame_model.conditioning import PosedImages

FloatArray = NDArray[np.float32]

CLEARANCE_M = 0.15  # between cameras, the ways between them, and any surface
_CENTER_CLEARANCE_M = 0.25
_OPEN_AHEAD_M, _VIEW_AHEAD_M = 1.2, 0.5  # a wall straight ahead of the lens teaches little
_HEIGHT_M = (0.3, 1.8)
_MAX_STEP_M = 1.5
_FOV_X_DEG = (60.0, 100.0)
_TRIES = 12
DEPTH_TOLERANCE = 0.02
NEIGHBOR_STEP_M, NEIGHBOR_TURN_DEG = 0.10, 3.0  # less than the clearance


def plan_places(
    scene: Scene,
    rng: np.random.Generator,
    *,
    places: int = 64,
    views: int = 8,
    pairs: int = 0,
    width: int = 128,
    height: int = 128,
) -> tuple[FloatArray, FloatArray]:
    """Put cameras into the free space of a scene.

    The views of a place are moved by up to 1.5 m and turned by up to 50° from its heading, by how
    much differs from place to place; a straight way leads from the place to each of them. Fields of
    view are 60…100°, pixels not quite square, and a quarter of the views have a lens of their own.

    Args:
        scene: The scene.
        rng: Source of randomness.
        places: Number of places P.
        views: Views V per place.
        pairs: So many pairs of the first views are neighbors with one lens.
        width: Image width in pixels.
        height: Image height in pixels.

    Returns:
        c2w float32 [P, V, 4, 4] and intrinsics (fx, fy, cx, cy) in pixels, float32 [P, V, 4].

    Raises:
        SourceError: If the scene has no floor or no free space above it.
    """
    center, yaw, pitch = _plan_centers(scene, rng, places)
    # Rounded first, so that what was tested is what is drawn.
    c2w = _plan_views(scene, rng, center, yaw, pitch, views).astype(np.float32)
    lenses = _plan_lenses(rng, places, views, width, height)
    if pairs:
        c2w[:, 1 : 2 * pairs : 2] = neighboring(c2w[:, : 2 * pairs : 2], rng)
        lenses[:, 1 : 2 * pairs : 2] = lenses[:, : 2 * pairs : 2]
    return c2w, lenses


def neighboring(c2w: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
    """Poses [*L, 4, 4] moved by 10 cm and turned by 3°, each in a random direction."""
    step, axis = rng.normal(size=(2, *c2w.shape[:-2], 3))
    step *= NEIGHBOR_STEP_M / np.linalg.norm(step, axis=-1, keepdims=True)
    axis *= np.deg2rad(NEIGHBOR_TURN_DEG) / np.linalg.norm(axis, axis=-1, keepdims=True)
    moved = c2w.copy()
    moved[..., :3, :3] = c2w[..., :3, :3] @ rotation_exp(axis)
    moved[..., :3, 3] += step
    return moved


def visible_points(
    points_world: Tensor,
    radius: Tensor,
    views: PosedImages,
    *,
    normals_world: Tensor | None = None,
) -> Tensor:
    """Which points at least one of several RGB-D views has seen.

    Args:
        points_world: Positions in metres, float32 [N, 3].
        radius: Half the sampling distance in metres, float32 [N].
        views: K views, leading dimensions (K,).
        normals_world: Unit normals, float32 [N, 3]; zero where unknown. They tell the two sides of
            a thin wall apart.

    Returns:
        bool [N].
    """
    return seen_by(
        points_world,
        radius,
        views.depth_z,
        views.c2w,
        views.intrinsics,
        normals_world=normals_world,
    ).any(0)


def seen_by(
    points_world: Tensor,
    radius: Tensor,
    depth_z: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    *,
    normals_world: Tensor | None = None,
) -> Tensor:
    """Which points each of K views has seen, bool [K, N].

    A point is seen where its depth agrees with the depth image, within 2 % and its radius: with the
    nearest pixel's, or with the inverse depth interpolated there, which on a plane is exact however
    obliquely it is looked at.

    Args:
        points_world: float32 [N, 3].
        radius: float32 [N].
        depth_z: float32 [K, H, W]; 0 where unknown.
        c2w: float32 [K, 4, 4].
        intrinsics: float32 [K, 4].
        normals_world: float32 [N, 3]; zero where unknown.
    """
    import torch
    from torch.nn.functional import grid_sample

    height, width = depth_z.shape[-2:]
    offset = [points_world[:, i] - c2w[:, None, i, 3] for i in range(3)]  # 3 × [K, N]
    x, y, z = (_dot(offset, c2w[:, None, :3, axis].unbind(-1)) for axis in range(3))
    fx, fy, cx, cy = (intrinsics[:, i, None] for i in range(4))
    ahead = z.clamp(min=1e-3)
    u, v = (fx * x / ahead + cx) / width, (fy * y / ahead + cy) / height  # 0…1 across the image
    inside = (z > 0.05) & (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    if normals_world is not None:
        inside &= _dot(offset, normals_world.unbind(-1)) <= 0
    inverse = torch.where(depth_z > 0, 1 / depth_z, 0.0)[:, None]  # [K, 1, H, W]
    grid = torch.stack([2 * u - 1, 2 * v - 1], dim=-1)[:, :, None]  # [K, N, 1, 2]
    tolerance = DEPTH_TOLERANCE * z + radius
    seen = torch.zeros_like(inside)
    for mode in ("nearest", "bilinear"):
        sampled = grid_sample(inverse, grid, mode=mode, padding_mode="border", align_corners=False)[
            :, 0, :, 0
        ]
        seen |= (z * sampled - 1).abs() <= tolerance * sampled
    return seen & inside


def _dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Dot product by components; a matrix product might run in TF32."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _plan_centers(
    scene: Scene, rng: np.random.Generator, places: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Free positions [P, 3], headings and pitches [P] with open space ahead."""
    rects = scene.floor_rects.astype(np.float64)
    if not len(rects):
        raise SourceError("cameras can't be planned in a scene without a floor")
    area = (rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1])
    top = min(_HEIGHT_M[1], scene.height - 0.3)
    found: list[NDArray[np.float64]] = []
    for _ in range(200):
        count = 2 * places
        rect = rects[rng.choice(len(rects), count, p=area / area.sum())]
        row = np.empty((count, 5))
        row[:, :2] = rng.uniform(rect[:, :2], rect[:, 2:])
        row[:, 2] = rng.uniform(_HEIGHT_M[0], top, count)
        row[:, 3] = rng.uniform(-np.pi, np.pi, count)
        row[:, 4] = rng.normal(-0.12, 0.18, count).clip(-0.7, 0.5)
        ahead = row[:, :3] + _OPEN_AHEAD_M * heading_c2w(row[:, :3], row[:, 3])[:, :3, 2]
        free = ~_blocked(scene, row[:, :3], row[:, :3], _CENTER_CLEARANCE_M)
        free &= ~_blocked(scene, row[:, :3], ahead, 0.0)
        found.extend(row[free])
        if len(found) >= places:
            rows = np.array(found[:places])
            return rows[:, :3], rows[:, 3], rows[:, 4]
    raise SourceError("the scene has next to no free space above its floor")


def _plan_views(
    scene: Scene,
    rng: np.random.Generator,
    center: NDArray[np.float64],
    yaw: NDArray[np.float64],
    pitch: NDArray[np.float64],
    views: int,
) -> NDArray[np.float64]:
    """c2w [P, V, 4, 4] of views around places; those with no room stay at the place itself."""
    places = len(center)
    step_m = rng.uniform(0.15, 0.8, (places, 1))
    turn = np.deg2rad(rng.uniform(10.0, 50.0, (places, 1)))
    top = max(center[:, 2].max(), scene.height - 0.2)
    pose = _posed(rng, np.repeat(center[:, None], views, 1), yaw[:, None], pitch[:, None])
    open_ = np.zeros((places, views), bool)
    for _ in range(_TRIES):
        p, _ = todo = np.nonzero(~open_)
        if not len(p):
            break
        move = rng.normal(0.0, 1.0, (len(p), 3)) * step_m[p] * (1.0, 1.0, 0.3)
        move *= np.minimum(1.0, _MAX_STEP_M / np.linalg.norm(move, axis=1, keepdims=True))
        eye = center[p] + move
        eye[:, 2] = eye[:, 2].clip(0.25, top)
        turned = yaw[p] + rng.uniform(-1.0, 1.0, len(p)) * turn[p, 0]
        raised = (pitch[p] + rng.normal(0.0, 0.14, len(p))).clip(-0.9, 0.7)
        tried = _posed(rng, eye, turned, raised)
        free = ~_blocked(scene, center[p], eye, CLEARANCE_M)
        free &= ~_blocked(scene, eye, eye + _VIEW_AHEAD_M * tried[:, :3, 2], 0.0)
        pose[todo[0][free], todo[1][free]] = tried[free]
        open_[todo] = free
    return pose


def _posed(
    rng: np.random.Generator,
    position: NDArray[np.float64],
    yaw: NDArray[np.float64],
    pitch: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Poses with a slight roll."""
    c2w = heading_c2w(position, yaw, pitch)
    roll = rng.normal(0.0, np.deg2rad(2.0), c2w.shape[:-2])[..., None]
    right, down = c2w[..., :3, 0].copy(), c2w[..., :3, 1].copy()
    c2w[..., :3, 0] = np.cos(roll) * right + np.sin(roll) * down
    c2w[..., :3, 1] = np.cos(roll) * down - np.sin(roll) * right
    return c2w


def _plan_lenses(
    rng: np.random.Generator, places: int, views: int, width: int, height: int
) -> FloatArray:
    """Intrinsics [P, V, 4]: one lens a place, and another for a quarter of the views."""
    shape = (places, views + 1)
    fx = 0.5 * width / np.tan(np.deg2rad(rng.uniform(*_FOV_X_DEG, shape)) / 2)
    fy = fx * np.exp(rng.normal(0.0, 0.04, shape))
    cx = width * (0.5 + rng.normal(0.0, 0.01, shape))
    cy = height * (0.5 + rng.normal(0.0, 0.01, shape))
    lens = np.stack([fx, fy, cx, cy], axis=-1)
    other = rng.random((places, views, 1)) < 0.25
    return np.where(other, lens[:, 1:], lens[:, :1]).astype(np.float32)


def _blocked(scene: Scene, start: Any, end: Any, clearance_m: float) -> NDArray[np.bool_]:
    """Whether straight ways from `start` to `end` [N, 3] come that near to any primitive, [N]."""
    boxes = scene.center, scene.rotation, scene.half_size
    return np.asarray(
        _segments_hit(*boxes, start.astype(np.float64), end.astype(np.float64), clearance_m)
    )


@numba.njit(cache=True, nogil=True)
def _segments_hit(
    center: Any, rotation: Any, half_size: Any, start: Any, end: Any, clearance_m: float
) -> Any:
    """Slab test of N segments against P oriented boxes grown by the clearance, bool [N]."""
    hit = np.zeros(len(start), np.bool_)
    for i in range(len(start)):
        for p in range(len(center)):
            enter, leave = 0.0, 1.0
            for a in range(3):
                origin, way = 0.0, 0.0
                for k in range(3):
                    origin += rotation[p, k, a] * (start[i, k] - center[p, k])
                    way += rotation[p, k, a] * (end[i, k] - start[i, k])
                reach = half_size[p, a] + clearance_m
                if abs(way) < 1e-9:
                    if abs(origin) > reach:
                        leave = -1.0
                else:
                    near, far = (-reach - origin) / way, (reach - origin) / way
                    enter, leave = max(enter, min(near, far)), min(leave, max(near, far))
                if enter > leave:
                    break
            if enter <= leave:
                hit[i] = True
                break
    return hit
