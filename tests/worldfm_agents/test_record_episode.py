"""Films of episodes, ours and Gymnasium's, on every environment that there is."""

import warnings
from pathlib import Path

import av
import gymnasium as gym
import numpy as np
import pytest

import worldfm_gym  # noqa: F401
from worldfm_agents.record_episode import RecordEpisode
from worldfm_gym.errors import ConfigError
from worldfm_gym.registration import ENTRY_POINTS

IDS = sorted(ENTRY_POINTS)


@pytest.fixture
def make(box_room, box_room_renderer):
    def made(env_id="WorldFM/PointNav-v0", **options):
        options = {"world": box_room, "renderer": box_room_renderer, **options}
        return gym.make(env_id, width=40, height=40, max_episode_steps=4, **options)

    return made


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def walk(env: gym.Env, episodes: int) -> None:
    env.action_space.seed(0)
    for seed in range(episodes):
        env.reset(seed=seed)
        done = False
        while not done:
            action = env.action_space.sample()
            if isinstance(env.action_space, gym.spaces.Discrete):
                action = 1 + action % 3  # never stop
            done = any(env.step(action)[2:4])


@pytest.mark.parametrize("env_id", IDS)
def test_films_every_episode_of_every_environment(env_id: str, make, tmp_path: Path) -> None:
    env = RecordEpisode(make(env_id), tmp_path)
    walk(env, 2)
    env.close()
    assert env.videos == [tmp_path / "episode-0.mp4", tmp_path / "episode-1.mp4"]
    for video in env.videos:
        frames = frames_of(video)
        assert 2 <= len(frames) <= 5  # the one of reset, and one a step
        panels = 4 if env_id == "WorldFM/ImageNav-v0" else 3  # the view to find, too
        assert frames[0].shape == (200 + 26, panels * 200, 3)  # 40 pixels, five times enlarged


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_films_every_environment(env_id: str, make, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        env = gym.wrappers.RecordVideo(
            make(env_id, render_mode="rgb_array"), str(tmp_path / "films")
        )
        walk(env, 1)
        env.close()
    (video,) = (tmp_path / "films").glob("*.mp4")
    frames = frames_of(video)
    assert 2 <= len(frames) <= 5
    assert frames[0].shape == (40, 40, 3)


def test_panels_show_image_depth_and_map(make, tmp_path: Path) -> None:
    env = RecordEpisode(make(), tmp_path)
    observation, _ = env.reset(seed=0)
    env.close()  # an unfinished episode is kept, too
    (frame,) = frames_of(env.videos[0])
    image = observation["rgb"].repeat(5, 0).repeat(5, 1)
    assert np.abs(frame[:200, :200].astype(int) - image).mean() < 6.0  # lossy compression
    assert frame[:200, 400:].std() > 10.0


def test_the_trigger_chooses(make, tmp_path: Path) -> None:
    env = RecordEpisode(make(), tmp_path, episode_trigger=lambda k: k == 1, name_prefix="walk")
    walk(env, 3)
    env.close()
    assert [path.name for path in tmp_path.iterdir()] == ["walk-1.mp4"]


def test_what_is_observed_does_not_matter(make, tmp_path: Path) -> None:
    env = RecordEpisode(make(observations=["pointgoal"]), tmp_path)
    walk(env, 1)
    env.close()
    assert env.videos[0].is_file()


def test_a_world_without_floor(roofless_room, make, tmp_path: Path) -> None:
    env = RecordEpisode(make("WorldFM/FreeCamera-v0", world=roofless_room), tmp_path)
    walk(env, 1)
    env.close()
    assert env.videos[0].is_file()


def test_refuses_other_environments(make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="WorldFM"):
        RecordEpisode(gym.make("CartPole-v1"), tmp_path)
    with pytest.raises(ConfigError, match="fps"):
        RecordEpisode(make(), tmp_path, fps=0)


def test_is_made_again_from_its_spec(make, tmp_path: Path) -> None:
    env = RecordEpisode(make(), tmp_path, name_prefix="again")
    assert env.spec is not None
    assert "again" in str(env.spec.additional_wrappers)
