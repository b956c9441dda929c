import builtins
import io
import json
import logging
import struct
from pathlib import Path

import numpy as np
import open3d
import plyfile
import pytest
from PIL import Image

from worldfm_gym.errors import MissingExtraError, SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds import geometry

BODY = AgentBody()
ROOM = np.array([5.0, 4.0, 2.5])
TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # y-up from z-up


def room_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of an open-topped room with a 0.8 m crate, z up, floor at 0."""
    low, high = np.zeros(3), ROOM
    vertices, faces = box(low, high)
    faces = faces[np.abs(vertices[faces][:, :, 2] - high[2]).max(axis=1) > 0]  # no ceiling
    crate_v, crate_f = box(np.array([3.0, 1.0, 0.0]), np.array([3.8, 1.8, 0.8]))
    return np.concatenate([vertices, crate_v]), np.concatenate([faces, crate_f + len(vertices)])


def box(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mesh = open3d.geometry.TriangleMesh.create_box(*(high - low))
    return np.asarray(mesh.vertices) + low, np.asarray(mesh.triangles).astype(np.int64)


def write_mesh(path: Path, vertices: np.ndarray, faces: np.ndarray) -> Path:
    mesh = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces)
    )
    mesh.compute_vertex_normals()
    assert open3d.io.write_triangle_mesh(str(path), mesh)
    return path


def write_cloud(path: Path, points: np.ndarray, **columns: np.ndarray) -> Path:
    vertices = np.empty(
        len(points), [(n, "f4") for n in "xyz"] + [(n, c.dtype) for n, c in columns.items()]
    )
    for axis, name in enumerate("xyz"):
        vertices[name] = points[:, axis]
    for name, values in columns.items():
        vertices[name] = values
    plyfile.PlyData([plyfile.PlyElement.describe(vertices, "vertex")]).write(path)
    return path


def room_points(spacing: float = 0.04) -> np.ndarray:
    from worldfm_gym.worlds.mesh import Mesh

    return Mesh(*room_mesh()).sample(spacing, max_points=200_000)[0]


def write_glb(path: Path, vertices: np.ndarray, faces: np.ndarray, texture: np.ndarray) -> Path:
    """A binary glTF file with one textured mesh under a node that moves it 3 units along x."""
    uv = np.stack([vertices[:, 0] % 1, np.zeros(len(vertices))], axis=-1)
    png = io.BytesIO()
    Image.fromarray(texture).save(png, "PNG")
    blobs = [
        vertices.astype("<f4").tobytes(),
        uv.astype("<f4").tobytes(),
        faces.astype("<u4").tobytes(),
        png.getvalue(),
    ]
    views, body = [], b""
    for blob in blobs:
        views.append({"buffer": 0, "byteOffset": len(body), "byteLength": len(blob)})
        body += blob + b"\0" * (-len(blob) % 4)
    count = len(vertices)
    low, high = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
    gltf = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [3, 0, 0]}],
        "meshes": [
            {
                "primitives": [
                    {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
                ]
            }
        ],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}
            | {"min": low, "max": high},
            {"bufferView": 1, "componentType": 5126, "count": count, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": len(body)}],
    }
    text = json.dumps(gltf).encode()
    text += b" " * (-len(text) % 4)
    path.write_bytes(
        struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(body))
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(body), b"BIN\0")
        + body
    )
    return path


def assert_is_the_room(world) -> None:
    low, high = world.anchor.bounds
    np.testing.assert_allclose(np.sort(high - low), np.sort(ROOM), atol=0.03)
    assert low[2] == pytest.approx(0, abs=0.02)
    assert high[2] == pytest.approx(ROOM[2], abs=0.03)
    assert world.nav_problem is None
    assert world.require_nav().navigable.sum() * 0.05**2 > 10


@pytest.mark.parametrize("suffix", ["ply", "stl"])
def test_z_up_meshes(tmp_path, suffix):
    path = write_mesh(tmp_path / f"room.{suffix}", *room_mesh())
    world = geometry.world_from_geometry(path, body=BODY, spacing_m=0.05)
    assert_is_the_room(world)
    assert (world.anchor.normals == 0).all()  # seen from both sides
    assert 0 < world.start_c2w[2, 3] < BODY.height_m


@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_y_up_meshes(tmp_path, suffix):
    vertices, faces = room_mesh()
    path = write_mesh(tmp_path / f"room.{suffix}", vertices @ TO_Y_UP.T, faces)
    assert_is_the_room(geometry.world_from_geometry(path, body=BODY, up="y", spacing_m=0.05))
    if suffix == "obj":
        assert_is_the_room(geometry.world_from_geometry(path, body=BODY, spacing_m=0.05))


def test_glb_with_texture_and_node_transform(tmp_path):
    vertices, faces = room_mesh()
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[..., 1] = 180
    path = write_glb(tmp_path / "room.glb", vertices @ TO_Y_UP.T, faces, texture)
    world = geometry.world_from_geometry(path, body=BODY, spacing_m=0.05)
    assert_is_the_room(world)
    assert world.anchor.bounds[0][0] == pytest.approx(3.0, abs=0.02)
    np.testing.assert_array_equal(world.anchor.colors, np.tile([0, 180, 0], (len(world.anchor), 1)))


def test_ply_cloud_keeps_its_colors(tmp_path):
    points = room_points()
    red = np.where(points[:, 0] > 2.5, 250, 10).astype(np.uint8)
    gray = np.full(len(points), 40, np.uint8)
    path = write_cloud(tmp_path / "room.ply", points, red=red, green=gray, blue=gray)
    world = geometry.world_from_geometry(path, body=BODY)
    assert_is_the_room(world)
    right = world.anchor.points[:, 0] > 2.55
    assert (world.anchor.colors[right] == [250, 40, 40]).all()
    # Sampled 4 cm apart, so that is what its points stand for, whatever the voxels.
    assert 0.015 < np.median(world.anchor.radius) < 0.03


def test_ply_cloud_keeps_its_normals(tmp_path):
    points = room_points()
    up = np.zeros(len(points), np.float32)
    path = write_cloud(tmp_path / "room.ply", points, nx=up, ny=up, nz=up + 2)
    world = geometry.world_from_geometry(path, body=BODY, up="z")
    np.testing.assert_allclose(world.anchor.normals @ [0, 0, 1], 1, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_float_and_16_bit_colors(tmp_path, dtype):
    points = room_points(0.1)
    values = np.full(len(points), 0.8 if dtype == np.float32 else 0.8 * 65535).astype(dtype)
    path = write_cloud(tmp_path / "room.ply", points, red=values, green=values, blue=values)
    world = geometry.world_from_geometry(path, body=BODY)
    np.testing.assert_array_equal(world.anchor.colors, 204)


def test_pcd_cloud(tmp_path):
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(room_points()))
    cloud.paint_uniform_color([0.2, 0.4, 0.6])
    assert open3d.io.write_point_cloud(str(tmp_path / "room.pcd"), cloud)
    world = geometry.world_from_geometry(tmp_path / "room.pcd", body=BODY)
    assert_is_the_room(world)
    np.testing.assert_allclose(world.anchor.colors, np.tile([51, 102, 153], (len(world.anchor), 1)))


def test_scale_from_centimetres(tmp_path):
    path = write_cloud(tmp_path / "room.ply", 100 * room_points(0.05))
    with pytest.raises(SourceError, match=r"500 m\..*scale="):
        geometry.world_from_geometry(
            write_cloud(tmp_path / "mm.ply", 1000 * room_points()), body=BODY
        )
    assert_is_the_room(geometry.world_from_geometry(path, body=BODY, scale=0.01))


def test_large_clouds_are_thinned_in_chunks_with_a_message(tmp_path, monkeypatch, caplog):
    path = write_cloud(tmp_path / "room.ply", room_points(0.02))
    whole = geometry.world_from_geometry(path, body=BODY, spacing_m=0.05)
    monkeypatch.setattr(geometry, "_CHUNK", 7_000)
    monkeypatch.setattr(geometry, "LARGE_CLOUD", 50_000)
    monkeypatch.setattr(geometry, "MAX_POINTS", 20_000)
    with caplog.at_level(logging.WARNING):
        world = geometry.world_from_geometry(path, body=BODY)
        pieces = geometry.world_from_geometry(path, body=BODY, spacing_m=0.05)
    assert len(world.anchor) <= 20_000
    assert len(pieces.anchor) == pytest.approx(len(whole.anchor), rel=0.02)
    assert "thinned" in caplog.text
    assert_is_the_room(world)


def test_points_that_are_not_finite_are_left_out(tmp_path):
    points = room_points(0.05)
    points[::7] = np.nan
    world = geometry.world_from_geometry(write_cloud(tmp_path / "a.ply", points), body=BODY)
    assert_is_the_room(world)


@pytest.mark.parametrize("count", [0, 1, 20])
def test_too_few_points(tmp_path, count):
    path = write_cloud(tmp_path / "a.ply", np.zeros((count, 3)))
    with pytest.raises(SourceError, match="at least 100"):
        geometry.world_from_geometry(path, body=BODY)


def test_no_finite_point(tmp_path):
    path = write_cloud(tmp_path / "a.ply", np.full((200, 3), np.inf))
    with pytest.raises(SourceError, match="no point with finite"):
        geometry.world_from_geometry(path, body=BODY)


def test_all_points_in_one_place(tmp_path):
    path = write_cloud(tmp_path / "a.ply", np.ones((200, 3)))
    with pytest.raises(SourceError, match=r"spans 0 m.*scale="):
        geometry.world_from_geometry(path, body=BODY)


@pytest.mark.parametrize("suffix", ["ply", "pcd", "obj", "glb", "stl"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not geometry at all" * 8])
def test_files_of_another_kind(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="not a readable"):
        geometry.world_from_geometry(path, body=BODY)


def test_truncated_ply(tmp_path):
    path = write_cloud(tmp_path / "a.ply", room_points(0.1))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(SourceError, match="cut off"):
        geometry.world_from_geometry(path, body=BODY)


def test_faces_outside_the_vertices(tmp_path):
    vertices, faces = room_mesh()
    faces[3, 1] = 999
    data = np.array([(row.tolist(),) for row in faces], [("vertex_indices", "i4", (3,))])
    points = np.array([tuple(v) for v in vertices], [(n, "f4") for n in "xyz"])
    plyfile.PlyData(
        [plyfile.PlyElement.describe(points, "vertex"), plyfile.PlyElement.describe(data, "face")]
    ).write(tmp_path / "a.ply")
    with pytest.raises(SourceError, match="outside its 16 vertices"):
        geometry.world_from_geometry(tmp_path / "a.ply", body=BODY)


@pytest.mark.parametrize(
    "options", [{"up": "w"}, {"scale": 0.0}, {"scale": np.nan}, {"spacing_m": -1.0}]
)
def test_senseless_options(tmp_path, options):
    path = write_cloud(tmp_path / "a.ply", room_points(0.1))
    with pytest.raises(SourceError, match=next(iter(options))):
        geometry.world_from_geometry(path, body=BODY, **options)


def test_without_a_floor_there_is_a_world_and_a_reason(tmp_path):
    ball = np.random.default_rng(0).normal(size=(5000, 3))
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    world = geometry.world_from_geometry(write_cloud(tmp_path / "a.ply", ball), body=BODY)
    assert world.nav is None
    assert "floor" in world.nav_problem
    seen = (world.anchor.points - world.start_c2w[:3, 3]) @ world.start_c2w[:3, 2]
    assert (seen > 0).all()


def test_missing_open3d_names_the_extra(tmp_path, monkeypatch):
    path = write_mesh(tmp_path / "a.obj", *room_mesh())
    real_import = builtins.__import__

    def without_open3d(name, *args, **kwargs):
        if name == "open3d":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_open3d)
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[geometry\]"):
        geometry.world_from_geometry(path, body=BODY)
