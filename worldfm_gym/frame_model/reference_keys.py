"""Reference keys: what attention reads of each reference, computed once and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor

from worldfm_gym.frame_model.accelerate import Encoder
from worldfm_gym.frame_model.conditioning import PosedImages, reference_channels
from worldfm_gym.frame_model.network import KeysValues

_BATCH = 16  # references encoded at once on a GPU
_CPU_SLOTS = 64  # about 200 MB for references of 128 × 128 pixels


class ReferenceKeys:
    """Keys and values by row of a table of references.

    A GPU encodes every row when it is written and keeps all of them, so that reading needs no
    decision by the host. A CPU, for which encoding one costs as much as drawing a frame, encodes a
    row when it is first read and keeps those read last.
    """

    def __init__(self, network: Encoder, *, device: torch.device) -> None:
        self._network = network
        self._eager = device.type != "cpu"
        self._slots: OrderedDict[int, int] = OrderedDict()  # row → slot, the one read last at last
        self._store: KeysValues | None = None  # [L, slots, tokens, heads, head_dim]

    def clear(self) -> None:
        """Forget everything: images are to have another size."""
        self._slots.clear()
        self._store = None

    def write(self, rows: list[int], images: PosedImages) -> None:
        """Take note that rows of the table `images` (leading dimension M) have new contents."""
        for row in rows:
            self._slots.pop(row, None)
        if not self._eager:
            return
        for start in range(0, len(rows), _BATCH):
            chunk = rows[start : start + _BATCH]
            # A fixed batch, so that a reference's keys do not depend on its company.
            padded = chunk + chunk[-1:] * (_BATCH - len(chunk))
            encoded = self._encode(padded, images)
            for store, new in zip(self._room(encoded, len(images.rgb)), encoded, strict=True):
                store[:, chunk] = new[:, : len(chunk)]

    def locate(self, rows: Tensor, images: PosedImages) -> tuple[KeysValues, Tensor]:
        """All that is kept, and where in it some rows are.

        Args:
            rows: Rows to read, int64 [B, R].
            images: The table.

        Returns:
            Keys and values [L, slots, tokens, heads, head_dim], and slots, int64 [B, R].
        """
        if not self._eager:
            slots = self._slots_of(rows.flatten().tolist(), images)
            rows = torch.tensor(slots).view_as(rows)
        assert self._store is not None, "rows must be written before they are read"
        return self._store, rows

    def read(self, rows: Tensor, images: PosedImages) -> KeysValues:
        """Copies of the keys and values of rows [B, R], [L, B, R · tokens, heads, head_dim]."""
        store, slots = self.locate(rows, images)
        keys, values = (
            kept.index_select(1, slots.flatten()).unflatten(1, slots.shape).flatten(2, 3)
            for kept in (store.keys, store.values)
        )
        return KeysValues(keys, values)

    def held(self) -> list[Tensor]:
        """The tensors that `locate` returns, if there are any."""
        return [] if self._store is None else [self._store.keys, self._store.values]

    def _slots_of(self, rows: list[int], images: PosedImages) -> list[int]:
        """Where the keys of these rows are, after encoding those that are nowhere."""
        wanted = dict.fromkeys(rows)
        for row in wanted:
            if row in self._slots:
                self._slots.move_to_end(row)
        for row in wanted:
            if row in self._slots:
                continue
            encoded = self._encode([row], images)
            slot = self._free_slot(wanted)
            for store, new in zip(self._room(encoded, slot + 1), encoded, strict=True):
                store[:, slot] = new[:, 0]
            self._slots[row] = slot
        return [self._slots[row] for row in rows]

    def _free_slot(self, wanted: Iterable[int]) -> int:
        """An unused slot, or that of the row not read for longest; a new one if all are wanted."""
        used = set(self._slots.values())
        if len(used) < _CPU_SLOTS or set(self._slots) <= set(wanted):
            return next(slot for slot in range(len(used) + 1) if slot not in used)
        oldest = next(row for row in self._slots if row not in set(wanted))
        return self._slots.pop(oldest)

    @torch.no_grad()
    def _encode(self, rows: list[int], images: PosedImages) -> tuple[Tensor, Tensor]:
        channels = reference_channels(images.rgb[rows], images.depth_z[rows])
        encoded = self._network.encode_references(channels, images.intrinsics[rows])
        return encoded.keys, encoded.values

    def _room(self, encoded: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
        """The stored keys and values, grown to `count` slots of the shape of `encoded`."""
        kept = 0 if self._store is None else self._store.keys.shape[1]
        if count > kept:
            slots = count if self._eager else max(count, min(2 * kept, _CPU_SLOTS))
            grown = [new.new_zeros(new.shape[0], slots, *new.shape[2:]) for new in encoded]
            if self._store is not None:
                grown[0][:, :kept], grown[1][:, :kept] = self._store.keys, self._store.values
            self._store = KeysValues(*grown)
        assert self._store is not None
        return self._store.keys, self._store.values
