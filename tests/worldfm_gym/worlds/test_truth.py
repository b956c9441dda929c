from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.worldfm_gym.worlds.furnished_room import cameras, furnished_room
from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import SourceError
from worldfm_gym.frame import Provenance
from worldfm_gym.renderer import Renderer
from worldfm_gym.worlds import World
from worldfm_gym.worlds.raycast import render_scene
from worldfm_gym.worlds.scene import Scene
from worldfm_gym.worlds.truth import TruthRenderer, without_object

VIEWS = cameras(64, 48)


def world_of(scene: Scene | None) -> World:
    anchor = Anchor.from_points(np.zeros((1, 3)), np.zeros((1, 3), np.uint8), radius=0.1)
    objects = [] if scene is None else [replace(o) for o in scene.objects]
    return World(anchor, [], objects, None, "not looked for", np.eye(4), {"kind": "test"}, scene)


def test_it_draws_worlds_at_rest_as_their_scenes() -> None:
    scene = furnished_room()
    renderer = TruthRenderer([world_of(scene), world_of(scene)])
    assert isinstance(renderer, Renderer)
    frame = renderer.render(VIEWS, np.array([0, 1, 0, 1]))
    rgb, depth, instance = render_scene(scene, VIEWS)
    np.testing.assert_array_equal(frame.rgb, rgb)
    np.testing.assert_array_equal(frame.depth, depth)
    np.testing.assert_array_equal(frame.instance, instance)
    assert (frame.provenance == Provenance.OBSERVED).all()


def shifted(world: World, category: str, by: tuple[float, float, float]) -> tuple[int, np.ndarray]:
    """Instance of the object and its pose after a shift."""
    thing = next(o for o in world.objects if o.category == category)
    pose = thing.pose.copy()
    pose[:3, 3] += by
    return thing.instance, pose


def test_a_moved_object_is_drawn_where_it_went() -> None:
    world = world_of(furnished_room())
    renderer = TruthRenderer([world])
    scene = np.zeros(len(VIEWS.c2w), np.int64)
    before = renderer.render(VIEWS, scene)
    instance, pose = shifted(world, "vase", (0.0, 0.0, 0.3))
    world.set_object_pose(instance, pose)
    after = renderer.render(VIEWS, scene)
    for frame, shift in ((before, 0.0), (after, 0.3)):
        points = VIEWS.unproject(frame.depth.astype(np.float64))[frame.instance == instance]
        assert points[:, 2].min() >= 0.74 + shift - 1e-4
        assert points[:, 2].max() <= 0.74 + shift + 0.49 + 1e-4
        assert points[:, 2].max() > 0.74 + shift + 0.4


def test_poses_can_be_given_without_touching_the_world() -> None:
    worlds = [world_of(furnished_room()), world_of(furnished_room())]
    renderer = TruthRenderer(worlds)
    poses = np.stack([[o.pose for o in w.objects] + [np.eye(4)] for w in worlds])  # padded by one
    instance, pose = shifted(worlds[1], "sofa", (0.0, 0.5, 0.0))
    poses[1, instance - 1] = pose
    given = renderer.render(VIEWS, np.array([0, 1, 0, 1]), object_poses=poses)
    worlds[1].set_object_pose(instance, pose)
    held = renderer.render(VIEWS, np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(given.rgb, held.rgb)
    np.testing.assert_array_equal(given.instance, held.instance)
    at_rest = renderer.render(VIEWS, np.array([0, 0, 0, 0]))
    assert (held.instance[1] != at_rest.instance[1]).any()
    np.testing.assert_array_equal(held.rgb[2], at_rest.rgb[2])


def test_scenes_of_one_world_are_packed_once_until_their_objects_differ() -> None:
    world, other = world_of(furnished_room()), world_of(furnished_room())
    renderer = TruthRenderer([world] * 6 + [other] * 3)
    first = renderer.render(VIEWS, np.array([0, 5, 5, 0]))
    assert len(renderer._packed) == 2
    poses = np.tile([o.pose for o in world.objects], (9, 1, 1, 1))
    instance, pose = shifted(world, "sofa", (0.0, 0.5, 0.0))
    poses[5, instance - 1] = pose
    apart = renderer.render(VIEWS, np.array([0, 5, 5, 0]), object_poses=poses)
    assert len(renderer._packed) == 3
    np.testing.assert_array_equal(apart.rgb[[0, 3]], first.rgb[[0, 3]])
    assert (apart.rgb[1] != first.rgb[1]).any()
    renderer.render(VIEWS, np.zeros(4, np.int64))
    assert len(renderer._packed) == 2


def test_a_replaced_world_is_drawn_as_by_a_new_renderer() -> None:
    world, empty = world_of(furnished_room()), world_of(furnished_room())
    empty = World(
        empty.anchor, [], [], None, "none", np.eye(4), {}, without_object(furnished_room(), 1)
    )
    renderer, scene = TruthRenderer([world, world]), np.array([0, 1, 1, 0])
    renderer.render(VIEWS, scene)
    for at, new in ((1, empty), (0, empty), (1, world)):
        renderer.replace_world(at, new)
        expected = TruthRenderer(list(renderer.worlds)).render(VIEWS, scene)
        np.testing.assert_array_equal(renderer.render(VIEWS, scene).rgb, expected.rgb)
    with pytest.raises(SourceError, match="world 1"):
        renderer.replace_world(1, world_of(None))
    assert renderer.worlds[1] is world


def test_an_object_that_is_not_there_is_not_drawn() -> None:
    world = world_of(furnished_room())
    poses = np.array([[o.pose for o in world.objects]])
    poses[0, 0] = np.nan
    renderer, scene = TruthRenderer([world]), np.zeros(len(VIEWS.c2w), np.int64)
    absent = renderer.render(VIEWS, scene, object_poses=poses)
    gone = world.objects[0].instance
    assert (renderer.render(VIEWS, scene).instance == gone).any()
    _, depth, instance = render_scene(without_object(furnished_room(), gone), VIEWS)
    np.testing.assert_array_equal(absent.instance, instance)
    np.testing.assert_array_equal(absent.depth, depth)


def test_a_world_without_a_scene_is_named() -> None:
    with pytest.raises(SourceError, match=r"world 1 .* has no scene"):
        TruthRenderer([world_of(furnished_room()), world_of(None)])


@pytest.mark.parametrize("scene", [[0, 0], [0, 0, 0, 1], [0, 0, 0, -1]])
def test_scene_indices_are_checked(scene: list[int]) -> None:
    with pytest.raises(SourceError, match="one index below 1 per camera"):
        TruthRenderer([world_of(furnished_room())]).render(VIEWS, np.array(scene))
