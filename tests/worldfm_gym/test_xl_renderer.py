"""Drawing with WorldFM-XL: small networks of seeded weights behind the renderer's protocol."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from worldfm_gym.anchor.raster import AnchorRaster
from worldfm_gym.camera import Camera, heading_c2w
from worldfm_gym.errors import FrameModelError, RendererError
from worldfm_gym.frame_model.worldfm_xl import WorldFMXL, WorldFMXLConfig
from worldfm_gym.frame_model.xl_checkpoint import XLModel, is_xl
from worldfm_gym.renderer import Renderer, make_renderer
from worldfm_gym.worlds.world import Reference
from worldfm_gym.xl_renderer import XLRenderer, as_single_pixels, nearest_reference

diffusers = pytest.importorskip("diffusers")
SIDE = 64


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = WorldFMXL(WorldFMXLConfig(latent_side=SIDE // 8, width=32, depth=2))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.13025,
    )
    return XLModel(network.eval(), autoencoder.eval(), 1)


@pytest.fixture
def room(box_room):
    """The box room with two remembered pictures, looking in opposite directions."""
    for yaw in (0.0, np.pi):
        camera = Camera.from_fov(heading_c2w((3.0, 1.0, 1.25), yaw), 90.0, width=SIDE, height=48)
        rgb = np.full((48, SIDE, 3), 90 if yaw else 200, np.uint8)
        box_room.references.append(Reference(rgb, np.ones((48, SIDE), np.float32), camera))
    return box_room


def cameras_at(*yaws):
    poses = heading_c2w([(1.0, 1.0, 1.25)] * len(yaws), np.array(yaws))
    return Camera.from_fov(poses, 90.0, width=SIDE, height=SIDE)


def test_it_is_a_renderer_and_a_view_depends_on_its_pose_alone(model, room):
    renderer = XLRenderer([room], model=model, steps=2)
    assert isinstance(renderer, Renderer)
    scene = np.zeros(2, np.int64)
    first = renderer.render(cameras_at(0.0, 1.0), scene)
    renderer.render(cameras_at(2.0), scene[:1])
    again = renderer.render(cameras_at(0.0, 1.0), scene)
    np.testing.assert_array_equal(first.rgb, again.rgb)
    assert first.rgb.shape == (2, SIDE, SIDE, 3)
    assert first.rgb.dtype == np.uint8
    assert first.rgb.std() > 1
    covered = first.depth > 0
    assert ((first.provenance == 1) == covered).all()
    assert ((first.provenance == 2) == ~covered).all()


def test_anchor_points_are_single_pixels(room):
    """Every pixel that is drawn holds the projection of a point."""
    raster = AnchorRaster([as_single_pixels(room.pyramid)])
    camera = cameras_at(0.3)
    drawn = raster.render(camera, np.zeros(1, np.int64), object_poses=None).index[0] >= 0
    points = (
        room.anchor.points @ camera.c2w[0, :3, :3] - camera.c2w[0, :3, 3] @ (camera.c2w[0, :3, :3])
    )
    fx, fy, cx, cy = camera.intrinsics[0]
    ahead = points[:, 2] > 0.05
    u, v = ((f * points[ahead, k] / points[ahead, 2] + c) for k, f, c in ((0, fx, cx), (1, fy, cy)))
    inside = (u >= 0) & (u < SIDE) & (v >= 0) & (v < SIDE)
    held = np.zeros((SIDE, SIDE), bool)
    held[v[inside].astype(int), u[inside].astype(int)] = True
    assert drawn.any()
    assert (held | ~drawn).mean() > 0.999  # float32 rounds a projection across a border at times


def test_the_reference_that_looks_the_same_way_is_taken(room):
    assert nearest_reference(room, cameras_at(0.1).c2w[0]) == 0
    assert nearest_reference(room, cameras_at(3.0).c2w[0]) == 1


@pytest.mark.parametrize("steps", [0, 3])
def test_only_one_or_two_steps(model, room, steps):
    with pytest.raises(FrameModelError, match="1 or 2"):
        XLRenderer([room], model=model, steps=steps)


def test_other_sizes_and_worlds_without_references_are_refused(model, room, box_room):
    camera = Camera.from_fov(cameras_at(0.0).c2w, 90.0, width=32, height=32)
    with pytest.raises(RendererError, match="set width and height to 64"):
        XLRenderer([room], model=model).render(camera, np.zeros(1, np.int64))
    room.references.clear()
    with pytest.raises(RendererError, match="has none"):
        XLRenderer([room], model=model)


def test_a_converted_file_draws_the_same(model, room, tmp_path):
    path = tmp_path / "xl.safetensors"
    model.save_pretrained(path)
    assert is_xl(path)
    scene = np.zeros(1, np.int64)
    before = XLRenderer([room], model=model).render(cameras_at(0.0), scene)
    after = XLRenderer([room], model=path).render(cameras_at(0.0), scene)
    np.testing.assert_array_equal(before.rgb, after.rgb)
    assert not list(tmp_path.glob(".*"))


def test_released_files_draw_the_same(model, room, tmp_path):
    state = dict(model.network.state_dict())
    state["pos_embed"] = torch.zeros(1, (SIDE // 16) ** 2, 32)
    torch.save({"state_dict": state}, tmp_path / "worldfm_1-step.pth")
    model.autoencoder.save_pretrained(tmp_path / "vae")
    assert is_xl(tmp_path)
    assert not is_xl(tmp_path / "vae")
    scene = np.zeros(1, np.int64)
    before = XLRenderer([room], model=model).render(cameras_at(0.0), scene)
    for path in (tmp_path, tmp_path / "worldfm_1-step.pth"):
        after = XLRenderer([room], model=path).render(cameras_at(0.0), scene)
        np.testing.assert_array_equal(before.rgb, after.rgb)


def test_environments_draw_with_it(model, room, tmp_path):
    path = tmp_path / "xl.safetensors"
    model.save_pretrained(path)
    with pytest.raises(RendererError, match="no option 'references'"):
        make_renderer("frame", [room], model=path, references=2)
    env = gym.make(
        "WorldFM/FreeCamera-v0",
        world=room,
        renderer_options={"model": path},
        width=SIDE,
        height=SIDE,
    )
    observation, _ = env.reset(seed=0)
    assert type(env.unwrapped.simulator.renderer) is XLRenderer
    assert observation["rgb"].shape == (SIDE, SIDE, 3)
    env.close()


def test_files_that_lack_something_are_refused(model, tmp_path):
    with pytest.raises(FrameModelError, match="neither"):
        XLModel.from_pretrained(tmp_path)
    with pytest.raises(FrameModelError, match="no file"):
        XLModel.from_pretrained(tmp_path / "worldfm_2-step.pth")
    path = tmp_path / "worldfm_2-step.pth"
    torch.save(model.network.state_dict(), path)
    with pytest.raises(FrameModelError, match="autoencoder"):
        XLModel.from_pretrained(tmp_path)
    torch.save({"model": 3}, path)
    with pytest.raises(FrameModelError, match="dictionary of tensors"):
        XLModel.from_pretrained(path)
    torch.save(Harmful(), path)
    with pytest.raises(FrameModelError, match="can't be read"):
        XLModel.from_pretrained(path)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "not written by"),
        ({"format": "worldfm-gym worldfm-xl", "version": "2"}, "not written by"),
        ({"format": "worldfm-gym worldfm-xl", "version": "1", "steps": "one"}, "unreadable"),
    ],
)
def test_other_safetensors_are_refused(tmp_path, told, message):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata=told)
    with pytest.raises(FrameModelError, match=message):
        XLModel.from_pretrained(path)


class Harmful:
    """What a file that is trusted would do on loading."""

    def __reduce__(self):
        return (pytest.fail, ("a checkpoint ran code",))
