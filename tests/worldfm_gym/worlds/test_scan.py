import numpy as np
import pytest

from tests.worldfm_gym.worlds.told_depth import ToldDepth
from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.camera import rotation_exp
from worldfm_gym.errors import SourceError
from worldfm_gym.navigation import AgentBody
from worldfm_gym.worlds.scan import world_from_scan

BODY = AgentBody()


@pytest.fixture
def tilted(write_scan, room_frames):
    """The room's scan in a coordinate frame that is anything but upright."""
    pose = np.eye(4)
    pose[:3, :3] = rotation_exp([1.9, 0.4, -0.7])
    pose[:3, 3] = [3.0, -2.0, 7.0]
    return write_scan(room_frames, pose=pose)


def test_world_is_upright_with_its_floor_at_zero(tilted, room_frames):
    world = world_from_scan(tilted, body=BODY, spacing_m=0.04)
    low, high = world.anchor.bounds
    assert low[2] == pytest.approx(0.0, abs=0.02)
    assert high[2] < 2.55
    # The first camera, 1.4 m up and pitched 25° down, is above the origin and looks along +x.
    np.testing.assert_allclose(world.start_c2w[:3, 3], [0, 0, 1.4], atol=0.01)
    np.testing.assert_allclose(
        world.start_c2w[:3, 2], [np.cos(np.deg2rad(25)), 0, -np.sin(np.deg2rad(25))], atol=0.01
    )
    # True world and made world differ by the shift to below the first camera only.
    expected = room_frames[3].camera.c2w.copy()
    expected[:2, 3] = 0.0
    views = [r.camera.c2w for r in world.references]
    assert min(np.abs(v - expected).max() for v in views) < 0.01


def test_world_can_be_walked_around_the_crate(tilted):
    world = world_from_scan(tilted, body=BODY, spacing_m=0.04)
    nav = world.require_nav()
    crate = np.array([3.3, 1.9]) - [1.5, 2.0]
    assert not nav.is_navigable(crate)
    assert nav.is_navigable(np.array([0.0, 1.3]))
    assert world.nav_problem is None


def test_rendered_frames_match_the_input(tilted, room_frames):
    world = world_from_scan(tilted, body=BODY, spacing_m=0.02)
    renderer = AnchorRenderer([world])
    for reference in world.references[:3]:
        frame = renderer.render(reference.camera[None], np.zeros(1, np.int64))
        covered = (frame.depth[0] > 0) & (reference.depth > 0)
        assert covered.mean() > 0.97
        error = frame.rgb[0][covered].astype(float) - reference.rgb[covered]
        assert 10 * np.log10(255**2 / (error**2).mean()) > 30
        assert np.median(np.abs(frame.depth[0] - reference.depth)[covered]) < 0.005


def test_options(tilted):
    world = world_from_scan(tilted, body=BODY, spacing_m=0.05, references=2, max_frames=4)
    assert len(world.references) == 2
    assert world.source["frames"] == 4
    assert world_from_scan(tilted, body=BODY, spacing_m=0.05, references=0).references == []


def test_one_bad_frame_is_named(tilted):
    (tilted / "3_depth.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"3_depth\.png"):
        world_from_scan(tilted, body=BODY)


@pytest.mark.parametrize("options", [{"max_frames": 0}, {"references": -1}, {"scale": 2.0}])
def test_senseless_options(tilted, options):
    with pytest.raises(SourceError):
        world_from_scan(tilted, body=BODY, **options)


def test_living_room(shared_data):
    """The figures of the first build, with a margin: 25.5–28.5 dB, 2.2 m² of free floor."""
    world = world_from_scan(shared_data / "livingroom", body=AgentBody(radius_m=0.1))
    assert world.source["kind"] == "scan"
    assert len(world.references) == 8
    floor = world.anchor.points[world.anchor.points[:, 2] < 0.02]
    assert len(floor) > 20_000
    assert world.start_c2w[2, 3] == pytest.approx(0.44, abs=0.02)
    assert world.require_nav().known_free.sum() * 0.05**2 > 1.8
    frames = AnchorRenderer([world])
    for reference in world.references[:2]:
        frame = frames.render(reference.camera[None], np.zeros(1, np.int64))
        covered = frame.depth[0] > 0
        error = frame.rgb[0][covered].astype(float) - reference.rgb[covered]
        assert covered.mean() > 0.97
        assert 10 * np.log10(255**2 / (error**2).mean()) > 24.5


def test_frames_without_depth_are_estimated(tilted, room_frames, edit_json):
    edit_json(tilted / "scan.json", lambda d: [frame.pop("depth") for frame in d["frames"]])
    told = ToldDepth([f.depth for f in room_frames], room_frames[0].camera.K)
    world = world_from_scan(tilted, body=BODY, spacing_m=0.04, estimator=told, references=3)
    assert len(told.told_K) == len(room_frames)
    assert world.source["kind"] == "scan"
    assert world.nav_problem is None
    assert len(world.references) == 3
    assert world.start_c2w[2, 3] == pytest.approx(1.4, abs=0.05)


def test_neither_poses_nor_depth(tilted, edit_json):
    def change(data):
        for frame in data["frames"]:
            del frame["c2w"], frame["depth"]

    edit_json(tilted / "scan.json", change)
    with pytest.raises(SourceError, match="neither pose nor depth"):
        world_from_scan(tilted, body=BODY)


def test_what_stands_on_the_floor_is_an_object_unless_refused(tilted):
    world = world_from_scan(tilted, body=BODY, spacing_m=0.04)
    (crate,) = world.objects
    np.testing.assert_allclose(np.sort(crate.size), [0.6, 0.7, 0.8], atol=0.1)
    assert world_from_scan(tilted, body=BODY, spacing_m=0.04, objects=False).objects == []
