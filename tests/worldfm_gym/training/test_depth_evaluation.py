"""Scores of depth, and the baselines."""

import json

import numpy as np
import pytest
from PIL import Image

from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction import DepthEstimate
from worldfm_gym.training.depth_evaluation import (
    ConstantPlane,
    FloorPlane,
    TruePhoto,
    read_photos,
    score_depth,
    score_estimator,
    table_of,
)
from worldfm_gym.training.depth_sheet import depth_colors, photo_sheet

K = np.array([[60.0, 0, 40], [0, 60, 30], [0, 0, 1]])


def photo_of(depth):
    depth = np.asarray(depth, np.float32)
    return TruePhoto(np.zeros((*depth.shape, 3), np.uint8), depth, K)


def estimate_of(depth):
    depth = np.asarray(depth, np.float32)
    return DepthEstimate(depth, np.ones_like(depth), K, metric=False)


def test_scores_leave_scale_and_the_unknown_out():
    truth = np.array([[1.0, 2.0, 4.0, 0.0]])
    score = score_depth(estimate_of([[3.0, 6.0, 12.0, 9.0]]), photo_of(truth))
    assert score.absrel == pytest.approx(0)
    assert score.delta == 1


def test_scores_by_hand():
    # Median 2 on both sides: errors 0, 0.5 / 1 and 1 / 4 of the truth.
    score = score_depth(estimate_of([[1.5, 2.0, 3.0]]), photo_of([[1.0, 2.0, 4.0]]))
    assert score.absrel == pytest.approx((0.5 + 0 + 0.25) / 3)
    assert score.delta == pytest.approx(1 / 3)


def test_the_floor_plane_knows_a_floor():
    v = (np.arange(60) + 0.5 - 30) / 60
    depth = np.where(v > 0.25, 1 / np.maximum(v, 1e-3), 4.0) * 1.5
    photo = photo_of(np.repeat(depth[:, None], 80, axis=1))
    assert score_estimator(FloorPlane(), [photo]).absrel == pytest.approx(0, abs=1e-6)
    assert score_estimator(ConstantPlane(), [photo]).absrel > 0.1


def test_the_table_has_a_row_for_each_estimator():
    photo = photo_of(np.ones((60, 80)))
    row = {"mine": score_estimator(ConstantPlane(), [photo])}
    table = table_of({"constant": row, "floor": row}).splitlines()
    assert len(table) == 4
    assert table[2] == "| constant | 0.000 | 1.000 |"


def test_photos_are_read_from_both_kinds_of_folders(tmp_path):
    depth = np.full((6, 8), 1500, np.uint16)
    Image.fromarray(depth).save(tmp_path / "depth_mm.png")
    Image.fromarray(np.full((6, 8, 3), 90, np.uint8)).save(tmp_path / "photo.jpg")
    meta = {"K": K.tolist(), "depth_unit_m": 0.001}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    (photo,) = read_photos(tmp_path)
    np.testing.assert_allclose(photo.depth_z, 1.5)
    frames = [{"color": "photo.jpg", "depth": "depth_mm.png"}] * 2
    (tmp_path / "scan.json").write_text(json.dumps(meta | {"frames": frames}))
    assert len(read_photos(tmp_path)) == 2


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no photos with depth"):
        read_photos(tmp_path)


def test_sheets_show_near_red_and_far_blue():
    depth = np.linspace(1, 5, 48, dtype=np.float32).reshape(6, 8)
    depth[0, 0] = 0
    colors = depth_colors(depth).astype(int)
    assert (colors[0, 0] == 0).all()
    assert colors[0, 1, 0] > colors[0, 1, 2]
    assert colors[-1, -1, 0] < colors[-1, -1, 2]
    assert (depth_colors(np.zeros((2, 2), np.float32)) == 0).all()
    sheet = photo_sheet(ConstantPlane(), [photo_of(np.ones((60, 80)))] * 3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (432, 576, 3)
