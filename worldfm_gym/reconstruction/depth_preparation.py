"""Preparation: how an image becomes a transformers model's input, and its output an image again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

_DPT_MEAN, _DPT_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_SIDES = {"depth_pro": (1536, 1536), "zoedepth": (384, 512)}
_GLPN_DIVISOR = 32
_PAD_FACTOR = 3  # ZoeDepth's mirrored border: 3 · √(side / 2) pixels


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a model's preprocessor_config.json asks for.

    Attributes:
        model_type: The configuration's ``model_type``.
        height: Height to resize to.
        width: Width to resize to.
        multiple: Sides become multiples of this.
        keep_aspect: Whether to keep proportions and fit the side that changes least.
        mean: Of rgb in 0…1.
        std: Of rgb in 0…1.
        resample: Pillow's number of the filter.
        pad: Whether to add ZoeDepth's mirrored border.
    """

    model_type: str
    height: int
    width: int
    multiple: int
    keep_aspect: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int
    pad: bool

    @staticmethod
    def of(source: str, model_type: str, *, local: bool) -> Preparation:
        """Read the preprocessor's configuration beside a model; the usual values where it has none.

        Raises:
            OSError: If there is none.
        """
        from transformers.image_processing_base import ImageProcessingMixin

        values, _ = ImageProcessingMixin.get_image_processor_dict(source, local_files_only=local)
        return Preparation.of_values(values, model_type)

    @staticmethod
    def of_values(values: Mapping[str, Any], model_type: str) -> Preparation:
        """Take what is known of a preprocessor's configuration."""
        height, width = _SIDES.get(model_type, (384, 384))
        size = values.get("size", {"height": height, "width": width})
        if isinstance(size, int):
            size = {"height": size, "width": size}
        if "shortest_edge" in size:
            size = {"height": size["shortest_edge"], "width": size["shortest_edge"]}
        zoe, glpn = model_type == "zoedepth", model_type == "glpn"
        normalized = values.get("do_normalize", True) and not glpn
        return Preparation(
            model_type=model_type,
            height=int(size["height"]),
            width=int(size["width"]),
            multiple=max(1, int(values.get("ensure_multiple_of", 32 if zoe else 1))),
            keep_aspect=bool(values.get("keep_aspect_ratio", zoe)),
            mean=tuple(values.get("image_mean", _DPT_MEAN)) if normalized else (0.0, 0.0, 0.0),
            std=tuple(values.get("image_std", _DPT_STD)) if normalized else (1.0, 1.0, 1.0),
            resample=int(values.get("resample", Image.Resampling.BICUBIC)),
            pad=bool(values.get("do_pad", True)) and zoe,
        )

    def pixels(self, image: NDArray[np.uint8]) -> Tensor:
        """A model's input, float32 [1, 3, h, w], of rgb [H, W, 3]."""
        height, width = image.shape[:2]
        if self.model_type in ("zoedepth", "depth_pro"):
            x = torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255
            if self.model_type == "depth_pro":
                # Normalized first and not smoothed: so it was trained.
                return F.interpolate(
                    self._normalized(x), size=(self.height, self.width), mode="bilinear"
                )
            if self.pad:
                above, left = _border(height), _border(width)
                x = F.pad(x, (left, left, above, above), mode="reflect")
            size = self._size(x.shape[2], x.shape[3])
            return self._normalized(
                F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            )
        rows, columns = self._size(height, width)
        small = Image.fromarray(np.ascontiguousarray(image)).resize(
            (columns, rows), Image.Resampling(self.resample)
        )
        x = torch.tensor(np.asarray(small)).permute(2, 0, 1)[None].float() / 255
        return self._normalized(x)

    def restored(self, predicted: Tensor, height: int, width: int) -> Tensor:
        """A model's output [1, h, w] at the image's own size, [H, W]."""
        x = predicted[:, None].float()
        if not self.pad:
            mode = "bilinear" if self.model_type == "depth_pro" else "bicubic"
            return F.interpolate(x, size=(height, width), mode=mode, align_corners=False)[0, 0]
        above, left = _border(height), _border(width)
        size = (height + 2 * above, width + 2 * left)
        x = F.interpolate(x, size=size, mode="bicubic", align_corners=False)
        return x[0, 0, above : above + height, left : left + width]

    def _normalized(self, x: Tensor) -> Tensor:
        mean, std = (torch.tensor(v)[:, None, None] for v in (self.mean, self.std))
        return (x - mean) / std

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the model's input."""
        if self.model_type == "glpn":
            divisor = _GLPN_DIVISOR
            return max(1, height // divisor) * divisor, max(1, width // divisor) * divisor
        scale_y, scale_x = self.height / height, self.width / width
        if self.keep_aspect:
            scale_y = scale_x = scale_x if abs(1 - scale_x) < abs(1 - scale_y) else scale_y
        multiple = self.multiple
        rows, columns = (
            max(1, round(side * scale / multiple)) * multiple
            for side, scale in ((height, scale_y), (width, scale_x))
        )
        return rows, columns


def _border(side: int) -> int:
    """Pixels of ZoeDepth's border."""
    return min(int(math.sqrt(side / 2) * _PAD_FACTOR), side - 1)
