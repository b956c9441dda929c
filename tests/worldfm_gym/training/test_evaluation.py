import json

import numpy as np
import pytest
import torch
from PIL import Image

from worldfm_gym.camera import Camera, rotation_log
from worldfm_gym.errors import ConfigError, SourceError
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.training import evaluation as e
from worldfm_gym.training import evaluation_views
from worldfm_gym.training.contact_sheet import contact_sheet, pick_views, save_sheet
from worldfm_gym.training.evaluation_report import (
    ALL,
    BAR_BIN,
    as_json,
    figures_by_bin,
    markdown,
    quality_bars,
)
from worldfm_gym.training.evaluation_scan import scan_views
from worldfm_gym.training.evaluation_views import COVERAGE, FIRST_SEED, procedural_views
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.raycast import render_scene


@pytest.fixture(scope="module")
def views():
    return procedural_views(16, size=64, workers=0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FrameModel(FrameDiT(FrameModelConfig(width=32, depth=1, heads=2, stem=16)).eval())


@pytest.fixture(scope="module")
def result(views, model):
    return e.evaluate(views, student=model, teacher=model, teacher_steps=3)


def test_views_are_of_unseen_worlds_of_all_kinds(views):
    sources = [world.source for world in views.worlds]
    assert {source["kind"] for source in sources} == set(KINDS)
    assert all(source["seed"] >= FIRST_SEED for source in sources)
    assert np.bincount(views.scene).tolist() == [4] * 4
    assert all(len(world.references) == 4 for world in views.worlds)


def test_coverage_spreads_evenly(result):
    low, high = COVERAGE
    wanted = low + (high - low) * (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(np.sort(result.coverage), wanted, atol=0.06)


def test_truth_is_the_scene(views):
    source = views.worlds[3].source
    scene = build_scene(source["kind"], seed=source["seed"])
    rgb, depth_z, _ = render_scene(scene, views.cameras[12:])
    assert (rgb == views.rgb[12:]).all()
    assert (depth_z == views.depth_z[12:]).all()


def test_neighbors_are_ten_centimeters_and_three_degrees_away(views):
    here, there = views.cameras.c2w, views.neighbors.cameras.c2w
    np.testing.assert_allclose(np.linalg.norm((there - here)[:, :3, 3], axis=1), 0.1, atol=1e-6)
    turn = rotation_log(np.swapaxes(here[:, :3, :3], 1, 2) @ there[:, :3, :3])
    np.testing.assert_allclose(np.linalg.norm(turn, axis=1), np.deg2rad(3.0), atol=1e-5)


def test_a_scene_gives_the_same_views_again(views):
    task = evaluation_views._tasks(16, size=64, seed=0)[3]
    (again,) = evaluation_views._build(task)
    assert (again.cameras.c2w == views.cameras.c2w[12:]).all()
    assert (again.worlds[0].anchor.points == views.worlds[3].anchor.points).all()


@pytest.mark.parametrize("count", [0, 8, 20, -16])
def test_number_of_views_is_checked(count):
    with pytest.raises(ConfigError, match="multiple of 16"):
        procedural_views(count)


def test_rows_and_what_must_hold_of_them(result):
    assert list(result.rows) == [
        e.ANCHOR,
        e.TELEA,
        e.NAVIER_STOKES,
        e.REFERENCE_POINTS,
        e.STUDENT_1,
        e.STUDENT_2,
        e.TEACHER,
        e.TRUTH,
    ]
    figures = {name: row.summary(np.ones(16, bool)) for name, row in result.rows.items()}
    assert figures[e.TRUTH][e.SHARPNESS] == 1.0
    assert figures[e.ANCHOR][e.SHARPNESS] == 0.0
    for painted in (e.TELEA, e.NAVIER_STOKES):
        assert figures[painted]["psnr_covered"] == figures[e.ANCHOR]["psnr_covered"]
        assert figures[painted]["psnr_uncovered"] > figures[e.ANCHOR]["psnr_uncovered"]
        assert 0 < figures[painted][e.SHARPNESS] < 0.85
    # Depth is the anchor's where it covers a pixel, save where references know something nearer.
    covered = [figures[name]["absrel_covered"] for name in (e.STUDENT_1, e.ANCHOR)]
    assert max(covered) < 0.03
    assert covered[0] == pytest.approx(covered[1], rel=0.05)
    assert figures[e.REFERENCE_POINTS]["absrel_uncovered"] < 0.3
    # What an untrained network invents is noise, which other noise shows.
    student = figures[e.STUDENT_1]
    assert np.isfinite([student["consistency"], student["consistency_fresh"]]).all()
    assert student["consistency"] != student["consistency_fresh"]
    assert figures[e.TRUTH]["consistency"] > 20


def test_report_holds_every_row_and_every_view(result, tmp_path):
    text = markdown(result)
    for row in result.rows:
        assert text.count(f"| {row}") >= 4
    record = json.loads(as_json(result, {"seed": 0}))
    assert record["settings"] == {"seed": 0}
    assert len(record["per_view"][e.STUDENT_2]["psnr"]) == 16
    assert record["figures"][ALL][e.TRUTH]["psnr"] is None
    counts = [int(((result.coverage >= a) & (result.coverage < b)).sum()) for a, b in BIN_EDGES]
    assert sum(counts) == 16
    assert f"coverage {BAR_BIN}: {counts[1]} views" in text


BIN_EDGES = ((0.0, 0.6), (0.6, 0.8), (0.8, 1.01))


def test_contact_sheets_show_the_picked_views(result, model, tmp_path):
    picked = pick_views(result, count=3)
    assert len(set(result.views.scene[picked["good"]])) == 3
    gain = result.rows[e.STUDENT_1].values["psnr"] - result.rows[e.TELEA].values["psnr"]
    assert gain[picked["bad"]].max() <= gain[picked["good"]].min()
    assert (np.diff(result.coverage[picked["spread"]]) >= 0).all()
    references = e.references_drawn_on(result, picked["spread"], model=model)
    assert references.shape == (3, 2, 64, 64, 3)
    sheet = contact_sheet(result, picked["spread"], references)
    save_sheet(sheet, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == sheet.shape[1::-1]
    truth = np.repeat(np.repeat(result.views.rgb[picked["spread"][0]], 2, 0), 2, 1)
    assert any((sheet[y : y + 128, 92:220] == truth).all() for y in range(len(sheet) - 127))


def figures(**changes):
    """Figures that meet every bar, with changes to one step's."""
    good = dict.fromkeys(e.COLUMNS, 0.0) | {
        "psnr": 26.0,
        "psnr_covered": 28.5,
        "psnr_uncovered": 21.0,
        "ssim": 0.9,
        "ssim_covered": 0.9,
        "ssim_uncovered": 0.9,
        e.SHARPNESS: 1.0,
        "absrel_covered": 0.01,
        "absrel_uncovered": 0.1,
        "consistency": 25.0,
        "consistency_fresh": 20.0,
    }
    poor = good | {"psnr": 20.0, "psnr_covered": 25.0, "psnr_uncovered": 16.0}
    poor |= {name: 0.7 for name in e.COLUMNS if name.startswith("ssim")}
    rows = {e.ANCHOR: poor, e.TELEA: poor, e.NAVIER_STOKES: poor}
    rows |= {e.STUDENT_1: good | changes, e.STUDENT_2: good, e.TEACHER: good}
    return {BAR_BIN: rows, ALL: rows}


def test_bars_are_met_by_good_figures():
    assert all(bar.passed for bar in quality_bars(figures()))


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("psnr", 22.9, "PSNR, whole view"),
        ("psnr_covered", 26.9, "PSNR, covered"),
        ("psnr_uncovered", 18.9, "PSNR, uncovered"),
        ("ssim", 0.69, "SSIM, whole view"),
        (e.SHARPNESS, 0.84, "sharpness"),
        (e.SHARPNESS, 1.16, "sharpness"),
        ("consistency_fresh", 22.1, "anchored above fresh"),
        ("absrel_covered", 0.021, "AbsRel, covered"),
        ("absrel_uncovered", 0.121, "AbsRel, uncovered"),
    ],
)
def test_a_missed_bar_is_told(column, value, name):
    missed = [bar for bar in quality_bars(figures(**{column: value})) if not bar.passed]
    assert len(missed) == 1
    assert name in missed[0].what


def test_bars_without_a_teacher_and_without_neighbors():
    by_bin = figures(consistency=float("nan"))
    del by_bin[ALL][e.TEACHER]
    by_bin[ALL][e.STUDENT_2]["consistency"] = float("nan")
    what = [bar.what for bar in quality_bars(by_bin)]
    assert not any("teacher" in text or "consistency" in text for text in what)


@pytest.fixture(scope="module")
def scan(views, tmp_path_factory):
    """Eight frames around a place of a maze as a scan.json."""
    folder = tmp_path_factory.mktemp("scan")
    source = views.worlds[3].source
    poses = np.repeat(views.worlds[3].references[0].camera.c2w[None], 8, 0)
    poses[:, :3, 3] += np.linspace(0, 0.15, 8)[:, None] * poses[:, :3, 0]
    cameras = Camera.from_fov(poses, 80.0, width=128, height=96)
    scene = build_scene(source["kind"], seed=source["seed"])
    rgb, depth_z, _ = render_scene(scene, cameras)
    frames = []
    for i in range(8):
        Image.fromarray(rgb[i]).save(folder / f"{i}.png")
        Image.fromarray((depth_z[i] * 1000).astype(np.uint16)).save(folder / f"{i}_depth.png")
        frames.append({"color": f"{i}.png", "depth": f"{i}_depth.png", "c2w": poses[i].tolist()})
    record = {"width": 128, "height": 96, "K": cameras.K[0].tolist(), "frames": frames}
    (folder / "scan.json").write_text(json.dumps(record))
    return folder


def test_scan_frames_left_out_are_where_the_world_shows_them(scan, model):
    views = scan_views(scan, size=64)
    assert len(views.worlds) == 8  # four without a quarter of the frames, four of one frame
    assert len(views) == 8 + 4 * 7
    assert views.rgb.shape == (36, 48, 64, 3)
    result = e.evaluate(views, student=model)
    most = views.scene < 4
    assert result.coverage[most].min() > 0.8
    anchor = result.rows[e.ANCHOR]
    assert anchor.values["absrel_covered"][most].max() < 0.05
    assert anchor.values["psnr_covered"][most].min() > 15
    assert np.isnan(result.rows[e.STUDENT_1].values["consistency"]).all()
    assert ALL in figures_by_bin(result)
    assert "consistency |" not in markdown(result)


def test_every_nth_frame_makes_one_world_and_the_others_are_its_views(scan):
    views = scan_views(scan, size=64, every=3)
    assert len(views.worlds) == 1
    assert views.worlds[0].source["frames"] == 3
    assert len(views) == 5
    # Frames 1, 2, 4, 5, 7 of eight along a line, the first of which starts the world.
    steps = np.linalg.norm(np.diff(views.cameras.position_world, axis=0), axis=-1)
    np.testing.assert_allclose(steps / (0.15 / 7), [1, 2, 1, 2], rtol=1e-3)
    with pytest.raises(ConfigError, match="every must be 2 or more"):
        scan_views(scan, every=1)


def test_a_scan_of_few_frames_is_refused(scan, tmp_path):
    record = json.loads((scan / "scan.json").read_text())
    record["frames"] = record["frames"][:7]
    (tmp_path / "scan.json").write_text(json.dumps(record))
    with pytest.raises(SourceError, match="has 7 frames"):
        scan_views(tmp_path)
