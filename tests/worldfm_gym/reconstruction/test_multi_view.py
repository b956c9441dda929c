import json

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.camera import Camera
from worldfm_gym.reconstruction.multi_view import consistent_scales


@pytest.mark.parametrize("bias", [0.7, 1.4])
def test_scales_of_a_real_scan_follow_from_its_poses(shared_data, bias):
    """Depths of the living room, each scaled by another factor, and all by the same."""
    scan = json.loads((shared_data / "livingroom/scan.json").read_text())
    rng = np.random.default_rng(1)
    depths, images, cameras, factors = [], [], [], []
    for index in range(0, 13, 3):
        record = scan["frames"][index]
        depth = np.array(Image.open(shared_data / "livingroom" / record["depth"]))[::2, ::2] / 1000
        rgb = Image.open(shared_data / "livingroom" / record["color"]).resize((320, 240))
        factors.append(bias * np.exp(rng.normal(0, 0.2)))
        depths.append((depth * factors[-1]).astype(np.float32))
        images.append(np.asarray(rgb))
        camera = Camera.from_matrix(record["c2w"], scan["K"], width=640, height=480)
        cameras.append(camera.resized(320, 240))
    found = consistent_scales(depths, images, cameras)
    np.testing.assert_allclose(found * factors, 1.0, atol=0.08)
