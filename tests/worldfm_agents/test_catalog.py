"""The catalog of environments: up to date, complete, and as small as a repository wants it."""

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from worldfm_agents import catalog
from worldfm_agents.catalog_pictures import small_png
from worldfm_envs.config import WorldConfig
from worldfm_envs.sensors.catalog import SENSORS
from worldfm_gym.registration import ENTRY_POINTS

FOLDER = Path(__file__).parents[2] / catalog.FOLDER


def test_pages_are_what_the_docstrings_say() -> None:
    pages = catalog.pages()
    assert {p.name for p in FOLDER.glob("*.md")} == set(pages)
    stale = [n for n, text in pages.items() if (FOLDER / n).read_text(encoding="utf-8") != text]
    assert not stale, "run: python -m worldfm_agents.catalog"


def test_every_environment_sensor_and_argument_is_described() -> None:
    pages = catalog.pages()
    for name in (*ENTRY_POINTS, *catalog.MULTI_AGENT):
        assert f"[{name}]" in pages["README.md"]
    for name in SENSORS:
        assert f"\n## {name}\n" in pages["sensors.md"]
    for name, text in pages.items():
        for line in text.splitlines():
            # A table of arguments has a meaning in its last column.
            if line.startswith("| `") and name != "sensors.md":
                assert not line.endswith("|  |"), f"{name}: {line}"


def test_links_lead_somewhere() -> None:
    for name, text in catalog.pages().items():
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert (FOLDER / link).is_file(), f"{name}: {link}"
    for entry in [*catalog.entries(), *catalog.multi_agent_entries()]:
        picture = FOLDER / "images" / f"{entry.stem}.png"
        assert picture.stat().st_size <= 150_000
        with Image.open(picture) as image:
            assert image.width >= 3 * 128


def test_attributes_are_read_over_several_lines() -> None:
    docs = catalog.attribute_docs(WorldConfig)
    assert docs["width"] == "Image width in pixels."
    assert docs["world"].startswith("Source for `worldfm_gym.make_world`")
    assert docs["world"].endswith("random one.")


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (gym.spaces.Discrete(4), "Discrete(4)"),
        (gym.spaces.Box(-1, 1, (3,), np.float32), "Box(-1, 1, (3,), float32)"),
        (
            gym.spaces.Box(np.float32([0, -1]), np.float32([2, 1]), dtype=np.float32),
            "Box((2,), float32)",
        ),
        (gym.spaces.Box(0, 255, (4, 5, 3), np.uint8), "Box(0, 255, (4, 5, 3), uint8)"),
    ],
)
def test_spaces_in_a_few_words(space: gym.Space, text: str) -> None:
    assert catalog.space_text(space) == text


def test_writing_removes_pages_of_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("old")
    (tmp_path / "kept.png").write_bytes(b"")
    catalog.write(tmp_path, {"new.md": "new"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.png", "new.md"]


def test_pictures_of_noise_lose_colors_and_not_size() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 400, 3), np.uint8)
    assert len(small_png(noise)) <= 150_000
