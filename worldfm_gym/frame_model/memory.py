"""References: the posed frames that worlds remember, and which of them help to draw a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.frame_model.network import FrameDiT, KeysValues
from worldfm_gym.frame_model.reference_images import load_references
from worldfm_gym.frame_model.reference_keys import ReferenceKeys
from worldfm_gym.frame_model.visibility import Looks, pick_complementary, seen_shares
from worldfm_gym.worlds.world import World

_FULL_WEIGHT_GAIN = 0.03  # a reference that adds less of the view than this counts for less


@dataclass(frozen=True, slots=True)
class Chosen:
    """The references of each of B targets, in R slots.

    Attributes:
        rows: Rows of the table of references, ascending, int64 [B, R]; −1 in slots left empty.
        log_weight: Logarithm of how much each counts, float32 [B, R]: 0 in full, −∞ for empty.
    """

    rows: Tensor
    log_weight: Tensor


class References:
    """The references of S worlds on one device, their keys and values, and the choice among them.

    The choice is a pure function of world and camera. Apart from `replace_world` and, on a CPU,
    the encoding of references read for the first time, nothing here waits for the device.

    Attributes:
        worlds: One per scene.
        slots: References that a target gets at most, R; 0 if no world has any.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        *,
        network: FrameDiT,
        size_long_px: int,
        per_target: int = 2,
        device: torch.device | str = "cpu",
    ) -> None:
        """Load and, on a GPU, encode the references of all worlds.

        Args:
            worlds: One per scene; the same world may appear several times.
            network: Encodes references.
            size_long_px: Longer side of the views to draw, a multiple of 8; references are
                resampled to the same.
            per_target: References to choose for each target.
            device: Where they are kept; the network's.

        Raises:
            FrameModelError: If `per_target` is negative.
        """
        if per_target < 0:
            raise FrameModelError(f"references per target must be 0 or more, got {per_target}")
        self.worlds = list(worlds)
        self._per_target = per_target
        self._size_long_px = size_long_px
        self._device = torch.device(device)
        self._keys = ReferenceKeys(network, device=self._device)
        self._rows: dict[int, list[int]] = {}  # id of a world in `worlds` → its rows
        self._images = _no_images(self._device)
        self._members = torch.empty(0, 0, dtype=torch.int64, device=self._device)
        distinct = {id(world): world for world in self.worlds}
        loaded = {key: self._load(world) for key, world in distinct.items()}
        self._write(loaded)

    @property
    def slots(self) -> int:
        """References that a target gets at most, R."""
        return min(self._per_target, int(self._members.shape[1]))

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; what other worlds remember stays where it is."""
        known = any(world is other for other in self.worlds)
        loaded = {} if known else {id(world): self._load(world)}
        before = self.worlds[scene]
        self.worlds[scene] = world
        if not any(before is other for other in self.worlds):
            del self._rows[id(before)]
        self._write(loaded)

    def select(self, depth_z: Tensor, c2w: Tensor, intrinsics: Tensor, scene: Tensor) -> Chosen:
        """Choose references by how much of each target view they show.

        The first shows most of it, each next one adds most to those before (greedy maximization of
        a submodular function). What counts as shown, and how well, is in
        `worldfm_gym.frame_model.visibility`.

        Args:
            depth_z: The anchor's depth in the target views, float32 [B, H, W]; 0 = uncovered.
            c2w: Target cameras, float32 [B, 4, 4].
            intrinsics: Target lenses, float32 [B, 4].
            scene: Scene of each target, int64 [B].
        """
        members = self._members[scene]  # [B, K]
        rows = members.clamp(min=0)
        shares = seen_shares(
            depth_z,
            Looks(c2w, intrinsics),
            self._images.depth_z,
            Looks(self._images.c2w[rows], self._images.intrinsics[rows]),
            rows,
        )
        place, gain = pick_complementary(shares * (members >= 0)[..., None], self.slots)
        weight = (gain / _FULL_WEIGHT_GAIN).clamp(max=1)
        chosen = members.gather(1, place)
        # One order for one set: then a view depends on the set alone, down to rounding.
        last = torch.iinfo(torch.int64).max
        chosen, order = chosen.masked_fill(weight == 0, last).sort(dim=1)
        return Chosen(chosen.masked_fill(chosen == last, -1), weight.gather(1, order).float().log())

    def gather(self, chosen: Chosen) -> tuple[KeysValues, PosedImages]:
        """Keys and values [L, B, R · tokens, …] and images [B, R] of chosen references.

        Empty slots hold some reference without depth, which nothing can be taken from.
        """
        rows = chosen.rows.clamp(min=0)
        images = PosedImages(*(getattr(self._images, f.name)[rows] for f in fields(PosedImages)))
        depth_z = images.depth_z * (chosen.rows >= 0)[..., None, None]
        return self._keys.read(rows, self._images), PosedImages(
            images.rgb, depth_z, images.c2w, images.intrinsics
        )

    def _load(self, world: World) -> list[PosedImages]:
        if self._per_target == 0:
            return []
        return load_references(world.references, size_long_px=self._size_long_px)

    def _write(self, loaded: dict[int, list[PosedImages]]) -> None:
        """Give worlds rows of the table, and bring everything that depends on rows up to date."""
        used = {row for rows in self._rows.values() for row in rows}
        free = iter(row for row in range(10**9) if row not in used)
        for key, images in loaded.items():
            self._rows[key] = [next(free) for _ in images]
        new = {
            row: image
            for key, images in loaded.items()
            for row, image in zip(self._rows[key], images, strict=True)
        }
        if new:
            height = max(image.rgb.shape[0] for image in new.values())
            width = max(image.rgb.shape[1] for image in new.values())
            resized = self._make_room(max(new) + 1, height, width)
            for row, image in new.items():
                self._put(row, image)
            self._keys.write(sorted(used | set(new)) if resized else list(new), self._images)
        most = max(len(rows) for rows in self._rows.values())
        members = torch.full((len(self.worlds), most), -1)
        for scene, world in enumerate(self.worlds):
            rows = self._rows[id(world)]
            members[scene, : len(rows)] = torch.tensor(rows, dtype=torch.int64)
        if self._members.shape == members.shape:
            self._members.copy_(members)  # in place: captured CUDA graphs read this memory
        else:
            self._members = members.to(self._device)

    def _put(self, row: int, image: PosedImages) -> None:
        """Write one image into the table, its border continued where it is smaller."""
        height, width = self._images.depth_z.shape[1:]
        below, right = height - image.rgb.shape[0], width - image.rgb.shape[1]
        rgb = image.rgb.permute(2, 0, 1)[None].float()
        rgb = F.pad(rgb, (0, right, 0, below), mode="replicate")[0].permute(1, 2, 0)
        self._images.rgb[row] = rgb.to(self._device, torch.uint8)
        self._images.depth_z[row] = F.pad(image.depth_z, (0, right, 0, below)).to(self._device)
        self._images.c2w[row] = image.c2w.to(self._device)
        self._images.intrinsics[row] = image.intrinsics.to(self._device)

    def _make_room(self, count: int, height: int, width: int) -> bool:
        """Grow the table to `count` rows of at least this size; whether the size has changed."""
        kept, old_height, old_width = self._images.depth_z.shape
        count, height, width = max(count, kept), max(height, old_height), max(width, old_width)
        resized = (height, width) != (old_height, old_width)
        if resized or count > kept:
            old, below, right = self._images, height - old_height, width - old_width
            more = count - kept
            self._images = PosedImages(
                rgb=F.pad(old.rgb, (0, 0, 0, right, 0, below, 0, more)),
                depth_z=F.pad(old.depth_z, (0, right, 0, below, 0, more)),
                c2w=F.pad(old.c2w, (0, 0, 0, 0, 0, more)),
                intrinsics=F.pad(old.intrinsics, (0, 0, 0, more)),
            )
        if resized:
            self._keys.clear()
        return resized


def _no_images(device: torch.device) -> PosedImages:
    """A table without rows."""
    return PosedImages(
        rgb=torch.zeros(0, 0, 0, 3, dtype=torch.uint8, device=device),
        depth_z=torch.zeros(0, 0, 0, device=device),
        c2w=torch.zeros(0, 4, 4, device=device),
        intrinsics=torch.zeros(0, 4, device=device),
    )
