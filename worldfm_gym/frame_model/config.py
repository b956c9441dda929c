"""FrameModelConfig: the shape of a frame model."""

from __future__ import annotations

from dataclasses import dataclass

from worldfm_gym.errors import FrameModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameModelConfig:
    """Shape of a `FrameDiT`; the defaults are those of the shipped ``nano`` model.

    Attributes:
        width: Channels of a token.
        depth: Transformer blocks.
        heads: Attention heads; ``width / heads`` is a multiple of 16, so that half of each head
            holds 4-vectors and the other half rotary pairs of both image axes.
        mlp_ratio: Hidden channels of a block's MLP, in widths.
        patch: Pixels along a side of the square that a token stands for.
        stem: Channels of the convolutions at half resolution.
        detail: Channels that each 2×2 pixels receive from their token.
    """

    width: int = 256
    depth: int = 6
    heads: int = 4
    mlp_ratio: int = 4
    patch: int = 8
    stem: int = 64
    detail: int = 48

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise FrameModelError(f"{name} must be a whole number ≥ 1, got {value!r}")
        if self.width % (16 * self.heads):
            raise FrameModelError(
                f"width / heads must be a multiple of 16, got {self.width} / {self.heads}"
            )
        if self.patch not in (2, 4, 8):  # images have sides that 8 divides
            raise FrameModelError(f"patch must be 2, 4 or 8, got {self.patch}")

    @property
    def head_dim(self) -> int:
        """Channels of an attention head."""
        return self.width // self.heads
