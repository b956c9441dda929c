import av
import numpy as np
import pytest

from worldfm_agents import orbit
from worldfm_gym import make_world
from worldfm_gym.worlds.world import World


@pytest.fixture(scope="module")
def rooms() -> World:
    return make_world("rooms", seed=0, spacing_m=0.2)


def test_a_turn_is_level_closed_and_stays_where_there_is_room(rooms):
    c2w = orbit._turning(rooms, 36)
    assert np.allclose(c2w[:, 2, 2], 0)
    yaw = np.unwrap(np.arctan2(c2w[:, 1, 2], c2w[:, 0, 2]))
    assert np.allclose(np.diff(yaw), 2 * np.pi / 36)
    away = np.linalg.norm(c2w[:, :3, 3] - rooms.start_c2w[:3, 3], axis=-1)
    assert away[0] == 0
    assert 0.05 < away.max() <= 0.5
    steps = np.linalg.norm(np.roll(c2w, -1, axis=0)[:, :3, 3] - c2w[:, :3, 3], axis=-1)
    assert steps.max() < 0.06
    assert all(rooms.nav.is_navigable(xy) for xy in c2w[:, :2, 3])


def test_a_sway_starts_at_the_photo_and_looks_at_one_place(box_room):
    c2w = orbit._swaying(box_room, 24)
    np.testing.assert_allclose(c2w[0], box_room.start_c2w, atol=1e-6)
    # All optical axes meet.
    eyes, ways = c2w[:, :3, 3], c2w[:, :3, 2]
    across = np.eye(3) - ways[:, :, None] * ways[:, None, :]
    target = np.linalg.solve(across.sum(0), np.einsum("nij,nj->i", across, eyes))
    assert np.linalg.norm(np.einsum("nij,nj->ni", across, target - eyes), axis=-1).max() < 1e-6


def test_the_film_turns_in_a_closed_room(rooms, tmp_path):
    told: list[int] = []
    does = orbit.film_orbit(rooms, tmp_path / "orbit.mp4", frames=10, progress=told.append)
    assert does == "turns once around"
    assert sum(told) == 10
    with av.open(str(tmp_path / "orbit.mp4")) as film:
        pictures = [p.to_ndarray(format="rgb24") for p in film.decode(video=0)]
    assert len(pictures) == 10
    frame_model, points, origin = np.split(pictures[5].astype(int), 3, axis=1)
    assert np.abs(frame_model - points)[:180].mean() < 40  # they show one view
    assert (origin[:180, :, 1] >= origin[:180, :, 0]).mean() > 0.9  # all of it was seen: green
