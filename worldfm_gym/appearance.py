"""Appearance: other colors for the same geometry, painted over what a renderer has drawn.

Depth, instance ids, collision and navigation know nothing of it, so an episode in other colors is
the same episode. Colors change as light does, in linear RGB: things are painted first, by their
instance id, then the whole image is lit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import SimulatorError
from worldfm_gym.frame import Frame
from worldfm_gym.threads import run_striped
from worldfm_gym.worlds.world import World

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Share of linear red, green and blue in luminance (Rec. 709)."""

BACKGROUND = 0
"""The instance id under which walls, floor and ceiling are painted."""

_TONES = 1 << 14  # steps of linear light that are told apart; a level of 8-bit sRGB spans 5 or more
_USUAL_LUMINANCE = 0.2
_UNCHANGED = np.eye(3, 4, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """Affine maps of linear RGB in 0…1, as matrices [3, 4] whose last column is added.

    ``a @ b`` has things painted by b, then a, and the image lit by b, then a.

    Attributes:
        color: For the whole image, float32 [3, 4].
        materials: For single objects, by instance id; 0 is the background. Applied before `color`.
    """

    color: NDArray[np.float32] = field(default_factory=lambda: _UNCHANGED)
    materials: Mapping[int, NDArray[np.float32]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "color", _checked(self.color, "color"))
        checked = {int(k): _checked(m, f"material {k}") for k, m in self.materials.items()}
        if any(instance < 0 for instance in checked):
            raise SimulatorError(
                f"materials are of instance ids, 0 being the background, got {sorted(checked)}"
            )
        object.__setattr__(self, "materials", MappingProxyType(checked))

    @classmethod
    def exposure(cls, stops: float) -> Appearance:
        """Twice as much light per stop."""
        return cls(2.0**stops * _UNCHANGED)

    @classmethod
    def tint(cls, gains: ArrayLike) -> Appearance:
        """Light whose red, green and blue are so many times as strong, [3]."""
        return cls(np.asarray(gains, np.float32)[:, None] * _UNCHANGED)

    @classmethod
    def repaint(
        cls, instance: int, rgb: ArrayLike, *, luminance: float = _USUAL_LUMINANCE
    ) -> Appearance:
        """One object in another color; the light and dark of its texture and shading stay.

        Args:
            instance: Id of the object, or 0 for the background.
            rgb: sRGB of its new mean color, 0…255, [3].
            luminance: Mean linear luminance of what is painted over; see `material_luminance`.
        """
        target = linear_of(rgb)
        matrix = np.zeros((3, 4))
        matrix[:, :3] = target[:, None] * LUMINANCE / max(luminance, 1e-3)
        return cls(materials={instance: matrix.astype(np.float32)})

    def __matmul__(self, under: Appearance) -> Appearance:
        """This appearance on top of another."""
        materials = dict(under.materials)
        for instance, matrix in self.materials.items():
            materials[instance] = _composed(matrix, materials.get(instance, _UNCHANGED))
        return Appearance(_composed(self.color, under.color), materials)


class AppearanceTable:
    """The appearances of S scenes, packed for painting; scenes without one cost nothing.

    Set at the start of an episode, as worlds are: they are not part of a simulator's state.
    """

    def __init__(self, num_scenes: int) -> None:
        self._given: list[Appearance | None] = [None] * num_scenes
        self._painted = np.zeros(num_scenes, np.bool_)
        self._palette = np.zeros((num_scenes, 1, 3, 4), np.float32)
        self._tensor: Any = None

    def get(self, scene: int) -> Appearance | None:
        """What was set, or None."""
        return self._given[scene]

    def set(self, scene: int, appearance: Appearance | None) -> None:
        """Paint a scene like this from now on; None leaves it as it is drawn."""
        self._given[scene] = appearance
        self._painted[scene] = appearance is not None
        if appearance is None:
            return
        entries = max(appearance.materials, default=-1) + 2
        if entries > self._palette.shape[1]:
            wider = np.zeros((len(self._given), entries, 3, 4), np.float32)
            wider[:, : self._palette.shape[1]] = self._palette
            wider[:, self._palette.shape[1] :] = self._palette[:, :1]
            self._palette, self._tensor = wider, None
        # Entry 0 is for what has no material, entry i + 1 for instance i.
        row = self._palette[scene]
        row[:] = appearance.color
        for instance, matrix in appearance.materials.items():
            row[instance + 1] = _composed(appearance.color, matrix)
        if self._tensor is not None:
            self._tensor[scene] = _upload(row, self._tensor.device)

    def paint(self, frame: Frame, scene: NDArray[np.int64]) -> Frame:
        """The frame with its colors changed; the frame itself where no scene has an appearance.

        Args:
            frame: Images of B cameras, which stay as they are.
            scene: The scene of each camera, int64 [B].
        """
        if not self._painted[scene].any():
            return frame
        if isinstance(frame.rgb, np.ndarray):
            out = np.empty_like(frame.rgb)
            tones = (_linear_levels(), _srgb_tones())
            run_striped(
                _paint,
                len(out),
                *(frame.rgb, frame.instance, scene, self._painted, self._palette, *tones, out),
            )
            return replace(frame, rgb=out)
        return replace(frame, rgb=self._paint_tensor(frame, scene))

    def _paint_tensor(self, frame: Frame, scene: NDArray[np.int64]) -> Any:
        """The same on the device that holds the images."""
        import torch

        device = frame.rgb.device
        if self._tensor is None or self._tensor.device != device:
            self._tensor = _upload(self._palette, device)
        levels, tones = _tables_on(device)
        at = _upload(scene, device)[:, None, None]
        painted = _upload(self._painted[scene], device)[:, None, None] & (frame.instance >= 0)
        entries = self._palette.shape[1]
        known = (frame.instance >= 0) & (frame.instance < entries - 1)
        index = at * entries + (frame.instance + 1) * known
        linear = levels[frame.rgb.int()].unbind(-1)
        columns = self._tensor.view(-1, 12).unbind(-1)
        drawn = torch.empty_like(frame.rgb)
        for c in range(3):  # a matrix per pixel would take twelve times the memory
            lit = columns[4 * c + 3][index]
            for j in range(3):
                lit += columns[4 * c + j][index] * linear[j]
            drawn[..., c] = tones[(lit.clamp_(0.0, 1.0) * (_TONES - 1) + 0.5).int()]
        return frame.rgb.where(~painted[..., None], drawn)


def linear_of(rgb: ArrayLike) -> NDArray[np.float64]:
    """Linear RGB in 0…1 of sRGB in 0…255 (IEC 61966-2-1)."""
    value = np.asarray(rgb, np.float64) / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def material_luminance(world: World) -> NDArray[np.float64]:
    """Mean linear luminance of the anchor's points by instance id, float64 [largest id + 1].

    Ids without points have that of the whole anchor.
    """
    if world not in _luminance:
        anchor = world.anchor
        value = linear_of(np.arange(256))[anchor.colors] @ LUMINANCE
        ids = np.maximum(anchor.instance, 0)
        entries = max((item.instance for item in world.objects), default=0) + 1
        count = np.bincount(ids, minlength=entries)
        total = np.bincount(ids, weights=value, minlength=entries)
        mean = np.full(len(count), value.mean() if len(value) else _USUAL_LUMINANCE)
        np.divide(total, count, out=mean, where=count > 0)
        _luminance[world] = mean
    return _luminance[world]


_luminance: WeakKeyDictionary[World, NDArray[np.float64]] = WeakKeyDictionary()


def _checked(matrix: ArrayLike, name: str) -> NDArray[np.float32]:
    array = np.array(matrix, np.float32)
    if array.shape != (3, 4) or not np.isfinite(array).all():
        raise SimulatorError(
            f"{name} must be a finite matrix of shape (3, 4) on linear RGB, got {array.tolist()}"
        )
    array.setflags(write=False)
    return array


def _composed(second: NDArray[np.float32], first: NDArray[np.float32]) -> NDArray[np.float32]:
    """One affine map after another."""
    out = (second[:, :3] @ first).astype(np.float32)
    out[:, 3] += second[:, 3]
    return out


@lru_cache(maxsize=1)
def _linear_levels() -> NDArray[np.float32]:
    """Linear light of the 256 levels of sRGB."""
    return linear_of(np.arange(256)).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb_tones() -> NDArray[np.uint8]:
    """Levels of sRGB of `_TONES` steps of linear light."""
    value = np.linspace(0.0, 1.0, _TONES)
    srgb = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return (255.0 * srgb + 0.5).astype(np.uint8)


@lru_cache(maxsize=8)
def _tables_on(device: Any) -> tuple[Any, Any]:
    return _upload(_linear_levels(), device), _upload(_srgb_tones(), device)


def _upload(array: NDArray[Any], device: Any) -> Any:
    """A copy on a device, which the host does not wait for."""
    import torch

    tensor = torch.from_numpy(np.array(array))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


@njit(cache=True, nogil=True)
def _paint(
    first: int,
    step: int,
    rgb: Any,
    instance: Any,
    scene: Any,
    painted: Any,
    palette: Any,
    levels: Any,
    tones: Any,
    out: Any,
) -> None:
    """Paint images first, first + step, … of a batch [B, H, W, 3]."""
    top = np.float32(len(tones) - 1)
    for i in range(first, len(rgb), step):
        row = palette[scene[i]]
        for v in range(rgb.shape[1]):
            for u in range(rgb.shape[2]):
                r, g, b = rgb[i, v, u, 0], rgb[i, v, u, 1], rgb[i, v, u, 2]
                shown = instance[i, v, u]
                if shown < 0 or not painted[scene[i]]:
                    out[i, v, u, 0], out[i, v, u, 1], out[i, v, u, 2] = r, g, b
                    continue
                entry = shown + 1 if shown + 1 < len(row) else 0
                for c in range(3):
                    lit = row[entry, c, 0] * levels[r] + row[entry, c, 1] * levels[g]
                    lit += row[entry, c, 2] * levels[b] + row[entry, c, 3]
                    lit = min(max(lit, np.float32(0.0)), np.float32(1.0))
                    out[i, v, u, c] = tones[np.int64(lit * top + np.float32(0.5))]
