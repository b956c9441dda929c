"""Recorder, map from above and timer, on a room whose geometry is known."""

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import worldfm_gym  # noqa: F401
from worldfm_agents.pictures import depth_picture
from worldfm_agents.recording import Recorder
from worldfm_agents.rollout import rollout
from worldfm_agents.scripted import RandomAgent, ShortestPathAgent
from worldfm_agents.step_timer import StepTimer
from worldfm_agents.top_down import TopDownMap
from worldfm_gym.errors import ConfigError
from worldfm_gym.renderer import Renderer
from worldfm_gym.worlds.world import World

Factory = Callable[[Sequence[World]], Renderer]


@pytest.fixture
def walk(box_room: World, box_room_renderer: Factory) -> gym.Env:
    return gym.make(
        "WorldFM/PointNav-v0", world=box_room, renderer=box_room_renderer, width=64, height=48
    )


def test_records_every_frame_of_every_episode(walk: gym.Env, tmp_path: Path) -> None:
    timer = StepTimer(walk)
    timer.warm_up()
    files = {name: tmp_path / f"walk.{name}" for name in ("mp4", "png", "gif")}
    with Recorder(walk, video=files["mp4"], sheet=files["png"], gif=files["gif"]) as recorder:
        results = rollout(timer, ShortestPathAgent(walk), episodes=2, on_frame=recorder)
    assert timer.steps == sum(r.steps for r in results)
    assert timer.steps_per_second == pytest.approx(timer.steps / timer.seconds)
    assert recorder.frames_seen == timer.steps + 2  # one for each reset
    with av.open(str(files["mp4"])) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == recorder.frames_seen
    assert frames[0].shape == (48 + 26, 3 * 64, 3)
    with Image.open(files["png"]) as sheet:
        assert sheet.size == (2 * 3 * 64 + 12, 6 * (48 + 26 + 4) + 4)
    assert files["gif"].stat().st_size > 0


def test_panels_are_what_the_agent_sees(walk: gym.Env) -> None:
    observation, info = walk.reset(seed=0)
    picture = Recorder(walk).compose(info)
    assert np.array_equal(picture[:48, :64], observation["rgb"])
    depth_z = walk.unwrapped.task.frame.depth[0]  # type: ignore[attr-defined]
    assert np.array_equal(picture[:48, 64:128], depth_picture(depth_z, max_depth_m=10.0))


def test_a_broken_run_leaves_no_file(walk: gym.Env, tmp_path: Path) -> None:
    def fail() -> None:
        with Recorder(walk, video=tmp_path / "a.mp4", sheet=tmp_path / "a.png") as recorder:
            recorder(*walk.reset(seed=0))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_free_camera_in_a_world_without_floor(
    roofless_room: World, box_room_renderer: Factory
) -> None:
    env = gym.make(
        "WorldFM/FreeCamera-v0",
        world=roofless_room,
        renderer=box_room_renderer,
        width=64,
        height=48,
        max_episode_steps=5,
    )
    recorder = Recorder(env)
    rollout(env, RandomAgent(env.action_space), episodes=1, on_frame=recorder)
    assert recorder.frames_seen == 6


def test_only_worldfm_environments_are_watched() -> None:
    with pytest.raises(ConfigError, match="WorldFM"):
        Recorder(gym.make("CartPole-v1"))


def test_depth_colors_run_from_red_near_to_blue_far() -> None:
    near, middle, far, farther, none = depth_picture(
        np.array([0.01, 5.0, 10.0, 99.0, 0.0], np.float32), max_depth_m=10.0
    ).astype(int)
    assert near[0] > near[1] + near[2]
    assert middle[1] > max(middle[0], middle[2])
    assert far[2] > max(far[0], far[1])
    assert np.array_equal(far, farther)
    assert not none.any()


def test_map_is_true_to_scale_with_north_up(box_room: World) -> None:
    plan = TopDownMap(box_room, width=200, height=160)
    corners = plan.pixel([[0.0, 0.0], [6.0, 4.0]])
    width, height = corners[1, 0] - corners[0, 0], corners[0, 1] - corners[1, 1]
    assert width / height == pytest.approx(6.0 / 4.0)
    assert width > 0.9 * 200  # as large as it fits: the room is the wider of the two
    assert corners.mean(axis=0) == pytest.approx([100, 80], abs=1.0)


def test_map_marks_agent_path_and_goal_where_they_are(box_room: World) -> None:
    plan = TopDownMap(box_room, width=300, height=220)
    path, goal = np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([4.5, 1.0])
    picture = plan.draw(path, 0.0, goal_xy=goal).astype(int)

    def at(xy: Sequence[float]) -> np.ndarray:
        u, v = plan.pixel(xy).astype(int)
        return picture[v, u]

    assert at([1.0, 3.0])[2] > 200  # agent, blue
    assert at([4.5, 1.0])[0] > 200  # goal, red
    assert at([1.0, 2.0])[0] - at([1.0, 2.0])[2] > 100  # path, yellow
    ahead, behind = plan.pixel([1.3, 3.0]).astype(int), plan.pixel([0.7, 3.0]).astype(int)
    before = plan.background.astype(int)
    assert (picture[ahead[1], ahead[0]] != before[ahead[1], ahead[0]]).any()
    assert (picture[behind[1], behind[0]] == before[behind[1], behind[0]]).all()


def test_map_needs_room() -> None:
    with pytest.raises(ConfigError, match="16×16"):
        TopDownMap(object(), width=8, height=80)  # type: ignore[arg-type]
