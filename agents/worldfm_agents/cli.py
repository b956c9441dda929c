"""The command `worldfm-gym`: build, look at and walk in worlds from a shell.

Only argument parsing is imported here; each command imports what it needs when it runs, so that
``--help`` answers at once.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldfm_agents.benchmark_arguments import Bench, Episodes
from worldfm_agents.trajectory_arguments import Convert, Render

PROGRAM = "worldfm-gym"
_ERROR_EXIT = 2
_SOURCE = tyro.conf.arg(metavar="SOURCE")
_PATH, _NUMBER, _NUMBERS, _NAME, _AXIS = (
    tyro.conf.arg(metavar=name, help_behavior_hint="")
    for name in ("PATH", "NUMBER", "NUMBER NUMBER …", "NAME", "AXIS")
)
_SWITCH = tyro.conf.arg(help_behavior_hint="")


@dataclass(kw_only=True)
class Demo:
    """Build two worlds, of a photo alone and of a seed, and film an agent and a camera in them.

    Writes four videos (rgb | depth | map from above), a contact sheet of each and the two world
    folders. Example: worldfm-gym demo -o out/demo
    """

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out/demo")
    """Folder for everything; created if missing."""
    seed: int = 0
    """Seed of the procedural world and of the episodes."""
    episodes: int = 3
    """Episodes of point-goal navigation in each world."""
    camera_steps: int = 120
    """Steps of the free camera in each world."""
    gif: bool = False
    """Also write a small GIF of each run."""
    renderer: Literal["frame", "anchor"] = "anchor"
    """anchor draws the points alone, at 320×240; frame draws with the frame model, at 128×96."""
    expand: Annotated[bool, _SWITCH] = True
    """Leave the photo's place as it was seen; otherwise the frame model continues it all around."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.commands import run_demo_command

        run_demo_command(self)


@dataclass(kw_only=True)
class Build:
    """Make a world of a source, say what was found, and write its folder.

    SOURCE is one of: a photo (.jpg, .png, …), whose depth is estimated; a 2:1 panorama; a scan
    (scan.json, a nerfstudio transforms.json, a TUM RGB-D folder, a folder with color/, depth/ and
    meta.json); rooms, factory, warehouse, maze (with --seed); a folder with photo.jpg,
    depth_mm.png and meta.json; a .ply, .pcd, .obj, .glb, .gltf or .stl file; or a world folder.
    Beside the world's own files the folder gets preview.png and orbit.mp4.

    Example: worldfm-gym build photo.jpg --expand -o my_place
    """

    source: Annotated[tyro.conf.Positional[str], _SOURCE]
    """What to make the world of."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """World folder to write."""
    expand: Annotated[bool, _SWITCH] = False
    """Let the frame model continue the place beyond what was seen, until it is closed: about half
    a minute on two cores. Ended early, the same command goes on from there."""
    seed: Annotated[int | None, _NUMBER] = None
    """Which world of a procedural kind, or which of many places --expand grows; drawn and printed
    for the former, 0 for the latter, if left out."""
    views: Annotated[int | None, _NUMBER] = None
    """With --expand: how many views to draw."""
    reach_m: Annotated[float | None, _NUMBER] = None
    """With --expand: how far beyond what was seen the place may go."""
    fov_x_deg: Annotated[float | None, _NUMBER] = None
    """Horizontal field of view of a photo; otherwise EXIF tells it, or the estimator."""
    K: Annotated[tuple[float, ...] | None, _NUMBERS] = None
    """Intrinsics of a photo in pixels, instead: fx fy cx cy, or nine numbers row by row."""
    camera_height_m: Annotated[float | None, _NUMBER] = None
    """Height of a photo's camera above the floor, which sets the scale."""
    panorama: Annotated[Literal["auto", "yes", "no"], tyro.conf.arg(metavar="auto|yes|no")] = "auto"
    """Whether a photo is an equirectangular panorama; auto: if it is twice as wide as high and its
    sides join."""
    estimator: Annotated[str | None, _NAME] = None
    """Depth estimator: built-in (the default), a transformers model by folder or hub name, moge."""
    device: Literal["cpu", "cuda"] = "cpu"
    """With --expand: where the frame model computes."""
    depth: Annotated[Path | None, _PATH] = None
    """Depth of a photo, if it is known: 16-bit millimetre PNG, or .npy in metres."""
    depth_unit_m: Annotated[float | None, _NUMBER] = None
    """Metres per stored unit of --depth, or of a transforms.json's depth."""
    extend_floor: Annotated[bool, _SWITCH] = True
    """Don't continue the floor between a photo's lower edge and the camera's foot."""
    objects: Annotated[bool, _SWITCH] = True
    """Don't tell what stands on the floor of a photo or scan as objects that can be moved."""
    references: Annotated[int | None, _NUMBER] = None
    """Frames that a scan or a procedural world remembers."""
    max_frames: Annotated[int | None, _NUMBER] = None
    """Frames of a scan to use at most."""
    scale: Annotated[float | None, _NUMBER] = None
    """Metres per unit of a transforms.json, mesh or cloud."""
    up: Annotated[str | None, _AXIS] = None
    """Axis of a mesh or cloud that points up: x, y, z, -x, -y or -z."""
    spacing_m: Annotated[float | None, _NUMBER] = None
    """Distance between anchor points; each source has a fitting default."""
    agent_radius_m: Annotated[float | None, _NUMBER] = None
    """Radius of the body that the navigation map is for; default 0.18."""
    agent_height_m: Annotated[float | None, _NUMBER] = None
    """Height of that body; default 1.5."""
    option: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")
    ] = ()
    """Any other option of worldfm_gym.make_world, such as a generator's num_rooms=3."""
    orbit_frames: int = 96
    """Frames of orbit.mp4, 12 a second; 0 leaves it out."""
    overwrite: Annotated[bool, _SWITCH] = False
    """Replace a world that is already there."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.build_command import run_build_command

        run_build_command(self)

    def options(self) -> dict[str, Any]:
        """Keyword arguments for `worldfm_gym.make_world` that were given, without seed and body."""
        options: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "fov_x_deg", "camera_height_m", "estimator", "depth", "depth_unit_m", "references",
                "max_frames", "scale", "up", "spacing_m",
            )
        }  # fmt: skip
        options["K"] = None if self.K is None else matrix_of(self.K)
        options["panorama"] = {"auto": None, "yes": True, "no": False}[self.panorama]
        options["extend_floor"] = None if self.extend_floor else False
        options["objects"] = None if self.objects else False
        options = {name: value for name, value in options.items() if value is not None}
        return options | dict(parse_option(text) for text in self.option)


@dataclass(kw_only=True)
class Rollout:
    """Let a scripted agent play episodes and print how it did.

    Example: worldfm-gym rollout --world maze --agent greedy --episodes 10 --video greedy.mp4
    """

    env: Literal["WorldFM/PointNav-v0", "WorldFM/FreeCamera-v0"] = "WorldFM/PointNav-v0"
    """Environment id."""
    world: str = "rooms"
    """Any source that build takes without further options, or a world folder."""
    world_seed: int = 0
    """Seed of the world, for procedural kinds."""
    agent: Literal["shortest-path", "greedy", "random", "orbit"] = "shortest-path"
    """shortest-path knows the map; greedy turns to the goal and walks; random wanders; orbit flies
    the free camera in circles."""
    episodes: int = 5
    """How many episodes."""
    seed: int = 0
    """Seed of the first episode; the next has seed + 1, and so on."""
    max_steps: int = 500
    """Time limit of an episode."""
    width: int = 128
    """Image width in pixels."""
    height: int = 128
    """Image height in pixels."""
    renderer: Literal["frame", "anchor", "truth"] = "frame"
    """frame draws with the frame model, anchor the points alone; truth needs a procedural world."""
    steps: Literal[1, 2] = 1
    """Passes of the frame model per frame."""
    video: Annotated[Path | None, _PATH] = None
    """An .mp4 to write: rgb | depth | map from above."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.commands import run_rollout_command

        run_rollout_command(self)


@dataclass(kw_only=True)
class Info:
    """Print what a saved world, or any source that needs no further options, holds.

    Example: worldfm-gym info my_rooms
    """

    world: Annotated[tyro.conf.Positional[str], _SOURCE]
    """World folder, or another source."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.commands import run_info_command

        run_info_command(self)


@dataclass(kw_only=True)
class Warmup:
    """Compile all kernels now, once, so that the first world need not wait for them.

    Takes about a minute on two cores; the result is kept for later runs.
    """

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.warm_up import warm_up

        print(f"kernels are ready ({warm_up():.0f} s)")


@dataclass(kw_only=True)
class Train:
    """Train a frame model in three stages, prior, control, distill; or the depth estimator, depth.

    Each stage has its own options: worldfm-gym train control --help
    """

    stage: Annotated[
        tyro.conf.Positional[Literal["prior", "control", "distill", "depth"]],
        tyro.conf.arg(metavar="STAGE"),
    ]
    """prior, control, distill or depth."""

    def run(self) -> None:
        """Never called: `main` hands the whole line to `run_train_command`."""
        raise AssertionError


@dataclass(kw_only=True)
class Evaluate:
    """Score a frame model on fixed views of worlds that it was not trained on.

    Writes evaluation.md, evaluation.json and contact sheets good.png, bad.png and spread.png.
    Example: worldfm-gym evaluate --student out/nano/distill/model.safetensors
    --teacher out/nano/control/model.safetensors -o out/evaluation
    """

    student: str = "nano"
    """A model that comes with the package, or a .safetensors file; drawn in 1 and in 2 steps."""
    teacher: Annotated[str | None, tyro.conf.arg(metavar="PATH")] = None
    """The student's teacher; its row is left out without one."""
    teacher_steps: int = 32
    """Steps of the teacher."""
    views: int = 512
    """How many views of procedural worlds, a multiple of 16."""
    size: int = 128
    """Longer side of the views in pixels, a multiple of 8 from 64 to 128."""
    seed: int = 0
    """Another number gives other worlds and views."""
    references: int = 2
    """References that each view draws on at most."""
    scan: Annotated[Path | None, _PATH] = None
    """Evaluate on frames left out of worlds built from this scan, instead of procedural worlds."""
    every: Annotated[int | None, _NUMBER] = None
    """With --scan: build one world of every so manieth frame and draw the frames left out."""
    device: str = "auto"
    """cpu or cuda; auto takes a GPU if there is one."""
    workers: Annotated[int | None, _NUMBER] = None
    """Processes that build worlds; one for each core by default, 0 for none."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out/evaluation")
    """Folder for the results; created if missing."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.evaluate_command import run_evaluate_command

        run_evaluate_command(self)


_Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[Rollout, tyro.conf.subcommand("rollout")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Warmup, tyro.conf.subcommand("warmup")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Episodes, tyro.conf.subcommand("episodes")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Convert, tyro.conf.subcommand("convert")]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 2 and one line on stderr if the input is not usable."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["train"] and given[1:] not in ([], ["--help"], ["-h"]):
            # Parsed there, for the options of training come with torch.
            from worldfm_agents.train_command import run_train_command

            run_train_command(given[1:], program=f"{PROGRAM} train")
            return
        tyro.cli(
            _Command,
            prog=PROGRAM,
            args=given,
            description="Worlds of a seed, a scan or a photo, and agents that move in them.",
            config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
        ).run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        from worldfm_gym.errors import WorldFMError

        if not isinstance(error, WorldFMError | OSError):
            raise
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(_ERROR_EXIT) from None


def matrix_of(numbers: tuple[float, ...]) -> list[list[float]]:
    """The 3×3 intrinsic matrix given as (fx, fy, cx, cy) or row by row."""
    if len(numbers) == 4:
        fx, fy, cx, cy = numbers
        return [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    if len(numbers) == 9:
        return [list(numbers[row : row + 3]) for row in (0, 3, 6)]
    from worldfm_gym.errors import SourceError

    raise SourceError(f"--K takes fx fy cx cy, or nine numbers row by row; got {len(numbers)}")


def parse_option(text: str) -> tuple[str, Any]:
    """NAME=VALUE with a Python literal or a plain word as value."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        from worldfm_gym.errors import SourceError

        raise SourceError(f"--option takes NAME=VALUE, such as references=4; got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


if __name__ == "__main__":
    main()
