"""SceneBuilder places parts in nested frames and fits the boxes of objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.camera import rotation_exp
from worldfm_gym.worlds.scene import Material, SceneBuilder, Shape

PAINT = {"material": Material.PAINT, "color": (0.5, 0.4, 0.3)}
lengths = st.floats(-5, 5)
yaws = st.floats(-4, 4)


def transform(position, yaw):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_exp((0, 0, yaw))
    matrix[:3, 3] = position
    return matrix


def build(builder):
    return builder.build(ambient=(0.1, 0.1, 0.1), floor_rects=[(0, 0, 1, 1)], height=2.5)


@given(st.lists(st.tuples(st.tuples(lengths, lengths, lengths), yaws), min_size=3, max_size=3))
def test_nested_frames_multiply(placements):
    outer, inner, part = placements
    builder = SceneBuilder(np.random.default_rng(0))
    with builder.frame(*outer), builder.frame(*inner):
        builder.box(part[0], (1, 2, 3), yaw=part[1], **PAINT)
        builder.light((0.1, 0.2, 0.3), (1, 1, 1), range_m=2.0)
    scene = build(builder)
    frame = transform(*outer) @ transform(*inner)
    expected = frame @ transform(*part)
    np.testing.assert_allclose(scene.center[0], expected[:3, 3], atol=1e-5)
    np.testing.assert_allclose(scene.rotation[0], expected[:3, :3], atol=1e-5)
    np.testing.assert_allclose(scene.half_size[0], (0.5, 1, 1.5))
    np.testing.assert_allclose(
        scene.light_position[0], (frame @ (0.1, 0.2, 0.3, 1.0))[:3], atol=1e-5
    )


@given(st.tuples(lengths, lengths, lengths), yaws)
def test_an_object_gets_the_box_around_its_parts_in_its_own_axes(position, yaw):
    builder = SceneBuilder(np.random.default_rng(0))
    builder.box((0, 0, 9), (1, 1, 1), **PAINT)
    with builder.object("lamp", position, yaw, movable=False) as instance:
        builder.box((1, 0, 0.5), (2, 1, 1), **PAINT)
        builder.cylinder((0, 0, 2), (0.1, 0.3), 1.0, **PAINT)
    scene = build(builder)
    (lamp,) = scene.objects
    assert (lamp.instance, lamp.category, lamp.movable) == (instance, "lamp", False)
    np.testing.assert_allclose(lamp.size, (2.1, 1.0, 2.5), atol=1e-9)
    expected = transform(position, yaw) @ transform((0.95, 0, 1.25), 0)
    np.testing.assert_allclose(lamp.pose, expected, atol=1e-9)
    assert scene.instance.tolist() == [0, 1, 1]
    assert scene.shape.tolist() == [Shape.BOX, Shape.BOX, Shape.CYLINDER]


def test_a_rotation_turns_a_part_after_its_frame():
    quarter = rotation_exp((0, np.pi / 2, 0))
    builder = SceneBuilder(np.random.default_rng(0))
    with builder.frame((1, 2, 3), 0.7):
        builder.ellipsoid((0, 0, 0), (1, 2, 3), rotation=quarter, **PAINT)
    scene = build(builder)
    np.testing.assert_allclose(scene.rotation[0], rotation_exp((0, 0, 0.7)) @ quarter, atol=1e-6)


def test_texture_seeds_are_kept_or_drawn_from_the_generator():
    scenes = []
    for _ in range(2):
        builder = SceneBuilder(np.random.default_rng(3))
        builder.box((0, 0, 0), (1, 1, 1), seed=2**32 - 1, **PAINT)
        builder.box((0, 0, 0), (1, 1, 1), **PAINT)
        builder.box((0, 0, 0), (1, 1, 1), **PAINT)
        scenes.append(build(builder))
    assert scenes[0].seed[0] == 2**32 - 1
    assert scenes[0].seed[1] != scenes[0].seed[2]
    assert scenes[0].seed.tolist() == scenes[1].seed.tolist()


def test_accents_default_to_a_darker_color():
    builder = SceneBuilder(np.random.default_rng(0))
    builder.box((0, 0, 0), (1, 1, 1), **PAINT)
    np.testing.assert_allclose(build(builder).accent[0], (0.3, 0.24, 0.18), rtol=1e-6)


def test_objects_can_not_be_empty_or_nested():
    builder = SceneBuilder(np.random.default_rng(0))
    with pytest.raises(ValueError, match="no primitives"), builder.object("ghost", (0, 0, 0)):
        pass
    with (
        pytest.raises(ValueError, match="nested"),
        builder.object("a", (0, 0, 0)),
        builder.object("b", (0, 0, 0)),
    ):
        pass
