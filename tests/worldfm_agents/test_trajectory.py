"""Photos drawn along the poses of a meta.json."""

import json

import numpy as np
import pytest
from PIL import Image

from worldfm_agents.trajectory import Trajectory, pictures, run_render_command
from worldfm_agents.trajectory_arguments import Render
from worldfm_gym.data import GARAGE
from worldfm_gym.errors import SourceError
from worldfm_gym.renderer import make_renderer


@pytest.fixture(scope="module")
def meta(tmp_path_factory):
    """The garage photo, its own pose and one 10 cm to the right of it, in an odd frame of poses."""
    folder = tmp_path_factory.mktemp("render")
    told = json.loads((GARAGE / "meta.json").read_text())
    with Image.open(GARAGE / "photo.jpg") as picture:
        picture.save(folder / "photo.png")
    first = np.eye(4)
    first[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    first[:3, 3] = 5.0, -2.0, 1.0
    aside = np.eye(4)
    aside[0, 3] = 0.1
    poses = [first.tolist(), (first @ aside).tolist()]
    path = folder / "meta.json"
    path.write_text(
        json.dumps({"name": "garage", "image": "photo.png", "K": told["K"], "c2w": poses})
    )
    return path


def test_the_first_pose_shows_the_photo(meta):
    trajectory = Trajectory.load(meta)
    world = trajectory.world()
    cameras = trajectory.cameras(world, 96)
    np.testing.assert_allclose(cameras.c2w[0], world.references[0].camera.c2w, atol=1e-9)
    moved = cameras.c2w[1, :3, 3] - cameras.c2w[0, :3, 3]
    np.testing.assert_allclose(moved, 0.1 * cameras.c2w[0, :3, 0], atol=1e-9)
    drawn = next(iter(pictures(make_renderer("anchor", [world]), cameras)))
    with Image.open(trajectory.image) as picture:
        width, height = picture.size
        left, top = (width - min(width, height)) // 2, (height - min(width, height)) // 2
        side = min(width, height)
        box = (left, top, left + side, top + side)
        photo = np.asarray(picture.convert("RGB").resize((96, 96), Image.Resampling.BOX, box=box))
    seen = drawn.any(axis=-1)
    assert seen.mean() > 0.8
    assert np.abs(drawn[seen].astype(int) - photo[seen]).mean() < 15


@pytest.mark.parametrize("save", ["mp4", "png"])
def test_a_video_or_pictures_are_written(meta, tmp_path, save):
    run_render_command(Render(meta=meta, out=tmp_path, size=64, save=save, device="cpu"))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == (["output.mp4"] if save == "mp4" else ["garage_0000.png", "garage_0001.png"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda told: told.pop("K"), "'K'"),
        (lambda told: told.update(K=[1, 2, 3]), "shapes"),
        (lambda told: told.update(c2w=[[1, 2], [3, 4]]), "shapes"),
        (lambda told: told.update(image=5), "not a meta"),
        (lambda told: told.update(name="../elsewhere"), "file name"),
        (lambda told: told.update(c2w=(2 * np.eye(4)).tolist()), "rigid|rotation"),
    ],
)
def test_other_files_are_refused(meta, tmp_path, spoil, message):
    told = json.loads(meta.read_text())
    spoil(told)
    path = tmp_path / "meta.json"
    path.write_text(json.dumps(told))
    with pytest.raises(SourceError, match=message):
        Trajectory.load(path)
    (tmp_path / "no.json").write_text("no json")
    with pytest.raises(SourceError, match="not a meta"):
        Trajectory.load(tmp_path / "no.json")
