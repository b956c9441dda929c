"""Frame: what a renderer draws for a batch of cameras."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from worldfm_gym.camera import Camera


class Provenance(IntEnum):
    """Where a pixel comes from."""

    NONE = 0  # nothing was drawn here
    OBSERVED = 1  # supported by a point that a source has seen
    GENERATED = 2  # invented by the frame model, now or when the world was grown


@dataclass(frozen=True, slots=True)
class Frame:
    """Images of B cameras; numpy arrays, or torch tensors on the renderer's device.

    Attributes:
        rgb: uint8 [B, H, W, 3].
        depth: z-depth in metres, float32 [B, H, W]; 0 where nothing is seen.
        instance: Object instance ids, int32 [B, H, W]; 0 is background, −1 where nothing is seen.
        provenance: `Provenance` values, uint8 [B, H, W].
        camera: The cameras that were drawn.
    """

    rgb: Any
    depth: Any
    instance: Any
    provenance: Any
    camera: Camera

    def __len__(self) -> int:
        return int(self.rgb.shape[0])
