"""The loop: budgets, resuming, stopping, several processes, and what it tells."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worldfm_gym.training.synthetic_views import SyntheticSource
from tests.worldfm_gym.training.toy_training import (
    ALONE,
    FLOAT32,
    logged,
    toy_network,
    toy_options,
    toy_source,
)
from worldfm_gym.errors import CheckpointError, ConfigError, MissingExtraError
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.training.batch import Batch
from worldfm_gym.training.checkpoint import load_checkpoint
from worldfm_gym.training.conditioned import Denoiser, prepare
from worldfm_gym.training.control import ControlOptions, train_control
from worldfm_gym.training.learner import Learner
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.prior import PriorOptions, train_prior
from worldfm_gym.training.processes import join_processes
from worldfm_gym.training.reporting import Averages, Reporter
from worldfm_gym.training.schedule import Budget, rate_at

REPOSITORY = Path(__file__).parents[3]


def learner(**options: Any) -> Learner[FrameDiT]:
    return Learner(
        toy_network(),
        Denoiser,
        options=OptimizerOptions(**options),
        arithmetic=FLOAT32,
        processes=ALONE,
    )


def loss_of(trained: Learner[FrameDiT]) -> torch.Tensor:
    views = prepare(toy_source().batch(2))
    predicted: torch.Tensor = trained.shared(views, views.noise, torch.ones(len(views)))
    return (predicted - views.truth).square().mean()


def test_rate_rises_falls_and_ends_at_the_floor() -> None:
    options = OptimizerOptions(warmup_steps=10, floor=0.1, decay="linear")
    assert rate_at(options, step=0, progress=0) == pytest.approx(0.1)
    assert rate_at(options, step=4, progress=0) == pytest.approx(0.5)
    assert rate_at(options, step=100, progress=0.5) == pytest.approx(0.55)
    assert rate_at(options, step=100, progress=1) == pytest.approx(0.1)
    cosine = replace(options, decay="cosine", hold=0.5)
    assert rate_at(cosine, step=100, progress=0.5) == pytest.approx(1)
    assert rate_at(cosine, step=100, progress=0.75) == pytest.approx(0.55)
    assert rate_at(cosine, step=100, progress=1) == pytest.approx(0.1)


def test_budget_counts_steps_or_minutes_and_earlier_parts_of_the_run() -> None:
    now = 1000.0
    budget = Budget(steps=None, minutes=2, spent_seconds=30, clock=lambda: now)
    assert budget.progress(10**6) == pytest.approx(0.25)
    now += 60
    assert budget.progress(0) == pytest.approx(0.75)
    assert budget.spent_seconds == pytest.approx(90)
    now += 3600
    assert budget.progress(0) == 1
    both = Budget(steps=10, minutes=2, clock=lambda: now)
    assert both.progress(9) == pytest.approx(0.9)


def test_average_follows_the_weights_as_its_definition_says() -> None:
    trained = learner(ema_decay=0.5, learning_rate=0.01)
    assert trained.average is not None
    expected = [p.detach().clone() for p in trained.network.parameters()]
    for update in (1, 2, 3):
        trained.update(loss_of(trained), rate=1.0)
        decay = min(0.5, (1 + update) / (10 + update))
        weights = trained.network.parameters()
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    for average, e in zip(trained.average.parameters(), expected, strict=True):
        assert torch.allclose(average, e, atol=1e-6)


def test_a_gradient_that_is_not_finite_is_skipped() -> None:
    trained = learner()
    trained.update(loss_of(trained), rate=1.0)
    before = [p.detach().clone() for p in trained.network.parameters()]
    norm = trained.update(loss_of(trained) * math.nan, rate=1.0)
    assert not math.isfinite(norm)
    for weight, b in zip(trained.network.parameters(), before, strict=True):
        assert torch.equal(weight, b)
    assert math.isfinite(trained.update(loss_of(trained), rate=1.0))
    after = trained.network.parameters()
    assert not all(torch.equal(w, b) for w, b in zip(after, before, strict=True))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    class Stopping(SyntheticSource):
        """Stops the run after three batches, as a scheduler's signal would."""

        def batch(self, groups: int) -> Batch:
            if self.drawn == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().batch(groups)

    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train_control(ControlOptions(**toy_options(whole, steps=6)), source=toy_source(cycle=1))
    options = ControlOptions(**toy_options(parted, steps=6, resume=True))
    source = Stopping(cycle=1)
    train_control(options, source=source)
    assert source.closed
    assert load_checkpoint(parted / "checkpoint.safetensors").progress.step == 3
    train_control(options, source=toy_source(cycle=1))
    a, b = (load_checkpoint(p / "checkpoint.safetensors") for p in (whole, parted))
    assert (a.progress.step, b.progress.step) == (6, 6)
    assert (a.progress.restarts, b.progress.restarts) == (0, 1)
    assert a.progress.samples == b.progress.samples == 6 * 4
    assert a.tensors.keys() == b.tensors.keys()
    for name, tensor in a.tensors.items():
        assert torch.allclose(tensor, b.tensors[name], atol=1e-6), name


def test_resuming_refuses_another_stages_folder_and_starts_in_an_empty_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = toy_options(out, steps=1, resume=True)
    train_prior(PriorOptions(**options), source=toy_source())
    with pytest.raises(CheckpointError, match="stage 'prior'"):
        train_control(ControlOptions(**options), source=toy_source())
    source = toy_source()
    train_prior(PriorOptions(**options), source=source)
    assert "nothing to do" in capsys.readouterr().out
    assert source.drawn == 0


def test_minutes_end_a_run(tmp_path: Path) -> None:
    train_prior(PriorOptions(**toy_options(tmp_path, minutes=0.02)), source=toy_source())
    progress = load_checkpoint(tmp_path / "checkpoint.safetensors").progress
    assert progress.step > 0
    assert progress.seconds >= 1.2


def test_a_run_tells_figures_and_scores_and_leaves_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = toy_options(tmp_path, steps=4, log_every=2, preview_every=2, held_out_groups=2)
    held_out = toy_source(seed=50)
    train_control(ControlOptions(**options), source=toy_source(), held_out=held_out)
    told = capsys.readouterr().out
    assert len(logged(told, "loss")) == 3  # after the first step, then every second
    assert logged(told, "lr")[0] == pytest.approx(3e-3 / 5, rel=1e-3)
    assert "1-step/psnr_uncovered" in told
    assert "8-step/sharpness_uncovered" in told
    assert held_out.closed
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "model.safetensors",
        "preview_0000002.png",
        "preview_0000004.png",
    ]
    model = FrameModel.from_pretrained(tmp_path / "model.safetensors")
    assert model.metadata["stage"] == "control"
    assert model.metadata["steps"] == "4"


def test_figures_are_means_over_the_steps_that_have_them() -> None:
    averages = Averages()
    averages.add({"a": torch.tensor(1.0), "b": torch.tensor(4.0)})
    averages.add({"a": torch.tensor(3.0)})
    assert averages.take() == {"a": 2.0, "b": 4.0}
    assert averages.take() == {}


def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reporter = Reporter(tmp_path, title="prior", tensorboard=True, write=lambda line: None)
    reporter.figures({"loss": 0.5}, step=10, samples=100, progress=0.1)
    reporter.close()
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(10, 0.5)]


def test_without_tensorboard_a_run_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    options = PriorOptions(**toy_options(tmp_path, steps=1, tensorboard=True))
    with pytest.raises(MissingExtraError, match=r"--no-tensorboard.*worldfm-gym\[train\]"):
        train_prior(options, source=toy_source())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": None}, "--minutes or --steps"),
        ({"steps": 0}, "steps must be greater than 0"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes"),
        ({"resume": True, "init": Path("model")}, "one of them"),
    ],
)
def test_impossible_options_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        PriorOptions(**toy_options(tmp_path, **({"steps": 1} | change)))


@pytest.mark.parametrize("device", ["warp", "cuda"])
def test_a_device_that_is_not_there_is_refused(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device"):
        join_processes(device)


_TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from torch import distributed
from tests.worldfm_gym.training.toy_training import toy_network, toy_options, toy_source
from worldfm_gym.training import loop
from worldfm_gym.training.control import ControlOptions, train_control
from worldfm_gym.training.distill import DistillOptions, MatchingOptions, train_distill

out, stage = Path(sys.argv[1]), sys.argv[2]
kept = []
make_run = loop._Run
loop._Run = lambda *a, **k: kept.append(make_run(*a, **k)) or kept[0]
leave = loop.Processes.leave
loop.Processes.leave = lambda self: None
rank = int(__import__("os").environ["RANK"])
source = toy_source(seed=10 * rank, cycle=4, references=2 * rank)  # one process has none
if stage == "control":
    train_control(ControlOptions(**toy_options(out, steps=3)), source=source)
else:
    parts = MatchingOptions(pairs=1, teacher_steps=2, energy=1.0)
    options = DistillOptions(**toy_options(out, steps=3, init="nano"), distill=parts)
    loop.load_network = lambda path: toy_network()
    train_distill(options, source=source)
learners = kept[0].stage.learners.values()
mine = torch.cat([p.detach().flatten() for l in learners for p in l.network.parameters()])
both = [torch.empty_like(mine) for _ in range(2)]
distributed.all_gather(both, mine)
assert torch.equal(*both), (both[0] - both[1]).abs().max()
print(f"rank {rank}: equal weights, {kept[0].progress.samples} views", flush=True)
processes = kept.pop().processes
del learners
leave(processes)
"""


@pytest.mark.parametrize("stage", ["control", "distill"])
def test_two_processes_train_the_same_networks(tmp_path: Path, stage: str) -> None:
    script = tmp_path / "two.py"
    script.write_text(_TWO_PROCESSES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script), str(tmp_path / "out"), stage],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    for rank in (0, 1):
        assert f"rank {rank}: equal weights, 24 views" in run.stdout
    assert run.stdout.count(" step 1 ") == 1  # one process reports
    assert load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").progress.samples == 24
