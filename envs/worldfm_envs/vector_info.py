"""Infos of vector environments: arrays [N] by name, each with a mask, as Gymnasium writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
_KINDS: dict[str, type] = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}


def as_info(info: Mapping[str, NDArray[Any]], present: BoolArray) -> dict[str, Any]:
    """Arrays [N] with masks: `name` and `_name`, where `present` nothing elsewhere."""
    return merged_info(info, {}, ~present) if not present.all() else _whole(info, present)


def merged_info(
    stepped: Mapping[str, NDArray[Any]], begun: Mapping[str, NDArray[Any]], again: BoolArray
) -> dict[str, Any]:
    """Infos of which some environments have those of a reset and the others those of a step.

    Args:
        stepped: What the step brought, arrays [N] by name.
        begun: What the new episodes begin with, arrays [N] by name.
        again: Which environments were reset, bool [N].
    """
    merged: dict[str, Any] = {}
    for name in [*stepped, *(name for name in begun if name not in stepped)]:
        array = _typed(stepped.get(name, begun.get(name)), copy=True)
        mask = np.zeros(len(again), np.bool_)
        if name in stepped:
            mask |= ~again
        if name in begun:
            mask |= again
            array[again] = _typed(begun[name])[again]
        array[~mask] = None if array.dtype == object else 0
        merged[name], merged[f"_{name}"] = array, mask
    return merged


def final_info(
    observations: Sequence[Mapping[str, Any]],
    info: Mapping[str, NDArray[Any]],
    envs: NDArray[np.int64],
    count: int,
) -> dict[str, Any]:
    """`final_obs` and `final_info` of the M environments whose episodes end with this step.

    Args:
        observations: The last observation of each of them, M dictionaries.
        info: What the step brought, arrays [N] by name.
        envs: Their indices [M].
        count: N.
    """
    ended = np.zeros(count, np.bool_)
    ended[envs] = True
    final_obs = np.full(count, None, dtype=object)
    for env, observation in zip(envs, observations, strict=True):
        final_obs[env] = dict(observation)
    return {
        "final_obs": final_obs,
        "_final_obs": ended.copy(),
        "final_info": as_info(info, ended),
        "_final_info": ended,
    }


def _whole(info: Mapping[str, NDArray[Any]], present: BoolArray) -> dict[str, Any]:
    """The usual case: every environment has every entry."""
    whole: dict[str, Any] = {}
    for name, values in info.items():
        whole[name], whole[f"_{name}"] = _typed(values), present.copy()
    return whole


def _typed(values: Any, *, copy: bool = False) -> NDArray[Any]:
    """Values in the type that Gymnasium gives the Python numbers of a single environment."""
    array = np.asarray(values)
    return array.astype(_KINDS.get(array.dtype.kind, object), copy=copy)
