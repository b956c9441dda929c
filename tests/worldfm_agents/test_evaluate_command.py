import json

import numpy as np
import pytest
import torch
from PIL import Image

from worldfm_agents.cli import main
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.training import evaluation_views


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    torch.manual_seed(0)
    network = FrameDiT(FrameModelConfig(width=32, depth=1, heads=2, stem=16))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    FrameModel(network).save_pretrained(path)
    return path


@pytest.fixture
def small_maze(monkeypatch):
    """Four views of a maze in place of the many of all kinds."""

    def few(count, *, size, seed, workers):
        tasks = evaluation_views._tasks(count, size=size, seed=seed)
        (place,) = evaluation_views._build(tasks[evaluation_views.KINDS.index("maze")])
        return place

    monkeypatch.setattr(evaluation_views, "procedural_views", few)


@pytest.mark.usefixtures("small_maze")
def test_evaluate_prints_and_writes_everything(model_file, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    arguments = ["--student", str(model_file), "--teacher", str(model_file), "--views", "16"]
    arguments += ["--teacher-steps", "3", "--size", "64", "--device", "cpu", "--workers", "0"]
    main(["evaluate", *arguments, "--out", str(out)])
    printed = capsys.readouterr().out
    for word in ("anchor", "Telea", "N–S", "points", "1 step", "2 steps", "teacher", "truth"):
        assert word in printed
    assert "PSNR, whole view" in printed.replace("\n", " ") or "all views" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "bad.png",
        "evaluation.json",
        "evaluation.md",
        "good.png",
        "spread.png",
    ]
    record = json.loads((out / "evaluation.json").read_text())
    assert record["settings"]["teacher_steps"] == 3
    assert record["settings"]["device"] == "cpu"
    assert record["figures"]["all"]["teacher"]["psnr"] > 5
    assert "teacher, 3 steps" in (out / "evaluation.md").read_text()
    with Image.open(out / "spread.png") as image:
        assert np.asarray(image).std() > 20


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "50"], "--size must be a multiple of 8 from 64 to 128"),
        (["--views", "10"], "multiple of 16"),
        (["--teacher-steps", "0"], "--teacher-steps must be 1 or more"),
        (["--student", "no_such_model"], "no frame model 'no_such_model'"),
        (["--scan", "no_such_scan"], "no_such_scan"),
        (["--every", "2"], "give it with --scan"),
    ],
)
def test_unusable_arguments_are_one_line(arguments, words, model_file, tmp_path, capsys):
    given = ["evaluate", "--student", str(model_file), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main([*given, *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
