"""Benchmark report: means with bootstrap intervals, a results file, a row of a leaderboard."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldfm_agents.benchmark import PlayedEpisode
from worldfm_envs.episode_set import EpisodeSet

FORMAT, VERSION = "worldfm-benchmark", 1
CONFIDENCE = 0.95
_RESAMPLES = 9999
_PACKAGES = ("worldfm-gym", "gymnasium", "numpy", "numba", "scipy", "torch")

COLUMNS = {
    "success": ("success", 2),
    "spl": ("SPL", 2),
    "soft_spl": ("SoftSPL", 2),
    "coverage": ("coverage", 2),
    "distance_to_goal": ("to goal (m)", 1),
    "collisions": ("contacts", 1),
    "steps": ("steps", 0),
}
"""What a leaderboard shows of the metrics that there are: heading and decimals by name."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over episodes with its confidence interval.

    Attributes:
        mean: The mean.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    def text(self, decimals: int) -> str:
        """Such as ``0.93 [0.88, 0.97]``."""
        mean, low, high = (f"{v:.{decimals}f}" for v in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def estimates(played: Sequence[PlayedEpisode], *, seed: int = 0) -> dict[str, Estimate]:
    """Means of every metric over the episodes.

    Intervals are percentile bootstrap intervals over episodes (Efron, 1979): what other episodes
    of the same kind would show, for this very agent.

    Args:
        played: One episode or more.
        seed: Of the resampling.
    """
    rows = [{"steps": float(e.steps), "total_reward": e.total_reward, **e.metrics} for e in played]
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {name: estimate([row[name] for row in rows], seed=seed) for name in names}


def estimate(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of some values and its percentile bootstrap interval."""
    from scipy.stats import bootstrap

    sample = np.asarray(values, np.float64)
    mean = float(sample.mean())
    if np.ptp(sample) == 0.0:  # resampling a constant shows nothing
        return Estimate(mean, mean, mean)
    interval = bootstrap(
        (sample,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def results(
    episodes: EpisodeSet,
    played: Sequence[PlayedEpisode],
    *,
    agent: str,
    env_id: str,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything about one run, ready for JSON.

    Args:
        episodes: What was played.
        played: How it went, in the set's order.
        agent: Name of who played.
        env_id: Environment.
        options: Its arguments besides those of the set.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "suite": {"name": episodes.name, "episodes": len(episodes), "digest": digest(episodes)},
        "agent": agent,
        "env": {"id": env_id, "config": {**episodes.config, **options}},
        "metrics": {name: asdict(value) for name, value in estimates(played).items()},
        "confidence": CONFIDENCE,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "hardware": _hardware(str(options.get("device", "cpu"))),
        "seconds": round(sum(e.seconds for e in played), 3),
        "episodes": [asdict(e) for e in played],
    }


def digest(episodes: EpisodeSet) -> str:
    """Fingerprint of what a set asks: worlds, reset options and arguments, 16 hex digits."""
    asked = [(Path(e.source).name, e.seed, sorted(e.options.items())) for e in episodes]
    text = json.dumps([episodes.env_id, sorted(episodes.config.items()), asked])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def leaderboard(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table with one row for each of some `results`."""
    names = [n for n in COLUMNS if any(n in row["metrics"] for row in rows)]
    head = ["suite", "agent", "renderer", "episodes", *(COLUMNS[n][0] for n in names)]
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3)]
    for row in rows:
        figures = [
            Estimate(**row["metrics"][n]).text(COLUMNS[n][1]) if n in row["metrics"] else ""
            for n in names
        ]
        drawn_by = str(row["env"]["config"].get("renderer", "frame"))
        count = str(len(row["episodes"]))
        lines.append([row["suite"]["name"], row["agent"], drawn_by, count, *figures])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def save(report: Mapping[str, Any], folder: str | os.PathLike[str]) -> Path:
    """Write ``SUITE-AGENT.json``, its leaderboard row as ``.md``, and all rows ``leaderboard.md``.

    Returns:
        Path of the JSON file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['suite']['name']}-{report['agent']}.json"
    _write(path, json.dumps(report, indent=1) + "\n")
    _write(path.with_suffix(".md"), leaderboard([report]))
    _write(folder / "leaderboard.md", leaderboard(load_all(folder)))
    return path


def load_all(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The results in a folder, by suite and name of the agent."""
    found = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(data, dict) and (data.get("format"), data.get("version")) == (
            FORMAT,
            VERSION,
        ):
            found.append(data)
    return sorted(found, key=lambda data: (data["suite"]["name"], data["agent"]))


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _hardware(device: str) -> dict[str, Any]:
    """What a run took place on."""
    found = {"cpu": _cpu_name(), "cores": os.cpu_count(), "system": platform.platform()}
    if device != "cpu":
        import torch

        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _cpu_name() -> str:
    """The processor's model name where the system tells, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
