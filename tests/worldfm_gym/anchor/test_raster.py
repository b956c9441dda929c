"""The raster: all backends agree with the oracle, and the oracle with the geometry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from worldfm_gym.anchor import Anchor, WorldObject
from worldfm_gym.anchor.pyramid import SplatPyramid, build_pyramid
from worldfm_gym.anchor.raster import AnchorRaster, Backend, RasterImages
from worldfm_gym.camera import Camera, heading_c2w, intrinsics_from_fov, rotation_exp

FIELDS = ("rgb", "depth", "instance", "provenance", "index")


def inside(count: int, *, width: int = 48, height: int = 40, seed: int = 0) -> Camera:
    """Cameras in the 4 × 3 × 2.4 m room that look anywhere."""
    rng = np.random.default_rng(seed)
    c2w = heading_c2w(
        rng.uniform((0.3, 0.3, 0.3), (3.7, 2.7, 2.1), (count, 3)),
        rng.uniform(-np.pi, np.pi, count),
        rng.uniform(-1.2, 1.2, count),
    )
    c2w[:, :3, :3] = c2w[:, :3, :3] @ rotation_exp(rng.normal(0, 0.3, (count, 3)))
    return Camera(c2w, intrinsics_from_fov(90, width=width, height=height), width, height)


def assert_same(fast: RasterImages, oracle: RasterImages) -> None:
    for name in FIELDS:
        a, b = np.asarray(getattr(fast, name)), np.asarray(getattr(oracle, name))
        if name == "depth":
            np.testing.assert_allclose(a, b, rtol=1e-4)
        else:
            assert np.array_equal(a, b), name


@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from([(48, 40), (33, 65), (8, 8), (100, 7)]))
@settings(max_examples=20, deadline=None)
def test_numba_equals_oracle(pyramid: SplatPyramid, seed: int, side: tuple[int, int]) -> None:
    cameras = inside(2, width=side[0], height=side[1], seed=seed)
    scene = np.zeros(2, np.int64)
    assert_same(
        AnchorRaster([pyramid]).render(cameras, scene),
        AnchorRaster([pyramid], "torch").render(cameras, scene),
    )


def test_numba_equals_oracle_from_outside_and_far_away(pyramid: SplatPyramid) -> None:
    """Backs of walls, coarse levels, and points beside, behind and just before the camera."""
    positions = np.array([[-3.0, 1.5, 1.2], [2.0, 1.5, 9.0], [40.0, 30.0, 5.0], [0.0, 0.0, 0.0]])
    yaw = np.arctan2(1.5 - positions[:, 1], 2.0 - positions[:, 0])
    c2w = heading_c2w(positions, yaw, [0.0, -1.5, -0.1, 0.5])
    cameras = Camera(c2w, intrinsics_from_fov(60, width=64, height=48), 64, 48)
    scene = np.zeros(4, np.int64)
    fast = AnchorRaster([pyramid]).render(cameras, scene)
    assert fast.coverage[:3].any(axis=(1, 2)).all()
    assert_same(fast, AnchorRaster([pyramid], "torch").render(cameras, scene))


def test_worlds_and_moved_objects_in_one_call(
    room: tuple[Anchor, list[WorldObject]], pyramid: SplatPyramid, other_pyramid: SplatPyramid
) -> None:
    cameras = inside(4, seed=3)
    cameras.c2w[2:, :3, 3] += (10, -5, 0)
    scene = np.array([0, 1, 2, 2])
    poses = np.tile(room[1][0].pose, (3, 1, 1, 1))
    poses[1, 0, :3, 3] += (0.7, -0.4, 0.2)
    poses[1, 0, :3, :3] = rotation_exp([0.1, 0.2, 0.9])
    pyramids = [pyramid, pyramid, other_pyramid]
    fast = AnchorRaster(pyramids).render(cameras, scene, object_poses=poses)
    assert_same(fast, AnchorRaster(pyramids, "torch").render(cameras, scene, object_poses=poses))
    alone = AnchorRaster([pyramid]).render(cameras[:1], np.zeros(1, np.int64))
    assert np.array_equal(fast.rgb[0], alone.rgb[0])


def test_moving_an_object_moves_its_pixels(
    room: tuple[Anchor, list[WorldObject]], pyramid: SplatPyramid
) -> None:
    camera = Camera.from_fov(heading_c2w((0.3, 1.5, 0.8), 0.0)[None], 80, width=80, height=60)
    raster, scene = AnchorRaster([pyramid]), np.zeros(1, np.int64)
    moved = room[1][0].pose.copy()
    moved[1, 3] += 0.6  # to the left of a camera that looks along +x
    columns = []
    for pose in (room[1][0].pose, moved):
        images = raster.render(camera, scene, object_poses=pose[None, None])
        columns.append(np.nonzero(images.instance[0] == 1)[1].mean())
        center, depth = camera[0].project(pose[None, :3, 3])
        assert abs(columns[-1] - center[0, 0]) < 4  # perspective shifts the mean
        crate = images.depth[0][images.instance[0] == 1]
        assert crate.min() == pytest.approx(depth[0] - 0.3, abs=0.03)
    assert columns[1] < columns[0] - 10


def test_depth_and_color_follow_the_geometry(pyramid: SplatPyramid) -> None:
    """Against ray casting of the room's planes, away from the crate and from edges."""
    cameras = inside(16, width=64, height=64, seed=5)
    images = AnchorRaster([pyramid]).render(cameras, np.zeros(16, np.int64))
    origin, rays = cameras.position_world[:, None, None], cameras.rays_world()
    with np.errstate(divide="ignore"):
        exits = np.where(rays > 0, np.array([4, 3, 2.4]) - origin, -origin) / rays
    nearest = np.sort(exits, axis=-1)
    plain = (images.instance == 0) & (nearest[..., 1] > nearest[..., 0] * 1.15)
    assert plain.mean() > 0.5
    error = np.abs(images.depth - nearest[..., 0])[plain] / nearest[..., 0][plain]
    assert np.quantile(error, 0.99) < 2e-3


def test_closed_room_has_no_holes(pyramid: SplatPyramid) -> None:
    images = AnchorRaster([pyramid]).render(inside(32, seed=7), np.zeros(32, np.int64))
    assert images.coverage.all()
    assert (images.depth > 0).all()


def test_provenance_tells_generated_points(
    room: tuple[Anchor, list[WorldObject]], pyramid: SplatPyramid
) -> None:
    camera = Camera.from_fov(heading_c2w((0.3, 1.5, 1.2), 0.0)[None], 90, width=64, height=64)
    images = AnchorRaster([pyramid]).render(camera, np.zeros(1, np.int64))
    generated = room[0].generated[images.index[0]]
    fine = images.depth[0] < 1.5  # level 0: no merging
    assert np.array_equal(images.provenance[0][fine], 1 + generated[fine])
    assert set(np.unique(images.provenance)) == {1, 2}


def test_nothing_to_see_is_black_with_no_depth(pyramid: SplatPyramid) -> None:
    camera = Camera.from_fov(heading_c2w((-50.0, 0.0, 1.0), np.pi)[None], 90, width=20, height=16)
    images = AnchorRaster([pyramid]).render(camera, np.zeros(1, np.int64))
    assert not images.coverage.any()
    assert (images.index == -1).all()
    assert (images.instance == -1).all()
    assert images.rgb.sum() == 0
    assert images.depth.sum() == 0


def test_same_picture_in_any_batch_and_every_time(pyramid: SplatPyramid) -> None:
    raster, cameras = AnchorRaster([pyramid]), inside(9, seed=11)
    together = raster.render(cameras, np.zeros(9, np.int64))
    for b in range(9):
        alone = raster.render(cameras[b : b + 1], np.zeros(1, np.int64))
        for name in FIELDS:
            assert np.array_equal(getattr(alone, name)[0], getattr(together, name)[b]), name


def test_ties_go_to_the_lower_point() -> None:
    twice = Anchor.from_points(
        [[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]], [[255, 0, 0], [0, 255, 0]], radius=0.01
    )
    camera = Camera.from_fov(heading_c2w((0.0, 0.0, 0.0), 0.0)[None], 60, width=9, height=9)
    for backend in ("numba", "torch"):
        images = AnchorRaster([build_pyramid(twice)], backend).render(camera, np.zeros(1, np.int64))
        assert images.index[0, 4, 4] == 0


def test_points_outside_the_view_are_not_looked_at(pyramid: SplatPyramid) -> None:
    """Ten times the points behind the camera change nothing but the cells that are skipped."""
    from worldfm_gym.anchor.raster_cpu import _visible_cells

    near, _ = box_cloud(0.0)
    crowd = Anchor.concatenate([near, *(box_cloud(-8.0 - 5 * i)[0] for i in range(10))])
    camera = Camera.from_fov(heading_c2w((1.0, 1.5, 1.2), 0.0)[None], 70, width=64, height=64)
    alone, many = build_pyramid(near), build_pyramid(crowd)
    a = AnchorRaster([alone]).render(camera, np.zeros(1, np.int64))
    b = AnchorRaster([many]).render(camera, np.zeros(1, np.int64))
    assert np.array_equal(a.index, b.index)
    counts = []
    for p in (alone, many):
        found, view = (
            np.empty((len(p.cell_body), 2), np.int32),
            np.empty((len(p.cell_body), 4), np.float32),
        )
        counts.append(
            _visible_cells(
                (p.cell_sphere, p.cell_cone, p.cell_body, p.group_start, p.group_sphere),
                camera.w2c[:, None, :3].astype(np.float32)[0],
                camera.intrinsics[0].astype(np.float32),
                np.array([0, 64, 64]),
                np.full(4, np.inf, np.float32),
                found,
                view,
            )
        )
    assert counts[0] == counts[1]
    assert len(many.cell_body) > 8 * len(alone.cell_body)


def box_cloud(x: float) -> tuple[Anchor, None]:
    """The walls of a 4 × 3 × 2.4 m room at (x, 0, 0), 10 cm apart, normals unknown."""
    grid = np.stack(np.meshgrid(*(np.arange(0.05, n, 0.1) for n in (4, 3, 2.4)), indexing="ij"), -1)
    points = grid.reshape(-1, 3)
    shell = ((points < 0.1) | (points > np.array([4, 3, 2.4]) - 0.1)).any(axis=1)
    cloud = points[shell] + (x, 0, 0)
    return Anchor.from_points(cloud, np.full((len(cloud), 3), 90, np.uint8), radius=0.05), None


def two_variants(geometry: Tensor) -> Tensor:
    """A scene with a third of its splats taken out at random, and as it is."""
    variants = geometry.repeat(2, 1, 1, 1)
    gone = torch.rand(geometry[:, 0].shape, generator=torch.Generator().manual_seed(0)) < 0.33
    variants[0].movedim(1, -1)[gone.to(geometry.device), :3] = float("nan")
    return variants


def test_variants_of_a_scene_draw_their_own_splats(pyramid: SplatPyramid) -> None:
    cameras, scene = inside(4), np.arange(4) % 2
    raster = AnchorRaster([pyramid])
    variants = two_variants(raster.geometry)
    drawn = raster.with_geometry(variants).render(cameras, scene)
    assert_same(
        drawn, AnchorRaster([pyramid], "torch").with_geometry(variants).render(cameras, scene)
    )
    whole = raster.render(cameras, np.zeros(4, np.int64))
    assert np.array_equal(drawn.index[1::2], whole.index[1::2])
    kept = np.isfinite(variants[0].movedim(1, -1).reshape(-1, 8)[: len(pyramid), 0].numpy())
    points = pyramid.attributes[kept, 2]
    assert np.isin(drawn.index[::2], [-1, *points]).all()
    assert (drawn.index[::2] != whole.index[::2]).mean() > 0.05


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="backend"):
        AnchorRaster([build_pyramid(box_cloud(0.0)[0])], "opengl")  # type: ignore[arg-type]


_TRITON = """
import numpy as np, sys
sys.path.insert(0, {folder!r})
from conftest import make_room
from test_raster import FIELDS, assert_same, inside, two_variants
from worldfm_gym.anchor.pyramid import build_pyramid
from worldfm_gym.anchor.raster import AnchorRaster
device = {device!r}
anchor, objects = make_room(spacing={spacing})
other, _ = make_room(spacing=0.12, origin=(10, -5, 0))
pyramids = [build_pyramid(anchor, objects), build_pyramid(other)]
cameras = inside({count}, width={width}, height={height}, seed=2)
scene = np.arange({count}) % 2
cameras.c2w[scene == 1, :3, 3] += (10, -5, 0)
poses = np.tile(objects[0].pose, (2, 1, 1, 1))
poses[0, 0, :3, 3] += (0.5, 0.3, 0.1)
draw = AnchorRaster(pyramids, "triton", device=device)
fast = draw.render(cameras, scene, object_poses=poses)
again = draw.render(cameras, scene, object_poses=poses)
for name in FIELDS:
    assert (getattr(fast, name) == getattr(again, name)).all(), name
    object.__setattr__(fast, name, getattr(fast, name).cpu().numpy())
oracle = AnchorRaster(pyramids, "torch").render(cameras, scene, object_poses=poses)
assert_same(fast, oracle)
alone = AnchorRaster(pyramids[:1], "triton", device=device)
variants = two_variants(alone.geometry)
fast = alone.with_geometry(variants).render(cameras, scene)
for name in FIELDS:
    object.__setattr__(fast, name, getattr(fast, name).cpu().numpy())
oracle = AnchorRaster(pyramids[:1], "torch").with_geometry(variants.cpu()).render(cameras, scene)
assert_same(fast, oracle)
draw.replace_pyramid(0, pyramids[1])
draw.replace_pyramid(1, pyramids[0])
poses[1] = np.nan
fast = draw.render(cameras, 1 - scene, object_poses=poses)
for name in FIELDS:
    object.__setattr__(fast, name, getattr(fast, name).cpu().numpy())
oracle = AnchorRaster(pyramids[::-1], "torch").render(cameras, 1 - scene, object_poses=poses)
assert_same(fast, oracle)
assert (fast.instance <= 0).all()
print("equal")
"""


def run_triton(tmp_path: Path, environment: dict[str, str], **values: object) -> str:
    script = tmp_path / "triton_raster.py"
    script.write_text(_TRITON.format(folder=str(Path(__file__).parent), **values))
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_triton_equals_oracle_in_the_interpreter(tmp_path: Path) -> None:
    """Triton's interpreter runs the very kernels on the CPU; it needs a process of its own."""
    import os

    environment = os.environ | {"TRITON_INTERPRET": "1"}
    out = run_triton(tmp_path, environment, device="cpu", spacing=0.2, count=2, width=24, height=20)
    assert out.strip() == "equal"


@pytest.mark.gpu
def test_triton_equals_oracle_on_the_gpu(tmp_path: Path) -> None:
    import os

    out = run_triton(
        tmp_path, dict(os.environ), device="cuda", spacing=0.05, count=16, width=128, height=96
    )
    assert out.strip() == "equal"


def test_scenes_of_one_pyramid_share_it_and_draw_the_same(
    pyramid: SplatPyramid, other_pyramid: SplatPyramid
) -> None:
    raster = AnchorRaster([pyramid] * 40 + [other_pyramid] * 24)
    assert raster._tables.nbytes == AnchorRaster([pyramid, other_pyramid])._tables.nbytes
    cameras = inside(4)
    many = raster.render(cameras, np.array([0, 7, 39, 13]))
    assert_same(many, AnchorRaster([pyramid]).render(cameras, np.zeros(4, np.int64)))


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_pyramids_are_replaced_as_if_they_had_been_there_from_the_start(
    pyramid: SplatPyramid, other_pyramid: SplatPyramid, backend: Backend
) -> None:
    third = build_pyramid(box_cloud(0.3)[0])
    cameras, scene = inside(3, width=24, height=20), np.arange(3)
    raster = AnchorRaster([other_pyramid] * 3, backend)
    now = [other_pyramid] * 3
    for at, new in ((1, pyramid), (0, third), (2, third), (1, other_pyramid), (1, pyramid)):
        raster.replace_pyramid(at, new)
        now[at] = new
        assert raster.pyramids == now
        poses = np.tile(np.eye(4), (3, 1, 1, 1))
        poses[:, 0, :3, 3] = 2.0, 1.5, 0.5
        expected = AnchorRaster(now, backend).render(cameras, scene, object_poses=poses)
        assert_same(raster.render(cameras, scene, object_poses=poses), expected)
    assert not any(p is other_pyramid for p in raster._distinct)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_an_object_that_is_not_there_is_not_drawn(pyramid: SplatPyramid, backend: Backend) -> None:
    cameras, scene = inside(6), np.zeros(6, np.int64)
    absent = np.full((1, 1, 4, 4), np.nan)
    far_away = np.tile(np.eye(4), (1, 1, 1, 1))
    far_away[..., 2, 3] = -50.0
    raster = AnchorRaster([pyramid], backend)
    drawn = raster.render(cameras, scene, object_poses=absent)
    assert (drawn.instance <= 0).all()
    assert (raster.render(cameras, scene).instance == 1).any()
    assert_same(drawn, raster.render(cameras, scene, object_poses=far_away))
