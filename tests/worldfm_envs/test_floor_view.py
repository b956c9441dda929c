"""The part of the floor that is searched holds all that a view can show."""

import numpy as np

from worldfm_envs.floor_view import footprint
from worldfm_gym.camera import Camera, heading_c2w


def test_what_is_in_the_image_is_in_the_footprint():
    rng = np.random.default_rng(0)
    points = np.zeros((4000, 3))
    radius, angle = np.sqrt(rng.random(4000)), rng.uniform(-np.pi, np.pi, 4000)
    points[:, 0], points[:, 1] = radius * np.cos(angle), radius * np.sin(angle)
    tight = 0
    for _ in range(200):
        yaw, pitch = rng.uniform(-np.pi, np.pi), rng.uniform(-1.5, 0.6)
        c2w = heading_c2w((0.0, 0.0, rng.uniform(0.1, 2.0)), yaw, pitch)
        camera = Camera.from_fov(c2w, rng.uniform(30, 120), width=40, height=30)
        pixels, depth = camera.project(points)
        seen = (depth > 0) & ((pixels >= 0) & (pixels <= (40, 30))).all(-1)
        half_x, half_y = np.array([40, 30]) / 2 / camera.intrinsics[:2]
        west, east, south, north = footprint(c2w, half_x, half_y)
        x, y = points[seen, 0], points[seen, 1]
        assert (x >= -west - 1e-9).all()
        assert (x <= east + 1e-9).all()
        assert (y >= -south - 1e-9).all()
        assert (y <= north + 1e-9).all()
        tight += west + east + south + north < 3.0
    assert tight > 60
