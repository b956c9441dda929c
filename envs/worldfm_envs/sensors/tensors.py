"""Arrays of the host on the device where a renderer draws, without waiting for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def tensor_on(device: Any, array: Any) -> Tensor:
    """`array` as a tensor on a torch device; tensors that are there already come back as they are.

    Copies to a GPU go through pinned memory, so that the host runs ahead of them.
    """
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array)) if not is_tensor(array) else array
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def is_tensor(array: Any) -> bool:
    """Whether an image of a frame is a torch tensor; torch need not be imported to know."""
    return not isinstance(array, np.ndarray)
