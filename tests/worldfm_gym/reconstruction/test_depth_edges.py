import numpy as np
import pytest

from worldfm_gym.reconstruction.depth_edges import sharpened, steep_pixels

WIDTH, HEIGHT, EDGE = 200, 60, 100


def blurred_edge(near: float, far: float, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True depth with a step at EDGE, the same blurred in 1/z, and a picture."""
    u = np.arange(WIDTH) + 0.5
    truth = np.where(u < EDGE, near, far)
    mix = np.clip((u - EDGE) / width + 0.5, 0, 1)
    soft = 1 / (1 / near * (1 - mix) + 1 / far * mix)
    rgb = np.where(u[:, None] < EDGE, [200, 60, 40], [90, 110, 140])
    tile = (HEIGHT, 1)
    return (
        np.tile(truth, tile).astype(np.float32),
        np.tile(soft, tile).astype(np.float32),
        np.tile(rgb, (HEIGHT, 1, 1)).astype(np.uint8),
    )


@pytest.mark.parametrize(("near", "far"), [(1.0, 3.0), (2.0, 2.6), (4.0, 12.0)])
def test_ramps_become_steps_where_colors_change(near, far):
    truth, soft, rgb = blurred_edge(near, far, 3)
    off = np.abs(sharpened(soft, rgb) / truth - 1)
    assert off.max() < 0.4 * np.abs(soft / truth - 1).max()
    assert (off > 0.05).mean() <= (np.abs(soft / truth - 1) > 0.05).mean() / 2


def test_slanted_planes_and_unknown_pixels_stay():
    v, u = np.meshgrid(np.arange(HEIGHT) + 0.5, np.arange(WIDTH) + 0.5, indexing="ij")
    depth = (1 / (0.1 + 0.002 * u + 0.004 * v)).astype(np.float32)
    depth[20:30, 50:60] = 0
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    np.testing.assert_allclose(sharpened(depth, rgb), depth, rtol=1e-6)


def test_steep_pixels_are_those_of_a_ramp():
    _, soft, _ = blurred_edge(1.0, 3.0, 12)
    steep = steep_pixels(soft, 200.0)
    columns = np.flatnonzero(steep[HEIGHT // 2])
    assert steep.any(axis=0).sum() >= 8
    assert EDGE - 8 <= columns.min() <= columns.max() <= EDGE + 8


def test_a_wall_seen_at_an_angle_is_not_steep():
    u = np.tile(np.arange(WIDTH) + 0.5 - WIDTH / 2, (HEIGHT, 1))
    wall = (1 / (0.3 + 0.002 * u)).astype(np.float32)  # 31° to the line of sight at f = 100
    assert not steep_pixels(wall, 100.0).any()
