"""Metrics of drawn views against the truth, each a value per view.

Masked values are NaN in views where the mask holds less than `LEAST_SHARE` of the pixels, so that a
handful of pixels never stands for a view; average with ``nanmean``. Errors of color are those of
sRGB values in 0…1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.errors import MissingExtraError
from worldfm_gym.frame_model.conditioning import PosedImages, pixel_rays, relative_pose

LEAST_SHARE = 0.01
_LEAST_MSE = 1e-6  # PSNR ends at 60 dB, so that a perfect view leaves the mean of all finite
_SSIM_AT_ONCE = 64
_SAME_SURFACE = 0.02  # relative difference of depth up to which two views see one surface


def psnr(rgb: Tensor, truth_rgb: Tensor, *, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each view in dB, at most 60.

    Args:
        rgb: uint8 [V, H, W, 3].
        truth_rgb: uint8 [V, H, W, 3].
        mask: Pixels that count, bool [V, H, W]; all by default.

    Returns:
        float32 [V]; NaN where the mask is too small.
    """
    squared = ((rgb.float() - truth_rgb.float()) / 255).square().mean(-1)
    return -10 * masked_mean(squared, mask).clamp(min=_LEAST_MSE).log10()


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the masked pixels of each view, [V, H, W] to [V]; NaN where the mask is too small.

    Args:
        values: float32 [V, H, W]; may hold anything outside of the mask.
        mask: Pixels that count, bool [V, H, W]; all by default.
    """
    if mask is None:
        return values.flatten(1).mean(1)
    count = mask.flatten(1).sum(1)
    total = values.where(mask, 0).flatten(1).sum(1)
    enough = count >= LEAST_SHARE * mask[0].numel()
    return (total / count.clamp(min=1)).where(enough, torch.nan)


def ssim_map(rgb: Tensor, truth_rgb: Tensor) -> Tensor:
    """Structural similarity around each pixel (Wang et al. 2004), Gaussian window, torchmetrics.

    Args:
        rgb: uint8 [V, H, W, 3].
        truth_rgb: uint8 [V, H, W, 3].

    Returns:
        Mean over the channels, float32 [V, H, W]; its mean over a view is that view's SSIM.

    Raises:
        MissingExtraError: If torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure
    except ImportError as error:
        raise MissingExtraError("torchmetrics", "train", "evaluation") from error
    maps = []
    # Variances are small differences of large squares, which cuDNN's TF32 would lose.
    with torch.backends.cudnn.flags(enabled=False):
        for start in range(0, len(rgb), _SSIM_AT_ONCE):
            part = slice(start, start + _SSIM_AT_ONCE)
            images = (x[part].movedim(-1, 1).float() / 255 for x in (rgb, truth_rgb))
            _, image = structural_similarity_index_measure(
                *images, data_range=1.0, reduction="none", return_full_image=True
            )
            maps.append(image.mean(1))
    return torch.cat(maps)


def gradient_energy(rgb: Tensor, mask: Tensor) -> Tensor:
    """Sum of squared differences between neighboring pixels that are both in the mask.

    Sharpness is this of a drawn view over this of the truth: 1 is as sharp, a blurred mean of what
    could be there is well below.

    Args:
        rgb: uint8 [V, H, W, 3].
        mask: bool [V, H, W].

    Returns:
        float64 [V].
    """
    x = rgb.double() / 255
    across = (x[:, :, 1:] - x[:, :, :-1]).square().sum(-1) * (mask[:, :, 1:] & mask[:, :, :-1])
    down = (x[:, 1:] - x[:, :-1]).square().sum(-1) * (mask[:, 1:] & mask[:, :-1])
    return across.sum((1, 2)) + down.sum((1, 2))


def absolute_relative_error(depth_z: Tensor, truth_depth_z: Tensor, mask: Tensor) -> Tensor:
    """AbsRel of each view: mean of ``|z − z*| / z*`` over masked pixels with known truth, [V].

    Args:
        depth_z: Metres, float32 [V, H, W].
        truth_depth_z: Metres, float32 [V, H, W]; 0 = unknown.
        mask: bool [V, H, W].
    """
    known = truth_depth_z > 0
    relative = (depth_z - truth_depth_z).abs() / truth_depth_z.where(known, 1)
    return masked_mean(relative, mask & known)


def inverse_depth_error(depth_z: Tensor, truth_depth_z: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``|1/z − 1/z*|`` in 1/m over masked pixels with known truth, [V].

    Args:
        depth_z: Metres, float32 [V, H, W]; 0 stands for infinitely far.
        truth_depth_z: Metres, float32 [V, H, W]; 0 = unknown.
        mask: bool [V, H, W].
    """
    known = truth_depth_z > 0
    inverse = (1 / depth_z).where(depth_z > 0, 0)
    return masked_mean((inverse - 1 / truth_depth_z.where(known, 1)).abs(), mask & known)


def warp_view(source: PosedImages, target: PosedImages, values: Tensor) -> tuple[Tensor, Tensor]:
    """Carry values of a source view to a target view by the target's true depth.

    Args:
        source: V views with true depth, leading dimension [V].
        target: V views with true depth of the same size.
        values: What to carry, float32 [V, C, H, W] in the pixels of `source`.

    Returns:
        Values at the target's pixels, float32 [V, C, H, W], bilinear, and whether both views see
        the same surface there, bool [V, H, W].
    """
    _, height, width = target.depth_z.shape
    rays = pixel_rays(target.intrinsics, height, width)
    rays = torch.cat([rays, torch.ones_like(rays[:, :1])], dim=1)
    points = (rays * target.depth_z[:, None]).flatten(2)
    rotation, translation = relative_pose(source.c2w, target.c2w)
    x, y, z = (rotation @ points + translation[..., None]).unflatten(-1, (height, width)).unbind(1)
    fx, fy, cx, cy = (v[:, None, None] for v in source.intrinsics.unbind(-1))
    ahead = z.clamp(min=1e-3)
    grid = torch.stack(
        [(fx * x / ahead + cx) * (2 / width) - 1, (fy * y / ahead + cy) * (2 / height) - 1], dim=-1
    )
    carried = F.grid_sample(values, grid, padding_mode="border", align_corners=False)
    # Depth is inverted first: 1/z is linear in the image, so that slanted surfaces still agree.
    known = source.depth_z > 0
    inverse = torch.where(known, 1 / source.depth_z.where(known, 1), 0)[:, None]
    there, extreme = (
        F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)[:, 0]
        for image, mode in ((inverse, "bilinear"), (inverse, "nearest"))
    )
    same = ((there * ahead - 1).abs() < _SAME_SURFACE) & (
        (extreme * ahead - 1).abs() < 2 * _SAME_SURFACE
    )
    inside = (grid.abs() < 1).all(-1) & (z > 0.05) & (target.depth_z > 0)
    return carried, inside & same


def consistency(
    view: PosedImages, neighbor: PosedImages, *, rgb: Tensor, neighbor_rgb: Tensor, masks: Tensor
) -> Tensor:
    """Photometric agreement of invented pixels between neighboring views, PSNR in dB, [V].

    Args:
        view: V true views, leading dimension [V].
        neighbor: The V true views next to them.
        rgb: What was drawn for `view`, uint8 [V, H, W, 3].
        neighbor_rgb: What was drawn for `neighbor`, uint8 [V, H, W, 3].
        masks: Invented pixels of both, bool [2, V, H, W]; only those count that are invented in
            both views and show the same surface.
    """
    stacked = torch.cat([neighbor_rgb.movedim(-1, 1).float(), masks[1][:, None].float()], dim=1)
    carried, visible = warp_view(neighbor, view, stacked)
    both = masks[0] & visible & (carried[:, 3] > 0.999)
    squared = ((carried[:, :3].movedim(1, -1) - rgb.float()) / 255).square().mean(-1)
    return -10 * masked_mean(squared, both).clamp(min=_LEAST_MSE).log10()
