"""What `worldfm-gym build` does; its arguments are in `worldfm_agents.cli`."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worldfm_agents.orbit import film_orbit
from worldfm_agents.preview_sheet import preview_sheet
from worldfm_agents.video import save_png
from worldfm_agents.world_report import world_table
from worldfm_gym import AgentBody, World, make_world
from worldfm_gym.errors import ConfigError

if TYPE_CHECKING:
    from worldfm_agents.cli import Build

PREVIEW, ORBIT = "preview.png", "orbit.mp4"


def run_build_command(command: Build) -> None:
    """`worldfm-gym build`."""
    _check(command)
    console = Console()
    start = perf_counter()
    world = _made(command, console)
    made_s = perf_counter() - start
    times = [f"made in {made_s:.1f} s"]
    if command.expand:
        free_m2 = _free_m2(world)
        world = _expanded(world, command)
        times.append(f"grown in {perf_counter() - start - made_s:.1f} s")
        times.append(f"free floor {free_m2:.1f} → {_free_m2(world):.1f} m²")
    console.print(world_table(world))
    world.save(command.out, overwrite=command.overwrite)
    shutil.rmtree(_growth_state(command.out), ignore_errors=True)
    with console.status("drawing the preview"):
        save_png(preview_sheet(world), command.out / PREVIEW)
    written = [PREVIEW]
    if command.orbit_frames:
        does = _filmed(world, command.out / ORBIT, command.orbit_frames, console)
        written.append(f"{ORBIT} (the camera {does})")
    times.append(f"all in {perf_counter() - start:.1f} s, at most {_peak_mb():,.0f} MB of memory")
    console.print(
        f"\n{', '.join(times)}.\nSaved to {command.out}; see {' and '.join(written)} in it, or try "
        f"worldfm-gym rollout --world {command.out}",
        highlight=False,
        soft_wrap=True,
    )


def _check(command: Build) -> None:
    """Refuse before any work what can't work."""
    if (command.out / "world.json").exists() and not command.overwrite:
        raise ConfigError(f"{command.out} already holds a world: pass --overwrite to replace it")
    if command.orbit_frames < 0:
        raise ConfigError(f"--orbit-frames must be 0 or more, got {command.orbit_frames}")
    if not command.expand and (command.views is not None or command.reach_m is not None):
        raise ConfigError("--views and --reach-m are about growth: pass --expand with them")


def _made(command: Build, console: Console) -> World:
    """The world before it grows; what Python warned of stands in its record."""
    from worldfm_gym.worlds.procedural import KINDS

    body = {"radius_m": command.agent_radius_m, "height_m": command.agent_height_m}
    body = {name: length for name, length in body.items() if length is not None}
    grows_only = command.expand and command.source not in KINDS
    with warnings.catch_warnings(record=True) as caught, console.status("making the world"):
        warnings.simplefilter("always", UserWarning)
        world = make_world(
            command.source,
            seed=None if grows_only else command.seed,
            body=AgentBody(**body) if body else None,  # type: ignore[arg-type]
            **command.options(),
        )
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return _with_warnings(world, said)


def _with_warnings(world: World, said: Sequence[str]) -> World:
    """The world with all warnings in its record, each once."""
    noted = [str(words) for words in world.source.get("warnings", ())]
    new = [words for words in dict.fromkeys(said) if words not in noted]
    return replace(world, source={**world.source, "warnings": [*noted, *new]}) if new else world


def _expanded(world: World, command: Build) -> World:
    """The world after growth, which goes on from where an earlier run was ended."""
    command.out.parent.mkdir(parents=True, exist_ok=True)
    return world.expand(
        seed=command.seed or 0,
        views=command.views,
        reach_m=command.reach_m,
        folder=_growth_state(command.out),
        progress=True,
        device=command.device,
    )


def _growth_state(out: Path) -> Path:
    """Where the state of growth lies, beside the target, until the world is saved."""
    return out.with_name(f".{out.name}.growth")


def _filmed(world: World, path: Path, frames: int, console: Console) -> str:
    """Write the orbit film behind a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("filming", total=frames)
        return film_orbit(
            world, path, frames=frames, progress=lambda count: progress.advance(bar, count)
        )


def _free_m2(world: World) -> float:
    """Area of the free floor, 0 where none is known."""
    return 0.0 if world.nav is None else float(world.nav.known_free.sum()) * world.nav.cell_m**2


def _peak_mb() -> float:
    """The most memory that this process had resident so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)
