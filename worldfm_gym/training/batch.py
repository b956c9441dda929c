"""Batch: what one training step gets, groups of posed views with their anchor drawings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from worldfm_gym.frame_model.conditioning import PosedImages


@dataclass(frozen=True, slots=True)
class Batch:
    """G groups of T targets and R references, all on one device.

    The views of a group look at one place of one world; its references serve all of its targets, so
    that the reference stream runs once a group.

    Attributes:
        target: Truth with leading dimensions (G, T).
        anchor_rgb: Anchor raster of each target, uint8 [G, T, H, W, 3]; black where uncovered.
        anchor_depth_z: Its z-depth in metres, float32 [G, T, H, W]; 0 where uncovered.
        anchor_index: Anchor point seen, int32 [G, T, H, W]; −1 where uncovered.
        references: Leading dimensions (G, R), likely more useful ones first; R may be 0.
        salt: Number of each group's world, for its noise, int64 [G].
    """

    target: PosedImages
    anchor_rgb: Tensor
    anchor_depth_z: Tensor
    anchor_index: Tensor
    references: PosedImages
    salt: Tensor

    @property
    def samples(self) -> int:
        """Conditioned samples, G · T."""
        return self.anchor_index.shape[0] * self.anchor_index.shape[1]

    def __getitem__(self, groups: slice) -> Batch:
        """Some of the groups."""
        return self._map(lambda tensor: tensor[groups])

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Change every tensor."""

        def changed(value: Tensor | PosedImages) -> Any:
            if not is_dataclass(value):
                return change(value)
            return replace(value, **{f.name: change(getattr(value, f.name)) for f in fields(value)})

        return Batch(*(changed(getattr(self, f.name)) for f in fields(self)))
