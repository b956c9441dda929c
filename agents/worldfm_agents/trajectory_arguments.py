"""Arguments of `worldfm-gym render` and `worldfm-gym convert`; they import what they run later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_FILE = tyro.conf.arg(metavar="PATH", help_behavior_hint="")
_NUMBER = tyro.conf.arg(metavar="NUMBER", help_behavior_hint="")


@dataclass(kw_only=True)
class Render:
    """Draw a photo's place along given camera poses, as a video or as PNG files.

    The input is that of InSpatio-WorldFM's own script: a meta.json with "name", "image" (a path
    beside it), "K" (3×3, of the image) and "c2w" (one 4×4 matrix or a list of them, OpenCV axes,
    metres; the first is where the photo was taken from).
    Example: worldfm-gym render --meta meta.json --model path/to/worldfm -o out/render
    """

    meta: Annotated[Path, _FILE]
    """The meta.json."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("out/render")
    """Folder for output.mp4 or the PNG files; created if missing."""
    model: str = "nano"
    """nano, a file that training wrote, or WorldFM-XL: its released files or a converted one."""
    steps: Annotated[int | None, _NUMBER] = None
    """Passes of the network; what the model was distilled to if not given."""
    size: Annotated[int | None, _NUMBER] = None
    """Side of the square images in pixels; 128 with nano, and always 512 with WorldFM-XL."""
    save: Literal["mp4", "png"] = "mp4"
    """One video, or one PNG file a pose."""
    fps: int = 15
    """Frames per second of the video."""
    device: str = "auto"
    """cpu or cuda; auto takes a GPU if there is one."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.trajectory import run_render_command

        run_render_command(self)


@dataclass(kw_only=True)
class Convert:
    """Write the released WorldFM-XL files, network and autoencoder, as one .safetensors file.

    Example: worldfm-gym convert path/to/worldfm -o worldfm_xl.safetensors
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    """The folder of the released files (worldfm_1-step.pth or worldfm_2-step.pth, and vae/), or one
    of these .pth files."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The .safetensors file to write."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """What weights are kept as."""

    def run(self) -> None:
        """Run the command."""
        from worldfm_agents.trajectory import run_convert_command

        run_convert_command(self)
