"""A network, options and sources small enough to train within seconds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from tests.worldfm_gym.training.synthetic_views import SyntheticSource
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.training.learner import Arithmetic
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.processes import Processes

TOY_MODEL = FrameModelConfig(width=32, depth=2, heads=2, mlp_ratio=2, stem=16, detail=8)
CPU = torch.device("cpu")
ALONE = Processes(0, 1, CPU)
FLOAT32 = Arithmetic(CPU)


def toy_network(seed: int = 0) -> FrameDiT:
    """A toy network with random weights."""
    torch.manual_seed(seed)
    return FrameDiT(TOY_MODEL)


def toy_options(out: Path, **changes: Any) -> dict[str, Any]:
    """Options of a short run without scores."""
    options = {
        "out": out,
        "model": TOY_MODEL,
        "groups": 2,
        "device": "cpu",
        "tensorboard": False,
        "log_every": 5,
        "held_out_groups": 0,
        "optimizer": OptimizerOptions(learning_rate=3e-3, warmup_steps=5),
    }
    return options | changes


def toy_source(**changes: Any) -> SyntheticSource:
    """The same two batches over and over."""
    return SyntheticSource(**({"cycle": 2} | changes))


def logged(text: str, name: str) -> list[float]:
    """The values of a figure in the lines that a run wrote."""
    return [float(value) for value in re.findall(rf"(?<=  ){name} ([0-9.e+-]+)", text)]
