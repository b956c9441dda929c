"""Training from a shell: the documented script on tiny worlds, and unusable input."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from worldfm_agents.cli import main
from worldfm_gym.frame_model.pretrained import FrameModel

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_nano.sh"
TINY = {
    "steps": "2",
    "groups": "2",
    "device": "cpu",
    "workers": "0",
    "held-out-groups": "2",
    "model.width": "32",
    "model.depth": "1",
    "model.heads": "2",
    "generator.kinds": "rooms",
    "generator.sizes": "32 32",
    "generator.size-shares": "1.0",
    "generator.places": "2",
    "generator.spacing-m": "0.3 0.4",
    "generator.pool-worlds": "1",
}
_STAGE = """
echo "$@" >> "$(dirname "$0")/calls.txt"
mkdir -p "$4" && touch "$4/checkpoint.safetensors"
"""


def test_the_script_chains_the_stages_and_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "stage.sh").write_text(_STAGE)
    launch = f"bash {tmp_path / 'stage.sh'}"
    environment = os.environ | {"MINUTES": "40", "LAUNCH": launch, "PYTHON": "echo"}
    out = tmp_path / "out"
    command = [str(SCRIPT), str(out), "--groups", "8"]
    (out / "prior").mkdir(parents=True)
    (out / "prior" / "checkpoint.safetensors").touch()
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    calls = (tmp_path / "calls.txt").read_text().splitlines()
    begins = [
        f"train prior --out {out}/prior --minutes 2.000 --resume",
        f"train control --out {out}/control --minutes 20.000 "
        f"--init {out}/prior/checkpoint.safetensors",
        f"train distill --out {out}/pairs --minutes 6.000 "
        f"--init {out}/control/checkpoint.safetensors",
        f"train distill --out {out}/distill --minutes 12.000 "
        f"--init {out}/pairs/checkpoint.safetensors",
    ]
    assert len(calls) == len(begins)
    for call, begin in zip(calls, begins, strict=True):
        assert call.startswith(begin)
        assert call.endswith(" --groups 8")  # what is given comes last, and so counts
    summed = f"--add {out}/control/model.safetensors -0.06 --add {out}/distill/model.safetensors"
    assert summed in done.stdout


def test_the_stages_follow_each_other_on_tiny_worlds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tiny = [word for name, value in TINY.items() for word in (f"--{name}", *value.split())]
    before: list[str] = []
    for stage in ("prior", "control", "distill"):
        out = tmp_path / stage
        more = ["--distill.pairs", "2"] if stage == "distill" else []
        main(["train", stage, "--out", str(out), "--no-tensorboard", *tiny, *before, *more])
        before = ["--init", str(out / "checkpoint.safetensors")]
        assert f"{stage}: 2 steps, 16 views" in capsys.readouterr().out
        assert FrameModel.from_pretrained(out / "model.safetensors").metadata["stage"] == stage
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["control", "--steps", "1", "--init", "nowhere.safetensors"], "no frame model"),
        (["prior", "--steps", "1", "--device", "warp"], "device must be"),
    ],
)
def test_unusable_input_ends_with_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_of:
        main(["train", *arguments, "--out", str(tmp_path), "--no-tensorboard"])
    assert exit_of.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_lists_training_and_each_stage_has_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, expected in (
        (["--help"], "train"),
        (["train", "--help"], "STAGE"),
        (["train", "distill", "--help"], "--distill.teacher-steps"),
    ):
        with pytest.raises(SystemExit) as exit_of:
            main(arguments)
        assert exit_of.value.code == 0
        assert expected in capsys.readouterr().out
