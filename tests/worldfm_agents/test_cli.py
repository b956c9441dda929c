"""The command line: each command on a small source, and what it says when something is wrong."""

import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from worldfm_agents import build_command
from worldfm_agents.cli import main, matrix_of, parse_option
from worldfm_gym import World, load_world, make_world
from worldfm_gym.errors import SourceError

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with depth of a level floor, seen from 1 m above it, 30° down, with a far wall."""
    folder = tmp_path_factory.mktemp("source") / "floor"
    folder.mkdir()
    v = (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / 130.0
    tilt = np.deg2rad(30.0)
    downward = np.sin(tilt) + v * np.cos(tilt)  # metres down per metre of z-depth
    depth_z = np.where(downward > 0.25, 1.0 / np.maximum(downward, 0.25), 4.0)
    depth_mm = np.repeat((1000 * depth_z).astype(np.uint16)[:, None], WIDTH, axis=1)
    Image.fromarray(depth_mm).save(folder / "depth_mm.png")
    rgb = np.random.default_rng(0).integers(90, 160, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(rgb).save(folder / "photo.png")
    K = [[130.0, 0, WIDTH / 2], [0, 130.0, HEIGHT / 2], [0, 0, 1]]
    (folder / "meta.json").write_text(json.dumps({"K": K, "depth_unit_m": 0.001}))
    return folder


@pytest.fixture(scope="session")
def built(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "world"
    arguments = ["--agent-radius-m", "0.1", "--orbit-frames", "5"]
    main(["build", str(photo_folder), "-o", str(out), *arguments])
    return out


def test_build_saves_a_world_a_preview_and_a_film(built: Path) -> None:
    world = load_world(built)
    assert world.source["name"] == "floor"
    assert world.nav is not None
    assert world.nav.body.radius_m == 0.1
    with Image.open(built / "preview.png") as preview:
        assert preview.size == (3 * 320 + 4 * 4, 3 * 240 + 4 * 4)
        source, depth, points = (
            np.asarray(preview)[:200, 4 + 324 * i :][:, :320] for i in range(3)
        )
    for drawn in (source, depth, points):
        assert drawn.std() > 5
    assert (depth.max(axis=-1) > depth.min(axis=-1) + 50).mean() > 0.5  # depth is in colors
    with av.open(str(built / "orbit.mp4")) as film:
        pictures = [p.to_ndarray(format="rgb24") for p in film.decode(video=0)]
    assert len(pictures) == 5
    assert pictures[0].shape == (216, 3 * 288, 3)


def test_growth_is_asked_for_and_its_state_is_gone(
    photo_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def expand(world: World, *, folder: Path, **options: Any) -> World:
        folder.mkdir()
        (folder / "state").write_bytes(b"half done")
        return replace(world, source={**world.source, "growth": options})

    monkeypatch.setattr(World, "expand", expand)
    arguments = ["-o", str(tmp_path / "w"), "--expand", "--views", "8", "--seed", "3"]
    main(["build", str(photo_folder), *arguments, "--reach-m", "1.5", "--orbit-frames", "0"])
    assert re.search(r"grown in .* s, free floor [\d.]+ → [\d.]+ m²", capsys.readouterr().out)
    wanted = {"seed": 3, "views": 8, "reach_m": 1.5, "progress": True, "device": "cpu"}
    assert load_world(tmp_path / "w").source["growth"] == wanted
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
    assert not (tmp_path / "w" / "orbit.mp4").exists()


def test_what_python_warns_of_is_told_once(
    photo_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def doubtful(*args: Any, **options: Any) -> World:
        warnings.warn("the lens is a guess", stacklevel=1)
        warnings.warn("the lens is a guess", stacklevel=1)
        return make_world(*args, **options)

    monkeypatch.setattr(build_command, "make_world", doubtful)
    arguments = ["-o", str(tmp_path / "w"), "--orbit-frames", "0"]
    main(["build", str(photo_folder), *arguments])
    assert capsys.readouterr().out.count("the lens is a guess") == 1
    assert load_world(tmp_path / "w").source["warnings"] == ["the lens is a guess"]


def test_build_of_an_image_takes_depth_and_intrinsics(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["build", str(photo_folder / "photo.png"), "-o", str(tmp_path / "world")]
    arguments += ["--depth", str(photo_folder / "depth_mm.png"), "--orbit-frames", "0"]
    main([*arguments, "--K", "130", "130", "80", "60", "--depth-unit-m", "0.001"])
    shown = capsys.readouterr().out
    assert "photo · photo.png" in shown
    assert "m² of free floor" in shown


def test_info_tells_what_is_there_and_what_is_not(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["info", str(built)])
    shown = capsys.readouterr().out
    for words in ("photo · floor", "points", "references  1", "objects     none", "0.1 m"):
        assert words in shown


@pytest.mark.parametrize(
    ("agent", "env"),
    [
        ("shortest-path", "WorldFM/PointNav-v0"),
        ("greedy", "WorldFM/PointNav-v0"),
        ("random", "WorldFM/PointNav-v0"),
        ("orbit", "WorldFM/FreeCamera-v0"),
    ],
)
def test_rollout_of_every_agent(
    built: Path, agent: str, env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--width", "32", "--height", "24", "--max-steps", "8", "--episodes", "2"]
    main(["rollout", "--world", str(built), "--agent", agent, "--env", env, *small])
    shown = capsys.readouterr().out
    assert "steps/s" in shown
    assert "mean" in shown
    assert ("SPL" in shown) == (env == "WorldFM/PointNav-v0")


def test_rollout_films(built: Path, tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    small = ["--width", "64", "--height", "48", "--max-steps", "4", "--episodes", "1"]
    main(["rollout", "--world", str(built), "--video", str(video), *small])
    assert video.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["info", "no_such_world"], "neither a kind of procedural world nor an existing path"),
        (["build", "rooms", "--seed", "-1", "-o", "{tmp}/w"], "seed must be"),
        (["build", "rooms", "--option", "seed", "-o", "{tmp}/w"], "NAME=VALUE"),
        (["build", "{photo}", "--K", "1", "2", "-o", "{tmp}/w"], "fx fy cx cy"),
        (["build", "{photo}", "--views", "16", "-o", "{tmp}/w"], "pass --expand"),
        (["build", "{photo}", "--orbit-frames", "-1", "-o", "{tmp}/w"], "--orbit-frames must be"),
        (["build", "{photo}", "--estimator", "built-in", "-o", "{tmp}/w"], "no option 'estimator'"),
        (["build", "{photo}", "-o", "{built}"], "--overwrite"),
        (["rollout", "--world", "{built}", "--agent", "orbit"], "can't act in"),
        (["rollout", "--world", "{built}", "--episodes", "0"], "1 or more"),
        (["rollout", "--world", "{built}", "--video", "{tmp}/a.avi"], ".mp4"),
        (["rollout", "--world", "{photo}/meta.json"], "not a file that a world can be made of"),
    ],
)
def test_unusable_input_ends_with_one_line_and_leaves_nothing(
    arguments: list[str],
    reason: str,
    built: Path,
    photo_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [a.format(tmp=tmp_path, photo=photo_folder, built=built) for a in arguments]
    with pytest.raises(SystemExit) as stop:
        main(filled)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("worldfm-gym: ")
    assert error.count("\n") == 1
    assert reason in error
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_a_world(photo_folder: Path, tmp_path: Path) -> None:
    arguments = ["build", str(photo_folder), "-o", str(tmp_path / "w"), "--orbit-frames", "0"]
    main(arguments)
    main([*arguments, "--overwrite", "--spacing-m", "0.1"])
    anchor = load_world(tmp_path / "w").anchor
    assert np.median(anchor.radius[~anchor.generated]) == pytest.approx(0.05, rel=0.1)


def test_numbers_and_options_are_read() -> None:
    assert matrix_of((1.0, 2.0, 3.0, 4.0)) == [[1.0, 0, 3.0], [0, 2.0, 4.0], [0, 0, 1.0]]
    assert matrix_of(tuple(map(float, range(9)))) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert parse_option("num_rooms=(2, 4)") == ("num_rooms", (2, 4))
    assert parse_option("up=z") == ("up", "z")
    with pytest.raises(SourceError, match="NAME=VALUE"):
        parse_option("not a name=1")


def test_help_of_every_command_is_there_and_needs_nothing_heavy() -> None:
    script = (
        "import sys; from worldfm_agents.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('heavy:', sorted({'numpy', 'gymnasium', 'numba'} & set(sys.modules)))"
    )
    for command in ([], ["demo"], ["build"], ["rollout"], ["info"]):
        run = subprocess.run(
            [sys.executable, "-c", script, *command, "--help"], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        assert "usage: worldfm-gym" in run.stdout
        assert "heavy: []" in run.stdout


def test_warmup_compiles_what_environments_use(capsys: pytest.CaptureFixture[str]) -> None:
    main(["warmup"])
    assert "kernels are ready" in capsys.readouterr().out


def test_warmup_compiles_the_kernels_of_the_frame_model() -> None:
    script = (
        "from worldfm_agents.warm_up import _draw_a_scene\n"
        "from worldfm_gym.frame_model import cpu_conditioning as c, cpu_kernels as k, cpu_noise\n"
        "from worldfm_gym.worlds import consistency\n"
        "_draw_a_scene()\n"
        "called = (c._complete_views, c._warp_rows, cpu_noise._noise_rows, k.unshuffle_rows,\n"
        "          k.gelu_rows, k.split_heads, k.project_references, k.finish_rows,\n"
        "          consistency._look_up)\n"
        "print('without:', [f.__name__ for f in called if not f.signatures])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "without: []" in run.stdout
