"""Neighbors: how far apart two nearby views of one place are in what is invented.

What a view invents is tied to noise that is fixed to the world; whether two cameras make the same
of it is up to the network. This is evaluation's measure of that, as a loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

from worldfm_gym.frame_model.conditioning import PosedImages, decode_depth
from worldfm_gym.training.conditioned import ConditionedViews
from worldfm_gym.training.metrics import warp_view

_ALL_INVENTED = 0.999  # of a pixel that is interpolated between four


def disagreement(views: ConditionedViews, drawn: Tensor) -> Tensor:
    """Squared difference of drawn colors between neighbors, a mean over all pixels.

    Each second view is carried to the one before it by true depth. Pixels count where the anchor
    covers neither and both show one surface.

    Args:
        views: Pairs of neighbors, one after the other.
        drawn: Their images, [B, 4, H, W]; gradients reach both of a pair.
    """
    depth_z = decode_depth(views.truth[:, 3:]) * views.known[:, 0]
    here, there = (
        PosedImages(drawn[k::2], depth_z[k::2], views.c2w[k::2], views.intrinsics[k::2])
        for k in (0, 1)
    )
    invented = 1 - views.covered
    carried, visible = warp_view(there, here, torch.cat([drawn[1::2, :3], invented[1::2]], dim=1))
    both = invented[::2, 0] * visible * (carried[:, 3] > _ALL_INVENTED)
    return ((carried[:, :3] - drawn[::2, :3]).square().mean(1) * both).mean()
