"""Image sensors, noise and appearance on a GPU against the same on the CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from worldfm_envs.depth_noise import DEPTH_NOISES, make_depth_noise
from worldfm_envs.rgb_noise import RGB_NOISES, make_rgb_noise
from worldfm_envs.sensors.goals import ImageGoalSensor
from worldfm_envs.sensors.images import DepthSensor, RgbSensor
from worldfm_envs.sensors.labels import InstanceSensor, SemanticSensor
from worldfm_envs.sensors.objects import ObjectPoseSensor
from worldfm_envs.sensors.targets import TargetSensor
from worldfm_gym.appearance import Appearance, AppearanceTable

pytestmark = pytest.mark.gpu
SIZE = {"width": 48, "height": 32}
DEPTH = {**SIZE, "max_depth_m": 8.0, "dtype": "float32"}
SENSORS = {
    "rgb": RgbSensor(**SIZE),
    "depth": DepthSensor(**DEPTH),
    "depth_uint8": DepthSensor(**{**DEPTH, "dtype": "uint8"}),
    "instance": InstanceSensor(**SIZE),
    "semantic": SemanticSensor(**SIZE),
    "imagegoal": ImageGoalSensor(**SIZE),
    "object_poses": ObjectPoseSensor(num_objects=3),
    "targets": TargetSensor(num_targets=2),
    **{name: RgbSensor(**SIZE, noise=make_rgb_noise(name)) for name in RGB_NOISES},
    **{name: DepthSensor(**DEPTH, noise=make_depth_noise(name)) for name in DEPTH_NOISES},
}


@pytest.fixture
def both(source):
    """The same input with images in numpy and on the GPU."""
    goals = {
        "goal_rgb": np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8),
        "goal_objects": np.array([[2, 1], [0, 0], [1, 0]]),
        "goal_inspected": np.array([[True, False], [False, False], [False, True]]),
    }
    here = replace(source, goals=goals)
    images = {
        name: torch.from_numpy(getattr(here.frame, name)).cuda()
        for name in ("rgb", "depth", "instance", "provenance")
    }
    return here, replace(here, frame=replace(here.frame, **images))


@pytest.mark.parametrize("name", SENSORS)
def test_sensors_agree_and_do_not_wait_for_the_gpu(both, name):
    sensor, (here, there) = SENSORS[name], both
    sensor.read(there)  # tables are uploaded once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        reading = sensor.read(there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert reading.is_cuda
    expected = sensor.read(here)
    assert reading.shape == expected.shape
    off = np.abs(reading.cpu().numpy().astype(np.float64) - expected)
    if name in RGB_NOISES:
        assert off.max() <= 1
    assert (off > 1e-4).mean() < 2e-3


def test_appearance_agrees_and_does_not_wait_for_the_gpu(both):
    here, there = both
    table = AppearanceTable(2)
    table.set(0, Appearance.exposure(0.5) @ Appearance.repaint(1, (200, 30, 30)))
    table.paint(there.frame, there.scene)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        painted = table.paint(there.frame, there.scene).rgb
        table.set(1, Appearance.tint((1.0, 0.8, 0.6)))
        painted = table.paint(there.frame, there.scene).rgb
    finally:
        torch.cuda.set_sync_debug_mode("default")
    off = np.abs(painted.cpu().numpy().astype(int) - table.paint(here.frame, here.scene).rgb)
    assert off.max() <= 1
    assert (off > 0).mean() < 2e-3
