"""World: one place to step through, whatever it was made from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import Camera, check_rigid
from worldfm_gym.errors import NavigationError

if TYPE_CHECKING:
    from worldfm_gym.anchor.pyramid import SplatPyramid
    from worldfm_gym.frame_model.pretrained import FrameModel
    from worldfm_gym.navigation import NavMap
    from worldfm_gym.worlds.scene import Scene


@dataclass(frozen=True, slots=True)
class Reference:
    """One posed RGB-D frame that the world remembers.

    Attributes:
        rgb: uint8 [H, W, 3].
        depth: z-depth in metres, float32 [H, W]; 0 where unknown.
        camera: The single camera (batch shape ()) that took it.
        generated: Whether the frame was drawn when the world was grown, not observed.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    camera: Camera
    generated: bool = False


@dataclass(slots=True, eq=False, weakref_slot=True)
class World:
    """A persistent 3D world: anchor, references, objects, navigation map and where it came from.

    Attributes:
        anchor: The coloured point cloud.
        references: Posed frames, best first.
        objects: Object instances; their order is the order of `object_poses` everywhere.
        nav: The navigation map, or None where no usable floor was found.
        nav_problem: Why `nav` is None, in words for the user; None when there is one.
        start_c2w: A camera pose inside known space to start from, float64 [4, 4].
        source: JSON-serialisable record of the source: kind, name, seed, options, version.
        scene: The exact scene description of a procedural world, None for reconstructed ones.
    """

    anchor: Anchor
    references: list[Reference]
    objects: list[WorldObject]
    nav: NavMap | None
    nav_problem: str | None
    start_c2w: NDArray[np.float64]
    source: Mapping[str, Any] = field(default_factory=dict)
    scene: Scene | None = None
    _pyramid: SplatPyramid | None = field(default=None, init=False, repr=False)

    @property
    def pyramid(self) -> SplatPyramid:
        """The anchor cut into cells and levels for drawing; built on first use, then kept."""
        if self._pyramid is None:
            from worldfm_gym.anchor.pyramid import build_pyramid

            self._pyramid = build_pyramid(self.anchor, self.objects)
        return self._pyramid

    def object(self, instance: int) -> WorldObject:
        """The object with this instance id.

        Raises:
            KeyError: If the world has no such object.
        """
        for candidate in self.objects:
            if candidate.instance == instance:
                return candidate
        known = [o.instance for o in self.objects]
        raise KeyError(f"no object with instance id {instance}; this world has {known}")

    def set_object_pose(self, instance: int, pose: ArrayLike) -> None:
        """Move an object: its points, its box and its footprint in the navigation map.

        Args:
            instance: Id of the object.
            pose: New object-to-world transform [4, 4], rigid.
        """
        self.object(instance).pose = np.asarray(check_rigid(pose), np.float64)
        if self.nav is not None:
            self.nav.set_obstacles(self.objects)

    def expand(
        self,
        *,
        seed: int = 0,
        model: str | os.PathLike[str] | FrameModel = "nano",
        views: int | None = None,
        reach_m: float | None = None,
        folder: str | os.PathLike[str] | None = None,
        progress: bool = False,
        device: str = "cpu",
    ) -> World:
        """Grow a closed, walkable place around what has been seen; see `worldfm_gym.growth`.

        This world stays as it is. Its points are the first ones of the new world, unchanged; what
        observed references see of them is unchanged, too.

        Args:
            seed: Which of many places grows; the same seed grows the same one.
            model: The frame model that draws what is not known: a name, a file or a model.
            views: Views to draw; None takes the default of `GrowthConfig`.
            reach_m: How far beyond what has been seen the place may go, metres; None likewise.
            folder: Where to keep the state, so that a run that was ended goes on from there.
            progress: Whether to show a progress bar.
            device: ``"cpu"`` or ``"cuda"``.

        Raises:
            NavigationError: If the world has no floor to grow.
            ConfigError: If `views`, `reach_m` or `seed` is out of range.
            FrameModelError: If there is no such model.
        """
        from worldfm_gym.growth import GrowthConfig, expand_world

        config = GrowthConfig(seed=seed)
        if views is not None:
            config = replace(config, views=views)
        if reach_m is not None:
            config = replace(config, reach_m=reach_m)
        return expand_world(
            self, config, model=model, folder=folder, progress=progress, device=device
        )

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write this world to a folder; see `worldfm_gym.worlds.store.save_world`."""
        from worldfm_gym.worlds.store import save_world

        save_world(self, folder, overwrite=overwrite)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> World:
        """Read a world that `save` wrote; see `worldfm_gym.worlds.store.load_world`."""
        from worldfm_gym.worlds.store import load_world

        return load_world(folder)

    def require_nav(self) -> NavMap:
        """The navigation map.

        Raises:
            NavigationError: With the reason, if the world has none.
        """
        if self.nav is None:
            raise NavigationError(
                f"this world can't be walked: {self.nav_problem}. "
                "The free camera (WorldFM/FreeCamera-v0) works without a floor."
            )
        return self.nav
