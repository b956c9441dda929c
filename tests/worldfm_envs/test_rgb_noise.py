"""Noise of color images: its statistics, and that it depends on episode, step and pixel alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from worldfm_envs.counter_random import RGB_STREAM, noise_keys
from worldfm_envs.rgb_noise import (
    RGB_NOISES,
    GaussianRgbNoise,
    SaltAndPepperRgbNoise,
    SpeckleRgbNoise,
    make_rgb_noise,
)
from worldfm_gym.errors import ConfigError

KEYS = noise_keys(np.array([3, 3, 9], np.uint64), np.array([0, 1, 0]), stream=RGB_STREAM)


def gray(value):
    return np.full((3, 64, 96, 3), value, np.uint8)


def off_by(noise, value):
    """What is added to an even image, per image [3, P]."""
    return (noise.apply(gray(value), KEYS).astype(np.float64) - value).reshape(3, -1)


def test_gaussian_noise_is_normal_with_the_std_it_is_given():
    for row in off_by(GaussianRgbNoise(std=0.05), 128):
        assert abs(row.mean()) < 0.3
        assert row.std() == pytest.approx(0.05 * 255, rel=0.03)
        smooth = row + np.random.default_rng(0).uniform(-0.5, 0.5, row.shape)  # undo the rounding
        assert stats.kstest(smooth / np.hypot(0.05 * 255, 12**-0.5), "norm").pvalue > 1e-3


def test_speckle_grows_with_brightness_and_leaves_black_alone():
    noise = SpeckleRgbNoise(std=0.1)
    assert not off_by(noise, 0).any()
    assert off_by(noise, 50).std() == pytest.approx(5.0, rel=0.03)
    assert off_by(noise, 150).std() == pytest.approx(15.0, rel=0.03)


def test_salt_and_pepper_lose_the_share_of_pixels_that_was_asked_for():
    image = SaltAndPepperRgbNoise(share=0.1, salt=0.25).apply(gray(128), KEYS)
    assert (np.ptp(image, axis=-1) == 0).all()  # whole pixels
    lost = image[..., 0] != 128
    assert lost.mean() == pytest.approx(0.1, abs=0.01)
    assert (image[lost] == 255).mean() == pytest.approx(0.25, abs=0.03)
    assert set(np.unique(image)) == {0, 128, 255}


@pytest.mark.parametrize("name", RGB_NOISES)
def test_noise_is_a_function_of_episode_step_and_pixel(name):
    noise, images = (
        make_rgb_noise(name),
        np.random.default_rng(1).integers(0, 256, (3, 40, 56, 3), np.uint8),
    )
    images[:] = images[0]
    kept = images.copy()
    noisy = noise.apply(images, KEYS)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(noise.apply(images[1:2], KEYS[1:2])[0], noisy[1])
    assert (noisy[0] != noisy[1]).any()  # another step
    assert (noisy[0] != noisy[2]).any()  # another episode
    off = (noisy.astype(int) - images).reshape(3, -1)
    assert np.abs(np.corrcoef(off) - np.eye(3)).max() < 0.05


@pytest.mark.parametrize("name", RGB_NOISES)
def test_tensors_get_the_same_noise(name):
    images = np.random.default_rng(1).integers(0, 256, (3, 40, 56, 3), np.uint8)
    noise = make_rgb_noise(name)
    there = noise.apply(torch.from_numpy(images), KEYS)
    assert there.dtype == torch.uint8
    here = noise.apply(images, KEYS).astype(int)
    assert np.abs(there.numpy().astype(int) - here).max() <= 1  # a tie may round the other way
    assert (there.numpy() != here).mean() < 1e-3


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_rgb_noise("rain"),
        lambda: GaussianRgbNoise(std=-1.0),
        lambda: SpeckleRgbNoise(std=np.nan),
        lambda: SaltAndPepperRgbNoise(share=1.5),
    ],
)
def test_senseless_noise_is_refused(make):
    with pytest.raises(ConfigError):
        make()
