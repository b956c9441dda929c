from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tests.worldfm_gym.worlds.furnished_room import cameras, distance_to_surface, furnished_room
from worldfm_gym.camera import Camera, look_at
from worldfm_gym.worlds.raycast import camera_arrays, geometry, materials, noise, render_scene
from worldfm_gym.worlds.raycast.cpu import render_packed
from worldfm_gym.worlds.raycast.packing import concatenate, pack_scene
from worldfm_gym.worlds.raycast.single_source import numba_compiler
from worldfm_gym.worlds.scene import Material, Scene, SceneBuilder, Shape

REPOSITORY = Path(__file__).parents[3]
MATTE = {"material": Material.PAINT, "color": (0.5, 0.5, 0.5)}


def builder() -> SceneBuilder:
    return SceneBuilder(np.random.default_rng(0))


def built(b: SceneBuilder, ambient: float = 0.3) -> Scene:
    return b.build(ambient=[ambient] * 3, floor_rects=[], height=3.0)


def test_the_shared_source_numbers_materials_and_shapes_as_scenes_do() -> None:
    """Shared functions need plain integers, so these stand twice."""
    assert {m.name: getattr(materials, m.name) for m in Material} == {
        m.name: int(m) for m in Material
    }
    assert {s.name: getattr(geometry, s.name) for s in Shape} == {s.name: int(s) for s in Shape}


def mesh_of(scene: Scene, j: int) -> Any:
    """Primitive j as finely tessellated triangles."""
    import open3d as o3d  # not at the top: machines for GPU tests may lack it

    make = o3d.geometry.TriangleMesh
    if scene.shape[j] == Shape.BOX:
        mesh = make.create_box(2, 2, 2).translate((-1, -1, -1))
    elif scene.shape[j] == Shape.CYLINDER:
        mesh = make.create_cylinder(1.0, 2.0, 400, 1)
    else:
        mesh = make.create_sphere(1.0, 200)
    vertices = np.asarray(mesh.vertices) * scene.half_size[j]
    mesh.vertices = o3d.utility.Vector3dVector(vertices @ scene.rotation[j].T + scene.center[j])
    return mesh


def test_depth_and_instance_agree_with_open3d_on_triangles() -> None:
    import open3d as o3d

    scene, views = furnished_room(), cameras()
    oracle, instance_of = o3d.t.geometry.RaycastingScene(), []
    for j in range(len(scene)):
        oracle.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(mesh_of(scene, j)))
        instance_of.append(scene.instance[j])
    rays = views.rays_world()
    origins = np.broadcast_to(views.position_world[:, None, None], rays.shape)
    answer = oracle.cast_rays(
        o3d.core.Tensor(np.concatenate([origins, rays], axis=-1).astype(np.float32))
    )
    _, depth, instance = render_scene(scene, views)
    expected = answer["t_hit"].numpy()
    same = instance == np.array(instance_of)[answer["geometry_ids"].numpy()]
    assert same.mean() > 0.998  # silhouettes of tessellated curves differ
    assert (np.abs(depth / expected - 1)[same] < 1e-3).mean() > 0.9995


def test_depth_lands_on_surfaces() -> None:
    scene, views = furnished_room(), cameras()
    _, depth, _ = render_scene(scene, views)
    assert (depth > 0).all()
    points = views.unproject(depth.astype(np.float64)).reshape(-1, 3)
    assert distance_to_surface(scene, points).max() < 2e-5


@pytest.mark.parametrize(
    ("shape", "expected"), [("box", 2.5), ("cylinder", 2.6), ("ellipsoid", 2.3)]
)
def test_depth_of_one_primitive_straight_ahead(shape: str, expected: float) -> None:
    b = builder()
    with b.object("thing", (3.0, 0.0, 0.0)):
        if shape == "box":
            b.box((0, 0, 0), (1.0, 1.0, 1.0), **MATTE)
        elif shape == "cylinder":
            b.cylinder((0, 0, 0), 0.4, 1.0, **MATTE)
        else:
            b.ellipsoid((0, 0, 0), (1.4, 1.0, 1.0), **MATTE)
    camera = Camera.from_fov(look_at((0, 0, 0), (1, 0, 0)), 90.0, width=33, height=33)
    rgb, depth, instance = render_scene(built(b), camera)
    assert depth[0, 16, 16] == pytest.approx(expected, rel=1e-6)
    assert instance[0, 16, 16] == 1
    assert (depth[0, 0, 0], instance[0, 0, 0], rgb[0, 0, 0].tolist()) == (0.0, -1, [0, 0, 0])


def test_a_camera_inside_a_solid_looks_through_it() -> None:
    b = builder()
    b.box((0, 0, 0), (1.0, 1.0, 1.0), **MATTE)
    b.box((3, 0, 0), (0.2, 9.0, 9.0), **MATTE)
    camera = Camera.from_fov(look_at((0, 0, 0), (1, 0, 0)), 60.0, width=9, height=9)
    assert render_scene(built(b), camera)[1] == pytest.approx(np.full((1, 9, 9), 2.9), rel=1e-6)


def lit_floor(x: float) -> float:
    """Mean level of the floor at (x, 0), under a lamp at 2 m and half a plate at 1 m."""
    b = builder()
    b.box((0, 0, -0.1), (9.0, 9.0, 0.2), material=Material.PAINT, color=(0.5, 0.5, 0.5))
    b.box((-2.0, 0, 1.0), (4.0, 4.0, 0.002), **MATTE)  # its edge is above x = 0
    b.light((0.5, 0.0, 2.0), (1.0, 1.0, 1.0), range_m=6.0)
    eye = (x + 0.001, 0.0, 0.3)
    camera = Camera.from_fov(look_at(eye, (x, 0.0, 0.0)), 10.0, width=8, height=8)
    return float(render_scene(built(b, ambient=0.0), camera)[0].mean())


def test_a_shadow_ends_where_geometry_says_and_softly() -> None:
    edge = -0.5  # the line from the lamp over the plate's edge meets the floor here
    shadow, middle, light = lit_floor(edge - 0.5), lit_floor(edge), lit_floor(edge + 0.5)
    assert shadow < 2
    assert light > 60
    assert shadow < lit_floor(edge - 0.08) < middle < lit_floor(edge + 0.08) < light


def test_corners_get_less_ambient_light() -> None:
    b = builder()
    b.box((0, 0, -0.1), (9.0, 9.0, 0.2), **MATTE)
    b.box((2.1, 0, 1.0), (0.2, 9.0, 2.0), **MATTE)
    levels = []
    for x in (1.98, 1.85, 1.6, 0.5):
        camera = Camera.from_fov(look_at((x - 0.001, 0, 1.0), (x, 0, 0.0)), 5.0, width=8, height=8)
        levels.append(render_scene(built(b), camera)[0].mean())
    assert levels == sorted(levels)
    assert levels[0] < 0.8 * levels[-1]


def test_every_material_has_texture() -> None:
    flat = []
    for material in Material:
        b = builder()
        b.box((2, 0, 0), (0.1, 2.0, 2.0), material=material, color=(0.4, 0.3, 0.2), scale=0.3)
        camera = Camera.from_fov(look_at((0, 0, 0), (1, 0, 0)), 40.0, width=64, height=64)
        rgb = render_scene(built(b, ambient=1.0), camera)[0]
        if rgb.std(axis=(0, 1, 2)).max() < 0.3:
            flat.append(material.name)
    assert flat == ["EMISSIVE"]


def test_the_same_views_give_the_same_bits_alone_and_in_a_batch_of_scenes() -> None:
    scene, views = furnished_room(), cameras(48, 40)
    both = concatenate([pack_scene(built(_boxes(3))), pack_scene(scene)])
    poses, lenses = camera_arrays(views)
    which = np.ones(len(poses), np.int32)
    batch = render_packed(both, which, poses, lenses, width=48, height=40)
    for k in range(len(poses)):
        for one, many in zip(render_scene(scene, views[k : k + 1]), batch, strict=True):
            np.testing.assert_array_equal(one[0], many[k])


def test_lists_of_neighbors_leave_out_nothing_that_matters() -> None:
    scene = furnished_room()
    packed = pack_scene(scene)
    solid = np.flatnonzero(~np.isin(scene.material, (Material.EMISSIVE, Material.WINDOW)))
    everything = {}
    for name, candidates in (("near", np.arange(len(scene))), ("shadow", solid)):
        rows = len(getattr(packed, f"{name}_start")) - 1
        everything[f"{name}_start"] = np.arange(rows + 1, dtype=np.int32) * len(candidates)
        everything[f"{name}_items"] = np.tile(candidates, rows).astype(np.int32)
    poses, lenses = camera_arrays(cameras())
    which = np.zeros(len(poses), np.int32)
    culled, full = (
        render_packed(p, which, poses, lenses, width=96, height=72)[0].astype(int)
        for p in (packed, replace(packed, **everything))
    )
    assert np.abs(culled - full).max() <= 1


def _boxes(count: int) -> SceneBuilder:
    b = builder()
    for k in range(count):
        b.box((k, 0, 0), (0.5, 0.5, 0.5), **MATTE)
        b.light((k, 0, 2), (1, 1, 1), range_m=4.0)
    return b


_distance = numba_compiler()(geometry.signed_distance)
_noise = numba_compiler()(noise.value_noise)


# Shared functions are compiled to be called from kernels: Python has no way into them.
@njit
def compiled_distance(shape, x, y, z, hx, hy, hz):  # type: ignore[no-untyped-def]
    return _distance(shape, x, y, z, hx, hy, hz)


@njit
def compiled_noise(u, v, seed):  # type: ignore[no-untyped-def]
    return _noise(u, v, seed)


finite = st.floats(-20, 20, width=32)
size = st.floats(0.015625, 3, width=32)


@given(finite, finite, finite, size, size, size, st.sampled_from(Shape))
def test_compiled_distance_equals_its_numpy_reading(x, y, z, hx, hy, hz, shape) -> None:  # type: ignore[no-untyped-def]
    numbers = [np.float32(v) for v in (x, y, z, hx, hy, hz)]
    compiled = compiled_distance(np.int32(shape), *numbers)
    assert compiled == pytest.approx(
        float(geometry.signed_distance(np.int32(shape), *numbers)), abs=1e-5, rel=1e-5
    )


@given(finite, finite, st.integers(-(2**31), 2**31 - 1))
def test_compiled_noise_equals_its_numpy_reading(u: float, v: float, seed: int) -> None:
    arguments = np.float32(u), np.float32(v), np.int32(seed)
    assert compiled_noise(*arguments) == pytest.approx(
        float(noise.value_noise(*arguments)), abs=1e-5
    )
    assert -1.0 <= compiled_noise(*arguments) <= 1.0


# A device function runs inside a kernel, whose launch has patched the language already; the
# interpreter patches it again on every call, which takes nine tenths of its time.
INTERPRETED = """
import sys
import numpy as np, torch
from triton.runtime import interpreter
patched = set()
def call(self, *args, **kwargs):
    if id(self.fn.__globals__) not in patched:
        patched.add(id(self.fn.__globals__))
        interpreter._patch_lang(self.fn)
    return self.rewrite()(*args, **kwargs)
interpreter.InterpretedFunction.__call__ = call
from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes
from worldfm_gym.worlds.raycast.packing import PackedScenes
inputs = np.load(sys.argv[1])
packed = PackedScenes(*(inputs[name] for name in PackedScenes.__slots__))
views = [torch.from_numpy(inputs[name]) for name in ("scene", "poses", "lenses")]
rgb, depth, instance = render_scenes(DeviceScenes.upload(packed, "cpu"), *views,
                                     width=20, height=12)
np.savez(sys.argv[2], rgb=rgb, depth=depth, instance=instance)
"""


def corner_of_everything() -> Scene:
    """All shapes under two lights, small enough for an interpreter."""
    b = builder()
    b.box((0, 0, -0.1), (4, 4, 0.2), material=Material.PLANKS, color=(0.6, 0.4, 0.2), scale=0.16)
    b.box((1.5, 0, 1), (0.1, 4, 2), material=Material.BRICK, color=(0.3, 0.1, 0.06), scale=0.22)
    with b.object("things", (0.6, 0.0, 0.0), 0.3):
        b.cylinder((0, 0.5, 0.3), 0.15, 0.6, material=Material.METAL, color=(0.5, 0.5, 0.5))
        b.ellipsoid(
            (0, -0.4, 0.3), (0.5, 0.4, 0.6), material=Material.FOLIAGE, color=(0.1, 0.2, 0.1)
        )
        b.box(
            (0.3, 0, 0.4), (0.2, 0.3, 0.8), material=Material.WOOD, color=(0.5, 0.3, 0.2), scale=0.1
        )
    b.light((-0.5, 0.5, 1.8), (1.0, 0.9, 0.8), range_m=5.0)
    b.light((0.5, -1.0, 1.5), (0.4, 0.5, 0.6), range_m=3.0)
    return built(b)


def assert_agree(gpu: dict[str, np.ndarray], cpu: tuple[np.ndarray, ...]) -> None:
    rgb, depth, instance = cpu
    same = gpu["instance"] == instance
    assert same.mean() >= 0.999
    np.testing.assert_allclose(gpu["depth"][same], depth[same], rtol=1e-4)
    assert (np.abs(gpu["rgb"].astype(int) - rgb.astype(int)).max(-1) <= 2).mean() >= 0.999


def test_the_triton_kernels_draw_what_the_cpu_draws(tmp_path: Path) -> None:
    packed = concatenate([pack_scene(built(_boxes(2))), pack_scene(corner_of_everything())])
    view = Camera.from_fov(look_at((-1.2, 0.2, 0.9), (1, 0, 0.3)), 80.0, width=20, height=12)
    poses, lenses = camera_arrays(view)
    scene = np.ones(1, np.int32)
    arrays = {name: getattr(packed, name) for name in type(packed).__slots__}
    np.savez(tmp_path / "in.npz", **arrays, scene=scene, poses=poses, lenses=lenses)
    (tmp_path / "draw.py").write_text(INTERPRETED)
    command = [sys.executable, tmp_path / "draw.py", tmp_path / "in.npz", tmp_path / "out.npz"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    drawn = dict(np.load(tmp_path / "out.npz"))
    cpu = render_packed(packed, scene, poses, lenses, width=20, height=12)
    assert set(np.unique(cpu[2])) >= {0, 1}
    assert_agree(drawn, cpu)


@pytest.mark.gpu
def test_the_gpu_draws_what_the_cpu_draws() -> None:
    import torch

    from worldfm_gym.worlds.raycast.gpu import DeviceScenes, render_scenes

    packed, views = pack_scene(furnished_room()), cameras(128, 128)
    poses, lenses = camera_arrays(views)
    scene = np.zeros(len(poses), np.int32)
    tensors = [torch.from_numpy(a).cuda() for a in (scene, poses, lenses)]
    images = render_scenes(DeviceScenes.upload(packed, "cuda"), *tensors, width=128, height=128)
    gpu = dict(zip(("rgb", "depth", "instance"), (i.cpu().numpy() for i in images), strict=True))
    assert_agree(gpu, render_packed(packed, scene, poses, lenses, width=128, height=128))
