"""FrameRenderer: draws worlds with the frame model, on top of what the anchor shows."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.raster import AnchorRaster, RasterImages
from worldfm_gym.anchor_renderer import current_object_poses
from worldfm_gym.camera import Camera
from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame import Frame, Provenance
from worldfm_gym.frame_model.accelerate import Drawer, accelerate
from worldfm_gym.frame_model.captured import CapturedCalls
from worldfm_gym.frame_model.conditioning import (
    PosedImages,
    conditioning_channels,
    decode_depth,
    decode_rgb,
    relative_projection,
    shown_anchor,
)
from worldfm_gym.frame_model.memory import Chosen, References
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.frame_model.targets import Targets
from worldfm_gym.shared_slots import SharedSlots
from worldfm_gym.shown_objects import ShownObjects, displaced, rest_poses
from worldfm_gym.worlds.world import World

_SIDE_STEP_PX = 8  # the network draws images whose sides are multiples of this
_CPU_BATCH, _CUDA_BATCH = 16, 256  # views drawn at once, at most
_CUDA_BATCH_STEP = 16  # larger batches are multiples of this, smaller ones powers of two
_CUDA_FIXED_BATCH = 32  # views drawn at once, exactly, if deterministic


@dataclass(frozen=True, slots=True)
class Views:
    """What B frames are drawn from: the anchor as rasterized, cameras, scenes; all tensors.

    Attributes:
        rgb: uint8 [B, H, W, 3]; black where uncovered.
        depth_z: z-depth in metres, float32 [B, H, W]; 0 where uncovered.
        instance: Object ids, int32 [B, H, W]; −1 where uncovered.
        provenance: `Provenance` values, uint8 [B, H, W].
        index: Anchor point seen, int32 [B, H, W]; −1 where uncovered.
        c2w: Camera-to-world transforms, float32 [B, 4, 4].
        intrinsics: (fx, fy, cx, cy) in pixels, float32 [B, 4].
        scene: World of each view, among the distinct ones, int64 [B].
        displaced: Objects that are not where references show them, bool [B, K + 1], the first
            column for the background; [B, 1] where there is none in any view.
    """

    rgb: Tensor
    depth_z: Tensor
    instance: Tensor
    provenance: Tensor
    index: Tensor
    c2w: Tensor
    intrinsics: Tensor
    scene: Tensor
    displaced: Tensor

    def __len__(self) -> int:
        return len(self.scene)

    def __getitem__(self, index: slice | Tensor) -> Views:
        """Some of the views."""
        return Views(*(getattr(self, f.name)[index] for f in fields(self)))


Pictures = tuple[Tensor, Tensor, Tensor, Tensor]
"""rgb uint8 [B, H, W, 3], depth float32, instance int32 and provenance uint8 [B, H, W]."""


class FrameRenderer:
    """The `Renderer` that fills in what the anchor lacks: every pixel is drawn by a frame model.

    A view depends on its world, the poses of its objects and its camera, and on nothing drawn
    before: the same pose gives the same frame bit for bit on one device. References of a renderer
    are padded to the largest, so that holds among worlds whose references have one shape. In a
    batch of another size a color may differ, rarely by more than one level, unless `deterministic`.

    Depth, instance and provenance are the anchor's where it covers a pixel. Elsewhere depth is that
    of the references where they know it and the network's where not, instance 0 and provenance
    `Provenance.GENERATED`. In worlds without objects that could have moved, the same goes for
    pixels where a reference has seen something clearly in front of the anchor's points.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        *,
        model: str | os.PathLike[str] | FrameModel = "nano",
        steps: int = 1,
        references: int = 2,
        device: str = "cpu",
        deterministic: bool = False,
        noise_seed: int = 0,
    ) -> None:
        """Prepare scenes for drawing.

        Args:
            worlds: One per scene; the same world may appear several times.
            model: Name of a model that comes with the package, a .safetensors file, or a model.
            steps: Passes of the network per frame: 1 or 2 for the shipped model; more follow the
                path from noise to image in smaller steps.
            references: Remembered frames that each view draws on at most.
            device: ``"cpu"`` gives frames in numpy, ``"cuda"`` in torch on the current GPU.
            deterministic: Draw in batches of fixed size, so that a view does not depend on which
                others are drawn with it, to the last bit.
            noise_seed: Another number lets the model invent other things in the same worlds.

        Raises:
            FrameModelError: If there is no such model or file, or `steps` is below 1.
        """
        self._worlds = list(worlds)
        self.worlds: Sequence[World] = self._worlds
        self._device = torch.device(device)
        if steps < 1:
            raise FrameModelError(f"steps must be at least 1, got {steps}")
        self._network = drawer_on(model, device, steps=steps)
        self._steps = steps
        if references < 0:
            raise FrameModelError(f"references per view must be 0 or more, got {references}")
        self._per_target = references
        self._deterministic = deterministic
        self._noise_seed = noise_seed
        self._raster = AnchorRaster(
            [w.pyramid for w in self._worlds],
            "numba" if self._device.type == "cpu" else "triton",
            device=str(self._device),
        )
        self._slots = SharedSlots([id(w) for w in self._worlds])
        # There are never more slots than scenes; those to spare hold a world that is there anyway.
        self._held = [self._worlds[0]] * len(self._worlds)
        for slot, first in enumerate(self._slots.first_scenes()):
            self._held[slot] = self._worlds[first]
        self._salt = torch.tensor(salts(self._held)).to(self._device) ^ noise_seed
        self._still = torch.tensor([not w.objects for w in self._held]).to(self._device)
        self._rest_poses = rest_poses(self._held)
        self._references: dict[int, References] = {}  # by the longer side of what is drawn
        self._shown: dict[int, ShownObjects] = {}  # likewise, once an object has moved
        self._outdated: set[int] = set()  # of those, the ones that do not know all worlds yet
        self._captured: dict[int, CapturedCalls] = {}  # likewise

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        """Draw one frame per camera; see `Renderer.render`."""
        if object_poses is None:
            object_poses = current_object_poses(self.worlds)
        height, width = cameras.height, cameras.width
        # The image grows to the right and downward; what is too much is cut off again.
        padded = Camera.unchecked(
            cameras.c2w, cameras.intrinsics, width=_round_up(width), height=_round_up(height)
        )
        images = self._raster.render(padded, scene, object_poses=object_poses)
        views = self._views(images, padded, scene, object_poses)
        with torch.no_grad():
            parts = [self._draw_part(views[part]) for part in self._parts(len(views))]
        rgb, depth_z, instance, provenance = (
            self._finished(torch.cat(part)[:, :height, :width]) for part in zip(*parts, strict=True)
        )
        return Frame(rgb, depth_z, instance, provenance, cameras)

    def draw(self, views: Views) -> Pictures:
        """Draw views that are on the device, as tensors there.

        On a GPU this neither waits for the device nor decides anything on the host.
        """
        targets, memory, completed = self._targets(views)
        clean = self._network.sample(targets, memory, steps=self._steps)
        shown = shown_anchor(views.depth_z, completed)
        # Where no anchor point is seen, what references measured beats what the network guesses.
        depth_z = torch.where(completed > 0, completed, decode_depth(clean[:, 3:]))
        generated = torch.full_like(views.provenance, int(Provenance.GENERATED))
        return (
            decode_rgb(clean[:, :3]),
            depth_z,
            views.instance.where(shown, 0),
            views.provenance.where(shown, generated),
        )

    def _targets(self, views: Views) -> tuple[Targets, KeysValues | None, Tensor]:
        """What the network is told of views, references' keys and values, and completed depth."""
        if self._device.type == "cpu":
            from worldfm_gym.frame_model.cpu_conditioning import complete_depth, warp_references
            from worldfm_gym.frame_model.cpu_noise import anchored_noise
        else:
            from worldfm_gym.frame_model.conditioning import complete_depth, warp_references
            from worldfm_gym.frame_model.noise import anchored_noise
        cameras = (views.c2w, views.intrinsics)
        salt = self._salt[views.scene]
        size = (views.depth_z.shape[1], views.depth_z.shape[2])
        references = self._references_for(max(size))
        if not references.slots:
            warped, confidence = _nothing_warped(views.depth_z)
            noise = anchored_noise(views.index, *cameras, salt, depth_z=views.depth_z)
            empty = views.c2w[:, :0, 0]  # [B, 0]
            conditioning = conditioning_channels(
                views.rgb,
                views.depth_z,
                completed_depth_z=views.depth_z,
                warped_rgb=warped,
                confidence=confidence,
            )
            relative = empty[..., None, None].expand(-1, 0, 4, 4)
            return (
                Targets(noise, conditioning, views.intrinsics, empty.long(), relative, empty),
                None,
                views.depth_z,
            )
        chosen = references.select(views.depth_z, *cameras, views.scene)
        memory, slots, images = references.locate(chosen)
        if views.displaced.shape[1] > 1:
            images = self._without_ghosts(images, chosen, views)
        ref_size = (images.depth_z.shape[-2], images.depth_z.shape[-1])
        relative = relative_projection(*cameras, size, images.c2w, images.intrinsics, ref_size)
        still = self._still[views.scene]
        completed = complete_depth(views.depth_z, *cameras, images, still=still)
        shown = shown_anchor(views.depth_z, completed)
        index = views.index.where(shown, -1)
        noise = anchored_noise(index, *cameras, salt, depth_z=completed)
        warped, confidence = warp_references(completed, *cameras, images)
        conditioning = conditioning_channels(
            views.rgb,
            views.depth_z * shown,
            completed_depth_z=completed,
            warped_rgb=warped,
            confidence=confidence,
        )
        return (
            Targets(noise, conditioning, views.intrinsics, slots, relative, chosen.log_weight),
            memory,
            completed,
        )

    def _without_ghosts(self, images: PosedImages, chosen: Chosen, views: Views) -> PosedImages:
        """References [B, R] that know no depth where they show what is elsewhere now."""
        shown = self._shown[max(views.depth_z.shape[1:])].table[chosen.rows.clamp(min=0)]
        gone = views.displaced.gather(1, shown.flatten(1)).view_as(shown)
        return replace(images, depth_z=images.depth_z * ~gone)

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; the other scenes keep what was computed for them.

        A world that is drawn in other scenes costs nothing.
        """
        self._raster.replace_pyramid(scene, world.pyramid)
        self._worlds[scene] = world
        change = self._slots.replace(scene, id(world))
        for slot in (change.filled, change.freed):
            if slot is not None:  # a freed one lets go of its world by holding the new one
                self._hold(slot, world)

    def _hold(self, slot: int, world: World) -> None:
        """Keep what drawing needs of a world in a slot."""
        for references in self._references.values():
            references.replace_world(slot, world)
        known = next((other for other, held in enumerate(self._held) if held is world), None)
        self._salt[slot] = (
            salts([world])[0] ^ self._noise_seed if known is None else self._salt[known].clone()
        )
        self._held[slot] = world
        self._still[slot] = not world.objects
        self._rest_poses = rest_poses(self._held)
        self._outdated.update(self._shown)

    def _finished(self, picture: Tensor) -> Tensor | NDArray[Any]:
        """A picture as users get it: in numpy, if drawn on the CPU."""
        picture = picture.contiguous()
        return picture.numpy() if self._device.type == "cpu" else picture

    def _draw_part(self, views: Views) -> Pictures:
        """Draw one batch; on a GPU by a CUDA graph, of which there is one for few batch sizes."""
        given = len(views)
        size = self._size_of_batch(given)
        if given < size:
            views = views[torch.arange(size, device=self._device).clamp(max=given - 1)]
        if self._device.type == "cpu":
            return self.draw(views)
        longer = max(views.depth_z.shape[1:])
        references = self._references_for(longer)
        if longer not in self._captured:
            self._captured[longer] = CapturedCalls(lambda *parts: self.draw(Views(*parts)))
        parts = (getattr(views, f.name) for f in fields(Views))
        held = [self._salt, self._still, *references.held()]
        if longer in self._shown:
            held.append(self._shown[longer].table)
        drawn = self._captured[longer](*parts, held=held)
        rgb, depth_z, instance, provenance = (picture[:given] for picture in drawn)
        return rgb, depth_z, instance, provenance

    def _size_of_batch(self, given: int) -> int:
        """How many views to draw for some: copies of the last one fill up a batch."""
        if self._device.type == "cpu":
            return given
        if self._deterministic:
            return self._batch_size
        step = _CUDA_BATCH_STEP
        return -(-given // step) * step if given > step else 1 << (given - 1).bit_length()

    def _parts(self, count: int) -> Iterator[slice]:
        for start in range(0, count, self._batch_size):
            yield slice(start, start + self._batch_size)

    @property
    def _batch_size(self) -> int:
        if self._device.type == "cpu":
            return 1 if self._deterministic else _CPU_BATCH
        return _CUDA_FIXED_BATCH if self._deterministic else _CUDA_BATCH

    def _references_for(self, size_long_px: int) -> References:
        """The references at the scale of views of this size, loaded on first use."""
        if size_long_px not in self._references:
            self._references[size_long_px] = References(
                self._held,
                network=self._network,
                size_long_px=size_long_px,
                per_target=self._per_target,
                device=self._device,
            )
        return self._references[size_long_px]

    def _upload(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cpu":
            return tensor
        # A copy from memory that isn't pinned would wait for the device.
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _views(
        self,
        images: RasterImages,
        cameras: Camera,
        scene: NDArray[np.int64],
        object_poses: NDArray[np.float64],
    ) -> Views:
        slot = self._slots.of_scene[scene]
        return Views(
            rgb=torch.as_tensor(images.rgb),
            depth_z=torch.as_tensor(images.depth),
            instance=torch.as_tensor(images.instance),
            provenance=torch.as_tensor(images.provenance),
            index=torch.as_tensor(images.index),
            c2w=self._upload(cameras.c2w.astype(np.float32)),
            intrinsics=self._upload(cameras.intrinsics.astype(np.float32)),
            scene=self._upload(slot),
            displaced=self._upload(self._displaced(object_poses, scene, slot, cameras)),
        )

    def _displaced(
        self,
        object_poses: NDArray[np.float64],
        scene: NDArray[np.int64],
        slot: NDArray[np.int64],
        cameras: Camera,
    ) -> NDArray[np.bool_]:
        """`Views.displaced`; once there is something, references' pixels are told apart, too."""
        longer = max(cameras.height, cameras.width)
        nothing = np.zeros((len(slot), 1), np.bool_)
        if not self._rest_poses.shape[1] or not self._references_for(longer).slots:
            return nothing
        moved, some = displaced(object_poses, np.asarray(scene, np.int64), slot, self._rest_poses)
        if not some:
            return nothing
        if longer not in self._shown or longer in self._outdated:
            shown = self._shown.setdefault(longer, ShownObjects())
            shown.follow(self._held, self._references_for(longer))
            self._outdated.discard(longer)
        return np.asarray(moved)


def network_on(model: str | os.PathLike[str] | FrameModel, device: str) -> FrameDiT:
    """The network of a model on a device; one that is given by name is loaded once a process."""
    if isinstance(model, FrameModel):
        network = model.network
        if next(network.parameters()).device != torch.device(device):
            network = copy.deepcopy(network).to(device)
        return network
    path = Path(model)
    changed_ns = path.stat().st_mtime_ns if path.is_file() else 0
    return _load_once(os.fspath(model), device, changed_ns)


def drawer_on(model: str | os.PathLike[str] | FrameModel, device: str, *, steps: int) -> Drawer:
    """A model's network, made fast for a device; one given by name is prepared once a process."""
    network = network_on(model, device)
    if isinstance(model, FrameModel):  # its weights may change until it is used again
        return accelerate(network, device, steps=steps)
    return _accelerate_once(network, device, min(steps, 3))


@lru_cache(maxsize=4)
def _accelerate_once(network: FrameDiT, device: str, steps: int) -> Drawer:
    """Networks are told apart by identity."""
    return accelerate(network, device, steps=steps)


@lru_cache(maxsize=4)
def _load_once(name_or_path: str, device: str, changed_ns: int) -> FrameDiT:
    """The network of a file as it was when it changed last."""
    return FrameModel.from_pretrained(name_or_path, device=device).network


def salts(worlds: Sequence[World]) -> list[int]:
    """Numbers that tell worlds apart by their anchors, the same in every process."""
    of_world = {id(world): world.anchor for world in worlds}
    numbers = {key: _salt_of(anchor) for key, anchor in of_world.items()}
    return [numbers[id(world)] for world in worlds]


def _salt_of(anchor: Anchor) -> int:
    digest = hashlib.blake2b(digest_size=7)
    for field in fields(anchor):
        digest.update(getattr(anchor, field.name).data)
    return int.from_bytes(digest.digest(), "little")


def _nothing_warped(depth_z: Tensor) -> tuple[Tensor, Tensor]:
    """The result of `warp_references` without references."""
    empty = depth_z.new_zeros(depth_z.shape[0], 4, *depth_z.shape[1:])
    return empty[:, :3], empty[:, 3:]


def _round_up(side: int) -> int:
    return -(-side // _SIDE_STEP_PX) * _SIDE_STEP_PX
