"""A source of made-up batches: a painted wall in front of cameras that look straight at it."""

from __future__ import annotations

import torch
from torch import Tensor

from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.batch import Batch

DISTANCE_M = 2.0


class SyntheticSource:
    """Batches of a wall whose color varies smoothly; the right third of each anchor is missing."""

    def __init__(
        self,
        *,
        seed: int = 0,
        size: int = 32,
        references: int = 2,
        targets: int = 2,
        cycle: int = 8,
    ) -> None:
        self.closed = False
        self.drawn = 0
        self._seed, self._size, self._cycle = seed, size, cycle
        self._references, self._targets = references, targets

    def batch(self, groups: int) -> Batch:
        """One of `cycle` batches, in turn."""
        generator = torch.Generator().manual_seed(self._seed + self.drawn % self._cycle)
        self.drawn += 1
        target = self._views(groups, self._targets, generator)
        depth = target.depth_z.clone()
        depth[..., self._size * 2 // 3 :] = 0
        covered = depth > 0
        index = torch.arange(self._size**2, dtype=torch.int32).view(self._size, self._size)
        return Batch(
            target=target,
            anchor_rgb=target.rgb * covered[..., None],
            anchor_depth_z=depth,
            anchor_index=index.expand_as(depth).where(covered, -1).to(torch.int32),
            references=self._views(groups, self._references, generator),
            salt=torch.randint(1 << 40, (groups,), generator=generator),
        )

    def close(self) -> None:
        self.closed = True

    def _views(self, groups: int, count: int, generator: torch.Generator) -> PosedImages:
        shift = torch.rand(groups, count, 2, generator=generator) - 0.5
        c2w = torch.eye(4).repeat(groups, count, 1, 1)
        c2w[..., :2, 3] = shift
        focal, middle = 0.7 * self._size, self._size / 2
        intrinsics = torch.tensor([focal, focal, middle, middle]).expand(groups, count, 4)
        pixels = (torch.arange(self._size) + 0.5 - middle) / focal * DISTANCE_M
        x = (shift[..., :1] + pixels)[..., None, :]
        y = (shift[..., 1:] + pixels)[..., :, None]
        return PosedImages(
            rgb=_paint(x, y),
            depth_z=torch.full((groups, count, self._size, self._size), DISTANCE_M),
            c2w=c2w,
            intrinsics=intrinsics.clone(),
        )


def _paint(x: Tensor, y: Tensor) -> Tensor:
    """Color of the wall at (x, y) metres, uint8 [..., 3]."""
    waves = [torch.sin(3 * x + y), torch.cos(2 * y - x), torch.sin(2 * x * y)]
    return (127.5 + 100 * torch.stack(waves, -1)).to(torch.uint8)
