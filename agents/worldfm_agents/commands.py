"""What the commands of `worldfm-gym` do; their arguments are in `worldfm_agents.cli`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from worldfm_agents.agent import Agent
from worldfm_agents.demo import DemoOptions, DemoRun, run_demo
from worldfm_agents.recording import Recorder
from worldfm_agents.rollout import EpisodeResult, rollout
from worldfm_agents.scripted import GreedyAgent, OrbitAgent, RandomAgent, ShortestPathAgent
from worldfm_agents.step_timer import StepTimer
from worldfm_agents.world_report import world_table
from worldfm_gym import make_world
from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_agents.cli import Demo, Info, Rollout

_DEMO_SIZE = {"anchor": {"width": 320, "height": 240}, "frame": {"width": 128, "height": 96}}


def run_demo_command(command: Demo) -> None:
    """`worldfm-gym demo`."""
    console = Console()
    start = perf_counter()
    options = DemoOptions(
        seed=command.seed,
        episodes=command.episodes,
        camera_steps=command.camera_steps,
        gif=command.gif,
        renderer=command.renderer,
        expand=command.expand,
        **_DEMO_SIZE[command.renderer],
    )
    runs = run_demo(command.out, options, console=console)
    console.print(_demo_table(runs))
    for run in runs:
        console.print(f"{run.name}: {run.world}", highlight=False, soft_wrap=True)
    console.print(
        f"\nSteps/s: the environment alone, one agent, drawing {options.width}×{options.height} "
        "RGB and depth on this CPU; video encoding is not counted.\n"
        f"Each run's .mp4 and contact sheet .png, and both worlds, are in {command.out.resolve()} "
        f"({perf_counter() - start:.0f} s).",
        highlight=False,
        soft_wrap=True,
    )


def run_info_command(command: Info) -> None:
    """`worldfm-gym info`."""
    Console().print(world_table(make_world(command.world)))


def run_rollout_command(command: Rollout) -> None:
    """`worldfm-gym rollout`."""
    if command.episodes < 1:
        raise ConfigError(f"--episodes must be 1 or more, got {command.episodes}")
    flies = command.env == "WorldFM/FreeCamera-v0"
    if command.agent != "random" and flies != (command.agent == "orbit"):
        fitting = "orbit or random" if flies else "shortest-path, greedy or random"
        raise ConfigError(f"--agent {command.agent} can't act in {command.env}: take {fitting}")
    console = Console()
    with console.status("building the world"):
        env = gym.make(
            command.env,
            world=command.world,
            world_seed=command.world_seed,
            width=command.width,
            height=command.height,
            renderer=command.renderer,
            renderer_options={"steps": command.steps} if command.renderer == "frame" else None,
            max_episode_steps=command.max_steps,
        )
        timer = StepTimer(env)
        timer.warm_up(seed=command.seed)
    agent = _agent(command, env)
    results: list[EpisodeResult] = []
    with ExitStack() as stack:
        recorder = None
        if command.video is not None:
            title = f"{command.world} {command.agent}"
            recorder = stack.enter_context(Recorder(env, video=command.video, title=title))
        seeds = range(command.seed, command.seed + command.episodes)
        for seed in track(seeds, description=command.agent, console=console, transient=True):
            results += rollout(timer, agent, episodes=1, seed=seed, on_frame=recorder)
    env.close()
    console.print(_results_table(results))
    console.print(
        f"{timer.steps} steps, {timer.steps_per_second:,.0f} steps/s: the environment alone, one "
        f"agent, {command.width}×{command.height} RGB and depth; neither agent nor video counted.",
        highlight=False,
        soft_wrap=True,
    )
    if command.video is not None:
        console.print(f"Video: {command.video}", highlight=False, soft_wrap=True)


def _agent(command: Rollout, env: gym.Env[Any, Any]) -> Agent:
    """The agent by name."""
    if command.agent == "random":
        return RandomAgent(env.action_space, seed=command.seed)
    if command.agent == "orbit":
        return OrbitAgent()
    if command.agent == "greedy":
        return GreedyAgent(seed=command.seed)
    return ShortestPathAgent(env)


def _results_table(results: Sequence[EpisodeResult]) -> Table:
    """One row an episode, and the means."""
    scored = "success" in results[0].info
    table = Table("seed", "steps", "reward", *(_SCORES if scored else ()))
    for column in table.columns:
        column.justify = "right"
    rows = [_row(result, scored=scored) for result in results]
    for result, row in zip(results, rows, strict=True):
        table.add_row(str(result.seed), *(f"{value:g}" for value in np.round(row, 2)))
    table.add_section()
    table.add_row("mean", *(f"{value:.2f}" for value in np.mean(rows, axis=0)))
    return table


_SCORES = ("success", "SPL", "SoftSPL", "to goal (m)", "contacts")


def _row(result: EpisodeResult, *, scored: bool) -> list[float]:
    """The numbers of one episode, in the order of the columns."""
    row = [float(result.steps), result.total_reward]
    if scored:
        names = ("success", "spl", "soft_spl", "distance_to_goal", "collisions")
        row += [float(result.info[name]) for name in names]
    return row


def _demo_table(runs: Sequence[DemoRun]) -> Table:
    """One row a run."""
    table = Table("run", "steps", "steps/s", "success", "SPL")
    for column in table.columns[1:]:
        column.justify = "right"
    for run in runs:
        scores = [(e.info["success"], e.info["spl"]) for e in run.episodes if "spl" in e.info]
        success, spl = (f"{mean:.2f}" for mean in np.mean(scores, axis=0)) if scores else ("", "")
        table.add_row(run.name, str(run.steps), f"{run.steps_per_second:,.0f}", success, spl)
    return table
