"""Label sensors against the ids of the frame and the categories of the world."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from worldfm_envs.categories import CATEGORIES, category_index
from worldfm_envs.sensors.labels import InstanceSensor, SemanticSensor

SIZE = {"width": 48, "height": 32}


def on_tensors(source):
    """The same input with the images in torch."""
    names = ("rgb", "depth", "instance", "provenance")
    images = {name: torch.from_numpy(getattr(source.frame, name)) for name in names}
    return replace(source, frame=replace(source.frame, **images))


def test_instances_are_ids_as_bytes(source):
    source.frame.instance[0, 0, :3] = -1, 255, 300
    image = InstanceSensor(**SIZE).read(source)
    assert image.dtype == np.uint8
    assert image[0, 0, :3, 0].tolist() == [0, 255, 255]
    np.testing.assert_array_equal(image[1:, ..., 0], np.maximum(source.frame.instance[1:], 0))
    assert set(np.unique(image[0, 1:])) == {0, 1, 2}


def test_semantics_are_the_categories_of_what_is_seen(source, box_room):
    source.frame.instance[0, 0, :2] = -1, 999  # nothing, and what no object of the world has
    image = SemanticSensor(**SIZE).read(source)
    assert image.dtype == np.uint8
    assert image.shape == (3, 32, 48, 1)
    for item in box_room.objects:
        shown = source.frame.instance == item.instance
        assert set(image[shown][:, 0]) == {category_index(item.category)}
    assert not image[source.frame.instance <= 0].any()
    assert image[0, 0, 1, 0] == 0
    assert CATEGORIES[int(image[0, 24, 24, 0])] == "crate"


def test_semantics_follow_the_worlds(source, box_room):
    from dataclasses import replace as changed

    sensor = SemanticSensor(**SIZE)
    sensor.read(source)
    sofas = changed(box_room, objects=[changed(o, category="sofa") for o in box_room.objects])
    source.simulator.set_world(0, sofas)
    image = sensor.read(source)
    shown = source.frame.instance[0] > 0
    assert set(image[0][shown][:, 0]) == {category_index("sofa")}
    assert category_index("sofa") not in image[1]


@pytest.mark.parametrize("sensor", [InstanceSensor(**SIZE), SemanticSensor(**SIZE)])
def test_tensors_are_read_alike(source, sensor):
    source.frame.instance[0, 0, :3] = -1, 2, 999
    there = sensor.read(on_tensors(source))
    assert there.dtype == torch.uint8
    np.testing.assert_array_equal(there.numpy(), sensor.read(source))
