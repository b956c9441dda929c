"""Motion integration against matrix exponentials, closed forms and small steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.linalg import expm

from worldfm_gym.camera import check_rigid, heading_c2w
from worldfm_gym.motion import heading_of, per_agent, se3_exp, turn_free, turn_level

TWISTS = hnp.arrays(np.float64, 6, elements=st.floats(-3, 3, allow_subnormal=False))
ANGLES = st.floats(-3.1, 3.1)


def matrix_of(twist):
    matrix = np.zeros((4, 4))
    x, y, z = twist[3:]
    matrix[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    matrix[:3, 3] = twist[:3]
    return matrix


@given(TWISTS)
def test_se3_exp_is_the_matrix_exponential(twist):
    np.testing.assert_allclose(se3_exp(twist), expm(matrix_of(twist)), atol=1e-9)


def test_se3_exp_keeps_batch_dimensions():
    twists = np.random.default_rng(0).normal(size=(2, 3, 6))
    batch = se3_exp(twists)
    assert batch.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(batch[1, 2], se3_exp(twists[1, 2]))


@given(TWISTS, TWISTS)
def test_free_motion_composes_on_the_right(start, twist):
    c2w = se3_exp(start)[None]
    expected = c2w[0] @ se3_exp(twist)
    moved = c2w.copy()
    delta = turn_free(moved, twist[None])
    np.testing.assert_allclose(moved[0, :3, :3], expected[:3, :3], atol=1e-9)
    np.testing.assert_allclose(moved[0, :3, 3] + delta[0], expected[:3, 3], atol=1e-9)


def test_free_motion_stays_rigid_over_a_long_run():
    rng = np.random.default_rng(0)
    c2w = np.eye(4)[None].repeat(3, axis=0)
    for _ in range(20_000):
        c2w[:, :3, 3] += turn_free(c2w, rng.normal(scale=0.2, size=(3, 6)))
    check_rigid(c2w, tolerance=1e-12)


@given(ANGLES, st.floats(-1.55, 1.55))
def test_heading_of_inverts_heading_c2w(yaw, pitch):
    found = heading_of(heading_c2w((1.0, 2.0, 3.0), yaw, pitch))
    np.testing.assert_allclose(found, (yaw, pitch), atol=1e-9)


def test_a_camera_looking_straight_down_has_a_heading():
    yaw, pitch = heading_of(heading_c2w((0.0, 0.0, 0.0), 0.7, -np.pi / 2))
    assert yaw == pytest.approx(0.7)
    assert pitch == pytest.approx(-np.pi / 2)


@given(ANGLES, st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(-0.5, 0.5))
def test_level_motion_turns_to_the_left_and_upward(yaw, forward, strafe, turn, tilt):
    c2w = heading_c2w(np.zeros((1, 3)), yaw, 0.1)
    delta = turn_level(c2w, *(np.array([v]) for v in (forward, strafe, turn, tilt)))
    expected = heading_c2w(np.zeros(3), yaw + turn, 0.1 + tilt)
    np.testing.assert_allclose(c2w[0], expected, atol=1e-12)
    assert np.hypot(*delta[0]) <= np.hypot(forward, strafe) + 1e-12


@pytest.mark.parametrize("turn", [0.0, 1e-6, 0.4, -2.0])
def test_level_motion_follows_the_arc_of_constant_velocity(turn):
    """A thousand small steps end where one step ends."""
    c2w = heading_c2w(np.zeros((1, 3)), 0.3)
    chord = turn_level(c2w.copy(), *(np.array([v]) for v in (0.8, -0.3, turn, 0.0)))
    travelled = np.zeros((1, 2))
    for _ in range(1000):
        travelled += turn_level(c2w, *(np.array([v / 1000]) for v in (0.8, -0.3, turn, 0.0)))
    np.testing.assert_allclose(travelled, chord, atol=1e-6)


def test_strafing_goes_to_the_right():
    c2w = heading_c2w(np.zeros((1, 3)), 0.0)  # looks along +x, so right is −y
    zero = np.zeros(1)
    np.testing.assert_allclose(turn_level(c2w, zero, np.ones(1), zero, zero), [[0, -1]], atol=1e-12)


def test_pitch_stops_before_the_zenith():
    c2w = heading_c2w(np.zeros((1, 3)), 0.5)
    for _ in range(10):
        turn_level(c2w, *(np.array([v]) for v in (0.0, 0.0, 0.0, 0.6)))
    yaw, pitch = heading_of(c2w)
    assert pitch[0] == pytest.approx(np.deg2rad(89))
    assert yaw[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("value", "tail", "expected"),
    [
        (2, (), [2.0, 2.0]),
        (np.float32(0.5), (), [0.5, 0.5]),
        ([1, 2], (), [1.0, 2.0]),
        ([1, 2, 3], (3,), [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
    ],
)
def test_per_agent_broadcasts(value, tail, expected):
    array = per_agent(value, 2, tail)
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == np.float64
    assert array.flags.c_contiguous


def test_per_agent_refuses_another_number_of_agents():
    with pytest.raises(ValueError, match="broadcast"):
        per_agent([1.0, 2.0, 3.0], 2)
