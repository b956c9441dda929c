"""Evaluation views: fixed views of procedural worlds that no training has seen, and their truth.

A world stands for one place of a scene. Of four frames taken there, the world's references, one to
three have built its anchor, by way of noisy depth and with pieces missing; the others remember what
the anchor lacks. Its views look at the place from elsewhere. They are chosen so that the share of
a view that the anchor covers spreads evenly over 30…95 %.

Everything is made on the CPU, so that the views are the same on every machine.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.pyramid import build_pyramid
from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera
from worldfm_gym.errors import ConfigError
from worldfm_gym.threads import num_threads
from worldfm_gym.training.generator_config import TRAINING_SEEDS
from worldfm_gym.training.views import neighboring, plan_places, visible_points
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.raycast import camera_arrays
from worldfm_gym.worlds.raycast.cpu import render_packed
from worldfm_gym.worlds.raycast.packing import PackedScenes, pack_scene
from worldfm_gym.worlds.sampling import anchor_from_scene
from worldfm_gym.worlds.scene import Scene
from worldfm_gym.worlds.world import Reference, World

FIRST_SEED = TRAINING_SEEDS  # training draws its worlds from the seeds below
REFERENCES, PLACE_VIEWS, SCENE_PLACES = 4, 4, 2
COVERAGE = (0.30, 0.95)

_REFERENCE_SIDE_PX = 128
_CANDIDATES = 48
_ATTEMPTS = 8
_CLOSE_ENOUGH = 0.02  # of the wanted coverage
_SPACING_M = (0.05, 0.10)
_DEPTH_NOISE = 0.02
_HOLES, _HOLE_RADIUS_M = 4, (0.15, 0.5)


@dataclass(frozen=True, slots=True)
class EvaluationViews:
    """V views of W worlds, and what should be seen there.

    Attributes:
        name: What the views are of.
        worlds: With references; without a navigation map.
        scene: World of each view, int64 [V].
        cameras: Batch shape (V,).
        rgb: Truth, uint8 [V, H, W, 3].
        depth_z: Its z-depth in metres, float32 [V, H, W]; 0 where unknown.
        neighbors: The same for one view next to each, or None where there is no exact depth to tell
            which of its pixels show the same surface.
    """

    name: str
    worlds: list[World]
    scene: NDArray[np.int64]
    cameras: Camera
    rgb: NDArray[np.uint8]
    depth_z: NDArray[np.float32]
    neighbors: EvaluationViews | None = None

    def __len__(self) -> int:
        return len(self.scene)


def procedural_views(
    count: int = 512, *, size: int = 128, seed: int = 0, workers: int | None = None
) -> EvaluationViews:
    """The evaluation views of procedural worlds; the same arguments give the same views.

    Args:
        count: Number of views, a multiple of 16: four of each kind of world.
        size: Width and height in pixels.
        seed: Another number gives other worlds and views.
        workers: Processes that build scenes; None takes one for each core, 0 none.

    Raises:
        ConfigError: If `count` is not a positive multiple of 16 or `seed` is negative.
    """
    if count < 1 or count % (PLACE_VIEWS * len(KINDS)):
        raise ConfigError(
            f"the number of evaluation views must be a multiple of {PLACE_VIEWS * len(KINDS)} "
            f"({PLACE_VIEWS} of each kind of world), got {count}"
        )
    if seed < 0:
        raise ConfigError(f"seed must not be negative, got {seed}: below 0 lie training's worlds")
    tasks = _tasks(count, size=size, seed=seed)
    workers = min(num_threads(), len(tasks) - 1) if workers is None else workers
    places = list(chain.from_iterable(_build_all(tasks, workers)))
    return EvaluationViews(
        name="procedural worlds",
        worlds=[place.worlds[0] for place in places],
        scene=np.repeat(np.arange(len(places)), PLACE_VIEWS),
        cameras=_joined([place.cameras for place in places]),
        rgb=np.concatenate([place.rgb for place in places]),
        depth_z=np.concatenate([place.depth_z for place in places]),
        neighbors=_joined_neighbors(places),
    )


@dataclass(frozen=True, slots=True)
class _SceneTask:
    """A scene to build, and the coverage wanted of each view of each of its places."""

    kind: str
    seed: int
    size: int
    coverage: NDArray[np.float64]  # [places, PLACE_VIEWS]


def _tasks(count: int, *, size: int, seed: int) -> list[_SceneTask]:
    """Scenes of all kinds in turn, and stratified coverage: every place has low and high ones."""
    places = count // PLACE_VIEWS
    low, high = COVERAGE
    levels = low + (high - low) * (np.arange(count) + 0.5) / count
    # Within a kind, too, levels are spread evenly: kinds take turns, and so do the levels.
    coverage = levels.reshape(PLACE_VIEWS, places).T
    tasks = []
    for index, kind in enumerate(KINDS):
        own = coverage[index :: len(KINDS)]
        for number, start in enumerate(range(0, len(own), SCENE_PLACES)):
            scene_seed = FIRST_SEED + 1_000_000 * seed + number
            tasks.append(_SceneTask(kind, scene_seed, size, own[start : start + SCENE_PLACES]))
    return tasks


def _build_all(tasks: list[_SceneTask], workers: int) -> Iterator[list[EvaluationViews]]:
    """Build every scene's places, in the order of the tasks."""
    # The first one here: it compiles what the others then find in the cache.
    yield _build(tasks[0])
    if workers <= 0:
        yield from map(_build, tasks[1:])
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(_build, tasks[1:])


def _one_thread() -> None:
    """Processes share the cores among themselves."""
    import torch

    os.environ["WORLDFM_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def _build(task: _SceneTask) -> list[EvaluationViews]:
    """The places of one scene, each an `EvaluationViews` of one world."""
    rng = np.random.default_rng([task.seed, KINDS.index(task.kind)])
    scene = build_scene(task.kind, seed=task.seed)
    packed = pack_scene(scene)
    complete = anchor_from_scene(scene, spacing_m=rng.uniform(*_SPACING_M))
    places = []
    for place, coverage in enumerate(task.coverage):
        source = {"kind": task.kind, "seed": task.seed, "place": place}
        places.append(_build_place(scene, packed, complete, coverage, source, task.size, rng))
    return places


def _build_place(
    scene: Scene,
    packed: PackedScenes,
    complete: Anchor,
    coverage: NDArray[np.float64],
    source: dict[str, object],
    size: int,
    rng: np.random.Generator,
) -> EvaluationViews:
    """One place whose views are covered about as much as wanted."""
    c2w, lenses = plan_places(
        scene, rng, places=1, views=REFERENCES + _CANDIDATES, width=size, height=size
    )
    cameras = Camera(c2w[0].astype(np.float64), lenses[0].astype(np.float64), size, size)
    taken = cameras[:REFERENCES].resized(_REFERENCE_SIDE_PX, _REFERENCE_SIDE_PX)
    rgb, depth_z = _draw(packed, taken)
    references = [Reference(rgb[i], depth_z[i], taken[i]) for i in range(REFERENCES)]
    best, anchor, views = np.inf, complete, np.arange(len(coverage))
    for _ in range(_ATTEMPTS):
        observers = rng.permutation(REFERENCES)[: rng.integers(1, REFERENCES)]
        seen = observed(complete, [references[i] for i in observers], rng)
        if seen is None:
            continue
        raster = AnchorRaster([build_pyramid(seen)])
        candidates = cameras[REFERENCES:]
        images = raster.render(candidates, np.zeros(_CANDIDATES, np.int64))
        chosen, error = _nearest(images.coverage.mean(axis=(1, 2)), coverage)
        if error < best:
            best, anchor, views = error, seen, chosen
        if best < _CLOSE_ENOUGH:
            break
    world = World(
        anchor=anchor,
        references=references,
        objects=[],
        nav=None,
        nav_problem="it is for looking at only",
        start_c2w=cameras.c2w[0],
        source=source,
    )
    chosen_cameras = cameras[REFERENCES:][views]
    return _with_truth(
        world, packed, chosen_cameras, _with_truth(world, packed, neighbors_of(chosen_cameras, rng))
    )


def _with_truth(
    world: World,
    packed: PackedScenes,
    cameras: Camera,
    neighbors: EvaluationViews | None = None,
) -> EvaluationViews:
    """Views of one world with what should be seen in them."""
    rgb, depth_z = _draw(packed, cameras)
    scene = np.zeros(len(rgb), np.int64)
    return EvaluationViews("", [world], scene, cameras, rgb, depth_z, neighbors)


def observed(
    complete: Anchor, observers: list[Reference], rng: np.random.Generator
) -> Anchor | None:
    """What reconstruction from some frames would leave of a scene's surfaces.

    Points that no frame sees are left out, and so are those in a few random balls; the rest moves
    along the first frame's rays by up to 3 % of its distance, smoothly, as depth estimates err.

    Args:
        complete: All surfaces.
        observers: Frames that saw it, one or more of one size.
        rng: Source of randomness.

    Returns:
        What is left, or None if nothing is.
    """
    import torch

    from worldfm_gym.frame_model.conditioning import PosedImages

    frames = PosedImages(
        rgb=torch.from_numpy(np.stack([r.rgb for r in observers])),
        depth_z=torch.from_numpy(np.stack([r.depth for r in observers])),
        c2w=torch.from_numpy(np.stack([r.camera.c2w for r in observers]).astype(np.float32)),
        intrinsics=torch.from_numpy(
            np.stack([r.camera.intrinsics for r in observers]).astype(np.float32)
        ),
    )
    points, radius, normals = (
        torch.tensor(a) for a in (complete.points, complete.radius, complete.normals)
    )
    keep = visible_points(points, radius, frames, normals_world=normals).numpy()
    for _ in range(rng.integers(_HOLES + 1) if keep.any() else 0):
        middle = complete.points[rng.choice(np.flatnonzero(keep))]
        hole = np.linalg.norm(complete.points - middle, axis=1) < rng.uniform(*_HOLE_RADIUS_M)
        keep &= ~hole
        if not keep.any():
            break
    if not keep.any():
        return None
    seen = complete[keep]
    eye = observers[0].camera.position_world
    error = _smooth_error(seen.points, rng) * rng.uniform(0.0, _DEPTH_NOISE)
    moved = eye + (seen.points - eye) * (1 + error[:, None])
    return Anchor.from_points(
        moved, seen.colors, normals=seen.normals, instance=seen.instance, radius=seen.radius
    )


def neighbors_of(cameras: Camera, rng: np.random.Generator) -> Camera:
    """Each camera moved by 10 cm and turned by 3° in random directions."""
    c2w = np.asarray(neighboring(cameras.c2w, rng), np.float64)
    return Camera(c2w, cameras.intrinsics, cameras.width, cameras.height)


def _smooth_error(
    points_world: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A smooth random function of position, about −1…1, [N, 3] to [N]."""
    waves = rng.normal(0.0, 2.0, (4, 3))  # radians per metre
    phase = rng.uniform(0.0, 2 * np.pi, 4)
    return np.asarray(np.sin(points_world @ waves.T + phase).mean(axis=1) * np.sqrt(2))


def _nearest(
    coverage: NDArray[np.floating], wanted: NDArray[np.float64]
) -> tuple[NDArray[np.int64], float]:
    """A candidate for each wanted coverage, none twice, and the largest miss."""
    left = np.asarray(coverage, np.float64).copy()
    chosen = np.empty(len(wanted), np.int64)
    misses = np.empty(len(wanted))
    for i, level in enumerate(wanted):
        chosen[i] = int(np.abs(left - level).argmin())
        misses[i] = abs(left[chosen[i]] - level)
        left[chosen[i]] = np.inf
    return chosen, float(misses.max())


def _draw(packed: PackedScenes, cameras: Camera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Truth of one scene's cameras."""
    poses, lenses = camera_arrays(cameras)
    rgb, depth_z, _ = render_packed(
        packed,
        np.zeros(len(poses), np.int32),
        poses,
        lenses,
        width=cameras.width,
        height=cameras.height,
    )
    return rgb, depth_z


def _joined(cameras: list[Camera]) -> Camera:
    """One batch of all cameras."""
    return Camera.unchecked(
        np.concatenate([c.c2w for c in cameras]),
        np.concatenate([c.intrinsics for c in cameras]),
        width=cameras[0].width,
        height=cameras[0].height,
    )


def _joined_neighbors(places: list[EvaluationViews]) -> EvaluationViews:
    """The neighbors of all places' views."""
    parts = [place.neighbors for place in places if place.neighbors is not None]
    return EvaluationViews(
        name="their neighbors",
        worlds=[part.worlds[0] for part in parts],
        scene=np.repeat(np.arange(len(parts)), PLACE_VIEWS),
        cameras=_joined([part.cameras for part in parts]),
        rgb=np.concatenate([part.rgb for part in parts]),
        depth_z=np.concatenate([part.depth_z for part in parts]),
    )
