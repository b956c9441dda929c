"""Free camera: what each component of the action does, and where the camera starts."""

import numpy as np
import pytest

from worldfm_gym.camera import heading_c2w, invert_rigid, quaternion_to_rotation

START = heading_c2w((1.5, 1.0, 1.2), 0.4, 0.1)


@pytest.mark.parametrize("component", range(6))
def test_actions_are_velocities_in_the_camera_frame(make_env, component):
    env = make_env("WorldFM/FreeCamera-v0", max_speed_mps=2.0, max_turn_dps=90.0, step_s=0.1)
    env.reset(options={"c2w": START})
    action = np.zeros(6, np.float32)
    action[component] = 1.0
    env.step(action)
    relative = invert_rigid(START) @ env.unwrapped.simulator.c2w[0]
    moved = np.zeros(3)
    turned = np.zeros(3)
    if component < 3:
        moved[component] = 0.2
    else:
        turned[component - 3] = np.deg2rad(9)
    np.testing.assert_allclose(relative[:3, 3], moved, atol=1e-9)
    axis = [relative[2, 1], relative[0, 2], relative[1, 0]]
    np.testing.assert_allclose(axis, np.sin(turned), atol=1e-9)


def test_there_is_no_reward_and_no_end(make_env):
    env = make_env("WorldFM/FreeCamera-v0", observations=("pose",))
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(100):
        _, reward, terminated, _, info = env.step(env.action_space.sample())
        assert (reward, terminated) == (0.0, False)
        assert set(info) == {"collided"}


def test_the_pose_is_that_of_the_camera(make_env):
    env = make_env("WorldFM/FreeCamera-v0", observations=("pose",))
    pose = env.reset(options={"c2w": START})[0]["pose"]
    np.testing.assert_allclose(pose[:3], START[:3, 3], rtol=1e-6)
    np.testing.assert_allclose(quaternion_to_rotation(pose[3:]), START[:3, :3], atol=1e-6)


def test_it_starts_on_free_floor_and_differently_for_each_seed(make_env, box_room):
    env = make_env("WorldFM/FreeCamera-v0", observations=("pose",))
    starts = np.stack([env.reset(seed=seed)[0]["pose"][:3] for seed in range(10)])
    assert len(np.unique(starts, axis=0)) == 10
    assert box_room.nav.is_navigable(starts[:, :2]).all()
    np.testing.assert_allclose(starts[:, 2], 1.25)


def test_a_world_without_a_floor_is_flown_from_its_start_pose(make_env, roofless_room):
    env = make_env("WorldFM/FreeCamera-v0", world=roofless_room, observations=("pose",))
    pose = env.reset(seed=0)[0]["pose"]
    np.testing.assert_allclose(pose[:3], roofless_room.start_c2w[:3, 3])
    for _ in range(80):
        observation, *_, info = env.step(np.array([0, -1, 0, 0, 0, 0], np.float32))
    assert observation["pose"][2] == pytest.approx(1.25 + 8.0)
    assert info == {"collided": False}
