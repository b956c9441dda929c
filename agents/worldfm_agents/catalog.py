"""Catalog: the pages of docs/environments, made of docstrings, spaces and configurations.

``python -m worldfm_agents.catalog`` writes the pages, with ``--pictures`` also a picture of each
environment.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from worldfm_envs.base import WorldEnv
from worldfm_envs.config import GroundConfig, WorldConfig
from worldfm_envs.sensors.catalog import SENSORS
from worldfm_gym.registration import ENTRY_POINTS

FOLDER = Path("docs") / "environments"
_NOTICE = "<!-- Written by `python -m worldfm_agents.catalog`; edit the docstrings instead. -->\n\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """An environment id, its class and the stem of its page's name."""

    env_id: str
    env_class: type[WorldEnv[Any]]
    stem: str


def entries() -> list[Entry]:
    """Every registered environment of one agent."""
    found = []
    for env_id, stem in sorted(ENTRY_POINTS.items()):
        module, name = stem.split(":")
        env_class = getattr(importlib.import_module(module), f"{name}Env")
        found.append(Entry(env_id, env_class, module.rsplit(".", 1)[1]))
    return found


def pages() -> dict[str, str]:
    """Text of every page by its file name."""
    texts = {f"{entry.stem}.md": environment_page(entry) for entry in entries()}
    texts["README.md"] = _index()
    texts["common.md"] = _common_page()
    texts["sensors.md"] = _sensor_page()
    return {name: _NOTICE + text for name, text in texts.items()}


def environment_page(entry: Entry) -> str:
    """The page of one environment: facts, picture, docstring, its own arguments."""
    config = entry.env_class.Config()
    summary, body = _docstring(entry.env_class)
    facts = [
        ("make", f'`gymnasium.make("{entry.env_id}")`'),
        (
            "make many",
            f'`gymnasium.make_vec("{entry.env_id}", num_envs=8, '
            'vectorization_mode="vector_entry_point")`',
        ),
        ("action space", f"`{space_text(config.make_actions().space)}`"),
        (
            "observation space",
            "`Dict` of " + ", ".join(f"`{name}`" for name in config.make_sensors()),
        ),
        ("reset options", ", ".join(f"`{name}`" for name in config.RESET_OPTIONS)),
        ("class", f"`{entry.env_class.__module__}.{entry.env_class.__name__}`"),
    ]
    rows = [f"| {name} | {text} |" for name, text in facts]
    return "\n".join(
        [
            f"# {entry.env_id}\n",
            f"{summary}\n",
            f"![Four moments of an episode: camera image, depth, map](images/{entry.stem}.png)\n",
            "| | |\n| --- | --- |",
            *rows,
            f"\n{body}\n",
            "## Own Arguments in Detail\n",
            "Besides those of [every environment](common.md).\n",
            _argument_table(type(config), _own_classes(type(config))),
        ]
    )


def _index() -> str:
    """README.md."""
    rows = []
    for entry in entries():
        config = entry.env_class.Config()
        summary, _ = _docstring(entry.env_class)
        seen = ", ".join(f"`{name}`" for name in config.OBSERVATIONS)
        action = f"`{space_text(config.make_actions().space)}`"
        rows.append(f"| [{entry.env_id}]({entry.stem}.md) | {summary} | {action} | {seen} |")
    return "\n".join(
        [
            "# Environments\n",
            "Made of the docstrings and spaces of the classes themselves. What all of them take "
            "is in [common arguments](common.md), what can be observed in [sensors](sensors.md), "
            "fixed sets of episodes in [benchmark suites](../benchmark_suites.md).\n",
            "| id | task | actions | observations by default |\n| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _common_page() -> str:
    """common.md."""
    parts = ["# Common Arguments\n"]
    for title, config in (
        ("Of Every Environment", WorldConfig),
        ("Of Environments in which the Agent Walks", GroundConfig),
    ):
        summary, _ = _docstring(config)
        parts += [f"## {title}\n", f"{summary}\n", _argument_table(config, [config])]
    return "\n".join(parts)


def _sensor_page() -> str:
    """sensors.md."""
    config = next(entry for entry in entries() if entry.stem == "point_nav").env_class.Config()
    parts = [
        "# Sensors\n",
        "What `observations=` can name. Spaces are those of the default arguments; a mapping may "
        "also hold sensors of your own (`worldfm_envs.sensors.Sensor`).\n",
        "| name | space | needs | |\n| --- | --- | --- | --- |",
    ]
    details = []
    for name, make in sorted(SENSORS.items()):
        sensor = make(config)
        summary, body = _docstring(type(sensor))
        goals = ", ".join(f"`{goal}`" for goal in getattr(sensor, "requires", ()))
        parts.append(
            f"| [`{name}`](#{name}) | `{space_text(sensor.space)}` | {goals} | {summary} |"
        )
        details += [f"\n## {name}\n", summary, *([f"\n{body}"] if body else [])]
    return "\n".join([*parts, *details]) + "\n"


def space_text(space: gym.Space[Any]) -> str:
    """A space in a few words, such as ``Box(0, 255, (128, 128, 3), uint8)``."""
    if not isinstance(space, gym.spaces.Box):
        return str(space)
    low, high = np.unique(space.low), np.unique(space.high)
    bounds = f"{low[0]:g}, {high[0]:g}, " if len(low) == len(high) == 1 else ""
    return f"Box({bounds}{space.shape}, {space.dtype})"


def _docstring(cls: type[Any]) -> tuple[str, str]:
    """First paragraph, on one line, and the rest without its list of attributes."""
    text = inspect.getdoc(cls) or ""
    text = re.split(r"\n+Attributes:\n", text)[0]
    summary, _, body = text.partition("\n\n")
    return " ".join(summary.split()), body.strip()


def attribute_docs(cls: type[Any]) -> dict[str, str]:
    """What the section `Attributes` of a class's own docstring says, by name."""
    text = inspect.cleandoc(cls.__doc__ or "")
    section = re.search(r"\nAttributes:\n((?: .*\n?|\n)*)", text + "\n")
    docs: dict[str, str] = {}
    for item in re.split(r"\n(?=    \w)", section[1].strip("\n")) if section else []:
        name, _, meaning = item.strip().partition(":")
        docs[name] = " ".join(meaning.split())
    return docs


def _own_classes(config: type[WorldConfig]) -> list[type[Any]]:
    """Classes of a configuration that not every environment shares, nearest first."""
    shared = (GroundConfig, WorldConfig)
    return [c for c in config.__mro__ if issubclass(c, WorldConfig) and c not in shared]


def _argument_table(config: type[WorldConfig], classes: Sequence[type[Any]]) -> str:
    """A Markdown table of the fields that some classes define."""
    meanings: dict[str, str] = {}
    for cls in reversed(classes):
        meanings |= attribute_docs(cls)
    names = _defined(classes)
    rows = [
        f"| `{f.name}` | `{_cell(str(f.type))}` | `{_cell(_default(f))}` | "
        f"{_cell(meanings.get(f.name, '').replace('``', '`'))} |"
        for f in fields(config)
        if f.name in names
    ]
    if not rows:
        return "None.\n"
    return "\n".join(["| argument | type | default | |\n| --- | --- | --- | --- |", *rows, ""])


def _defined(classes: Iterable[type[Any]]) -> set[str]:
    """Names that classes annotate themselves."""
    return {name for cls in classes for name in vars(cls).get("__annotations__", {})}


def _default(field: Field[Any]) -> str:
    """A field's default as code."""
    if field.default is not MISSING:
        return repr(field.default).replace("'", '"')
    assert field.default_factory is not MISSING, f"{field.name} has no default"
    return repr(field.default_factory())


def _cell(text: str) -> str:
    """Text that does not end a table's cell."""
    return text.replace("|", "\\|")


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write pages, and remove those of environments that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in folder.glob("*.md"):
        if page.name not in texts:
            page.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Write docs/environments below the current folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", nargs="*", metavar="STEM", help="also draw these; none: all")
    given = parser.parse_args()
    write(FOLDER, pages())
    if given.pictures is not None:
        from worldfm_agents.catalog_pictures import draw_pictures

        draw_pictures(entries(), FOLDER / "images", only=given.pictures)


if __name__ == "__main__":
    main()
