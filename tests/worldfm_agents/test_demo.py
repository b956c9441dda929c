"""The demo at toy size: every file is there and holds what was promised."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from rich.console import Console

from worldfm_agents.demo import DemoOptions, DemoRun, episodes_into_view, run_demo
from worldfm_gym import load_world
from worldfm_gym.data import GARAGE
from worldfm_gym.worlds.world import World


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[DemoRun]]:
    """A demo whose growth only leaves its options in the world's record."""

    def expand(world: World, **options: Any) -> World:
        return replace(world, source={**world.source, "growth": options})

    out = tmp_path_factory.mktemp("demo")
    options = DemoOptions(episodes=1, camera_steps=6, width=64, height=48, processes=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "expand", expand)
        return out, run_demo(out, options, console=Console(file=io.StringIO()))


def test_every_run_is_filmed_and_every_walk_arrives(demo: tuple[Path, list[DemoRun]]) -> None:
    out, runs = demo
    assert [run.name for run in runs] == [
        "rooms_pointnav",
        "rooms_camera",
        "garage_camera",
        "garage_pointnav",
    ]
    for run in runs:
        assert run.sheet == out / f"{run.name}.png"
        with av.open(str(run.video)) as video:
            assert sum(1 for _ in video.decode(video=0)) == run.steps + 1
        assert run.steps_per_second > 0
    assert [run.steps for run in runs if "camera" in run.name] == [6, 6]
    assert all(run.episodes[0].info["success"] for run in runs if "pointnav" in run.name)


def test_the_worlds_can_be_used_again(demo: tuple[Path, list[DemoRun]]) -> None:
    out, runs = demo
    garage, rooms = load_world(out / "garage"), load_world(out / "rooms")
    assert garage.source["kind"] == "photo"
    assert garage.source["depth"].startswith("estimated")
    assert garage.source["growth"] == {"seed": 0, "views": 16}
    assert rooms.source["seed"] == 0
    assert "m² of floor" in next(run.world for run in runs if run.name == "garage_pointnav")
    assert {p.suffix for p in out.iterdir()} == {"", ".mp4", ".png"}


def test_episodes_lead_from_the_camera_into_view(box_room: World) -> None:
    nav, start = box_room.require_nav(), box_room.start_c2w
    middle = np.median(box_room.anchor.points[:, :2], axis=0)
    episodes = episodes_into_view(box_room, 4, seed=0)
    assert len(episodes) == 4
    for episode in episodes:
        from_xy, goal_xy = episode["start_xy"], episode["goal_xy"]
        assert nav.is_navigable(from_xy)
        assert nav.is_navigable(goal_xy)
        assert (goal_xy - from_xy) @ start[:2, 2] > 2.0  # the room is 6 m long that way
        ahead = (middle - from_xy) / np.linalg.norm(middle - from_xy)
        yaw = episode["start_yaw"]
        assert np.cos(yaw) * ahead[0] + np.sin(yaw) * ahead[1] == pytest.approx(1.0)


def test_the_photo_is_credited() -> None:
    assert "CC0" in (GARAGE / "CREDITS.txt").read_text()
    assert {p.name for p in GARAGE.iterdir()} >= {"photo.jpg", "depth_mm.png", "meta.json"}
