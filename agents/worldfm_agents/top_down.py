"""TopDownMap: a world seen from above, with an agent's path, heading and goal drawn on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from worldfm_gym.errors import ConfigError
from worldfm_gym.worlds.world import World

_CUT_M = 1.7  # what hangs higher (ceilings, lamps) would hide the floor plan
_CELL_M = 0.05  # or the distance between points, where that is larger
_MARGIN_M = 0.25
_TRIM_PERCENT = 0.05  # stray points of a scan, per side
_PAPER = (24, 25, 28)
_WALL_SHADE = 0.6
_PATH = (255, 196, 0)
_AGENT = (20, 110, 255)
_VIEW = (90, 160, 255, 110)
_GOAL = (220, 30, 60)
_OTHER = (150, 60, 220)
_OVERDRAW = 2  # marks are drawn this much larger and reduced, which smooths their edges


class TopDownMap:
    """A floor plan in the colors of the anchor, cut below the ceiling, north (+y) up.

    Where the world has a navigation map, what blocks its body is shaded dark.

    Attributes:
        background: The plan without marks, uint8 [height, width, 3].
    """

    def __init__(self, world: World, *, width: int, height: int) -> None:
        """Draw the plan as large as it fits.

        Args:
            world: The world; drawn with its objects where the world holds them.
            width: Image width in pixels.
            height: Image height in pixels.

        Raises:
            ConfigError: If a side is below 16 pixels.
        """
        if width < 16 or height < 16:
            raise ConfigError(f"a top-down map needs 16×16 pixels or more, got {width}×{height}")
        low, high = _extent_xy(world)
        self._px_per_m = float(min(width / (high - low)[0], height / (high - low)[1]))
        size_m = np.array([width, height]) / self._px_per_m
        self._origin_xy = (low + high - size_m) / 2  # the plan sits in the middle of the image
        self._height = height
        self.background = self._plan(world, width, height)

    def pixel(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Image coordinates (u, v) [..., 2] of world points [..., 2]."""
        uv = (np.asarray(xy, np.float64) - self._origin_xy) * self._px_per_m
        uv[..., 1] = self._height - uv[..., 1]
        return uv

    def draw(
        self,
        path_xy: ArrayLike,
        yaw: float,
        *,
        goal_xy: ArrayLike | None = None,
        others_xy: ArrayLike = (),
        fov_x_deg: float = 90.0,
    ) -> NDArray[np.uint8]:
        """The plan with a path [P, 2] up to where the agent is now (its last point).

        Args:
            path_xy: Positions so far in world metres, at least one.
            yaw: Heading now, radians counter-clockwise from +x.
            goal_xy: Where the agent is to go.
            others_xy: Where others who move are [M, 2].
            fov_x_deg: Opening of the wedge that shows what the camera sees.

        Returns:
            RGB, uint8 [height, width, 3].
        """
        plan = Image.fromarray(self.background)
        size = plan.size
        plan = plan.resize((size[0] * _OVERDRAW, size[1] * _OVERDRAW), Image.Resampling.NEAREST)
        pen = ImageDraw.Draw(plan, "RGBA")
        path = self.pixel(path_xy).reshape(-1, 2) * _OVERDRAW
        if goal_xy is not None:
            _disc(pen, self.pixel(goal_xy) * _OVERDRAW, 6 * _OVERDRAW, _GOAL)
        others = np.asarray(others_xy, np.float64).reshape(-1, 2)
        for other in self.pixel(others) * _OVERDRAW:
            _disc(pen, other, 4 * _OVERDRAW, _OTHER)
        if len(path) > 1:
            pen.line([tuple(p) for p in path.tolist()], fill=_PATH, width=2 * _OVERDRAW)
        _disc(pen, path[0], 3 * _OVERDRAW, _PATH)
        self._draw_view(pen, path[-1], yaw, fov_x_deg)
        _disc(pen, path[-1], 4 * _OVERDRAW, _AGENT)
        return np.asarray(plan.resize(size, Image.Resampling.BOX))

    def _draw_view(
        self, pen: ImageDraw.ImageDraw, at: NDArray[np.float64], yaw: float, fov_x_deg: float
    ) -> None:
        """A translucent wedge of 26 pixels along the heading."""
        reach = 26 * _OVERDRAW
        box = (at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach)
        middle = -np.degrees(yaw)  # Pillow counts clockwise from +x on the image
        pen.pieslice(box, middle - fov_x_deg / 2, middle + fov_x_deg / 2, fill=_VIEW)

    def _plan(self, world: World, width: int, height: int) -> NDArray[np.uint8]:
        """Topmost point color of each cell below the cut, shaded where the way is blocked."""
        v, u = np.indices((height, width)) + 0.5
        uv = np.stack([u, height - v], axis=-1)
        cell_m = max(_CELL_M, 2.02 * float(np.median(world.anchor.radius)))
        centers = self._origin_xy + uv / self._px_per_m  # world xy of every pixel [H, W, 2]
        cells = np.ceil(np.array([width, height]) / self._px_per_m / cell_m).astype(np.int64)
        picture = np.full((cells[1], cells[0], 3), _PAPER, np.uint8)
        points = world.anchor.points
        below = np.flatnonzero(points[:, 2] < _CUT_M)
        below = below[np.argsort(points[below, 2], kind="stable")]
        at = np.floor((points[below, :2] - self._origin_xy) / cell_m).astype(np.int64)
        inside = ((at >= 0) & (at < cells)).all(axis=1)
        # Of several writes to one cell the last, the highest point, stays.
        picture[at[inside, 1], at[inside, 0]] = world.anchor.colors[below[inside]]
        index = np.minimum(((centers - self._origin_xy) / cell_m).astype(np.int64), cells - 1)
        plan = picture[index[..., 1], index[..., 0]]
        if world.nav is not None:
            row, column = world.nav.image_pixel(centers)
            inside = (row >= 0) & (row < world.nav.shape[0])
            inside &= (column >= 0) & (column < world.nav.shape[1])
            walls = np.zeros(inside.shape, np.bool_)
            blocked = world.nav.occupied[::-1]
            walls[inside] = blocked[row[inside].astype(np.int64), column[inside].astype(np.int64)]
            plan[walls] = plan[walls] * _WALL_SHADE
        return np.ascontiguousarray(plan)


def _extent_xy(world: World) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the rectangle to show: the anchor without stray points, and the start pose."""
    xy = world.anchor.points[:, :2]
    low, high = np.percentile(xy, [_TRIM_PERCENT, 100 - _TRIM_PERCENT], axis=0)
    start = world.start_c2w[:2, 3]
    low, high = np.minimum(low, start) - _MARGIN_M, np.maximum(high, start) + _MARGIN_M
    return low, np.maximum(high, low + 2 * _MARGIN_M)


def _disc(pen: Any, at: NDArray[np.float64], radius: float, color: tuple[int, int, int]) -> None:
    """A filled circle with a white rim."""
    box = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
    pen.ellipse(box, fill=color, outline=(255, 255, 255), width=_OVERDRAW)
