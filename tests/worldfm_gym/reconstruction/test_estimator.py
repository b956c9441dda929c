"""How estimators are made, and MoGe's adapter on a stand-in for its package."""

import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch

from worldfm_gym.errors import MissingExtraError, ReconstructionError
from worldfm_gym.reconstruction import DepthEstimate, DepthEstimator, make_estimator


class Fixed:
    name = "fixed"

    def estimate(self, images, K=None):
        return [
            DepthEstimate(np.ones(i.shape[:2]), np.ones(i.shape[:2]), np.eye(3), True)
            for i in images
        ]


def test_an_estimator_is_returned_as_it_is():
    mine = Fixed()
    assert isinstance(mine, DepthEstimator)
    assert make_estimator(mine) is mine


def test_something_else_is_refused():
    with pytest.raises(ReconstructionError, match="'name' and a method 'estimate'"):
        make_estimator(3)


@pytest.mark.parametrize("name", ["depth", "no/such/folder", "moge2", "a/b/c", ""])
def test_an_unknown_name_says_what_there_is(name):
    with pytest.raises(ReconstructionError, match=r"'built-in', 'moge', a folder"):
        make_estimator(name)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ReconstructionError, match="no depth estimator"):
        make_estimator(tmp_path)


def test_missing_transformers_name_the_extra(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"worldfm-gym\[depth\]"):
        make_estimator(tmp_path)


def test_missing_moge_says_how_to_install_it():
    with pytest.raises(ReconstructionError, match="pip install git"):
        make_estimator("moge")


class MoGeStandIn:
    """What `moge.model.v1.MoGeModel` and `v2.MoGeModel` offer."""

    calls: ClassVar[list] = []

    @classmethod
    def from_pretrained(cls, source):
        if source == "nowhere":
            raise FileNotFoundError(source)
        cls.calls.append(source)
        return cls()

    def to(self, device):
        return self

    def eval(self):
        return self

    def infer(self, image, fov_x=None):
        assert image.dtype == torch.float32
        assert image.max() <= 1
        _, height, width = image.shape
        depth = torch.full((height, width), 2.0)
        depth[0, 0] = torch.inf
        mask = torch.ones(height, width, dtype=torch.bool)
        mask[1, 1] = False
        fx = 1.25 if fov_x is None else 0.5 / np.tan(np.deg2rad(fov_x) / 2)
        intrinsics = torch.tensor([[fx, 0, 0.5], [0, fx * width / height, 0.5], [0, 0, 1]])
        return {"depth": depth, "mask": mask, "intrinsics": intrinsics}


@pytest.fixture
def moge(monkeypatch):
    def install(*versions):
        package = types.ModuleType("moge"), types.ModuleType("moge.model")
        for module in package:
            module.__path__ = []
            monkeypatch.setitem(sys.modules, module.__name__, module)
        for version in ("v1", "v2"):
            module = types.ModuleType(f"moge.model.{version}")
            module.MoGeModel = MoGeStandIn
            monkeypatch.setitem(
                sys.modules, module.__name__, module if version in versions else None
            )
        MoGeStandIn.calls = []

    return install


def test_moge_tells_depth_and_lens(moge):
    moge("v1", "v2")
    estimator = make_estimator("moge")
    image = np.full((30, 40, 3), 200, np.uint8)
    estimate = estimator.estimate([image])[0]
    assert estimator.name == "moge:Ruicheng/moge-2-vitl-normal"
    assert estimate.metric
    np.testing.assert_allclose(estimate.K, [[50, 0, 20], [0, 50, 15], [0, 0, 1]])
    assert estimate.depth_z[0, 0] == estimate.depth_z[1, 1] == 0
    assert estimate.confidence[0, 0] == estimate.confidence[1, 1] == 0
    assert (estimate.depth_z == 2).sum() == 30 * 40 - 2
    K = np.array([[80.0, 0, 20], [0, 80, 15], [0, 0, 1]])
    np.testing.assert_array_equal(estimator.estimate([image], [K])[0].K, K)


def test_the_first_moge_is_not_metric(moge):
    moge("v1")
    estimate = make_estimator("moge").estimate([np.zeros((8, 8, 3), np.uint8)])[0]
    assert MoGeStandIn.calls == ["Ruicheng/moge-vitl"]
    assert not estimate.metric


def test_a_model_of_the_first_moge_is_not_metric_in_the_newer_package(moge):
    moge("v1", "v2")
    estimate = make_estimator("moge:Ruicheng/moge-vitl").estimate([np.zeros((8, 8, 3), np.uint8)])
    assert not estimate[0].metric


def test_a_missing_moge_model_says_so(moge):
    moge("v2")
    with pytest.raises(ReconstructionError, match="moge:nowhere can't be loaded"):
        make_estimator("moge:nowhere")
