"""The command `worldfm-gym train`: options of each stage, and what runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import tyro

from worldfm_gym.training.control import ControlOptions, train_control
from worldfm_gym.training.depth_stage import DepthOptions, train_depth
from worldfm_gym.training.distill import DistillOptions, train_distill
from worldfm_gym.training.prior import PriorOptions, train_prior

_Options = (
    Annotated[PriorOptions, tyro.conf.subcommand("prior")]
    | Annotated[ControlOptions, tyro.conf.subcommand("control")]
    | Annotated[DistillOptions, tyro.conf.subcommand("distill")]
    | Annotated[DepthOptions, tyro.conf.subcommand("depth")]
)


def run_train_command(arguments: Sequence[str], *, program: str) -> None:
    """Run one stage of training.

    Args:
        arguments: The stage and its options.
        program: What the command is called in its help.
    """
    options = tyro.cli(
        _Options,
        prog=program,
        args=arguments,
        description="Train a frame model (prior, control, distill) or the depth estimator (depth).",
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    if isinstance(options, DepthOptions):
        train_depth(options)
    elif isinstance(options, DistillOptions):
        train_distill(options)
    elif isinstance(options, ControlOptions):
        train_control(options)
    else:
        train_prior(options)
