"""A small network with lively weights, and targets with references, for tests of fast paths."""

from __future__ import annotations

import torch
from torch import Tensor

from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.sampler import bind, sample
from worldfm_gym.frame_model.targets import Targets

SMALL = FrameModelConfig(width=32, depth=2, heads=2, stem=16, detail=12, mlp_ratio=2)
REFERENCES = 3


def lively_network(config: FrameModelConfig = SMALL, *, spread: float = 0.1) -> FrameDiT:
    """Every weight matters: those that start at 0 or 1 too."""
    torch.manual_seed(0)
    network = FrameDiT(config).eval().requires_grad_(False)
    for weight in network.parameters():
        weight += spread * torch.randn_like(weight)
    return network


def make_targets(
    batch: int = 2, *, height: int = 24, width: int = 16, references: int = 2, seed: int = 0
) -> Targets:
    """Random targets; the last reference counts for less, and for one target not at all."""
    random = torch.Generator().manual_seed(seed)
    lens = torch.tensor([0.8 * width, 0.9 * width, 0.5 * width, 0.45 * height])
    relative = torch.randn(batch, references, 4, 4, generator=random)
    log_weight = torch.zeros(batch, references)
    if references:
        log_weight[0, -1], log_weight[-1, -1] = -1.0, -torch.inf
    return Targets(
        noise=torch.randn(batch, 4, height, width, generator=random),
        conditioning=torch.rand(batch, 9, height, width, generator=random) * 2 - 1,
        intrinsics=lens * torch.linspace(1, 1.3, batch)[:, None],
        index=torch.randint(0, REFERENCES, (batch, references), generator=random),
        relative=torch.eye(4) + 0.3 * relative,
        log_weight=log_weight,
    )


def make_references(*, height: int = 16, width: int = 32) -> tuple[Tensor, Tensor]:
    """Channels [3, 5, h, w] and lenses [3, 4] of references."""
    random = torch.Generator().manual_seed(1)
    images = torch.rand(REFERENCES, 5, height, width, generator=random) * 2 - 1
    return images, torch.tensor([20.0, 22, 16, 8]).repeat(REFERENCES, 1)


def draw_plainly(
    network: FrameDiT, targets: Targets, memory: KeysValues | None, *, steps: int = 1
) -> Tensor:
    """What the network itself draws, keys and values gathered for each target."""
    gathered = None
    if memory is not None:
        chosen = (kept[:, targets.index].flatten(2, 3) for kept in (memory.keys, memory.values))
        gathered = KeysValues(*chosen)
    bound = bind(
        network, targets.conditioning, targets.intrinsics, gathered,
        targets.relative if gathered else None, targets.log_weight if gathered else None,
    )  # fmt: skip
    return sample(bound, targets.noise, steps=steps)
