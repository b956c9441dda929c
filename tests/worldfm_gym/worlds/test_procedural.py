"""Procedural scenes are reproducible, closed, walkable and physically sensible, for many seeds."""

import hashlib
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from worldfm_gym.errors import SourceError
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.scene import Material, Scene, Shape

SEEDS = range(8)
AGENT_RADIUS_M = 0.18
GRID_M = 0.05
SCENES = [pytest.param(kind, seed, id=f"{kind}-{seed}") for kind in KINDS for seed in SEEDS]
MOST_PRIMITIVES = {"rooms": 1000, "factory": 1200, "warehouse": 1200, "maze": 400}
BUILT_INTO_WALLS = {"window", "door"}

cached_scene = cache(build_scene)


def digest(scene: Scene) -> str:
    """Hash of every array and object of a scene."""
    total = hashlib.sha256()
    for field in fields(scene):
        value = getattr(scene, field.name)
        if isinstance(value, np.ndarray):
            total.update(value.tobytes())
    for thing in scene.objects:
        total.update(f"{thing.instance} {thing.category} {thing.movable}".encode())
        total.update(thing.pose.tobytes() + thing.size.tobytes())
    return total.hexdigest()


def test_a_seed_gives_the_same_scene_in_another_process():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_procedural import *\n"
        "print(*[digest(build_scene(kind, seed=7)) for kind in KINDS])"
    )
    folder = str(Path(__file__).parent)
    result = subprocess.run(
        [sys.executable, "-c", program, folder], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [digest(build_scene(kind, seed=7)) for kind in KINDS]


def test_seeds_and_kinds_give_different_scenes():
    digests = {digest(cached_scene(kind, seed=seed)) for kind in KINDS for seed in SEEDS}
    assert len(digests) == len(KINDS) * len(SEEDS)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("castle", {"seed": 0}, "rooms"),
        ("rooms", {"seed": 0, "towers": 3}, "room_count"),
        ("rooms", {"seed": 0, "room_count": 40}, "4…7"),
        ("rooms", {"seed": -1}, "≥ 0"),
        ("rooms", {"seed": 1.5}, "integer"),
        ("factory", {"seed": 0, "ceiling_m": 1.0}, "ceiling_m"),
        ("warehouse", {"seed": 0, "fill": 2.0}, "fill"),
        ("maze", {"seed": 0, "braid": -0.1}, "braid"),
    ],
)
def test_bad_requests_say_what_would_be_good(kind, arguments, message):
    with pytest.raises(SourceError, match=message):
        build_scene(kind, **arguments)


def test_options_are_kept():
    maze = build_scene("maze", seed=1, columns=4, rows=3, cell_m=2.0, ceiling_m=3.0)
    assert maze.height == 3.0
    np.testing.assert_allclose(maze.floor_rects[:, 2].max(), 8.0, atol=0.1)
    np.testing.assert_allclose(maze.floor_rects[:, 3].max(), 6.0, atol=0.1)
    small, large = (build_scene("rooms", seed=2, area_m2=area) for area in (60.0, 140.0))
    assert floor_area(small) == pytest.approx(60, rel=0.1)
    assert floor_area(large) == pytest.approx(140, rel=0.1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63), kind=st.sampled_from(KINDS))
def test_any_seed_builds_valid_arrays(seed, kind):
    scene = build_scene(kind, seed=seed)
    count = len(scene)
    assert 50 < count <= MOST_PRIMITIVES[kind]
    assert scene.center.shape == scene.half_size.shape == scene.color.shape == (count, 3)
    for name in ("center", "rotation", "half_size", "color", "accent", "scale", "light_color"):
        assert np.isfinite(getattr(scene, name)).all(), name
    assert (scene.half_size > 0).all()
    assert (scene.scale > 0).all()
    assert (scene.color >= 0).all()
    assert (scene.color <= 1).all()
    gram = np.swapaxes(scene.rotation, 1, 2) @ scene.rotation
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-5)
    assert set(scene.shape) <= set(Shape)
    assert set(scene.material) <= set(Material)


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_instances_are_numbered_and_their_boxes_hold_their_parts(kind, seed):
    scene = cached_scene(kind, seed=seed)
    assert [thing.instance for thing in scene.objects] == list(range(1, len(scene.objects) + 1))
    assert set(scene.instance) == set(range(len(scene.objects) + 1))
    for thing in scene.objects:
        own = scene.instance == thing.instance
        rotation = thing.pose[:3, :3]
        middle = (scene.center[own] - thing.pose[:3, 3]) @ rotation
        relative = rotation.T @ scene.rotation[own]
        reach = (np.abs(relative) @ scene.half_size[own][..., None])[..., 0]
        assert (np.abs(middle) + reach <= thing.size / 2 + 1e-4).all(), thing.category


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_no_ray_leaves_the_scene(kind, seed):
    scene = cached_scene(kind, seed=seed)
    rng = np.random.default_rng(seed)
    origins = []
    for x0, y0, x1, y1 in scene.floor_rects:
        x, y, z = rng.uniform((x0, y0, 0.05), (x1, y1, scene.height - 0.05))
        origins.append((x, y, z))
    origins = np.array(origins)[rng.choice(len(origins), 8)]
    directions = rng.normal(size=(8, 60, 3))
    assert hits_a_box(scene, np.repeat(origins, 60, axis=0), directions.reshape(-1, 3)).all()


def hits_a_box(scene: Scene, origins, directions):
    """Whether rays [N, 3] hit, from outside or inside, any box (slab method)."""
    boxes = scene.shape == Shape.BOX
    to_local = np.swapaxes(scene.rotation[boxes], 1, 2).astype(float)
    offset = origins[:, None] - scene.center[boxes]  # [N, P, 3]
    local_origin = np.einsum("pij,npj->npi", to_local, offset)
    local_direction = np.einsum("pij,nj->npi", to_local, directions)
    local_direction[np.abs(local_direction) < 1e-12] = 1e-12
    half = scene.half_size[boxes]
    a, b = ((sign * half - local_origin) / local_direction for sign in (-1, 1))
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return ((enter < leave) & (leave > 0)).any(axis=1)


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_every_floor_can_be_walked_to(kind, seed):
    scene = cached_scene(kind, seed=seed)
    free, to_cell = walkable(scene)
    regions, _ = label(free)
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    main = sizes.argmax()
    assert sizes[main] > 0.9 * sizes.sum()
    for x0, y0, x1, y1 in scene.floor_rects:
        (i0, k0), (i1, k1) = to_cell(x0, y0), to_cell(x1, y1)
        assert (regions[i0 : i1 + 1, k0 : k1 + 1] == main).any(), (x0, y0, x1, y1)


def walkable(scene: Scene):
    """Grid of where an agent's middle may be, from exact distances to all obstacles."""
    low = scene.floor_rects[:, :2].min(axis=0).astype(float)
    high = scene.floor_rects[:, 2:].max(axis=0)
    shape = np.ceil((high - low) / GRID_M).astype(int)
    x, y = (low[i] + (np.arange(shape[i]) + 0.5) * GRID_M for i in (0, 1))
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    free = np.zeros(shape, bool)
    for x0, y0, x1, y1 in scene.floor_rects:
        free |= ((grid >= (x0, y0)) & (grid <= (x1, y1))).all(axis=-1)
    for center, rotation, half in obstacles(scene):
        reach = np.abs(rotation) @ half + AGENT_RADIUS_M
        i0, k0 = np.maximum(((center - reach - low) / GRID_M).astype(int), 0)
        i1, k1 = ((center + reach - low) / GRID_M).astype(int) + 1
        local = np.abs((grid[i0:i1, k0:k1] - center) @ rotation)
        gap = np.linalg.norm(np.maximum(local - half, 0), axis=-1)
        free[i0:i1, k0:k1] &= gap > AGENT_RADIUS_M
    return free, lambda a, b: tuple(((np.array((a, b)) - low) / GRID_M).astype(int))


def obstacles(scene: Scene):
    """(center, rotation, half size) in the floor plane of what an agent would bump into."""
    for thing in scene.objects:
        z, tall = thing.pose[2, 3], thing.size[2]
        if z - tall / 2 < 1.7 and z + tall / 2 > 0.05:
            yield thing.pose[:2, 3], thing.pose[:2, :2], thing.size[:2] / 2
    background = scene.instance == 0
    for center, rotation, half in background_boxes(scene, background):
        if center[2] - half[2] < 1.7 and center[2] + half[2] > 0.05:
            yield center[:2], rotation[:2, :2], half[:2]


def background_boxes(scene: Scene, chosen):
    """(center, rotation about z, half size) around the chosen primitives."""
    for i in np.flatnonzero(chosen):
        rotation = scene.rotation[i].astype(float)
        upright = abs(rotation[2, 2]) > 0.999
        half = scene.half_size[i].astype(float)
        if not upright:
            half = np.abs(rotation) @ half
            rotation = np.eye(3)
        yield scene.center[i].astype(float), rotation, half


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_things_do_not_overlap(kind, seed):
    scene = cached_scene(kind, seed=seed)
    things = [(t.pose[:3, 3], t.pose[:3, :3], t.size / 2) for t in scene.objects]
    for i, first in enumerate(things):
        for k in range(i):
            depth = penetration(first, things[k])
            pair = (scene.objects[i].category, scene.objects[k].category)
            assert depth < 0.02, f"{pair} overlap by {depth:.3f} m"


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_things_are_not_in_walls(kind, seed):
    scene = cached_scene(kind, seed=seed)
    walls = list(background_boxes(scene, scene.instance == 0))
    for thing in scene.objects:
        if thing.category in BUILT_INTO_WALLS:
            continue
        box = (thing.pose[:3, 3], thing.pose[:3, :3], thing.size / 2)
        for wall in walls:
            depth = penetration(box, wall)
            assert depth < 0.02, f"{thing.category} is {depth:.3f} m in something at {wall[0]}"


@pytest.mark.parametrize(("kind", "seed"), SCENES)
def test_things_stand_or_hang(kind, seed):
    scene = cached_scene(kind, seed=seed)
    solid = [(t.pose[:3, 3], t.pose[:3, :3], t.size / 2) for t in scene.objects]
    solid += background_boxes(scene, scene.instance == 0)
    for i, thing in enumerate(scene.objects):
        bottom = thing.pose[2, 3] - thing.size[2] / 2
        assert bottom > -0.01, thing.category
        if bottom < 0.02:
            continue
        grown = (thing.pose[:3, 3], thing.pose[:3, :3], thing.size / 2 + 0.03)
        touches = any(penetration(grown, other) > 0 for k, other in enumerate(solid) if k != i)
        assert touches, f"{thing.category} floats at {thing.pose[:3, 3]}"


@pytest.mark.parametrize("seed", SEEDS)
def test_doorways_are_wide_enough(seed):
    scene = cached_scene("rooms", seed=seed)
    sides = np.sort(scene.floor_rects[:, 2:] - scene.floor_rects[:, :2], axis=1)
    thresholds = sides[sides[:, 0] < 0.2]
    assert len(thresholds) >= (sides[:, 0] >= 0.2).sum() - 1
    assert (thresholds[:, 1] >= 0.9).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_apartments_have_what_people_need(seed):
    scene = cached_scene("rooms", seed=seed)
    found = {thing.category for thing in scene.objects}
    assert {"bed", "toilet", "washbasin", "sink", "window", "door", "ceiling_lamp"} <= found
    assert 68 <= floor_area(scene) <= 122
    rooms = (scene.floor_rects[:, 2:] - scene.floor_rects[:, :2]).min(axis=1) > 0.2
    assert 4 <= rooms.sum() <= 7


def floor_area(scene: Scene) -> float:
    return float((scene.floor_rects[:, 2:] - scene.floor_rects[:, :2]).prod(axis=1).sum())


def penetration(a, b) -> float:
    """How deep two upright boxes overlap (separating axes); ≤ 0 where they don't."""
    (center_a, rotation_a, half_a), (center_b, rotation_b, half_b) = a, b
    offset = center_b - center_a
    depth = half_a[2] + half_b[2] - abs(offset[2])
    if depth <= 0 or np.hypot(*offset[:2]) > np.hypot(*half_a[:2]) + np.hypot(*half_b[:2]):
        return min(depth, 0.0)
    for axis in (*rotation_a.T[:2], *rotation_b.T[:2]):
        reach_a = np.abs(axis[:2] @ rotation_a[:2, :2]) @ half_a[:2]
        reach_b = np.abs(axis[:2] @ rotation_b[:2, :2]) @ half_b[:2]
        depth = min(depth, reach_a + reach_b - abs(axis[:2] @ offset[:2]))
    return float(depth)
