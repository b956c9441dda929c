"""Arguments of `worldfm-gym episodes` and `worldfm-gym bench`; they import what they run later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_FILE = tyro.conf.arg(metavar="PATH", help_behavior_hint="")
_NAME = tyro.conf.arg(metavar="NAME", help_behavior_hint="")
_COUNT = tyro.conf.arg(metavar="NUMBER", help_behavior_hint="")


@dataclass(kw_only=True)
class Episodes:
    """Draw a set of episodes and write it as JSON, for bench and for episodes= of environments.

    Example: worldfm-gym episodes --world rooms --seeds 1000000000 1000000020 --per-world 5
    -o my_rooms.json
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """The .json to write."""
    task: str = "PointNav"
    """Task, such as PointNav, or a whole environment id."""
    world: str = "rooms"
    """rooms, factory, warehouse, maze, or what else make_world takes without options."""
    seeds: tuple[int, int] = (1_000_000_000, 1_000_000_010)
    """First seed of a procedural kind's worlds, and the one after the last. Those from 1000000000
    on are never drawn in training."""
    per_world: int = 10
    """Episodes in each world."""
    seed: int = 0
    """Another number draws other episodes in the same worlds."""
    option: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """An argument of the environment that differs from its default, such as agent_radius_m=0.1."""
    description: str = ""
    """What the set is, for people."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.benchmark_commands import run_episodes_command

        run_episodes_command(self)


@dataclass(kw_only=True)
class Bench:
    """Let an agent play a suite once, and write how well it did, with 95 % intervals.

    Writes SUITE-AGENT.json with every episode, its row of a leaderboard as .md, and
    leaderboard.md with the rows of all results in the folder.
    Example: worldfm-gym bench --suite rooms-val --agent greedy -o out/bench
    """

    suite: str = "rooms-val"
    """rooms-val, maze-val, factory-val, photo-val, or a file that episodes wrote."""
    agent: Literal["blind", "random", "greedy", "shortest-path"] = "greedy"
    """Who plays, if there is no --policy."""
    policy: Annotated[Path | None, _FILE] = None
    """A saved policy (.safetensors), with the arguments of the environment that it acts in."""
    name: Annotated[str | None, _NAME] = None
    """Name of the policy in tables; default the file's."""
    renderer: Literal["anchor", "frame", "truth"] = "anchor"
    """What draws the images."""
    env: Annotated[str | None, _NAME] = None
    """Another environment id than the suite's own, with the same reset options."""
    episodes: Annotated[int | None, _COUNT] = None
    """Play only so many of the episodes."""
    max_steps: int = 500
    """Time limit of an episode."""
    option: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """Any other argument of the environment, such as depth_noise=redwood."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the renderer draws."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out/bench")
    """Folder for the results; created if missing."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.benchmark_commands import run_bench_command

        run_bench_command(self)
