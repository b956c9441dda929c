"""Renderer: the one protocol behind which the anchor, the frame model and the truth draw frames."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera
from worldfm_gym.errors import RendererError
from worldfm_gym.frame import Frame
from worldfm_gym.worlds.world import World


@runtime_checkable
class Renderer(Protocol):
    """Draws frames of a fixed list of scenes; a pure function of (scene, object poses, camera)."""

    worlds: Sequence[World]

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one frame per camera.

        Args:
            cameras: B cameras, c2w [B, 4, 4].
            scene: Index into `worlds` per camera, int64 [B].
            object_poses: Object-to-world transforms per scene, float64 [S, K, 4, 4], in the order
                of each world's `objects`, K the largest count, padding ignored. None draws every
                object at the pose its world holds.

        Returns:
            A `Frame` of batch B, in numpy or torch as the renderer was asked for.
        """
        ...


@runtime_checkable
class WorldReplacing(Protocol):
    """A renderer that can draw another world in a scene without being built anew."""

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; if it raises, nothing has changed."""
        ...


def make_renderer(
    name: str, worlds: Sequence[World], *, device: str = "cpu", **options: Any
) -> Renderer:
    """Build a renderer by name.

    Args:
        name: ``"frame"`` draws with the frame model; ``"anchor"`` rasterizes the point cloud;
            ``"truth"`` ray-casts procedural worlds.
        worlds: One per scene.
        device: ``"cpu"`` for numpy frames, ``"cuda"`` for torch frames on that device.
        **options: Of ``"frame"``: `model`, `steps`, `references` and `deterministic`, see
            `worldfm_gym.frame_renderer.FrameRenderer`; with a `model` that is WorldFM-XL, `model`
            and `steps` (`worldfm_gym.xl_renderer.XLRenderer`). The others take none.

    Raises:
        RendererError: If there is no renderer of that name, or it does not have such an option.
        FrameModelError: If the frame model can't be loaded.
    """
    _check_options(name, options)
    if name == "frame":
        return _frame_renderer(worlds, device, options)
    if name == "anchor":
        from worldfm_gym.anchor_renderer import AnchorRenderer

        return AnchorRenderer(worlds, device=device)
    from worldfm_gym.worlds.truth import TruthRenderer

    return TruthRenderer(worlds, device=device)


_OPTIONS: dict[str, tuple[str, ...]] = {
    "frame": ("model", "steps", "references", "deterministic"),
    "anchor": (),
    "truth": (),
}


def _frame_renderer(worlds: Sequence[World], device: str, options: Mapping[str, Any]) -> Renderer:
    """The renderer that the model is for."""
    model = options.get("model")
    if isinstance(model, str | os.PathLike) and Path(model).exists():
        from worldfm_gym.frame_model.xl_checkpoint import is_xl

        if is_xl(model):
            from worldfm_gym.xl_renderer import XLRenderer

            others = sorted(set(options) - {"model", "steps"})
            if others:
                raise RendererError(
                    f"WorldFM-XL has no option {others[0]!r}; it has model and steps"
                )
            return XLRenderer(worlds, device=device, **options)
    from worldfm_gym.frame_renderer import FrameRenderer

    return FrameRenderer(worlds, device=device, **options)


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise for a renderer that there isn't, or an option that it doesn't have."""
    if name not in _OPTIONS:
        raise RendererError(
            f"no renderer named {name!r}: choose {', '.join(repr(n) for n in _OPTIONS)}"
        )
    unknown = sorted(set(options) - set(_OPTIONS[name]))
    if unknown:
        known = ", ".join(_OPTIONS[name]) or "none"
        raise RendererError(f"the renderer {name!r} has no option {unknown[0]!r}; it has {known}")
