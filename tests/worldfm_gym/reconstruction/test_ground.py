import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.reconstruction.ground import Ground, find_ground, flattened

LOW, HIGH = np.array([0.0, 0.0, 0.0]), np.array([6.0, 5.0, 2.6])


def room(pitch_deg: float, roll_deg: float = 0.0, height: float = 1.4) -> tuple[Camera, np.ndarray]:
    """A camera in an empty room, and its exact z-depth [90, 120]."""
    c2w = heading_c2w([1.0, 2.5, height], 0.2, np.deg2rad(pitch_deg))
    roll = np.deg2rad(roll_deg)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]]
    camera = Camera.from_fov(c2w @ turn, 75.0, width=120, height=90)
    rays, eye = camera.rays_world(), camera.position_world
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.fmax((LOW - eye) / rays, (HIGH - eye) / rays).min(axis=-1)
    return camera, depth.astype(np.float32)


def up_of(camera: Camera) -> np.ndarray:
    return camera.c2w[:3, :3].T @ [0.0, 0.0, 1.0]


@given(
    pitch=st.floats(-50, -5),
    roll=st.floats(-8, 8),
    height=st.floats(0.7, 1.9),
    unit=st.floats(0.01, 100),
)
def test_exact_depth_of_any_scale(pitch, roll, height, unit):
    camera, depth = room(pitch, roll, height)
    ground = find_ground((depth * unit).astype(np.float32), camera.K)
    assert ground.up @ up_of(camera) > np.cos(np.deg2rad(0.5))
    assert ground.height == pytest.approx(height * unit, rel=0.01)


def bent(depth: np.ndarray, *, amount: float, seed: int) -> np.ndarray:
    """Depth with smooth relative errors of a standard deviation of `amount`."""
    v, u = np.meshgrid(*(np.linspace(0, 1, n) for n in depth.shape), indexing="ij")
    rng = np.random.default_rng(seed)
    waves = [
        np.sin(
            2 * np.pi * (rng.uniform(0.3, 1.5) * u + rng.uniform(0.3, 1.5) * v) + rng.uniform(0, 7)
        )
        for _ in range(6)
    ]
    error = np.sum(waves, axis=0) / np.sqrt(3) * amount
    return (depth * np.exp(error)).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_bent_and_noisy_depth(seed):
    camera, depth = room(-18)
    noise = np.random.default_rng(seed).normal(0, 0.01, depth.shape)
    depth = (bent(depth, amount=0.05, seed=seed) * np.exp(noise)).astype(np.float32)
    ground = find_ground(depth, camera.K)
    assert ground.up @ up_of(camera) > np.cos(np.deg2rad(12))
    assert ground.height == pytest.approx(1.4, rel=0.2)


@pytest.mark.parametrize("seed", range(6))
def test_a_known_up_makes_it_more_exact(seed):
    camera, depth = room(-18)
    depth = bent(depth, amount=0.1, seed=seed)
    ground = find_ground(depth, camera.K, up_camera=up_of(camera))
    assert ground.up @ up_of(camera) > np.cos(np.deg2rad(12))
    assert ground.height == pytest.approx(1.4, rel=0.25)


def test_a_table_that_floor_is_seen_beside_is_no_floor():
    camera, depth = room(-30)
    rays = camera.rays_world()
    table = (0.75 - camera.position_world[2]) / rays[..., 2]
    at = camera.position_world + table[..., None] * rays
    on_table = (rays[..., 2] < 0) & (np.abs(at[..., :2] - [2.2, 2.7]) < [0.7, 0.8]).all(axis=-1)
    covered = np.where(on_table, table, depth).astype(np.float32)
    assert 0.2 < on_table.mean() < 0.5
    assert find_ground(covered, camera.K).height == pytest.approx(1.4, rel=0.02)


def test_no_floor_in_view():
    camera, depth = room(25)
    assert find_ground(depth, camera.K) is None
    assert find_ground(np.zeros_like(depth), camera.K) is None
    flat = np.full_like(depth, 2.0)
    assert find_ground(flat, camera.K) is None


def test_a_room_upside_down_has_its_floor_on_top():
    camera, depth = room(-25)
    turned = np.ascontiguousarray(depth[::-1, ::-1])
    found = find_ground(turned, camera.K)
    assert found is None or found.share < 0.1
    assert find_ground(depth, camera.K).share > 0.4


def test_flattening_makes_the_floor_flat_and_leaves_the_rest():
    camera, depth = room(-18)
    rough = bent(depth, amount=0.02, seed=1)
    ground = Ground(up_of(camera), 1.4, 0.5)
    flat = flattened(rough, camera.K, ground)
    z = camera.unproject(flat.astype(np.float64))[..., 2]
    on_floor = camera.unproject(depth.astype(np.float64))[..., 2] < 1e-3
    assert (
        np.abs(z[on_floor]).mean()
        < 0.3 * np.abs(camera.unproject(rough.astype(np.float64))[..., 2][on_floor]).mean()
    )
    high = camera.unproject(rough.astype(np.float64))[..., 2] > 0.3
    np.testing.assert_array_equal(flat[high], rough[high])
