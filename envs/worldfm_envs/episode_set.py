"""EpisodeSet: a versioned JSON file of episodes; each fixes a world, a start and a goal.

An episode names its world by source and seed and fixes the task's reset options, so the same file
asks the same of every agent, whatever environment or library steps it.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from worldfm_gym.data import GARAGE
from worldfm_gym.errors import EpisodeFormatError

FORMAT, VERSION = "worldfm-episodes", 1
SUITES_FOLDER = Path(__file__).parent / "suites"

BUNDLED_SOURCES = {"bundled:garage": GARAGE}
"""Names that files use for sources that come with the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEpisode:
    """One episode of a set.

    Attributes:
        id: Unique within the set.
        source: Source of its world for `worldfm_gym.make_world`: a procedural kind, or a path.
        seed: Seed of the world; None where the source takes none.
        options: Reset options of the task: ``start_xy``, ``start_yaw``, ``goal_xy`` and so on.
        geodesic_distance_m: Way to the goal at the start, metres; None where there is no goal.
        difficulty: ``"easy"``, ``"medium"`` or ``"hard"``; None where there is no goal.
    """

    id: str
    source: str | Path
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    geodesic_distance_m: float | None = None
    difficulty: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSet(Sequence[StoredEpisode]):
    """A sequence of stored episodes, and what environment they were made for.

    Attributes:
        name: Name of the set.
        env_id: Environment that they were made for; others with the same reset options take them.
        config: Arguments of the environment that they need, such as the radius of the body.
        episodes: The episodes.
        description: What the set is, for people.
    """

    name: str
    env_id: str
    episodes: tuple[StoredEpisode, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        if not self.episodes:
            raise EpisodeFormatError(f"the episode set {self.name!r} is empty")
        if ":" in self.env_id:  # Gymnasium would import what stands before it
            raise EpisodeFormatError(
                f"the episode set {self.name!r} is for {self.env_id!r}, which names a module to "
                "import: give the id of a registered environment"
            )
        ids = [episode.id for episode in self.episodes]
        if len(set(ids)) < len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise EpisodeFormatError(f"the episode set {self.name!r} has ids twice: {twice[:5]}")

    def __len__(self) -> int:
        return len(self.episodes)

    @overload
    def __getitem__(self, k: int) -> StoredEpisode: ...
    @overload
    def __getitem__(self, k: slice) -> tuple[StoredEpisode, ...]: ...
    def __getitem__(self, k: int | slice) -> StoredEpisode | tuple[StoredEpisode, ...]:
        return self.episodes[k]

    @classmethod
    def load(cls, source: EpisodeSet | str | os.PathLike[str]) -> EpisodeSet:
        """Read a set by the name of a bundled suite or by path; a set is returned as it is.

        Raises:
            EpisodeFormatError: If there is no such set, or the file is not one that can be read.
        """
        if isinstance(source, EpisodeSet):
            return source
        path = Path(source)
        if isinstance(source, str) and source in bundled_suites():
            path = SUITES_FOLDER / f"{source}.json"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EpisodeFormatError(
                f"no episode set {os.fspath(source)!r} can be read ({type(error).__name__}): "
                f"name a file or one of {bundled_suites()}"
            ) from None
        try:
            return _parsed(text, folder=path.parent)
        except EpisodeFormatError as error:
            raise EpisodeFormatError(f"{path}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all; one line an episode."""
        path = Path(path)
        head = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "description": self.description,
            "task": {"id": self.env_id, "config": dict(self.config)},
        }
        lines = [json.dumps(_plain(e, folder=path.parent), allow_nan=False) for e in self.episodes]
        text = json.dumps(head, indent=1, allow_nan=False)[:-2]
        text += ',\n "episodes": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def bundled_suites() -> list[str]:
    """Names of the sets that come with the package."""
    return sorted(path.stem for path in SUITES_FOLDER.glob("*.json"))


def _plain(episode: StoredEpisode, *, folder: Path) -> dict[str, Any]:
    """What the file says of an episode; paths are relative to the file's folder."""
    source = episode.source
    if isinstance(source, Path):
        names = [name for name, bundled in BUNDLED_SOURCES.items() if bundled == source]
        relative = os.path.relpath(source.resolve(), folder.resolve())
        source = names[0] if names else Path(relative).as_posix()
    world: dict[str, Any] = {"source": source}
    if episode.seed is not None:
        world["seed"] = episode.seed
    plain: dict[str, Any] = {"id": episode.id, "world": world, "options": dict(episode.options)}
    if episode.geodesic_distance_m is not None:
        plain["geodesic_distance_m"] = episode.geodesic_distance_m
    if episode.difficulty is not None:
        plain["difficulty"] = episode.difficulty
    return plain


def _parsed(text: str, *, folder: Path) -> EpisodeSet:
    """The set that a file's text holds."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise EpisodeFormatError(f"not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise EpisodeFormatError(f'not an episode set: it lacks "format": "{FORMAT}"')
    if data.get("version") != VERSION:
        raise EpisodeFormatError(
            f"version {data.get('version')!r} of the format, this release reads {VERSION}: "
            "update worldfm-gym, or generate the set again"
        )
    task = _entry(data, "task", dict)
    return EpisodeSet(
        name=_entry(data, "name", str),
        description=_entry(data, "description", str, ""),
        env_id=_entry(task, "id", str),
        config=_entry(task, "config", dict, {}),
        episodes=tuple(_episode(item, folder=folder) for item in _entry(data, "episodes", list)),
    )


def _episode(item: Any, *, folder: Path) -> StoredEpisode:
    """One entry of the file's list."""
    if not isinstance(item, dict):
        raise EpisodeFormatError(f"an episode is an object with id, world and options, got {item}")
    name = _entry(item, "id", str)
    try:
        world = _entry(item, "world", dict)
        source = _source(_entry(world, "source", str), folder)
        seed = _entry(world, "seed", int, None)
        if (seed is None) == isinstance(source, str):
            wanted = "needs a seed" if seed is None else "takes no seed"
            raise EpisodeFormatError(f"the source {world['source']!r} {wanted}")
        if seed is not None and seed < 0:
            raise EpisodeFormatError(f"seed must be 0 or more, got {seed}")
        distance = _entry(item, "geodesic_distance_m", (int, float), None)
        if distance is not None and not (math.isfinite(distance) and distance >= 0):
            raise EpisodeFormatError(f"geodesic_distance_m must be 0 or more, got {distance}")
        return StoredEpisode(
            id=name,
            source=source,
            seed=seed,
            options=_entry(item, "options", dict, {}),
            geodesic_distance_m=distance,
            difficulty=_entry(item, "difficulty", str, None),
        )
    except EpisodeFormatError as error:
        raise EpisodeFormatError(f"episode {name!r}: {error}") from None


def _source(text: str, folder: Path) -> str | Path:
    """A source for `worldfm_gym.make_world`: a kind as it is, anything else as a path."""
    from worldfm_gym.worlds.procedural import KINDS

    if text in KINDS:
        return text
    if text.startswith("bundled:"):
        if text not in BUNDLED_SOURCES:
            raise EpisodeFormatError(f"{text!r} is none of {list(BUNDLED_SOURCES)}")
        return BUNDLED_SOURCES[text]
    return folder / text


_MISSING = object()


def _entry(data: Mapping[str, Any], key: str, kind: Any, default: Any = _MISSING) -> Any:
    """``data[key]`` if it is of a type, or a default where it is left out."""
    value = data.get(key, default)
    if value is _MISSING:
        raise EpisodeFormatError(f"{key!r} is missing")
    if value is default:
        return value
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise EpisodeFormatError(f"{key!r} must be {names}, got {value!r}")
    return value
