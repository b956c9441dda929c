"""Domain randomization: other colors, and nothing else."""

import gymnasium as gym
import numpy as np
import pytest

from worldfm_envs.appearance import AppearanceConfig
from worldfm_gym.errors import ConfigError

OBSERVATIONS = ("rgb", "depth", "instance", "object_poses", "top_down", "pointgoal")
STRONG = AppearanceConfig(exposure_stops=1.0, repaint_probability=1.0, repaint_background=1.0)


def episode(env, seed, steps=8):
    """Observations, rewards and infos of an episode of random actions."""
    env.action_space.seed(4)
    observation, info = env.reset(seed=seed)
    course = [(observation, 0.0, False, False, info)]
    for _ in range(steps):
        course.append(env.step(env.action_space.sample() % 3 + 1))
    return course


def test_an_episode_is_the_same_in_other_colors(make_env):
    plain = make_env(observations=OBSERVATIONS)
    colored = make_env(observations=OBSERVATIONS, appearance=STRONG)
    for seed in (1, None, 7):
        for here, there in zip(episode(plain, seed), episode(colored, seed), strict=True):
            assert here[1:] == there[1:]
            assert (here[0]["rgb"] != there[0]["rgb"]).any()
            for name in set(OBSERVATIONS) - {"rgb"}:
                np.testing.assert_array_equal(here[0][name], there[0][name])
        first, second = plain.unwrapped, colored.unwrapped
        np.testing.assert_array_equal(first.simulator.c2w, second.simulator.c2w)
        np.testing.assert_array_equal(first.world.nav.navigable, second.world.nav.navigable)
        ends = first.simulator.position_xy[0], first.task.goal_xy[0]
        np.testing.assert_array_equal(
            first.world.nav.shortest_path(*ends), second.world.nav.shortest_path(*ends)
        )


def test_every_episode_has_its_own_colors_and_a_seed_has_always_the_same(make_env):
    env = make_env(appearance=STRONG)
    same_place = {"start_xy": (1.0, 2.0), "start_yaw": 0.0, "goal_xy": (4.5, 1.0)}
    images = [
        env.reset(seed=seed, options=same_place)[0]["rgb"] for seed in (0, None, None, 0, None)
    ]
    np.testing.assert_array_equal(images[0], images[3])
    np.testing.assert_array_equal(images[1], images[4])
    assert (images[0] != images[1]).any()
    assert (images[1] != images[2]).any()


def test_colors_hold_for_the_whole_episode(make_env):
    env = make_env(appearance=STRONG)
    env.reset(seed=0)
    look = env.unwrapped.simulator.appearance(0)
    for _ in range(3):
        env.step(2)
    assert env.unwrapped.simulator.appearance(0) is look


def test_goal_views_have_the_colors_of_the_episode(make_env):
    plain = make_env("WorldFM/ImageNav-v0").reset(seed=0)[0]["imagegoal"]
    env = make_env("WorldFM/ImageNav-v0", appearance=STRONG)
    colored = env.reset(seed=0)[0]["imagegoal"]
    assert (colored != plain).any()


def test_vector_environments_draw_the_same_colors(box_room, box_room_renderer):
    kwargs = {"world": box_room, "renderer": box_room_renderer, "width": 40, "height": 40}
    kwargs |= {"appearance": STRONG, "rgb_noise": "gaussian", "depth_noise": "kinect"}
    name = "WorldFM/PointNav-v0"
    together = gym.make_vec(name, num_envs=3, vectorization_mode="vector_entry_point", **kwargs)
    alone = [gym.make(name, **kwargs) for _ in range(3)]
    batch, _ = together.reset(seed=5)
    single = [env.reset(seed=5 + i)[0] for i, env in enumerate(alone)]
    for _ in range(3):
        for i, observation in enumerate(single):
            for key, value in observation.items():
                np.testing.assert_array_equal(batch[key][i], value)
        batch, *_ = together.step(np.array([2, 1, 3]))
        single = [env.step(action)[0] for env, action in zip(alone, (2, 1, 3), strict=True)]
    together.close()


def test_the_config_says_how_far_colors_go(box_room):
    still = AppearanceConfig(
        exposure_stops=0, tint=0, saturation=0, contrast=0, hue_deg=0, repaint_probability=0
    ).draw(3, box_room)
    np.testing.assert_allclose(still.color, np.eye(3, 4), atol=1e-6)
    assert not still.materials
    only_light = AppearanceConfig(tint=0, saturation=0, contrast=0, hue_deg=0)
    stops = [np.log2(only_light.draw(k, box_room).color[0, 0]) for k in range(200)]
    assert -0.5 <= min(stops) < -0.45
    assert 0.45 < max(stops) <= 0.5
    painted = [
        set(AppearanceConfig(repaint_probability=0.5).draw(k, box_room).materials)
        for k in range(200)
    ]
    assert np.mean([1 in ids for ids in painted]) == pytest.approx(0.5, abs=0.1)
    assert not any(0 in ids for ids in painted)
    assert {0, 1, 2} == set(STRONG.draw(0, box_room).materials)


def test_gray_stays_gray_when_only_hue_and_saturation_change(box_room):
    config = AppearanceConfig(exposure_stops=0, tint=0, contrast=0, hue_deg=40, saturation=0.9)
    for seed in range(5):
        color = config.draw(seed, box_room).color
        np.testing.assert_allclose(color[:, :3] @ np.full(3, 0.4), 0.4, atol=1e-5)
        assert np.abs(color[:, :3] - np.eye(3)).max() > 0.05


def test_an_object_keeps_its_color_whatever_happens_to_others(box_room):
    some = AppearanceConfig(repaint_probability=0.6)
    for seed in range(10):
        full = STRONG.draw(seed, box_room).materials
        for instance, matrix in some.draw(seed, box_room).materials.items():
            np.testing.assert_array_equal(matrix, full[instance])


@pytest.mark.parametrize("bad", [{"tint": -0.1}, {"hue_deg": 200.0}, {"repaint_probability": 1.5}])
def test_senseless_ranges_are_refused(bad):
    with pytest.raises(ConfigError):
        AppearanceConfig(**bad)
