"""Trajectories: a photo's place drawn along camera poses that a meta.json gives."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from worldfm_agents.video import VideoWriter, save_png
from worldfm_gym import Camera, World, make_world
from worldfm_gym.camera import check_rigid, invert_rigid
from worldfm_gym.errors import CameraError, ConfigError, SourceError
from worldfm_gym.renderer import Renderer, make_renderer

if TYPE_CHECKING:
    from worldfm_agents.trajectory_arguments import Convert, Render

_NANO_SIDE_PX = 128


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a meta.json holds.

    Attributes:
        name: What the place is called.
        image: The photo.
        K: Intrinsic matrix of the photo at its full size, float64 [3, 3].
        c2w: Camera poses, the photo's first, float64 [N, 4, 4].
    """

    name: str
    image: Path
    K: NDArray[np.float64]
    c2w: NDArray[np.float64]

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Trajectory:
        """Read a meta.json.

        Raises:
            SourceError: If it is not one, or a matrix has another shape or is not rigid.
        """
        file = Path(path)
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            name, image = str(told.get("name", file.stem)), file.parent / told["image"]
            intrinsics = np.array(told["K"], np.float64)
            poses = np.array(told["c2w"], np.float64)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{file} is not a meta.json with name, image, K and c2w: {error!r}"
            ) from error
        if Path(name).name != name:
            raise SourceError(f"{file}: name must be usable as a file name, got {name!r}")
        if intrinsics.shape != (3, 3) or poses.shape[-2:] != (4, 4) or poses.ndim not in (2, 3):
            raise SourceError(
                f"{file} must give K as 3×3 and c2w as one 4×4 matrix or a list of them, got "
                f"shapes {intrinsics.shape} and {poses.shape}"
            )
        try:
            return Trajectory(name, image, intrinsics, check_rigid(poses.reshape(-1, 4, 4)))
        except CameraError as error:
            raise SourceError(f"{file}: {error}") from error

    def world(self) -> World:
        """The photo's world; its first reference is the photo."""
        return make_world(self.image, K=self.K)

    def cameras(self, world: World, side_px: int) -> Camera:
        """The cameras in the world's frame, with the field of view of the photo's middle square."""
        photo_c2w = world.references[0].camera.c2w
        c2w = photo_c2w @ invert_rigid(self.c2w[0]) @ self.c2w
        from PIL import Image, ImageOps

        with Image.open(self.image) as picture:
            width, height = ImageOps.exif_transpose(picture).size
        square = min(width, height)
        scale = side_px / square
        fx, fy = self.K[0, 0] * scale, self.K[1, 1] * scale
        cx = (self.K[0, 2] - (width - square) / 2) * scale
        cy = (self.K[1, 2] - (height - square) / 2) * scale
        intrinsics = np.broadcast_to([fx, fy, cx, cy], (len(c2w), 4))
        return Camera(c2w, intrinsics, width=side_px, height=side_px)


def run_render_command(command: Render) -> None:
    """`worldfm-gym render`."""
    trajectory = Trajectory.load(command.meta)
    console = Console()
    with console.status("making the world"):
        world = trajectory.world()
    renderer, side_px = _renderer(command, world)
    cameras = trajectory.cameras(world, side_px)
    command.out.mkdir(parents=True, exist_ok=True)
    frames = track(
        pictures(renderer, cameras), total=len(cameras.c2w), description="drawing", console=console
    )
    if command.save == "png":
        for k, picture in enumerate(frames):
            save_png(picture, command.out / f"{trajectory.name}_{k:04d}.png")
    else:
        with VideoWriter(command.out / "output.mp4", fps=command.fps) as video:
            for picture in frames:
                video.add(picture)
    console.print(f"{len(cameras.c2w)} frames of {side_px}×{side_px} in {command.out}")


def run_convert_command(command: Convert) -> None:
    """`worldfm-gym convert`."""
    if command.out.suffix != ".safetensors":
        raise ConfigError(f"--out must end in .safetensors, got {command.out}")
    import torch

    from worldfm_gym.frame_model.xl_checkpoint import XLModel

    model = XLModel.from_pretrained(command.source)
    model.save_pretrained(command.out, dtype=getattr(torch, command.dtype))
    size_mb = command.out.stat().st_size / 1e6
    Console().print(f"{model.steps}-step model, {size_mb:,.0f} MB, in {command.out}")


def pictures(renderer: Renderer, cameras: Camera) -> Iterator[NDArray[np.uint8]]:
    """What each camera sees of the renderer's only scene, uint8 [H, W, 3], one after the other."""
    scene = np.zeros(1, np.int64)
    for k in range(len(cameras.c2w)):
        camera = Camera(
            cameras.c2w[k : k + 1],
            cameras.intrinsics[k : k + 1],
            width=cameras.width,
            height=cameras.height,
        )
        rgb: Any = renderer.render(camera, scene).rgb[0]
        yield rgb if isinstance(rgb, np.ndarray) else rgb.cpu().numpy()


def _renderer(command: Render, world: World) -> tuple[Renderer, int]:
    """The model as a renderer of one scene, and the side of what it draws."""
    import torch

    from worldfm_gym.frame_model.xl_checkpoint import is_xl

    device = command.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if is_xl(command.model):
        from worldfm_gym.xl_renderer import XLRenderer

        renderer = XLRenderer([world], model=command.model, steps=command.steps, device=device)
        if command.size not in (None, renderer.side_px):
            raise ConfigError(f"WorldFM-XL draws {renderer.side_px} pixels: leave out --size")
        return renderer, renderer.side_px
    steps = 1 if command.steps is None else command.steps
    side_px = _NANO_SIDE_PX if command.size is None else command.size
    if side_px < 8:
        raise ConfigError(f"--size must be 8 or more, got {side_px}")
    drawn = make_renderer("frame", [world], device=device, model=command.model, steps=steps)
    return drawn, side_px
