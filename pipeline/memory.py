"""How much memory there is, what a model needs, and which errors say that there is too little.

Loads nothing and frees nothing.
"""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import torch
from safetensors import safe_open

from pipeline.catalogue import ModelSource
from pipeline.errors import MemoryShortage

# A container's own limit, and what it uses (cgroup v2).
CGROUP = Path("/sys/fs/cgroup")
BYTES_PER_WEIGHT = 4  # float32
# Beside its weights a model needs room for one batch, and a build for what it captured and for its
# worker processes.
RESERVE_BYTES = 1_000_000_000


def free_bytes(device: str) -> int:
    """Return the memory that a process can still get on a device, in bytes.

    In a container with a limit of its own that limit counts, not the machine's memory.
    """
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = int(psutil.virtual_memory().available)
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        rows = (CGROUP / "memory.stat").read_text().splitlines()
        files = next(int(row.split()[1]) for row in rows if row.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):  # no such limit: "max", or another system
        return free
    return min(free, limit - used + files)


def count_weights(source: ModelSource) -> int:
    """Return how many numbers the weight files of a model hold; only their headers are read."""
    count = 0
    for name in source.files:
        if not name.endswith(".safetensors"):
            continue
        with safe_open(source.folder / name, framework="pt") as file:
            count += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118 - not a dict
    return count


def require_memory(source: ModelSource, device: str) -> None:
    """Refuse a model whose weights do not fit, before they are loaded.

    Raises
    ------
    MemoryShortage
        naming what is needed and what is free.
    """
    needed = BYTES_PER_WEIGHT * count_weights(source) + RESERVE_BYTES
    for place in ("cpu", device):  # weights come to a GPU through the memory of the machine
        free = free_bytes(place)
        if needed > free:
            where = "on the GPU" if place == "cuda" else "of memory"
            raise MemoryShortage(
                f"{source.name} needs about {needed / 1e9:.1f} GB {where} in float32, "
                f"{free / 1e9:.1f} GB are free; close other programs, choose a smaller model, or "
                "use a machine with more memory"
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of a forward pass says that memory could not be had."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On the CPU torch raises a plain RuntimeError.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
