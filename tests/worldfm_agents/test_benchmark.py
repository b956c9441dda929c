"""Playing a set once, means with intervals, and the files that say how it went."""

import json
from pathlib import Path

import numpy as np
import pytest

import worldfm_gym
from worldfm_agents.benchmark import PlayedEpisode, play
from worldfm_agents.benchmark_report import (
    FORMAT,
    Estimate,
    digest,
    estimate,
    estimates,
    leaderboard,
    results,
    save,
)
from worldfm_agents.cli import main
from worldfm_agents.scripted import GreedyAgent, ShortestPathAgent
from worldfm_envs.episode_set import EpisodeSet, StoredEpisode

UNSEEN = {"renderer": "anchor", "width": 16, "height": 16}


def played(success: float, *, name: str = "a", **metrics: float) -> PlayedEpisode:
    return PlayedEpisode(
        id=name,
        geodesic_distance_m=4.0,
        difficulty="medium",
        steps=10,
        total_reward=1.0,
        truncated=False,
        metrics={"success": success, **metrics},
        seconds=0.5,
    )


@pytest.fixture(scope="module")
def maze_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "mazes.json"
    seeds = ["--seeds", "1000000001", "1000000003"]
    near = ["--option", "goal_distance_m=(1,8)"]
    main(["episodes", "--world", "maze", *seeds, "--per-world", "2", "-o", str(path), *near])
    return path


def test_every_episode_is_played_once_as_it_is_stored(maze_set: Path) -> None:
    episodes = EpisodeSet.load(maze_set)
    games = list(play(episodes, lambda env, k: ShortestPathAgent(env), options=UNSEEN))
    assert [g.id for g in games] == [e.id for e in episodes]
    for game, stored in zip(games, episodes, strict=True):
        assert 1.0 <= stored.geodesic_distance_m <= 8.0
        # The metrics speak of this start and this goal, and the follower knows the way.
        assert game.metrics["success"] == 1.0
        assert game.metrics["path_length"] == pytest.approx(stored.geodesic_distance_m, abs=0.6)
        assert game.steps < 500
        assert not game.truncated


def test_the_same_agent_does_the_same_again(maze_set: Path) -> None:
    def once():
        games = play(EpisodeSet.load(maze_set), lambda env, k: GreedyAgent(seed=k), options=UNSEEN)
        return [(g.steps, g.total_reward, g.metrics) for g in games]

    assert once() == once()


def test_options_given_come_before_those_of_the_set() -> None:
    few = EpisodeSet(
        name="few",
        env_id="WorldFM/PointNav-v0",
        episodes=(StoredEpisode(id="a", source="maze", seed=3),),
        config={"agent_radius_m": 0.1, "forward_step_m": 0.5},
    )
    seen = []

    def watch(env, k):
        seen.append(env.unwrapped.config)
        return GreedyAgent(seed=k)

    list(play(few, watch, options={**UNSEEN, "forward_step_m": 0.3, "max_episode_steps": 2}))
    assert (seen[0].agent_radius_m, seen[0].forward_step_m) == (0.1, 0.3)


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    samples = rng.random((200, 60)) < 0.7
    found = [estimate(sample) for sample in samples.astype(float)]
    covered = np.mean([e.low <= 0.7 <= e.high for e in found])
    assert 0.90 <= covered <= 0.985
    # As wide as the normal approximation has it, 2 · 1.96 · sqrt(p (1 − p) / n).
    widths = np.mean([e.high - e.low for e in found])
    assert widths == pytest.approx(2 * 1.96 * np.sqrt(0.21 / 60), rel=0.05)


def test_a_constant_has_no_width_and_intervals_repeat() -> None:
    assert estimate([1.0, 1.0, 1.0]) == Estimate(1.0, 1.0, 1.0)
    assert estimate([0.0, 1.0, 0.5]) == estimate([0.0, 1.0, 0.5])


def test_means_are_of_what_all_episodes_have() -> None:
    means = estimates([played(1.0, spl=0.5), played(0.0, spl=0.25, extra=1.0)])
    assert set(means) == {"steps", "total_reward", "success", "spl"}
    assert means["success"].mean == 0.5
    assert means["spl"].mean == 0.375


def test_a_leaderboard_has_a_column_for_what_there_is() -> None:
    few = EpisodeSet.load("photo-val")
    report = results(few, [played(1.0), played(0.0)], agent="me", env_id="X", options={})
    other = results(few, [played(1.0, coverage=0.4)], agent="she", env_id="X", options={})
    head, _, first, second = leaderboard([report, other]).splitlines()
    assert head == "| suite | agent | renderer | episodes | success | coverage | steps |"
    assert first == "| photo-val | me | frame | 2 | 0.50 [0.00, 1.00] |  | 10 [10, 10] |"
    assert "0.40 [0.40, 0.40]" in second


def test_a_fingerprint_tells_sets_apart() -> None:
    suite = EpisodeSet.load("rooms-val")
    assert digest(suite) == digest(EpisodeSet.load("rooms-val"))
    others = [EpisodeSet.load("maze-val")]
    others += [
        EpisodeSet(name=suite.name, env_id=suite.env_id, episodes=suite[:5]),
        EpisodeSet(name="x", env_id=suite.env_id, episodes=suite.episodes, config={"fov": 3}),
    ]
    assert len({digest(s) for s in [suite, *others]}) == 4


def test_the_command_writes_results_and_a_row(
    maze_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--agent", "greedy", "--episodes", "3", "--max-steps", "60", "-o", str(tmp_path)]
    main(["bench", "--suite", str(maze_set), *given, "--option", "forward_step_m=0.3"])
    report = json.loads((tmp_path / "mazes-greedy.json").read_text())
    assert report["format"] == FORMAT
    assert len(report["episodes"]) == 3
    assert report["env"]["config"]["forward_step_m"] == 0.3
    assert report["env"]["config"]["goal_distance_m"] == [1, 8]
    assert report["versions"]["worldfm-gym"] == worldfm_gym.__version__
    success = [e["metrics"]["success"] for e in report["episodes"]]
    assert report["metrics"]["success"]["mean"] == pytest.approx(np.mean(success))
    row = (tmp_path / "mazes-greedy.md").read_text()
    assert row in capsys.readouterr().out
    assert row.count("\n") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "--suite", "nowhere"], "rooms-val"),
        (["bench", "--suite", "rooms-val", "--episodes", "0"], "1 or more"),
        (["bench", "--policy", "nothing.safetensors"], "no policy"),
        (["episodes", "-o", "x.json", "--seeds", "5", "5"], "FIRST < END"),
    ],
)
def test_says_what_is_wrong(arguments: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_has_a_leaderboard_of_all_its_results(tmp_path: Path) -> None:
    suite = EpisodeSet.load("maze-val")
    (tmp_path / "else.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    for agent in ("she", "he"):
        save(results(suite, [played(1.0)], agent=agent, env_id="X", options={}), tmp_path)
    names = {path.name for path in tmp_path.iterdir()} - {"else.json", "broken.json"}
    assert names == {f"maze-val-{a}.{e}" for a in ("he", "she") for e in ("json", "md")} | {
        "leaderboard.md"
    }
    rows = (tmp_path / "leaderboard.md").read_text().splitlines()
    assert [row.split(" | ")[1] for row in rows[2:]] == ["he", "she"]
