"""Regions: connected sets of navigable cells, and how they may grow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def largest_region(navigable: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flat indices, ascending, of the largest 4-connected set of cells; the first of equals.

    Args:
        navigable: bool [ny, nx]; the outermost cells must be False.
    """
    region: NDArray[np.int64] = _largest_component(navigable)
    return region


def grow_without_bridging(
    navigable: NDArray[np.bool_], candidates: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Navigable cells and those candidates that join no two regions and close no loop.

    A candidate is taken if its 3×3 neighborhood holds one 4-connected run of taken cells: a
    simple point of digital topology (Yokoi's connectivity number is 1), so that what can be
    reached from where stays the same.

    Args:
        navigable: bool [ny, nx]; the outermost cells must be False.
        candidates: bool [ny, nx].
    """
    grown: NDArray[np.bool_] = _grow(navigable, candidates)
    return grown


def crossable_squares(
    cells: NDArray[np.bool_], clearance: NDArray[np.float32], *, least_m: float
) -> NDArray[np.bool_]:
    """Squares between four cell centres with room enough in their middle.

    Args:
        cells: Cells that may be walked, bool [ny, nx].
        clearance: Metres to the nearest obstacle, float32 [ny, nx].
        least_m: Clearance that the middle of a square needs.

    Returns:
        Per cell, the square towards +x and +y, bool [ny, nx]: at least three of its corners may
        be walked (two that touch across it join nothing).
    """
    squares: NDArray[np.bool_] = _squares(cells, clearance, least_m)
    return squares


@njit(cache=True, nogil=True)
def _squares(cells: Any, clearance: Any, least_m: float) -> Any:
    """Squares of which three corners may be walked and whose mean clearance is enough."""
    ny, nx = cells.shape
    squares = np.zeros((ny, nx), np.bool_)
    for y in range(ny - 1):
        for x in range(nx - 1):
            count = 0 + cells[y, x] + cells[y, x + 1] + cells[y + 1, x] + cells[y + 1, x + 1]
            total = clearance[y, x] + clearance[y, x + 1]
            total += clearance[y + 1, x] + clearance[y + 1, x + 1]
            squares[y, x] = count >= 3 and total >= 4.0 * least_m
    return squares


@njit(cache=True, nogil=True)
def _largest_component(mask: Any) -> Any:
    """Flat indices of the largest 4-connected component of a mask whose border is False."""
    ny, nx = mask.shape
    cells = mask.ravel()
    label = np.zeros(ny * nx, np.int32)
    stack = np.empty(ny * nx, np.int64)
    labels, best, best_size = 0, 0, 0
    for first in range(ny * nx):
        if not cells[first] or label[first]:
            continue
        labels += 1
        label[first], stack[0] = labels, first
        waiting, size = 1, 0
        while waiting:
            waiting -= 1
            here = stack[waiting]
            size += 1
            for step in (1, -1, nx, -nx):
                other = here + step
                if cells[other] and not label[other]:
                    label[other] = labels
                    stack[waiting] = other
                    waiting += 1
        if size > best_size:
            best, best_size = labels, size
    return np.flatnonzero(label == best) if best else np.empty(0, np.int64)


@njit(cache=True, nogil=True)
def _grow(navigable: Any, candidates: Any) -> Any:
    """Take simple candidates one after the other, in scan order."""
    ny, nx = navigable.shape
    grown = navigable.copy()
    ring_y = np.array([0, -1, -1, -1, 0, 1, 1, 1])
    ring_x = np.array([1, 1, 0, -1, -1, -1, 0, 1])
    for y in range(1, ny - 1):
        for x in range(1, nx - 1):
            if navigable[y, x] or not candidates[y, x]:
                continue
            runs = 0
            for k in range(0, 8, 2):
                here = grown[y + ring_y[k], x + ring_x[k]]
                diagonal = grown[y + ring_y[k + 1], x + ring_x[k + 1]]
                after = grown[y + ring_y[(k + 2) % 8], x + ring_x[(k + 2) % 8]]
                runs += here and not (diagonal and after)
            grown[y, x] = runs == 1
    return grown
