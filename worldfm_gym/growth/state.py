"""Growth state: what a run has come to, in one file that appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.errors import ConfigError
from worldfm_gym.growth.config import GrowthConfig
from worldfm_gym.worlds.world import World

_NAME = "growth.safetensors"
_VERSION = 1  # of the algorithm and of the file: other versions start anew


def run_key(world: World, config: GrowthConfig, model: str) -> str:
    """A digest of all that a run depends on."""
    digest = hashlib.blake2b(digest_size=16)
    record = {"version": _VERSION, "config": asdict(config), "model": model}
    digest.update(json.dumps(record, sort_keys=True).encode())
    digest.update(world.start_c2w.tobytes())
    for field in fields(Anchor):
        digest.update(np.ascontiguousarray(getattr(world.anchor, field.name)).data)
    for reference in world.references:
        digest.update(reference.depth.tobytes())
        digest.update(reference.camera.c2w.tobytes())
    return digest.hexdigest()


def write_state(
    folder: Path, key: str, rounds_done: int, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Replace the state in a folder, which is made if need be (its parent must exist).

    Raises:
        ConfigError: If the folder can't be made or written to.
    """
    try:
        folder.mkdir(exist_ok=True)
        partial = folder / f".{_NAME}.{secrets.token_hex(6)}.partial"
        metadata = {"key": key, "rounds_done": str(rounds_done)}
        try:
            partial.write_bytes(
                save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata)
            )
            os.replace(partial, folder / _NAME)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the state of growth can't be kept in {folder} ({error}): choose a folder that can "
            "be written to, in one that exists"
        ) from error


def read_state(folder: Path, key: str) -> tuple[int, dict[str, NDArray[Any]]] | None:
    """Rounds done and arrays of an unfinished run; None if there is none of that key.

    A damaged file is none: growth starts anew and replaces it.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                return None
            return int(metadata["rounds_done"]), dict(_tensors(file))
    except (SafetensorError, OSError, ValueError, KeyError):
        return None


def _tensors(file: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Names and arrays of an open file."""
    for name in file.keys():  # noqa: SIM118, it is no dict
        yield name, file.get_tensor(name)
