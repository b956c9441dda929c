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
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from worldfm_envs.appearance import AppearanceConfig
from worldfm_envs.config import GroundConfig, WorldConfig
from worldfm_envs.counterfactual import Move, Remove, Repaint, Twins
from worldfm_envs.depth_noise import DEPTH_NOISES
from worldfm_envs.rgb_noise import RGB_NOISES
from worldfm_envs.sensors.catalog import SENSORS
from worldfm_gym.registration import ENTRY_POINTS

FOLDER = Path("docs") / "environments"
MULTI_AGENT = ("coverage_v0", "pursuit_v0", "rendezvous_v0")
"""Modules of environments of several agents."""

_NOTICE = "<!-- Written by `python -m worldfm_agents.catalog`; edit the docstrings instead. -->\n\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """An environment and its page.

    Attributes:
        name: Its id, or the name of its module where several agents act.
        env_class: Its class.
        stem: First part of the page's file name.
        made: How it is made, code by label.
    """

    name: str
    env_class: Any
    stem: str
    made: Mapping[str, str]


def entries() -> list[Entry]:
    """Every registered environment of one agent."""
    found = []
    for env_id, stem in sorted(ENTRY_POINTS.items()):
        module, name = stem.split(":")
        vector = f'"{env_id}", num_envs=8, vectorization_mode="vector_entry_point"'
        made = {"make": f'gymnasium.make("{env_id}")', "many": f"gymnasium.make_vec({vector})"}
        env_class = getattr(importlib.import_module(module), f"{name}Env")
        found.append(Entry(env_id, env_class, module.rsplit(".", 1)[1], made))
    return found


def multi_agent_entries() -> list[Entry]:
    """Every environment of several agents."""
    found = []
    for name in MULTI_AGENT:
        module = importlib.import_module(f"worldfm_envs.{name}")
        made = {
            "all act at once": f"worldfm_envs.{name}.parallel_env()",
            "in turns": f"worldfm_envs.{name}.env()",
        }
        (env_class,) = (
            value
            for value in vars(module).values()
            if inspect.isclass(value) and value.__module__ == module.__name__
            if hasattr(value, "Config")
        )
        found.append(Entry(name, env_class, name, made))
    return found


def pages() -> dict[str, str]:
    """Text of every page by its file name."""
    every = [*entries(), *multi_agent_entries()]
    texts = {f"{entry.stem}.md": environment_page(entry) for entry in every}
    texts["README.md"] = _index()
    texts["common.md"] = _common_page()
    texts["sensors.md"] = _sensor_page()
    texts["variations.md"] = _variation_page()
    return {name: _NOTICE + text for name, text in texts.items()}


def environment_page(entry: Entry) -> str:
    """The page of one environment: facts, picture, docstring, its own arguments."""
    config = entry.env_class.Config()
    summary, body = _docstring(entry.env_class)
    facts = {name: f"`{code}`" for name, code in entry.made.items()}
    facts["action space"] = f"`{space_text(config.make_actions().space)}`"
    facts["observation space"] = "`Dict` of " + _names(config.make_sensors())
    facts["reset options"] = _names(config.RESET_OPTIONS)
    facts["class"] = f"`{entry.env_class.__module__}.{entry.env_class.__name__}`"
    return "\n".join(
        [
            f"# {entry.name}\n",
            f"{summary}\n",
            f"![Four moments of an episode: camera images, depth, map](images/{entry.stem}.png)\n",
            "| | |\n| --- | --- |",
            *(f"| {name} | {text} |" for name, text in facts.items() if text),
            f"\n{body}\n",
            "## Own Arguments in Detail\n",
            "Besides those of [every environment](common.md).\n",
            _field_table(type(config), _own_classes(type(config))),
        ]
    )


def _index() -> str:
    """README.md."""
    return "\n".join(
        [
            "# Environments\n",
            "Made of the docstrings and spaces of the classes themselves. What all of them take "
            "is in [common arguments](common.md), what can be observed in [sensors](sensors.md), "
            "noise, other colors and edited twins in [variations](variations.md), fixed sets of "
            "episodes in [benchmark suites](../benchmark_suites.md).\n",
            "## One Agent\n",
            _overview(entries()),
            "## Several Agents\n",
            "PettingZoo environments (extra `multi-agent`).\n",
            _overview(multi_agent_entries()),
        ]
    )


def _overview(listed: Sequence[Entry]) -> str:
    """A table of environments."""
    rows = []
    for entry in listed:
        config = entry.env_class.Config()
        summary, _ = _docstring(entry.env_class)
        action, seen = space_text(config.make_actions().space), _names(config.OBSERVATIONS)
        rows.append(f"| [{entry.name}]({entry.stem}.md) | {summary} | `{action}` | {seen} |")
    head = "| id | task | actions | observations by default |\n| --- | --- | --- | --- |"
    return "\n".join([head, *rows, ""])


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _common_page() -> str:
    """common.md."""
    parts = ["# Common Arguments\n"]
    for title, config in (
        ("Of Every Environment", WorldConfig),
        ("Of Environments in which the Agent Walks", GroundConfig),
    ):
        summary, _ = _docstring(config)
        parts += [f"## {title}\n", f"{summary}\n", _field_table(config, [config])]
    return "\n".join(parts)


def _sensor_page() -> str:
    """sensors.md."""
    config = next(entry for entry in entries() if entry.stem == "point_nav").env_class.Config()
    parts = [
        "# Sensors\n",
        "What `observations=` can name. Spaces are those of the default arguments; a mapping may "
        "also hold sensors of your own (`worldfm_envs.sensors.Sensor`).\n",
        "![What sensors show, and what noise and randomized colors make of "
        "it](images/sensors.png)\n",
        "| name | space | needs | |\n| --- | --- | --- | --- |",
    ]
    details = []
    for name, make in sorted(SENSORS.items()):
        sensor = make(config)
        summary, body = _docstring(type(sensor))
        goals = _names(getattr(sensor, "requires", ()))
        parts.append(
            f"| [`{name}`](#{name}) | `{space_text(sensor.space)}` | {goals} | {summary} |"
        )
        details += [f"\n## {name}\n", summary, *([f"\n{body}"] if body else [])]
    return "\n".join([*parts, *details]) + "\n"


def _variation_page() -> str:
    """variations.md."""
    groups: list[tuple[str, str, Mapping[str, type[Any]]]] = [
        (
            "Noise of Color Images",
            "`rgb_noise=`: a name, or one with your own numbers.",
            RGB_NOISES,
        ),
        ("Noise of Depth", "`depth_noise=`: a name, or one with your own numbers.", DEPTH_NOISES),
        (
            "Other Colors",
            "`appearance=`: geometry, ways and rewards stay; every episode has colors of its own.",
            {"AppearanceConfig": AppearanceConfig},
        ),
        (
            "Edits and Twins",
            '`reset(options={"edits": [...]})`, in every environment of one agent.\n\n'
            "![An episode as it is, and with an object moved, removed, repainted]"
            "(images/twins.png)",
            {edit.__name__: edit for edit in (Move, Remove, Repaint, Twins)},
        ),
    ]
    parts = ["# Variations\n", "What differs between episodes that are otherwise the same.\n"]
    for title, how, classes in groups:
        parts += [f"## {title}\n", f"{how}\n"]
        for name, cls in classes.items():
            summary, body = _docstring(cls)
            parts += [f"### {name}\n", f"`{cls.__module__}.{cls.__name__}`: {summary}\n"]
            parts += [f"{body}\n"] if body else []
            parts += [_field_table(cls, [cls])] if is_dataclass(cls) else []
    return "\n".join(parts)


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


def _field_table(config: type[Any], classes: Sequence[type[Any]]) -> str:
    """A Markdown table of the fields of a dataclass that some classes define."""
    meanings: dict[str, str] = {}
    for cls in reversed(classes):
        meanings |= attribute_docs(cls)
    names = _defined(classes)
    rows = [
        f"| `{f.name}` | {_code(str(f.type))} | {_code(_default(f))} | "
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
    return "" if field.default_factory is MISSING else repr(field.default_factory())


def _code(text: str) -> str:
    """Code in a table's cell."""
    return f"`{_cell(text)}`" if text else ""


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

        every = [*entries(), *multi_agent_entries()]
        draw_pictures(every, FOLDER / "images", only=given.pictures)


if __name__ == "__main__":
    main()
