"""Scene pool: the latest worlds' places on the device, from which batches are drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.scene_drawing import PlaceImages

_OBSERVER_PRIORITY = 0.6  # an anchor's own sources are usually references, seldom targets
_METRES_PER_COSINE = 3.0  # a step of so much costs a reference as much as looking elsewhere
_ORDER_NOISE = 0.15


class ScenePool:
    """A ring of worlds with one image size."""

    def __init__(self, worlds: int, *, neighbors: bool = False) -> None:
        """Keep at most so many worlds; targets are any views, or always the first ones."""
        self._capacity = worlds
        self._neighbors = neighbors
        self._stored: PlaceImages | None = None
        self._added = 0

    @property
    def worlds(self) -> int:
        """Worlds held."""
        return min(self._added, self._capacity)

    def add(self, images: PlaceImages) -> None:
        """Copy a world's places in, in the place of the oldest."""
        places = len(images.rgb)
        if self._stored is None:
            self._stored = images.map(
                lambda t: t.new_empty((self._capacity * places, *t.shape[1:]))
            )
        slot = self._added % self._capacity * places
        for mine, new in zip(self._stored.tensors(), images.tensors(), strict=True):
            mine[slot : slot + places].copy_(new)
        self._added += 1
        self._places = places * self.worlds

    def draw(
        self, groups: int, *, targets: int, references: int, generator: torch.Generator
    ) -> Batch:
        """Draw places at random, each at most once if there are enough, and cast their views."""
        assert self._stored is not None
        device = self._stored.rgb.device
        rounds = -(-groups // self._places)
        order = torch.rand((rounds, self._places), generator=generator, device=device).argsort()
        place = order.flatten()[:groups, None]  # [G, 1]
        c2w = self._stored.c2w[place[:, 0]]  # [G, V, 4, 4]
        target, reference = _roles(
            c2w,
            self._stored.observer[place[:, 0]],
            targets,
            references,
            generator,
            fixed=self._neighbors,
        )
        salt = torch.randint(1 << 31, (groups,), generator=generator, device=device)
        stored = self._stored
        return Batch(
            target=_posed(stored, place, target),
            anchor_rgb=stored.anchor_rgb[place, target],
            anchor_depth_z=stored.anchor_depth_z[place, target],
            anchor_index=stored.anchor_index[place, target],
            references=_posed(stored, place, reference),
            salt=salt,
        )


def _posed(stored: PlaceImages, place: Tensor, view: Tensor) -> PosedImages:
    """Views [G, K] of places [G, 1]."""
    return PosedImages(
        rgb=stored.rgb[place, view],
        depth_z=stored.depth_z[place, view],
        c2w=stored.c2w[place, view],
        intrinsics=stored.intrinsics[place, view],
    )


def _roles(
    c2w: Tensor,
    observer: Tensor,
    targets: int,
    references: int,
    generator: torch.Generator,
    *,
    fixed: bool,
) -> tuple[Tensor, Tensor]:
    """Views that become targets [G, T] and references [G, R], the most useful reference first.

    Targets are the first views if they are fixed.
    """
    groups, views = observer.shape
    if fixed:
        order = torch.arange(views, device=c2w.device).roll(-targets).expand(groups, -1)
    else:
        priority = torch.rand((groups, views), generator=generator, device=c2w.device)
        order = (priority + _OBSERVER_PRIORITY * observer).argsort(dim=1, descending=True)
    target, candidate = order[:, views - targets :], order[:, : views - targets]
    row = torch.arange(groups, device=c2w.device)[:, None]
    theirs, own = c2w[row, target][:, None], c2w[row, candidate][:, :, None]  # [G, 1, T], [G, C, 1]
    cosine = (theirs[..., :3, 2] * own[..., :3, 2]).sum(-1)  # [G, C, T]
    step_m = (theirs[..., :3, 3] - own[..., :3, 3]).norm(dim=-1)
    useful = (cosine - step_m / _METRES_PER_COSINE).mean(-1)
    useful = useful + _ORDER_NOISE * torch.randn(
        useful.shape, generator=generator, device=c2w.device
    )
    best = useful.argsort(dim=1, descending=True)[:, :references]
    return target, candidate.gather(1, best)
