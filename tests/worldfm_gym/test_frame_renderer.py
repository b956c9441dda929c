"""FrameRenderer: what frames hold, and that a pose always gives the same one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import make_box_room
from tests.worldfm_gym.frame_model.remembered_room import (
    level_cameras,
    random_cameras,
    remembered,
    tiny_model,
)
from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.camera import Camera
from worldfm_gym.errors import FrameModelError, RendererError
from worldfm_gym.frame import Provenance
from worldfm_gym.frame_renderer import FrameRenderer, drawer_on, salts
from worldfm_gym.renderer import Renderer, WorldReplacing, make_renderer

TINY = tiny_model()
SMALL, TINIEST = {"width": 24, "height": 16}, {"width": 8, "height": 8}
IMAGES = ("rgb", "depth", "instance", "provenance")


@pytest.fixture(autouse=True)
def _one_thread():
    """For images as small as these, another thread costs more than it draws."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def renderer_of(*worlds, **options):
    return FrameRenderer(worlds, **{"model": TINY, **options})


def draw(renderer, cameras, scene=0):
    scene = np.broadcast_to(np.asarray(scene, np.int64), len(cameras.c2w))
    return renderer.render(cameras, scene)


def assert_same(frame, other):
    for name in IMAGES:
        np.testing.assert_array_equal(getattr(frame, name), getattr(other, name))


def of(frame, index):
    return replace(frame, **{name: getattr(frame, name)[index] for name in IMAGES})


@pytest.fixture(scope="module")
def room():
    return remembered()


@pytest.fixture(scope="module")
def views():
    return random_cameras(np.random.default_rng(2), 12, **SMALL)


def test_the_anchor_is_kept_where_it_covers_and_the_rest_is_filled(room):
    cameras = level_cameras([1.0, 3.0], 2.0, 0.0)
    frame, anchor = draw(renderer_of(room), cameras), draw(AnchorRenderer([room]), cameras)
    covered = anchor.depth > 0
    assert 0.2 < covered.mean() < 0.98
    np.testing.assert_array_equal(frame.depth[covered], anchor.depth[covered])
    np.testing.assert_array_equal(frame.instance[covered], anchor.instance[covered])
    np.testing.assert_array_equal(frame.provenance[covered], anchor.provenance[covered])
    assert (frame.provenance[~covered] == Provenance.GENERATED).all()
    assert (frame.instance[~covered] == 0).all()
    assert (frame.depth[~covered] > 0).all()


def test_it_is_a_renderer_like_the_others(room):
    renderer, camera = renderer_of(room), level_cameras(1.0, 2.0, 0.0, **SMALL)
    assert isinstance(renderer, Renderer)
    assert isinstance(renderer, WorldReplacing)
    frame, anchor = draw(renderer, camera), draw(AnchorRenderer([room]), camera)
    for name in IMAGES:
        mine, theirs = getattr(frame, name), getattr(anchor, name)
        assert (type(mine), mine.dtype, mine.shape) == (type(theirs), theirs.dtype, theirs.shape)


def test_a_pose_has_one_frame_whatever_was_drawn_before(room):
    """10,000 random steps of a walk lie between the first and the last time."""
    renderer, rng = renderer_of(room), np.random.default_rng(0)
    poses = random_cameras(rng, 5, **TINIEST)
    first = [draw(renderer, poses[i : i + 1]) for i in range(5)]
    agents = random_cameras(rng, 10, **TINIEST).c2w
    for step in range(1000):
        agents[:, :2, 3] = (agents[:, :2, 3] + rng.normal(0, 0.1, (10, 2))).clip(0.3, 3.6)
        agents[:, :3, :3] = agents[:, :3, :3] @ _turned(rng.normal(0, 0.3))
        draw(renderer, Camera(agents, poses.intrinsics[0], **TINIEST))
        if step % 100 == 99:
            again = step // 100 % 5
            assert_same(draw(renderer, poses[again : again + 1]), first[again])
    fresh = renderer_of(room)
    for i in reversed(range(5)):
        assert_same(draw(renderer, poses[i : i + 1]), first[i])
        assert_same(draw(fresh, poses[i : i + 1]), first[i])


def _turned(angle):
    """A rotation about the camera's vertical axis."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def test_deterministic_frames_do_not_depend_on_the_batch(room, views):
    renderer = renderer_of(room, make_box_room(), deterministic=True)
    scene = np.arange(12) % 2
    together = draw(renderer, views, scene)
    backward = draw(renderer, views[::-1], scene[::-1])
    for i in range(12):
        assert_same(draw(renderer, views[i : i + 1], scene[i]), of(together, slice(i, i + 1)))
        assert_same(of(backward, 11 - i), of(together, i))
    assert_same(draw(renderer, views[3:8], scene[3:8]), of(together, slice(3, 8)))


def test_a_batch_changes_a_color_by_one_level_at_most(room):
    views = random_cameras(np.random.default_rng(5), 37, **SMALL)
    renderer = renderer_of(room)
    together = draw(renderer, views)
    for i in (0, 7, 36):
        alone = draw(renderer, views[i : i + 1])
        difference = alone.rgb[0].astype(int) - together.rgb[i]
        assert np.abs(difference).max() <= 1
        np.testing.assert_allclose(alone.depth[0], together.depth[i], rtol=1e-4)


def test_worlds_with_and_without_references_mix(room, views):
    bare = make_box_room()
    both = draw(renderer_of(bare, room), views, np.arange(12) % 2)
    for world, chosen in ((bare, slice(0, None, 2)), (room, slice(1, None, 2))):
        alone = draw(renderer_of(world), views[chosen])
        assert np.abs(alone.rgb.astype(int) - both.rgb[chosen]).max() <= 1


def test_references_show_in_the_frame(room, views):
    with_them, without = (
        draw(renderer_of(room), views),
        draw(renderer_of(room, references=0), views),
    )
    assert np.abs(with_them.rgb.astype(int) - without.rgb).mean() > 1


@pytest.mark.parametrize("steps", [2, 4])
def test_more_steps_draw_something_else(room, views, steps):
    one, more = draw(renderer_of(room), views), draw(renderer_of(room, steps=steps), views)
    assert (one.rgb != more.rgb).any()
    np.testing.assert_array_equal(one.provenance, more.provenance)


def test_worlds_differ_by_what_they_are_made_of_not_by_when(views):
    same, other = remembered(()), make_box_room()
    frames = [draw(renderer_of(world), views) for world in (remembered(()), same, other)]
    assert_same(frames[0], frames[1])
    assert salts([same, other, same])[0] == salts([remembered(())])[0] != salts([other])[0]
    assert salts([other]) == [24860782707893154]  # in every process, on every machine


def test_any_size_is_drawn_as_part_of_a_multiple_of_eight(room):
    odd = level_cameras(1.0, 2.0, 0.0, width=21, height=13)
    even = Camera(odd.c2w, odd.intrinsics, 24, 16)
    renderer = renderer_of(room)
    assert_same(draw(renderer, odd), of(draw(renderer, even), (slice(None), slice(13), slice(21))))


def test_sizes_take_turns(room):
    renderer = renderer_of(room)
    small, large = (level_cameras(1.0, 2.0, 0.0, width=w, height=16) for w in (16, 40))
    first = [draw(renderer, camera) for camera in (small, large)]
    assert_same(draw(renderer, small), first[0])
    assert first[1].rgb.shape == (1, 16, 40, 3)


def test_a_replaced_world_is_drawn_as_by_a_new_renderer(room, views):
    bare = make_box_room()
    renderer = renderer_of(room, room)
    draw(renderer, views, np.arange(12) % 2)
    for world in (bare, room, remembered(((3.0, 0.5, 1.0),), height=48)):
        renderer.replace_world(1, world)
        expected = draw(renderer_of(room, world), views, np.arange(12) % 2)
        assert_same(draw(renderer, views, np.arange(12) % 2), expected)


def test_many_scenes_of_few_worlds_cost_what_the_worlds_do(room, views):
    bare = make_box_room()
    renderer = renderer_of(*[room, bare] * 32)
    scene = np.array([0, 1, 2, 63, 40, 41, 0, 1, 10, 11, 12, 62])
    expected = draw(renderer_of(room, bare), views, scene % 2)
    assert_same(draw(renderer, views, scene), expected)
    (references,) = renderer._references.values()
    assert len(references._images.rgb) == len(room.references)
    renderer.replace_world(1, room)  # known: nothing is loaded
    assert_same(draw(renderer, views[1:2], 1), draw(renderer_of(room), views[1:2]))
    assert len(references._images.rgb) == len(room.references)


def test_moved_objects_are_drawn_where_they_are():
    world = make_box_room()
    renderer, camera = renderer_of(world), level_cameras(1.0, 2.0, 0.0)
    before = draw(renderer, camera)
    poses = np.stack([item.pose for item in world.objects])[None].copy()
    poses[0, 0, 1, 3] += 1.0
    after = renderer.render(camera, np.zeros(1, np.int64), object_poses=poses)
    assert ((before.instance == 1) & (after.instance != 1)).any()
    assert ((before.instance != 1) & (after.instance == 1)).any()


def test_a_model_is_loaded_once_and_again_when_its_file_changes(tmp_path):
    path = tmp_path / "tiny.safetensors"
    TINY.save_pretrained(path)
    drawer = drawer_on(path, "cpu", steps=1)
    assert drawer_on(str(path), "cpu", steps=1) is drawer
    tiny_model(1).save_pretrained(path)
    assert drawer_on(path, "cpu", steps=1) is not drawer


def test_make_renderer_passes_options_on(room, tmp_path):
    path = tmp_path / "tiny.safetensors"
    TINY.save_pretrained(path, dtype=torch.float32)
    camera = level_cameras(1.0, 2.0, 0.0, **SMALL)
    made = make_renderer("frame", [room], model=path, steps=2, references=1, deterministic=True)
    expected = renderer_of(room, steps=2, references=1, deterministic=True)
    assert_same(draw(made, camera), draw(expected, camera))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("frames", {}, "'frame', 'anchor', 'truth'"),
        ("anchor", {"steps": 2}, "no option 'steps'; it has none"),
        ("frame", {"step": 2}, "no option 'step'; it has model, steps"),
    ],
)
def test_unknown_names_and_options_are_refused(room, name, options, message):
    with pytest.raises(RendererError, match=message):
        make_renderer(name, [room], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "steps"), ({"references": -1}, "-1"), ({"model": "nana"}, "nana")],
)
def test_senseless_options_are_refused(room, options, message):
    with pytest.raises(FrameModelError, match=message):
        renderer_of(room, **options)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_frames_whatever_the_batch(room, views):
    renderer = renderer_of(room, make_box_room(), deterministic=True, device="cuda")
    scene = np.arange(12) % 2
    together = draw(renderer, views, scene)
    on_cpu = draw(renderer_of(room, make_box_room()), views, scene)
    assert together.rgb.is_cuda
    assert np.abs(together.rgb.cpu().numpy().astype(int) - on_cpu.rgb).mean() < 3
    for i in range(12):
        alone = draw(renderer, views[i : i + 1], scene[i])
        for name in IMAGES:
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[i])
