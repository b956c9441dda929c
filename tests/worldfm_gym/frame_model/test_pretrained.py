"""Files of frame models: what is written is read, and anything else gets a clear error."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.worldfm_gym.frame_model import drawing
from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.pretrained import FrameModel


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    FrameModel(drawing.lively_network(), {"recipe": "none"}).save_pretrained(path)
    return path


def test_what_is_written_is_read(file: Path) -> None:
    model = FrameModel.from_pretrained(file)
    assert model.config == drawing.SMALL
    assert model.metadata["recipe"] == "none"
    assert not model.network.training
    for name, weight in drawing.lively_network().state_dict().items():
        assert torch.equal(model.network.state_dict()[name], weight.bfloat16().float())
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_shipped_model_is_found_by_name() -> None:
    assert FrameModel.from_pretrained("nano").metadata["format"] == "worldfm-gym frame model"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrameModelError, match=r"no frame model .*gone"):
        FrameModel.from_pretrained(tmp_path / "gone.safetensors")


def test_garbage_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"garbage" * 99)
    with pytest.raises(FrameModelError, match="not a safetensors file"):
        FrameModel.from_pretrained(tmp_path / "x.safetensors")


def test_another_safetensors_file_is_no_model(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(FrameModelError, match="not of a frame model"):
        FrameModel.from_pretrained(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "99"}, "update worldfm-gym"),
        ({"config": "{"}, "unreadable"),
        ({"config": json.dumps({"width": 7})}, r"unreadable|multiple of 16"),
        ({"config": json.dumps(asdict(drawing.SMALL) | {"depth": 3})}, "other weights"),
    ],
)
def test_other_metadata_are_refused(file: Path, change: dict[str, str], message: str) -> None:
    metadata = {
        "format": "worldfm-gym frame model",
        "version": "1",
        "config": json.dumps(asdict(drawing.SMALL)),
    }
    save_file(load_file(file), file, metadata=metadata | change)
    with pytest.raises(FrameModelError, match=message):
        FrameModel.from_pretrained(file)
