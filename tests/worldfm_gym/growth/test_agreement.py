"""Agreement of drawings, on planes whose depth is known in closed form."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.growth.agreement import agreement_share, cross_check, draws_agree


def wall_views(yaws: list[float], wall_x: float) -> tuple[Camera, np.ndarray]:
    """Cameras at y = 0, 0.3, … that see the plane x = wall_x, and its depth."""
    poses = np.stack([heading_c2w((0, 0.3 * i, 1), yaw) for i, yaw in enumerate(yaws)])
    cameras = Camera.from_fov(poses, 60.0, width=32, height=32)
    return cameras, (wall_x / cameras.rays_world()[..., 0]).astype(np.float32)


def test_drawings_agree_where_color_and_depth_do():
    rgb = np.full((2, 1, 16, 16, 3), 100, np.uint8)
    depth = np.full((2, 1, 16, 16), 2.0, np.float32)
    rgb[1, 0, :, 8:] = 160
    depth[1, 0, 8:] = 2.2
    depth[0, 0, 0] = 0
    agree = draws_agree(rgb, depth, color_tolerance=20, depth_tolerance=0.05)[0]
    assert agree[1:8, :7].all()
    assert not agree[0].any()
    assert not agree[8:].any()
    assert not agree[:, 9:].any()


@settings(max_examples=20)
@given(yaws=st.lists(st.floats(-0.4, 0.4), min_size=2, max_size=4), wall_x=st.floats(1.0, 5.0))
def test_true_views_confirm_each_other_and_refute_what_floats(yaws: list[float], wall_x: float):
    cameras, depth_z = wall_views(yaws, wall_x)
    points = cameras[0].unproject(depth_z[0].astype(np.float64)).reshape(-1, 3)
    source = np.zeros(len(points), np.int64)
    agreeing, through = cross_check(points, source, depth_z, cameras, tolerance=0.04)
    seen = np.zeros(len(points), np.int64)
    for view in range(1, len(yaws)):
        pixels, _ = cameras[view].project(points)
        seen += ((pixels >= 0) & (pixels < 32)).all(axis=1)
    # A pixel's depth is that of its center: slanted views differ a little at their border.
    assert agreeing.sum() >= 0.9 * seen.sum()
    eye = cameras.position_world[0]
    agreeing, through = cross_check(
        eye + 0.6 * (points - eye), source, depth_z, cameras, tolerance=0.04
    )
    assert not agreeing.any()
    behind = eye + 1.5 * (points - eye)
    agreeing, through = cross_check(behind, source, depth_z, cameras, tolerance=0.04)
    assert not agreeing.any()
    assert not through.any()


def test_the_share_counts_known_pixels_only():
    expected = np.zeros((2, 4, 4), np.float32)
    expected[:, :2] = 2.0
    drawn = np.full((2, 4, 4), 2.05, np.float32)
    drawn[1, 0] = 3.0
    np.testing.assert_allclose(agreement_share(drawn, expected, tolerance=0.04), [1.0, 0.5])
