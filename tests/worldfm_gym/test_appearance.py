"""Appearance: colors against the definition of sRGB, and what must not change with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worldfm_gym.appearance import (
    LUMINANCE,
    Appearance,
    AppearanceTable,
    linear_of,
    material_luminance,
)
from worldfm_gym.errors import SimulatorError
from worldfm_gym.frame import Frame
from worldfm_gym.simulator import Simulator, SimulatorConfig

CONFIG = SimulatorConfig(width=48, height=32)


def frame_of(count=2):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (count, 32, 48, 3), np.uint8)
    instance = rng.integers(-1, 4, (count, 32, 48)).astype(np.int32)
    depth = rng.random((count, 32, 48)).astype(np.float32)
    return Frame(rgb, depth, instance, np.ones((count, 32, 48), np.uint8), None)


def srgb_of(linear):
    """IEC 61966-2-1, in exact arithmetic."""
    value = np.clip(linear, 0.0, 1.0)
    low = 12.92 * value
    return 255.0 * np.where(value <= 0.0031308, low, 1.055 * value ** (1 / 2.4) - 0.055)


def painted(appearance, frame, scene=(0, 1)):
    table = AppearanceTable(2)
    table.set(0, appearance)
    return table.paint(frame, np.array(scene)).rgb


def test_an_appearance_that_changes_nothing_changes_no_bit():
    frame = frame_of()
    frame.rgb[0].reshape(-1)[:256] = np.arange(256)
    np.testing.assert_array_equal(painted(Appearance(), frame), frame.rgb)


def test_colors_are_affine_in_linear_light():
    frame, rng = frame_of(), np.random.default_rng(1)
    color = rng.normal(0.3, 0.4, (3, 4)).astype(np.float32)
    crate = rng.normal(0.3, 0.4, (3, 4)).astype(np.float32)
    image = painted(Appearance(color, {2: crate}), frame)
    linear = linear_of(frame.rgb[0])
    for shown, before in ((-1, None), (0, None), (1, None), (2, crate), (3, None)):
        here = frame.instance[0] == shown
        value = linear[here]
        if before is not None:
            value = value @ before[:, :3].T + before[:, 3]
        expected = srgb_of(value @ color[:, :3].T + color[:, 3])
        if shown == -1:
            expected = frame.rgb[0][here]
        assert np.abs(image[0][here] - expected).max() <= 1.0
    np.testing.assert_array_equal(image[1], frame.rgb[1])  # the other scene


def test_the_input_and_everything_but_color_stay_as_they_are():
    frame = frame_of()
    kept = frame.rgb.copy()
    table = AppearanceTable(2)
    assert table.paint(frame, np.array([0, 1])) is frame
    table.set(0, Appearance.exposure(1.0))
    out = table.paint(frame, np.array([0, 1]))
    assert (out.rgb != kept).any()
    np.testing.assert_array_equal(frame.rgb, kept)
    assert out.depth is frame.depth
    assert out.instance is frame.instance
    table.set(0, None)
    assert table.paint(frame, np.array([0, 1])) is frame


def test_tensors_are_painted_alike():
    frame, rng = frame_of(), np.random.default_rng(2)
    color = rng.normal(0.3, 0.4, (3, 4))
    tensors = {n: torch.from_numpy(getattr(frame, n)) for n in ("rgb", "depth", "instance")}
    there = replace(frame, **tensors)
    table = AppearanceTable(2)
    for appearance in (Appearance(color), Appearance.repaint(2, (200, 30, 30))):
        for scene in (0, 1):
            table.set(scene, appearance)
            here = table.paint(frame, np.array([1, 0])).rgb.astype(int)
            on_tensors = table.paint(there, np.array([1, 0])).rgb
            assert on_tensors.dtype == torch.uint8
            assert np.abs(on_tensors.numpy() - here).max() <= 1
            assert (on_tensors.numpy() != here).mean() < 1e-3


def test_exposure_and_tint_scale_light():
    frame = frame_of()
    frame.rgb[:] = 100
    frame.instance[:] = 0
    image = painted(Appearance.exposure(1.0), frame)[0]
    assert linear_of(image).mean() == pytest.approx(2 * linear_of(100), rel=0.01)
    image = painted(Appearance.tint((1.0, 0.5, 0.0)), frame)[0]
    expected = linear_of(100) * np.array([1.0, 0.5, 0.0])
    np.testing.assert_allclose(linear_of(image)[0, 0], expected, rtol=0.02, atol=1e-6)


def test_repainting_gives_the_mean_color_asked_for_and_keeps_light_and_dark():
    frame = frame_of()
    frame.instance[:] = 2
    grays = np.random.default_rng(3).integers(60, 120, (32, 48, 1)).astype(np.uint8)
    frame.rgb[0] = grays
    mean = float((linear_of(grays)).mean())
    image = painted(Appearance.repaint(2, (180, 60, 30), luminance=mean), frame)[0]
    np.testing.assert_allclose(
        linear_of(image).mean(axis=(0, 1)), linear_of((180, 60, 30)), rtol=0.02
    )
    ratio = (linear_of(image) @ LUMINANCE) / linear_of(grays)[..., 0]
    assert ratio.std() / ratio.mean() < 0.02


MATRICES = hnp.arrays(np.float32, (3, 4), elements=st.floats(-1, 1, width=32))


@given(MATRICES, MATRICES, MATRICES, MATRICES)
def test_one_appearance_on_top_of_another(a, b, light_a, light_b):
    """Paint on paint, light on light."""
    both = Appearance(light_a, {1: a, 3: a}) @ Appearance(light_b, {1: b, 2: b})
    x = np.array([0.2, 0.5, 0.8, 1.0])

    def after(*maps):
        value = x
        for matrix in maps:
            value = np.append(matrix.astype(np.float64) @ value, 1.0)
        return value[:3]

    np.testing.assert_allclose(both.color @ x, after(light_b, light_a), atol=1e-5)
    np.testing.assert_allclose(both.materials[1] @ x, after(b, a), atol=1e-5)
    np.testing.assert_allclose(both.materials[2] @ x, b @ x, atol=1e-5)
    np.testing.assert_allclose(both.materials[3] @ x, a @ x, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Appearance(np.eye(3)),
        lambda: Appearance(np.full((3, 4), np.nan)),
        lambda: Appearance(materials={-1: np.eye(3, 4)}),
    ],
)
def test_senseless_appearances_are_refused(make):
    with pytest.raises(SimulatorError):
        make()


def test_luminance_of_materials_is_that_of_their_points(box_room):
    value = linear_of(box_room.anchor.colors) @ LUMINANCE
    mean = material_luminance(box_room)
    assert len(mean) == 3
    for instance in range(3):
        expected = value[box_room.anchor.instance == instance].mean()
        assert mean[instance] == pytest.approx(expected)


def test_a_simulator_shows_scenes_in_the_colors_that_were_set(box_room, box_room_renderer):
    simulator = Simulator([box_room, box_room], config=CONFIG, renderer=box_room_renderer)
    plain = simulator.render()
    repaint = Appearance.repaint(1, (255, 0, 0))
    simulator.set_appearance(1, repaint)
    assert simulator.appearance(1) is repaint
    assert simulator.appearance(0) is None
    colored = simulator.render()
    np.testing.assert_array_equal(colored.rgb[0], plain.rgb[0])
    changed = (colored.rgb[1] != plain.rgb[1]).any(axis=-1)
    np.testing.assert_array_equal(changed | (plain.instance[1] != 1), True)
    assert not (changed & (plain.instance[1] != 1)).any()
    np.testing.assert_array_equal(colored.depth, plain.depth)
    np.testing.assert_array_equal(colored.instance, plain.instance)
    np.testing.assert_array_equal(
        simulator.render_at(simulator.c2w, simulator.scene).rgb, colored.rgb
    )
    simulator.set_world(1, box_room)
    np.testing.assert_array_equal(simulator.render().rgb, plain.rgb)
    with pytest.raises(SimulatorError, match="scene"):
        simulator.set_appearance(2, repaint)
