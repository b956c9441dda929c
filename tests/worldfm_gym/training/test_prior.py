"""Stage 1: the image prior learns, and sees neither anchor nor references."""

from pathlib import Path

import pytest

from tests.worldfm_gym.training.toy_training import logged, toy_options, toy_source
from worldfm_gym.training.prior import PriorOptions, train_prior


def test_loss_falls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = toy_options(tmp_path, steps=40, groups=4)
    train_prior(PriorOptions(**options), source=toy_source())
    told = capsys.readouterr().out
    losses = logged(told, "loss")
    assert losses[-1] < 0.65 * losses[0]
    assert "/covered" not in told
