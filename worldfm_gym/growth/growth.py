"""Growth: round by round, from what is known to a closed place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import AnchorRaster, RasterImages
from worldfm_gym.camera import Camera
from worldfm_gym.errors import NavigationError
from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.growth.expected import expected_surfaces
from worldfm_gym.growth.layout import find_layout
from worldfm_gym.growth.merge import Drawings, merge_round
from worldfm_gym.growth.path import joined, moving_cameras, turning_cameras
from worldfm_gym.growth.place import Place, visible_points
from worldfm_gym.growth.seen_space import SeenSpace, without_hiding
from worldfm_gym.growth.state import read_state, run_key, write_state
from worldfm_gym.navigation import AgentBody, NavMap
from worldfm_gym.renderer import Renderer
from worldfm_gym.worlds.fusion import spread_out
from worldfm_gym.worlds.world import Reference, World

if TYPE_CHECKING:
    from worldfm_gym.frame_model.pretrained import FrameModel

Renderers = Callable[[World], Sequence[Renderer]]
"""Makes renderers of a world that draw with different noise; at least one."""

_DRAWINGS = 2
_LOOKS, _LOOK_PX = 320, 192  # views, and their size, that decide what of the scaffold can be seen
_LOOKS_AT_ONCE = 32
_KEPT_AGREEMENT = 0.85  # share of a view that must be drawn again as it is for it to be kept
_ROUND_REFERENCES = 4  # drawn views that later rounds remember


def expand_world(
    world: World,
    config: GrowthConfig | None = None,
    *,
    model: str | os.PathLike[str] | FrameModel = "nano",
    folder: str | os.PathLike[str] | None = None,
    progress: bool = False,
    device: str = "cpu",
) -> World:
    """Grow a closed, walkable place around what a world's sources have seen.

    Args:
        world: Stays as it is.
        config: Options; None takes the defaults.
        model: The frame model that draws: a name, a file or a model.
        folder: Where to keep the state after each round, made if need be; a run of the same world
            and options goes on from there.
        progress: Whether to show a progress bar.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        A new world: its first points are those of `world`; those that follow, and the references
        that follow, are marked as generated. It has no `scene`.

    Raises:
        NavigationError: If the world has no floor.
        ConfigError: If the state can't be kept in `folder`.
        FrameModelError: If there is no such model.
    """
    growth = Growth(
        world, config or GrowthConfig(), frame_renderers(model, device), model_key(model)
    )
    return growth.run(folder=folder, progress=progress)


def frame_renderers(model: str | os.PathLike[str] | FrameModel, device: str) -> Renderers:
    """Renderers that draw with a frame model, each with other noise."""

    def make(world: World) -> Sequence[Renderer]:
        from worldfm_gym.frame_renderer import FrameRenderer

        return [
            FrameRenderer([world], model=model, device=device, deterministic=True, noise_seed=n)
            for n in range(_DRAWINGS)
        ]

    return make


def model_key(model: str | os.PathLike[str] | FrameModel) -> str:
    """A digest of a model's weights."""
    import hashlib

    from worldfm_gym.frame_renderer import network_on

    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(network_on(model, "cpu").state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Growth:
    """One run of growth."""

    def __init__(
        self, world: World, config: GrowthConfig, renderers: Renderers, model_key: str
    ) -> None:
        """Plan the place and the first cameras.

        Args:
            world: What to start from.
            config: Options.
            renderers: Makes the renderers that draw.
            model_key: Tells apart what they draw with, so that no run goes on with another model.

        Raises:
            NavigationError: If the world has no floor.
        """
        if not world.source.get("has_floor", True):
            raise NavigationError(
                f"this world can't be grown, it has no floor: {world.nav_problem}. "
                "Growth continues the floor, so it needs one in view"
            )
        self.world, self.config = world, config
        self.body = AgentBody() if world.nav is None else world.nav.body
        self.layout = find_layout(
            world,
            floor_factor=config.floor_factor,
            reach_m=config.reach_m,
            rng=np.random.default_rng([config.seed, 0]),
        )
        # The world's points are stored at rest, and so are the new ones.
        self._resting = replace(
            world, objects=[replace(item, pose=item.rest_pose) for item in world.objects]
        )
        self._seen = SeenSpace(world)
        expected = expected_surfaces(self._resting, self.layout, self._seen, config)
        self._place = Place.starting(world.anchor, expected)
        self.cameras = turning_cameras(world.start_c2w, self.layout, config)
        self._renderers = renderers
        self._key = run_key(world, config, model_key)
        shape = (0, config.size_px, config.size_px)
        self._rgb = np.zeros((*shape, 3), np.uint8)
        self._reliable_z = np.zeros(shape, np.float32)
        self._agreement = np.zeros(0)

    def run(self, *, folder: str | os.PathLike[str] | None = None, progress: bool = False) -> World:
        """Draw and merge all rounds, then close the place.

        Args:
            folder: Where to keep the state.
            progress: Whether to show a progress bar.
        """
        state = None if folder is None else Path(folder)
        first = 0 if state is None else self._resume(state)
        with _bar(self.config.rounds, first, shown=progress) as advance:
            for index in range(first, self.config.rounds):
                self.round(index)
                if state is not None:
                    write_state(state, self._key, index + 1, self._arrays())
                advance()
        return self._finished()

    def round(self, index: int) -> None:
        """Draw the views of one round and put them into the place."""
        step = self.config.views_per_round
        if (index + 1) * step > len(self.cameras.c2w):
            self._plan_moving()
        cameras = self.cameras[index * step : (index + 1) * step]
        shown = self._place.unmasked(self.config.masked_share, seed=self.config.rounds + index)
        drawings = self._drawn(self._grown(self._place.anchor(shown)), cameras)
        expected = _rasterized(self._grown(self._place.anchor()), cameras)
        merged = merge_round(
            self._place,
            drawings,
            expected,
            earlier_z=self._reliable_z,
            earlier_cameras=self.cameras[: len(self._reliable_z)],
            seen=self._seen,
            config=self.config,
        )
        self._rgb = np.concatenate([self._rgb, drawings.rgb[0]])
        self._reliable_z = np.concatenate([self._reliable_z, merged.reliable_z])
        self._agreement = np.concatenate([self._agreement, merged.agreement])

    def _plan_moving(self) -> None:
        """Add the cameras that move, through the floor that is known and expected now."""
        if len(self.cameras.c2w) < self.config.views:
            more = moving_cameras(self.world.start_c2w, self._map(), self.layout, self.config)
            if more is not None:
                self.cameras = joined(self.cameras, more)

    def _map(self) -> NavMap | None:
        """Where one could walk if the room were as expected."""
        try:
            return NavMap.build(self._place.anchor(), self._resting.objects, body=self.body)
        except NavigationError:
            return None

    def _grown(self, anchor: Anchor) -> World:
        """The world with other points, and what has been drawn so far among its references."""
        remembered = min(_ROUND_REFERENCES, self.config.references)
        return replace(
            self._resting,
            anchor=anchor,
            references=[*self.world.references, *self._drawn_references(remembered)],
            nav=None,
            scene=None,
        )

    def _drawn_references(self, most: int) -> list[Reference]:
        """Views so far that differ most, of those that were drawn as they were expected."""
        done = np.flatnonzero(self._agreement >= _KEPT_AGREEMENT)
        chosen = spread_out(self.cameras.c2w[done], most)
        return [
            Reference(self._rgb[i], self._reliable_z[i], self.cameras[int(i)], generated=True)
            for i in done[chosen]
        ]

    def _drawn(self, world: World, cameras: Camera) -> Drawings:
        """Drawings of a world by each renderer."""
        scene = np.zeros(len(cameras.c2w), np.int64)
        frames = [r.render(cameras, scene) for r in self._renderers(world)]
        return Drawings(
            np.stack([_as_numpy(f.rgb) for f in frames]),
            np.stack([_as_numpy(f.depth) for f in frames]),
            cameras,
        )

    def _finished(self) -> World:
        """The world of all that can be seen, with map and references."""
        kept = len(self.world.anchor)
        world = self._grown(self._place.anchor(self._in_view()))
        world = without_hiding(world, self._seen, kept)
        world.references = [*self.world.references, *self._closing_references(world)]
        objects = [replace(item) for item in self.world.objects]
        nav, problem = None, None
        try:
            nav = NavMap.build(
                world.anchor,
                objects,
                body=self.body,
                references=world.references,
                closed=self.world.scene is not None,
            )
        except NavigationError as error:
            problem = str(error)
        return replace(
            world,
            objects=objects,
            nav=nav,
            nav_problem=problem,
            source={**self.world.source, "growth": self._record(world)},
        )

    def _in_view(self) -> NDArray[np.bool_]:
        """Points of the scaffold that can be seen from somewhere, bool [N]."""
        config = replace(self.config, views=max(_LOOKS, self.config.views), size_px=_LOOK_PX)
        start = self.world.start_c2w
        look = turning_cameras(start, self.layout, config)
        moving = moving_cameras(start, self._map(), self.layout, config)
        look = look if moving is None else joined(look, moving)
        world = self._grown(self._place.anchor())
        points = self._place.scaffold.points
        shown = np.zeros(len(points), np.bool_)
        for first in range(0, config.views, _LOOKS_AT_ONCE):
            part = look[first : first + _LOOKS_AT_ONCE]
            hidden = np.flatnonzero(~shown)
            depth_z = _rasterized(world, part).depth
            shown[hidden] = visible_points(points[hidden], depth_z, part)
        return shown

    def _closing_references(self, world: World) -> list[Reference]:
        """Frames drawn of the finished world, of those that show it as it is."""
        kept = self._drawn_references(self.config.references)
        if not kept:
            return []
        cameras = Camera.unchecked(
            np.stack([r.camera.c2w for r in kept]),
            np.stack([r.camera.intrinsics for r in kept]),
            width=self.cameras.width,
            height=self.cameras.height,
        )
        drawings = self._drawn(world, cameras)
        depth_z = _rasterized(world, cameras).depth
        spread = np.abs(drawings.rgb.max(axis=0).astype(np.int16) - drawings.rgb.min(axis=0))
        steady = spread.mean(axis=(1, 2, 3)) <= self.config.color_tolerance
        return [
            Reference(drawings.rgb[0, i], depth_z[i], cameras[i], generated=True)
            for i in np.flatnonzero(steady)
        ]

    def _record(self, world: World) -> dict[str, Any]:
        """What a world remembers of its growth, JSON-serializable."""
        options = asdict(self.config)
        return {
            **{name: options[name] for name in ("seed", "views", "reach_m", "floor_factor")},
            "points": len(world.anchor) - len(self.world.anchor),
            "surfaces_drawn": 0 if self._place.drawn is None else len(self._place.drawn),
            "references": sum(r.generated for r in world.references),
            "agreement": round(float(self._agreement.mean()), 4) if len(self._agreement) else 0.0,
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """What `_resume` restores."""
        place = self._place
        arrays: dict[str, NDArray[Any]] = {
            "status": place.status,
            "tint": place.tint,
            "weight": place.weight,
            "c2w": self.cameras.c2w,
            "rgb": self._rgb,
            "reliable_z": self._reliable_z,
            "agreement": self._agreement,
        }
        if place.drawn is not None:
            for field in fields(Anchor):
                arrays[f"drawn.{field.name}"] = getattr(place.drawn, field.name)
        return arrays

    def _resume(self, folder: Path) -> int:
        """Restore a run of the same key; returns how many rounds are done."""
        found = read_state(folder, self._key)
        if found is None:
            return 0
        done, arrays = found
        place = self._place
        place.status, place.tint, place.weight = (arrays[k] for k in ("status", "tint", "weight"))
        self.cameras = Camera.from_fov(
            arrays["c2w"],
            self.config.fov_deg,
            width=self.config.size_px,
            height=self.config.size_px,
        )
        self._rgb, self._reliable_z = arrays["rgb"], arrays["reliable_z"]
        self._agreement = arrays["agreement"]
        if "drawn.points" in arrays:
            place.drawn = Anchor(*(arrays[f"drawn.{f.name}"] for f in fields(Anchor)))
        return done


def _rasterized(world: World, cameras: Camera) -> RasterImages:
    """The world's points in views of it, objects where they are."""
    from worldfm_gym.anchor_renderer import current_object_poses

    return AnchorRaster([world.pyramid]).render(
        cameras,
        np.zeros(len(cameras.c2w), np.int64),
        object_poses=current_object_poses([world]),
    )


def _as_numpy(images: Any) -> NDArray[Any]:
    """A renderer's images in host memory."""
    return np.asarray(images if isinstance(images, np.ndarray) else images.cpu())


@contextmanager
def _bar(total: int, done: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar over rounds, as a function that moves it on by one."""
    if not shown:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("growing", total=total, completed=done)
        yield lambda: bar.advance(task)
