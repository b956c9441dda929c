"""Noise of depth images against the published models."""

import numpy as np
import pytest
import torch

from worldfm_envs.counter_random import DEPTH_STREAM, noise_keys
from worldfm_envs.depth_noise import (
    DEPTH_NOISES,
    KinectDepthNoise,
    RedwoodDepthNoise,
    make_depth_noise,
)
from worldfm_gym.camera import intrinsics_from_fov
from worldfm_gym.errors import ConfigError

KEYS = noise_keys(np.array([3, 3, 9], np.uint64), np.array([0, 1, 0]), stream=DEPTH_STREAM)
H, W = 96, 128
PINHOLE = np.tile(intrinsics_from_fov(90.0, width=W, height=H), (3, 1))
FX = PINHOLE[0, 0]


def wall(z):
    return np.full((3, H, W), z, np.float32)


def slanted(angle, z=2.0):
    """A plane through (0, 0, z), turned about the vertical axis."""
    u = (np.arange(W) + 0.5 - PINHOLE[0, 2]) / FX
    depth = z / (1.0 - np.tan(angle) * u)
    return np.tile(np.where(depth > 0, depth, 0.0).astype(np.float32), (3, H, 1))


@pytest.mark.parametrize("z", [1.0, 3.0, 7.0])
def test_redwood_steps_and_spread_are_those_of_its_disparity(z):
    out = RedwoodDepthNoise().apply(wall(z), KEYS, PINHOLE)
    steps = 35.130 * 8 / out
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    # Normal noise of 0.0278 · 8 = 0.222 steps, then rounding: count each step's share.
    center = 35.130 * 8 / z
    from scipy.stats import norm

    for step in (np.round(center) - 1, np.round(center), np.round(center) + 1):
        share = np.diff(norm.cdf((np.array([step - 0.5, step + 0.5]) - center) / (0.027778 * 8)))
        assert (np.round(steps) == step).mean() == pytest.approx(share[0], abs=0.01)


def test_redwood_shuffles_pixels_at_edges_and_reads_at_half_resolution():
    depth = wall(2.0)
    depth[:, :, 41:] = 3.0
    out = RedwoodDepthNoise().apply(depth, KEYS, PINHOLE)
    far = out > 2.5
    assert not far[:, :, :40].any()
    assert 0.01 < far[:, :, 40:42].mean() < 0.5  # column 41 reads column 40
    assert far[:, :, 44:].all()
    still = RedwoodDepthNoise(scale=0.0).apply(depth, KEYS, PINHOLE)
    np.testing.assert_allclose(still[0, :, 41], 35.130 * 8 / np.round(35.130 * 8 / 2.0), rtol=1e-6)


def test_nothing_is_measured_out_of_range_or_where_there_is_nothing():
    depth = wall(5.0)
    depth[:, :, :40], depth[:, :, 80:] = 0.0, 11.0
    for noise in (RedwoodDepthNoise(), KinectDepthNoise()):
        out = noise.apply(depth, KEYS, PINHOLE)
        assert not out[:, :, :38].any()
        assert not out[:, :, 82:].any()
        assert (out[:, :, 44:76] > 0).mean() > 0.99
    assert not KinectDepthNoise().apply(wall(0.2), KEYS, PINHOLE).any()


@pytest.mark.parametrize("z", [0.8, 2.0, 4.0])
def test_kinect_noise_along_the_axis_grows_with_the_square_of_depth(z):
    off = KinectDepthNoise().apply(wall(z), KEYS, PINHOLE) - z
    middle = off[:, 24:72, 32:96]  # seen at less than 45°
    assert middle.std() == pytest.approx(0.0012 + 0.0019 * (z - 0.4) ** 2, rel=0.03)
    assert abs(middle.mean()) < 0.1 * middle.std()


@pytest.mark.parametrize("angle_deg", [65.0, 70.0, 75.0])
def test_kinect_noise_grows_where_surfaces_are_seen_at_an_angle(angle_deg):
    angle = np.radians(angle_deg)
    depth = slanted(angle)
    column = slice(W // 2 - 1, W // 2 + 1)
    seeds = np.arange(300, dtype=np.uint64)
    keys = noise_keys(seeds, np.zeros(300, np.int64), stream=DEPTH_STREAM)
    exact = np.repeat(depth[:1, H // 2 - 1 : H // 2 + 1], 300, 0)
    pinhole = np.tile(PINHOLE[0] - [0, 0, 0, H // 2 - 1], (300, 1))
    off = (KinectDepthNoise().apply(exact, keys, pinhole) - exact)[:, :, column]
    steepness = angle / (np.pi / 2 - angle)
    axial = 0.0012 + 0.0019 * 1.6**2 + 0.0001 / np.sqrt(2.0) * steepness**2
    # With this lens a displacement of less than half a pixel reads the same pixel.
    assert (0.8 + 0.035 * steepness) * FX / 585 < 0.5 / 3
    assert off.std() == pytest.approx(axial, rel=0.08)


def test_kinect_loses_edges_and_grazing_surfaces():
    depth = wall(2.0)
    depth[:, :, 64:] = 3.0
    out = KinectDepthNoise().apply(depth, KEYS, PINHOLE)
    assert not out[:, :, 63:65].any()
    assert out[:, :, 60:62].all()
    assert out[:, :, 66:68].all()
    grazing = KinectDepthNoise().apply(slanted(np.radians(83.0)), KEYS, PINHOLE)
    assert not grazing[:, :, W // 2 - 1 : W // 2 + 1].any()


def test_kinect_angles_are_those_to_the_floors_normal():
    """A level camera above a floor: the ray meets it at the angle that its distance tells."""
    from worldfm_envs.depth_noise import _incidence

    rows = np.arange(60, H)
    y = (rows + 0.5 - PINHOLE[0, 3]) / PINHOLE[0, 1]
    depth = np.zeros((H, W), np.float32)
    depth[60:] = (1.25 / y)[:, None]
    for v in (70, 90):
        x = (32 + 0.5 - PINHOLE[0, 2]) / FX
        cosine = y[v - 60] / np.sqrt(x * x + y[v - 60] ** 2 + 1)
        assert _incidence(depth, v, 32, PINHOLE[0]) == pytest.approx(np.arccos(cosine), abs=0.02)


@pytest.mark.parametrize("name", DEPTH_NOISES)
def test_noise_is_a_function_of_episode_step_and_pixel(name):
    noise, depth = make_depth_noise(name), slanted(0.5, z=3.0)
    kept = depth.copy()
    noisy = noise.apply(depth, KEYS, PINHOLE)
    np.testing.assert_array_equal(depth, kept)
    assert noisy.dtype == np.float32
    np.testing.assert_array_equal(noise.apply(depth[1:2], KEYS[1:2], PINHOLE[1:2])[0], noisy[1])
    off = (noisy - depth)[:, :, 20:100].reshape(3, -1)
    off -= off.mean(axis=0)  # steps of disparity fall on the same places
    correlation = np.corrcoef(off)
    assert np.abs(correlation + 0.5 - 1.5 * np.eye(3)).max() < 0.06  # of three independent ones


@pytest.mark.parametrize("name", DEPTH_NOISES)
def test_tensors_get_the_same_noise(name):
    depth = slanted(0.9, z=2.0)
    depth[:, 30:50, 40:60] = 1.0
    depth[:, :10] = 0.0
    noise = make_depth_noise(name)
    here = noise.apply(depth, KEYS, PINHOLE)
    there = noise.apply(torch.from_numpy(depth), KEYS, PINHOLE)
    assert there.dtype == torch.float32
    agree = np.isclose(there.numpy(), here, rtol=1e-4, atol=1e-5)
    assert agree.mean() > 0.999  # where rounding decides between two steps or pixels


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_depth_noise("fog"),
        lambda: RedwoodDepthNoise(scale=-1.0),
        lambda: RedwoodDepthNoise(max_range_m=0.0),
        lambda: KinectDepthNoise(min_range_m=3.0, max_range_m=2.0),
    ],
)
def test_senseless_noise_is_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_kinect_noise_across_the_axis_is_in_pixels_of_the_sensor():
    """At a step of 1 cm, five times the axial noise, what was read across it can be told."""
    from scipy.stats import norm

    pinhole = np.tile([585.0, 585.0, W / 2, H / 2], (40, 1))
    keys = noise_keys(np.arange(40, dtype=np.uint64), np.zeros(40, np.int64), stream=DEPTH_STREAM)
    depth = np.full((40, H, W), 1.0, np.float32)
    depth[:, :, 64:] = 1.01
    across = KinectDepthNoise().apply(depth, keys, pinhole) > 1.005
    axial = 0.0012 + 0.0019 * 0.6**2

    def told(crossing, std):
        """Share on the far side: axial noise takes some of either side for the other."""
        wrong = norm.sf(0.005 / std)
        return crossing * (1 - wrong) + (1 - crossing) * wrong

    # Two pixels off the edge, the surface is seen head on.
    assert across[:, :, 62].mean() == pytest.approx(told(norm.sf(1.5 / 0.8), axial), rel=0.1)
    # Beside the edge, it is seen at the angle of half the step per pixel.
    angle = np.arctan(0.005 * 585.0)
    steepness = angle / (np.pi / 2 - angle)
    crossing = norm.sf(0.5 / (0.8 + 0.035 * steepness))
    expected = told(crossing, axial + 0.0001 * steepness**2)
    assert across[:, :, 63].mean() == pytest.approx(expected, rel=0.06)
    assert across[:, :, :56].mean() < 0.01
