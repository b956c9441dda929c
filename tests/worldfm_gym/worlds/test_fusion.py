from dataclasses import replace

import numpy as np
import pytest

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import SourceError
from worldfm_gym.worlds import fusion

ROOM = np.array([[0.0, 0, 0], [5, 4, 2.5]])
CRATE = np.array([[3.0, 1.5, 0.0], [3.6, 2.3, 0.7]])


def distance_to_surfaces(points: np.ndarray) -> np.ndarray:
    """Distance of points [N, 3] to the walls of the room or the faces of the crate."""
    to_walls = np.abs(points[:, None] - ROOM).min(axis=(1, 2))
    outside = np.maximum(np.maximum(CRATE[0] - points, points - CRATE[1]), 0)
    inside = np.minimum(points - CRATE[0], CRATE[1] - points).min(axis=1)
    to_crate = np.where(inside > 0, inside, np.linalg.norm(outside, axis=-1))
    return np.minimum(to_walls, to_crate)


def test_fused_points_lie_on_the_surfaces_with_their_colors_and_normals(room_frames):
    anchor = fusion.fuse(room_frames, spacing_m=0.03)
    assert distance_to_surfaces(anchor.points.astype(np.float64)).max() < 0.02
    wanted = np.rint(60 + 30 * anchor.points)
    assert np.abs(anchor.colors - wanted).max() < 4
    floor = (anchor.points[:, 2] < 0.005) & (np.abs(anchor.normals).sum(axis=-1) > 0)
    away = distance_to_surfaces(anchor.points + [0, 0, 0.1]) > 0.09
    assert (anchor.normals[floor & away][:, 2] > 0.99).all()


def test_the_floor_in_view_is_covered_without_holes(room_frames):
    anchor = fusion.fuse(room_frames, spacing_m=0.04)
    floor = anchor.points[(anchor.points[:, 2] < 0.01)][:, :2]
    cells = np.unique(np.floor(floor / 0.08).astype(int), axis=0)
    inner = {(x, y) for x in range(8, 30) for y in range(41, 47)}  # open floor
    assert inner <= set(map(tuple, cells.tolist()))


def test_spacing_follows_the_pixels_and_the_limit(room_frames, monkeypatch):
    free = fusion.fuse(room_frames)
    assert 0.006 <= 2 * np.median(free.radius) <= 0.05
    monkeypatch.setattr(fusion, "MAX_POINTS", 5000)
    assert len(fusion.fuse(room_frames)) <= 5000 < len(free)


def test_long_scans_are_thinned_as_they_come(room_frames, monkeypatch):
    whole = fusion.fuse(room_frames, spacing_m=0.05)
    monkeypatch.setattr(fusion, "_BUFFER_POINTS", 10_000)
    pieces = fusion.fuse(room_frames, spacing_m=0.05)
    assert abs(len(pieces) - len(whole)) < 0.03 * len(whole)


def test_flying_pixels_and_far_sides_of_edges_are_left_out():
    depth = np.full((20, 30), 1.0, np.float32)
    depth[:, 15] = 1.6  # a pixel blended between foreground and background
    depth[:, 16:] = 2.0
    keep = fusion.surface_pixels(depth)
    assert keep[:, :15].all()
    assert not keep[:, 15:17].any()
    assert keep[:, 17:].all()


def test_slanted_surfaces_are_no_edges():
    camera = Camera.from_fov(heading_c2w([0.0, 0, 1.2], 0.0, -0.3), 70, width=128, height=96)
    rays = camera.rays_world()[..., 2]
    depth = np.where(rays < -0.15, -1.2 / np.minimum(rays, -0.15), 0).astype(np.float32)
    assert fusion.surface_pixels(depth)[depth > 0].all()


def test_radius_is_half_a_pixel_and_grows_with_slant(room_frames):
    frame = room_frames[0]
    camera = Camera(np.eye(4), np.array([100.0, 100, 20, 15]), 40, 30)
    flat = replace(
        frame,
        rgb=np.zeros((30, 40, 3), np.uint8),
        depth=np.full((30, 40), 2.0, np.float32),
        camera=camera,
    )
    anchor = fusion.points_of_frame(flat)
    assert anchor is not None
    middle = np.linalg.norm(anchor.points[:, :2], axis=-1).argmin()
    assert anchor.radius[middle] == pytest.approx(0.5 * 2.0 / 100, rel=1e-3)
    assert anchor.radius.max() < 1.1 * anchor.radius[middle]


def test_lone_points_are_dropped(room_frames):
    anchor = fusion.fuse(room_frames, spacing_m=0.05)
    stray = replace(anchor[:1], points=np.array([[2.5, 2.0, 1.2]], np.float32))
    with_stray = type(anchor).concatenate([anchor, stray])
    assert len(fusion.drop_outliers(with_stray, reach_m=0.15)) == len(anchor)


def test_no_depth_at_all_is_refused(room_frames):
    blank = [replace(f, depth=np.zeros_like(f.depth)) for f in room_frames]
    for spacing_m in (None, 0.05):
        with pytest.raises(SourceError, match="no frame has a usable depth pixel"):
            fusion.fuse(blank, spacing_m=spacing_m)


@pytest.mark.parametrize("spacing_m", [0.0, -0.1, np.nan])
def test_senseless_spacing_is_refused(room_frames, spacing_m):
    with pytest.raises(SourceError, match="spacing_m"):
        fusion.fuse(room_frames, spacing_m=spacing_m)


def test_chosen_poses_are_spread_out():
    c2w = np.tile(np.eye(4), (10, 1, 1))
    c2w[:, 0, 3] = [0, 0.1, 0.2, 0.3, 5, 5.1, 5.2, 9, 9.1, 9.2]
    assert sorted(fusion.spread_out(c2w, 3)) == [0, 4, 9] or sorted(fusion.spread_out(c2w, 3)) == [
        0,
        5,
        9,
    ]
    assert fusion.spread_out(c2w, 0) == []
    assert fusion.spread_out(np.tile(np.eye(4), (4, 1, 1)), 3) == [0]


def test_references_are_shrunk_with_their_cameras(room_frames):
    big = replace(
        room_frames[0],
        rgb=np.zeros((900, 1280, 3), np.uint8),
        depth=np.ones((900, 1280), np.float32),
        camera=room_frames[0].camera.resized(1280, 900),
    )
    reference = fusion.reference_of_frame(big)
    assert reference.rgb.shape == (450, 640, 3)
    assert reference.depth.shape == (450, 640)
    np.testing.assert_allclose(reference.camera.intrinsics, big.camera.intrinsics / 2)
