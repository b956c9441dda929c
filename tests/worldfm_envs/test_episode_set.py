"""Files of episodes: what is written comes back, and what is wrong with a file is said."""

import json
from pathlib import Path

import gymnasium as gym
import pytest

from worldfm_envs.episode_set import EpisodeSet, StoredEpisode, bundled_suites
from worldfm_gym.data import GARAGE
from worldfm_gym.errors import ConfigError, EpisodeFormatError


def episode(name: str = "a", **changes) -> StoredEpisode:
    fields = {"source": "rooms", "seed": 7, "options": {"start_xy": [1.0, 2.5]}}
    return StoredEpisode(id=name, **fields | changes)


def episode_set(*episodes: StoredEpisode) -> EpisodeSet:
    return EpisodeSet(
        name="some",
        env_id="WorldFM/PointNav-v0",
        config={"agent_radius_m": 0.1},
        episodes=episodes or (episode(),),
        description="A few.",
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = episode_set(
        episode("a", geodesic_distance_m=3.25, difficulty="medium"),
        episode("b", source=GARAGE, seed=None, options={}),
        episode("c", source=tmp_path / "my world", seed=None),
    )
    path = tmp_path / "sets" / "some.json"
    saved.save(path)
    loaded = EpisodeSet.load(path)
    assert loaded[:2] == saved[:2]
    assert loaded[2].source.resolve() == (tmp_path / "my world").resolve()
    assert (loaded.name, loaded.env_id, loaded.config) == ("some", saved.env_id, saved.config)
    assert len(loaded) == 3
    assert [e.id for e in loaded] == ["a", "b", "c"]
    assert list(path.parent.iterdir()) == [path]


def test_paths_move_with_the_file(tmp_path: Path) -> None:
    episode_set(episode(source=tmp_path / "one" / "world", seed=None)).save(tmp_path / "one/e.json")
    (tmp_path / "one").rename(tmp_path / "two")
    loaded = EpisodeSet.load(tmp_path / "two" / "e.json")
    assert loaded[0].source == tmp_path / "two" / "world"


def test_a_set_is_its_own_source() -> None:
    some = episode_set()
    assert EpisodeSet.load(some) is some


def test_one_line_an_episode(tmp_path: Path) -> None:
    episode_set(*(episode(str(i)) for i in range(5))).save(tmp_path / "e.json")
    lines = (tmp_path / "e.json").read_text().splitlines()
    assert sum('"world"' in line for line in lines) == 5


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    episode_set().save(path)
    before = path.read_text()
    with pytest.raises(ValueError, match="JSON"):
        episode_set(episode(geodesic_distance_m=float("nan"))).save(path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(EpisodeFormatError, match="rooms-val"):
        EpisodeSet.load("no-such-suite")
    assert {"rooms-val", "factory-val", "maze-val", "photo-val"} <= set(bundled_suites())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not an episode set"),
        ({"version": 2}, "version 2"),
        ({"name": 3}, "'name' must be str"),
        ({"task": {}}, "'id' is missing"),
        ({"episodes": []}, "empty"),
        ({"episodes": [1]}, "is an object"),
        ({"episodes": [{"id": "x"}]}, "episode 'x': 'world' is missing"),
        ({"episodes": [{"id": "x", "world": {"source": "rooms"}}]}, "needs a seed"),
        ({"episodes": [{"id": "x", "world": {"source": "rooms", "seed": -1}}]}, "0 or more"),
        ({"episodes": [{"id": "x", "world": {"source": "rooms", "seed": True}}]}, "must be int"),
        ({"episodes": [{"id": "x", "world": {"source": "a/b", "seed": 1}}]}, "takes no seed"),
        ({"episodes": [{"id": "x", "world": {"source": "bundled:no"}}]}, "bundled:garage"),
        ({"episodes": 2 * [{"id": "x", "world": {"source": "rooms", "seed": 1}}]}, "twice"),
    ],
)
def test_says_what_is_wrong_with_a_file(change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    episode_set().save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EpisodeFormatError, match=message):
        EpisodeSet.load(path)


def test_says_so_if_a_file_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text("{")
    with pytest.raises(EpisodeFormatError, match=r"e\.json: not JSON"):
        EpisodeSet.load(tmp_path / "e.json")


def test_an_id_that_names_a_module_is_refused(tmp_path):
    EpisodeSet.load("photo-val").save(tmp_path / "set.json")
    text = (tmp_path / "set.json").read_text()
    (tmp_path / "set.json").write_text(text.replace("WorldFM/PointNav-v0", "some_module:Nav-v0"))
    with pytest.raises(EpisodeFormatError, match="module"):
        EpisodeSet.load(tmp_path / "set.json")


def test_a_task_that_lacks_a_set_s_reset_options_is_refused():
    with pytest.raises(ConfigError, match="goal_xy"):
        gym.make("WorldFM/Explore-v0", episodes="rooms-val")
