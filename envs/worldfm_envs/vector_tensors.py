"""Observations as tensors: what is on the device stays there, the rest goes over in one copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_ALIGNMENT = 16


def to_tensors(observation: Mapping[str, Any], device: str) -> dict[str, torch.Tensor]:
    """The entries of an observation as tensors, in their order.

    Tensors stay as they are. Arrays share their memory with the result on a CPU; on a GPU they are
    packed into one pinned buffer and copied without waiting.

    Args:
        observation: Arrays and tensors by name.
        device: Where arrays go.
    """
    arrays = {n: e for n, e in observation.items() if not isinstance(e, torch.Tensor)}
    if device == "cpu":
        moved = {name: torch.from_numpy(array) for name, array in arrays.items()}
    else:
        moved = _sent(arrays, torch.device(device))
    return {name: moved.get(name, entry) for name, entry in observation.items()}


def _sent(arrays: Mapping[str, NDArray[Any]], device: torch.device) -> dict[str, torch.Tensor]:
    """Arrays on a device, as parts of one buffer that one asynchronous copy fills."""
    if not arrays:
        return {}
    starts = np.cumsum([0] + [-(-a.nbytes // _ALIGNMENT) * _ALIGNMENT for a in arrays.values()])
    # torch's pinned allocator hands the buffer out again only when the copy has been made.
    packed = torch.empty(int(starts[-1]), dtype=torch.uint8, pin_memory=True)
    host = packed.numpy()
    for start, array in zip(starts, arrays.values(), strict=False):
        host[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    buffer = packed.to(device, non_blocking=True)
    return {
        name: buffer[int(start) : int(start) + array.nbytes]
        .view(torch.from_numpy(array[:0]).dtype)
        .view(array.shape)
        for start, (name, array) in zip(starts, arrays.items(), strict=False)
    }
