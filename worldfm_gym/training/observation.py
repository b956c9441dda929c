"""Observation: what is left of an anchor when only some views of a place have seen it.

A reconstructed anchor holds the surfaces that its source has seen, with errors of depth and with
parts missing. From a complete anchor's splats this makes such an anchor for each of many places:
splats that no observing view sees are taken out (put at NaN), so are those in random balls, and the
rest moves along the observer's rays by a smooth random field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldfm_gym.anchor.pyramid import DISC_PER_RADIUS
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.training.generator_config import MOST_OBSERVERS
from worldfm_gym.training.scene_job import MAX_DISPLACEMENT_M
from worldfm_gym.training.views import seen_by

OBSERVERS = MOST_OBSERVERS
HOLES, WAVES = 4, 4  # most holes; waves of the depth error
MAX_RADIUS_M = 0.08  # tolerance of coarse splats, which stand for more than they can be far off
_OBSERVER_SHARES = (0.35, 0.4, 0.25)  # 1, 2, 3 observing views
_HOLE_RADIUS_M = (0.08, 0.6)
_WAVELENGTH_M = (0.4, 3.0)
_EXACT_SHARE = 0.35  # of the places: no depth error
_MAX_DEPTH_ERROR = 0.02


@dataclass(frozen=True, slots=True)
class Observation:
    """How P places were observed, on the device.

    Attributes:
        observers: Observing views, as indices into P · V views, repeated where fewer, int32 [P, 3].
        holes: Balls without splats: center x, y, z, squared radius (0 = none), float32 [P, 4, 4].
        waves: Waves of the depth error: wave vector x, y, z in rad/m, phase, float32 [P, 4, 4].
        origin: Where the error has its rays from, and its relative size, float32 [P, 4].
    """

    observers: Tensor
    holes: Tensor
    waves: Tensor
    origin: Tensor

    def __getitem__(self, places: slice) -> Observation:
        return Observation(*(getattr(self, f.name)[places] for f in fields(self)))

    def observer_mask(self, views: int) -> Tensor:
        """Which views observe, bool [P, V]."""
        own = self.observers.long() % views
        mask = torch.zeros((len(own), views), dtype=torch.bool, device=own.device)
        return mask.scatter_(1, own, torch.ones_like(own, dtype=torch.bool))


def plan_observation(
    rng: np.random.Generator, truth: PosedImages, *, first: int = 0
) -> Observation:
    """Choose observers, holes and depth errors of the places of `truth`, dimensions (P, V).

    Observers are views from `first` on.
    """
    places, views = truth.rgb.shape[:2]
    height, width = truth.depth_z.shape[-2:]

    def upload(array: NDArray[Any], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(array).to(dtype).to(truth.rgb.device, non_blocking=True)

    count = 1 + rng.choice(OBSERVERS, places, p=_OBSERVER_SHARES)
    order = rng.permuted(np.tile(np.arange(first, views), (places, 1)), axis=1)[:, :OBSERVERS]
    order = np.where(np.arange(OBSERVERS) < count[:, None], order, order[:, :1])
    foremost = upload(order[:, 0], torch.int64)
    pixel = rng.integers((0, 0), (height, width), (places, HOLES, 2))
    radius = _log_uniform(rng, _HOLE_RADIUS_M, (places, HOLES))
    radius *= rng.random((places, HOLES)) < rng.uniform(0.0, 0.8, (places, 1))
    way = rng.normal(size=(places, WAVES, 3))
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    length = _log_uniform(rng, _WAVELENGTH_M, (places, WAVES, 1))
    phase = rng.uniform(0, 2 * np.pi, (places, WAVES, 1))
    size = rng.uniform(0, _MAX_DEPTH_ERROR, places) * (rng.random(places) >= _EXACT_SHARE)

    row = torch.arange(places, device=truth.rgb.device)
    eye = truth.c2w[row, foremost, :3, 3]
    center = _unprojected(truth, row, foremost, upload(pixel, torch.int64))
    return Observation(
        observers=upload(order + np.arange(places)[:, None] * views, torch.int32).contiguous(),
        holes=torch.cat([center, upload(radius[..., None] ** 2)], dim=-1).contiguous(),
        waves=upload(np.concatenate([way * (2 * np.pi / length), phase], axis=-1)).contiguous(),
        origin=torch.cat([eye, upload(size[:, None])], dim=-1).contiguous(),
    )


def observed_geometry(geometry: Tensor, truth: PosedImages, observation: Observation) -> Tensor:
    """Splats of a complete anchor as each of P places has observed them.

    Args:
        geometry: `SplatPyramid.geometry` as a tensor, [B, 8, 16].
        truth: Views of all places of the scene, leading dimensions (P', V).
        observation: Of P of the places.

    Returns:
        Float32 [P, B, 8, 16], for `AnchorRaster.with_geometry`.
    """
    if geometry.is_cuda:
        from worldfm_gym.training.observation_triton import observe

        return observe(geometry, truth, observation)
    return observe_in_torch(geometry, truth, observation)


def observe_in_torch(geometry: Tensor, truth: PosedImages, observation: Observation) -> Tensor:
    """`observed_geometry` on any device; the compiled version is tested against it."""
    flat = geometry.movedim(1, 0).reshape(8, -1)  # [8, M]
    points, radius, normals = flat[:3].T, flat[3] / float(DISC_PER_RADIUS), flat[4:7].T
    depth, c2w = truth.depth_z.flatten(0, 1), truth.c2w.flatten(0, 1)
    intrinsics = truth.intrinsics.flatten(0, 1)
    out = geometry.repeat(len(observation.observers), 1, 1, 1)
    for p in range(len(out)):
        views = observation.observers[p].long()
        seen = seen_by(
            points,
            radius.clamp(max=MAX_RADIUS_M),
            depth[views],
            c2w[views],
            intrinsics[views],
            normals_world=normals,
        ).any(0)
        for hole in observation.holes[p]:
            seen &= ((points - hole[:3]) ** 2).sum(-1) >= hole[3]
        ray = points - observation.origin[p, :3]
        distance = ray.norm(dim=-1, keepdim=True)
        error = torch.zeros_like(distance)
        for wave in observation.waves[p]:
            error += torch.sin((points * wave[:3]).sum(-1, keepdim=True) + wave[3])
        shift = error * (observation.origin[p, 3] / WAVES) * distance
        shift = shift.clamp(-MAX_DISPLACEMENT_M, MAX_DISPLACEMENT_M)
        moved = points + ray * (shift / distance.clamp(min=1e-3))
        moved = torch.where(seen[:, None], moved, torch.nan)
        out[p, :, :3] = moved.view(len(geometry), -1, 3).mT
    return out


def _log_uniform(
    rng: np.random.Generator, bounds: tuple[float, float], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Numbers between two bounds, as many in each octave."""
    return np.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1]), shape))


def _unprojected(truth: PosedImages, place: Tensor, view: Tensor, pixel: Tensor) -> Tensor:
    """World points behind pixels (v, u) [P, K, 2] of one view of each place, [P, K, 3]."""
    v, u = pixel.unbind(-1)
    depth = truth.depth_z[place[:, None], view[:, None], v, u]
    c2w, lens = truth.c2w[place, view], truth.intrinsics[place, view][:, None]
    ray = torch.stack(
        [
            (u + 0.5 - lens[..., 2]) / lens[..., 0],
            (v + 0.5 - lens[..., 3]) / lens[..., 1],
            torch.ones_like(depth),
        ],
        dim=-1,
    )
    turned = (c2w[:, None, :3, :3] * ray[..., None, :]).sum(-1)
    return c2w[:, None, :3, 3] + depth[..., None] * turned
