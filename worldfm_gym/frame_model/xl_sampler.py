"""Drawing with WorldFM-XL: latents of images, and the one or two passes from noise to a frame."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from worldfm_gym.frame_model.worldfm_xl import (
    FIRST_TIME,
    SECOND_TIME,
    WorldFMXL,
    alphas_cumprod,
)
from worldfm_gym.frame_model.xl_checkpoint import XLModel


def encode_images(model: XLModel, rgb: Tensor) -> Tensor:
    """Latents of images: the mean of what the autoencoder gives, so that no chance is involved.

    Args:
        model: Networks on the device of the images.
        rgb: uint8 [B, H, W, 3].

    Returns:
        Scaled latents [B, 4, H / 8, W / 8].
    """
    vae = model.autoencoder
    pixels = rgb.permute(0, 3, 1, 2).to(vae.dtype) / 127.5 - 1
    latents: Tensor = vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor
    return latents


def decode_latents(model: XLModel, latents: Tensor) -> Tensor:
    """Images uint8 [B, H, W, 3] of scaled latents [B, 4, H / 8, W / 8]."""
    vae = model.autoencoder
    pixels: Tensor = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample
    levels = (pixels.float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def sample_latents(network: WorldFMXL, noise: Tensor, context: Tensor, *, steps: int) -> Tensor:
    """Clean latents of B targets.

    Args:
        network: Predicts v.
        noise: Standard normal [steps, B, 4, S, S]: to start from and, with two steps, to noise the
            first result again.
        context: Embedded tokens [B, 2N, D] of the anchor's view and the reference.
        steps: 1 or 2.
    """
    clean = _clean(network, noise[0], context, FIRST_TIME)
    if steps == 1:
        return clean
    image, spread = _image_and_spread(SECOND_TIME)
    return _clean(network, image * clean + spread * noise[1], context, SECOND_TIME)


def _clean(network: WorldFMXL, z: Tensor, context: Tensor, time: int) -> Tensor:
    """The clean latent that the network sees in a noised one."""
    v: Tensor = network(z, context, torch.full((len(z),), time, device=z.device))
    image, spread = _image_and_spread(time)
    return image * z - spread * v


@lru_cache(maxsize=4)
def _image_and_spread(time: int) -> tuple[float, float]:
    """Shares α = √ᾱ of the image and σ = √(1 − ᾱ) of the noise at a time step."""
    kept = float(alphas_cumprod()[time])
    return kept**0.5, (1 - kept) ** 0.5
