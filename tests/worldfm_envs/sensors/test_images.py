"""Color and depth sensors against the frame they read."""

import numpy as np

from worldfm_envs.sensors.images import DepthSensor, RgbSensor

SIZE = {"width": 48, "height": 32}


def test_images_are_passed_on(source):
    sensor = RgbSensor(**SIZE)
    np.testing.assert_array_equal(sensor.read(source), source.frame.rgb)
    assert sensor.space.shape == (32, 48, 3)


def test_depth_in_meters_is_clipped(source):
    sensor = DepthSensor(**SIZE, max_depth_m=2.0, dtype="float32")
    depth = sensor.read(source)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth[..., 0], np.minimum(source.frame.depth, 2.0))
    assert depth.max() == 2.0


def test_depth_in_bytes_is_within_half_a_step_and_keeps_zero_for_nothing(source):
    source.frame.depth[0, 0, :3] = 0.0, 1e-4, 1e9
    sensor = DepthSensor(**SIZE, max_depth_m=8.0, dtype="uint8")
    depth = sensor.read(source)[..., 0]
    assert depth.dtype == np.uint8
    assert depth[0, 0, :3].tolist() == [0, 1, 255]
    clipped = np.minimum(source.frame.depth, 8.0)
    seen = clipped > 0.1
    assert np.abs(depth[seen] * (8.0 / 255) - clipped[seen]).max() <= 0.5 * 8.0 / 255 + 1e-5
