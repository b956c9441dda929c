"""Scene job: all that a device needs to make the samples of one procedural world."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.pyramid import SplatPyramid, build_pyramid
from worldfm_gym.errors import SourceError
from worldfm_gym.training.generator_config import TRAINING_SEEDS, GeneratorConfig
from worldfm_gym.training.views import plan_places
from worldfm_gym.worlds.procedural import build_scene
from worldfm_gym.worlds.raycast.packing import PackedScenes, pack_scene
from worldfm_gym.worlds.sampling import anchor_from_scene

MAX_DISPLACEMENT_M = 0.15
"""How far training may move a splat from where the anchor has it."""
_TRIES = 5
_HALLS = ("factory", "warehouse")
_GOLDEN = 0.6180339887498949  # spreads sizes evenly over any run of jobs


@dataclass(frozen=True, slots=True)
class SceneJob:
    """One world and P × V planned views of it.

    Attributes:
        packed: The scene, for the ray casters.
        pyramid: Its complete anchor at rest in a single body, with room in the cells' bounds for
            displaced splats.
        c2w: float32 [P, V, 4, 4].
        intrinsics: float32 [P, V, 4].
        size: Index into `GeneratorConfig.sizes`.
        seed: Seed of the random choices that are left for the device.
    """

    packed: PackedScenes
    pyramid: SplatPyramid
    c2w: NDArray[np.float32]
    intrinsics: NDArray[np.float32]
    size: int
    seed: int


def make_job(config: GeneratorConfig, *, seed: int, rank: int, index: int) -> SceneJob:
    """Make the job of a given index; a pure function of its arguments."""
    rng = np.random.default_rng([seed, rank, index])
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SourceError):  # no room for cameras: take another world
            return _try_job(config, rng, index)
    return _try_job(config, rng, index)


def _try_job(config: GeneratorConfig, rng: np.random.Generator, index: int) -> SceneJob:
    """Make a job of the next world that `rng` comes up with."""
    kind = config.kinds[index % len(config.kinds)]
    size = size_of_job(config, index)
    width, height = config.sizes[size]
    first = TRAINING_SEEDS if config.held_out else 0
    scene = build_scene(kind, seed=first + int(rng.integers(TRAINING_SEEDS)))
    c2w, intrinsics = plan_places(
        scene,
        rng,
        places=config.places,
        views=config.views,
        pairs=config.targets // 2 if config.neighbors else 0,
        width=width,
        height=height,
    )
    spacing_m = float(np.exp(rng.uniform(*np.log(config.spacing_m))))
    anchor = anchor_from_scene(scene, spacing_m=spacing_m * (1.5 if kind in _HALLS else 1.0))
    return SceneJob(
        packed=pack_scene(scene),
        pyramid=_at_rest(build_pyramid(anchor, scene.objects)),
        c2w=c2w,
        intrinsics=intrinsics,
        size=size,
        seed=int(rng.integers(1 << 31)),
    )


def size_of_job(config: GeneratorConfig, index: int) -> int:
    """Index of the image size of a job."""
    edges = np.cumsum(config.size_shares) / np.sum(config.size_shares)
    return min(int(np.searchsorted(edges, (index * _GOLDEN) % 1.0, "right")), len(edges) - 1)


def _at_rest(pyramid: SplatPyramid) -> SplatPyramid:
    """The same splats in the background's body, in cells with room for displacement."""
    attributes, sphere = pyramid.attributes.copy(), pyramid.cell_sphere.copy()
    cone, group = pyramid.cell_cone.copy(), pyramid.group_sphere.copy()
    attributes[:, 3] = 0
    for reach in (sphere[:, 3], group[:, 3], cone[:, 5]):
        reach += MAX_DISPLACEMENT_M * 1.01
    return replace(
        pyramid,
        attributes=attributes,
        cell_sphere=sphere,
        cell_cone=cone,
        cell_body=np.zeros_like(pyramid.cell_body),
        group_sphere=group,
        inverse_rest=np.empty((0, 4, 4)),
    )
