"""Checkpoints: what is written is read back, and anything else gets a clear error."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.worldfm_gym.training.toy_training import TOY_MODEL, toy_network
from worldfm_gym.errors import CheckpointError, FrameModelError
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.training.checkpoint import (
    Checkpoint,
    Progress,
    load_checkpoint,
    load_network,
    load_weights,
    save_checkpoint,
)

PROGRESS = Progress(stage="control", step=7, samples=448, seconds=12.5, restarts=1)


def written(path: Path) -> Checkpoint:
    tensors = {f"network.average.{k}": v for k, v in toy_network(3).state_dict().items()}
    checkpoint = Checkpoint(PROGRESS, TOY_MODEL, tensors | {"random": torch.arange(5)})
    save_checkpoint(path, checkpoint)
    return checkpoint


def test_a_checkpoint_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    before = written(path)
    after = load_checkpoint(path, stage="control")
    assert after.progress == PROGRESS
    assert after.model == TOY_MODEL
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(after.tensors[k], v) for k, v in before.tensors.items())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    written(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, Checkpoint(Progress(stage="prior"), TOY_MODEL, {}))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_networks_start_from_a_checkpoint_and_from_a_model(tmp_path: Path) -> None:
    written(tmp_path / "checkpoint.safetensors")
    FrameModel(toy_network(3)).save_pretrained(tmp_path / "model.safetensors", dtype=torch.float32)
    for name in ("checkpoint.safetensors", "model.safetensors"):
        network = load_network(tmp_path / name)
        for key, value in toy_network(3).state_dict().items():
            assert torch.equal(network.state_dict()[key], value)
        assert all(p.requires_grad for p in network.parameters())


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(CheckpointError, match="can't be read"):
        load_checkpoint(path)
    path.write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match="can't be read"):
        load_checkpoint(path)
    with pytest.raises(FrameModelError):
        load_network(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not a training checkpoint"):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    written(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="can't be read"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "99"}, "update worldfm-gym"),
        ({"version": "many"}, "unreadable metadata"),
        ({"progress": "{}"}, "unreadable metadata"),
        ({"model": '{"width": 33}'}, "unreadable metadata"),
    ],
)
def test_unusable_metadata_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    written(path)
    tensors = load_file(path)
    metadata = {
        "format": "worldfm-gym checkpoint",
        "version": "1",
        "progress": '{"stage": "control"}',
        "model": "{}",
    }
    save_file(tensors, path, metadata=metadata)
    assert load_checkpoint(path).progress.stage == "control"
    save_file(tensors, path, metadata=metadata | change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(path)


def test_another_stage_or_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    written(path)
    with pytest.raises(CheckpointError, match=r"stage 'control', not 'distill'.*--init"):
        load_checkpoint(path, stage="distill")
    checkpoint = load_checkpoint(path)
    with pytest.raises(CheckpointError, match="nothing of 'fake'"):
        checkpoint.part("fake")
    weights = checkpoint.part("network.average")
    weights.popitem()
    with pytest.raises(CheckpointError, match="don't fit"):
        load_weights(toy_network(), weights)
