"""Scene drawing: a job's views as they truly look and as its partial anchors show them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from worldfm_gym.anchor.raster import AnchorRaster, RasterImages
from worldfm_gym.camera import Camera
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.generator_config import GeneratorConfig
from worldfm_gym.training.observation import Observation, observed_geometry, plan_observation
from worldfm_gym.training.scene_job import SceneJob

_SPLATS_AT_ONCE = {"cuda": 32 << 20, "cpu": 4 << 20}  # a gigabyte of copies on a GPU


@dataclass(frozen=True, slots=True)
class PlaceImages:
    """P places with V views each, on one device.

    Attributes:
        rgb: Truth, uint8 [P, V, H, W, 3].
        depth_z: Truth in metres, float32 [P, V, H, W].
        c2w: float32 [P, V, 4, 4].
        intrinsics: float32 [P, V, 4].
        anchor_rgb: Raster of the place's own partial anchor, uint8 [P, V, H, W, 3].
        anchor_depth_z: float32 [P, V, H, W]; 0 where uncovered.
        anchor_index: int32 [P, V, H, W]; −1 where uncovered.
        observer: Whether the anchor comes from this view, bool [P, V].
    """

    rgb: Tensor
    depth_z: Tensor
    c2w: Tensor
    intrinsics: Tensor
    anchor_rgb: Tensor
    anchor_depth_z: Tensor
    anchor_index: Tensor
    observer: Tensor

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order of the attributes."""
        return [getattr(self, f.name) for f in fields(self)]

    def map(self, change: Callable[[Tensor], Tensor]) -> PlaceImages:
        """Change every tensor."""
        return PlaceImages(*(change(tensor) for tensor in self.tensors()))


def draw_job(job: SceneJob, config: GeneratorConfig, device: torch.device) -> PlaceImages:
    """Draw all views of a job; on a GPU nothing waits for it."""
    rng = np.random.default_rng(job.seed)
    width, height = config.sizes[job.size]
    truth = _draw_truth(job, width, height, device)
    places, views = job.c2w.shape[:2]
    complete = rng.random() < config.complete_share
    raster = AnchorRaster(
        [job.pyramid], "triton" if device.type == "cuda" else "numba", device=str(device)
    )
    cameras = Camera.unchecked(
        job.c2w.reshape(-1, 4, 4).astype(np.float64),
        job.intrinsics.reshape(-1, 4).astype(np.float64),
        width=width,
        height=height,
    )
    if complete:
        drawn = [raster.render(cameras, np.zeros(places * views, np.int64))]
        observer = torch.zeros((places, views), dtype=torch.bool, device=device)
    else:
        first = config.targets if config.neighbors else 0
        observation = plan_observation(rng, truth, first=first)
        drawn = _draw_observed(raster, cameras, truth, observation)
        observer = observation.observer_mask(views)

    def joined(name: str) -> Tensor:
        parts = [torch.as_tensor(getattr(images, name), device=device) for images in drawn]
        return torch.cat(parts).view(places, views, *parts[0].shape[1:])

    return PlaceImages(
        rgb=truth.rgb,
        depth_z=truth.depth_z,
        c2w=truth.c2w,
        intrinsics=truth.intrinsics,
        anchor_rgb=joined("rgb"),
        anchor_depth_z=joined("depth"),
        anchor_index=joined("index"),
        observer=observer,
    )


def _draw_observed(
    raster: AnchorRaster, cameras: Camera, truth: PosedImages, observation: Observation
) -> list[RasterImages]:
    """Raster of all views, each of its place's own variant of the anchor."""
    places, views = truth.rgb.shape[:2]
    geometry = raster.geometry
    at_once = max(1, _SPLATS_AT_ONCE[geometry.device.type] // (geometry.shape[0] * 16))
    drawn = []
    for start in range(0, places, at_once):
        end = min(start + at_once, places)
        variants = observed_geometry(geometry, truth, observation[start:end])
        drawn.append(
            raster.with_geometry(variants).render(
                cameras[start * views : end * views], np.repeat(np.arange(end - start), views)
            )
        )
    return drawn


def _draw_truth(job: SceneJob, width: int, height: int, device: torch.device) -> PosedImages:
    """Ray cast all views."""
    places, views = job.c2w.shape[:2]
    poses = job.c2w.reshape(-1, 4, 4)
    lenses = job.intrinsics.reshape(-1, 4).copy()
    lenses[:, :2] = 1 / lenses[:, :2]
    scene = np.zeros(len(poses), np.int32)
    if device.type == "cuda":
        from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes

        arrays = (torch.from_numpy(a).to(device, non_blocking=True) for a in (scene, poses, lenses))
        rgb, depth, _ = render_scenes(
            DeviceScenes.upload(job.packed, device), *arrays, width=width, height=height
        )
    else:
        from worldfm_gym.worlds.raycast.cpu import render_packed

        images = render_packed(job.packed, scene, poses, lenses, width=width, height=height)
        rgb, depth = (torch.from_numpy(a) for a in images[:2])
    return PosedImages(
        rgb=rgb.unflatten(0, (places, views)),
        depth_z=depth.unflatten(0, (places, views)),
        c2w=torch.from_numpy(job.c2w).to(device, non_blocking=True),
        intrinsics=torch.from_numpy(job.intrinsics).to(device, non_blocking=True),
    )
