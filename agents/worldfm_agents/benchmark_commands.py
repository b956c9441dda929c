"""What `worldfm-gym episodes` and `worldfm-gym bench` do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track

from worldfm_agents import benchmark_report
from worldfm_agents.baselines import make_agent
from worldfm_agents.benchmark import AgentMaker, PlayedEpisode, play
from worldfm_agents.cli import parse_option
from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.suites import generate_episodes
from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_agents.benchmark_arguments import Bench, Episodes

_UNSEEN_SIDE = 32  # pixels of images that nobody looks at


def run_episodes_command(command: Episodes) -> None:
    """`worldfm-gym episodes`."""
    from worldfm_gym.worlds.procedural import KINDS

    first, end = command.seeds
    if not 0 <= first < end:
        raise ConfigError(f"--seeds takes FIRST END with 0 <= FIRST < END, got {first} {end}")
    env_id = command.task if "/" in command.task else f"WorldFM/{command.task}-v0"
    drawn = generate_episodes(
        command.out.stem,
        env_id,
        source=command.world,
        seeds=range(first, end) if command.world in KINDS else (None,),
        per_world=command.per_world,
        seed=command.seed,
        config=_options(command.option),
        description=command.description,
    )
    drawn.save(command.out)
    ways = [e.geodesic_distance_m for e in drawn if e.geodesic_distance_m is not None]
    range_m = f", goals {min(ways):.1f}…{max(ways):.1f} m away" if ways else ""
    Console().print(f"{command.out}: {len(drawn)} episodes{range_m}", highlight=False)


def run_bench_command(command: Bench) -> None:
    """`worldfm-gym bench`."""
    console = Console()
    suite = EpisodeSet.load(command.suite)
    if command.episodes is not None:
        if command.episodes < 1:
            raise ConfigError(f"--episodes must be 1 or more, got {command.episodes}")
        suite = replace(suite, episodes=suite[: command.episodes])
    name, maker, options = _player(command)
    options |= {"renderer": command.renderer, "device": command.device}
    options |= {"max_episode_steps": command.max_steps, **_options(command.option)}
    env_id = command.env or suite.env_id
    games: Iterable[PlayedEpisode] = play(suite, maker, options=options, env_id=env_id)
    described = f"{suite.name}: {name}"
    if console.is_terminal:
        games = track(games, total=len(suite), description=described, console=console)
    played = list(games)
    report = benchmark_report.results(suite, played, agent=name, env_id=env_id, options=options)
    path = benchmark_report.save(report, command.out)
    print(benchmark_report.leaderboard([report]), end="")
    console.print(
        f"{len(played)} episodes in {report['seconds']:.0f} s; means with 95 % bootstrap "
        f"intervals. All of it is in {path}.",
        highlight=False,
        soft_wrap=True,
    )


def _player(command: Bench) -> tuple[str, AgentMaker, dict[str, Any]]:
    """Name and maker of who plays, and the arguments of the environment that it needs."""
    if command.policy is not None:
        from worldfm_agents.policy_agent import load_policy

        policy = load_policy(command.policy)
        return command.name or command.policy.stem, policy.agent, dict(policy.env_options)
    side = {"width": _UNSEEN_SIDE, "height": _UNSEEN_SIDE}
    return command.agent, lambda env, k: make_agent(command.agent, env, seed=k), dict(side)


def _options(texts: Sequence[str]) -> dict[str, Any]:
    """Arguments given as NAME=VALUE."""
    return dict(parse_option(text) for text in texts)
