"""ConditionedViews: a batch as the network takes it, and the modules that run a network on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from worldfm_gym.frame_model.conditioning import (
    PosedImages,
    complete_depth,
    conditioning_channels,
    encode_depth,
    encode_rgb,
    reference_channels,
    relative_projection,
    shown_anchor,
    warp_references,
)
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.noise import anchored_noise
from worldfm_gym.frame_model.sampler import SECOND_STEP_TIME, Predict, bind, mix, sample
from worldfm_gym.training.batch import Batch


@dataclass(frozen=True, slots=True)
class ConditionedViews:
    """B = G · T target views with their conditioning, and G · R references that they share.

    Attributes:
        truth: Clean rgb in [−1, 1] and depth code, float32 [B, 4, H, W].
        known: Whether the truth's depth is known, float32 [B, 1, H, W].
        covered: Whether the anchor covers the pixel and isn't seen through, float32 [B, 1, H, W].
        noise: Anchored noise, float32 [B, 4, H, W].
        conditioning: From `conditioning_channels`, float32 [B, 9, H, W].
        index: Anchor point seen, int32 [B, H, W]; −1 where there is none.
        depth_z: From `complete_depth`, float32 [B, H, W].
        c2w: Target cameras, float32 [B, 4, 4].
        intrinsics: Target lenses, float32 [B, 4].
        references: From `reference_channels`, float32 [G · R, 5, h, w]; None without references.
        reference_intrinsics: Their lenses, float32 [G · R, 4].
        relative: From `relative_projection`, float32 [B, R, 4, 4]; None without references.
    """

    truth: Tensor
    known: Tensor
    covered: Tensor
    noise: Tensor
    conditioning: Tensor
    index: Tensor
    depth_z: Tensor
    c2w: Tensor
    intrinsics: Tensor
    references: Tensor | None = None
    reference_intrinsics: Tensor | None = None
    relative: Tensor | None = None

    def __len__(self) -> int:
        return self.truth.shape[0]

    @property
    def told(self) -> Tensor:
        """How surely the anchor or a warped reference shows each pixel, 0…1, [B, 1, H, W]."""
        return torch.maximum(self.covered, self.conditioning[:, -1:])

    def fresh_noise(self, generator: torch.Generator) -> Tensor:
        """Anchored noise of other worlds: new salts for the same views, float32 [B, 4, H, W]."""
        salt = _salts(len(self), self.truth.device, generator)
        return anchored_noise(self.index, self.c2w, self.intrinsics, salt, depth_z=self.depth_z)


def prepare(batch: Batch, *, anchor_kept: Tensor | None = None) -> ConditionedViews:
    """Condition a batch's targets as the renderer does: warp references, make noise, encode.

    Args:
        batch: G groups of T targets and R references.
        anchor_kept: Which targets see their anchor, bool [G, T]; all by default.
    """
    targets_per_group = batch.anchor_index.shape[1]
    rgb, depth_z = batch.anchor_rgb.flatten(0, 1), batch.anchor_depth_z.flatten(0, 1)
    index = batch.anchor_index.flatten(0, 1)
    if anchor_kept is not None:
        kept = anchor_kept.flatten()[:, None, None]
        rgb, depth_z, index = rgb * kept[..., None], depth_z * kept, index.where(kept, -1)
    target, references = batch.target, batch.references
    c2w, intrinsics = target.c2w.flatten(0, 1), target.intrinsics.flatten(0, 1)
    shared = PosedImages(
        *(
            tensor.repeat_interleave(targets_per_group, dim=0)
            for tensor in (
                references.rgb,
                references.depth_z,
                references.c2w,
                references.intrinsics,
            )
        )
    )
    completed = complete_depth(depth_z, c2w, intrinsics, shared)
    shown = shown_anchor(depth_z, completed)
    depth_z, index = depth_z * shown, index.where(shown, -1)
    warped, confidence = warp_references(completed, c2w, intrinsics, shared)
    truth_rgb, truth_depth_z = target.rgb.flatten(0, 1), target.depth_z.flatten(0, 1)
    salt = batch.salt.repeat_interleave(targets_per_group)
    views = ConditionedViews(
        truth=torch.cat([encode_rgb(truth_rgb), encode_depth(truth_depth_z)], dim=1),
        known=(truth_depth_z > 0)[:, None].float(),
        covered=(depth_z > 0)[:, None].float(),
        noise=anchored_noise(index, c2w, intrinsics, salt, depth_z=completed),
        conditioning=conditioning_channels(
            rgb,
            depth_z,
            completed_depth_z=completed,
            warped_rgb=warped,
            confidence=confidence,
        ),
        index=index,
        depth_z=completed,
        c2w=c2w,
        intrinsics=intrinsics,
    )
    if references.rgb.shape[1] == 0:
        return views
    return replace(
        views,
        references=reference_channels(
            references.rgb.flatten(0, 1), references.depth_z.flatten(0, 1)
        ),
        reference_intrinsics=references.intrinsics.flatten(0, 1),
        relative=relative_projection(
            c2w,
            intrinsics,
            (depth_z.shape[1], depth_z.shape[2]),
            shared.c2w,
            shared.intrinsics,
            (references.depth_z.shape[2], references.depth_z.shape[3]),
        ),
    )


def prepare_unconditioned(batch: Batch) -> ConditionedViews:
    """The same targets as plain images: no anchor, no references, noise by ray direction."""
    alone = replace(
        batch,
        anchor_rgb=torch.zeros_like(batch.anchor_rgb),
        anchor_depth_z=torch.zeros_like(batch.anchor_depth_z),
        anchor_index=torch.full_like(batch.anchor_index, -1),
        references=PosedImages(
            batch.references.rgb[:, :0],
            batch.references.depth_z[:, :0],
            batch.references.c2w[:, :0],
            batch.references.intrinsics[:, :0],
        ),
    )
    return prepare(alone)


def salted(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch with new salts, so that a place met again comes with other noise."""
    return replace(batch, salt=_salts(len(batch.salt), batch.salt.device, generator))


def encode_memory(network: FrameDiT, views: ConditionedViews) -> KeysValues | None:
    """Each group's references encoded once, then handed to every target of the group."""
    if views.references is None or views.reference_intrinsics is None or views.relative is None:
        return None
    memory = network.encode_references(views.references, views.reference_intrinsics)
    count = views.relative.shape[1]
    groups = views.references.shape[0] // count
    repeats = len(views) // groups

    def of_targets(tensor: Tensor) -> Tensor:  # [L, G·R, n, ...] to [L, B, R·n, ...]
        grouped: Tensor = tensor.unflatten(1, (groups, count)).flatten(2, 3)
        return grouped.repeat_interleave(repeats, dim=1)

    return KeysValues(of_targets(memory.keys), of_targets(memory.values))


class Denoiser(nn.Module):
    """Reference encoding and one prediction as one forward pass, which DDP can wrap."""

    def __init__(self, network: FrameDiT) -> None:
        super().__init__()
        self.network = network

    def forward(self, views: ConditionedViews, noisy: Tensor, time: Tensor) -> Tensor:
        """Predict clean images, float32 [B, 4, H, W], of noisy ones at times [B]."""
        predicted: Tensor = _predictor(self.network, views)(noisy, time)
        return predicted


class FewStepSampler(nn.Module):
    """The views in one or two steps, as they are served, with gradients through the last step."""

    def __init__(self, network: FrameDiT) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, views: ConditionedViews, steps: int, other_noise: Tensor | None = None
    ) -> Tensor:
        """Draw the views, float32 [B, 4, H, W].

        Given other noise [B, 4, H, W], draw them with that too: float32 [2, B, 4, H, W].
        """
        predict = _predictor(self.network, views)
        if other_noise is None:
            return _few_steps(predict, views.noise, steps)
        noises = (views.noise, other_noise)
        return torch.stack([_few_steps(predict, noise, steps) for noise in noises])


def _few_steps(predict: Predict, noise: Tensor, steps: int) -> Tensor:
    """Images of noise in one or two steps, with gradients through the last."""
    if steps == 1:
        return sample(predict, noise)
    with torch.no_grad():
        first = sample(predict, noise)
    # Autocast would hand the first pass's weights, which have no gradient, to the second.
    torch.clear_autocast_cache()
    noisy = mix(first, noise, SECOND_STEP_TIME)
    return predict(noisy, noisy.new_full((len(noisy),), SECOND_STEP_TIME))


@torch.no_grad()
def draw(network: FrameDiT, views: ConditionedViews, *, steps: int) -> Tensor:
    """The views in any number of steps, without gradients, float32 [B, 4, H, W]."""
    return sample(_predictor(network, views), views.noise, steps=steps)


def at_time(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Images [B, 4, H, W] noised to times [B]."""
    return mix(clean, noise, time[:, None, None, None])


def _predictor(network: FrameDiT, views: ConditionedViews) -> Predict:
    """The network with the views' conditioning filled in; encodes their references once."""
    memory = encode_memory(network, views)
    return bind(network, views.conditioning, views.intrinsics, memory, views.relative)


def _salts(count: int, device: torch.device, generator: torch.Generator) -> Tensor:
    """Random salts, int64 [count]."""
    return torch.randint(1 << 62, (count,), device=device, generator=generator)
