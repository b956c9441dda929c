"""What a benchmark ran on, for the head of its table."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence


def describe(*packages: str, flags: Sequence[str] = ()) -> str:
    """One line of machine, versions and flags."""
    parts = [
        cpu_name(),
        f"{len(os.sched_getaffinity(0))} cores",
        f"Python {platform.python_version()}",
    ]
    for package in packages:
        parts.append(f"{package} {importlib.metadata.version(package)}")
    return " · ".join([*parts, *flags])


def cpu_name() -> str:
    """The processor's model name."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def gpu_name() -> str:
    """The first CUDA device with its Triton version."""
    import torch
    import triton

    return (
        f"{torch.cuda.get_device_name()} · torch {torch.__version__} · triton {triton.__version__}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)
