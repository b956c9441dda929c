"""The vocabulary covers what worlds are made of, and its numbers stay what they are."""

import ast
import hashlib
from pathlib import Path

import pytest

import worldfm_gym.worlds.procedural as procedural
from worldfm_envs.categories import (
    BACKGROUND,
    CATEGORIES,
    CATEGORIES_VERSION,
    OBJECT,
    category_index,
    category_indices,
)

FIRST_VERSION = "72da342c2b561192"  # digest of the names of version 1


def test_numbers_of_the_first_version_never_change():
    digest = hashlib.sha256(" ".join(CATEGORIES[:82]).encode()).hexdigest()
    assert digest.startswith(FIRST_VERSION)
    assert (len(CATEGORIES), CATEGORIES_VERSION) == (82, 1)


def test_names_are_distinct_and_found_again():
    assert category_indices(CATEGORIES).tolist() == list(range(len(CATEGORIES)))
    assert (CATEGORIES[BACKGROUND], CATEGORIES[OBJECT]) == ("background", "object")
    assert len(CATEGORIES) <= 256  # semantic images are uint8


def test_what_is_outside_the_vocabulary_is_an_object():
    assert category_index("submarine") == OBJECT


@pytest.mark.parametrize("kind", procedural.KINDS)
def test_every_category_of_generated_scenes_is_known(kind):
    for seed in range(12):
        scene = procedural.build_scene(kind, seed=seed)
        unknown = {item.category for item in scene.objects} - set(CATEGORIES)
        assert not unknown


def test_every_category_written_in_the_generators_is_known():
    """Also those of rare things that a few seeds do not show."""
    makers = {"Piece", "object", "basket", "cabinet"}
    found = set()
    for path in Path(procedural.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                maker = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if maker in makers:
                    found |= {a.value for a in node.args[:3] if isinstance(a, ast.Constant)}
    named = {name for name in found if isinstance(name, str)}
    assert len(named) > 60
    assert named <= set(CATEGORIES)
