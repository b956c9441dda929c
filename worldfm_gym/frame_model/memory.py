"""References: the posed frames that worlds remember, and which of them help to draw a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import count, islice

import torch
from torch import Tensor
from torch.nn import functional as F

from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.accelerate import Encoder
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.frame_model.network import KeysValues
from worldfm_gym.frame_model.reference_images import load_references
from worldfm_gym.frame_model.reference_keys import ReferenceKeys
from worldfm_gym.frame_model.visibility import (
    Looks,
    pick_complementary,
    seen_shares,
    share_of_view,
)
from worldfm_gym.worlds.world import World

# A reference is left out below the first of each pair and counts in full from the second on.
_SHOWN = 0.03, 0.10  # share of the view that it shows
_ADDED = 0.025, 0.07  # share of the view that it adds to those before
_LEAD = 0.0, 0.05  # of the last one: relative lead over the one that would take its place


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
        network: Encoder,
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
        self._sizes: dict[int, tuple[int, int]] = {}  # likewise, of their largest image
        self._members = torch.empty(0, 0, dtype=torch.int64, device=self._device)
        self._load_all()

    @property
    def slots(self) -> int:
        """References that a target gets at most, R."""
        return min(self._per_target, int(self._members.shape[1]))

    @property
    def table(self) -> tuple[PosedImages, Tensor]:
        """All images, leading dimension rows, and the rows of each world, int64 [S, K], −1 padded.

        Both stay those of the references: read only.
        """
        return self._images, self._members

    def replace_world(self, scene: int, world: World) -> None:
        """Put another world in a scene; what other worlds remember stays where it is.

        All is loaded anew where the largest reference is of another size than before, so that the
        result is the same as if the worlds had been these from the start.
        """
        known = any(world is other for other in self.worlds)
        loaded = {} if known else self._load([world])
        before = self.worlds[scene]
        self.worlds[scene] = world
        if not any(before is other for other in self.worlds):
            del self._rows[id(before)], self._sizes[id(before)]
        sizes = [*self._sizes.values(), *map(_largest, loaded.values())]
        if tuple(map(max, zip(*sizes, strict=True))) == self._images.depth_z.shape[1:]:
            self._add(loaded)
        else:
            self._load_all()

    def select(self, depth_z: Tensor, c2w: Tensor, intrinsics: Tensor, scene: Tensor) -> Chosen:
        """Choose references by how much of each target view they show.

        The first shows most of it, each next one adds most to those before (greedy maximization of
        a submodular function). What counts as shown, and how well, is in
        `worldfm_gym.frame_model.visibility`.

        As a camera moves, a reference fades in and out: its weight is 0 where it adds next to
        nothing, and, for the last one, where another is about to take its place.

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
        shares = shares * (members >= 0)[..., None]
        place, gain, next_best = pick_complementary(shares, self.slots)
        weight = torch.minimum(
            _ramp(share_of_view(shares).gather(1, place), _SHOWN), _ramp(gain, _ADDED)
        )
        last = gain[:, -1:]
        weight[:, -1:] *= _ramp((last - next_best) / last.clamp(min=1e-9), _LEAD)
        chosen = members.gather(1, place)
        # One order for one set: then a view depends on the set alone, down to rounding.
        end = torch.iinfo(torch.int64).max
        chosen, order = chosen.masked_fill(weight == 0, end).sort(dim=1)
        return Chosen(chosen.masked_fill(chosen == end, -1), weight.gather(1, order).float().log())

    def locate(self, chosen: Chosen) -> tuple[KeysValues, Tensor, PosedImages]:
        """Where chosen references are kept.

        Returns:
            All keys and values [L, slots, tokens, heads, head_dim]; which of those slots were
            chosen, int64 [B, R]; their images, leading dimensions [B, R]. Empty places hold some
            reference without depth, which nothing can be taken from.
        """
        rows = chosen.rows.clamp(min=0)
        images = PosedImages(*(getattr(self._images, f.name)[rows] for f in fields(PosedImages)))
        depth_z = images.depth_z * (chosen.rows >= 0)[..., None, None]
        seen = PosedImages(images.rgb, depth_z, images.c2w, images.intrinsics)
        return *self._keys.locate(rows, self._images), seen

    def gather(self, chosen: Chosen) -> tuple[KeysValues, PosedImages]:
        """As `locate`, with copies of the keys and values, [L, B, R · tokens, …]."""
        _, _, images = self.locate(chosen)
        return self._keys.read(chosen.rows.clamp(min=0), self._images), images

    def held(self) -> list[Tensor]:
        """The tensors that are read on a GPU; one that grows or is replaced is another tensor."""
        images = [getattr(self._images, f.name) for f in fields(PosedImages)]
        return [*images, self._members, *self._keys.held()]

    def _load(self, worlds: Sequence[World]) -> dict[int, list[PosedImages]]:
        """The images of distinct worlds by id."""
        if self._per_target == 0:
            return {id(world): [] for world in worlds}
        return {
            id(world): load_references(world.references, size_long_px=self._size_long_px)
            for world in worlds
        }

    def _load_all(self) -> None:
        """Start the table anew, at the size that the largest reference needs."""
        self._keys.clear()
        self._rows.clear()
        self._sizes.clear()
        loaded = self._load(list({id(world): world for world in self.worlds}.values()))
        sizes = {key: _largest(images) for key, images in loaded.items()}
        height, width = map(max, zip(*sizes.values(), strict=True))
        self._images = _no_images(height, width, self._device)
        self._add(loaded)

    def _add(self, loaded: dict[int, list[PosedImages]]) -> None:
        """Give worlds rows of the table, and bring everything that depends on rows up to date."""
        used = {row for rows in self._rows.values() for row in rows}
        free = (row for row in count() if row not in used)
        for key, images in loaded.items():
            # Ascending rows: a world's references keep their order, whatever was there before.
            self._rows[key] = list(islice(free, len(images)))
            self._sizes[key] = _largest(images)
        self._put(
            [row for key in loaded for row in self._rows[key]],
            [image for images in loaded.values() for image in images],
        )
        most = max(len(rows) for rows in self._rows.values())
        members = torch.full((len(self.worlds), most), -1)
        for scene, world in enumerate(self.worlds):
            rows = self._rows[id(world)]
            members[scene, : len(rows)] = torch.tensor(rows, dtype=torch.int64)
        if self._members.shape == members.shape:
            self._members.copy_(members)  # in place: captured CUDA graphs read this memory
        else:
            self._members = members.to(self._device)

    def _put(self, rows: list[int], images: list[PosedImages]) -> None:
        """Write images into rows of the table, growing it, and note that their keys are outdated.

        Images smaller than the table's have their border continued, without depth.
        """
        if not rows:
            return
        kept, height, width = self._images.depth_z.shape
        more = max(*rows, kept - 1) + 1 - kept
        if more:
            self._images = PosedImages(
                *(
                    torch.cat([array, array.new_zeros(more, *array.shape[1:])])
                    for array in (getattr(self._images, f.name) for f in fields(PosedImages))
                )
            )
        for row, image in zip(rows, images, strict=True):
            border = (0, width - image.rgb.shape[1], 0, height - image.rgb.shape[0])
            rgb = image.rgb.permute(2, 0, 1)[None].float()
            rgb = F.pad(rgb, border, mode="replicate")[0].permute(1, 2, 0)
            self._images.rgb[row] = rgb.to(self._device, torch.uint8)
            self._images.depth_z[row] = F.pad(image.depth_z, border).to(self._device)
            self._images.c2w[row] = image.c2w.to(self._device)
            self._images.intrinsics[row] = image.intrinsics.to(self._device)
        self._keys.write(rows, self._images)


def _ramp(value: Tensor, edges: tuple[float, float]) -> Tensor:
    """0 up to the first edge, 1 from the second on."""
    low, high = edges
    return ((value - low) / (high - low)).clamp(0, 1)


def _largest(images: Sequence[PosedImages]) -> tuple[int, int]:
    """Largest height and width of images."""
    heights, widths = ([0, *(image.rgb.shape[side] for image in images)] for side in (0, 1))
    return max(heights), max(widths)


def _no_images(height: int, width: int, device: torch.device) -> PosedImages:
    """A table without rows."""
    return PosedImages(
        rgb=torch.zeros(0, height, width, 3, dtype=torch.uint8, device=device),
        depth_z=torch.zeros(0, height, width, device=device),
        c2w=torch.zeros(0, 4, 4, device=device),
        intrinsics=torch.zeros(0, 4, device=device),
    )
