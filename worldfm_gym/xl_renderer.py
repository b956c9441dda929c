"""XLRenderer: draws worlds with the released WorldFM-XL weights, the way they were trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from worldfm_gym.anchor.pyramid import SplatPyramid
from worldfm_gym.anchor.raster import AnchorRaster, RasterImages
from worldfm_gym.anchor_renderer import current_object_poses
from worldfm_gym.camera import Camera
from worldfm_gym.errors import FrameModelError, RendererError
from worldfm_gym.frame import Frame, Provenance
from worldfm_gym.frame_model.noise import anchored_noise
from worldfm_gym.frame_model.xl_checkpoint import XLModel
from worldfm_gym.frame_model.xl_sampler import decode_latents, encode_images, sample_latents
from worldfm_gym.frame_renderer import salts
from worldfm_gym.worlds.world import Reference, World

_PIXELS_PER_LATENT = 8
_SECOND_NOISE = 0x5851F42D4C957F2D  # tells the noise of the second step from that of the first
_TURN_WEIGHT_M = 2.0  # a reference that looks the other way counts as this much farther off


class XLRenderer:
    """The `Renderer` of WorldFM-XL: square images of eight times its latents' side, 512 pixels.

    The network sees the anchor as single pixels on black and one reference, the nearest by place
    and direction. Its noise is fixed to the world, so a view depends on world, object poses and
    camera alone. It draws no depth: depth, instance and provenance are the anchor's where it covers
    a pixel; elsewhere depth is 0, the instance 0 and provenance `Provenance.GENERATED`.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        *,
        model: str | os.PathLike[str] | XLModel,
        steps: int | None = None,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        noise_seed: int = 0,
    ) -> None:
        """Prepare scenes for drawing.

        Args:
            worlds: One per scene; the same world may appear several times.
            model: Released files or a converted one (`XLModel.from_pretrained`), or a model that is
                on `device`.
            steps: Passes of the network; None takes what the weights were distilled to.
            device: ``"cpu"`` gives frames in numpy, ``"cuda"`` in torch on the current GPU.
            dtype: Arithmetic of the networks; None takes bfloat16 on a GPU, float32 elsewhere.
            noise_seed: Another number lets the model invent other things in the same worlds.

        Raises:
            FrameModelError: If the model can't be loaded, or `steps` is neither 1 nor 2.
            RendererError: If a world has no reference to draw from.
        """
        for world in worlds:
            _check_references(world)
        self._worlds = list(worlds)
        self.worlds: Sequence[World] = self._worlds
        self._device = torch.device(device)
        if not isinstance(model, XLModel):
            usual = torch.float32 if self._device.type == "cpu" else torch.bfloat16
            model = XLModel.from_pretrained(model, device=device, dtype=dtype or usual)
        self._model = model
        self._steps = model.steps if steps is None else steps
        if self._steps not in (1, 2):
            raise FrameModelError(f"WorldFM-XL draws in 1 or 2 steps, got {self._steps}")
        self._noise_seed = noise_seed
        self.side_px = _PIXELS_PER_LATENT * model.network.config.latent_side
        self._pixels = {id(w): as_single_pixels(w.pyramid) for w in self._worlds}
        self._raster = AnchorRaster(
            [self._pixels[id(world)] for world in self._worlds],
            "numba" if self._device.type == "cpu" else "triton",
            device=device,
        )
        self._reference_tokens: dict[tuple[int, int], Tensor] = {}  # by id of world, reference
        self._salts = dict(zip(map(id, self._worlds), salts(self._worlds), strict=True))

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one frame per camera; see `Renderer.render`.

        Raises:
            RendererError: If the images are not of the side that the network draws.
        """
        if (cameras.height, cameras.width) != (self.side_px, self.side_px):
            raise RendererError(
                f"WorldFM-XL draws {self.side_px}×{self.side_px} pixels, got "
                f"{cameras.width}×{cameras.height}: set width and height to {self.side_px}"
            )
        if object_poses is None:
            object_poses = current_object_poses(self.worlds)
        images = self._raster.render(cameras, scene, object_poses=object_poses)
        with torch.inference_mode():
            rgb = self._draw(images, cameras, scene)
        instance, provenance = (
            torch.as_tensor(part).clone() for part in (images.instance, images.provenance)
        )
        uncovered = torch.as_tensor(images.index) < 0
        instance.masked_fill_(uncovered, 0)
        provenance.masked_fill_(uncovered, int(Provenance.GENERATED))
        parts = (rgb, torch.as_tensor(images.depth), instance, provenance)
        on_cpu = self._device.type == "cpu"
        pictures: list[Any] = [part.numpy() if on_cpu else part for part in parts]
        color, depth_z, ids, known = pictures
        return Frame(color, depth_z, ids, known, cameras)

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; the other scenes keep what was computed for them."""
        _check_references(world)
        pixels = self._pixels.get(id(world)) or as_single_pixels(world.pyramid)
        self._raster.replace_pyramid(scene, pixels)
        self._pixels[id(world)] = pixels
        self._worlds[scene] = world
        held = {id(w): w for w in self._worlds}
        self._pixels = {key: self._pixels[key] for key in held}
        self._reference_tokens = {
            key: tokens for key, tokens in self._reference_tokens.items() if key[0] in held
        }
        self._salts = {
            key: self._salts[key] if key in self._salts else salts([w])[0]
            for key, w in held.items()
        }

    def _draw(self, images: RasterImages, cameras: Camera, scene: NDArray[np.int64]) -> Tensor:
        """Colors uint8 [B, H, W, 3] of views whose anchor is rasterized."""
        network = self._model.network
        rgb, index, depth_z = (
            torch.as_tensor(part).to(self._device)
            for part in (images.rgb, images.index, images.depth)
        )
        noise = self._noise(index, depth_z, cameras, scene)
        anchor = network.embed(encode_images(self._model, rgb), 1)
        reference = torch.stack(
            [
                self._tokens(self._worlds[s], nearest_reference(self._worlds[s], c2w))
                for s, c2w in zip(scene, cameras.c2w, strict=True)
            ]
        )
        clean = sample_latents(
            network, noise, torch.cat([anchor, reference], dim=1), steps=self._steps
        )
        return decode_latents(self._model, clean)

    def _noise(
        self, index: Tensor, depth_z: Tensor, cameras: Camera, scene: NDArray[np.int64]
    ) -> Tensor:
        """Noise of latents [steps, B, 4, S, S], fixed to what the middles of their cells show."""
        middle = slice(_PIXELS_PER_LATENT // 2, None, _PIXELS_PER_LATENT)
        salt = torch.tensor([self._salts[id(self._worlds[s])] for s in scene])
        drawn = [
            anchored_noise(
                index[:, middle, middle].contiguous(),
                self._tensor(cameras.c2w),
                self._tensor(cameras.intrinsics / _PIXELS_PER_LATENT),
                (salt ^ self._noise_seed ^ step * _SECOND_NOISE).to(self._device),
                depth_z=depth_z[:, middle, middle].contiguous(),
            )
            for step in range(self._steps)
        ]
        return torch.stack(drawn).to(next(self._model.network.parameters()).dtype)

    def _tokens(self, world: World, chosen: int) -> Tensor:
        """Embedded tokens [N, D] of a reference; computed once, then kept."""
        key = (id(world), chosen)
        if key not in self._reference_tokens:
            square = square_picture(world.references[chosen], self.side_px)
            rgb = torch.from_numpy(square)[None].to(self._device)
            tokens = self._model.network.embed(encode_images(self._model, rgb), 2)
            self._reference_tokens[key] = tokens[0]
        return self._reference_tokens[key]

    def _tensor(self, array: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(array.astype(np.float32)).to(self._device, non_blocking=True)


def as_single_pixels(pyramid: SplatPyramid) -> SplatPyramid:
    """The points of a pyramid, each no larger than the pixel that it falls into."""
    geometry = pyramid.geometry.copy()
    geometry[:, 3] = 0.0  # disc radius
    # No level but the finest is drawn: coarser ones would leave gaps between their pixels.
    return replace(pyramid, geometry=geometry, spacing_m=1e6)


def nearest_reference(world: World, c2w: NDArray[np.float64]) -> int:
    """Index of the reference taken from nearest to a camera pose [4, 4], looking the same way."""
    poses = np.stack([reference.camera.c2w for reference in world.references])
    off = np.linalg.norm(poses[:, :3, 3] - c2w[:3, 3], axis=-1)
    turned = 1.0 - poses[:, :3, 2] @ c2w[:3, 2]
    return int(np.argmin(off + _TURN_WEIGHT_M * turned))


def square_picture(reference: Reference, side_px: int) -> NDArray[np.uint8]:
    """The middle square of a reference at a side of `side_px`, uint8 [side, side, 3]."""
    height, width = reference.rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(reference.rgb[top : top + side, left : left + side])
    resized = middle.resize((side_px, side_px), Image.Resampling.LANCZOS)
    return np.array(resized, dtype=np.uint8)


def _check_references(world: World) -> None:
    if not world.references:
        raise RendererError(
            "WorldFM-XL draws from a reference and this world has none: use a photo, a panorama or "
            "a scan, or make_world(kind, references=8)"
        )
