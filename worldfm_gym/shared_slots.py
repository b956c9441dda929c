"""SharedSlots: scenes that show the same thing share one slot for what is kept of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SlotChange:
    """What a replacement asks of whoever keeps things by slot.

    Attributes:
        filled: Slot to put the new thing in, None if it is there already. It may be one past the
            last slot so far.
        freed: Slot whose thing no scene shows any more, None if there is none or it was refilled.
    """

    filled: int | None
    freed: int | None


class SharedSlots:
    """Slots of S scenes, by the keys of what the scenes show.

    Keys are compared for equality. Where they are ids of objects, the caller keeps those alive.

    Attributes:
        of_scene: Slot of each scene, int64 [S].
    """

    def __init__(self, keys: Sequence[Hashable]) -> None:
        """Give each distinct key a slot, in the order of first appearance."""
        self._slot_of: dict[Hashable, int] = {}
        for key in keys:
            self._slot_of.setdefault(key, len(self._slot_of))
        self._keys: list[Hashable | None] = list(self._slot_of)
        self.of_scene = np.array([self._slot_of[key] for key in keys], np.int64)
        self._holders = np.bincount(self.of_scene, minlength=len(self._keys)).tolist()

    def __len__(self) -> int:
        """Number of slots, free ones included."""
        return len(self._keys)

    def __contains__(self, key: Hashable) -> bool:
        """Whether a scene shows this."""
        return key in self._slot_of

    def used(self) -> Iterator[int]:
        """The slots that are not free, ascending."""
        return (slot for slot, holders in enumerate(self._holders) if holders)

    def first_scenes(self) -> list[int]:
        """The first scene of each slot in use, ascending by slot."""
        return [int(np.argmax(self.of_scene == slot)) for slot in self.used()]

    def replace(self, scene: int, key: Hashable) -> SlotChange:
        """Show another thing in a scene."""
        before = int(self.of_scene[scene])
        if self._keys[before] == key:
            return SlotChange(None, None)
        self._holders[before] -= 1
        empty = self._holders[before] == 0
        if empty:
            del self._slot_of[self._keys[before]]
            self._keys[before] = None
        if key in self._slot_of:
            change = SlotChange(None, before if empty else None)
            slot = self._slot_of[key]
        else:
            slot = before if empty else self._free_slot()
            self._keys[slot], self._slot_of[key] = key, slot
            change = SlotChange(slot, None)
        self._holders[slot] += 1
        self.of_scene[scene] = slot
        return change

    def _free_slot(self) -> int:
        """A slot that no scene holds, appended if there is none."""
        for slot, holders in enumerate(self._holders):
            if not holders:
                return slot
        self._keys.append(None)
        self._holders.append(0)
        return len(self._keys) - 1
